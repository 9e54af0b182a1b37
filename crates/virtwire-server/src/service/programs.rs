//! A service of typed ones, one for each program.

use super::admin::AdminService;
use super::connection;
use super::lxc::{self, LxcService};
use super::qemu::{self, QemuService};
use super::remote::RemoteService;
use super::{Request, Service, ServiceFuture};
use crate::client::Client;
use crate::error::Error;
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use virtwire_proto::program::{self, Program};

/// Typed services of several programs as one [`Service`].
///
/// It sees to what every libvirt server does alike, before a typed service sees a call of the programs
/// remote, qemu or lxc:
/// - CONNECT_OPEN comes first and once: all else is refused before it. Its flag `VIR_CONNECT_RO`, and a
///   listener that is for reading only, make the connection read-only; the service sees the flag in both
///   cases. Calls that libvirt refuses on a read-only connection whatever their flags are
///   ([`Procedure::writes`](virtwire_proto::program::Procedure::writes)) are refused here; where it depends on
///   a flag (`VIR_DOMAIN_XML_SECURE`), it is the service's to ask [`Client::read_only`].
/// - CONNECT_SUPPORTS_FEATURE: asking for PROGRAM_KEEPALIVE starts keepalive. The features that are the
///   server's own (FD_PASSING, REMOTE_EVENT_CALLBACK, REMOTE_CLOSE_CALLBACK) are there; the service is asked
///   for all others.
/// - CONNECT_CLOSE disconnects the client once its calls are answered.
/// - CONNECT_REGISTER_CLOSE_CALLBACK and its counterpart are kept for
///   [`Client::connection_closed`](crate::Client::connection_closed).
#[derive(Default)]
#[must_use]
pub struct Programs {
    list: Vec<(&'static Program, Dispatch)>,
}

type Dispatch = Box<dyn Fn(Client, Request) -> ServiceFuture + Send + Sync>;

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|(program, _)| program.name)).finish()
    }
}

impl Programs {
    /// No program.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with the program remote: what virsh and libvirt's library speak.
    pub fn remote<S: RemoteService>(self, service: Arc<S>) -> Self {
        self.with(&program::remote::PROGRAM, move |client, request| {
            connection::remote(Arc::clone(&service), client, request)
        })
    }

    /// The same with the program qemu: monitor commands, guest agents.
    pub fn qemu<S: QemuService>(self, service: Arc<S>) -> Self {
        self.with(&program::qemu::PROGRAM, move |client, request| {
            connection::gated(client, request, |client, request| {
                qemu::dispatch(Arc::clone(&service), client, request)
            })
        })
    }

    /// The same with the program lxc.
    pub fn lxc<S: LxcService>(self, service: Arc<S>) -> Self {
        self.with(&program::lxc::PROGRAM, move |client, request| {
            connection::gated(client, request, |client, request| {
                lxc::dispatch(Arc::clone(&service), client, request)
            })
        })
    }

    /// The same with the program admin, which real daemons offer on a socket of its own.
    pub fn admin<S: AdminService>(self, service: Arc<S>) -> Self {
        self.with(&program::admin::PROGRAM, move |client, request| {
            connection::admin(Arc::clone(&service), client, request)
        })
    }

    fn with(
        mut self,
        program: &'static Program,
        dispatch: impl Fn(Client, Request) -> ServiceFuture + Send + Sync + 'static,
    ) -> Self {
        self.list.retain(|(known, _)| *known != program);
        self.list.push((program, Box::new(dispatch)));
        self
    }
}

impl Service for Programs {
    fn programs(&self) -> Vec<&'static Program> {
        self.list.iter().map(|(program, _)| *program).collect()
    }

    fn call(self: Arc<Self>, client: Client, request: Request) -> ServiceFuture {
        match self.list.iter().find(|(program, _)| *program == request.procedure.program) {
            Some((_, dispatch)) => dispatch(client, request),
            // The server hands over calls of the programs alone that it was told of.
            None => Box::pin(ready(Err(Error::unsupported(request.procedure)))),
        }
    }
}
