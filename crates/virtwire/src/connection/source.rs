//! Where a connection comes from: all that it takes to open it, and another one like it.

use super::opening::{self, Opened, Opening};
use super::reconnect::{Current, Reopener};
use super::{Builder, Connection, Core};
use crate::driver::{Boxed, Shared};
use crate::trace;
use crate::transport::Transport;
use crate::{Error, Result};
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, OnceLock};
use virtwire_proto::connection::{ClientConfig, CloseReason};
use virtwire_proto::program::admin;
use virtwire_proto::uri::Uri;
use virtwire_proto::xdr::Text;

/// A connection's settings, and how its transports are made.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) builder: Builder,
    /// `None` where the daemon is to choose.
    pub(super) uri: Option<Uri>,
    pub(super) way: Way,
    pub(super) role: Role,
}

/// How a transport is made.
pub(super) enum Way {
    /// As the URI says.
    Uri,
    /// By a function of the caller's.
    Connector(Connector),
    /// The caller has made it, and nobody can make another.
    Once,
}

pub(super) type Connector = Box<dyn Fn() -> Boxed<'static, io::Result<Arc<dyn Transport>>> + Send + Sync>;

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uri => "Uri",
            Self::Connector(_) => "Connector",
            Self::Once => "Once",
        })
    }
}

/// What is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A hypervisor's driver.
    Hypervisor,
    /// The daemon's administration.
    Admin,
}

impl Source {
    pub(super) async fn open(self) -> Result<Connection> {
        Self::open_shared(Arc::new(self), None).await
    }

    /// Opens it: for the first time, or one more for this URI.
    pub(super) async fn open_shared(self: Arc<Self>, again: Option<&Text>) -> Result<Connection> {
        let opening = async {
            let transport = self.connect().await?;
            Self::start(&self, transport, again).await
        };
        let opened = self.builder.limited(opening).await;
        self.trace(&opened);
        opened
    }

    /// Opens it on a transport that the caller has made.
    pub(super) async fn open_on(self, transport: Arc<dyn Transport>) -> Result<Connection> {
        if self.builder.reconnect.is_some() {
            return Err(unrepeatable());
        }
        let source = Arc::new(self);
        let opened = source.builder.limited(Self::start(&source, transport, None)).await;
        source.trace(&opened);
        opened
    }

    fn trace(&self, opened: &Result<Connection>) {
        match opened {
            Ok(connection) => trace::opened(connection.uri()),
            Err(error) => trace::not_opened(&self.builder.uri, error),
        }
    }

    /// Makes a transport.
    pub(super) async fn connect(&self) -> Result<Arc<dyn Transport>> {
        match (&self.way, self.role, &self.uri) {
            (Way::Once, ..) => Err(unrepeatable()),
            (Way::Connector(connect), ..) => connect()
                .await
                .map_err(|source| Error::Connect { to: "what the caller connects".into(), source }),
            (Way::Uri, Role::Hypervisor, uri) => self.builder.connect(uri.as_ref()).await,
            (Way::Uri, Role::Admin, Some(uri)) => self.builder.connect_admin(uri).await,
            (Way::Uri, Role::Admin, None) => Err(self.builder.invalid(&"it names no daemon")),
        }
    }

    async fn start(
        source: &Arc<Self>,
        transport: Arc<dyn Transport>,
        again: Option<&Text>,
    ) -> Result<Connection> {
        let builder = &source.builder;
        let mut config = ClientConfig::default();
        config.max_calls_in_flight = builder.max_calls_in_flight;
        let connects_to = transport.connects_to().map(ToOwned::to_owned);
        let mut guard = Guard(Some(Shared::start(transport, config, builder.stream_bounds)));
        let Some(shared) = guard.0.as_ref() else { unreachable!("it was put there") };
        let opened = match (source.speak(shared, again).await, connects_to) {
            (Err(Error::Closed { reason: CloseReason::Transport(text), .. }), Some(to)) => {
                return Err(Error::Connect { to, source: io::Error::other(text) });
            }
            (opened, _) => opened?,
        };
        let uri = opened.uri.clone();
        let current = Arc::new(Current::new(opened));
        if let Some(settings) = &builder.reconnect {
            let reopener =
                Reopener::new(Arc::clone(source), uri.clone(), Arc::clone(&current), settings.clone());
            if !shared.outlast_links(Arc::new(reopener)) {
                let reason = shared.close_reason().unwrap_or(CloseReason::Peer);
                return Err(Error::Closed { procedure: None, reason });
            }
        }
        let Some(shared) = guard.0.take() else { unreachable!("it was put there") };
        Ok(Connection::new(Core { shared, uri, current, source: Arc::clone(source) }))
    }

    /// Says what is said before a connection is open: for the first time, or again for this URI.
    pub(super) async fn speak(&self, shared: &Shared, again: Option<&Text>) -> Result<Opened> {
        let builder = &self.builder;
        let uri = self.uri.as_ref();
        if self.role == Role::Admin {
            let args = admin::ConnectOpenArgs { flags: 0 };
            opening::call(shared, &args, builder.call_timeout).await?;
            return Ok(Opened {
                uri: uri.map_or_else(|| Text::from(&*builder.uri), |uri| Text::from(uri.to_string())),
                event_callback: false,
                close_callback: false,
                network_update_order: OnceLock::new(),
            });
        }
        let mut name = uri.map_or_else(Text::default, Uri::open_name);
        // What the daemon has chosen once stays chosen.
        if let Some(again) = again.filter(|_| name.is_empty()) {
            name = again.clone();
        }
        let asked = || uri.map_or_else(Text::default, |uri| Text::from(uri.to_string()));
        let opening = Opening {
            name,
            uri: again.cloned().unwrap_or_else(asked),
            read_only: builder.read_only,
            admission: builder.admission(uri, shared.privacy())?,
            keepalive: builder.keepalive,
            call_timeout: builder.call_timeout,
        };
        opening.speak(shared).await
    }
}

/// Closes what was not opened, also where the opening is given up.
struct Guard(Option<Arc<Shared>>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.close(CloseReason::Local);
        }
    }
}

fn unrepeatable() -> Error {
    let reason = "it cannot be made again: Builder::open_with and Builder::open_with_unix take what makes it";
    let source = io::Error::new(ErrorKind::InvalidInput, reason);
    Error::Connect { to: "what the caller has connected".into(), source }
}
