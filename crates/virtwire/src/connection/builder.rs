//! How a connection is to be opened.

use super::source::{Connector, Role, Source, Way};
use super::{Connection, FOR_EVER, Reconnect};
#[cfg(feature = "sasl")]
use crate::auth;
use crate::auth::Admission;
use crate::driver::StreamBounds;
use crate::transport::{AnyIo, Privacy, Transport};
use crate::{Error, Result};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use virtwire_proto::connection::{ClientConfig, Keepalive};
use virtwire_proto::uri::{self, Uri};

/// Settings of a connection that is to be opened.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// # async fn example() -> virtwire::Result<()> {
/// let connection = virtwire::Connection::builder("qemu:///system")
///     .read_only(true)
///     .call_timeout(Duration::from_secs(30))
///     .open()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    pub(super) uri: String,
    pub(super) read_only: bool,
    pub(super) keepalive: Option<Keepalive>,
    pub(super) max_calls_in_flight: usize,
    pub(super) max_queued_events: usize,
    pub(super) stream_bounds: StreamBounds,
    pub(super) call_timeout: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) reconnect: Option<Reconnect>,
    #[cfg(feature = "tls")]
    pub(super) tls_config: Option<Arc<rustls::ClientConfig>>,
    #[cfg(feature = "sasl")]
    credentials: auth::Source,
}

impl Builder {
    pub(super) fn new(uri: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            read_only: false,
            keepalive: Some(Keepalive::default()),
            max_calls_in_flight: ClientConfig::default().max_calls_in_flight,
            max_queued_events: 1024,
            stream_bounds: StreamBounds { window: 1 << 20, limit: 64 << 20 },
            call_timeout: None,
            connect_timeout: None,
            reconnect: None,
            #[cfg(feature = "tls")]
            tls_config: None,
            #[cfg(feature = "sasl")]
            credentials: auth::Source::default(),
        }
    }

    /// Asks for a connection that can change nothing. It needs fewer permissions.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets when a silent daemon counts as dead: after `interval` × (`count` + 1) without a byte. Otherwise it is
    /// libvirt's default, 5 seconds and 5: dead after 30 seconds.
    #[doc(alias = "virConnectSetKeepAlive")]
    pub fn keepalive(mut self, interval: Duration, count: u32) -> Self {
        self.keepalive = Some(Keepalive { interval, count });
        self
    }

    /// Waits for a silent daemon for ever.
    pub fn no_keepalive(mut self) -> Self {
        self.keepalive = None;
        self
    }

    /// Sets how many calls the daemon may be working on at once; further ones wait here for their turn. Otherwise it
    /// is 4: at 5, libvirtd's `max_client_requests` unless it is configured, it stops reading, and hangs up on a
    /// client whose signs of life it then does not see.
    ///
    /// A daemon whose libvirtd.conf has more of `max_client_requests` takes one less than that here. It works on as many
    /// at once as it has workers: `min_workers` from the start, and `max_workers` at most.
    pub fn max_calls_in_flight(mut self, max: usize) -> Self {
        self.max_calls_in_flight = max;
        self
    }

    /// Sets how many events a subscription keeps for a consumer that is slower than they come, before it loses
    /// the oldest. Otherwise it is 1024.
    pub fn max_queued_events(mut self, max: usize) -> Self {
        self.max_queued_events = max;
        self
    }

    /// Sets how many bytes of a stream are kept for a consumer that is slower than they come, before the daemon is
    /// slowed down (`window`), and at which the stream is given up ([`Error::Stalled`], `limit`). Otherwise it is
    /// 1 MiB and 64 MiB.
    ///
    /// The wire knows no other way to slow down one stream than to read less of the whole connection. While nobody
    /// waits for anything else on it, nothing is read; or a little every 10 seconds, where somebody waits for its end
    /// ([`Connection::closed`], [`Connection::link_events`]). While somebody does, it is read ever more slowly, so that
    /// others are answered and a consumer that is merely slow comes to a pace that it can keep; one that has stopped
    /// runs into the limit after minutes. A bulk stream is better off on a connection of its own.
    pub fn stream_buffer(mut self, window: usize, limit: usize) -> Self {
        self.stream_bounds = StreamBounds { window, limit: limit.max(window) };
        self
    }

    /// Sets how long each call waits for its answer, unless it says otherwise: from the moment at which it is made,
    /// its turn behind other calls and the time in which a lost connection is opened again included. Otherwise it
    /// waits as long as the connection lives: some of libvirt's calls take hours.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout).filter(|timeout| *timeout < FOR_EVER);
        self
    }

    /// Sets how long opening may take in all, and each attempt to open it again ([`Builder::reconnect`]). Otherwise it
    /// takes what the system and the daemon take, and an attempt to open it again at most 30 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Sets the configuration of TLS: which servers to trust, which certificate to show, whose cryptography to use.
    /// Otherwise libvirt's files and the URI's parameters say so, and the cryptography is what the process has
    /// installed as its default in rustls, else graviola's. With it they are not read.
    ///
    /// # Examples
    /// ```no_run
    /// use std::sync::Arc;
    /// use virtwire::rustls::{ClientConfig, RootCertStore};
    /// # async fn example(authorities: RootCertStore) -> virtwire::Result<()> {
    /// let config = ClientConfig::builder().with_root_certificates(authorities).with_no_client_auth();
    /// let connection =
    ///     virtwire::Connection::builder("qemu+tls://host/system").tls_config(Arc::new(config)).open().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls_config = Some(config);
        self
    }

    /// Gives the credentials for a daemon that asks for SASL. Otherwise they come from libvirt's auth.conf: the file
    /// that LIBVIRT_AUTH_FILE names, or the URI's parameter `authfile`, or else the user's in
    /// `$XDG_CONFIG_HOME/libvirt`, or that of `/etc/libvirt`.
    ///
    /// A user name that lacks is the one of the URI.
    ///
    /// ```no_run
    /// use virtwire::{Connection, Credentials};
    ///
    /// # async fn example() -> virtwire::Result<()> {
    /// let connection = Connection::builder("qemu+tcp://fred@host.example.com/system")
    ///     .credentials(Credentials::from_password("secret"))
    ///     .open()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "sasl")]
    #[doc(alias = "virConnectAuth")]
    pub fn credentials(mut self, credentials: auth::Credentials) -> Self {
        self.credentials = auth::Source::Given(credentials);
        self
    }

    /// Has `ask` called for credentials whenever a daemon asks for SASL by a mechanism that takes some. What it needs
    /// counts towards [`Builder::connect_timeout`].
    ///
    /// ```no_run
    /// use virtwire::{Connection, Credentials};
    ///
    /// # async fn example() -> virtwire::Result<()> {
    /// let connection = Connection::builder("qemu+tcp://host.example.com/system")
    ///     .ask_credentials(|request| async move {
    ///         let path = format!("/run/secrets/{}", request.host);
    ///         let password = std::fs::read_to_string(path)?;
    ///         Ok(Credentials::new(request.user.unwrap_or("fred".into()), password.trim_end()))
    ///     })
    ///     .open()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "sasl")]
    #[doc(alias = "virConnectAuthCallbackPtr")]
    pub fn ask_credentials<F>(
        mut self,
        ask: impl Fn(auth::CredentialRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<auth::Credentials, auth::CredentialError>> + Send + 'static,
    {
        self.credentials = auth::Source::asking(ask);
        self
    }

    /// Opens the connection again whenever it is lost: where the daemon has gone, does not answer keepalive, breaks the
    /// protocol, or the transport fails. Otherwise that is its end.
    ///
    /// [`Connection`], objects and subscriptions live on over it:
    /// - What the daemon was working on fails at once, with the reason: calls and streams. Nothing is sent twice, for
    ///   nobody knows whether it was carried out.
    /// - Calls that were not sent yet, and those made meanwhile, wait for the new link, each until its deadline.
    /// - Ahead of them, subscriptions are registered again, as they were. Each is told of the [`Gap`](crate::Gap) by
    ///   [`Error::Gap`]; one that the daemon now refuses ends with what it answers.
    /// - Attempts go on as [`Reconnect`] says. A daemon that refuses to let this client in is asked again only after the
    ///   longest delay, and at most three times in a row. Where they are used up the connection ends, with the
    ///   reason, as it does where it is closed or its last handle is dropped.
    ///
    /// [`Connection::closed`] waits for the end for good; [`Connection::link_events`] tells of every loss.
    pub fn reconnect(mut self, settings: Reconnect) -> Self {
        self.reconnect = Some(settings);
        self
    }

    /// Opens the connection.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open(self) -> Result<Connection> {
        self.open_by(Way::Uri).await
    }

    /// Opens the connection on byte streams that `connect` makes: one now, and others where the connection
    /// [reconnects](Builder::reconnect) or is to be opened [another time](Connection::open_another). Of the URI only
    /// what is sent to the daemon matters, and `auth`. No descriptors travel over them.
    ///
    /// # Errors
    /// As [`Connection::open`].
    ///
    /// # Examples
    /// ```no_run
    /// use tokio::net::TcpStream;
    /// # async fn example() -> virtwire::Result<()> {
    /// let builder = virtwire::Connection::builder("qemu:///system").reconnect(virtwire::Reconnect::new());
    /// let connection = builder.open_with(|| TcpStream::connect(("host.example.com", 16509))).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open_with<F, S>(self, connect: impl Fn() -> F + Send + Sync + 'static) -> Result<Connection>
    where
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let connector: Connector = Box::new(move || {
            let connecting = connect();
            Box::pin(async {
                Ok(Arc::new(AnyIo::new(connecting.await?, Privacy::Unknown)) as Arc<dyn Transport>)
            })
        });
        self.open_by(Way::Connector(connector)).await
    }

    /// Opens the connection on UNIX sockets that `connect` connects, as [`Builder::open_with`]. Descriptors travel over
    /// them.
    ///
    /// # Errors
    /// As [`Connection::open`].
    #[cfg(unix)]
    pub async fn open_with_unix<F>(
        self,
        connect: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<Connection>
    where
        F: Future<Output = io::Result<tokio::net::UnixStream>> + Send + 'static,
    {
        use crate::transport::Socket;
        let connector: Connector = Box::new(move || {
            let connecting = connect();
            Box::pin(async { Ok(Arc::new(Socket(connecting.await?)) as Arc<dyn Transport>) })
        });
        self.open_by(Way::Connector(connector)).await
    }

    async fn open_by(self, way: Way) -> Result<Connection> {
        let uri = self.resolve()?;
        Source { builder: self, uri, way, role: Role::Hypervisor }.open().await
    }

    /// Opens the connection on a byte stream that the caller has made. Of the URI only what is sent to the daemon
    /// matters, and `auth`. No descriptors travel over it.
    ///
    /// # Errors
    /// As [`Connection::open`]; [`Error::Connect`] where it is to [reconnect](Builder::reconnect), which takes
    /// [`Builder::open_with`].
    pub async fn open_over(self, io: impl AsyncRead + AsyncWrite + Send + 'static) -> Result<Connection> {
        self.open_once(Arc::new(AnyIo::new(io, Privacy::Unknown))).await
    }

    /// Opens the connection on a UNIX socket that the caller has connected. Of the URI only what is sent to the daemon
    /// matters, and `auth`. Descriptors travel over it.
    ///
    /// # Errors
    /// As [`Connection::open`]; [`Error::Connect`] where it is to [reconnect](Builder::reconnect), which takes
    /// [`Builder::open_with_unix`].
    #[cfg(unix)]
    pub async fn open_on(self, socket: tokio::net::UnixStream) -> Result<Connection> {
        use crate::transport::Socket;
        self.open_once(Arc::new(Socket(socket))).await
    }

    async fn open_once(self, transport: Arc<dyn Transport>) -> Result<Connection> {
        let uri = self.resolve()?;
        Source { builder: self, uri, way: Way::Once, role: Role::Hypervisor }.open_on(transport).await
    }

    pub(super) async fn limited<C>(&self, open: impl Future<Output = Result<C>>) -> Result<C> {
        match self.connect_timeout {
            None => open.await,
            Some(after) => match tokio::time::timeout(after, open).await {
                Ok(opened) => opened,
                Err(_) => Err(Error::Timeout { during: format!("opening {:?}", self.uri), after }),
            },
        }
    }

    /// What the daemon lets this client in by, on a transport that hides so much.
    #[cfg_attr(not(feature = "sasl"), expect(unused_variables, reason = "polkit goes by neither"))]
    pub(super) fn admission(&self, uri: Option<&Uri>, privacy: Privacy) -> Result<Admission> {
        let method = uri.map_or(Ok(None), Uri::auth).map_err(|error| self.invalid(&error))?;
        #[cfg(feature = "sasl")]
        let sasl = {
            let mechanism = match method {
                Some(uri::AuthMethod::Sasl { mechanism }) => mechanism,
                _ => None,
            };
            auth::Settings::new(uri, mechanism, self.credentials.clone(), privacy)
        };
        Admission::new(
            method,
            #[cfg(feature = "sasl")]
            sasl,
        )
    }

    /// The URI that is meant; `None` where the daemon is to choose.
    fn resolve(&self) -> Result<Option<Uri>> {
        let default = std::env::var("LIBVIRT_DEFAULT_URI").ok();
        let config = if self.uri.contains("://") {
            uri::ClientConfig::default()
        } else {
            self.client_config("libvirt.conf")?
        };
        config.resolve(Some(&self.uri), default.as_deref()).map_err(|error| self.invalid(&error))
    }

    /// The user's libvirt.conf or another of libvirt's files for clients, or root's.
    pub(super) fn client_config(&self, file: &str) -> Result<uri::ClientConfig> {
        let path = if is_root() {
            std::path::Path::new("/etc/libvirt").join(file)
        } else {
            let folder = |name| std::env::var_os(name).filter(|folder| !folder.is_empty());
            let Some(folder) = folder("XDG_CONFIG_HOME")
                .map(std::path::PathBuf::from)
                .or_else(|| folder("HOME").map(|home| std::path::Path::new(&home).join(".config")))
            else {
                return Ok(uri::ClientConfig::default());
            };
            folder.join("libvirt").join(file)
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => uri::ClientConfig::parse(&text)
                .map_err(|error| self.invalid(&format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(uri::ClientConfig::default()),
            Err(error) => Err(self.invalid(&format!("{}: {error}", path.display()))),
        }
    }

    pub(super) fn invalid(&self, reason: &dyn std::fmt::Display) -> Error {
        Error::InvalidUri { uri: self.uri.clone(), reason: reason.to_string() }
    }
}

#[cfg(unix)]
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
pub(super) fn is_root() -> bool {
    false
}
