//! What the daemon says in DIGEST-MD5: directives, `name=value` with commas between them (RFC 2831, 7.1).

use super::MechanismError;

/// How much a daemon takes in one sealed packet unless it says otherwise.
const DEFAULT_MAX_BUFFER: u32 = 65_536;

/// The daemon's challenge.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) realms: Vec<String>,
    pub(super) nonce: String,
    pub(super) qualities: Vec<String>,
    pub(super) ciphers: Vec<String>,
    pub(super) max_buffer: u32,
    pub(super) utf8: bool,
}

impl Challenge {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, MechanismError> {
        let mut realms = Vec::new();
        let (mut nonce, mut algorithm, mut qualities, mut ciphers) = (None, None, None, None);
        let (mut max_buffer, mut charset) = (None, None);
        for (name, value) in directives(bytes)? {
            let slot = match &*name {
                "realm" => {
                    realms.push(value);
                    continue;
                }
                "nonce" => &mut nonce,
                "algorithm" => &mut algorithm,
                "qop" => &mut qualities,
                "cipher" => &mut ciphers,
                "maxbuf" => &mut max_buffer,
                "charset" => &mut charset,
                // stale, and whatever comes to be.
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(MechanismError::new(format!("the daemon's challenge has {name} twice")));
            }
        }
        if algorithm.as_deref() != Some("md5-sess") {
            return Err(MechanismError::new(format!("expected the algorithm md5-sess, got {algorithm:?}")));
        }
        let nonce = nonce
            .filter(|nonce| !nonce.is_empty())
            .ok_or_else(|| MechanismError::new("the daemon's challenge has no nonce"))?;
        let max_buffer = match max_buffer {
            None => DEFAULT_MAX_BUFFER,
            Some(text) => {
                text.parse().ok().filter(|size| (17..1 << 24).contains(size)).ok_or_else(|| {
                    MechanismError::new(format!("maxbuf is {text:?}, not from 17 to 16777215"))
                })?
            }
        };
        let utf8 = match charset.as_deref() {
            None => false,
            Some("utf-8") => true,
            Some(other) => {
                return Err(MechanismError::new(format!("the character set is {other:?}, not utf-8")));
            }
        };
        let qualities = qualities.map_or_else(|| vec!["auth".to_owned()], |list| words(&list));
        Ok(Self {
            realms,
            nonce,
            qualities,
            ciphers: ciphers.map_or_else(Vec::new, |list| words(&list)),
            max_buffer,
            utf8,
        })
    }
}

/// The daemon's proof, out of its last word.
pub(super) fn response_auth(bytes: &[u8]) -> Result<String, MechanismError> {
    directives(bytes)?
        .into_iter()
        .find_map(|(name, value)| (name == "rspauth").then_some(value))
        .ok_or_else(|| MechanismError::new("expected the daemon's proof, rspauth=…, and it is not there"))
}

fn words(list: &str) -> Vec<String> {
    list.split([',', ' ', '\t']).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
}

/// All directives, names in lower case, values without their quotes.
fn directives(bytes: &[u8]) -> Result<Vec<(String, String)>, MechanismError> {
    let wrong = |what: &str, rest: &str| {
        let rest: String = rest.chars().take(40).collect();
        MechanismError::new(format!("the daemon's challenge is malformed: expected {what} at {rest:?}"))
    };
    // Without charset=utf-8 it would be ISO 8859-1; what counts in it is ASCII.
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    };
    let blank: &[char] = &[' ', '\t', '\r', '\n'];
    let mut rest = text.trim_start_matches(blank);
    let mut directives = Vec::new();
    while !rest.is_empty() {
        // Elements may be empty.
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start_matches(blank);
            continue;
        }
        let (name, value) = rest.split_once('=').ok_or_else(|| wrong("name=value", rest))?;
        let name = name.trim_end_matches(blank);
        if name.is_empty() || !name.chars().all(is_token) {
            return Err(wrong("a name", rest));
        }
        let value = value.trim_start_matches(blank);
        let (value, after) = if let Some(quoted) = value.strip_prefix('"') {
            unquote(quoted).ok_or_else(|| wrong("a closing quote", value))?
        } else {
            let end = value.find(|c| !is_token(c)).unwrap_or(value.len());
            if end == 0 {
                return Err(wrong("a value", value));
            }
            (value[..end].to_owned(), &value[end..])
        };
        directives.push((name.to_ascii_lowercase(), value));
        rest = after.trim_start_matches(blank);
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(wrong("a comma", rest));
        }
    }
    Ok(directives)
}

/// What stands before the closing quote, and what behind it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            char => value.push(char),
        }
    }
    None
}

fn is_token(c: char) -> bool {
    c.is_ascii_graphic() && !r#"()<>@,;:\"/[]?={}"#.contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_with_its_quotes_and_blanks() {
        let text = "realm=\"one\" , realm = \"tw\\\"o\",,nonce=\"n\\\\,=\", qop=\"auth, AUTH-CONF\",\r\n maxbuf=17,\
                    charset=utf-8,algorithm=md5-sess,cipher=\"rc4,3des\",stale=true";
        let challenge = Challenge::read(text.as_bytes()).unwrap();
        assert_eq!(
            challenge,
            Challenge {
                realms: vec!["one".into(), "tw\"o".into()],
                nonce: "n\\,=".into(),
                qualities: vec!["auth".into(), "auth-conf".into()],
                ciphers: vec!["rc4".into(), "3des".into()],
                max_buffer: 17,
                utf8: true,
            }
        );
        let least = Challenge::read(b"nonce=a,algorithm=md5-sess").unwrap();
        assert_eq!((&*least.qualities[0], least.max_buffer, least.utf8), ("auth", 65_536, false));
    }

    #[test]
    fn what_is_wrong_with_a_challenge_is_said() {
        for (text, reason) in [
            ("", "expected the algorithm md5-sess, got None"),
            ("nonce=a,algorithm=md5", "expected the algorithm md5-sess, got Some(\"md5\")"),
            ("algorithm=md5-sess", "no nonce"),
            ("nonce=\"\",algorithm=md5-sess", "no nonce"),
            ("nonce=a,nonce=b,algorithm=md5-sess", "nonce twice"),
            ("nonce=\"a,algorithm=md5-sess", "a closing quote"),
            ("nonce=\"a\\", "a closing quote"),
            ("nonce", "name=value"),
            ("=a", "a name"),
            ("nonce=,a=b", "a value"),
            ("nonce=a b=c", "a comma"),
            ("nonce=a,algorithm=md5-sess,maxbuf=16", "maxbuf is \"16\""),
            ("nonce=a,algorithm=md5-sess,maxbuf=16777216", "maxbuf is \"16777216\""),
            ("nonce=a,algorithm=md5-sess,maxbuf=-1", "maxbuf is \"-1\""),
            ("nonce=a,algorithm=md5-sess,charset=koi8-r", "\"koi8-r\", not utf-8"),
        ] {
            let error = Challenge::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
