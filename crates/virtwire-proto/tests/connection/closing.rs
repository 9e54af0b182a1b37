//! The end of a connection: everything that is open fails at once, with the reason, and nothing stays.

use crate::rig::{Pair, Side, each_split, hand_reply};
use crate::samples::*;
use bytes::Bytes;
use virtwire_proto::connection::{
    CallError, CallOptions, Client, ClientEvent, CloseReason, ReplyError, Server, ServerEvent, StreamEvent,
    StreamFailure, Time,
};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::Call;
use virtwire_proto::program::remote::*;

/// A pair with 5 calls in flight, 3 that wait, 2 streams, one that is being aborted and one that is finishing,
/// a subscription, and something to write on both sides.
fn busy() -> (Pair, Vec<Serial>, Vec<Serial>) {
    let mut pair = Pair::open();
    let mut streams = Vec::new();
    for _ in 0..4 {
        let serial = pair.client.call(&download(), Time::START).unwrap();
        let id = pair.called().id;
        pair.server.reply(id, &()).unwrap();
        pair.run();
        pair.client.result(serial).unwrap();
        streams.push(serial);
    }
    let serial = pair.client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
    let id = pair.called().id;
    pair.server.reply(id, &registered_domain(1)).unwrap();
    pair.run();
    pair.client.result(serial).unwrap();
    pair.client.finish(streams[2]).unwrap();
    pair.client.abort(streams.pop().unwrap());
    let mut calls: Vec<_> = (0..8).map(|_| pair.client.call(&VERSION, Time::START).unwrap()).collect();
    pair.client.cancel(calls.remove(1));
    pair.client.cancel(calls.pop().unwrap());
    pair.run();
    pair.server.emit(&domain_event(1, 1)).unwrap();
    pair.client.send(streams[0], Bytes::from_static(b"x")).unwrap();
    (pair, calls, streams)
}

fn reasons() -> [CloseReason; 3] {
    [CloseReason::Peer, CloseReason::Local, CloseReason::Transport("reset".into())]
}

#[test]
fn everything_open_fails_at_once_with_the_reason() {
    for reason in reasons() {
        let (mut pair, calls, streams) = busy();
        let client = &mut pair.client;
        client.close(reason.clone());
        for call in calls {
            match client.result(call) {
                Err(CallError::Closed(why)) => assert_eq!(why, reason),
                other => panic!("expected the reason, got {other:?}"),
            }
        }
        for stream in streams {
            match client.event() {
                Some(ClientEvent::Stream {
                    serial,
                    event: StreamEvent::Failed(StreamFailure::Closed(why)),
                }) => {
                    assert_eq!((serial, &why), (stream, &reason));
                }
                other => panic!("expected the reason, got {other:?}"),
            }
        }
        assert!(matches!(client.event(), Some(ClientEvent::Closed { reason: why }) if why == reason));
        client.no_event();
        assert_eq!((client.pending_calls(), client.pending_bytes(), client.deadline()), (0, 0, None));
        assert!(client.written().is_empty());
    }
}

#[test]
fn a_servers_end_ends_its_calls_and_streams() {
    for reason in reasons() {
        let (mut pair, ..) = busy();
        let mut ids = Vec::new();
        while let Some(event) = pair.server.event() {
            match event {
                ServerEvent::Call(call) => ids.push(call.id),
                ServerEvent::Stream { id, .. } => ids.push(id),
                other => panic!("expected calls and streams, got {other:?}"),
            }
        }
        let server = &mut pair.server;
        server.close(reason.clone());
        assert!(matches!(server.event(), Some(ServerEvent::Closed { reason: why }) if why == reason));
        for id in ids {
            assert_eq!(server.reply(id, &version(1)), Err(ReplyError::NotWaiting));
            assert!(server.send(id, Bytes::from_static(b"x")).is_err());
        }
        server.emit(&domain_event(1, 2)).unwrap();
        server.no_event();
        assert_eq!((server.pending_calls(), server.pending_bytes(), server.deadline()), (0, 0, None));
        assert!(!server.wants_bytes());
        assert!(server.written().is_empty());
    }
}

#[test]
fn the_first_reason_counts() {
    let mut client = Client::new(Default::default(), Time::START);
    client.close(CloseReason::Peer);
    client.close(CloseReason::Local);
    assert_eq!(client.close_reason(), Some(&CloseReason::Peer));
    assert!(matches!(client.event(), Some(ClientEvent::Closed { reason: CloseReason::Peer })));
    assert!(client.event().is_none());
    let mut server = Server::new(virtwire_proto::connection::ServerConfig::new(&[]), Time::START);
    server.close(CloseReason::Peer);
    server.close(CloseReason::Local);
    assert_eq!(server.close_reason(), Some(&CloseReason::Peer));
}

#[test]
fn nothing_can_be_done_on_a_closed_connection_and_nothing_breaks() {
    let (mut pair, calls, streams) = busy();
    let client = &mut pair.client;
    client.close(CloseReason::Peer);
    while client.event().is_some() {}
    for &serial in calls.iter().chain(&streams) {
        client.cancel(serial);
        client.unsubscribe(serial);
        client.abort(serial);
        assert!(client.send(serial, Bytes::from_static(b"x")).is_err());
        assert!(client.send_hole(serial, 1, 0).is_err());
        assert!(client.finish(serial).is_err());
    }
    client.timeout(Time::START);
    client.authenticated(None);
    client.start_keepalive(Default::default(), Time::START);
    assert_eq!(client.deadline(), None);
    client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap_err();
    client.no_event();
    assert!(client.written().is_empty());
}

#[test]
fn what_came_before_the_end_is_still_told() {
    each_split(Side::client, |client| {
        let [answered, open] = [(); 2].map(|()| client.call(&VERSION, Time::START).unwrap());
        client.feed(&hand_reply(ConnectGetLibVersionArgs::PROCEDURE, answered, &version(7)));
        client.close(CloseReason::Peer);
        client.result(answered).unwrap();
        client.result(open).unwrap_err();
        assert!(matches!(client.event(), Some(ClientEvent::Closed { .. })));
    });
}

#[test]
fn a_cancelled_registration_is_forgotten_with_the_connection() {
    let mut client = Side::client();
    let serial = client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
    client.cancel(serial);
    client.close(CloseReason::Peer);
    assert!(matches!(client.event(), Some(ClientEvent::Closed { .. })));
    client.no_event();
    assert_eq!(client.pending_calls(), 0);
}
