//! Which mechanism it is to be: the best that the daemon offers, the transport allows and the credentials serve.

use super::anonymous::Anonymous;
use super::cram_md5::CramMd5;
use super::digest_md5::DigestMd5;
use super::external::External;
use super::plain::Plain;
use super::scram::{Hash, Scram};
use super::{Credentials, Mechanism, MechanismError, Setting};
use crate::transport::Privacy;

/// A mechanism that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scram(Hash),
    DigestMd5,
    CramMd5,
    Plain,
    External,
    Anonymous,
}

/// All that are here, the best first. Those that need no password come last: who gives one means it.
const KINDS: [(&str, Kind); 8] = [
    ("SCRAM-SHA-512", Kind::Scram(Hash::Sha512)),
    ("SCRAM-SHA-256", Kind::Scram(Hash::Sha256)),
    ("SCRAM-SHA-1", Kind::Scram(Hash::Sha1)),
    ("DIGEST-MD5", Kind::DigestMd5),
    ("CRAM-MD5", Kind::CramMd5),
    ("PLAIN", Kind::Plain),
    ("EXTERNAL", Kind::External),
    ("ANONYMOUS", Kind::Anonymous),
];

/// What a mechanism takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) enum Needs {
    Nothing,
    NameAndPassword,
}

/// The mechanisms that could be taken, the best first; at least one.
#[derive(Debug)]
pub(in crate::auth) struct Candidates(Vec<(&'static str, Kind)>);

impl Candidates {
    /// Those of `offered` that are here, that `wanted` (the URI) leaves, and that hide enough on the transport.
    pub(in crate::auth) fn new(
        offered: &str,
        wanted: Option<&str>,
        privacy: Privacy,
    ) -> Result<Self, MechanismError> {
        let offered_names = || offered.split([',', ' ']).filter(|name| !name.is_empty());
        let offers = |name: &str| offered_names().any(|offered| offered.eq_ignore_ascii_case(name));
        let says = || match offered_names().collect::<Vec<_>>() {
            names if names.is_empty() => "the daemon offers none".to_owned(),
            names => format!("the daemon offers {}", names.join(", ")),
        };
        if let Some(wanted) = wanted {
            if !KINDS.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted)) {
                return Err(MechanismError::new(format!(
                    "the URI asks for {wanted}, here there are {}",
                    all()
                )));
            }
            if !offers(wanted) {
                return Err(MechanismError::new(format!("the URI asks for {wanted}, {}", says())));
            }
        }
        let mut candidates = KINDS.to_vec();
        candidates.retain(|(name, _)| {
            offers(name) && wanted.is_none_or(|wanted| name.eq_ignore_ascii_case(wanted))
        });
        if candidates.is_empty() {
            return Err(MechanismError::new(format!(
                "no mechanism in common: {}, here there are {}",
                says(),
                all()
            )));
        }
        candidates.retain(|(_, kind)| kind.fits(privacy, wanted.is_some()));
        if candidates.is_empty() {
            return Err(MechanismError::new(match privacy {
                Privacy::Public => format!(
                    "no mechanism that encrypts: {}; without TLS only DIGEST-MD5 hides what follows",
                    says()
                ),
                _ => format!(
                    "{}; it takes auth=sasl.PLAIN to send a password over a stream that may not hide it",
                    says()
                ),
            }));
        }
        Ok(Self(candidates))
    }

    pub(in crate::auth) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    /// What the best of them takes.
    pub(in crate::auth) fn needs(&self) -> Needs {
        self.0.first().map_or(Needs::Nothing, |(_, kind)| kind.needs())
    }

    /// The best that the credentials serve; none where they serve none.
    pub(in crate::auth) fn choose(&self, credentials: &Credentials) -> Option<Choice> {
        let served = |kind: &Kind| kind.needs() == Needs::Nothing || credentials.is_pair();
        self.0.iter().find(|(_, kind)| served(kind)).map(|&(name, kind)| Choice { name, kind })
    }
}

fn all() -> String {
    KINDS.map(|(name, _)| name).join(", ")
}

impl Kind {
    fn needs(self) -> Needs {
        match self {
            Self::External | Self::Anonymous => Needs::Nothing,
            _ => Needs::NameAndPassword,
        }
    }

    fn fits(self, privacy: Privacy, named: bool) -> bool {
        match privacy {
            Privacy::Public => self == Self::DigestMd5,
            Privacy::Unknown => self != Self::Plain || named,
            Privacy::Private => true,
        }
    }
}

/// The mechanism that it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::auth) struct Choice {
    pub(in crate::auth) name: &'static str,
    kind: Kind,
}

impl Choice {
    pub(in crate::auth) fn begin(self, setting: &Setting<'_>) -> Result<Box<dyn Mechanism>, MechanismError> {
        Ok(match self.kind {
            Kind::Scram(hash) => Box::new(Scram::new(hash, setting)?),
            Kind::DigestMd5 => Box::new(DigestMd5::new(setting)?),
            Kind::CramMd5 => Box::new(CramMd5::new(setting)?),
            Kind::Plain => Box::new(Plain::new(setting)?),
            Kind::External => Box::new(External::new(setting)),
            Kind::Anonymous => Box::new(Anonymous::new(setting)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "GSSAPI,ANONYMOUS,PLAIN,CRAM-MD5,DIGEST-MD5,SCRAM-SHA-1,SCRAM-SHA-256,EXTERNAL,LOGIN";

    fn chosen(
        offered: &str,
        wanted: Option<&str>,
        privacy: Privacy,
        credentials: &Credentials,
    ) -> Option<&'static str> {
        Some(Candidates::new(offered, wanted, privacy).unwrap().choose(credentials)?.name)
    }

    #[test]
    fn the_best_is_taken_that_there_is_a_password_for() {
        let (fred, nobody) = (Credentials::new("fred", "secret"), Credentials::default());
        let private = |offered, credentials| chosen(offered, None, Privacy::Private, credentials);
        assert_eq!(private(ALL, &fred), Some("SCRAM-SHA-256"));
        assert_eq!(private(ALL, &nobody), Some("EXTERNAL"));
        assert_eq!(private("ANONYMOUS PLAIN", &fred), Some("PLAIN"));
        assert_eq!(private("ANONYMOUS PLAIN", &nobody), Some("ANONYMOUS"));
        assert_eq!(private("plain", &nobody), None);
        assert_eq!(private(ALL, &Credentials::from_password("secret")), Some("EXTERNAL"));
    }

    #[test]
    fn a_transport_that_hides_nothing_takes_a_layer() {
        let fred = Credentials::new("fred", "secret");
        assert_eq!(chosen(ALL, None, Privacy::Public, &fred), Some("DIGEST-MD5"));
        for (offered, wanted) in
            [("SCRAM-SHA-256,PLAIN", None), (ALL, Some("PLAIN")), (ALL, Some("ANONYMOUS"))]
        {
            let error = Candidates::new(offered, wanted, Privacy::Public).unwrap_err().to_string();
            assert!(error.contains("only DIGEST-MD5 hides"), "{error}");
        }
    }

    #[test]
    fn a_password_goes_plain_over_an_unknown_stream_only_when_told_to() {
        let fred = Credentials::new("fred", "secret");
        assert_eq!(chosen("PLAIN,CRAM-MD5", None, Privacy::Unknown, &fred), Some("CRAM-MD5"));
        assert_eq!(chosen("PLAIN,CRAM-MD5", Some("PLAIN"), Privacy::Unknown, &fred), Some("PLAIN"));
        let error = Candidates::new("PLAIN", None, Privacy::Unknown).unwrap_err().to_string();
        assert!(error.contains("auth=sasl.PLAIN"), "{error}");
    }

    #[test]
    fn the_uri_names_one() {
        let fred = Credentials::new("fred", "secret");
        assert_eq!(chosen(ALL, Some("cram-md5"), Privacy::Private, &fred), Some("CRAM-MD5"));
        for (wanted, reason) in [
            ("SCRAM-SHA-512", "the URI asks for SCRAM-SHA-512, the daemon offers GSSAPI, ANONYMOUS"),
            ("GSSAPI", "the URI asks for GSSAPI, here there are SCRAM-SHA-512"),
        ] {
            let error = Candidates::new(ALL, Some(wanted), Privacy::Private).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn what_is_offered_and_what_is_here_is_said_where_nothing_is_in_common() {
        for (offered, reason) in [
            ("GSSAPI,NTLM", "the daemon offers GSSAPI, NTLM, here there are SCRAM"),
            ("", "the daemon offers none"),
        ] {
            let error = Candidates::new(offered, None, Privacy::Private).unwrap_err().to_string();
            assert!(error.starts_with("no mechanism in common: ") && error.contains(reason), "{error}");
        }
    }
}
