//! The opening: who is let in, and what is said before anything else.

mod support;

use std::time::Duration;
use support::{Peer, builder, failure};
use tokio::net::UnixStream;
use virtwire::proto::connection::{Authentication, ServerEvent};
use virtwire::{Connection, Error};

async fn opening(authentication: Authentication, uri: &'static str) -> (Peer, Opening) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let peer = Peer::start_asking(theirs, authentication);
    (peer, tokio::spawn(Connection::builder(uri).no_keepalive().open_on(ours)))
}

type Opening = tokio::task::JoinHandle<virtwire::Result<Connection>>;

#[tokio::test]
async fn polkit_lets_in() {
    let (mut peer, opening) = opening(Authentication::Polkit, "test:///scripted").await;
    let ServerEvent::Polkit { id } = peer.event().await else { panic!("polkit is asked") };
    assert!(!opening.is_finished());
    peer.with(move |server| server.decide(id, Ok(())).unwrap()).await;
    assert!(opening.await.unwrap().unwrap().is_alive());
}

#[tokio::test]
async fn polkit_refuses_and_the_socket_is_closed() {
    let (mut peer, opening) = opening(Authentication::Polkit, "test:///scripted").await;
    let ServerEvent::Polkit { id } = peer.event().await else { panic!("polkit is asked") };
    peer.with(move |server| {
        let error = failure(88, 7, "%s", "authentication unavailable: no polkit agent");
        server.decide(id, Err(&error)).unwrap();
    })
    .await;
    let error = opening.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Authentication(_)), "{error:?}");
    assert!(error.to_string().contains("no polkit agent"), "{error}");
    peer.closed().await;
}

#[cfg(not(feature = "sasl"))]
#[tokio::test]
async fn sasl_takes_its_feature() {
    let (mut peer, opening) = opening(Authentication::Sasl, "test:///scripted").await;
    let error = opening.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "authentication failed: the daemon asks for SASL, which takes the feature sasl"
    );
    peer.closed().await;
}

#[tokio::test]
async fn a_way_to_authenticate_that_is_not_offered_is_refused() {
    let (_peer, opening) = opening(Authentication::None, "test:///scripted?auth=polkit").await;
    let error = opening.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "authentication failed: the daemon does not offer polkit");
}

#[tokio::test]
async fn an_opening_that_is_dropped_closes_the_socket() {
    let (mut peer, opening) = opening(Authentication::Polkit, "test:///scripted").await;
    peer.event().await;
    opening.abort();
    opening.await.unwrap_err();
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_does_not_answer_the_opening_is_given_up() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let error = builder().connect_timeout(Duration::from_secs(3)).open_on(ours).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    // And the socket is closed: all that was ever said is AUTH_LIST.
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut rest).await.unwrap();
    assert_eq!(rest.len(), 28);
}

#[tokio::test]
async fn the_uri_is_the_daemons_where_the_choice_was_its() {
    for (asked, uri) in [("remote:///", "test:///chosen"), ("test:///scripted", "test:///scripted")] {
        let (_peer, opening) = opening(Authentication::None, asked).await;
        assert_eq!(*opening.await.unwrap().unwrap().uri(), uri);
    }
}

#[tokio::test]
async fn a_uri_that_leads_nowhere_says_why() {
    for (uri, reason) in [
        ("qemu+warp:///system", "warp"),
        ("qemu+libssh://host/system", "the transport \"libssh\" is not supported; there are unix, tcp"),
        #[cfg(feature = "ssh")]
        ("qemu+libssh2://host/system", "; take ssh, which runs the system's own"),
        #[cfg(feature = "ssh")]
        ("qemu+ext:///system", "takes the parameter command"),
        #[cfg(feature = "ssh")]
        ("qemu+ext:///system?command=/nonexistent", "cannot connect to /nonexistent: No such file"),
        #[cfg(not(feature = "ssh"))]
        ("qemu+ssh://host/system", "it takes the feature ssh"),
        #[cfg(not(feature = "tls"))]
        ("qemu+tls://host/system", "it takes the feature tls"),
        ("qemu+unix:///system?mode=sideways", "mode"),
        ("qemu+unix:///system?socket=/nonexistent", "cannot connect to /nonexistent: No such file"),
        ("qemu+tcp://127.0.0.1:1/system", "cannot connect to 127.0.0.1:1"),
    ] {
        let error = Connection::open(uri).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{uri}: {error}");
    }
}

#[tokio::test]
async fn a_socket_that_takes_no_more_clients_for_now_is_waited_for() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let listener = std::os::unix::net::UnixListener::from(listener);
    let mut waiting = Vec::new();
    while let Ok(client) = UnixStream::connect(&path).await {
        waiting.push(client);
    }
    let uri = format!("test+unix:///scripted?socket={}", path.display());
    let open = |limit| Connection::builder(&uri).no_keepalive().connect_timeout(limit).open();
    let error = open(Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");

    let opening = tokio::spawn(open(Duration::from_secs(30)));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!opening.is_finished());
    for _ in 0..waiting.len() {
        listener.accept().unwrap();
    }
    let (socket, _) = tokio::task::spawn_blocking(move || listener.accept().unwrap()).await.unwrap();
    socket.set_nonblocking(true).unwrap();
    let _peer = Peer::start(UnixStream::from_std(socket).unwrap());
    assert!(opening.await.unwrap().unwrap().is_alive());
}

#[cfg(not(feature = "embedded"))]
#[tokio::test]
async fn the_test_driver_in_the_process_takes_its_feature() {
    let error = Connection::open("test:///default").await.unwrap_err();
    assert!(error.to_string().contains("which takes the feature embedded"), "{error}");
}
