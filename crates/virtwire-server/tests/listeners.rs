//! Listeners, their sockets' files, places, keepalive, and the end of a server.

mod common;

use common::raw::{Raw, Wire};
use common::soon;
use common::tiny::{server, tiny};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use virtwire_proto::connection::Keepalive;
use virtwire_proto::program::remote::*;
use virtwire_server::{CloseReason, Config, Listener, Server};

async fn connect(path: &Path) -> Raw {
    Raw::new(Wire::Unix(UnixStream::connect(path).await.unwrap()))
}

#[tokio::test]
async fn a_unix_socket_has_its_permissions_and_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libvirt-sock");
    let (tiny, _) = tiny();
    let server = server(&tiny);
    for mode in [0o700, 0o777, 0o770] {
        let listener = Listener::unix(&path, mode).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        assert_eq!(listener.address().to_string(), format!("unix:{}", path.display()));
        drop(listener);
        assert!(!path.exists());
    }
    server.listen(Listener::unix(&path, 0o700).unwrap());
    connect(&path).await.call(&ConnectOpenArgs::default()).await.unwrap();
    let credentials = tiny.client().peer().credentials.unwrap();
    assert_eq!(credentials.uid, rustix::process::getuid().as_raw());
    soon(server.shutdown(Duration::from_secs(5))).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sock");
    // Dropped by the standard library, a socket's file stays.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = Listener::unix(&path, 0o700).unwrap();
    let error = Listener::unix(&path, 0o700).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains("another server listens there"), "{error}");

    // What another one has put in its place is not removed.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    drop(first);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let error = Listener::unix(&path, 0o700).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    Listener::unix(folder.path().join("x".repeat(200)), 0o700).unwrap_err();
}

#[tokio::test]
async fn a_listener_for_reading_only_makes_its_clients_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libvirt-sock-ro");
    let (tiny, _) = tiny();
    let server = server(&tiny);
    server.listen(Listener::unix(&path, 0o777).unwrap().read_only(true));
    let mut raw = connect(&path).await;
    raw.call(&ConnectOpenArgs::default()).await.unwrap();
    assert!(tiny.client().read_only());
    let mut raw = Raw::joined(&server);
    raw.call(&ConnectOpenArgs { name: None, flags: 1 }).await.unwrap();
    assert!(tiny.client().read_only());
    let _raw = Raw::opened(&server).await;
    assert!(!tiny.client().read_only());
}

#[tokio::test]
async fn no_more_clients_are_served_than_there_are_places() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sock");
    let (tiny, _) = tiny();
    let server = server(&tiny).with_config(Config::new().max_clients(2));
    server.listen(Listener::unix(&path, 0o700).unwrap());
    let mut first = connect(&path).await;
    let mut second = connect(&path).await;
    first.call(&ConnectOpenArgs::default()).await.unwrap();
    second.call(&ConnectOpenArgs::default()).await.unwrap();
    let mut third = connect(&path).await;
    let serial = third.start(&ConnectOpenArgs::default());
    assert!(tokio::time::timeout(Duration::from_millis(100), third.any_reply()).await.is_err());
    drop(first);
    third.reply(serial).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_finishes_calls_and_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sock");
    let (tiny, _) = tiny();
    let server = server(&tiny);
    server.listen(Listener::unix(&path, 0o700).unwrap());
    let mut idle = connect(&path).await;
    idle.call(&ConnectOpenArgs::default()).await.unwrap();
    let mut busy = connect(&path).await;
    busy.call(&ConnectOpenArgs::default()).await.unwrap();
    let serial = busy.start(&ConnectGetCapabilitiesArgs {});
    busy.flush().await;
    soon(tiny.waiting.notified()).await;

    let ending = server.clone();
    let ending = tokio::spawn(async move { ending.shutdown(Duration::from_secs(60)).await });
    assert_eq!(idle.closed().await, CloseReason::Peer);
    let late = busy.start(&ConnectGetHostnameArgs {});
    busy.flush().await;
    assert!(!ending.is_finished());
    tiny.gate.add_permits(1);
    busy.reply(serial).await.unwrap();
    assert_eq!(busy.closed().await, CloseReason::Peer);
    assert!(!busy.left().iter().any(
        |event| matches!(event, virtwire_proto::connection::ClientEvent::Reply { serial, result: Ok(_) } if *serial == late)
    ));
    soon(ending).await.unwrap();
    assert!(UnixStream::connect(&path).await.is_err());
}

#[tokio::test]
async fn a_shutdown_waits_no_longer_than_it_is_given() {
    let (tiny, _) = tiny();
    let server = server(&tiny);
    let mut busy = Raw::opened(&server).await;
    busy.start(&ConnectGetCapabilitiesArgs {});
    busy.flush().await;
    soon(tiny.waiting.notified()).await;
    soon(server.shutdown(Duration::from_millis(50))).await;
    assert_eq!(busy.closed().await, CloseReason::Peer);
    // Who comes too late is not served.
    assert_eq!(Raw::joined(&server).closed().await, CloseReason::Peer);
}

#[tokio::test]
async fn clients_outlive_the_handle_of_their_server_and_listeners_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sock");
    let (tiny, _) = tiny();
    let mut raw = {
        let server = server(&tiny);
        server.listen(Listener::unix(&path, 0o700).unwrap());
        Raw::opened(&server).await
    };
    raw.call(&ConnectGetHostnameArgs {}).await.unwrap();
    for _ in 0..100 {
        if !path.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!path.exists());
    raw.call(&ConnectGetHostnameArgs {}).await.unwrap();
}

fn impatient(server: Server) -> Server {
    server.with_config(Config::new().keepalive(Keepalive { interval: Duration::from_millis(50), count: 2 }))
}

#[tokio::test]
async fn a_client_that_has_shown_that_it_answers_pings_is_given_up_when_it_falls_silent() {
    let (tiny, _) = tiny();
    let server = impatient(server(&tiny));
    let mut quiet = Raw::opened(&server).await;
    let unasked = tiny.client();
    let mut raw = Raw::opened(&server).await;
    let client = tiny.client();
    raw.call(&ConnectSupportsFeatureArgs { feature: 10 }).await.unwrap();
    // It lives as long as it answers.
    let answering = tokio::time::timeout(Duration::from_millis(500), async {
        loop {
            raw.turn().await;
        }
    });
    assert!(answering.await.is_err() && !client.is_closed());
    // Then it is silent.
    assert!(matches!(soon(client.closed()).await, CloseReason::Keepalive { unanswered: 2, .. }));
    assert!(!unasked.is_closed());
    quiet.call(&ConnectGetHostnameArgs {}).await.unwrap();
}

#[tokio::test]
async fn a_client_whose_calls_keep_it_from_being_read_is_not_taken_for_dead() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&impatient(server(&tiny))).await;
    raw.call(&ConnectSupportsFeatureArgs { feature: 10 }).await.unwrap();
    let serials: Vec<_> = (0..5).map(|_| raw.start(&ConnectGetCapabilitiesArgs {})).collect();
    raw.flush().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!tiny.client().is_closed());
    tiny.gate.add_permits(5);
    for serial in serials {
        raw.reply(serial).await.unwrap();
    }
}

#[test]
fn a_client_goes_with_its_runtime() {
    let (tiny, _) = tiny();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (stream, client) = runtime.block_on(async {
        let server = server(&tiny);
        let raw = Raw::opened(&server).await;
        (raw, tiny.client())
    });
    assert!(!client.is_closed());
    drop(runtime);
    assert!(client.is_closed());
    drop(stream);
}
