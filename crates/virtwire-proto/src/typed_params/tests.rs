//! The behaviour of typed parameters as a list of cases.

use super::*;
use crate::xdr::{self, DecodeErrorKind};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use proptest::prelude::*;

fn one_of_each_type() -> TypedParams {
    TypedParams::new()
        .with("int", -1)
        .with("uint", 2_u32)
        .with("llong", -3_i64)
        .with("ullong", u64::MAX)
        .with("double", 0.5)
        .with("boolean", true)
        .with("string", "demo")
}

#[test]
fn a_parameter_takes_no_more_than_48_bytes() {
    assert!(size_of::<TypedParam>() <= 48, "{}", size_of::<TypedParam>());
}

#[test]
fn the_bytes_of_each_type() {
    let cases: [(TypedValue, &[u8]); 8] = [
        (TypedValue::Int(-2), &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe]),
        (TypedValue::Uint(2), &[0, 0, 0, 2, 0, 0, 0, 2]),
        (TypedValue::Llong(-2), &[0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]),
        (TypedValue::Ullong(2), &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2]),
        (TypedValue::Double(1.0), &[0, 0, 0, 5, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        (TypedValue::Boolean(1), &[0, 0, 0, 6, 0, 0, 0, 1]),
        (TypedValue::String("abc".into()), &[0, 0, 0, 7, 0, 0, 0, 3, b'a', b'b', b'c', 0]),
        (TypedValue::String("".into()), &[0, 0, 0, 7, 0, 0, 0, 0]),
    ];
    for (value, expected) in cases {
        let param = TypedParam { field: "f".into(), value };
        let bytes = xdr::to_bytes(&param).unwrap();
        assert_eq!(bytes[..8], [0, 0, 0, 1, b'f', 0, 0, 0]);
        assert_eq!(bytes[8..], *expected, "{param:?}");
        assert_eq!(xdr::from_bytes::<TypedParam>(bytes).unwrap(), param);
    }
}

#[test]
fn a_boolean_of_2_stays_2_and_is_true() {
    let bytes = Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 2]);
    let param: TypedParam = xdr::from_bytes(bytes.clone()).unwrap();
    assert_eq!(param.value, TypedValue::Boolean(2));
    assert_eq!([param.clone()].get_as(""), Ok(Some(true)));
    assert_eq!(xdr::to_bytes(&param).unwrap(), bytes);
}

#[test]
fn doubles_round_trip_bit_for_bit() {
    let bits = [f64::NAN.to_bits(), 0x7ff0_0000_0000_0001, f64::INFINITY.to_bits(), (-0.0_f64).to_bits()];
    for bits in bits {
        let bytes = xdr::to_bytes(&TypedValue::Double(f64::from_bits(bits))).unwrap();
        let TypedValue::Double(back) = xdr::from_bytes(bytes).unwrap() else { panic!("another type") };
        assert_eq!(back.to_bits(), bits);
    }
}

#[test]
fn an_unknown_type_is_an_error_at_the_place_of_its_number() {
    for number in [0, 8, -1, i32::MAX] {
        let mut bytes = b"\0\0\0\x05field\0\0\0".to_vec();
        bytes.extend(number.to_be_bytes());
        bytes.extend([0; 8]);
        let error = xdr::from_bytes::<TypedParam>(bytes.into()).unwrap_err();
        assert_eq!((error.offset, error.length), (12, 24));
        let union = "remote_typed_param_value";
        assert_eq!(error.kind, DecodeErrorKind::UnknownDiscriminant { union, value: number });
    }
}

#[test]
fn a_parameter_cut_short_anywhere_is_an_error() {
    for param in &one_of_each_type() {
        let bytes = xdr::to_bytes(param).unwrap();
        for end in 0..bytes.len() {
            let error = xdr::from_bytes::<TypedParam>(bytes.slice(..end)).unwrap_err();
            assert!(matches!(error.kind, DecodeErrorKind::Truncated { .. }), "{param:?} at {end}: {error}");
        }
    }
}

#[test]
fn names_and_strings_over_the_maximum_are_refused_both_ways() {
    let long = Text::from(alloc::vec![b'x'; STRING_MAX as usize + 1]);
    for param in [TypedParam::new(long.clone(), 1), TypedParam::new("f", long)] {
        assert_eq!(xdr::to_bytes(&param).unwrap_err().max, STRING_MAX);
    }
    let announced = Bytes::from_static(b"\0\0\0\x01f\0\0\0\0\0\0\x07\0\x40\0\x01");
    let error = xdr::from_bytes::<TypedParam>(announced).unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::TooLong { count: 4_194_305, max: 4_194_304, .. }));
}

#[test]
fn a_value_of_each_type_round_trips() {
    let params = one_of_each_type();
    let mut buffer = bytes::BytesMut::new();
    Writer::new(&mut buffer).put_elements(&params, 16).unwrap();
    let back: Vec<TypedParam> = Reader::new(&buffer.freeze()).elements(16).unwrap();
    assert_eq!(TypedParams::from(back), params);
}

#[test]
fn an_empty_set() {
    let params = TypedParams::new();
    assert!(params.is_empty());
    assert_eq!(params.iter().next(), None);
    assert_eq!(params.get_value("int"), None);
    assert_eq!(params.check_only(&[]), Ok(()));
    assert_eq!(params, TypedParams::default());
}

#[test]
fn a_copy_equals_its_source_and_is_its_own() {
    let source = one_of_each_type();
    let mut copy = source.clone();
    assert_eq!(copy, source);
    copy.set("int", 7);
    assert_ne!(copy, source);
}

#[test]
fn get_of_a_missing_field_is_none() {
    assert_eq!(one_of_each_type().get_value("missing"), None);
}

#[test]
fn get_gives_the_first_of_a_name() {
    let params: TypedParams = [("disk", "vda"), ("disk", "vdb")].into_iter().collect();
    assert_eq!(params.get_as::<&str>("disk"), Ok(Some("vda")));
}

#[test]
fn set_replaces_in_place() {
    let mut params = one_of_each_type();
    assert_eq!(params.set("uint", 20_u32), Some(TypedValue::Uint(2)));
    assert_eq!(params.len(), 7);
    assert_eq!(params[1], TypedParam::new("uint", 20_u32));
}

#[test]
fn set_replaces_in_place_even_with_another_type() {
    let mut params = one_of_each_type();
    params.set("uint", "twenty");
    assert_eq!(params.len(), 7);
    assert_eq!(params[1], TypedParam::new("uint", "twenty"));
}

#[test]
fn set_appends_a_new_field() {
    let mut params = one_of_each_type();
    assert_eq!(params.set("new", 1), None);
    assert_eq!(params.last(), Some(&TypedParam::new("new", 1)));
}

#[test]
fn all_fields_of_a_name_in_order() {
    let mut params = TypedParams::new();
    params.push("disk", "vda");
    params.push("other", 1);
    params.push("disk", "vdb");
    params.push("disk", "vda");
    assert_eq!(params.get_all_as::<&str>("disk").unwrap(), ["vda", "vdb", "vda"]);
    assert_eq!(params.get_all("disk").count(), 3);
    assert_eq!(params.get_all("missing").count(), 0);
    assert_eq!(params.remove("disk"), 3);
    assert_eq!(params.len(), 1);
}

#[test]
fn all_fields_of_a_name_must_have_the_type() {
    let params: TypedParams =
        [TypedParam::new("disk", "vda"), TypedParam::new("disk", 1)].into_iter().collect();
    let error = params.get_all_as::<&str>("disk").unwrap_err();
    assert_eq!(error.to_string(), "the field \"disk\" is of type int, expected string");
}

#[test]
fn each_typed_getter_gives_its_type() {
    let params = one_of_each_type();
    assert_eq!(params.get_as("int"), Ok(Some(-1_i32)));
    assert_eq!(params.get_as("uint"), Ok(Some(2_u32)));
    assert_eq!(params.get_as("llong"), Ok(Some(-3_i64)));
    assert_eq!(params.get_as("ullong"), Ok(Some(u64::MAX)));
    assert_eq!(params.get_as("double"), Ok(Some(0.5_f64)));
    assert_eq!(params.get_as("boolean"), Ok(Some(true)));
    assert_eq!(params.get_as("string"), Ok(Some("demo")));
    assert_eq!(params.get_as("string"), Ok(Some(Text::from("demo"))));
    assert_eq!(params.get_as("string"), Ok(Some(&Text::from("demo"))));
}

#[test]
fn each_typed_getter_refuses_every_other_type_and_names_both() {
    fn refuses<'a, T: FromTypedValue<'a>>(params: &'a TypedParams) {
        for param in params.iter().filter(|param| param.value.kind() != T::TYPE) {
            let name = param.field.to_str().unwrap();
            let Err(error) = params.get_as::<T>(name) else { panic!("{} read as {}", name, T::TYPE) };
            let expected = format!("the field {name:?} is of type {}, expected {}", name, T::TYPE);
            assert_eq!(error.to_string(), expected);
        }
    }
    let params = one_of_each_type();
    refuses::<i32>(&params);
    refuses::<u32>(&params);
    refuses::<i64>(&params);
    refuses::<u64>(&params);
    refuses::<f64>(&params);
    refuses::<bool>(&params);
    refuses::<&str>(&params);
    refuses::<&Text>(&params);
    refuses::<Text>(&params);
}

#[test]
fn a_typed_getter_on_a_missing_field_is_none() {
    let params = one_of_each_type();
    assert_eq!(params.get_as::<i32>("missing"), Ok(None));
    assert_eq!(params.get_as::<&str>("missing"), Ok(None));
    assert_eq!(params.get_all_as::<u64>("missing"), Ok(Vec::new()));
}

#[test]
fn a_string_that_is_not_utf8_is_there_as_text_and_refused_as_str() {
    let params = [TypedParam::new("path", Text::from(alloc::vec![b'v', 0xff]))];
    assert_eq!(params.get_as::<&Text>("path").unwrap().unwrap().as_bytes(), [b'v', 0xff]);
    let error = params.get_as::<&str>("path").unwrap_err();
    assert!(matches!(error, TypedParamError::NotUtf8 { ref error, .. } if error.valid_up_to() == 1));
}

#[test]
fn only_these_fields_accepts_exactly_those() {
    let params = TypedParams::new().with("a", 1).with("b", 2);
    assert_eq!(params.check_only(&["a", "b"]), Ok(()));
    assert_eq!(params.check_only(&["b", "c", "a"]), Ok(()));
}

#[test]
fn only_these_fields_names_the_unexpected_one() {
    let params = TypedParams::new().with("a", 1).with("c", 2).with("d", 3);
    let error = params.check_only(&["a", "b"]).unwrap_err();
    assert_eq!(error.to_string(), "the field \"c\" is not supported here, expected a, b");
    let error = params.check_only(&[]).unwrap_err();
    assert_eq!(error.to_string(), "the field \"a\" is not supported here, expected no field");
}

#[test]
fn validate_checks_names_types_and_repetition() {
    let known = [("a", TypedParamType::Int), ("b", TypedParamType::String)];
    let check = |params: TypedParams| params.validate(&known).map_err(|error| error.to_string());
    assert_eq!(check(TypedParams::new()), Ok(()));
    assert_eq!(check(TypedParams::new().with("b", "x").with("a", 1)), Ok(()));
    assert_eq!(
        check(TypedParams::new().with("b", 1)).unwrap_err(),
        "the field \"b\" is of type int, expected string"
    );
    assert_eq!(
        check(TypedParams::new().with("c", 1)).unwrap_err(),
        "the field \"c\" is not supported here, expected a, b"
    );
    let mut twice = TypedParams::new().with("a", 1);
    twice.push("a", 2);
    assert_eq!(check(twice).unwrap_err(), "the field \"a\" is there more than once");
}

#[test]
fn sets_are_built_from_pairs_and_from_parameters() {
    let mut params: TypedParams = [("a", 1_u32), ("b", 2)].into_iter().collect();
    params.extend([TypedParam::new("c", "x")]);
    params.extend([(String::from("d"), false)]);
    let names: Vec<_> = params.iter().map(|param| param.field.to_string()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let list: Vec<TypedParam> = params.clone().into();
    assert_eq!(TypedParams::from(list), params);
    assert_eq!(params.clone().into_iter().count(), (&params).into_iter().count());
}

#[test]
fn values_are_shown_as_virsh_shows_them() {
    let shown: Vec<_> = one_of_each_type().iter().map(|param| param.value.to_string()).collect();
    assert_eq!(shown, ["-1", "2", "-3", "18446744073709551615", "0.5", "yes", "demo"]);
    assert_eq!(TypedValue::Boolean(0).to_string(), "no");
    assert_eq!(format!("[{:>6}]", TypedValue::from("demo")), "[  demo]");
}

#[test]
fn types_have_their_numbers_and_names() {
    for (number, kind) in (1..).zip(TypedParamType::ALL) {
        assert_eq!(kind as i32, number);
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    let error = "hyper".parse::<TypedParamType>().unwrap_err();
    assert!(error.to_string().starts_with("\"hyper\" is no type of a typed parameter"));
}

fn any_value() -> impl Strategy<Value = TypedValue> {
    prop_oneof![
        any::<i32>().prop_map(TypedValue::Int),
        any::<u32>().prop_map(TypedValue::Uint),
        any::<i64>().prop_map(TypedValue::Llong),
        any::<u64>().prop_map(TypedValue::Ullong),
        any::<f64>().prop_map(TypedValue::Double),
        any::<i32>().prop_map(TypedValue::Boolean),
        any::<Vec<u8>>().prop_map(|bytes| TypedValue::String(bytes.into())),
    ]
}

proptest! {
    #[test]
    fn any_parameter_round_trips(field in any::<Vec<u8>>(), value in any_value()) {
        let param = TypedParam { field: field.into(), value };
        let bytes = xdr::to_bytes(&param).unwrap();
        let back: TypedParam = xdr::from_bytes(bytes.clone()).unwrap();
        prop_assert_eq!(xdr::to_bytes(&back).unwrap(), bytes);
        prop_assert_eq!(back, param);
    }

    #[test]
    fn any_bytes_decode_or_are_an_error(bytes in any::<Vec<u8>>()) {
        if let Ok(param) = xdr::from_bytes::<TypedParam>(bytes.into()) {
            prop_assert!(xdr::to_bytes(&param).is_ok());
        }
    }

    /// `set` behaves as a plain list of pairs that is searched from the front does.
    #[test]
    fn set_behaves_as_its_model(sets in prop::collection::vec(("[abc]", any_value()), 0..12)) {
        let mut params = TypedParams::new();
        let mut model: Vec<(String, TypedValue)> = Vec::new();
        for (name, value) in sets {
            params.set(&name, value.clone());
            match model.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => model.push((name, value)),
            }
        }
        let expected: TypedParams = model.into_iter().collect();
        prop_assert_eq!(params, expected);
    }
}
