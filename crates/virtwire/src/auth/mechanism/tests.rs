//! Mechanisms word by word, as their standards show them; and what they make of anything else.

use super::scram::{Hash, Scram};
use super::*;
use crate::transport::Privacy;
use proptest::prelude::*;

fn setting(credentials: &Credentials) -> Setting<'_> {
    Setting { credentials, host: "host.example.com", privacy: Privacy::Private }
}

fn begin(name: &str, credentials: &Credentials, privacy: Privacy) -> Box<dyn Mechanism> {
    let candidates = Candidates::new(name, Some(name), privacy).unwrap();
    let choice = candidates.choose(credentials).unwrap();
    choice.begin(&Setting { privacy, ..setting(credentials) }).map_err(|error| panic!("{error}")).unwrap()
}

fn say(answer: Result<Option<Vec<u8>>, MechanismError>) -> String {
    String::from_utf8(answer.unwrap().expect("an answer")).unwrap()
}

fn scram(hash: Hash, nonce: &str) -> Scram {
    let credentials = Credentials::new("user", "pencil");
    Scram::with_nonce(hash, &setting(&credentials), nonce.to_owned())
        .map_err(|error| panic!("{error}"))
        .unwrap()
}

/// RFC 5802, 5, and RFC 7677, 3. The last has no standard's example: Python's hashlib has computed it.
#[test]
fn scram_as_the_standards_show_it() {
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    for (hash, nonce, challenge, answer, proof) in [
        (
            Hash::Sha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (
            Hash::Sha256,
            NONCE,
            CHALLENGE,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
        (Hash::Sha512, NONCE, CHALLENGE, SHA_512.0, SHA_512.1),
    ] {
        let mut scram = scram(hash, nonce);
        assert_eq!(say(scram.start()), format!("n,,n=user,r={nonce}"));
        assert_eq!(say(scram.step(challenge.as_bytes())), answer);
        assert!(!scram.done(), "the daemon has proved nothing");
        assert_eq!(scram.step(proof.as_bytes()), Ok(None));
        assert!(scram.done() && scram.layer().is_none());
        assert_eq!(scram.step(b""), Err(MechanismError::one_more()));
    }
}

const SHA_512: (&str, &str) = (
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
     p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
    "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
);

#[test]
fn scram_names_are_prepared_and_escaped() {
    let credentials = Credentials::new("a=b,\u{2168}", "x").act_as("=,");
    let mut scram =
        Scram::with_nonce(Hash::Sha1, &setting(&credentials), "n".into()).map_err(|_| ()).unwrap();
    assert_eq!(say(scram.start()), "n,a==3D=2C,n=a=3Db=2CIX,r=n");
    // The header is what is signed again.
    let answer = say(scram.step(b"r=nm,s=QSXC,i=1"));
    assert!(answer.starts_with("c=bixhPT0zRD0yQyw=,r=nm,p="), "{answer}");

    for (name, password, reason) in [
        ("fred", "bad\u{7}", "the password has a character that SASL allows in none"),
        ("bad\u{7}", "secret", "the user name \"bad\\u{7}\" cannot be sent"),
        ("", "secret", "the user name is empty"),
        ("fred", "", "the password is empty"),
        ("fred", "\u{ad}", "the password is empty"),
    ] {
        let credentials = Credentials::new(name, password);
        let error = Scram::new(Hash::Sha1, &setting(&credentials)).map(drop).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn scram_says_what_is_wrong_with_a_challenge() {
    for (challenge, reason) in [
        ("", "expected r= and a nonce"),
        ("m=new,r=nm,s=QSXC,i=1", "expected r= and a nonce"),
        ("r=n,s=QSXC,i=1", "not ours with the daemon's behind it"),
        ("r=other,s=QSXC,i=1", "not ours with the daemon's behind it"),
        ("r=nm,i=1", "expected s= and a salt"),
        ("r=nm,s=,i=1", "the salt is no base64"),
        ("r=nm,s=?,i=1", "the salt is no base64"),
        ("r=nm,s=QSXC", "expected i= and a count"),
        ("r=nm,s=QSXC,i=0", "not from 1 to 2 million"),
        ("r=nm,s=QSXC,i=2000001", "not from 1 to 2 million"),
        ("r=nm,s=QSXC,i=-1", "not from 1 to 2 million"),
    ] {
        let mut scram = scram(Hash::Sha256, "n");
        scram.start().unwrap();
        let error = scram.step(challenge.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{challenge:?}: {error}");
        assert!(!scram.done());
    }
    let mut scram = scram(Hash::Sha256, "n");
    scram.start().unwrap();
    assert!(scram.step(b"r=\xff").unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn scram_takes_no_daemon_that_does_not_prove_itself() {
    for (proof, reason) in [
        ("v=rmF9pqV8S7suAoZWja4dJRkFsKA=", "does not prove that it knows the password"),
        ("v=", "does not prove that it knows the password"),
        ("v=?", "expected the daemon's proof"),
        ("", "expected the daemon's proof"),
        ("e=invalid-proof,more", "the daemon refuses: \"invalid-proof\""),
    ] {
        let mut scram = scram(Hash::Sha1, "fyko+d2lbbFgONRv9qkxdawL");
        scram.start().unwrap();
        scram.step(b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096").unwrap();
        let error = scram.step(proof.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{proof:?}: {error}");
        assert!(!scram.done());
    }
}

/// RFC 2195, 2.
#[test]
fn cram_md5_as_the_standard_shows_it() {
    let credentials = Credentials::new("tim", "tanstaaftanstaaf");
    let mut mechanism = begin("CRAM-MD5", &credentials, Privacy::Private);
    assert_eq!(mechanism.start(), Ok(None));
    let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
    assert_eq!(say(mechanism.step(challenge)), "tim b913a602c7eda7a495b4e6e7334d3890");
    assert!(mechanism.done());
    assert_eq!(mechanism.step(challenge), Err(MechanismError::one_more()));
    let empty = begin("CRAM-MD5", &credentials, Privacy::Private).step(b"").unwrap_err();
    assert_eq!(empty.to_string(), "the daemon's challenge is empty");
}

/// RFC 4616, 4.
#[test]
fn plain_as_the_standard_shows_it() {
    for (credentials, message) in [
        (Credentials::new("tim", "tanstaaftanstaaf"), "\0tim\0tanstaaftanstaaf"),
        (Credentials::new("Kurt", "xipj3plmq").act_as("Ursel"), "Ursel\0Kurt\0xipj3plmq"),
        (Credentials::new("Kurt", "xipj3plmq").act_as("Kurt"), "\0Kurt\0xipj3plmq"),
    ] {
        let mut mechanism = begin("PLAIN", &credentials, Privacy::Private);
        assert!(!mechanism.done());
        assert_eq!(say(mechanism.start()), message);
        assert!(mechanism.done());
        assert_eq!(mechanism.step(b""), Err(MechanismError::one_more()));
    }
}

#[test]
fn external_and_anonymous_say_who_without_a_proof() {
    let mut external = begin("EXTERNAL", &Credentials::default().act_as("fred"), Privacy::Private);
    assert_eq!(say(external.start()), "fred");
    let mut external = begin("EXTERNAL", &Credentials::default(), Privacy::Private);
    assert_eq!(
        (say(external.start()), say(external.step(b"")), external.done()),
        (String::new(), String::new(), true)
    );
    assert_eq!(external.step(b""), Err(MechanismError::one_more()));

    let mut anonymous = begin("ANONYMOUS", &Credentials::default(), Privacy::Private);
    assert_eq!((say(anonymous.start()), anonymous.done()), ("anonymous".to_owned(), true));
    assert_eq!(anonymous.step(b""), Err(MechanismError::one_more()));
    let mut anonymous = begin("ANONYMOUS", &Credentials::default().user("é".repeat(300)), Privacy::Private);
    assert_eq!(say(anonymous.start()), "é".repeat(255));
}

/// A challenge of anything: bytes, or pieces of real ones in any order.
fn challenge() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "r=",
        "s=",
        "i=",
        "v=",
        "e=",
        "m=",
        "n",
        "NONCE",
        "QSXC",
        "4096",
        "4294967296",
        ",",
        "=",
        "\"",
        "\\",
        " ",
        "realm",
        "nonce=\"x\"",
        "qop=\"auth,auth-int,auth-conf\"",
        "algorithm=md5-sess",
        "charset=utf-8",
        "cipher=\"rc4\"",
        "maxbuf=",
        "65536",
        "17",
        "rspauth=",
        "\u{e9}",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn no_challenge_makes_a_mechanism_panic_or_done_without_a_proof(
        challenges in prop::collection::vec(challenge(), 1..5),
        name in prop::sample::select(vec![
            "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "DIGEST-MD5", "CRAM-MD5", "PLAIN", "EXTERNAL", "ANONYMOUS",
        ]),
        privacy in prop::sample::select(vec![Privacy::Public, Privacy::Unknown, Privacy::Private]),
    ) {
        let privacy = if name == "DIGEST-MD5" { privacy } else { Privacy::Private };
        let mut mechanism = begin(name, &Credentials::new("fred", "secret"), privacy);
        let mut failed = mechanism.start().is_err();
        for challenge in &challenges {
            // What is asked after a failure fails.
            let answer = mechanism.step(challenge);
            prop_assert!(!failed || answer.is_err());
            failed = answer.is_err();
        }
        if name.starts_with("SCRAM") || name == "DIGEST-MD5" {
            prop_assert!(!mechanism.done());
        }
    }
}
