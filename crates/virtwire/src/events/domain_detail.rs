//! What a domain's lifecycle event says beyond what happened.

use crate::by_kind::by_kind;
use virtwire_proto::enums::{
    DomainEventCrashedDetailType, DomainEventDefinedDetailType, DomainEventPmSuspendedDetailType,
    DomainEventResumedDetailType, DomainEventShutdownDetailType, DomainEventStartedDetailType,
    DomainEventStoppedDetailType, DomainEventSuspendedDetailType, DomainEventType,
    DomainEventUndefinedDetailType,
};

by_kind! {
    /// How or why what happened to a domain has happened: each event counts its own reasons.
    pub enum DomainEventDetail by DomainEventType {
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
}
