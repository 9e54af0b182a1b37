//! DIGEST-MD5 (RFC 2831): both sides prove that they know the password, and what follows can be sealed.

mod challenge;
mod layer;
#[cfg(test)]
mod tests;

use super::{Mechanism, MechanismError, Setting, hex, nonce};
use crate::transport::Privacy;
use challenge::Challenge;
use layer::{Layer, MAX_BUFFER, Protection, Way};
use md5::{Digest, Md5};
use std::mem;
use virtwire_proto::connection::SecurityLayer;
use zeroize::Zeroizing;

/// How often the nonce was used, in the answer's notation: once.
const COUNT: &str = "00000001";

pub(super) struct DigestMd5 {
    name: String,
    password: Zeroizing<String>,
    realm: Option<String>,
    act_as: Option<String>,
    /// The service that the answer is for.
    uri: String,
    privacy: Privacy,
    nonce: String,
    state: State,
}

enum State {
    /// The daemon's challenge is to come.
    Before,
    /// The password was proved; the daemon is to prove that it knows it too.
    Proved {
        expected: String,
        layer: Option<Layer>,
    },
    Done {
        layer: Option<Layer>,
    },
    Failed,
}

impl DigestMd5 {
    pub(super) fn new(setting: &Setting<'_>) -> Result<Self, MechanismError> {
        Ok(Self::with_nonce(setting, &format!("libvirt/{}", setting.host), nonce()?))
    }

    fn with_nonce(setting: &Setting<'_>, uri: &str, nonce: String) -> Self {
        let (name, password) = setting.credentials.pair();
        Self {
            name: name.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            realm: setting.credentials.realm_name().map(str::to_owned),
            act_as: setting.credentials.authorization().map(str::to_owned),
            uri: uri.to_owned(),
            privacy: setting.privacy,
            nonce,
            state: State::Before,
        }
    }

    fn prove(&mut self, challenge: &[u8]) -> Result<Vec<u8>, MechanismError> {
        let challenge = Challenge::read(challenge)?;
        let quality = Quality::choose(&challenge, self.privacy)?;
        let realm = self.realm.as_deref().or(challenge.realms.first().map(String::as_str));
        let text = |what, text| Encoded::new(what, text, challenge.utf8);
        let name = text("the user name", &self.name)?;
        let password = text("the password", &self.password)?;
        let realm_text = text("the realm", realm.unwrap_or_default())?;
        let Challenge { nonce, .. } = &challenge;
        let cnonce = &self.nonce;

        let user = Zeroizing::new(hash(&[&name.hashed, b":", &realm_text.hashed, b":", &password.hashed]));
        let act_as = self.act_as.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
        let secret = hash(&[&*user, format!(":{nonce}:{cnonce}{act_as}").as_bytes()]);
        let secret = Zeroizing::new(secret);
        let tail = if quality.protection.is_some() { ":00000000000000000000000000000000" } else { "" };
        let response = |method: &str| {
            let uri = hex(&hash(&[format!("{method}:{}{tail}", self.uri).as_bytes()]));
            let key = hex(&*secret);
            hex(&hash(&[format!("{key}:{nonce}:{COUNT}:{cnonce}:{}:{uri}", quality.name).as_bytes()]))
        };

        let mut answer = Vec::new();
        let mut put = |part: &[u8]| answer.extend_from_slice(part);
        if challenge.utf8 {
            put(b"charset=utf-8,");
        }
        put(b"username=");
        put(&quoted(&name.sent));
        if realm.is_some() {
            put(b",realm=");
            put(&quoted(&realm_text.sent));
        }
        put(b",nonce=");
        put(&quoted(nonce.as_bytes()));
        put(format!(",nc={COUNT},cnonce=\"{cnonce}\"").as_bytes());
        put(b",digest-uri=");
        put(&quoted(self.uri.as_bytes()));
        put(format!(",response={},qop={}", response("AUTHENTICATE"), quality.name).as_bytes());
        if quality.protection.is_some() {
            put(format!(",maxbuf={MAX_BUFFER}").as_bytes());
        }
        if let Some(cipher) = quality.cipher {
            put(format!(",cipher={cipher}").as_bytes());
        }
        if let Some(act_as) = &self.act_as {
            put(b",authzid=");
            put(&quoted(act_as.as_bytes()));
        }
        let layer = quality
            .protection
            .map(|protection| Layer::new(&secret, protection, Way::ToServer, challenge.max_buffer));
        self.state = State::Proved { expected: response(""), layer };
        Ok(answer)
    }
}

impl Mechanism for DigestMd5 {
    fn step(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, MechanismError> {
        match mem::replace(&mut self.state, State::Failed) {
            State::Before => self.prove(challenge).map(Some),
            State::Proved { expected, layer } => {
                if challenge::response_auth(challenge)? != expected {
                    return Err(MechanismError::new(
                        "the daemon does not prove that it knows the password: is it the right one?",
                    ));
                }
                self.state = State::Done { layer };
                Ok(None)
            }
            State::Done { .. } | State::Failed => Err(MechanismError::one_more()),
        }
    }

    fn done(&self) -> bool {
        matches!(self.state, State::Done { .. })
    }

    fn layer(&mut self) -> Option<Box<dyn SecurityLayer>> {
        match &mut self.state {
            State::Done { layer } => layer.take().map(|layer| Box::new(layer) as Box<dyn SecurityLayer>),
            _ => None,
        }
    }
}

/// How well what follows is protected (the directive qop).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quality {
    name: &'static str,
    cipher: Option<&'static str>,
    protection: Option<Protection>,
}

impl Quality {
    const NOTHING: Self = Self { name: "auth", cipher: None, protection: None };
    const INTEGRITY: Self = Self { name: "auth-int", cipher: None, protection: Some(Protection::Integrity) };
    const RC4: Self = Self::rc4("rc4", 16);
    /// The weakest that libvirt takes on plain TCP.
    const RC4_56: Self = Self::rc4("rc4-56", 7);

    const fn rc4(cipher: &'static str, key_len: usize) -> Self {
        Self { name: "auth-conf", cipher: Some(cipher), protection: Some(Protection::Rc4 { key_len }) }
    }

    /// As libvirt's client: a layer where nothing else hides the bytes, else none.
    fn choose(challenge: &Challenge, privacy: Privacy) -> Result<Self, MechanismError> {
        let wanted: &[Self] = match privacy {
            Privacy::Public => &[Self::RC4, Self::RC4_56],
            Privacy::Unknown => &[Self::RC4, Self::RC4_56, Self::INTEGRITY, Self::NOTHING],
            Privacy::Private => &[Self::NOTHING, Self::INTEGRITY, Self::RC4, Self::RC4_56],
        };
        let has = |list: &[String], name: &str| list.iter().any(|item| item == name);
        let offered = |quality: &&Self| {
            has(&challenge.qualities, quality.name)
                && quality.cipher.is_none_or(|cipher| has(&challenge.ciphers, cipher))
        };
        wanted.iter().find(offered).copied().ok_or_else(|| {
            let names: Vec<_> = wanted.iter().map(|quality| quality.cipher.unwrap_or(quality.name)).collect();
            MechanismError::new(format!(
                "no protection in common: the daemon offers {} with the ciphers {}, here there is {}",
                list(&challenge.qualities),
                list(&challenge.ciphers),
                names.join(", ")
            ))
        })
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// A text as it is sent, and as it is hashed.
struct Encoded {
    sent: Zeroizing<Vec<u8>>,
    hashed: Zeroizing<Vec<u8>>,
}

impl Encoded {
    /// What fits into ISO 8859-1 is hashed so, and sent so where the daemon has not asked for UTF-8.
    fn new(what: &str, text: &str, utf8: bool) -> Result<Self, MechanismError> {
        let narrow: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        match narrow {
            Some(narrow) => {
                let sent = if utf8 { text.as_bytes().to_vec() } else { narrow.clone() };
                Ok(Self { sent: Zeroizing::new(sent), hashed: Zeroizing::new(narrow) })
            }
            None if utf8 => {
                let bytes = Zeroizing::new(text.as_bytes().to_vec());
                Ok(Self { sent: bytes.clone(), hashed: bytes })
            }
            None => Err(MechanismError::new(format!(
                "{what} has a character that ISO 8859-1 has not, and the daemon takes no UTF-8"
            ))),
        }
    }
}

fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(part));
    md5.finalize().into()
}
