//! The target `typed_params`: lists of typed parameters, changed and looked through by name.

use crate::input::Input;
use bytes::Bytes;
use virtwire_proto::typed_params::{
    TypedParam, TypedParamError, TypedParamType, TypedParams, TypedParamsExt,
};
use virtwire_proto::typed_params::{TypedValue, UnknownTypedParamType};
use virtwire_proto::xdr::{Reader, Text, Xdr, to_bytes};

/// The names that are looked for: few, so that some are there.
const NAMES: [&str; 6] = ["", "a", "cpu_shares", "vcpu_quota", "migrate_disks", "a\0b"];

/// Changes a list as the input says, and holds it beside one that is kept in the plainest way; then reads what is left
/// of the input as parameters from the wire.
///
/// # Panics
/// Where the two differ.
pub fn typed_params(data: &[u8]) {
    let mut input = Input::new(data);
    let mut params = TypedParams::new();
    let mut plain: Vec<(String, TypedValue)> = Vec::new();
    for _ in 0..input.below(16) {
        let choice = input.below(4);
        let name = input.one_of(&NAMES);
        if choice == 0 {
            let there = plain.iter().filter(|(other, _)| other == name).count();
            assert_eq!(params.remove(name), there);
            plain.retain(|(other, _)| other != name);
            continue;
        }
        let value = value(&mut input);
        let old = plain.iter_mut().find(|(other, _)| other == name).map(|(_, value)| value);
        match old {
            Some(old) if choice == 1 => {
                let old = std::mem::replace(old, value.clone());
                assert!(params.set(name, value).is_some_and(|replaced| same(&replaced, &old)));
            }
            _ => {
                plain.push((name.to_owned(), value.clone()));
                if choice == 1 {
                    assert_eq!(params.set(name, value), None);
                } else {
                    params.push(name, value);
                }
            }
        }
    }
    assert_eq!(params.len(), plain.len());
    for (param, (name, value)) in params.iter().zip(&plain) {
        assert!(param.field == *name && same(&param.value, value), "{param} is not {name}");
    }
    look(&params);

    let rest = Bytes::copy_from_slice(input.rest());
    let mut reader = Reader::new(&rest);
    let mut read = Vec::new();
    while let Ok(param) = TypedParam::decode(&mut reader) {
        let bytes = to_bytes(&param).expect("what could be read can be written");
        let again = TypedParam::decode(&mut Reader::new(&bytes)).expect("what was written can be read");
        assert!(again.field == param.field && same(&again.value, &param.value));
        read.push(param);
    }
    look(&read);
}

fn value(input: &mut Input<'_>) -> TypedValue {
    let kind = input.one_of(&TypedParamType::ALL);
    let number = i64::from(input.word().cast_signed()) << input.below(48);
    match kind {
        TypedParamType::Int => TypedValue::Int(number as i32),
        TypedParamType::Uint => TypedValue::Uint(number as u32),
        TypedParamType::Llong => TypedValue::Llong(number),
        TypedParamType::Ullong => TypedValue::Ullong(number.cast_unsigned()),
        TypedParamType::Double => TypedValue::Double(f64::from_bits(number.cast_unsigned())),
        TypedParamType::Boolean => TypedValue::Boolean(number as i32),
        TypedParamType::String => TypedValue::String(Text::from(number.to_be_bytes().as_slice())),
    }
}

/// Whether two values are one, what is not a number included.
fn same(one: &TypedValue, other: &TypedValue) -> bool {
    match (one, other) {
        (TypedValue::Double(one), TypedValue::Double(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

/// What is found by name is what stands in the list.
fn look(params: &[TypedParam]) {
    for name in NAMES {
        let all: Vec<&TypedValue> =
            params.iter().filter(|param| param.field == name).map(|param| &param.value).collect();
        assert!(params.get_value(name).zip(all.first().copied()).is_none_or(|(one, other)| same(one, other)));
        assert_eq!(params.get_value(name).is_some(), !all.is_empty());
        assert_eq!(params.get_all(name).count(), all.len());
        let kind = all.first().map(|value| value.kind());
        read_as::<i32>(params, name, kind, TypedParamType::Int);
        read_as::<u64>(params, name, kind, TypedParamType::Ullong);
        read_as::<f64>(params, name, kind, TypedParamType::Double);
        read_as::<bool>(params, name, kind, TypedParamType::Boolean);
        read_as::<Text>(params, name, kind, TypedParamType::String);
        if let Err(TypedParamError::NotUtf8 { .. }) = params.get_as::<&str>(name) {
            assert_eq!(kind, Some(TypedParamType::String));
        }
    }
    let known = NAMES.map(|name| (name, TypedParamType::Int));
    let only_known = params.iter().all(|param| NAMES.iter().any(|name| param.field == *name));
    assert_eq!(params.check_only(&NAMES).is_ok(), only_known);
    let once = |name| params.iter().filter(|param| param.field == name).count() <= 1;
    let valid = only_known
        && NAMES.into_iter().all(once)
        && params.iter().all(|param| param.value.kind() == TypedParamType::Int);
    assert_eq!(params.validate(&known).is_ok(), valid);
    for param in params {
        let name = param.value.kind().to_string();
        let kind: Result<TypedParamType, UnknownTypedParamType> = name.parse();
        assert_eq!(kind, Ok(param.value.kind()));
        assert!(param.to_string().starts_with(&*param.field.to_string_lossy()));
    }
}

fn read_as<'a, T: virtwire_proto::typed_params::FromTypedValue<'a>>(
    params: &'a [TypedParam],
    name: &str,
    found: Option<TypedParamType>,
    wanted: TypedParamType,
) {
    match (params.get_as::<T>(name), found) {
        (Ok(None), None) => {}
        (Ok(Some(_)), Some(kind)) => assert_eq!(kind, wanted),
        (Err(_), Some(kind)) => assert_ne!(kind, wanted),
        _ => panic!("{name:?} is there or it is not"),
    }
}
