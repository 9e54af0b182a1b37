//! Why a domain is in the state that it is in.

use crate::by_kind::by_kind;
use virtwire_proto::enums::{
    DomainBlockedReason, DomainCrashedReason, DomainNostateReason, DomainPausedReason,
    DomainPmSuspendedReason, DomainRunningReason, DomainShutdownReason, DomainShutoffReason, DomainState,
};

by_kind! {
    /// Why a domain is in the state that it is in: each state counts its own reasons.
    pub enum DomainStateReason by DomainState {
        /// It has no state that is known.
        NoState(DomainNostateReason) for NOSTATE;
        /// It runs.
        Running(DomainRunningReason) for RUNNING;
        /// It waits for something, such as a disk.
        Blocked(DomainBlockedReason) for BLOCKED;
        /// Its CPUs stand still.
        Paused(DomainPausedReason) for PAUSED;
        /// Its guest shuts down.
        Shutdown(DomainShutdownReason) for SHUTDOWN;
        /// It is off.
        Shutoff(DomainShutoffReason) for SHUTOFF;
        /// Its guest has crashed, and it is kept.
        Crashed(DomainCrashedReason) for CRASHED;
        /// Its guest has suspended itself.
        PmSuspended(DomainPmSuspendedReason) for PMSUSPENDED;
    }
}

#[cfg(test)]
mod tests {
    use super::DomainStateReason;
    use virtwire_proto::enums::{DomainPausedReason, DomainState};

    #[test]
    fn a_reason_is_of_its_state() {
        let reason = DomainStateReason::new(DomainState::PAUSED, 5);
        assert_eq!(reason, DomainStateReason::Paused(DomainPausedReason::IOERROR));
        assert_eq!(reason.to_string(), "IOERROR");
    }

    #[test]
    fn every_known_state_has_reasons_and_every_number_survives() {
        for state in DomainState::known() {
            for code in [0, 1, 999, i32::MIN] {
                let reason = DomainStateReason::new(state, code);
                assert!(!matches!(reason, DomainStateReason::Other(_)), "{state}");
                assert_eq!(reason.code(), code);
            }
        }
        let newer = DomainStateReason::new(DomainState(77), 3);
        assert_eq!((newer, newer.to_string().as_str()), (DomainStateReason::Other(3), "3"));
    }
}
