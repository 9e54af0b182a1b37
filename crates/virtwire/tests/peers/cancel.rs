//! Every call has a deadline where one is asked for, and can be given up by dropping it.

use crate::support::{builder, connect, connect_with};
use std::pin::Pin;
use std::time::Duration;
use virtwire::flags::{
    DomainXmlFlags, ListAllDomainsFlags, ListAllStoragePoolsFlags, StorageVolDownloadFlags,
};
use virtwire::proto::connection::ServerEvent;
use virtwire::proto::enums::DomainEventId;
use virtwire::proto::program::{Call, remote};
use virtwire::{Connection, Error};

type Asked = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Calls of each kind: generated, written by hand, of an object, opening a stream, registering for events.
fn calls(connection: &Connection) -> Vec<Asked> {
    let asked = |connection: &Connection| connection.clone();
    let domain = connection.domain(remote::NonnullDomain::default());
    let volume = connection.storage_vol(remote::NonnullStorageVol::default());
    vec![
        Box::pin({
            let connection = asked(connection);
            async move { connection.hostname().await.map(drop) }
        }),
        Box::pin({
            let connection = asked(connection);
            async move { connection.list_all_domains(ListAllDomainsFlags::empty()).await.map(drop) }
        }),
        Box::pin({
            let connection = asked(connection);
            async move { connection.list_all_storage_pools(ListAllStoragePoolsFlags::empty()).await.map(drop) }
        }),
        Box::pin({
            let connection = asked(connection);
            async move { connection.node_cpu_stats(None).await.map(drop) }
        }),
        Box::pin(async move { domain.xml_desc(DomainXmlFlags::empty()).await.map(drop) }),
        Box::pin(async move { volume.download(0, 0, StorageVolDownloadFlags::empty()).await.map(drop) }),
        Box::pin({
            let connection = asked(connection);
            async move { connection.domain_events(DomainEventId::LIFECYCLE).await.map(drop) }
        }),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_call_to_a_daemon_that_does_not_answer_ends_at_its_deadline() {
    let deadline = Duration::from_secs(3);
    let (connection, _peer) = connect_with(builder().call_timeout(deadline)).await;
    // Also those that have to wait for their turn.
    let calls: Vec<_> = (0..5).flat_map(|_| calls(&connection)).map(tokio::spawn).collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        let Error::Timeout { during, after } = &error else { panic!("{error:?}") };
        assert!(during.starts_with("remote."), "{error}");
        assert_eq!(*after, deadline);
    }
    assert!(connection.is_alive());
}

#[tokio::test]
async fn every_call_can_be_given_up_and_leaves_nothing_behind() {
    let (connection, mut peer) = connect().await;
    for call in calls(&connection) {
        let call = tokio::spawn(call);
        let sent = peer.call().await;
        call.abort();
        call.await.unwrap_err();
        // The late answer is nobody's, whatever it is.
        let failure = crate::support::failure(38, 0, "%s", "too late");
        peer.with(move |server| server.reply_error(sent.id, &failure).unwrap()).await;
    }
    // Of calls that wait for their turn nothing is ever sent.
    let blocking: Vec<_> = (0..4).map(|_| tokio::spawn(calls(&connection).remove(0))).collect();
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(peer.call().await.id);
    }
    for call in calls(&connection) {
        tokio::time::timeout(Duration::from_millis(5), call).await.unwrap_err();
    }
    for id in open {
        let reply = remote::ConnectGetHostnameRet { hostname: "here".into() };
        peer.with(move |server| server.reply(id, &reply).unwrap()).await;
    }
    for call in blocking {
        call.await.unwrap().unwrap();
    }
    let last = tokio::spawn({
        let connection = connection.clone();
        async move { connection.lib_version().await }
    });
    match peer.event().await {
        ServerEvent::Call(call) => {
            assert_eq!(call.procedure, remote::ConnectGetLibVersionArgs::PROCEDURE);
            let reply = remote::ConnectGetLibVersionRet { lib_ver: 1 };
            peer.with(move |server| server.reply(call.id, &reply).unwrap()).await;
        }
        other => panic!("{other:?}"),
    }
    last.await.unwrap().unwrap();
}
