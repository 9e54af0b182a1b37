//! What every libvirt server answers alike: opening, closing, features, read-only connections.

use super::admin::{self, AdminService};
use super::remote::{self as typed, RemoteService};
use super::{Reply, Request, ServiceFuture};
use crate::client::Client;
use crate::connection::Opened;
use crate::error::{Error, Result};
use std::future::ready;
use std::sync::Arc;
use virtwire_proto::enums::{DriverFeature, ErrorNumber};
use virtwire_proto::flags::ConnectFlags;
use virtwire_proto::program::remote::{
    ConnectCloseArgs, ConnectOpenArgs, ConnectRegisterCloseCallbackArgs, ConnectSupportsFeatureArgs,
    ConnectSupportsFeatureRet, ConnectUnregisterCloseCallbackArgs,
};
use virtwire_proto::program::{Call, admin as admin_program};

/// What this server does whatever the service is.
const FEATURES: [DriverFeature; 3] =
    [DriverFeature::FD_PASSING, DriverFeature::REMOTE_EVENT_CALLBACK, DriverFeature::REMOTE_CLOSE_CALLBACK];

/// Answers a call of the program remote, or hands it to the service.
pub(super) fn remote<S: RemoteService>(service: Arc<S>, client: Client, request: Request) -> ServiceFuture {
    let procedure = request.procedure;
    if procedure == ConnectSupportsFeatureArgs::PROCEDURE {
        Box::pin(supports_feature(service, client, request))
    } else if procedure == ConnectOpenArgs::PROCEDURE {
        Box::pin(open(service, client, request))
    } else if procedure == ConnectCloseArgs::PROCEDURE {
        close(&client)
    } else if procedure == ConnectRegisterCloseCallbackArgs::PROCEDURE {
        close_callback(&client, true)
    } else if procedure == ConnectUnregisterCloseCallbackArgs::PROCEDURE {
        close_callback(&client, false)
    } else {
        gated(client, request, |client, request| typed::dispatch(service, client, request))
    }
}

/// Hands a call to a service where the connection is open and the operation allowed on it.
pub(super) fn gated(
    client: Client,
    request: Request,
    dispatch: impl FnOnce(Client, Request) -> ServiceFuture,
) -> ServiceFuture {
    let refused = match opened(&client) {
        Ok(()) if request.procedure.writes && client.read_only() => Error::read_only(request.procedure),
        Ok(()) => return dispatch(client, request),
        Err(error) => error,
    };
    Box::pin(ready(Err(refused)))
}

/// Answers a call of the program admin, or hands it to the service.
pub(super) fn admin<S: AdminService>(service: Arc<S>, client: Client, request: Request) -> ServiceFuture {
    if request.procedure == admin_program::ConnectCloseArgs::PROCEDURE {
        close(&client)
    } else {
        admin::dispatch(service, client, request)
    }
}

fn opened(client: &Client) -> Result<()> {
    match client.shared.lock().opened {
        Opened::Yes => Ok(()),
        _ => Err(Error::internal("hypervisor connection not open")),
    }
}

async fn supports_feature<S: RemoteService>(
    service: Arc<S>,
    client: Client,
    request: Request,
) -> Result<Reply> {
    let args = request.args::<ConnectSupportsFeatureArgs>()?;
    if args.feature == DriverFeature::PROGRAM_KEEPALIVE.0 {
        client.start_keepalive();
        return Reply::new(&ConnectSupportsFeatureRet { supported: 1 });
    }
    opened(&client)?;
    if FEATURES.contains(&DriverFeature(args.feature)) {
        return Reply::new(&ConnectSupportsFeatureRet { supported: 1 });
    }
    match service.connect_supports_feature(&client, args).await {
        // A driver that cannot be asked has none of them.
        Err(error) if error.message().code == ErrorNumber::NO_SUPPORT.0 => {
            Reply::new(&ConnectSupportsFeatureRet { supported: 0 })
        }
        result => Reply::new(&result?),
    }
}

async fn open<S: RemoteService>(service: Arc<S>, client: Client, request: Request) -> Result<Reply> {
    let mut args = request.args::<ConnectOpenArgs>()?;
    let attempt = Attempt::begin(&client)?;
    if client.peer().read_only {
        args.flags |= ConnectFlags::RO.bits();
    }
    let read_only = ConnectFlags::from_bits_retain(args.flags).contains(ConnectFlags::RO);
    service.connect_open(&client, args).await?;
    attempt.succeed(read_only);
    Reply::new(&())
}

/// An attempt to open the connection, of which there is one at a time. Dropped, it has failed.
struct Attempt<'a> {
    client: &'a Client,
    outcome: Opened,
}

impl<'a> Attempt<'a> {
    fn begin(client: &'a Client) -> Result<Self> {
        let mut state = client.shared.lock();
        if state.opened != Opened::No {
            return Err(Error::internal("connection already open"));
        }
        state.opened = Opened::Opening;
        drop(state);
        Ok(Self { client, outcome: Opened::No })
    }

    fn succeed(mut self, read_only: bool) {
        self.outcome = Opened::Yes;
        self.client.shared.lock().read_only = read_only;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.client.shared.lock().opened = self.outcome;
    }
}

fn close(client: &Client) -> ServiceFuture {
    client.finish();
    Box::pin(ready(Reply::new(&())))
}

/// As with libvirt's drivers that never lose what they manage, either may be asked for at any time.
fn close_callback(client: &Client, register: bool) -> ServiceFuture {
    let result = opened(client).and_then(|()| {
        client.shared.lock().close_callback = register;
        Reply::new(&())
    });
    Box::pin(ready(result))
}
