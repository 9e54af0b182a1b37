//! What a server offers: calls in, answers out.

mod connection;
mod dispatch;
mod programs;

pub mod admin;
pub mod lxc;
pub mod qemu;
pub mod remote;

pub use programs::Programs;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::stream::Stream;
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use virtwire_proto::error::malformed_error;
use virtwire_proto::packet::Descriptor;
use virtwire_proto::program::{Call, Procedure, Program};
use virtwire_proto::xdr::{Xdr, from_bytes, to_bytes};

/// A future that a service gives back for a call.
pub type ServiceFuture = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

/// What a server offers to one client or to all, with arguments and answers as they travel.
///
/// This is the level of a proxy, which need not know what it passes on. [`Programs`] makes one of typed
/// services, such as [`RemoteService`](remote::RemoteService).
pub trait Service: Send + Sync + 'static {
    /// The programs whose calls it takes. Calls of all others are answered by the server, as libvirtd does.
    fn programs(&self) -> Vec<&'static Program>;

    /// Answers a call.
    ///
    /// The calls of one client are worked on at once and answered in any order. Where the client goes, the
    /// future is dropped. A panic, here or in the future, fails the call alone.
    ///
    /// The future is first polled by the task that also reads and writes the client's connection, so that a
    /// call that need not wait is answered at once: it must not block.
    fn call(self: Arc<Self>, client: Client, request: Request) -> ServiceFuture;
}

/// A call that is to be answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request {
    /// The procedure that is called: one of the service's programs.
    pub procedure: &'static Procedure,
    /// Its arguments, encoded.
    pub payload: Bytes,
    /// The descriptors that came with it.
    pub descriptors: Vec<Descriptor>,
    /// The stream that it opens, where its procedure opens one.
    pub stream: Option<Stream>,
}

impl Request {
    /// The arguments.
    ///
    /// # Errors
    /// They are not what the procedure takes: libvirtd's error for that.
    pub fn args<C: Call>(&self) -> Result<C> {
        from_bytes(self.payload.clone()).map_err(|error| malformed_error(&error).into())
    }
}

/// What answers a call that succeeds.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Reply {
    /// What the procedure returns, encoded. Empty where it returns nothing.
    pub payload: Bytes,
    /// The descriptors that go with it. They can be sent over UNIX sockets only.
    pub descriptors: Vec<Descriptor>,
}

impl Reply {
    /// An answer of this value.
    ///
    /// # Errors
    /// The value passes a maximum of libvirt's definitions: the error to answer with instead.
    pub fn new<T: Xdr>(ret: &T) -> Result<Self> {
        match to_bytes(ret) {
            Ok(payload) => Ok(Self::raw(payload)),
            Err(error) => Err(Error::rpc(format_args!("Unable to encode message payload: {error}"))),
        }
    }

    /// An answer that is encoded already.
    #[must_use]
    pub fn raw(payload: Bytes) -> Self {
        Self { payload, descriptors: Vec::new() }
    }

    /// The same with these descriptors.
    #[must_use]
    pub fn with_descriptors(mut self, descriptors: Vec<Descriptor>) -> Self {
        self.descriptors = descriptors;
        self
    }
}
