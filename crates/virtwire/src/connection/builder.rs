//! How a connection is to be opened.

use super::opening::{self, Opening};
use super::{Connection, FOR_EVER};
#[cfg(feature = "sasl")]
use crate::auth;
use crate::auth::Admission;
use crate::driver::{Shared, StreamBounds};
use crate::transport::{AnyIo, Privacy, Transport};
use crate::{Error, Result};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use virtwire_proto::connection::{ClientConfig, CloseReason, Keepalive};
use virtwire_proto::uri::{self, Uri};
use virtwire_proto::xdr::Text;

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
    keepalive: Option<Keepalive>,
    pub(super) max_calls_in_flight: usize,
    pub(super) max_queued_events: usize,
    pub(super) stream_bounds: StreamBounds,
    pub(super) call_timeout: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
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
    /// waits for anything else on it, nothing is read. While somebody does, it is read ever more slowly, so that
    /// others are answered and a consumer that is merely slow comes to a pace that it can keep; one that has stopped
    /// runs into the limit after minutes. A bulk stream is better off on a connection of its own.
    pub fn stream_buffer(mut self, window: usize, limit: usize) -> Self {
        self.stream_bounds = StreamBounds { window, limit: limit.max(window) };
        self
    }

    /// Sets how long each call waits for its answer, unless it says otherwise. Otherwise it waits as long as the
    /// connection lives: some of libvirt's calls take hours.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout).filter(|timeout| *timeout < FOR_EVER);
        self
    }

    /// Sets how long opening may take in all. Otherwise it takes what the system and the daemon take.
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

    /// Opens the connection.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open(self) -> Result<Connection> {
        self.limited(async {
            let uri = self.resolve()?;
            let transport = self.connect(uri.as_ref()).await?;
            self.start(uri, transport).await
        })
        .await
    }

    /// Opens the connection on a byte stream that the caller has made. Of the URI only what is sent to the daemon
    /// matters, and `auth`. No descriptors travel over it.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open_over(self, io: impl AsyncRead + AsyncWrite + Send + 'static) -> Result<Connection> {
        self.limited(async { self.start(self.resolve()?, Arc::new(AnyIo::new(io, Privacy::Unknown))).await })
            .await
    }

    /// Opens the connection on a UNIX socket that the caller has connected. Of the URI only what is sent to the daemon
    /// matters, and `auth`. Descriptors travel over it.
    ///
    /// # Errors
    /// As [`Connection::open`].
    #[cfg(unix)]
    pub async fn open_on(self, socket: tokio::net::UnixStream) -> Result<Connection> {
        use crate::transport::Socket;
        self.limited(async { self.start(self.resolve()?, Arc::new(Socket(socket))).await }).await
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

    async fn start(&self, uri: Option<Uri>, transport: Arc<dyn Transport>) -> Result<Connection> {
        let mut config = ClientConfig::default();
        config.max_calls_in_flight = self.max_calls_in_flight;
        let opening = Opening {
            name: uri.as_ref().map_or_else(Text::default, Uri::open_name),
            uri: uri.as_ref().map_or_else(Text::default, |uri| Text::from(uri.to_string())),
            read_only: self.read_only,
            admission: self.admission(uri.as_ref(), transport.privacy())?,
            keepalive: self.keepalive,
            call_timeout: self.call_timeout,
        };
        let connects_to = transport.connects_to().map(ToOwned::to_owned);
        let shared = Shared::start(transport, config, self.stream_bounds);
        match (opening::open(shared, opening, self.max_queued_events).await, connects_to) {
            (Err(Error::Closed { reason: CloseReason::Transport(text), .. }), Some(to)) => {
                Err(Error::Connect { to, source: io::Error::other(text) })
            }
            (opened, _) => Ok(Connection::new(opened?)),
        }
    }

    /// What the daemon lets this client in by, on a transport that hides so much.
    #[cfg_attr(not(feature = "sasl"), expect(unused_variables, reason = "polkit goes by neither"))]
    fn admission(&self, uri: Option<&Uri>, privacy: Privacy) -> Result<Admission> {
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
