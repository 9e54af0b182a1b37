//! The same for programs without a runtime: scripts, tools, tests.
//!
//! There is no second set of methods. Every future of this crate's can be waited for ([`Wait::wait`]), every
//! subscription iterated over ([`Iterate::iterate`]), every stream read and written as a file ([`Io`]). What runs
//! meanwhile runs in one thread of the process's, which is started when it is first needed.
//!
//! In a task of an asynchronous runtime, to wait so would hold up the runtime: there it panics.
//!
#![cfg_attr(all(unix, feature = "embedded"), doc = "```")]
#![cfg_attr(not(all(unix, feature = "embedded")), doc = "```no_run")]
//! use virtwire::Connection;
//! use virtwire::blocking::{Iterate, Wait};
//! use virtwire::enums::DomainEventId;
//! use virtwire::flags::ListAllDomainsFlags;
//!
//! # fn main() -> virtwire::Result<()> {
//! let connection = Connection::open("test:///default").wait()?;
//! for domain in connection.list_all_domains(ListAllDomainsFlags::ACTIVE).wait()? {
//!     println!("{}: {} KiB", domain.name(), domain.info().wait()?.memory);
//! }
//!
//! let events = connection.domain_events(DomainEventId::LIFECYCLE).wait()?;
//! let domain = connection.domain_lookup_by_name("test").wait()?;
//! domain.suspend().wait()?;
//! for event in events.iterate().take(1) {
//!     println!("{:?}", event?);
//! }
//! connection.close().wait()?;
//! # Ok(())
//! # }
//! ```

use futures_core::Stream;
use std::future::{IntoFuture, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Handle};

/// Waits for what is asynchronous: [the module](self) shows how.
pub trait Wait: IntoFuture {
    /// Waits until it is done, and gives what came of it.
    ///
    /// # Panics
    /// In a task of an asynchronous runtime of tokio's: await it there.
    fn wait(self) -> Self::Output;
}

impl<F: IntoFuture> Wait for F {
    fn wait(self) -> Self::Output {
        runtime().block_on(self.into_future())
    }
}

/// Iterates over what comes by and by, such as the events of a [`Subscription`](crate::Subscription).
pub trait Iterate: Stream + Unpin + Sized {
    /// Each item in its turn, waited for, up to the last.
    fn iterate(self) -> Iter<Self> {
        Iter(self)
    }
}

impl<S: Stream + Unpin> Iterate for S {}

/// The items of something that is asynchronous, each waited for.
#[derive(Debug)]
#[must_use]
pub struct Iter<S>(S);

impl<S> Iter<S> {
    /// What it iterates over.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S: Stream + Unpin> Iterator for Iter<S> {
    type Item = S::Item;

    /// # Panics
    /// As [`Wait::wait`].
    fn next(&mut self) -> Option<S::Item> {
        poll_fn(|cx| Pin::new(&mut self.0).poll_next(cx)).wait()
    }
}

/// A stream, such as a volume's ([`Stream`](crate::Stream)), as what the standard library reads and writes. What is
/// written is known to have arrived only when the stream itself is [finished](crate::Stream::finish).
///
/// # Examples
/// ```no_run
/// use std::io::Write;
/// use virtwire::blocking::{Io, Wait};
/// # fn example(stream: virtwire::Stream, mut file: std::fs::File) -> Result<(), Box<dyn std::error::Error>> {
/// let mut upload = Io::new(stream);
/// std::io::copy(&mut file, &mut upload)?;
/// upload.into_inner().finish().wait()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Io<S>(S);

impl<S> Io<S> {
    /// Reads and writes this.
    pub fn new(stream: S) -> Self {
        Self(stream)
    }

    /// What it reads and writes.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S: AsyncRead + Unpin> io::Read for Io<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).wait()
    }
}

impl<S: AsyncWrite + Unpin> io::Write for Io<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data).wait()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().wait()
    }
}

/// The runtime in which all goes on that is waited for.
fn runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("the system gives a runtime");
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("virtwire".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .expect("the system gives a thread");
        handle
    })
}
