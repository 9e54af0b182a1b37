//! SASL with a daemon played by hand: what it asks, how it breaks off, and the layer behind it.

mod support;

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::digest;
use support::{Peer, builder, failure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use virtwire::proto::connection::{
    Authentication, CloseReason, Keepalive, SaslReply, SecurityLayer, ServerEvent, Time,
};
use virtwire::proto::program::remote;
use virtwire::{Builder, Connection, Credentials, Error, Reconnect, Result};

type Opening = JoinHandle<Result<Connection>>;

fn fred() -> Builder {
    builder().credentials(Credentials::new("fred", "secret"))
}

/// An opening that has been told these mechanisms.
async fn opening(builder: Builder, mechanisms: &'static str) -> (Peer, Opening) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = Peer::start_asking(theirs, Authentication::Sasl);
    let opening = tokio::spawn(builder.open_on(ours));
    offer(&mut peer, mechanisms).await;
    (peer, opening)
}

async fn offer(peer: &mut Peer, mechanisms: &'static str) {
    let ServerEvent::SaslInit { id } = peer.event().await else { panic!("the mechanisms are asked for") };
    peer.with(move |server| server.sasl_mechanisms(id, mechanisms).unwrap()).await;
}

/// The mechanism that is started, and what comes along; answered with `reply`.
async fn start(peer: &mut Peer, reply: SaslReply) -> (String, Option<Bytes>) {
    match peer.event().await {
        ServerEvent::SaslStart { id, mechanism, data } => {
            peer.with(move |server| server.sasl_reply(id, reply).unwrap()).await;
            (mechanism.to_string(), data)
        }
        other => panic!("expected a mechanism's start, got {other:?}"),
    }
}

/// The client's next step, answered with what `reply` makes of it.
async fn step(
    peer: &mut Peer,
    reply: impl FnOnce(Option<&[u8]>) -> SaslReply + Send + 'static,
) -> Option<Bytes> {
    match peer.event().await {
        ServerEvent::SaslStep { id, data } => {
            let reply = reply(data.as_deref());
            peer.with(move |server| server.sasl_reply(id, reply).unwrap()).await;
            data
        }
        other => panic!("expected a step, got {other:?}"),
    }
}

fn challenge(text: &str) -> SaslReply {
    SaslReply::Challenge(Some(Bytes::copy_from_slice(text.as_bytes())))
}

fn complete(data: Option<&str>) -> SaslReply {
    let data = data.map(|text| Bytes::copy_from_slice(text.as_bytes()));
    SaslReply::Complete { data, layer: None }
}

async fn refusal(peer: &mut Peer, opening: Opening) -> String {
    let error = opening.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Authentication(_)), "{error:?}");
    // And the socket is closed.
    peer.closed().await;
    error.to_string()
}

#[tokio::test]
async fn external_says_whom_to_act_as_or_nothing() {
    for (credentials, said) in [(Credentials::default(), ""), (Credentials::default().act_as("fred"), "fred")]
    {
        let (mut peer, opening) = opening(builder().credentials(credentials), "EXTERNAL").await;
        let (mechanism, data) = start(&mut peer, complete(None)).await;
        assert_eq!((&*mechanism, data.as_deref()), ("EXTERNAL", Some(said.as_bytes())));
        assert!(opening.await.unwrap().unwrap().is_alive());
    }
}

#[tokio::test]
async fn external_is_said_again_to_a_daemon_that_heard_nothing() {
    let (mut peer, opening) = opening(builder().credentials(Credentials::default()), "EXTERNAL").await;
    start(&mut peer, SaslReply::Challenge(None)).await;
    let data = step(&mut peer, |_| complete(None)).await;
    assert_eq!(data.as_deref(), Some(&b""[..]));
    assert!(opening.await.unwrap().unwrap().is_alive());
}

#[tokio::test]
async fn anonymous_asks_nobody() {
    let builder = builder().ask_credentials(|_| async { panic!("nobody is asked") });
    let (mut peer, opening) = opening(builder, "GSSAPI ANONYMOUS").await;
    let (mechanism, data) = start(&mut peer, complete(None)).await;
    assert_eq!((&*mechanism, data.as_deref()), ("ANONYMOUS", Some(&b"anonymous"[..])));
    assert!(opening.await.unwrap().unwrap().is_alive());
}

#[tokio::test]
async fn what_is_offered_is_said_where_nothing_is_in_common() {
    let (mut peer, opening) = opening(fred(), "GSSAPI,NTLM").await;
    let text = refusal(&mut peer, opening).await;
    assert!(
        text.contains("no mechanism in common: the daemon offers GSSAPI, NTLM, here there are SCRAM"),
        "{text}"
    );
}

#[tokio::test]
async fn malformed_challenges_are_refused() {
    for (mechanism, data, reason) in [
        ("SCRAM-SHA-256", "r=mine,s=QSXC,i=4096", "not ours with the daemon's behind it"),
        ("SCRAM-SHA-1", "", "expected r= and a nonce"),
        ("DIGEST-MD5", "nonce=\"x", "expected a closing quote"),
        ("CRAM-MD5", "", "the daemon's challenge is empty"),
    ] {
        let (mut peer, opening) = opening(fred(), mechanism).await;
        start(&mut peer, challenge(data)).await;
        let text = refusal(&mut peer, opening).await;
        assert!(text.starts_with(&format!("authentication failed: {mechanism}: ")), "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn a_daemon_that_proves_nothing_is_refused() {
    for (proof, reason) in [
        (complete(Some("v=AAAA")), "does not prove that it knows the password"),
        (complete(None), "expected the daemon's proof"),
        (challenge("v=AAAA"), "does not prove that it knows the password"),
        (challenge("e=other-error"), "the daemon refuses: \"other-error\""),
    ] {
        let (mut peer, opening) = opening(fred(), "SCRAM-SHA-256").await;
        let ServerEvent::SaslStart { id, data, .. } = peer.event().await else { panic!("a start") };
        let first = String::from_utf8(data.unwrap().to_vec()).unwrap();
        let nonce = first.strip_prefix("n,,n=fred,r=").unwrap();
        let reply = challenge(&format!("r={nonce}more,s=QSXC,i=16"));
        peer.with(move |server| server.sasl_reply(id, reply).unwrap()).await;
        step(&mut peer, |_| proof).await;
        let text = refusal(&mut peer, opening).await;
        assert!(text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn a_daemon_that_is_content_before_all_is_said_is_refused() {
    for mechanism in ["SCRAM-SHA-256", "DIGEST-MD5", "CRAM-MD5"] {
        let (mut peer, opening) = opening(fred(), mechanism).await;
        start(&mut peer, complete(Some("<challenge>"))).await;
        let text = refusal(&mut peer, opening).await;
        assert!(text.starts_with(&format!("authentication failed: {mechanism}: ")), "{text}");
    }
}

#[tokio::test]
async fn a_daemon_that_never_ends_is_cut_off() {
    for mechanism in ["PLAIN", "EXTERNAL", "ANONYMOUS", "CRAM-MD5"] {
        let (mut peer, opening) = opening(fred(), mechanism).await;
        start(&mut peer, challenge("more")).await;
        let mut steps = 0;
        loop {
            match peer.event().await {
                ServerEvent::SaslStep { id, .. } => {
                    steps += 1;
                    peer.with(move |server| server.sasl_reply(id, challenge("more")).unwrap()).await;
                }
                ServerEvent::Closed { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(steps <= 2, "{mechanism}: {steps} steps");
        let text = opening.await.unwrap().unwrap_err().to_string();
        assert!(text.contains("the daemon asks on although all has been said"), "{text}");
    }
}

#[tokio::test]
async fn a_refusal_says_who_and_by_what() {
    let (mut peer, opening) = opening(fred(), "PLAIN").await;
    let (_, data) = start(&mut peer, SaslReply::Failed).await;
    assert_eq!(data.as_deref(), Some(&b"\0fred\0secret"[..]));
    let text = refusal(&mut peer, opening).await;
    assert!(text.starts_with("authentication failed: the daemon refuses \"fred\" by PLAIN: "), "{text}");
}

#[tokio::test]
async fn the_mechanisms_may_be_refused_as_well() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = Peer::start_asking(theirs, Authentication::Sasl);
    let opening = tokio::spawn(fred().open_on(ours));
    let ServerEvent::SaslInit { id } = peer.event().await else { panic!("the mechanisms are asked for") };
    let error = failure(1, 7, "%s", "no SASL mechanisms are available");
    peer.with(move |server| server.reply_error(id, &error).unwrap()).await;
    assert!(refusal(&mut peer, opening).await.contains("no SASL mechanisms are available"));
}

#[tokio::test]
async fn the_program_is_asked_for_each_connection_and_may_refuse() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let builder =
        Connection::builder("test://fred@lab.example.com/scripted").ask_credentials(move |request| {
            let time = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                assert_eq!((&*request.host, request.user.as_deref()), ("lab.example.com", Some("fred")));
                assert_eq!(request.mechanisms, ["SCRAM-SHA-512", "PLAIN"]);
                if time == 2 {
                    Err("the safe is locked".into())
                } else {
                    Ok(Credentials::from_password("secret"))
                }
            }
        });
    for time in 0..3 {
        let (mut peer, opening) = opening(builder.clone(), "PLAIN,SCRAM-SHA-512,NTLM").await;
        if time == 2 {
            let text = refusal(&mut peer, opening).await;
            assert!(text.ends_with("the program gives no credentials: the safe is locked"), "{text}");
        } else {
            let (_, data) = start(&mut peer, SaslReply::Failed).await;
            assert!(data.unwrap().starts_with(b"n,,n=fred,r="));
            refusal(&mut peer, opening).await;
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_the_credentials_lack_is_said() {
    for (credentials, lacks) in [
        (Credentials::default(), "neither"),
        (Credentials::from_password("x"), "no user name"),
        (Credentials::default().user("fred"), "no password"),
    ] {
        let (mut peer, opening) = opening(builder().credentials(credentials), "PLAIN,CRAM-MD5").await;
        let text = refusal(&mut peer, opening).await;
        let reason = "CRAM-MD5 or PLAIN takes a user name and a password: the program gives";
        assert_eq!(text, format!("authentication failed: {reason} {lacks}"));
    }
}

#[tokio::test(start_paused = true)]
async fn one_deadline_is_for_all_of_it() {
    let builder =
        builder().connect_timeout(Duration::from_secs(3)).ask_credentials(|_| std::future::pending());
    let (mut peer, opening) = opening(builder, "PLAIN").await;
    let error = opening.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    peer.closed().await;
}

/// A daemon at the end of DIGEST-MD5, about to let the client in through its layer; `edit` may spoil that.
async fn through_digest(peer: &mut Peer, edit: impl FnOnce(&mut digest::Layer) + Send + 'static) {
    offer(peer, "DIGEST-MD5").await;
    let (mechanism, data) = start(peer, challenge(digest::CHALLENGE)).await;
    assert_eq!((&*mechanism, data), ("DIGEST-MD5", None));
    let ServerEvent::SaslStep { id, data } = peer.event().await else { panic!("the answer") };
    peer.with(move |server| {
        let (proof, mut layer) = digest::accept(&data.unwrap());
        edit(&mut layer);
        let layer: Option<Box<dyn SecurityLayer>> = Some(Box::new(layer));
        server.sasl_reply(id, SaslReply::Complete { data: Some(proof.into()), layer }).unwrap();
        // Sealed already, and written along with the last plain answer.
        server.start_keepalive(Keepalive { interval: Duration::from_secs(1), count: 5 }, Time::START);
        server.timeout(Time::START + Duration::from_secs(1));
    })
    .await;
}

/// A byte stream to a daemon, whose bytes arrive in pieces of `size`.
fn in_pieces(size: usize) -> (UnixStream, UnixStream) {
    let ((ours, near), (far, theirs)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let (mut from_client, mut to_client) = near.into_split();
    let (mut from_daemon, mut to_daemon) = far.into_split();
    tokio::spawn(async move {
        tokio::io::copy(&mut from_client, &mut to_daemon).await.ok();
        to_daemon.shutdown().await.ok();
    });
    tokio::spawn(async move {
        let mut piece = vec![0; size];
        while let Ok(read @ 1..) = from_daemon.read(&mut piece).await {
            if to_client.write_all(&piece[..read]).await.is_err() {
                return;
            }
            // The client's turn, on the only thread that there is.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        }
    });
    (ours, theirs)
}

#[tokio::test]
async fn sealed_bytes_come_in_any_pieces_also_right_behind_the_last_step() {
    for size in [1, 2, 3, 5, 13, 64, 100, 1 << 16] {
        let (ours, theirs) = in_pieces(size);
        let mut peer = Peer::start_asking(theirs, Authentication::Sasl);
        // Of this stream nothing is known: a layer is taken where there is one.
        let opening = tokio::spawn(fred().open_over(ours));
        through_digest(&mut peer, |_| {}).await;
        let connection = opening.await.unwrap().unwrap();
        // The PING has been answered, so that the daemon does not count the client as dead.
        peer.with(|server| server.timeout(Time::START + Duration::from_secs(60))).await;
        let waiting = connection.clone();
        let long = "x".repeat(20_000);
        let args = remote::DomainDefineXmlArgs { xml: long.clone().into() };
        let call = tokio::spawn(async move { waiting.call(&args).await });
        let called = peer.call_of::<remote::DomainDefineXmlArgs>().await;
        assert_eq!(called.args::<remote::DomainDefineXmlArgs>().unwrap().xml, long);
        peer.with(move |server| server.reply(called.id, &remote::DomainDefineXmlRet::default()).unwrap())
            .await;
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_outlasts_its_link_authenticates_on_each() {
    let (arrived, mut peers) = tokio::sync::mpsc::unbounded_channel();
    let connect = move || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        arrived.send(Peer::start_asking(theirs, Authentication::Sasl)).ok();
        std::future::ready(Ok(ours))
    };
    let quick = Reconnect::new().initial_delay(Duration::from_millis(1));
    let opening = tokio::spawn(fred().reconnect(quick).open_with_unix(connect));
    let mut peer = peers.recv().await.unwrap();
    through_digest(&mut peer, |_| {}).await;
    let connection = opening.await.unwrap().unwrap();
    for lib_ver in 1..4 {
        let asking = connection.clone();
        let call = tokio::spawn(async move { asking.call(&remote::ConnectGetLibVersionArgs).await });
        let called = peer.call_of::<remote::ConnectGetLibVersionArgs>().await;
        let ret = remote::ConnectGetLibVersionRet { lib_ver };
        peer.with(move |server| server.reply(called.id, &ret).unwrap()).await;
        assert_eq!(call.await.unwrap().unwrap().lib_ver, lib_ver);
        // Between two packets, and in the middle of an authentication.
        peer.die().await;
        let mut halfway = peers.recv().await.unwrap();
        offer(&mut halfway, "DIGEST-MD5").await;
        start(&mut halfway, challenge(digest::CHALLENGE)).await;
        halfway.die().await;
        peer = peers.recv().await.unwrap();
        through_digest(&mut peer, |_| {}).await;
    }
}

#[tokio::test]
async fn a_forged_packet_ends_the_connection() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = Peer::start_asking(theirs, Authentication::Sasl);
    let opening = tokio::spawn(fred().open_over(ours));
    through_digest(&mut peer, |layer| layer.forge = true).await;
    let error = opening.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Closed { reason: CloseReason::Security(_), .. }), "{error:?}");
    assert!(error.to_string().contains("its MAC differs"), "{error}");
    peer.closed().await;
}

#[tokio::test]
async fn nothing_is_sealed_on_a_socket_that_hides_all() {
    let (mut peer, opening) = opening(fred(), "DIGEST-MD5").await;
    start(&mut peer, challenge(digest::CHALLENGE)).await;
    // The challenge has nothing but auth-conf: better that than nothing.
    let ServerEvent::SaslStep { data, .. } = peer.event().await else { panic!("the answer") };
    assert!(String::from_utf8_lossy(&data.unwrap()).contains("qop=auth-conf"));
    drop(opening);

    let (mut peer, opening) = self::opening(fred(), "DIGEST-MD5").await;
    start(&mut peer, challenge(&digest::CHALLENGE.replace("auth-conf", "auth,auth-conf"))).await;
    let ServerEvent::SaslStep { data, .. } = peer.event().await else { panic!("the answer") };
    let answer = String::from_utf8_lossy(&data.unwrap()).into_owned();
    assert!(answer.ends_with("qop=auth") && !answer.contains("cipher"), "{answer}");
    drop(opening);
}
