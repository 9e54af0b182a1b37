//! What every libvirt server answers alike: opening, closing, features, read-only connections.

use super::admin::{self, AdminService};
use super::remote::{self as typed, RemoteService};
use super::{Reply, Request, ServiceFuture};
use crate::client::Client;
use crate::connection::Opened;
use crate::error::{Error, Result};
use std::future::ready;
use std::sync::Arc;
use virtwire_proto::program::remote::{
    ConnectCloseArgs, ConnectOpenArgs, ConnectRegisterCloseCallbackArgs, ConnectSupportsFeatureArgs,
    ConnectSupportsFeatureRet, ConnectUnregisterCloseCallbackArgs,
};
use virtwire_proto::program::{Call, admin as admin_program};

/// `VIR_CONNECT_RO`
const READ_ONLY: u32 = 1;

/// `VIR_DRV_FEATURE_FD_PASSING`, `…_REMOTE_EVENT_CALLBACK`, `…_REMOTE_CLOSE_CALLBACK`: what this server does
/// whatever the service is.
const FEATURES: [i32; 3] = [8, 14, 15];
/// `VIR_DRV_FEATURE_PROGRAM_KEEPALIVE`
const KEEPALIVE: i32 = 10;

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
    match opened(&client) {
        Ok(()) => dispatch(client, request),
        Err(error) => Box::pin(ready(Err(error))),
    }
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
    if args.feature == KEEPALIVE {
        client.start_keepalive();
        return Reply::new(&ConnectSupportsFeatureRet { supported: 1 });
    }
    opened(&client)?;
    if FEATURES.contains(&args.feature) {
        return Reply::new(&ConnectSupportsFeatureRet { supported: 1 });
    }
    Reply::new(&service.connect_supports_feature(&client, args).await?)
}

async fn open<S: RemoteService>(service: Arc<S>, client: Client, request: Request) -> Result<Reply> {
    let mut args = request.args::<ConnectOpenArgs>()?;
    let attempt = Attempt::begin(&client)?;
    if client.peer().read_only {
        args.flags |= READ_ONLY;
    }
    let read_only = args.flags & READ_ONLY != 0;
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
