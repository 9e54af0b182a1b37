//! Payloads made at random from the tables, by an XDR writer of its own.

use virtwire_proto::program::{Struct, Type};

/// How closely a payload keeps to the one way in which libvirt writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As libvirt writes it.
    Canonical,
    /// Now and then as it could also be read: padding that is not zero, other words for "present", high bits in the
    /// words of small types.
    Sloppy,
}

/// A payload in the making, and the small generator (xorshift64*) that decides.
pub(crate) struct Random {
    state: u64,
    style: Style,
    pub(crate) bytes: Vec<u8>,
}

impl Random {
    pub(crate) fn new(seed: u64, style: Style) -> Self {
        Self { state: seed | 1, style, bytes: Vec::new() }
    }

    pub(crate) fn payload(seed: u64, style: Style, shape: &Struct) -> Vec<u8> {
        let mut random = Self::new(seed, style);
        random.structure(shape);
        random.bytes
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    fn is_sloppy(&mut self) -> bool {
        self.style == Style::Sloppy && self.below(4) == 0
    }

    fn structure(&mut self, shape: &Struct) {
        shape.fields.iter().for_each(|field| self.value(&field.ty));
    }

    fn value(&mut self, ty: &Type) {
        match *ty {
            Type::Int | Type::Uint => self.number(),
            Type::Hyper | Type::Uhyper => {
                self.number();
                self.number();
            }
            Type::Short | Type::Char => self.small(if matches!(ty, Type::Char) { 8 } else { 16 }, true),
            Type::Ushort | Type::Uchar => self.small(if matches!(ty, Type::Uchar) { 8 } else { 16 }, false),
            Type::Double => self.double(),
            Type::Uuid => (0..4).for_each(|_| self.number()),
            Type::String(max) => self.string(max),
            Type::Opaque(max) => {
                let length = self.length(max);
                let data = (0..length).map(|_| self.next() as u8).collect::<Vec<_>>();
                self.counted(&data);
            }
            Type::Chars(max) => {
                let length = self.length(max);
                self.word(length as u32);
                (0..length).for_each(|_| self.small(8, true));
            }
            Type::FixedChars(length) => (0..length).for_each(|_| self.small(8, true)),
            Type::TypedParam(max) => self.typed_param(max),
            Type::Struct(shape) => self.structure(shape),
            Type::Optional(ty) => {
                let present = self.below(2) == 1;
                let word =
                    if present && self.is_sloppy() { 2 + self.below(100) as u32 } else { present.into() };
                self.word(word);
                if present {
                    self.value(ty);
                }
            }
            Type::Array(ty, max) => {
                let count = self.below(4).min(max.into());
                self.word(count as u32);
                (0..count).for_each(|_| self.value(ty));
            }
            Type::FixedArray(ty, count) => (0..count).for_each(|_| self.value(ty)),
            _ => panic!("no payload is known for {ty:?}"),
        }
    }

    fn typed_param(&mut self, max: u32) {
        self.string(max);
        let kind = 1 + self.below(7) as u32;
        self.word(kind);
        match kind {
            1 | 2 | 6 => self.number(),
            3 | 4 => self.value(&Type::Hyper),
            5 => self.double(),
            _ => self.string(max),
        }
    }

    /// A word with all of its bits, or one at an edge.
    fn number(&mut self) {
        const EDGES: [u32; 6] = [0, 1, 2, i32::MAX as u32, i32::MIN as u32, u32::MAX];
        let word = match self.below(3) {
            0 => EDGES[self.below(6) as usize],
            _ => self.next() as u32,
        };
        self.word(word);
    }

    /// A word of which the low bits count.
    fn small(&mut self, bits: u32, signed: bool) {
        let word = self.next() as u32;
        let unused = 32 - bits;
        let canonical =
            if signed { ((word << unused) as i32 >> unused) as u32 } else { word << unused >> unused };
        let word = if self.is_sloppy() { word } else { canonical };
        self.word(word);
    }

    fn double(&mut self) {
        const EDGES: [f64; 8] =
            [0.0, -0.0, 0.1, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, 3.0];
        match self.below(3) {
            0 => {
                let edge = EDGES[self.below(8) as usize];
                self.bytes.extend(edge.to_be_bytes());
            }
            // NaNs of all kinds.
            1 => {
                let nan = 0x7ff0_0000_0000_0000 | self.next();
                self.bytes.extend(nan.to_be_bytes());
            }
            _ => self.value(&Type::Uhyper),
        }
    }

    fn string(&mut self, max: u32) {
        const TEXTS: [&[u8]; 7] = [
            b"",
            b"demo",
            "Umläut ✓ \u{10ffff}".as_bytes(),
            b"a\0b",
            b"\xff\xfe",
            b"\"quoted\\\n",
            b"{\"hex\":\"00\"}",
        ];
        let text = TEXTS[self.below(7) as usize];
        self.counted(&text[..text.len().min(max as usize)]);
    }

    fn length(&mut self, max: u32) -> u64 {
        self.below(10).min(max.into())
    }

    fn counted(&mut self, data: &[u8]) {
        self.word(data.len() as u32);
        self.bytes.extend(data);
        let padding = data.len().next_multiple_of(4) - data.len();
        let byte = if self.is_sloppy() { 0xee } else { 0 };
        self.bytes.extend(std::iter::repeat_n(byte, padding));
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend(word.to_be_bytes());
    }
}
