//! The server: listeners in, one task a connection, and an orderly end.

use crate::client::Client;
use crate::connection::{Driver, Shared};
use crate::listener::{Listener, Socket};
use crate::service::Service;
use crate::transport::{Plain, Transport};
use crate::{Config, Peer};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How long accepting rests after an error that the next attempt would meet again (no descriptors left).
const REST: Duration = Duration::from_millis(100);

/// A server of libvirt's protocol.
///
/// It is cheap to clone. When the last clone is dropped its listeners end, while its clients are served until
/// they leave; [`shutdown`](Self::shutdown) ends both.
///
/// Its methods that start something are to be called within a tokio runtime with I/O and time.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

/// Gives the service for a client.
type ServiceFor = Box<dyn Fn(&Peer) -> Arc<dyn Service> + Send + Sync>;

struct Inner {
    service: ServiceFor,
    config: Arc<Config>,
    places: Arc<Semaphore>,
    last_id: AtomicU64,
    /// Every task of the server has a receiver: once there are none, all have ended.
    phase: watch::Sender<Phase>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("config", &self.config).finish_non_exhaustive()
    }
}

/// How far a server is on its way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    /// Calls that are worked on are finished.
    Finishing,
    Ending,
}

impl Server {
    /// A server that offers one service to all clients.
    #[must_use]
    pub fn new(service: Arc<dyn Service>) -> Self {
        Self::per_client(move |_| Arc::clone(&service))
    }

    /// A server that asks for a service for each client: one that keeps what belongs to the client. It is
    /// dropped when the client has gone and its calls have ended.
    #[must_use]
    pub fn per_client(service: impl Fn(&Peer) -> Arc<dyn Service> + Send + Sync + 'static) -> Self {
        Self::build(Box::new(service), Config::default())
    }

    /// The same with these settings. To be called before anything is served.
    #[must_use]
    pub fn with_config(self, config: Config) -> Self {
        match Arc::try_unwrap(self.inner) {
            Ok(inner) => Self::build(inner.service, config),
            // Somebody uses it as it is: what is served from here on has the new settings.
            Err(inner) => Self::build(Box::new(move |peer: &Peer| (inner.service)(peer)), config),
        }
    }

    fn build(service: ServiceFor, config: Config) -> Self {
        let places = Arc::new(Semaphore::new(config.max_clients.clamp(1, Semaphore::MAX_PERMITS)));
        let config = Arc::new(config);
        let phase = watch::Sender::new(Phase::Running);
        Self { inner: Arc::new(Inner { service, config, places, last_id: AtomicU64::new(0), phase }) }
    }

    /// Serves whoever comes to the listener, until the server ends. Where this is called the listener is
    /// already there: clients wait for nothing.
    pub fn listen(&self, listener: Listener) {
        // The task must not keep the server alive, whose end is what ends it.
        let server = Arc::downgrade(&self.inner);
        let places = Arc::clone(&self.inner.places);
        let mut phase = self.inner.phase.subscribe();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    biased;
                    _ = phase.wait_for(|phase| *phase != Phase::Running) => break,
                    accepted = accept(&listener, &places) => accepted,
                };
                let (permit, socket, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(address = %listener.address(), %error, "cannot accept");
                        tokio::time::sleep(REST).await;
                        continue;
                    }
                };
                let Some(inner) = server.upgrade() else { break };
                Self { inner }.spawn(socket, peer, Some(permit));
            }
            tracing::debug!(address = %listener.address(), "listener ended");
        });
    }

    /// Serves a client at the other end of any byte stream. No descriptors travel.
    pub fn serve_stream<S>(&self, stream: S, peer: Peer) -> Client
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.spawn(Box::new(Plain(stream)), peer, None)
    }

    /// Serves a client at the other end of a UNIX socket. Descriptors travel.
    #[cfg(unix)]
    pub fn serve_unix(&self, stream: tokio::net::UnixStream, peer: Peer) -> Client {
        self.spawn(Box::new(stream), peer, None)
    }

    /// A connection to this server within the process: the client's end of a UNIX socket.
    ///
    /// # Errors
    /// No sockets are left.
    #[cfg(unix)]
    pub fn connect(&self) -> io::Result<tokio::net::UnixStream> {
        let (client, server) = tokio::net::UnixStream::pair()?;
        let peer = crate::listener::unix_peer(&server);
        self.serve_unix(server, peer);
        Ok(client)
    }

    fn spawn(
        &self,
        transport: Box<dyn Transport>,
        peer: Peer,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Client {
        let inner = &self.inner;
        let id = inner.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(client = id, %peer, read_only = peer.read_only, "client");
        let service = (inner.service)(&peer);
        let carries = transport.carries_descriptors();
        let programs = service.programs();
        let shared = Arc::new(Shared::new(id, peer, Arc::clone(&inner.config), &programs, carries));
        let client = Client { shared: Arc::clone(&shared), call: None };
        let driver = Driver::new(transport, shared, service);
        let mut phase = inner.phase.subscribe();
        // Who comes while the server is on its way down is told so too.
        phase.mark_changed();
        let told = client.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let mut driver = driver;
            let told = told;
            loop {
                tokio::select! {
                    biased;
                    () = &mut driver => return,
                    // Nobody is left who could shut down: the client stays until it leaves.
                    changed = phase.changed() => if changed.is_err() {
                        return driver.await;
                    },
                }
                match *phase.borrow_and_update() {
                    Phase::Running => {}
                    Phase::Finishing => told.finish(),
                    Phase::Ending => told.disconnect(),
                }
            }
        });
        client
    }

    /// Ends the server: accepts nobody, takes no further calls, waits until those that are worked on are
    /// answered and the answers written, but for `grace` at most, then disconnects everybody. Streams are cut
    /// off where they are. It is done when every task of the server has ended and sockets' files are removed.
    pub async fn shutdown(&self, grace: Duration) {
        let phase = &self.inner.phase;
        let advance = |to: Phase| {
            phase.send_if_modified(|phase| {
                let later = *phase < to;
                if later {
                    *phase = to;
                }
                later
            });
        };
        advance(Phase::Finishing);
        if tokio::time::timeout(grace, phase.closed()).await.is_err() {
            advance(Phase::Ending);
            phase.closed().await;
        }
    }
}

/// The next client, once there is a place for one.
async fn accept(
    listener: &Listener,
    places: &Arc<Semaphore>,
) -> io::Result<(OwnedSemaphorePermit, Box<dyn Transport>, Peer)> {
    let permit = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, peer): (Box<dyn Transport>, Peer) = match &listener.socket {
        Socket::Tcp(socket) => {
            let (stream, address) = socket.accept().await?;
            stream.set_nodelay(true)?;
            (Box::new(Plain(stream)), Peer::new().address(address))
        }
        #[cfg(unix)]
        Socket::Unix(socket) => {
            let (stream, _) = socket.accept().await?;
            let peer = crate::listener::unix_peer(&stream);
            (Box::new(stream), peer)
        }
    };
    Ok((permit, socket, peer.read_only(listener.read_only)))
}
