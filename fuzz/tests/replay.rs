//! Every input of the corpora once through its target, and what else can be said of the targets without libFuzzer.
//!
//! One test runs after the other: memory is counted for the whole process.

use bytes::Bytes;
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use virtwire_fuzz::{Codec, DECODER_MEMORY, TARGETS, Target, codecs, peak, seeds};
use virtwire_proto::program::{Struct, Type};

fn main() {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let mut trials: Vec<_> = TARGETS
        .iter()
        .map(|&target| Trial::test(format!("corpus_of_{}", target.0), move || replay(target)))
        .collect();
    trials.push(Trial::test("seeds_are_current", seeds_are_current));
    trials.push(Trial::test("every_target_is_a_program", every_target_is_a_program));
    trials.push(Trial::test("memory_is_bounded_for_every_type", memory_is_bounded_for_every_type));
    trials.push(Trial::test("targets_take_any_bytes", targets_take_any_bytes));
    libtest_mimic::run(&arguments, trials).exit();
}

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn replay((name, run): Target) -> Result<(), Failed> {
    let mut count = 0;
    for entry in fs::read_dir(folder("corpus").join(name))? {
        let path = entry?.path();
        let input = fs::read(&path)?;
        if std::panic::catch_unwind(|| run(&input)).is_err() {
            return Err(format!("see above; the input is {}", path.display()).into());
        }
        count += 1;
    }
    assert!(count > 0, "a target has inputs to start from");
    println!("{name}: {count} inputs");
    Ok(())
}

/// The seeds that are made from the definitions are those of these definitions.
fn seeds_are_current() -> Result<(), Failed> {
    for (target, seeds) in [
        ("decoders", seeds::decoders()),
        ("operations", seeds::operations()),
        ("packets", seeds::packets()),
        ("json", seeds::json()),
    ] {
        for (name, input) in seeds {
            let found = fs::read(folder("corpus").join(target).join(&name)).unwrap_or_default();
            if found != input {
                let how = "run `cargo run -p virtwire-fuzz --example seeds`";
                return Err(format!("{target}/{name} is not current: {how}").into());
            }
        }
    }
    Ok(())
}

fn every_target_is_a_program() -> Result<(), Failed> {
    let files = |path: &str| -> Result<Vec<String>, Failed> {
        let entries = fs::read_dir(folder(path))?;
        let mut names = entries
            .map(|entry| Ok(entry?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>, Failed>>()?;
        names.sort();
        Ok(names)
    };
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(files("fuzz_targets")?, names);
    assert_eq!(files("corpus")?, names);
    Ok(())
}

/// Payloads that announce, at each place, as much as the bytes behind it allow: none makes a decoder allocate more
/// than it may. The target checks that; here the worst is told.
fn memory_is_bounded_for_every_type() -> Result<(), Failed> {
    const LENGTH: usize = 16 * 1024;
    let mut worst = (0, "");
    let mut count = 0;
    for Codec { shape, recode } in codecs() {
        for greed in [Greed::Nested, Greed::Flat, Greed::Announced] {
            let mut payload = Vec::new();
            shape.fields.iter().for_each(|field| greed.write(&mut payload, &field.ty, LENGTH));
            payload.resize(LENGTH.max(payload.len()), 0);
            let payload = Bytes::from(payload);
            // What the target does besides is not counted by it, but bounded too.
            let (_, peak) = peak(|| recode(&payload));
            assert!(peak < 64 * LENGTH, "{}: {peak}", shape.name);
            worst = worst.max((virtwire_fuzz::last_decoding(), shape.name));
        }
        count += 1;
    }
    assert!(count > 700, "{count} types");
    let per_byte = worst.0 as f64 / LENGTH as f64;
    println!("at most {per_byte:.1} bytes for each byte, by {}", worst.1);
    assert!(per_byte <= DECODER_MEMORY.per_byte as f64);
    assert!(per_byte * 2.0 > DECODER_MEMORY.per_byte as f64, "the bound is not far above what is needed");
    Ok(())
}

/// How a payload asks for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greed {
    /// Every array announces as many elements as there could be, the innermost ones have them.
    Nested,
    /// The outermost arrays have as many elements as there could be, each as short as can be.
    Flat,
    /// The same, of elements that cannot be read.
    Announced,
}

impl Greed {
    fn write(self, out: &mut Vec<u8>, ty: &Type, end: usize) {
        match *ty {
            Type::Array(ty, max) => {
                let left = end.saturating_sub(out.len() + 4);
                let count = (left / shortest(ty).len()).min(max as usize);
                put(out, count as u32);
                for _ in 0..count {
                    match self {
                        Self::Nested if out.len() < end => self.write(out, ty, end),
                        Self::Nested => break,
                        Self::Flat => out.extend(shortest(ty)),
                        Self::Announced => out.extend(vec![0xff; shortest(ty).len()]),
                    }
                }
            }
            Type::Chars(max) => {
                let count = (end.saturating_sub(out.len() + 4) / 4).min(max as usize);
                put(out, count as u32);
                out.resize(out.len() + 4 * count, 0);
            }
            Type::Struct(of) => of.fields.iter().for_each(|field| self.write(out, &field.ty, end)),
            Type::Optional(ty) => {
                put(out, 1);
                self.write(out, ty, end);
            }
            ref ty => out.extend(shortest(ty)),
        }
    }
}

fn put(out: &mut Vec<u8>, word: u32) {
    out.extend(word.to_be_bytes());
}

fn shortest(ty: &Type) -> Vec<u8> {
    match *ty {
        Type::Hyper | Type::Uhyper | Type::Double => vec![0; 8],
        Type::Uuid => vec![0; 16],
        Type::FixedChars(length) => vec![0; 4 * length as usize],
        Type::TypedParam(_) => [0, 1, 0].into_iter().flat_map(u32::to_be_bytes).collect(),
        Type::Struct(Struct { fields, .. }) => fields.iter().flat_map(|field| shortest(&field.ty)).collect(),
        Type::FixedArray(ty, length) => shortest(ty).repeat(length as usize),
        _ => vec![0; 4],
    }
}

/// The same few thousand inputs every time: noise, and the corpora with some of their bytes changed.
fn targets_take_any_bytes() -> Result<(), Failed> {
    let mut state = 0x6675_7a7a_0000_0001_u64;
    let mut random = move |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % end
    };
    for (name, run) in TARGETS {
        let mut inputs = Vec::new();
        for entry in fs::read_dir(folder("corpus").join(name))? {
            inputs.push(fs::read(entry?.path())?);
        }
        inputs.sort();
        for round in 0..1000 {
            let mut input = match round % 4 {
                0 => (0..random(200)).map(|_| random(256) as u8).collect(),
                _ => inputs[random(inputs.len())].clone(),
            };
            for _ in 0..random(4) {
                if !input.is_empty() {
                    let place = random(input.len());
                    input[place] = random(256) as u8;
                }
            }
            if std::panic::catch_unwind(|| run(&input)).is_err() {
                let path = std::env::temp_dir().join(format!("virtwire-{name}-{round}"));
                fs::write(&path, &input)?;
                return Err(format!("see above; the input is {}", path.display()).into());
            }
        }
    }
    Ok(())
}
