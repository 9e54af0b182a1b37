//! Open enums, bit flags and parameter names of the public headers.

use virtwire_proto::enums::*;
use virtwire_proto::flags::*;
use virtwire_proto::xdr::{from_bytes, to_bytes};
use virtwire_proto::{constants, names};

#[test]
fn values_are_those_of_c() {
    assert_eq!(DomainState::RUNNING.0, 1);
    assert_eq!(DomainState::PMSUSPENDED.0, 7);
    assert_eq!(ErrorNumber::OK.0, 0);
    assert_eq!(ErrorNumber::NO_DOMAIN.0, 42);
    assert_eq!(ErrorNumber::AUTH_FAILED.0, 45);
    assert_eq!(ErrorDomain::RPC.0, 7);
    assert_eq!(ErrorLevel::ERROR.0, 2);
    assert_eq!(DriverFeature::PROGRAM_KEEPALIVE.0, 10);
    assert_eq!(DriverFeature::NETWORK_UPDATE_HAS_CORRECT_ORDER.0, 16);
    assert_eq!(DomainEventId::LIFECYCLE.0, 0);
    assert_eq!(CpuCompareResult::ERROR.0, -1);
    assert_eq!(constants::UUID_BUFLEN, 16);
}

#[test]
fn a_value_of_another_family_keeps_its_words() {
    assert_eq!(ErrorNumber::WAR_NO_NETWORK.c_name(), Some("VIR_WAR_NO_NETWORK"));
    assert_eq!(ErrorNumber::NO_NETWORK.c_name(), Some("VIR_ERR_NO_NETWORK"));
}

#[test]
fn a_value_prints_its_name_or_its_number() {
    assert_eq!(DomainState::RUNNING.to_string(), "RUNNING");
    assert_eq!(format!("{:?}", DomainState::RUNNING), "DomainState(RUNNING)");
    assert_eq!(format!("{:>8}", DomainState::PAUSED), "  PAUSED");
    assert_eq!(DomainState(4711).to_string(), "4711");
    assert_eq!(format!("{:?}", DomainState(-5)), "DomainState(-5)");
}

#[test]
fn a_value_that_is_not_known_survives() {
    let value = ErrorNumber::from(9999);
    assert_eq!((value.name(), value.c_name()), (None, None));
    assert_eq!(from_bytes::<ErrorNumber>(to_bytes(&value).unwrap()), Ok(value));
    assert_eq!(i32::from(value), 9999);
}

#[test]
fn known_values_ascend_and_have_names() {
    let known: Vec<_> = DomainEventId::known().collect();
    assert!(known.is_sorted());
    assert_eq!(known.len(), DomainEventId::known().len());
    assert!(known.iter().all(|id| id.c_name().is_some_and(|name| name.starts_with("VIR_DOMAIN_EVENT_ID_"))));
    assert!(known.iter().all(|id| id.name().is_some_and(|name| name != "LAST")));
    assert!(known.contains(&DomainEventId::CHANNEL_LIFECYCLE));
}

#[test]
fn values_that_only_look_like_a_sentinel_are_there() {
    assert_eq!(NetworkUpdateCommand::ADD_LAST.0, 3);
}

#[test]
fn flags_are_those_of_c() {
    assert_eq!(ListAllDomainsFlags::ACTIVE.bits(), 1);
    assert_eq!(GetAllDomainStatsFlags::ENFORCE_STATS.bits(), 0x8000_0000);
    assert_eq!(u64::from(GetAllDomainStatsFlags::ENFORCE_STATS), 0x8000_0000);
    assert_eq!(TypedParameterFlags::STRING_OKAY.bits(), 4);
    assert_eq!(DomainMigrateFlags::LIVE | DomainMigrateFlags::PEER2PEER, DomainMigrateFlags::from(3));
    assert_eq!(ConnectFlags::RO.bits(), 1);
}

#[test]
fn no_bits_have_names_too() {
    assert!(DomainModificationImpact::CURRENT.is_empty());
    assert!(DomainCreateFlags::NONE.is_empty());
    assert_eq!(DomainModificationImpact::all().iter().count(), 2);
}

#[test]
fn bits_that_are_not_known_survive() {
    let flags = DomainXmlFlags::from(0x4000_0001);
    assert_eq!(u32::from(flags), 0x4000_0001);
    assert!(flags.contains(DomainXmlFlags::SECURE));
    assert_eq!(format!("{flags:?}"), "DomainXmlFlags(SECURE | 0x40000000)");
}

#[test]
fn names_of_parameters_are_those_of_c() {
    assert_eq!(names::migrate::URI, "migrate_uri");
    assert_eq!(names::node_memory_stats::TOTAL, "total");
    assert_eq!(names::node_memory::SHARED_PAGES_TO_SCAN, "shm_pages_to_scan");
    assert_eq!(names::threadpool::WORKERS_MIN, "minWorkers");
    assert_eq!(names::domain_stats::STATE_STATE, "state.state");
}
