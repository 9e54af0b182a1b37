//! Calls: in any order, at once, wrong, panicking, too many, too large.

mod common;

use bytes::Bytes;
use common::raw::{Raw, Wire};
use common::soon;
use common::tiny::{domain, server, tiny};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;
use virtwire_proto::connection::CallOptions;
use virtwire_proto::connection::Time;
use virtwire_proto::packet::MAX_PAYLOAD_LEN;
use virtwire_proto::program::remote::*;
use virtwire_proto::program::{Call, Program};
use virtwire_server::{Client, CloseReason, Config, Peer, Reply, Request, Server, Service};

fn text(error: &virtwire_proto::program::net::MessageError) -> (i32, i32, String) {
    let message = error.message.as_ref().map(|text| text.to_str().unwrap().to_owned());
    (error.code, error.domain, message.unwrap_or_default())
}

#[tokio::test]
async fn a_call_is_answered() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let args = DomainGetInfoArgs { dom: domain() };
    let info = raw.call(&args).await.unwrap();
    assert_eq!((info.state, info.max_mem, info.nr_virt_cpu), (1, 1024, 2));
    assert!(tiny.client().peer().credentials.is_some_and(|own| own.pid == Some(std::process::id() as i32)));
}

#[tokio::test]
async fn a_call_that_waits_holds_up_no_other() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let slow = raw.start(&ConnectGetCapabilitiesArgs {});
    let quick = raw.start(&ConnectGetHostnameArgs {});
    assert_eq!(raw.any_reply().await, quick);
    tiny.gate.add_permits(1);
    assert_eq!(raw.any_reply().await, slow);
}

#[tokio::test]
async fn no_more_calls_are_worked_on_than_are_allowed_and_the_rest_waits() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let waiting: Vec<_> = (0..5).map(|_| raw.start(&ConnectGetCapabilitiesArgs {})).collect();
    let quick = raw.start(&ConnectGetHostnameArgs {});
    raw.flush().await;
    let none = tokio::time::timeout(Duration::from_millis(100), raw.any_reply()).await;
    assert!(none.is_err(), "a sixth call was answered");
    tiny.gate.add_permits(1);
    let mut answers = vec![raw.any_reply().await, raw.any_reply().await];
    answers.sort();
    assert_eq!(answers, [waiting[0], quick]);
    tiny.gate.add_permits(4);
    for _ in 0..4 {
        raw.any_reply().await;
    }
}

#[tokio::test]
async fn a_thousand_calls_at_once_over_tcp() {
    let (tiny, _) = tiny();
    let server = server(&tiny);
    let listener = virtwire_server::Listener::tcp("127.0.0.1:0").await.unwrap();
    let virtwire_server::ListenAddress::Tcp(address) = *listener.address() else { panic!("not TCP") };
    server.listen(listener);
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let own = stream.local_addr().unwrap();
    let mut raw = Raw::new(Wire::Tcp(stream));
    raw.call(&ConnectOpenArgs::default()).await.unwrap();
    assert_eq!(tiny.client().peer().address, Some(own));
    let serials: Vec<_> = (0..1000).map(|_| raw.start(&ConnectGetHostnameArgs {})).collect();
    for serial in serials {
        raw.reply(serial).await.unwrap();
    }
}

#[tokio::test]
async fn a_panic_fails_its_call_alone() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    for _ in 0..2 {
        let error = raw.call(&ConnectGetTypeArgs {}).await.unwrap_err();
        assert_eq!(text(&error), (1, 7, "internal error: the service failed unexpectedly".to_owned()));
        let error = raw.call(&ConnectGetVersionArgs {}).await.unwrap_err();
        assert_eq!(error.code, 1);
    }
    raw.call(&ConnectGetHostnameArgs {}).await.unwrap();
}

#[tokio::test]
async fn what_is_not_implemented_is_not_supported() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let error = raw.call(&DomainCreateArgs { dom: domain() }).await.unwrap_err();
    let message = "this function is not supported by the connection driver: virDomainCreate";
    assert_eq!(text(&error), (3, 20, message.to_owned()));
    assert_eq!(error.level, 2);
    let error = raw.call(&NodeGetInfoArgs {}).await.unwrap_err();
    let message = "this function is not supported by the connection driver: virNodeGetInfo";
    assert_eq!(text(&error), (3, 20, message.to_owned()));
}

#[tokio::test]
async fn a_read_only_connection_reads_and_no_more() {
    let (tiny, _) = tiny();
    let mut raw = Raw::joined(&server(&tiny));
    raw.call(&ConnectOpenArgs { name: None, flags: 1 }).await.unwrap();
    raw.call(&DomainGetInfoArgs { dom: domain() }).await.unwrap();
    let refused = "operation forbidden: read only access prevents ";
    let error = raw.call(&DomainCreateArgs { dom: domain() }).await.unwrap_err();
    assert_eq!(text(&error), (29, 20, format!("{refused}virDomainCreate")));
    let error = raw.call(&DomainMigrateConfirm3Args::default()).await.unwrap_err();
    assert_eq!(text(&error), (29, 20, format!("{refused}virDomainMigrateConfirm3")));
    let vol = common::tiny::volume("well");
    let args = StorageVolUploadArgs { vol, offset: 0, length: 0, flags: 0 };
    assert_eq!(text(&raw.call(&args).await.unwrap_err()).0, 29);
}

#[test]
fn many_procedures_write_and_those_that_look_do_not() {
    let writes = PROGRAM.procedures.iter().filter(|procedure| procedure.writes).count();
    assert!((170..230).contains(&writes), "{writes}");
    let named = |name| PROGRAM.procedure_named(name).unwrap();
    for name in ["domain_create", "domain_destroy", "storage_vol_delete", "domain_announce_interface"] {
        assert!(named(name).writes, "{name}");
    }
    for procedure in PROGRAM.procedures {
        let looks = ["_get_info", "_get_state", "_lookup_by_name", "_lookup_by_uuid", "list_all_domains"];
        assert!(!procedure.writes || !looks.iter().any(|end| procedure.name.ends_with(end)), "{procedure}");
    }
}

#[tokio::test]
async fn arguments_that_cannot_be_decoded_are_an_error() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let serial = raw
        .machine
        .call_raw(DomainGetInfoArgs::PROCEDURE, &[0, 0, 0, 9], CallOptions::default(), Time::START)
        .unwrap();
    let error = raw.reply(serial).await.unwrap_err();
    let (code, domain, message) = text(&error);
    assert_eq!((code, domain), (39, 7));
    assert!(message.starts_with("Unable to decode message payload"), "{message}");
}

#[tokio::test]
async fn unknown_programs_and_procedures_are_errors_and_no_more() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    let error =
        raw.call(&virtwire_proto::program::lxc::DomainOpenNamespaceArgs::default()).await.unwrap_err();
    assert!(text(&error).2.starts_with("Cannot find program"), "{error:?}");
    raw.call(&ConnectGetHostnameArgs {}).await.unwrap();
}

#[tokio::test]
async fn the_connection_is_opened_first_and_once() {
    let (tiny, _) = tiny();
    let mut raw = Raw::joined(&server(&tiny));
    let closed = "internal error: hypervisor connection not open";
    let feature = |feature| ConnectSupportsFeatureArgs { feature };
    let error = raw.call(&ConnectGetHostnameArgs {}).await.unwrap_err();
    assert_eq!(text(&error), (1, 7, closed.to_owned()));
    assert_eq!(text(&raw.call(&feature(14)).await.unwrap_err()).2, closed);
    assert_eq!(raw.call(&feature(10)).await.unwrap().supported, 1);
    raw.call(&ConnectOpenArgs::default()).await.unwrap();
    let error = raw.call(&ConnectOpenArgs::default()).await.unwrap_err();
    assert_eq!(text(&error), (1, 7, "internal error: connection already open".to_owned()));
    for own in [8, 14, 15] {
        assert_eq!(raw.call(&feature(own)).await.unwrap().supported, 1);
    }
    assert_eq!(raw.call(&feature(16)).await.unwrap().supported, 0, "the service is asked for the rest");
}

#[tokio::test]
async fn close_is_answered_and_ends_the_connection() {
    let (tiny, _) = tiny();
    let mut raw = Raw::opened(&server(&tiny)).await;
    raw.call(&ConnectCloseArgs {}).await.unwrap();
    assert_eq!(raw.closed().await, CloseReason::Peer);
    assert_eq!(soon(tiny.client().closed()).await, CloseReason::Local);
}

#[tokio::test]
async fn who_sends_garbage_is_the_only_one_to_go() {
    let (tiny, _) = tiny();
    let server = server(&tiny);
    let mut good = Raw::opened(&server).await;
    for garbage in [&[0_u8; 64][..], &[0xff; 64], b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"] {
        let mut bad = Raw::opened(&server).await;
        let client = tiny.client();
        bad.write(garbage).await.unwrap();
        assert_eq!(bad.closed().await, CloseReason::Peer);
        assert!(matches!(soon(client.closed()).await, CloseReason::Framing(_)));
        good.call(&ConnectGetHostnameArgs {}).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_ends_with_its_client() {
    let (tiny, _) = tiny();
    let server = server(&tiny);
    let mut raw = Raw::opened(&server).await;
    // As many as are worked on at once: their client's end is seen all the same.
    for _ in 0..5 {
        raw.start(&ConnectGetCapabilitiesArgs {});
    }
    raw.flush().await;
    soon(tiny.waiting.notified()).await;
    let client = tiny.client();
    drop(raw);
    assert_eq!(soon(client.closed()).await, CloseReason::Peer);
    // Nobody waits at the gate any more: who comes next gets through.
    let mut next = Raw::opened(&server).await;
    tiny.gate.add_permits(1);
    next.call(&ConnectGetCapabilitiesArgs {}).await.unwrap();
}

/// Answers with as many bytes as the arguments say.
struct Bulk;

impl Service for Bulk {
    fn programs(&self) -> Vec<&'static Program> {
        vec![&PROGRAM]
    }

    fn call(self: Arc<Self>, _: Client, request: Request) -> virtwire_server::service::ServiceFuture {
        let len = request.payload.first_chunk().map_or(0, |len| u32::from_be_bytes(*len));
        Box::pin(ready(Ok(Reply::raw(Bytes::from(vec![7; len as usize])))))
    }
}

async fn bulk(raw: &mut Raw, len: usize) -> Result<usize, (i32, i32, String)> {
    let payload = u32::try_from(len).unwrap().to_be_bytes();
    let serial = raw
        .machine
        .call_raw(ConnectGetHostnameArgs::PROCEDURE, &payload, CallOptions::default(), Time::START)
        .unwrap();
    raw.reply(serial).await.map(|reply| reply.payload.len()).map_err(|error| text(&error))
}

#[tokio::test]
async fn the_longest_answer_passes_and_one_byte_more_is_an_error_that_says_so() {
    let mut raw = Raw::joined(&Server::new(Arc::new(Bulk)));
    assert_eq!(bulk(&mut raw, MAX_PAYLOAD_LEN).await, Ok(MAX_PAYLOAD_LEN));
    let (code, domain, message) = bulk(&mut raw, MAX_PAYLOAD_LEN + 1).await.unwrap_err();
    assert_eq!((code, domain), (39, 7));
    assert!(message.contains("33554437 bytes exceeds the maximum of 33554436"), "{message}");
    assert_eq!(bulk(&mut raw, 3).await, Ok(3));
}

#[tokio::test]
async fn who_does_not_read_its_answers_is_not_read_either() {
    let config = Config::new().max_waiting_output(1 << 20);
    let server = Server::new(Arc::new(Bulk)).with_config(config);
    let (near, far) = tokio::io::duplex(64 << 10);
    let client = server.serve_stream(far, Peer::new());
    let (mut reader, mut writer) = tokio::io::split(near);
    let mut raw = Raw::joined(&server);
    let payload = 100_000_u32.to_be_bytes();
    for _ in 0..20_000 {
        let options = CallOptions::default();
        raw.machine.call_raw(ConnectGetHostnameArgs::PROCEDURE, &payload, options, Time::START).ok();
    }
    let mut calls = Vec::new();
    while let Some(virtwire_proto::connection::Transmit::Bytes(bytes)) = raw.machine.transmit() {
        calls.extend_from_slice(&bytes);
    }
    let writing = tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut writer, &calls).await.unwrap();
        writer
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!writing.is_finished(), "320 kB of calls were taken, for 1 GB of answers that nobody reads");
    assert!(!client.is_closed());
    // Once it reads, all is answered.
    let mut answers = vec![0; 10_000 * (28 + 100_000)];
    soon(tokio::io::AsyncReadExt::read_exact(&mut reader, &mut answers)).await.unwrap();
    soon(writing).await.unwrap();
}
