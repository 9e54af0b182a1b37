//! The target `decoders`: every generated type's decoder and encoder, on any bytes.

#[path = "../../crates/virtwire-proto/tests/program/registry.rs"]
mod registry;

use crate::input::Input;
use crate::memory::{Bound, peak};
use bytes::{Bytes, BytesMut};
use std::any::type_name;
use std::fmt::Debug;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use virtwire_proto::program::{Call, Event, PROGRAMS, Procedure, Struct, net};
use virtwire_proto::typed_params::{TypedParam, TypedValue};
use virtwire_proto::xdr::{Reader, Text, Writer, Xdr};

/// What decoding may allocate, whatever the bytes say.
///
/// A word on the wire that says "an empty string" or "no elements" is one of 24 to 32 bytes in memory, and an
/// array's elements are made room for, once it is known that their fewest bytes are there, before they are read.
/// Both happen at most once for each level of arrays in arrays, of which there are three.
pub const MEMORY: Bound = Bound { per_byte: 12, constant: 1024 };

/// Decodes the input as the type that its first bytes choose. What could be decoded is encoded, decoded and encoded
/// again: it stays the same value, of the same length, in one form.
///
/// | byte | says |
/// | --- | --- |
/// | 0 | the program: 0 what all have in common, then as in [`PROGRAMS`] |
/// | 1 | 0 what a procedure's call or event carries, 1 what its reply carries, 2 any struct |
/// | 2, 3 | the number of the procedure; or the place of the struct in the definitions |
/// | 4 and on | what is decoded |
///
/// # Panics
/// Where any of that does not hold.
pub fn decoders(data: &[u8]) {
    if let Some((codec, payload)) = choose(data) {
        (codec.recode)(&payload);
    }
}

/// The type that an input of [`decoders`] chooses, and what is to be decoded.
pub(crate) fn choose(data: &[u8]) -> Option<(Codec, Bytes)> {
    let mut input = Input::new(data);
    let types = &TYPES[input.below(TYPES.len())];
    let kind = input.below(3);
    let number = usize::from(input.word());
    let procedure = types.procedures.get(number.wrapping_sub(1) % types.procedures.len().max(1));
    let codec = match (kind, procedure) {
        (0, Some(procedure)) => procedure.args,
        (1, Some(procedure)) => procedure.ret,
        _ => *types.structs.get(number % types.structs.len().max(1))?,
    };
    Some((codec, Bytes::copy_from_slice(input.rest())))
}

/// A type: its description, and what holds it to account.
#[derive(Clone, Copy)]
pub struct Codec {
    /// How the tables describe it.
    pub shape: &'static Struct,
    /// Decodes a payload, with all that [`decoders`] checks; gives the one form in which the value is written.
    pub recode: fn(&Bytes) -> Option<Bytes>,
}

/// The input of [`decoders`] that has `payload` decoded as what the procedure with this number, of the program at
/// this place of [`PROGRAMS`], carries in its call (or event) or in its reply.
pub fn procedure_input(program: usize, number: i32, reply: bool, payload: &[u8]) -> Vec<u8> {
    let number = u16::try_from(number).expect("procedures are numbered from 1 without large gaps");
    let mut input = vec![1 + program as u8, reply.into()];
    input.extend(number.to_be_bytes());
    input.extend(payload);
    input
}

/// The input of [`decoders`] that has `payload` decoded as one of the structs that all programs have in common.
pub fn common_input(place: usize, payload: &[u8]) -> Vec<u8> {
    [&[0, 2, 0, place as u8], payload].concat()
}

/// Every struct.
pub fn codecs() -> impl Iterator<Item = Codec> {
    TYPES.iter().flat_map(|types| types.structs.iter().copied())
}

/// How many bytes the last decoding allocated at its peak.
pub fn last_decoding() -> usize {
    LAST.load(Ordering::Relaxed)
}

static LAST: AtomicUsize = AtomicUsize::new(0);

/// What all programs have in common, then each program.
static TYPES: LazyLock<Vec<Types>> = LazyLock::new(|| {
    let shapes = [net::STRUCTS].into_iter().chain(PROGRAMS.iter().map(|program| program.structs));
    let types = shapes.zip(registry::structs()).zip(registry::procedures());
    let types = types.map(|((shapes, (_, cases)), (_, procedures))| {
        let shape = |name| shapes.iter().copied().find(|shape| shape.name == name);
        let codec = |case: Case| shape(case.name).map(|shape| Codec { shape, recode: case.recode });
        Types { structs: cases.into_iter().filter_map(codec).collect(), procedures }
    });
    types.collect()
});

struct Types {
    structs: Vec<Codec>,
    procedures: Vec<Row>,
}

/// A struct, as the registry tells it.
struct Case {
    name: &'static str,
    recode: fn(&Bytes) -> Option<Bytes>,
}

/// A procedure, as the registry tells it.
struct Row {
    args: Codec,
    ret: Codec,
}

/// The registry also has ways to pass each maximum: values that nobody could send.
fn case<T: Xdr + PartialEq + Debug>(name: &'static str, _: Vec<fn(&mut T)>) -> Case {
    Case { name, recode: recode::<T> }
}

fn call<T: Call<Ret: PartialEq + Debug> + PartialEq + Debug>() -> Row {
    let Procedure { args, ret, .. } = T::PROCEDURE;
    Row {
        args: Codec { shape: args, recode: recode::<T> },
        ret: Codec { shape: ret, recode: recode::<T::Ret> },
    }
}

fn event<T: Event + PartialEq + Debug>() -> Row {
    let Procedure { args, ret, .. } = T::PROCEDURE;
    Row { args: Codec { shape: args, recode: recode::<T> }, ret: Codec { shape: ret, recode: recode::<()> } }
}

fn recode<T: Xdr + PartialEq + Debug>(payload: &Bytes) -> Option<Bytes> {
    let mut reader = Reader::new(payload);
    let (decoded, peak) = peak(|| T::decode(&mut reader));
    LAST.store(peak, Ordering::Relaxed);
    MEMORY.check_peak(type_name::<T>(), payload.len(), peak);
    let value = decoded.ok()?;
    let length = reader.position();

    let bytes = encode(&value);
    assert_eq!(bytes.len(), length, "a value is as long when it is written as when it was read");
    let mut reader = Reader::new(&bytes);
    let again = T::decode(&mut reader).expect("what was written can be read");
    assert_eq!(reader.remaining(), 0, "all that was written is read");
    // What is not a number is not equal to itself, but looks the same.
    assert!(again == value || format!("{again:?}") == format!("{value:?}"), "{value:?} has become {again:?}");
    assert_eq!(encode(&again), bytes, "a value is written in one form");
    if let Some(shorter) = length.checked_sub(1) {
        let shorter = payload.slice(..shorter);
        assert!(T::decode(&mut Reader::new(&shorter)).is_err(), "no byte of a value can be missing");
    }
    Some(bytes)
}

fn encode<T: Xdr>(value: &T) -> Bytes {
    let mut buffer = BytesMut::new();
    value.encode(&mut Writer::new(&mut buffer)).expect("what could be read passes no maximum");
    buffer.freeze()
}

// What values over a maximum are made of.

fn bytes(max: u32) -> Bytes {
    vec![0; max as usize + 1].into()
}

fn text(max: u32) -> Text {
    bytes(max).into()
}

fn param() -> TypedParam {
    TypedParam { field: Text::default(), value: TypedValue::Int(0) }
}
