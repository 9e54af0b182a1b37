//! What is told to whoever traces: a span for each call, and events for what befalls a connection.
//!
//! All of it goes by the target `virtwire`. With nobody there who listens, each place costs one look at a number.
//! Nothing is told while a lock is held, for nobody knows what a listener does.

use std::fmt::Display;
use tracing::{Level, Span};
use virtwire_proto::connection::{CallError, CloseReason};
use virtwire_proto::packet::{Header, Serial};
use virtwire_proto::program::Procedure;

/// Whether anybody wants to know of calls.
pub(crate) fn calls() -> bool {
    tracing::enabled!(target: "virtwire", Level::DEBUG)
}

/// The span of a call, from here until its answer is taken or not waited for any more.
pub(crate) fn call(procedure: Option<&'static Procedure>, serial: Serial) -> Span {
    let Some(procedure) = procedure else { return Span::none() };
    tracing::debug_span!(
        target: "virtwire",
        parent: Span::current(),
        "call",
        procedure = %procedure,
        serial = serial.0,
        error = tracing::field::Empty,
    )
}

/// How a call has failed, in its span.
pub(crate) fn failed(span: &Span, error: &CallError) {
    span.record("error", tracing::field::display(error));
}

/// That a call was given up, in its span.
pub(crate) fn given_up(span: &Span) {
    span.record("error", "given up");
}

/// Something that is to be told once no lock is held.
#[derive(Debug)]
pub(crate) enum Note {
    /// The connection has ended.
    Closed(CloseReason),
    /// Its link is lost.
    Lost(CloseReason),
    /// A packet came that belongs to nothing.
    Unexpected(Header),
    /// A subscription begins to lose events, since its consumer is too slow.
    Lagging,
    /// So many events were lost before their registration was answered.
    EventsLost(u64),
}

impl Note {
    /// Whether anybody listens.
    pub(crate) fn is_wanted(&self) -> bool {
        match self {
            Self::Closed(CloseReason::Local) | Self::Unexpected(_) => {
                tracing::enabled!(target: "virtwire", Level::DEBUG)
            }
            _ => tracing::enabled!(target: "virtwire", Level::WARN),
        }
    }

    /// Tells it.
    pub(crate) fn tell(self) {
        match self {
            Self::Closed(CloseReason::Local) => tracing::debug!(target: "virtwire", "connection closed"),
            Self::Closed(reason) => tracing::warn!(target: "virtwire", %reason, "connection ended"),
            Self::Lost(reason) => tracing::warn!(target: "virtwire", %reason, "link lost"),
            Self::Unexpected(header) => tracing::debug!(target: "virtwire", %header, "unexpected packet"),
            Self::Lagging => {
                tracing::warn!(target: "virtwire", "a subscription loses events: it is too slow")
            }
            Self::EventsLost(count) => {
                tracing::warn!(target: "virtwire", count, "events lost while they were registered for");
            }
        }
    }
}

pub(crate) fn authenticated() {
    tracing::debug!(target: "virtwire", "let in by the daemon");
}

pub(crate) fn opened(uri: &dyn Display) {
    tracing::debug!(target: "virtwire", %uri, "connection open");
}

pub(crate) fn not_opened(uri: &dyn Display, error: &crate::Error) {
    tracing::debug!(target: "virtwire", %uri, %error, "connection not opened");
}

pub(crate) fn attempt_failed(attempt: u32, error: &crate::Error, retry_after: Option<std::time::Duration>) {
    tracing::warn!(target: "virtwire", attempt, %error, ?retry_after, "reconnection failed");
}

pub(crate) fn restored(uri: &dyn Display, attempt: u32) {
    tracing::info!(target: "virtwire", %uri, attempt, "connection open again");
}
