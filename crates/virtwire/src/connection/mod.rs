//! A connection to a daemon, and any procedure called on it.

mod admin;
mod builder;
mod connect;
mod opening;
mod reconnect;
mod source;

pub use admin::AdminConnection;
pub use builder::Builder;
pub use reconnect::{Gap, LinkEvent, LinkEvents, Reconnect};

use crate::driver::Shared;
use crate::{Error, Result};
use bytes::Bytes;
use opening::Opened;
pub(crate) use opening::call as call_opening;
use reconnect::Current;
use source::Source;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use virtwire_proto::connection::{self, CloseReason, Reply};
use virtwire_proto::enums;
use virtwire_proto::packet::Descriptor;
use virtwire_proto::program::{Call, Procedure, remote};
use virtwire_proto::xdr::{Text, from_bytes};

/// A connection to a libvirt daemon.
///
/// Clones share one connection, and so does everything that comes from it: domains, subscriptions. Any number of
/// tasks call on it at once. With the last of them dropped its socket is closed; [`Connection::close`] takes
/// leave first.
///
/// It lives in the tokio runtime that it was opened in.
///
/// # Examples
#[cfg_attr(all(unix, feature = "embedded"), doc = "```")]
#[cfg_attr(not(all(unix, feature = "embedded")), doc = "```no_run")]
/// use virtwire::Connection;
/// use virtwire::flags::ListAllDomainsFlags;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> virtwire::Result<()> {
/// let connection = Connection::open("test:///default").await?;
/// let domains = connection.list_all_domains(ListAllDomainsFlags::ACTIVE).await?;
/// // One call after the other, or all at once, on the one connection.
/// let states: Vec<_> = domains.into_iter().map(|domain| tokio::spawn(async move { domain.info().await })).collect();
/// for state in states {
///     println!("{}", state.await.expect("it does not panic")?.state);
/// }
/// connection.close().await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "virConnect")]
#[doc(alias = "virConnectPtr")]
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

/// One way to look at a connection: the settings of its calls may differ.
struct Handle {
    shared: Arc<Shared>,
    core: Arc<Core>,
    call_timeout: Option<Duration>,
}

/// What is dropped with the last of everything that uses the connection.
struct Core {
    shared: Arc<Shared>,
    uri: Text,
    current: Arc<Current>,
    source: Arc<Source>,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shared.close(CloseReason::Local);
    }
}

/// What is not worth a timer, and what no clock may be able to add to.
const FOR_EVER: Duration = Duration::from_secs(1 << 32);

/// How one call differs from the connection's other calls.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use virtwire::CallOptions;
/// use virtwire::proto::program::remote;
/// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
/// let options = CallOptions::new().timeout(Duration::from_secs(5));
/// let (reply, _) = connection.call_with(&remote::ConnectGetHostnameArgs, options).await?;
/// println!("{}", reply.hostname);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// How long to wait for the answer, in place of what the connection waits.
    pub timeout: Option<Duration>,
    /// Descriptors that go with the call. Only a UNIX socket carries any. They are closed here once sent.
    pub descriptors: Vec<Descriptor>,
    /// Whether it goes ahead of the calls that wait until the connection is open.
    pub(crate) ahead: bool,
}

impl CallOptions {
    /// A call like all others.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits this long for the answer, then fails with [`Error::Timeout`]. The daemon is not told. [`Duration::MAX`]
    /// waits as long as the connection lasts.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends these descriptors with the call.
    #[must_use]
    pub fn descriptors(mut self, descriptors: Vec<Descriptor>) -> Self {
        self.descriptors = descriptors;
        self
    }
}

/// An answer as it came, for tools that know procedures by number or name.
#[derive(Debug)]
#[non_exhaustive]
pub struct RawReply {
    /// What the procedure returned, encoded.
    pub payload: Bytes,
    /// The descriptors that came with it.
    pub descriptors: Vec<Descriptor>,
}

impl Connection {
    /// Opens a connection.
    ///
    /// The URI is `driver[+transport]://[user@][host][:port]/path[?parameters]`, such as `qemu:///system` or
    /// `qemu+tcp://host.example.com/system`, or an alias of libvirt.conf. An empty one means the default: what
    /// LIBVIRT_DEFAULT_URI says, else `uri_default` of libvirt.conf, else what the daemon of this host chooses.
    ///
    /// # Errors
    /// [`Error::InvalidUri`], [`Error::UnsupportedTransport`], [`Error::Connect`], [`Error::Authentication`],
    /// [`Error::Timeout`], [`Error::Closed`], or what libvirt answers.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> virtwire::Result<()> {
    /// let connection = virtwire::Connection::open("qemu:///system").await?;
    /// println!("{}", connection.hostname().await?);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectOpen")]
    #[doc(alias = "virConnectOpenAuth")]
    pub async fn open(uri: &str) -> Result<Self> {
        Self::builder(uri).open().await
    }

    /// A connection to be opened with settings of one's own.
    #[doc(alias = "virConnectOpenReadOnly")]
    pub fn builder(uri: &str) -> Builder {
        Builder::new(uri)
    }

    fn new(core: Core) -> Self {
        let call_timeout = core.source.builder.call_timeout;
        let shared = Arc::clone(&core.shared);
        Self { handle: Arc::new(Handle { shared, core: Arc::new(core), call_timeout }) }
    }

    /// Opens another connection like this one, with the same settings: for a bulk stream, say, that shall not hold up
    /// the calls of this one.
    ///
    /// # Errors
    /// As [`Connection::open`]; [`Error::Connect`] where this one was opened on a socket that the caller made.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let other = connection.open_another().await?;
    /// assert_eq!(other.uri(), connection.uri());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open_another(&self) -> Result<Self> {
        let other = Arc::clone(&self.handle.core.source).open_shared(Some(self.uri())).await?;
        Ok(match self.handle.call_timeout {
            Some(timeout) => other.with_call_timeout(timeout),
            None => other,
        })
    }

    /// This connection, with another time that each call waits for its answer, as [`Builder::call_timeout`] sets it:
    /// calls on what this gives, and on the objects that come from it, wait that long unless they say otherwise.
    ///
    /// # Examples
    /// ```no_run
    /// use std::time::Duration;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let quick = connection.with_call_timeout(Duration::from_secs(2));
    /// let domain = quick.domain_lookup_by_name("demo").await?;
    /// println!("{:?}", domain.info().await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_call_timeout(&self, timeout: Duration) -> Self {
        let Handle { shared, core, .. } = &*self.handle;
        let (shared, core) = (Arc::clone(shared), Arc::clone(core));
        Self { handle: Arc::new(Handle { shared, core, call_timeout: Some(timeout) }) }
    }

    /// Calls a procedure of any of libvirt's programs: its arguments' type says which.
    ///
    /// Dropping what this gives cancels the call: its answer is dropped when it comes. A stream that the procedure
    /// opens is given up at once.
    ///
    /// # Errors
    /// [`Error::Libvirt`], [`Error::Unsupported`], [`Error::Protocol`], [`Error::Argument`], [`Error::Closed`],
    /// [`Error::Timeout`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::program::remote;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let reply = connection.call(&remote::NodeGetFreeMemoryArgs).await?;
    /// println!("{} bytes", reply.free_mem);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call<C: Call>(&self, args: &C) -> Result<C::Ret> {
        Ok(self.call_with(args, CallOptions::default()).await?.0)
    }

    /// Calls a procedure with options. Gives what it returned and the descriptors that came with it.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn call_with<C: Call>(
        &self,
        args: &C,
        options: CallOptions,
    ) -> Result<(C::Ret, Vec<Descriptor>)> {
        self.handle.shared.call_typed(args, self.with_timeout(options)).await
    }

    /// Calls a procedure whose arguments are encoded already.
    ///
    /// # Errors
    /// As [`Connection::call`], but for what concerns the arguments and the reply themselves.
    pub async fn call_raw(
        &self,
        procedure: &'static Procedure,
        payload: &[u8],
        options: CallOptions,
    ) -> Result<RawReply> {
        let CallOptions { timeout, descriptors, .. } = self.with_timeout(options);
        let reply = self.handle.shared.call(timeout.is_some(), |client, now| {
            let options = connection::CallOptions { deadline: timeout.map(|after| now + after), descriptors };
            client.call_raw(procedure, payload, options, now)
        });
        let Reply { payload, descriptors, .. } =
            reply.await.map_err(|error| Error::from_call(procedure, error, timeout))?;
        Ok(RawReply { payload, descriptors })
    }

    pub(crate) fn with_timeout(&self, options: CallOptions) -> CallOptions {
        let timeout = options.timeout.or(self.handle.call_timeout);
        CallOptions { timeout: timeout.filter(|timeout| *timeout < FOR_EVER), ..options }
    }

    /// The connection's URI: as it was opened, or as the daemon says where the choice was the daemon's.
    #[doc(alias = "virConnectGetURI")]
    #[must_use]
    pub fn uri(&self) -> &Text {
        &self.handle.core.uri
    }

    /// Whether the daemon takes NETWORK_UPDATE's arguments in the order that their names say. It is asked once.
    pub(crate) async fn takes_network_updates_in_order(&self) -> Result<bool> {
        let opened = self.opened();
        if let Some(known) = opened.network_update_order.get() {
            return Ok(*known);
        }
        let in_order = self.supports_feature(enums::DriverFeature::NETWORK_UPDATE_HAS_CORRECT_ORDER).await?;
        Ok(*opened.network_update_order.get_or_init(|| in_order))
    }

    /// What is known of the daemon, which may be another after each time that the connection is opened again.
    pub(crate) fn opened(&self) -> Arc<Opened> {
        self.handle.core.current.get()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    pub(crate) fn call_timeout(&self) -> Option<Duration> {
        self.handle.call_timeout
    }

    pub(crate) fn max_queued_events(&self) -> usize {
        self.handle.core.source.builder.max_queued_events
    }

    /// Closes the connection: tells the daemon, then closes the socket. What is still open on it, on any clone,
    /// fails with [`Error::Closed`].
    ///
    /// # Errors
    /// As [`Connection::call`]; the connection is closed nevertheless.
    #[doc(alias = "virConnectClose")]
    pub async fn close(self) -> Result<()> {
        // Where the link is lost there is nobody to take leave of.
        if !self.handle.shared.last_link() {
            return Ok(());
        }
        let left = async {
            if self.opened().close_callback {
                self.call(&remote::ConnectUnregisterCloseCallbackArgs).await?;
            }
            self.call(&remote::ConnectCloseArgs).await
        };
        let left = left.await;
        self.handle.shared.close(CloseReason::Local);
        match left {
            // It closes after its answer; what carries that, such as virt-ssh-helper, may end before it has.
            Err(Error::Closed { procedure: Some(procedure), .. })
                if procedure == remote::ConnectCloseArgs::PROCEDURE =>
            {
                Ok(())
            }
            left => left,
        }
    }

    /// Waits until the connection has ended, and says why. One that [reconnects](Builder::reconnect) has not ended where
    /// it is lost, but where it is closed or given up.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(connection: virtwire::Connection) {
    /// println!("the connection has ended: {}", connection.closed().await);
    /// # }
    /// ```
    pub async fn closed(&self) -> CloseReason {
        self.handle.shared.closed().await
    }

    /// Why the connection has ended, if it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.handle.shared.close_reason()
    }

    /// Whether the connection has not ended, as far as this side can tell. One that [reconnects](Builder::reconnect) may
    /// have no link at the moment: see [`Connection::is_linked`].
    #[doc(alias = "virConnectIsAlive")]
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.close_reason().is_none()
    }

    /// Why the daemon's own connection to the hypervisor has ended, if it has said so.
    #[doc(alias = "virConnectRegisterCloseCallback")]
    #[must_use]
    pub fn hypervisor_close_reason(&self) -> Option<enums::CloseReason> {
        self.handle.shared.hypervisor_closed().map(enums::CloseReason)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("uri", self.uri())
            .field("close_reason", &self.close_reason())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Calls a procedure, and decodes its reply in the caller's task.
    pub(crate) async fn call_typed<C: Call>(
        &self,
        args: &C,
        options: CallOptions,
    ) -> Result<(C::Ret, Vec<Descriptor>)> {
        let CallOptions { timeout, descriptors, ahead } = options;
        let reply = self.call(timeout.is_some(), |client, now| {
            let options = connection::CallOptions { deadline: timeout.map(|after| now + after), descriptors };
            if ahead {
                client.ahead(|client| client.call_with(args, options, now))
            } else {
                client.call_with(args, options, now)
            }
        });
        let Reply { payload, descriptors, .. } =
            reply.await.map_err(|error| Error::from_call(C::PROCEDURE, error, timeout))?;
        let ret = from_bytes(payload).map_err(|source| Error::malformed(C::PROCEDURE, source))?;
        Ok((ret, descriptors))
    }
}
