//! How a connection is let in: by nothing, by polkit, or by SASL.

#[cfg(feature = "sasl")]
mod auth_conf;
#[cfg(feature = "sasl")]
mod credentials;
#[cfg(feature = "sasl")]
mod mechanism;
#[cfg(feature = "sasl")]
mod sasl;

#[cfg(feature = "sasl")]
pub(crate) use credentials::Source;
#[cfg(feature = "sasl")]
pub use credentials::{CredentialError, CredentialRequest, Credentials};
#[cfg(feature = "sasl")]
pub(crate) use sasl::Settings;

use crate::connection::call_opening;
use crate::driver::Shared;
use crate::{Error, Result};
use std::time::Duration;
use virtwire_proto::program::Call;
use virtwire_proto::program::remote::{self, AuthType};
use virtwire_proto::uri::AuthMethod;

/// What a connection is let in by. One serves any number of connections, one after the other.
#[derive(Debug)]
pub(crate) struct Admission {
    /// The way that the URI asks for.
    wanted: Option<AuthType>,
    #[cfg(feature = "sasl")]
    sasl: Settings,
}

impl Admission {
    pub(crate) fn new(
        method: Option<AuthMethod<'_>>,
        #[cfg(feature = "sasl")] sasl: Settings,
    ) -> Result<Self> {
        let wanted = match &method {
            None => None,
            Some(AuthMethod::Sasl { .. }) => Some(AuthType::SASL),
            Some(AuthMethod::Polkit) => Some(AuthType::POLKIT),
            Some(other) => return Err(Error::Authentication(format!("{other:?} is not supported"))),
        };
        Ok(Self {
            wanted,
            #[cfg(feature = "sasl")]
            sasl,
        })
    }

    /// Does what the daemon asks for before it answers anything else.
    pub(crate) async fn authenticate(&self, shared: &Shared, call_timeout: Option<Duration>) -> Result<()> {
        let caller = Caller { shared, timeout: call_timeout };
        let offered = caller.call(&remote::AuthListArgs).await?.types;
        let chosen = match self.wanted {
            Some(wanted) if offered.contains(&wanted) => wanted,
            Some(wanted) => {
                return Err(Error::Authentication(format!("the daemon does not offer {}", name(wanted))));
            }
            None => *offered
                .first()
                .ok_or_else(|| Error::Authentication("the daemon offers no way to authenticate".into()))?,
        };
        match chosen {
            AuthType::NONE => Ok(()),
            AuthType::POLKIT => caller.call(&remote::AuthPolkitArgs).await.map(drop).map_err(refused),
            #[cfg(feature = "sasl")]
            AuthType::SASL => self.sasl.authenticate(&caller).await,
            #[cfg(not(feature = "sasl"))]
            AuthType::SASL => {
                Err(Error::Authentication("the daemon asks for SASL, which takes the feature sasl".into()))
            }
            other => Err(Error::Authentication(format!("the daemon asks for the unknown way {other}"))),
        }
    }
}

/// Who makes the calls of the opening.
struct Caller<'a> {
    shared: &'a Shared,
    timeout: Option<Duration>,
}

impl Caller<'_> {
    async fn call<C: Call>(&self, args: &C) -> Result<C::Ret> {
        call_opening(self.shared, args, self.timeout).await
    }
}

fn name(auth: AuthType) -> &'static str {
    match auth {
        AuthType::SASL => "SASL",
        AuthType::POLKIT => "polkit",
        _ => "this way",
    }
}

/// An authentication that libvirt refused.
fn refused(error: Error) -> Error {
    match error {
        Error::Libvirt(error) => Error::Authentication(error.to_string()),
        other => other,
    }
}
