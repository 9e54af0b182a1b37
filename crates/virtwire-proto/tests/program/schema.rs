//! Bytes made from a struct's description alone, by other code than what decodes them.

use bytes::Bytes;
use virtwire_proto::program::{Struct, Type};

/// Reproducible random numbers (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    /// A word that stands at some edge, or anywhere.
    pub(crate) fn odd_word(&mut self) -> [u8; 4] {
        let edges = [0, 1, 2, 7, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 4_194_304, 4_194_305];
        let word = match self.below(edges.len() + 1) {
            i if i < edges.len() => edges[i],
            _ => self.next() as u32,
        };
        word.to_be_bytes()
    }

    /// A valid value in its one written form. Counts are below `size`.
    pub(crate) fn bytes(&mut self, of: &Struct, size: usize) -> Bytes {
        let mut out = Vec::new();
        self.write_struct(&mut out, of, size);
        out.into()
    }

    fn write_struct(&mut self, out: &mut Vec<u8>, of: &Struct, size: usize) {
        of.fields.iter().for_each(|field| self.write(out, &field.ty, size));
    }

    fn count(&mut self, size: usize, max: u32) -> usize {
        self.below(size + 1).min(max as usize)
    }

    fn write(&mut self, out: &mut Vec<u8>, ty: &Type, size: usize) {
        let random = self.next();
        match *ty {
            Type::Int | Type::Uint => put(out, random as u32),
            Type::Hyper | Type::Uhyper | Type::Double => out.extend(random.to_be_bytes()),
            Type::Short => put(out, random as i16 as u32),
            Type::Ushort => put(out, (random as u16).into()),
            Type::Char => put(out, random as i8 as u32),
            Type::Uchar => put(out, (random as u8).into()),
            Type::Uuid => (0..4).for_each(|_| put(out, self.next() as u32)),
            Type::String(max) | Type::Opaque(max) => {
                let count = self.count(size, max);
                put(out, count as u32);
                (0..count).for_each(|_| out.push(self.next() as u8));
                out.resize(out.len().next_multiple_of(4), 0);
            }
            Type::Chars(max) => {
                let count = self.count(size, max);
                put(out, count as u32);
                (0..count).for_each(|_| put(out, self.next() as i8 as u32));
            }
            Type::FixedChars(length) => (0..length).for_each(|_| put(out, self.next() as i8 as u32)),
            Type::TypedParam(max) => {
                self.write(out, &Type::String(max), size);
                let tag = 1 + self.below(7);
                put(out, tag as u32);
                let types = [Type::Int, Type::Uint, Type::Hyper, Type::Uhyper, Type::Double, Type::Int];
                self.write(out, types.get(tag - 1).unwrap_or(&Type::String(max)), size);
            }
            Type::Struct(of) => self.write_struct(out, of, size),
            Type::Optional(ty) => {
                let present = self.below(2);
                put(out, present as u32);
                if present == 1 {
                    self.write(out, ty, size);
                }
            }
            Type::Array(ty, max) => {
                let count = self.count(size.min(5), max);
                put(out, count as u32);
                (0..count).for_each(|_| self.write(out, ty, size));
            }
            Type::FixedArray(ty, length) => (0..length).for_each(|_| self.write(out, ty, size)),
            ref other => panic!("bytes of {other:?}"),
        }
    }
}

fn put(out: &mut Vec<u8>, word: u32) {
    out.extend(word.to_be_bytes());
}

/// The shortest value: nothing that is optional, no elements, no characters.
pub(crate) fn shortest(of: &Struct) -> Vec<u8> {
    of.fields.iter().flat_map(|field| shortest_of(&field.ty)).collect()
}

fn shortest_of(ty: &Type) -> Vec<u8> {
    match *ty {
        Type::Hyper | Type::Uhyper | Type::Double => vec![0; 8],
        Type::Uuid => vec![0; 16],
        Type::FixedChars(length) => vec![0; 4 * length as usize],
        Type::TypedParam(_) => [0, 1, 0].into_iter().flat_map(u32::to_be_bytes).collect(),
        Type::Struct(of) => shortest(of),
        Type::FixedArray(ty, length) => shortest_of(ty).repeat(length as usize),
        _ => vec![0; 4],
    }
}

/// A maximum that one of a struct's own fields has, with values that reach it and pass it.
pub(crate) struct Maximum {
    /// Where the count stands.
    pub(crate) at: usize,
    pub(crate) max: u32,
    /// A value whose count is the maximum.
    pub(crate) exact: Vec<u8>,
    /// A value whose count is one more, with all of its bytes there.
    pub(crate) over: Vec<u8>,
}

/// Walks through the maxima of a struct's own fields, one at a time: their values are large.
pub(crate) fn each_maximum(of: &Struct, mut check: impl FnMut(Maximum)) {
    for (index, field) in of.fields.iter().enumerate() {
        let before: Vec<u8> = of.fields[..index].iter().flat_map(|field| shortest_of(&field.ty)).collect();
        let behind: Vec<u8> =
            of.fields[index + 1..].iter().flat_map(|field| shortest_of(&field.ty)).collect();
        for (prefix, max, element) in counted(&field.ty) {
            let value = |count: u32| {
                let body = match element.as_slice() {
                    [0] => (count as usize).next_multiple_of(4),
                    element => count as usize * element.len(),
                };
                let head = [before.as_slice(), &prefix, &count.to_be_bytes()].concat();
                let end = head.len() + body;
                // Zeros from the allocator: to write them one by one takes a debug build seconds.
                let mut out = vec![0; end + behind.len()];
                out[..head.len()].copy_from_slice(&head);
                out[end..].copy_from_slice(&behind);
                if element.iter().any(|byte| *byte != 0) {
                    out[head.len()..end]
                        .chunks_mut(element.len())
                        .for_each(|chunk| chunk.copy_from_slice(&element));
                }
                out
            };
            let at = before.len() + prefix.len();
            check(Maximum { at, max, exact: value(max), over: value(max + 1) });
        }
    }
}

/// The counts in a field: what stands before the count, its maximum, and an element.
fn counted(ty: &Type) -> Vec<(Vec<u8>, u32, Vec<u8>)> {
    let one = 1_u32.to_be_bytes();
    match *ty {
        Type::String(max) | Type::Opaque(max) => vec![(Vec::new(), max, vec![0])],
        Type::Chars(max) => vec![(Vec::new(), max, vec![0; 4])],
        Type::Optional(&Type::String(max)) => vec![(one.to_vec(), max, vec![0])],
        Type::Array(ty, max) => {
            let mut counts = vec![(Vec::new(), max, shortest_of(ty))];
            if let Type::String(max) = *ty {
                counts.push((one.to_vec(), max, vec![0]));
            }
            counts
        }
        _ => Vec::new(),
    }
}
