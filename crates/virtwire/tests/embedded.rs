//! The hypervisor in this process, through the very packets that a daemon gets.
#![cfg(all(unix, feature = "embedded"))]

use virtwire::proto::enums::{DomainEventId, DomainEventType, DomainState};
use virtwire::proto::flags::{DomainDestroyFlags, ListAllDomainsFlags};
use virtwire::{Connection, DomainEvent};

#[tokio::test]
async fn the_default_node_is_there_and_lives() {
    let connection = Connection::open("test:///default").await.unwrap();
    assert_eq!(connection.hypervisor_type().await.unwrap(), "TEST");
    let mut events = connection.domain_events(DomainEventId::LIFECYCLE).await.unwrap();
    let domains = connection.list_all_domains(ListAllDomainsFlags::ACTIVE).await.unwrap();
    assert_eq!((domains.len(), &*domains[0].name().to_string()), (1, "test"));
    domains[0].suspend().await.unwrap();
    assert_eq!(domains[0].info().await.unwrap().state, DomainState::PAUSED);
    domains[0].destroy(DomainDestroyFlags::empty()).await.unwrap();
    for expected in [DomainEventType::SUSPENDED, DomainEventType::STOPPED] {
        match events.next().await {
            Some(Ok(DomainEvent::Lifecycle { domain, event, .. })) => {
                assert_eq!((&domain, event), (&domains[0], expected));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(connection.domain_lookup_by_name("absent").await.unwrap_err().is_no_domain());
    connection.close().await.unwrap();
}
