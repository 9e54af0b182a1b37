//! What is said before a connection is open: who is there, features, the hypervisor's URI.

use super::CallOptions;
use crate::Result;
use crate::auth::Admission;
use crate::driver::Shared;
use crate::trace;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;
use virtwire_proto::connection::Keepalive;
use virtwire_proto::enums::DriverFeature;
use virtwire_proto::flags::ConnectFlags;
use virtwire_proto::program::Call;
use virtwire_proto::program::remote;
use virtwire_proto::xdr::Text;

/// What is to be opened.
#[derive(Debug)]
pub(super) struct Opening {
    /// The hypervisor's URI; empty where the daemon chooses.
    pub(super) name: Text,
    /// The URI that it was asked for by.
    pub(super) uri: Text,
    pub(super) read_only: bool,
    pub(super) admission: Admission,
    pub(super) keepalive: Option<Keepalive>,
    pub(super) call_timeout: Option<Duration>,
}

/// What is known of an open connection.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) uri: Text,
    /// Whether events carry callback identifiers.
    pub(crate) event_callback: bool,
    /// Whether the daemon was asked to tell when its own connection ends.
    pub(crate) close_callback: bool,
    /// Whether the daemon takes NETWORK_UPDATE's command before its section, once it was asked.
    pub(crate) network_update_order: OnceLock<bool>,
}

impl Opening {
    pub(super) async fn speak(&self, shared: &Shared) -> Result<Opened> {
        self.admission.authenticate(shared, self.call_timeout).await?;
        trace::authenticated();

        let open = remote::ConnectOpenArgs {
            name: Some(self.name.clone()),
            flags: if self.read_only { ConnectFlags::RO.bits() } else { 0 },
        };
        // The daemon answers for this feature before anything is open, so both can go at once.
        let keepalive = async {
            match self.keepalive {
                Some(settings) if self.supports(shared, DriverFeature::PROGRAM_KEEPALIVE).await? => {
                    shared.start_keepalive(settings)
                }
                _ => {}
            }
            Ok(())
        };
        both(keepalive, self.call(shared, &open)).await?;

        let uri = async {
            if self.name.is_empty() {
                Ok(self.call(shared, &remote::ConnectGetUriArgs).await?.uri)
            } else {
                Ok(self.uri.clone())
            }
        };
        let features = both(
            self.supports(shared, DriverFeature::REMOTE_EVENT_CALLBACK),
            self.supports(shared, DriverFeature::REMOTE_CLOSE_CALLBACK),
        );
        let (uri, (event_callback, mut close_callback)) = both(uri, features).await?;
        if close_callback {
            match self.call(shared, &remote::ConnectRegisterCloseCallbackArgs).await {
                Ok(()) => {}
                // The daemon has it, its driver has not.
                Err(error) if error.is_unsupported() => close_callback = false,
                Err(error) => return Err(error),
            }
        }
        Ok(Opened { uri, event_callback, close_callback, network_update_order: OnceLock::new() })
    }

    async fn supports(&self, shared: &Shared, feature: DriverFeature) -> Result<bool> {
        match self.call(shared, &remote::ConnectSupportsFeatureArgs { feature: feature.0 }).await {
            Ok(reply) => Ok(reply.supported != 0),
            Err(error) if error.is_unsupported() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn call<C: Call>(&self, shared: &Shared, args: &C) -> Result<C::Ret> {
        call(shared, args, self.call_timeout).await
    }
}

/// Calls what opens a connection: ahead of the calls that wait until it is open.
pub(crate) async fn call<C: Call>(shared: &Shared, args: &C, timeout: Option<Duration>) -> Result<C::Ret> {
    let options = CallOptions { timeout, ahead: true, ..Default::default() };
    Ok(shared.call_typed(args, options).await?.0)
}

/// Both results, of what runs at once; the first failure as soon as it is there.
async fn both<A, B>(
    a: impl Future<Output = Result<A>>,
    b: impl Future<Output = Result<B>>,
) -> Result<(A, B)> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut got_a, mut got_b) = (None, None);
    poll_fn(move |cx| {
        if got_a.is_none()
            && let Poll::Ready(result) = a.as_mut().poll(cx)
        {
            got_a = Some(result?);
        }
        if got_b.is_none()
            && let Poll::Ready(result) = b.as_mut().poll(cx)
        {
            got_b = Some(result?);
        }
        match (got_a.take(), got_b.take()) {
            (Some(a), Some(b)) => Poll::Ready(Ok((a, b))),
            (a, b) => {
                (got_a, got_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}
