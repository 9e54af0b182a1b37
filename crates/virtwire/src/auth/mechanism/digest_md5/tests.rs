//! DIGEST-MD5 as its standard shows it, and its layer between two ends.

use super::layer::OVERHEAD;
use super::*;
use crate::auth::credentials::Credentials;
use bytes::{BufMut, BytesMut};
use virtwire_proto::connection::SecurityError;

fn mechanism(credentials: &Credentials, uri: &str, nonce: &str, privacy: Privacy) -> DigestMd5 {
    DigestMd5::with_nonce(&Setting { credentials, host: "unused", privacy }, uri, nonce.into())
}

/// RFC 2831, 4.
#[test]
fn the_standards_examples() {
    let chris = Credentials::new("chris", "secret");
    for (uri, nonce, cnonce, response, proof) in [
        (
            "imap/elwood.innosoft.com",
            "OA6MG9tEQGm2hh",
            "OA6MHXh6VqTrRk",
            "d388dad90d4bbd760a152321f2143af7",
            "ea40f60335c427b5527b84dbabcdfffd",
        ),
        (
            "acap/elwood.innosoft.com",
            "OA9BSXrbuRhWay",
            "OA9BSuZWMSpW8m",
            "6084c6db3fede7352c551284490fd0fc",
            "2f0b3d7c3c2e486600ef710726aa2eae",
        ),
    ] {
        let mut mechanism = mechanism(&chris, uri, cnonce, Privacy::Private);
        assert_eq!(mechanism.start(), Ok(None));
        let challenge = format!(
            "realm=\"elwood.innosoft.com\",nonce=\"{nonce}\",qop=\"auth\",algorithm=md5-sess,charset=utf-8"
        );
        let answer = mechanism.step(challenge.as_bytes()).unwrap().unwrap();
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            format!(
                "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"{nonce}\",nc=00000001,\
                 cnonce=\"{cnonce}\",digest-uri=\"{uri}\",response={response},qop=auth"
            )
        );
        assert!(!mechanism.done(), "the daemon has proved nothing");
        assert_eq!(mechanism.step(format!("rspauth={proof}").as_bytes()), Ok(None));
        assert!(mechanism.done() && mechanism.layer().is_none());
        assert_eq!(mechanism.step(b""), Err(MechanismError::one_more()));
    }
}

#[test]
fn a_daemon_that_proves_nothing_is_refused() {
    for (proof, reason) in [
        ("rspauth=ea40f60335c427b5527b84dbabcdfff0", "does not prove that it knows the password"),
        ("rspauth=\"\"", "does not prove"),
        ("", "rspauth=…, and it is not there"),
        ("rspauth", "name=value"),
    ] {
        let chris = Credentials::new("chris", "secret");
        let mut mechanism = mechanism(&chris, "imap/elwood.innosoft.com", "OA6MHXh6VqTrRk", Privacy::Private);
        mechanism.step(b"realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",algorithm=md5-sess").unwrap();
        let error = mechanism.step(proof.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{proof:?}: {error}");
        assert!(!mechanism.done() && mechanism.layer().is_none());
    }
}

fn answer(credentials: &Credentials, challenge: &str, privacy: Privacy) -> Result<String, MechanismError> {
    let mut mechanism = mechanism(credentials, "libvirt/h", "c", privacy);
    mechanism.step(challenge.as_bytes()).map(|answer| answer.unwrap().into_iter().map(char::from).collect())
}

#[test]
fn protection_is_what_the_transport_lacks() {
    let fred = Credentials::new("fred", "secret");
    let all =
        "nonce=n,algorithm=md5-sess,qop=\"auth,auth-int,auth-conf\",cipher=\"rc4-40,rc4-56,rc4,des,3des\"";
    for (privacy, expected) in [
        (Privacy::Private, "qop=auth"),
        (Privacy::Public, "qop=auth-conf,maxbuf=65536,cipher=rc4"),
        (Privacy::Unknown, "qop=auth-conf,maxbuf=65536,cipher=rc4"),
    ] {
        let answer = answer(&fred, all, privacy).unwrap();
        assert!(answer.ends_with(expected), "{privacy:?}: {answer}");
    }
    let weak = "nonce=n,algorithm=md5-sess,qop=\"auth-conf\",cipher=\"rc4-40,rc4-56\"";
    assert!(answer(&fred, weak, Privacy::Public).unwrap().ends_with(",cipher=rc4-56"));
    let signed = "nonce=n,algorithm=md5-sess,qop=\"auth,auth-int\"";
    assert!(answer(&fred, signed, Privacy::Unknown).unwrap().ends_with("qop=auth-int,maxbuf=65536"));
    for challenge in
        [signed, "nonce=n,algorithm=md5-sess", "nonce=n,algorithm=md5-sess,qop=auth-conf,cipher=rc4-40"]
    {
        let error = answer(&fred, challenge, Privacy::Public).unwrap_err().to_string();
        assert!(error.starts_with("no protection in common: the daemon offers auth"), "{error}");
    }
}

#[test]
fn realms_names_and_quotes() {
    let challenge = "realm=\"one\",realm=\"two\",nonce=\"n\\\"\",algorithm=md5-sess,charset=utf-8";
    let first = answer(&Credentials::new("fr\"ed", "secret"), challenge, Privacy::Private).unwrap();
    assert!(first.contains(r#"username="fr\"ed",realm="one",nonce="n\"","#), "{first}");
    let own = answer(&Credentials::new("fred", "x").realm("two").act_as("root"), challenge, Privacy::Private)
        .unwrap();
    assert!(own.contains(r#"realm="two""#) && own.ends_with(r#",authzid="root""#), "{own}");
    let none =
        answer(&Credentials::new("fred", "x"), "nonce=n,algorithm=md5-sess", Privacy::Private).unwrap();
    assert!(!none.contains("realm") && !none.contains("charset"), "{none}");
    // Without UTF-8 it is ISO 8859-1, or nothing.
    let narrow =
        answer(&Credentials::new("fr\u{e9}d", "x"), "nonce=n,algorithm=md5-sess", Privacy::Private).unwrap();
    assert!(narrow.starts_with("username=\"fr\u{e9}d\""), "{narrow}");
    let error = answer(&Credentials::new("fred", "\u{20ac}"), "nonce=n,algorithm=md5-sess", Privacy::Private);
    assert!(error.unwrap_err().to_string().starts_with("the password has a character"));
}

const SECRET: [u8; 16] = *b"a secret session";
const RC4: Protection = Protection::Rc4 { key_len: 16 };

fn ends(protection: Protection) -> (Layer, Layer) {
    let layer = |way| Layer::new(&SECRET, protection, way, MAX_BUFFER);
    (layer(Way::ToServer), layer(Way::ToClient))
}

/// Computed by Python's hashlib and hmac, with an RC4 written out.
#[test]
fn sealed_bytes_are_those_of_the_standards_formulas() {
    for (protection, packets) in [
        (
            Protection::Integrity,
            [
                "0000001568656c6c6fcc6d158f34b5bf963db4000100000000",
                "00000015776f726c64491c23a9f4c2bbd12807000100000001",
            ],
        ),
        (
            RC4,
            [
                "00000015be94febc361914944849bcb2379a20000100000000",
                "000000155faa52fae8759ed2942d9a233e41ec000100000001",
            ],
        ),
        (
            Protection::Rc4 { key_len: 7 },
            [
                "00000015bdf62fa4ba0b3fde0fe0482a646dda000100000000",
                "00000015d53560641b5c0bac569758ebfafd13000100000001",
            ],
        ),
    ] {
        let (mut client, mut server) = ends(protection);
        for (plain, packet) in ["hello", "world"].into_iter().zip(packets) {
            let mut sealed = BytesMut::new();
            client.wrap(plain.as_bytes(), &mut sealed).unwrap();
            assert_eq!(hex(&sealed), packet);
            let mut opened = BytesMut::new();
            server.unwrap(&mut sealed, &mut opened).unwrap();
            assert_eq!((&opened[..], sealed.len()), (plain.as_bytes(), 0));
        }
    }
}

#[test]
fn sealed_bytes_come_in_any_pieces() {
    for protection in [Protection::Integrity, RC4] {
        let plain: Vec<u8> = (0..200u8).collect();
        let mut sealed = BytesMut::new();
        ends(protection).0.wrap(&plain, &mut sealed).unwrap();
        let mut client = ends(protection).0;
        let mut sealed = BytesMut::new();
        plain.chunks(90).for_each(|part| client.wrap(part, &mut sealed).unwrap());
        for split in 0..=sealed.len() {
            let mut server = ends(protection).1;
            let (mut bytes, mut opened) = (BytesMut::from(&sealed[..split]), BytesMut::new());
            server.unwrap(&mut bytes, &mut opened).unwrap();
            bytes.extend_from_slice(&sealed[split..]);
            server.unwrap(&mut bytes, &mut opened).unwrap();
            assert_eq!((&opened[..], bytes.len()), (&plain[..], 0), "at {split}");
        }
        let (mut server, mut bytes, mut opened) = (ends(protection).1, BytesMut::new(), BytesMut::new());
        for byte in sealed {
            bytes.put_u8(byte);
            server.unwrap(&mut bytes, &mut opened).unwrap();
        }
        assert_eq!(opened, plain);
    }
}

#[test]
fn a_packet_carries_no_more_than_the_peer_takes() {
    for (takes, carried) in [(17, 1), (100, 84), (65_536, 65_520), (1 << 23, 65_520)] {
        let mut layer = Layer::new(&SECRET, RC4, Way::ToServer, takes);
        let mut sealed = BytesMut::new();
        let plain = vec![7; carried * 3 + usize::from(carried > 1)];
        layer.wrap(&plain, &mut sealed).unwrap();
        let mut lengths = Vec::new();
        let mut rest = &sealed[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
            assert!(length <= usize::try_from(takes).unwrap());
            lengths.push(length - OVERHEAD);
            rest = &after[length..];
        }
        assert_eq!(lengths[..3], [carried; 3]);
        assert_eq!(lengths.iter().sum::<usize>(), plain.len());
    }
}

#[test]
fn what_was_not_sealed_by_the_peer_is_refused() {
    let sealed = |edit: &dyn Fn(&mut BytesMut)| {
        let (mut client, mut server) = ends(RC4);
        let mut sealed = BytesMut::new();
        client.wrap(b"hello", &mut sealed).unwrap();
        edit(&mut sealed);
        server.unwrap(&mut sealed, &mut BytesMut::new()).map_err(|SecurityError(text)| text)
    };
    assert_eq!(sealed(&|_| {}), Ok(()));
    for at in 4..4 + 15 {
        let error = sealed(&|bytes| bytes[at] ^= 1).unwrap_err();
        assert_eq!(error, "the sealed packet 0 is not what was sealed: its MAC differs");
    }
    assert_eq!(sealed(&|bytes| bytes[20] ^= 2).unwrap_err(), "a sealed packet of version 3, expected 1");
    assert_eq!(sealed(&|bytes| bytes[24] ^= 1).unwrap_err(), "the sealed packet 1, expected 0");
    assert_eq!(
        sealed(&|bytes| bytes[3] = 15).unwrap_err(),
        "a sealed packet of 15 bytes, expected 16 at least"
    );
    assert_eq!(
        sealed(&|bytes| bytes[1] = 1).unwrap_err(),
        "a sealed packet of 65557 bytes, expected 65536 at most"
    );
    // Sent twice.
    let error = sealed(&|bytes| bytes.extend_from_within(..)).unwrap_err();
    assert_eq!(error, "the sealed packet 0, expected 1");
    // What is merely announced waits.
    assert_eq!(sealed(&|bytes| bytes[..4].copy_from_slice(&65_536u32.to_be_bytes())), Ok(()));
}
