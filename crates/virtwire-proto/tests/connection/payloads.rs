//! Payloads: padding, trailing bytes, odd discriminants, counts over their maximum or over what is there.

use bytes::Bytes;
use virtwire_proto::program::remote::*;
use virtwire_proto::typed_params::{TypedParam, TypedValue};
use virtwire_proto::xdr::{DecodeErrorKind, Text, Xdr, from_bytes, to_bytes};

fn decode<T: Xdr>(words: &[&[u8]]) -> Result<T, DecodeErrorKind> {
    from_bytes(Bytes::from(words.concat())).map_err(|error| error.kind.clone())
}

const fn word(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

#[test]
fn padding_must_be_there_and_may_be_anything() {
    let name = |padding: &[u8]| decode::<DomainLookupByNameArgs>(&[&word(3), b"abc", padding]);
    assert_eq!(name(&[0]).unwrap().name, "abc");
    assert_eq!(name(&[0xff]).unwrap().name, "abc");
    assert_eq!(name(&[]).unwrap_err(), DecodeErrorKind::Truncated { wanted: 8, left: 7 });
    let written = to_bytes(&DomainLookupByNameArgs { name: Text::from("abc") }).unwrap();
    assert_eq!(written[7], 0);
}

/// libvirtd looks a domain up whose name has bytes behind it.
#[test]
fn trailing_bytes_are_ignored() {
    let args: DomainLookupByNameArgs = decode(&[&word(4), b"test", b"trailing"]).unwrap();
    assert_eq!(args.name, "test");
}

/// libvirtd opens a connection whose name's discriminant is 7.
#[test]
fn any_discriminant_but_0_means_present() {
    for discriminant in [1, 2, 7, 0x8000_0000, u32::MAX] {
        let args: ConnectOpenArgs = decode(&[&word(discriminant), &word(4), b"test", &word(1)]).unwrap();
        assert_eq!((args.name.unwrap(), args.flags), (Text::from("test"), 1));
    }
    let args: ConnectOpenArgs = decode(&[&word(0), &word(1)]).unwrap();
    assert_eq!((args.name, args.flags), (None, 1));
}

#[test]
fn a_unions_unknown_discriminant_is_refused() {
    for discriminant in [0, 8, u32::MAX] {
        let result = decode::<TypedParam>(&[&word(1), b"p\0\0\0", &word(discriminant), &[0; 8]]);
        assert!(
            matches!(result, Err(DecodeErrorKind::UnknownDiscriminant { value, .. }) if value as u32 == discriminant),
            "{result:?}"
        );
    }
}

#[test]
fn a_boolean_is_an_int_and_survives() {
    let bytes = [&word(1)[..], b"b\0\0\0", &word(6), &word(2)].concat();
    let param: TypedParam = from_bytes(Bytes::from(bytes.clone())).unwrap();
    assert_eq!(to_bytes(&param).unwrap(), bytes);
}

#[test]
fn doubles_survive_bit_for_bit() {
    for bits in [0x7ff8_0000_dead_beef_u64, 0xfff0_0000_0000_0000, 0x8000_0000_0000_0000, 1] {
        let param = TypedParam { field: Text::from("d"), value: TypedValue::Double(f64::from_bits(bits)) };
        let bytes = to_bytes(&param).unwrap();
        assert_eq!(bytes[bytes.len() - 8..], bits.to_be_bytes());
        let again: TypedParam = from_bytes(bytes.clone()).unwrap();
        assert_eq!(to_bytes(&again).unwrap(), bytes);
    }
}

#[test]
fn strings_are_bytes() {
    for bytes in [&b"nul\0inside"[..], b"\xff\xfe", b""] {
        let args = DomainLookupByNameArgs { name: Text::from(bytes) };
        let again: DomainLookupByNameArgs = from_bytes(to_bytes(&args).unwrap()).unwrap();
        assert_eq!(again.name.as_bytes(), bytes);
    }
    // One name that is not UTF-8 fails no listing.
    let domains = [&b"ok"[..], b"\xff", b"fine"]
        .map(|name| NonnullDomain { name: Text::from(name), ..NonnullDomain::default() });
    let ret = ConnectListAllDomainsRet { domains: domains.to_vec(), ret: 3 };
    let again: ConnectListAllDomainsRet = from_bytes(to_bytes(&ret).unwrap()).unwrap();
    assert_eq!(again, ret);
}

#[test]
fn a_count_over_its_maximum_is_refused_though_the_bytes_are_there() {
    let name = [&word(4_194_305)[..], &vec![b'x'; 4_194_308]].concat();
    assert_eq!(
        decode::<DomainLookupByNameArgs>(&[&name]).unwrap_err(),
        DecodeErrorKind::TooLong { what: "a string", count: 4_194_305, max: 4_194_304 }
    );
    let domains = [&word(16_385)[..], &vec![0; 16_385 * 24]].concat();
    assert_eq!(
        decode::<ConnectListAllDomainsRet>(&[&domains]).unwrap_err(),
        DecodeErrorKind::TooLong { what: "an array", count: 16_385, max: 16_384 }
    );
}

#[test]
fn a_count_over_what_is_left_is_refused() {
    for count in [1, 3, 16_384] {
        assert_eq!(
            decode::<ConnectListAllDomainsRet>(&[&word(count), &[0; 20]]).unwrap_err(),
            DecodeErrorKind::ArrayTruncated { count, wanted: count as usize * 24, left: 20 }
        );
    }
    for count in [u32::MAX, u32::MAX - 3, 0x8000_0000] {
        assert!(matches!(
            decode::<DomainLookupByNameArgs>(&[&word(count), b"abcd"]),
            Err(DecodeErrorKind::TooLong { .. })
        ));
    }
}

#[test]
fn an_error_says_where() {
    let domains = [&word(2)[..], &word(1), b"a\0\0\0", &[0; 20], &word(99), &[0; 24]].concat();
    let error = from_bytes::<ConnectListAllDomainsRet>(Bytes::from(domains)).unwrap_err();
    assert_eq!(error.to_string(), "at byte 32 of 60: expected 104 more bytes, 28 are left");
}
