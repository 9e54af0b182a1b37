//! SASL over libvirt's procedures: the mechanisms are asked for, one is started, and steps follow until both sides
//! have said all.

use super::auth_conf::{Found, Places};
use super::credentials::{CredentialRequest, Credentials, Source};
use super::mechanism::{Candidates, Choice, Mechanism, MechanismError, Needs, Setting};
use super::{Caller, refused};
use crate::transport::Privacy;
use crate::{Error, Result};
use bytes::Bytes;
use std::path::PathBuf;
use virtwire_proto::connection::SecurityLayer;
use virtwire_proto::program::remote;
use virtwire_proto::uri::Uri;

/// How often a daemon may go on: no mechanism takes half of it.
const MOST_STEPS: usize = 16;

/// What SASL goes by.
#[derive(Debug)]
pub(crate) struct Settings {
    source: Source,
    /// The mechanism that the URI names.
    mechanism: Option<String>,
    host: String,
    user: Option<String>,
    auth_file: Option<PathBuf>,
    privacy: Privacy,
}

impl Settings {
    /// `mechanism` is the one that the URI names.
    pub(crate) fn new(uri: Option<&Uri>, mechanism: Option<&str>, source: Source, privacy: Privacy) -> Self {
        let host = uri.and_then(Uri::host).filter(|host| !host.is_empty()).unwrap_or("localhost");
        Self {
            source,
            mechanism: mechanism.map(str::to_owned),
            host: host.to_owned(),
            user: uri.and_then(Uri::user).filter(|user| !user.is_empty()).map(str::to_owned),
            auth_file: uri.and_then(auth_file),
            privacy,
        }
    }

    pub(super) async fn authenticate(&self, caller: &Caller<'_>) -> Result<()> {
        let offered = caller.call(&remote::AuthSaslInitArgs).await.map_err(refused)?.mechlist;
        let candidates = Candidates::new(&offered.to_string_lossy(), self.mechanism.as_deref(), self.privacy)
            .map_err(|error| Error::Authentication(format!("SASL: {error}")))?;
        let (credentials, origin) = self.credentials(&candidates).await?;
        let Some(choice) = candidates.choose(&credentials) else {
            let why = match origin {
                Origin::Nobody => String::new(),
                Origin::Program => format!("the program gives {}", credentials.lack()),
                Origin::File(path) => format!("{} gives {}", path.display(), credentials.lack()),
                Origin::Nowhere { why } => why,
            };
            let names = candidates.names().join(" or ");
            return Err(Error::Authentication(format!("{names} takes a user name and a password: {why}")));
        };
        let setting = Setting { credentials: &credentials, host: &self.host, privacy: self.privacy };
        let mechanism = choice.begin(&setting).map_err(|error| failed(choice, &error))?;
        let layer = Exchange { caller, choice, user: credentials.name() }.run(mechanism).await?;
        caller.shared.authenticated(layer);
        Ok(())
    }

    /// The credentials that there are, and where they come from.
    async fn credentials(&self, candidates: &Candidates) -> Result<(Credentials, Origin)> {
        let (credentials, origin) = match &self.source {
            Source::Given(credentials) => (credentials.clone(), Origin::Program),
            // Nobody is troubled for what is not needed.
            _ if candidates.needs() == Needs::Nothing => (Credentials::default(), Origin::Nobody),
            Source::Asked(ask) => {
                let request = CredentialRequest {
                    host: self.host.clone(),
                    user: self.user.clone(),
                    mechanisms: candidates.names(),
                };
                let credentials = ask(request).await.map_err(|error| {
                    Error::Authentication(format!("the program gives no credentials: {error}"))
                })?;
                (credentials, Origin::Program)
            }
            Source::Files => {
                let places = Places::new(self.auth_file.as_deref(), |name| std::env::var_os(name));
                match places.look_up(&self.host).map_err(Error::Authentication)? {
                    Found::Credentials { credentials, path } => (credentials, Origin::File(path)),
                    Found::Nothing { why } => (Credentials::default(), Origin::Nowhere { why }),
                }
            }
        };
        Ok((credentials.or_user(self.user.as_deref()), origin))
    }
}

/// Where credentials come from.
enum Origin {
    /// Nobody was asked.
    Nobody,
    Program,
    File(PathBuf),
    /// There are none.
    Nowhere {
        why: String,
    },
}

/// The file of credentials that a URI names.
fn auth_file(uri: &Uri) -> Option<PathBuf> {
    let path = uri.param("authfile").filter(|path| !path.is_empty())?;
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Some(std::ffi::OsStr::from_bytes(path.as_bytes()).into())
    }
    #[cfg(not(unix))]
    path.to_str().ok().map(PathBuf::from)
}

/// The steps of a mechanism that was chosen.
struct Exchange<'a> {
    caller: &'a Caller<'a>,
    choice: Choice,
    user: Option<&'a str>,
}

/// What the daemon answers to a step.
struct Step {
    complete: bool,
    data: Option<Bytes>,
}

impl Exchange<'_> {
    /// Gives the layer that was negotiated, if one was.
    async fn run(&self, mut mechanism: Box<dyn Mechanism>) -> Result<Option<Box<dyn SecurityLayer>>> {
        let first = mechanism.start().map_err(|error| failed(self.choice, &error))?;
        let mut step = self.start(first).await?;
        for _ in 0..MOST_STEPS {
            // Also a daemon that is content may have something to prove.
            if step.complete && mechanism.done() {
                return Ok(mechanism.layer());
            }
            let answer;
            (mechanism, answer) = self.compute(mechanism, step.data.unwrap_or_default()).await?;
            if step.complete {
                // An answer that nobody waits for has convinced nobody.
                if mechanism.done() && answer.is_none() {
                    return Ok(mechanism.layer());
                }
                let error = "the daemon says that all is done before it is";
                return Err(Error::Authentication(format!("{}: {error}", self.choice.name)));
            }
            step = self.step(answer).await?;
        }
        let error = format!("the daemon still asks after {MOST_STEPS} steps");
        Err(Error::Authentication(format!("{}: {error}", self.choice.name)))
    }

    /// Answers a challenge where it stops nobody else, for hashing a password takes its time.
    async fn compute(
        &self,
        mut mechanism: Box<dyn Mechanism>,
        challenge: Bytes,
    ) -> Result<(Box<dyn Mechanism>, Option<Vec<u8>>)> {
        let computed = tokio::task::spawn_blocking(move || {
            let answer = mechanism.step(&challenge);
            (mechanism, answer)
        });
        match computed.await {
            Ok((mechanism, Ok(answer))) => Ok((mechanism, answer)),
            Ok((_, Err(error))) => Err(failed(self.choice, &error)),
            Err(error) => Err(Error::Authentication(format!("{}: {error}", self.choice.name))),
        }
    }

    async fn start(&self, data: Option<Vec<u8>>) -> Result<Step> {
        let (nil, data) = optional(data);
        let args = remote::AuthSaslStartArgs { mech: self.choice.name.into(), nil, data };
        let ret = self.caller.call(&args).await.map_err(|error| self.refused(error))?;
        Ok(Step { complete: ret.complete != 0, data: (ret.nil == 0).then_some(ret.data) })
    }

    async fn step(&self, data: Option<Vec<u8>>) -> Result<Step> {
        let (nil, data) = optional(data);
        let args = remote::AuthSaslStepArgs { nil, data };
        let ret = self.caller.call(&args).await.map_err(|error| self.refused(error))?;
        Ok(Step { complete: ret.complete != 0, data: (ret.nil == 0).then_some(ret.data) })
    }

    fn refused(&self, error: Error) -> Error {
        match error {
            Error::Libvirt(error) => {
                let who = self.user.map_or_else(|| "this client".to_owned(), |user| format!("{user:?}"));
                Error::Authentication(format!("the daemon refuses {who} by {}: {error}", self.choice.name))
            }
            other => other,
        }
    }
}

/// SASL tells no data from empty data; the wire has a flag for it.
fn optional(data: Option<Vec<u8>>) -> (i32, Bytes) {
    (data.is_none().into(), data.map_or_else(Bytes::new, Bytes::from))
}

fn failed(choice: Choice, error: &MechanismError) -> Error {
    Error::Authentication(format!("{}: {error}", choice.name))
}
