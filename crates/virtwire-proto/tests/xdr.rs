//! XDR, value by value: the table at the head of the module `xdr`, as tests.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashSet;
use virtwire_proto::xdr::{
    DecodeError, DecodeErrorKind, EncodeError, Reader, Text, Writer, Xdr, from_bytes, to_bytes,
};

fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = BytesMut::new();
    write(&mut Writer::new(&mut buffer))?;
    Ok(buffer.to_vec())
}

fn read<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeErrorKind> {
    let bytes = Bytes::copy_from_slice(bytes);
    read(&mut Reader::new(&bytes)).map_err(|error| error.kind.clone())
}

#[test]
fn integers_are_big_endian_words() {
    assert_eq!(to_bytes(&-2_i32).unwrap(), [0xff, 0xff, 0xff, 0xfe][..]);
    assert_eq!(to_bytes(&0x0102_0304_u32).unwrap(), [1, 2, 3, 4][..]);
    assert_eq!(to_bytes(&i64::MIN).unwrap(), [0x80, 0, 0, 0, 0, 0, 0, 0][..]);
    assert_eq!(to_bytes(&u64::MAX).unwrap(), [0xff; 8][..]);
    assert_eq!(to_bytes(&1.0_f64).unwrap(), [0x3f, 0xf0, 0, 0, 0, 0, 0, 0][..]);
}

#[test]
fn small_integers_take_a_word() {
    assert_eq!(to_bytes(&-1_i8).unwrap(), [0xff; 4][..], "C sign-extends a char on x86");
    assert_eq!(to_bytes(&0xff_u8).unwrap(), [0, 0, 0, 0xff][..]);
    assert_eq!(to_bytes(&-1_i16).unwrap(), [0xff; 4][..]);
    assert_eq!(to_bytes(&0xffff_u16).unwrap(), [0, 0, 0xff, 0xff][..]);
    // Of what comes, the low bits count.
    let word = Bytes::from_static(&[0x12, 0x34, 0x80, 0xfe]);
    assert_eq!(from_bytes::<i8>(word.clone()).unwrap(), -2);
    assert_eq!(from_bytes::<u8>(word.clone()).unwrap(), 0xfe);
    assert_eq!(from_bytes::<i16>(word.clone()).unwrap(), -0x7f02);
    assert_eq!(from_bytes::<u16>(word).unwrap(), 0x80fe);
}

#[test]
fn every_value_says_how_much_is_missing() {
    fn short<T: Xdr + std::fmt::Debug>() {
        for len in 0..T::MIN_LEN {
            let error = from_bytes::<T>(Bytes::from(vec![0; len])).unwrap_err();
            assert_eq!(error.kind, DecodeErrorKind::Truncated { wanted: T::MIN_LEN, left: len });
            assert_eq!((error.offset, error.length), (0, len));
        }
    }
    short::<i32>();
    short::<u32>();
    short::<i64>();
    short::<u64>();
    short::<i16>();
    short::<u16>();
    short::<i8>();
    short::<u8>();
    short::<f64>();
    short::<uuid::Uuid>();
}

#[test]
fn strings_are_padded_to_words() {
    for (string, bytes) in [
        ("", &[0, 0, 0, 0][..]),
        ("a", &[0, 0, 0, 1, b'a', 0, 0, 0]),
        ("abc", &[0, 0, 0, 3, b'a', b'b', b'c', 0]),
        ("abcd", &[0, 0, 0, 4, b'a', b'b', b'c', b'd']),
    ] {
        let text = Text::from(string);
        assert_eq!(written(|writer| writer.put_string(&text, 4)).unwrap(), bytes);
        assert_eq!(read(bytes, |reader| reader.string(4)).unwrap(), string);
        for len in 0..bytes.len() {
            assert!(matches!(
                read(&bytes[..len], |reader| reader.string(4)),
                Err(DecodeErrorKind::Truncated { .. })
            ));
        }
    }
}

#[test]
fn a_maximum_holds_in_both_directions() {
    let text = Text::from("abcd");
    let error = written(|writer| writer.put_string(&text, 3)).unwrap_err();
    assert_eq!((error.what, error.count, error.max), ("a string", 4, 3));
    assert_eq!(error.to_string(), "a string of 4 exceeds its maximum of 3");
    let bytes = written(|writer| writer.put_string(&text, 4)).unwrap();
    assert_eq!(
        read(&bytes, |reader| reader.string(3)).unwrap_err(),
        DecodeErrorKind::TooLong { what: "a string", count: 4, max: 3 }
    );
    let error = written(|writer| writer.put_opaque(b"abcd", 3)).unwrap_err();
    assert_eq!((error.what, error.count, error.max), ("opaque data", 4, 3));
    assert_eq!(
        read(&bytes, |reader| reader.opaque(3)).unwrap_err(),
        DecodeErrorKind::TooLong { what: "opaque data", count: 4, max: 3 }
    );
    let array = written(|writer| writer.put_elements(&[1_i32, 2], 2)).unwrap();
    assert!(written(|writer| writer.put_elements(&[1_i32, 2], 1)).is_err());
    assert_eq!(
        read(&array, |reader| reader.elements::<i32>(1)).unwrap_err(),
        DecodeErrorKind::TooLong { what: "an array", count: 2, max: 1 }
    );
    let strings = [Text::from("ab"), Text::from("c")];
    assert!(written(|writer| writer.put_strings(&strings, 1, 2)).is_err());
    assert!(written(|writer| writer.put_strings(&strings, 2, 1)).is_err());
    let bytes = written(|writer| writer.put_strings(&strings, 2, 2)).unwrap();
    assert_eq!(read(&bytes, |reader| reader.strings(2, 2)).unwrap(), strings);
    assert!(read(&bytes, |reader| reader.strings(1, 2)).is_err());
    assert!(read(&bytes, |reader| reader.strings(2, 1)).is_err());
}

#[test]
fn characters_take_a_word_each() {
    let bytes = [0, 0, 0, 2, 0, 0, 0, b'a', 0xff, 0xff, 0xff, 0xff];
    assert_eq!(written(|writer| writer.put_chars(&[b'a', 0xff], 2)).unwrap(), bytes);
    assert_eq!(read(&bytes, |reader| reader.chars(2)).unwrap(), [b'a', 0xff][..]);
    assert!(read(&bytes, |reader| reader.chars(1)).is_err());
    assert!(read(&bytes[..8], |reader| reader.chars(2)).is_err());
    assert_eq!(read(&bytes[4..], |reader| reader.fixed_chars::<2>()).unwrap(), [b'a', 0xff]);
    assert_eq!(
        read(&bytes[4..], |reader| reader.fixed_chars::<3>()).unwrap_err(),
        DecodeErrorKind::Truncated { wanted: 12, left: 8 }
    );
    let mut buffer = BytesMut::new();
    Writer::new(&mut buffer).put_fixed_chars(&[b'a', 0xff]);
    assert_eq!(buffer, bytes[4..]);
}

#[test]
fn optional_values_have_a_discriminant() {
    assert_eq!(to_bytes(&None::<i32>).unwrap(), [0; 4][..]);
    assert_eq!(to_bytes(&Some(5_i32)).unwrap(), [0, 0, 0, 1, 0, 0, 0, 5][..]);
    let odd = Bytes::from_static(&[0x80, 0, 0, 0, 0, 0, 0, 5]);
    assert_eq!(from_bytes::<Option<i32>>(odd).unwrap(), Some(5));
    assert!(from_bytes::<Option<i32>>(Bytes::from_static(&[0, 0, 0, 1])).is_err());
}

#[test]
fn an_empty_payload_is_the_unit() {
    assert_eq!(to_bytes(&()).unwrap(), Bytes::new());
    from_bytes::<()>(Bytes::from_static(b"whatever follows")).unwrap();
}

#[test]
fn an_array_that_ends_early_says_where() {
    let bytes = Bytes::from_static(&[0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 1]);
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.int().unwrap(), 9);
    let error = reader.elements::<i64>(10).unwrap_err();
    assert_eq!(
        error.to_string(),
        "at byte 4 of 12: an array of 3 elements needs at least 24 bytes, 4 are left"
    );
}

#[test]
fn texts_compare_by_their_bytes_however_they_are_kept() {
    let short = Text::from("short");
    let long = Text::from("a string that is longer than what fits in place of its address");
    for text in [short, long] {
        let bytes = written(|writer| writer.put_string(&text, 1000)).unwrap();
        let shared = read(&bytes, |reader| reader.string(1000)).unwrap();
        assert_eq!(shared, text);
        assert_eq!(shared.detach(), text);
        assert_eq!(shared.cmp(&text), std::cmp::Ordering::Equal);
        assert!(HashSet::from([shared.clone()]).contains(&text));
        assert_eq!(shared.len(), text.len());
        assert_eq!(shared.to_str(), text.to_str());
    }
    assert!(Text::default().is_empty());
    assert_eq!(Text::from("a").cmp(&Text::from("b")), std::cmp::Ordering::Less);
    assert_eq!(format!("{:>4}|{:?}", Text::from("ab"), Text::from(vec![b'a', 0xff])), "  ab|b\"a\\xff\"");
}

/// Each length of a string, each alignment, in buffers that are too short, and dirty: as value by value.
#[test]
fn a_run_is_its_values_one_after_the_other() {
    let uuid = uuid::Uuid::from_bytes([0xee; 16]);
    for len in (0..70).chain(250..260) {
        let text = Text::from(vec![b'x'; len]);
        for before in [0, 1, 255, 256, 4000] {
            let mut buffer = BytesMut::from(&vec![0xaa; before + 300][..]);
            buffer.truncate(before);
            let mut writer = Writer::new(&mut buffer);
            writer
                .put_string_and(&text, 300, (uuid, -1_i8, 2_u8, -3_i16, 4_u16, 5_u64, -6_i64, 0.5))
                .unwrap();
            writer.put_fixed((7_u32, -8_i32));
            drop(writer);

            let mut expected = vec![0xaa; before];
            expected.extend((len as u32).to_be_bytes());
            expected.extend(vec![b'x'; len]);
            expected.resize(before + 4 + len.next_multiple_of(4), 0);
            expected.extend([0xee; 16]);
            expected.extend((-1_i32).to_be_bytes());
            expected.extend(2_u32.to_be_bytes());
            expected.extend((-3_i32).to_be_bytes());
            expected.extend(4_u32.to_be_bytes());
            expected.extend(5_u64.to_be_bytes());
            expected.extend((-6_i64).to_be_bytes());
            expected.extend(0.5_f64.to_be_bytes());
            expected.extend(7_u32.to_be_bytes());
            expected.extend((-8_i32).to_be_bytes());
            assert_eq!(buffer, expected, "{len} bytes behind {before}");
        }
    }
    assert_eq!(written(|writer| writer.put_string_and(&"abc".into(), 2, 7_u32)).unwrap_err().max, 2);
    assert_eq!(
        written(|writer| writer.put_string_and(&"ab".repeat(50).into(), 99, ())).unwrap_err().count,
        100
    );
}

#[test]
fn a_value_is_decoded_over_another() {
    let texts = ["", "short", "20 bytes go in place", "what is longer is kept elsewhere"];
    for old in texts {
        for new in texts {
            // Nothing behind the string, or enough that a copy of constant length takes it along.
            for behind in [0, 40] {
                let bytes = written(|writer| {
                    writer.put_uint(1);
                    writer.put_string(&new.into(), 100)?;
                    writer.put_raw(&vec![b'?'; behind]);
                    Ok(())
                });
                let bytes = Bytes::from(bytes.unwrap());
                let mut optional = Some(Text::from(old));
                let mut reader = Reader::new(&bytes);
                reader.optional_string_into(&mut optional, 100).unwrap();
                assert_eq!((optional, reader.remaining()), (Some(new.into()), behind));

                let mut text = Text::from(old);
                let mut reader = Reader::new(&bytes);
                reader.uint().unwrap();
                reader.string_into(&mut text, 100).unwrap();
                assert_eq!((text, reader.remaining()), (new.into(), behind));
            }
        }
        let mut optional = Some(Text::from(old));
        read(&[0; 4], |reader| reader.optional_string_into(&mut optional, 100)).unwrap();
        assert_eq!(optional, None);
    }
    let mut number = Some(2);
    read(&[0, 0, 0, 1, 0, 0, 0, 3], |reader| number.decode_into(reader)).unwrap();
    assert_eq!(number, Some(3));
    read(&[0; 4], |reader| number.decode_into(reader)).unwrap();
    assert_eq!(number, None);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        int in any::<i32>(), uint in any::<u32>(), hyper in any::<i64>(), uhyper in any::<u64>(),
        short in any::<i16>(), ushort in any::<u16>(), char in any::<i8>(), uchar in any::<u8>(),
        bits in any::<u64>(), string in vec(any::<u8>(), 0..70), opaque in vec(any::<u8>(), 0..10),
        chars in vec(any::<u8>(), 0..10), array in vec(any::<u16>(), 0..10), optional in any::<Option<u64>>(),
    ) {
        let text = Text::from(string);
        let bytes = written(|writer| {
            writer.put_int(int);
            writer.put_uint(uint);
            writer.put_hyper(hyper);
            writer.put_uhyper(uhyper);
            writer.put_short(short);
            writer.put_ushort(ushort);
            writer.put_char(char);
            writer.put_uchar(uchar);
            writer.put_double(f64::from_bits(bits));
            writer.put_string(&text, 100)?;
            writer.put_optional_string(Some(&text), 100)?;
            writer.put_optional_string(None, 100)?;
            writer.put_opaque(&opaque, 100)?;
            writer.put_chars(&chars, 100)?;
            writer.put_elements(&array, 100)?;
            optional.encode(writer)
        }).unwrap();
        prop_assert_eq!(bytes.len() % 4, 0);
        let bytes = Bytes::from(bytes);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.int().unwrap(), int);
        prop_assert_eq!(reader.uint().unwrap(), uint);
        prop_assert_eq!(reader.hyper().unwrap(), hyper);
        prop_assert_eq!(reader.uhyper().unwrap(), uhyper);
        prop_assert_eq!(reader.short().unwrap(), short);
        prop_assert_eq!(reader.ushort().unwrap(), ushort);
        prop_assert_eq!(reader.char().unwrap(), char);
        prop_assert_eq!(reader.uchar().unwrap(), uchar);
        prop_assert_eq!(reader.double().unwrap().to_bits(), bits);
        prop_assert_eq!(&reader.string(100).unwrap(), &text);
        prop_assert_eq!(reader.optional_string(100).unwrap(), Some(text));
        prop_assert_eq!(reader.optional_string(100).unwrap(), None);
        prop_assert_eq!(reader.opaque(100).unwrap(), opaque);
        prop_assert_eq!(reader.chars(100).unwrap(), chars);
        prop_assert_eq!(reader.elements::<u16>(100).unwrap(), array);
        prop_assert_eq!(Option::<u64>::decode(&mut reader).unwrap(), optional);
        prop_assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn whatever_is_read_nothing_breaks(bytes in vec(any::<u8>(), 0..100), calls in vec(0..14_u8, 0..30)) {
        let len = bytes.len();
        let bytes = Bytes::from(bytes);
        let mut reader = Reader::new(&bytes);
        for call in calls {
            let before = reader.position();
            let failed = match call {
                0 => reader.int().is_err(),
                1 => reader.hyper().is_err(),
                2 => reader.string(u32::MAX).is_err(),
                3 => reader.opaque(u32::MAX).is_err(),
                4 => reader.chars(u32::MAX).is_err(),
                5 => reader.elements::<u8>(u32::MAX).is_err(),
                6 => reader.strings(u32::MAX, u32::MAX).is_err(),
                7 => reader.fixed_chars::<3>().is_err(),
                8 => reader.fixed_opaque::<8>().is_err(),
                9 => reader.optional_string(5).is_err(),
                10 => reader.elements::<Option<i64>>(9).is_err(),
                11 => Option::<i32>::decode(&mut reader).is_err(),
                12 => reader.short().is_err(),
                _ => reader.double().is_err(),
            };
            prop_assert!(reader.position() >= before && reader.position() <= len);
            prop_assert_eq!(reader.position() + reader.remaining(), len);
            if !failed {
                prop_assert!(reader.position() > before);
            }
        }
    }
}
