//! A client that outlasts its link: what the link had fails, what it never had waits for the next.

use crate::rig::{Pair, Side};
use crate::samples::*;
use bytes::Bytes;
use std::time::Duration;
use virtwire_proto::connection::{
    CallError, CallOptions, ClientEvent, CloseReason, Keepalive, SendError, Server, ServerConfig,
    StreamEvent, StreamFailure, Time,
};
use virtwire_proto::packet::{PacketError, Serial};
use virtwire_proto::program::PROGRAMS;
use virtwire_proto::program::remote::*;

const CAP: usize = 4;

/// A pair whose client outlasts its link, with a stream, a subscription, as many calls in flight as may be, and 2
/// that wait.
fn busy() -> (Pair, Serial, Serial, Vec<Serial>) {
    let mut pair = Pair::open();
    pair.client.outlast_links(true);
    let stream = pair.client.call(&download(), Time::START).unwrap();
    let id = pair.called().id;
    pair.server.reply(id, &()).unwrap();
    pair.run();
    pair.client.result(stream).unwrap();
    let subscription =
        pair.client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
    let id = pair.called().id;
    pair.server.reply(id, &registered_domain(1)).unwrap();
    pair.run();
    pair.client.result(subscription).unwrap();
    let calls = (0..CAP + 2).map(|_| pair.client.call(&VERSION, Time::START).unwrap()).collect();
    pair.run();
    (pair, stream, subscription, calls)
}

/// The client's link is lost, and what that ends is told. Its next bytes are for a new server.
fn lose(pair: &mut Pair, reason: &CloseReason) -> (Vec<Serial>, Vec<Serial>) {
    pair.client.lose(reason.clone());
    let (mut calls, mut streams) = (Vec::new(), Vec::new());
    loop {
        match pair.client.event() {
            Some(ClientEvent::Reply { serial, result: Err(CallError::Closed(why)) }) => {
                assert_eq!(&why, reason);
                calls.push(serial);
            }
            Some(ClientEvent::Stream { serial, event: StreamEvent::Failed(StreamFailure::Closed(why)) }) => {
                assert_eq!(&why, reason);
                streams.push(serial);
            }
            Some(ClientEvent::Lost { reason: why }) => {
                assert_eq!(&why, reason);
                break;
            }
            other => panic!("expected the loss, got {other:?}"),
        }
    }
    pair.client.no_event();
    pair.client.bytes.clear();
    pair.server = Side::new(Server::new(ServerConfig::new(PROGRAMS), Time::START));
    (calls, streams)
}

fn answer(pair: &mut Pair, call: Serial) {
    let id = pair.called().id;
    pair.server.reply(id, &version(1)).unwrap();
    pair.run();
    pair.client.result(call).unwrap();
}

#[test]
fn what_was_sent_fails_and_what_was_not_waits() {
    let (mut pair, stream, subscription, calls) = busy();
    pair.client.send(stream, Bytes::from_static(b"unwritten")).unwrap();
    let (failed, streams) = lose(&mut pair, &CloseReason::Peer);
    assert_eq!(failed, calls[..CAP]);
    assert_eq!(streams, [stream]);
    assert_eq!(pair.client.close_reason(), None);
    assert_eq!(pair.client.send(stream, Bytes::from_static(b"x")), Err(SendError::NoStream(stream)));

    // Nothing goes out until it is let go, neither of before nor of now.
    let last = pair.client.call(&VERSION, Time::START).unwrap();
    assert!(last > calls[CAP + 1]);
    pair.client.unsubscribe(subscription);
    assert!(pair.client.written().is_empty());
    pair.client.release_calls();
    for call in [calls[CAP], calls[CAP + 1], last] {
        answer(&mut pair, call);
    }
    pair.client.no_event();
    assert_eq!(pair.client.pending_calls(), 0);
}

#[test]
fn what_opens_the_link_goes_ahead_within_the_cap() {
    let (mut pair, ..) = busy();
    lose(&mut pair, &CloseReason::Peer);
    let held = pair.client.call(&VERSION, Time::START).unwrap();
    let ahead: Vec<_> = (0..CAP + 2)
        .map(|_| pair.client.ahead(|client| client.call(&VERSION, Time::START).unwrap()))
        .collect();
    // Whoever authenticates need not say so.
    let list = pair.client.call(&AuthListArgs {}, Time::START).unwrap();
    pair.run();
    for _ in 0..CAP {
        let id = pair.server.called().id;
        pair.server.reply(id, &version(1)).unwrap();
    }
    pair.server.no_event();
    pair.run();
    for call in &ahead[..CAP] {
        pair.client.result(*call).unwrap();
    }
    for _ in 0..2 {
        let id = pair.server.called().id;
        pair.server.reply(id, &version(1)).unwrap();
    }
    pair.run();
    let mut answered: Vec<_> = std::iter::from_fn(|| match pair.client.event()? {
        ClientEvent::Reply { serial, .. } => Some(serial),
        other => panic!("{other:?}"),
    })
    .collect();
    answered.sort();
    assert_eq!(answered, [ahead[CAP], ahead[CAP + 1], list]);
    // Only then those that wait.
    pair.client.release_calls();
    pair.run();
    for _ in 0..3 {
        let call = pair.server.called();
        pair.server.reply(call.id, &version(1)).unwrap();
    }
    pair.run();
    let mut replies = std::iter::from_fn(|| pair.client.event());
    assert!(replies.any(|event| matches!(event, ClientEvent::Reply { serial, .. } if serial == held)));
}

#[test]
fn a_link_lost_while_it_is_opened_takes_only_what_opened_it() {
    let (mut pair, _, _, calls) = busy();
    lose(&mut pair, &CloseReason::Peer);
    let opening: Vec<_> = (0..CAP + 1)
        .map(|_| pair.client.ahead(|client| client.call(&VERSION, Time::START).unwrap()))
        .collect();
    let (failed, _) = lose(&mut pair, &CloseReason::Transport("reset".into()));
    assert_eq!(failed, opening);
    pair.client.release_calls();
    for call in &calls[CAP..] {
        answer(&mut pair, *call);
    }
}

#[test]
fn deadlines_and_cancels_hold_for_those_that_wait() {
    let (mut pair, _, _, calls) = busy();
    let options = CallOptions { deadline: Some(Time::START + Duration::from_secs(5)), ..Default::default() };
    let limited = pair.client.call_with(&VERSION, options, Time::START).unwrap();
    lose(&mut pair, &CloseReason::Peer);
    pair.client.cancel(calls[CAP]);
    pair.client.pass(Duration::from_secs(4));
    pair.client.no_event();
    pair.client.pass(Duration::from_secs(1));
    assert!(matches!(pair.client.result(limited), Err(CallError::TimedOut)));
    assert_eq!(pair.client.deadline(), None);
    pair.client.release_calls();
    answer(&mut pair, calls[CAP + 1]);
    pair.server.no_event();
}

#[test]
fn deregistrations_are_not_carried_to_another_link() {
    let (mut pair, _, subscription, calls) = busy();
    // It waits its turn behind the cap.
    pair.client.unsubscribe(subscription);
    lose(&mut pair, &CloseReason::Peer);
    assert_eq!(pair.client.pending_calls(), 2);
    pair.client.release_calls();
    answer(&mut pair, calls[CAP]);
    answer(&mut pair, calls[CAP + 1]);
    pair.server.no_event();
}

#[test]
fn a_registration_is_made_again_ahead_of_calls() {
    let (mut pair, ..) = busy();
    lose(&mut pair, &CloseReason::Peer);
    let args = virtwire_proto::xdr::to_bytes(&register_domain()).unwrap();
    let procedure = <ConnectDomainEventCallbackRegisterAnyArgs as virtwire_proto::program::Call>::PROCEDURE;
    let again = pair
        .client
        .ahead(|client| client.subscribe_shared_raw(procedure, args, CallOptions::default(), Time::START))
        .unwrap();
    let call = pair.called();
    assert_eq!(call.args::<ConnectDomainEventCallbackRegisterAnyArgs>().unwrap(), register_domain());
    // An event that overtakes the answer is not lost.
    pair.server.emit(&domain_event(7, 1)).unwrap();
    pair.server.reply(call.id, &registered_domain(7)).unwrap();
    pair.run();
    pair.client.result(again).unwrap();
    let event = pair.client.event();
    assert!(matches!(event, Some(ClientEvent::Message { subscription: Some(of), .. }) if of == again));
    // And one that is dropped before calls go on is undone at once.
    pair.client.unsubscribe(again);
    let call = pair.called();
    assert_eq!(call.args::<ConnectDomainEventCallbackDeregisterAnyArgs>().unwrap().callback_id, 7);
}

#[test]
fn the_end_for_good_takes_all() {
    let (mut pair, _, _, calls) = busy();
    lose(&mut pair, &CloseReason::Peer);
    pair.client.close(CloseReason::Local);
    for call in &calls[CAP..] {
        assert!(matches!(pair.client.result(*call), Err(CallError::Closed(CloseReason::Local))));
    }
    assert!(matches!(pair.client.event(), Some(ClientEvent::Closed { reason: CloseReason::Local })));
    assert!(pair.client.call(&VERSION, Time::START).is_err());
    // Behind that nothing can be lost.
    pair.client.lose(CloseReason::Peer);
    pair.client.no_event();
}

#[test]
fn a_client_that_does_not_outlast_its_link_ends_with_it() {
    let (mut pair, ..) = busy();
    pair.client.outlast_links(false);
    pair.client.lose(CloseReason::Peer);
    assert_eq!(pair.client.close_reason(), Some(&CloseReason::Peer));
    assert_eq!(pair.client.pending_calls(), 0);
}

#[test]
fn every_way_to_lose_the_link_is_one() {
    // Silence.
    let (mut pair, ..) = busy();
    pair.client.start_keepalive(Keepalive { interval: Duration::from_secs(1), count: 1 }, Time::START);
    pair.client.pass(Duration::from_secs(10));
    let mut events = std::iter::from_fn(|| pair.client.event());
    assert!(
        events.any(|event| { matches!(event, ClientEvent::Lost { reason: CloseReason::Keepalive { .. } }) })
    );
    // The new link has no keepalive until it is started.
    assert_eq!(pair.client.deadline(), None);
    // What is no packet.
    let (mut pair, ..) = busy();
    pair.client.feed(&[0; 28]);
    let mut events = std::iter::from_fn(|| pair.client.event());
    assert!(events.any(|event| matches!(event, ClientEvent::Lost { reason: CloseReason::Framing(_) })));
    assert_eq!(pair.client.close_reason(), None);
}

#[derive(Debug)]
struct Nothing;

impl virtwire_proto::connection::SecurityLayer for Nothing {
    fn wrap(
        &mut self,
        plain: &[u8],
        sealed: &mut bytes::BytesMut,
    ) -> Result<(), virtwire_proto::connection::SecurityError> {
        sealed.extend_from_slice(plain);
        Ok(())
    }
    fn unwrap(
        &mut self,
        sealed: &mut bytes::BytesMut,
        plain: &mut bytes::BytesMut,
    ) -> Result<(), virtwire_proto::connection::SecurityError> {
        plain.extend_from_slice(&sealed.split());
        Ok(())
    }
}

#[test]
fn descriptors_do_not_wait_for_a_link_that_cannot_carry_them() {
    let (mut pair, _, _, calls) = busy();
    lose(&mut pair, &CloseReason::Peer);
    let options = CallOptions { descriptors: vec![descriptor()], ..Default::default() };
    let carrying = pair.client.call_with(&graphics(), options, Time::START).unwrap();
    pair.client.authenticated(Some(Box::new(Nothing)));
    pair.client.release_calls();
    match pair.client.result(carrying) {
        Err(CallError::Refused(PacketError::Sealed { .. })) => {}
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(pair.client.headers().iter().map(|of| of.serial).collect::<Vec<_>>(), calls[CAP..]);
}
