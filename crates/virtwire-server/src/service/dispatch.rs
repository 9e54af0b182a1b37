//! What the generated dispatch is made of.

use super::{Request, ServiceFuture};
use crate::client::Client;
use crate::error::{Error, Result};
use std::future::{Ready, ready};
use virtwire_proto::enums::ErrorNumber;
use virtwire_proto::program::{Call, Procedure};

/// From a call to a method that takes arguments alone.
macro_rules! call {
    ($service:ident, $client:ident, $request:ident, $method:ident, $args:ty) => {
        Box::pin(async move {
            let args = $request.args::<$args>()?;
            drop($request);
            $crate::Reply::new(&$service.$method(&$client, args).await?)
        })
    };
}
pub(super) use call;

/// From a call to a method that takes a stream too.
macro_rules! call_stream {
    ($service:ident, $client:ident, $request:ident, $method:ident, $args:ty) => {
        Box::pin(async move {
            let mut request = $request;
            let args = request.args::<$args>()?;
            let stream = request.stream.take().ok_or_else(|| missing_stream(request.procedure))?;
            drop(request);
            $crate::Reply::new(&$service.$method(&$client, args, stream).await?)
        })
    };
}
pub(super) use call_stream;

/// From a call to a method that takes descriptors too.
macro_rules! call_descriptors {
    ($service:ident, $client:ident, $request:ident, $method:ident, $args:ty) => {
        Box::pin(async move {
            let args = $request.args::<$args>()?;
            let descriptors = $request.descriptors;
            $crate::Reply::new(&$service.$method(&$client, args, descriptors).await?)
        })
    };
}
pub(super) use call_descriptors;

/// From a call to a method that gives descriptors too.
macro_rules! call_giving_descriptors {
    ($service:ident, $client:ident, $request:ident, $method:ident, $args:ty) => {
        Box::pin(async move {
            let args = $request.args::<$args>()?;
            drop($request);
            let (ret, descriptors) = $service.$method(&$client, args).await?;
            Ok($crate::Reply::new(&ret)?.with_descriptors(descriptors))
        })
    };
}
pub(super) use call_giving_descriptors;

/// From a call to a method that takes descriptors and gives some.
macro_rules! call_exchanging_descriptors {
    ($service:ident, $client:ident, $request:ident, $method:ident, $args:ty) => {
        Box::pin(async move {
            let args = $request.args::<$args>()?;
            let descriptors = $request.descriptors;
            let (ret, descriptors) = $service.$method(&$client, args, descriptors).await?;
            Ok($crate::Reply::new(&ret)?.with_descriptors(descriptors))
        })
    };
}
pub(super) use call_exchanging_descriptors;

/// What a method answers that is not implemented.
pub(super) fn unsupported<C: Call, T>(_: &Client, _: C) -> Ready<Result<T>> {
    ready(Err(Error::unsupported(C::PROCEDURE)))
}

/// What answers a procedure that no method does.
pub(super) fn unanswered(request: &Request) -> ServiceFuture {
    Box::pin(ready(Err(Error::unsupported(request.procedure))))
}

/// A stream procedure came without its stream: whoever made the request by hand left it out.
pub(super) fn missing_stream(procedure: &'static Procedure) -> Error {
    Error::internal(format_args!("{procedure} was called without its stream"))
}

impl Error {
    /// The driver has no such function (`VIR_ERR_NO_SUPPORT`).
    #[must_use]
    pub fn unsupported(procedure: &'static Procedure) -> Self {
        let pattern = "this function is not supported by the connection driver: %s";
        Self::raised(ErrorNumber::NO_SUPPORT, procedure.error_domain, pattern, &function(procedure))
    }

    /// The operation is refused on a read-only connection (`VIR_ERR_OPERATION_DENIED`).
    #[must_use]
    pub fn read_only(procedure: &'static Procedure) -> Self {
        let detail = format!("read only access prevents {}", function(procedure));
        Self::raised(
            ErrorNumber::OPERATION_DENIED,
            procedure.error_domain,
            "operation forbidden: %s",
            &detail,
        )
    }
}

/// The C function of a procedure, libvirt's own ones included, which no API has.
fn function(procedure: &Procedure) -> String {
    if let Some(name) = procedure.c_name {
        return name.to_owned();
    }
    let mut name = String::from("vir");
    for word in procedure.name.split('_') {
        let (first, rest) = word.split_at(word.len().min(1));
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    name
}
