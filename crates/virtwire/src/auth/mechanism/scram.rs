//! SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and neither says it. Without channel
//! binding, which libvirt does not have.

use super::{BASE64, Mechanism, MechanismError, Setting, nonce, prepare};
use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use std::mem;
use zeroize::Zeroizing;

/// How often the daemon may have the password hashed: more would be minutes of work for one short challenge.
const MAX_ITERATIONS: u32 = 2_000_000;

/// The hash that the mechanism's name ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

pub(super) struct Scram {
    hash: Hash,
    /// Whom to act as, as the first message begins with it.
    header: String,
    name: String,
    password: Zeroizing<String>,
    nonce: String,
    state: State,
}

enum State {
    /// Nothing was said.
    Before,
    /// The name and a nonce were said.
    Named,
    /// The password was proved; the daemon is to prove that it knows it too.
    Proved {
        server_key: Zeroizing<Vec<u8>>,
        messages: String,
    },
    Done,
    Failed,
}

impl Scram {
    pub(super) fn new(hash: Hash, setting: &Setting<'_>) -> Result<Self, MechanismError> {
        Self::with_nonce(hash, setting, nonce()?)
    }

    pub(super) fn with_nonce(
        hash: Hash,
        setting: &Setting<'_>,
        nonce: String,
    ) -> Result<Self, MechanismError> {
        let (name, password) = setting.credentials.pair();
        let header = match setting.credentials.authorization() {
            Some(act_as) => format!("n,a={},", escaped(act_as)),
            None => "n,,".to_owned(),
        };
        Ok(Self {
            hash,
            header,
            name: escaped(&prepare::name(name)?),
            password: prepare::password(password)?,
            nonce,
            state: State::Before,
        })
    }

    fn first(&mut self) -> Vec<u8> {
        self.state = State::Named;
        format!("{}{}", self.header, self.first_bare()).into_bytes()
    }

    /// The first message without its header, as it is signed.
    fn first_bare(&self) -> String {
        format!("n={},r={}", self.name, self.nonce)
    }

    /// Proves the password, by what the daemon's first message asks.
    fn prove(&mut self, challenge: &str) -> Result<Vec<u8>, MechanismError> {
        let Challenge { nonce, salt, iterations } = Challenge::read(challenge, &self.nonce)?;
        let hash = self.hash;
        let salted = hash.stretch(self.password.as_bytes(), &salt, iterations);
        let client_key = hash.mac(&salted, b"Client Key");
        let server_key = hash.mac(&salted, b"Server Key");
        let last = format!("c={},r={nonce}", BASE64.encode(&self.header));
        let messages = format!("{},{challenge},{last}", self.first_bare());
        let signature = hash.mac(&hash.digest(&client_key), messages.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature.iter()).map(|(key, sign)| key ^ sign).collect();
        self.state = State::Proved { server_key, messages };
        Ok(format!("{last},p={}", BASE64.encode(proof)).into_bytes())
    }

    /// Sees whether the daemon has proved itself.
    fn verify(&self, word: &str, server_key: &[u8], messages: &str) -> Result<(), MechanismError> {
        if let Some(error) = word.strip_prefix("e=") {
            let error = error.split(',').next().unwrap_or_default();
            return Err(MechanismError::new(format!("the daemon refuses: {error:?}")));
        }
        let proof = word
            .strip_prefix("v=")
            .and_then(|rest| BASE64.decode(rest.split(',').next().unwrap_or_default()).ok())
            .ok_or_else(|| MechanismError::new(format!("expected the daemon's proof, v=…, got {word:?}")))?;
        if !self.hash.verify(server_key, messages.as_bytes(), &proof) {
            return Err(MechanismError::new(
                "the daemon does not prove that it knows the password: is it the right one?",
            ));
        }
        Ok(())
    }
}

impl Mechanism for Scram {
    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        Ok(Some(self.first()))
    }

    fn step(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, MechanismError> {
        let challenge = std::str::from_utf8(challenge)
            .map_err(|_| MechanismError::new("the daemon's challenge is not UTF-8"))?;
        match mem::replace(&mut self.state, State::Failed) {
            State::Before => Ok(Some(self.first())),
            State::Named => self.prove(challenge).map(Some),
            State::Proved { server_key, messages } => {
                self.verify(challenge, &server_key, &messages)?;
                self.state = State::Done;
                Ok(None)
            }
            State::Done | State::Failed => Err(MechanismError::one_more()),
        }
    }

    fn done(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

/// The daemon's first message.
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> Challenge<'a> {
    /// `r=nonce,s=salt,i=iterations`, and extensions, which may be skipped.
    fn read(text: &'a str, ours: &str) -> Result<Self, MechanismError> {
        let wrong = |what: &str| MechanismError::new(format!("{what} in the daemon's challenge {text:?}"));
        let mut parts = text.split(',');
        let mut part = |name: &str, what: &str| {
            parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(|| wrong(what))
        };
        // An m= in front is an extension that may not be skipped.
        let nonce = part("r=", "expected r= and a nonce")?;
        if !nonce.starts_with(ours) || nonce.len() == ours.len() {
            return Err(wrong("the nonce is not ours with the daemon's behind it"));
        }
        let salt = part("s=", "expected s= and a salt")?;
        let salt = BASE64.decode(salt).ok().filter(|salt| !salt.is_empty());
        let salt = salt.ok_or_else(|| wrong("the salt is no base64"))?;
        let iterations = part("i=", "expected i= and a count")?;
        let iterations = iterations
            .parse()
            .ok()
            .filter(|count| (1..=MAX_ITERATIONS).contains(count))
            .ok_or_else(|| wrong("a count of iterations that is not from 1 to 2 million"))?;
        Ok(Self { nonce, salt, iterations })
    }
}

/// A name as the messages have it: `,` and `=` have meanings of their own there.
fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Runs `$body` with `$H` as the hash's type.
macro_rules! with_hash {
    ($hash:expr, $H:ident => $body:expr) => {
        match $hash {
            Hash::Sha1 => {
                type $H = Sha1;
                $body
            }
            Hash::Sha256 => {
                type $H = Sha256;
                $body
            }
            Hash::Sha512 => {
                type $H = Sha512;
                $body
            }
        }
    };
}

impl Hash {
    fn digest(self, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        with_hash!(self, H => Zeroizing::new(H::digest(bytes).to_vec()))
    }

    fn mac(self, key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
        with_hash!(self, H => Zeroizing::new(keyed::<Hmac<H>>(key, message).finalize().into_bytes().to_vec()))
    }

    fn verify(self, key: &[u8], message: &[u8], mac: &[u8]) -> bool {
        with_hash!(self, H => keyed::<Hmac<H>>(key, message).verify_slice(mac).is_ok())
    }

    fn stretch(self, password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        with_hash!(self, H => {
            let mut stretched = Zeroizing::new(vec![0; <H as Digest>::output_size()]);
            pbkdf2::pbkdf2_hmac::<H>(password, salt, iterations, &mut stretched);
            stretched
        })
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac
}
