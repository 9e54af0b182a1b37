//! What a domain's lifecycle event says beyond what happened.

use std::fmt;
use virtwire_proto::enums::{
    DomainEventCrashedDetailType, DomainEventDefinedDetailType, DomainEventPmSuspendedDetailType,
    DomainEventResumedDetailType, DomainEventShutdownDetailType, DomainEventStartedDetailType,
    DomainEventStoppedDetailType, DomainEventSuspendedDetailType, DomainEventType,
    DomainEventUndefinedDetailType,
};

macro_rules! details {
    ($($(#[$meta:meta])* $variant:ident($detail:ident) for $event:ident;)+) => {
        /// How or why what happened to a domain has happened: each event counts its own reasons.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DomainEventDetail {
            $($(#[$meta])* $variant($detail),)+
            /// The number that came with an event that is not known.
            Other(i32),
        }

        impl DomainEventDetail {
            /// What the number that came with this event means.
            #[must_use]
            pub fn new(event: DomainEventType, code: i32) -> Self {
                match event {
                    $(DomainEventType::$event => Self::$variant($detail(code)),)+
                    _ => Self::Other(code),
                }
            }

            /// Its number.
            #[must_use]
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$variant(detail) => detail.0,)+
                    Self::Other(code) => code,
                }
            }
        }

        /// Its name, or its number.
        impl fmt::Display for DomainEventDetail {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(detail) => detail.fmt(f),)+
                    Self::Other(code) => code.fmt(f),
                }
            }
        }
    };
}

details! {
    /// It was defined: as a new one, or with other XML.
    Defined(DomainEventDefinedDetailType) for DEFINED;
    /// Its definition is gone.
    Undefined(DomainEventUndefinedDetailType) for UNDEFINED;
    /// It runs: started, restored or migrated here.
    Started(DomainEventStartedDetailType) for STARTED;
    /// Its CPUs stand still.
    Suspended(DomainEventSuspendedDetailType) for SUSPENDED;
    /// Its CPUs run again.
    Resumed(DomainEventResumedDetailType) for RESUMED;
    /// It runs no more.
    Stopped(DomainEventStoppedDetailType) for STOPPED;
    /// Its guest has shut down; the emulator may still be there.
    Shutdown(DomainEventShutdownDetailType) for SHUTDOWN;
    /// Its guest has suspended itself.
    PmSuspended(DomainEventPmSuspendedDetailType) for PMSUSPENDED;
    /// Its guest has crashed.
    Crashed(DomainEventCrashedDetailType) for CRASHED;
}
