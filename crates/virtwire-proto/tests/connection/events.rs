//! Events: to whom they belong, in whatever order they and the replies come.

use crate::rig::{Pair, Side, each_split, each_split_of_a_pair, hand, hand_reply};
use crate::samples::*;
use std::time::Duration;
use virtwire_proto::connection::{CallOptions, Client, ClientConfig, ClientEvent, Time};
use virtwire_proto::packet::{PacketType, Serial, Status};
use virtwire_proto::program::remote::*;
use virtwire_proto::program::{Call, Event, EventClass, Kind, PROGRAMS};
use virtwire_proto::xdr::from_bytes;

/// A subscription to domain events whose callback identifier is this, its reply seen.
fn subscribe_domain(pair: &mut Pair, callback: i32) -> Serial {
    let serial = pair.client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
    let id = pair.called().id;
    pair.server.reply(id, &registered_domain(callback)).unwrap();
    pair.run();
    pair.client.result(serial).unwrap();
    serial
}

/// The next event of the client's: its subscription, and by what it can be told from others.
fn next_event(client: &mut Client) -> (Option<Serial>, i32) {
    match client.event() {
        Some(ClientEvent::Message { subscription, procedure, payload }) => {
            let detail = if procedure == DomainEventCallbackLifecycleMsg::PROCEDURE {
                from_bytes::<DomainEventCallbackLifecycleMsg>(payload).unwrap().msg.detail
            } else {
                from_bytes::<StoragePoolEventLifecycleMsg>(payload).unwrap().detail
            };
            (subscription, detail)
        }
        other => panic!("expected an event, got {other:?}"),
    }
}

#[test]
fn between_a_call_and_its_reply() {
    each_split_of_a_pair(|pair| {
        let subscription = subscribe_domain(pair, 0);
        let serial = pair.client.call(&VERSION, Time::START).unwrap();
        let id = pair.called().id;
        pair.server.emit(&domain_event(0, 11)).unwrap();
        pair.server.reply(id, &version(1)).unwrap();
        pair.server.emit(&domain_event(0, 12)).unwrap();
        pair.run();
        assert_eq!(next_event(&mut pair.client), (Some(subscription), 11));
        pair.client.result(serial).unwrap();
        assert_eq!(next_event(&mut pair.client), (Some(subscription), 12));
        pair.client.no_event();
    });
}

#[test]
fn before_the_registrations_reply() {
    each_split_of_a_pair(|pair| {
        let serial = pair.client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
        let id = pair.called().id;
        for detail in 1..=3 {
            pair.server.emit(&domain_event(42, detail)).unwrap();
        }
        pair.run();
        pair.client.no_event();
        pair.server.reply(id, &registered_domain(42)).unwrap();
        pair.server.emit(&domain_event(42, 4)).unwrap();
        pair.run();
        let reply = pair.client.result(serial).unwrap();
        let ret = reply.decode::<ConnectDomainEventCallbackRegisterAnyArgs>().unwrap();
        assert_eq!(ret.callback_id, 42);
        for detail in 1..=4 {
            assert_eq!(next_event(&mut pair.client), (Some(serial), detail));
        }
        pair.client.no_event();
    });
}

#[test]
fn two_registrations_on_their_way_each_get_their_own() {
    each_split_of_a_pair(|pair| {
        let [first, second] = [(); 2].map(|()| {
            pair.client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap()
        });
        pair.run();
        let ids = [(); 2].map(|()| pair.server.called().id);
        for (callback, detail) in [(1, 10), (0, 20), (1, 11), (0, 21)] {
            pair.server.emit(&domain_event(callback, detail)).unwrap();
        }
        // The second registration is answered first.
        pair.server.reply(ids[1], &registered_domain(1)).unwrap();
        pair.server.reply(ids[0], &registered_domain(0)).unwrap();
        pair.run();
        pair.client.result(second).unwrap();
        assert_eq!(next_event(&mut pair.client), (Some(second), 10));
        assert_eq!(next_event(&mut pair.client), (Some(second), 11));
        pair.client.result(first).unwrap();
        assert_eq!(next_event(&mut pair.client), (Some(first), 20));
        assert_eq!(next_event(&mut pair.client), (Some(first), 21));
        pair.client.no_event();
    });
}

fn client_that_keeps(events: usize, bytes: usize) -> Side<Client> {
    let mut config = ClientConfig::default();
    config.max_parked_events = events;
    config.max_parked_bytes = bytes;
    Side::new(Client::new(config, Time::START))
}

#[test]
fn events_that_pass_the_bound_before_the_reply_are_counted() {
    // By their number, and by their bytes: each message takes 40.
    for (events, bytes) in [(3, 1 << 20), (1000, 3 * 40)] {
        each_split(
            || client_that_keeps(events, bytes),
            |client| {
                let serial =
                    client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
                for detail in 1..=5 {
                    let event = domain_event(9, detail);
                    let procedure = DomainEventCallbackLifecycleMsg::PROCEDURE;
                    client.feed(&hand(procedure, PacketType::MESSAGE, Serial(0), Status::OK, &event));
                }
                client.feed(&hand_reply(
                    ConnectDomainEventCallbackRegisterAnyArgs::PROCEDURE,
                    serial,
                    &registered_domain(9),
                ));
                client.result(serial).unwrap();
                match client.event() {
                    Some(ClientEvent::EventsLost { subscription, count: 2 }) if subscription == serial => {}
                    other => panic!("expected the loss of 2, got {other:?}"),
                }
                for detail in 3..=5 {
                    assert_eq!(next_event(client), (Some(serial), detail), "the oldest are lost");
                }
                client.no_event();
                // A later registration has lost none.
                let later =
                    client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
                let procedure = ConnectDomainEventCallbackRegisterAnyArgs::PROCEDURE;
                client.feed(&hand_reply(procedure, later, &registered_domain(10)));
                client.result(later).unwrap();
                client.no_event();
            },
        );
    }
}

#[test]
fn the_same_identifier_in_two_classes() {
    each_split_of_a_pair(|pair| {
        let domains = subscribe_domain(pair, 0);
        let pools = pair.client.subscribe(&register_pool(), CallOptions::default(), Time::START).unwrap();
        let id = pair.called().id;
        // Parked for the pools alone: the domains' subscription is there already.
        pair.server.emit(&pool_event(0, 1)).unwrap();
        pair.server.emit(&domain_event(0, 2)).unwrap();
        pair.server.reply(id, &registered_pool(0)).unwrap();
        pair.server.emit(&domain_event(0, 3)).unwrap();
        pair.server.emit(&pool_event(0, 4)).unwrap();
        pair.run();
        assert_eq!(next_event(&mut pair.client), (Some(domains), 2));
        pair.client.result(pools).unwrap();
        assert_eq!(next_event(&mut pair.client), (Some(pools), 1));
        assert_eq!(next_event(&mut pair.client), (Some(domains), 3));
        assert_eq!(next_event(&mut pair.client), (Some(pools), 4));
        // Ending one leaves the other.
        pair.client.unsubscribe(domains);
        pair.server.emit(&domain_event(0, 5)).unwrap();
        pair.server.emit(&pool_event(0, 6)).unwrap();
        pair.run();
        assert_eq!(next_event(&mut pair.client), (None, 5));
        assert_eq!(next_event(&mut pair.client), (Some(pools), 6));
        assert_eq!(pair.server.called().procedure, ConnectDomainEventCallbackDeregisterAnyArgs::PROCEDURE);
    });
}

#[test]
fn unsubscribing_during_a_storm() {
    each_split_of_a_pair(|pair| {
        let ending = subscribe_domain(pair, 0);
        let staying = subscribe_domain(pair, 1);
        for detail in 0..3 {
            pair.server.emit(&domain_event(0, detail)).unwrap();
            pair.server.emit(&domain_event(1, detail)).unwrap();
        }
        pair.client.unsubscribe(ending);
        pair.run();
        let call = pair.server.called();
        let args: ConnectDomainEventCallbackDeregisterAnyArgs = call.args().unwrap();
        assert_eq!(args.callback_id, 0);
        // More of them until the server has dealt with it, and one behind its answer.
        pair.server.emit(&domain_event(0, 3)).unwrap();
        pair.server.reply(call.id, &()).unwrap();
        pair.server.emit(&domain_event(1, 3)).unwrap();
        pair.run();
        let mut seen = Vec::new();
        while let Some(ClientEvent::Message { subscription, .. }) = pair.client.event() {
            seen.push(subscription);
        }
        assert_eq!(seen.iter().filter(|subscription| **subscription == Some(staying)).count(), 4);
        assert_eq!(seen.iter().filter(|subscription| subscription.is_none()).count(), 4);
        assert_eq!(seen.len(), 8, "none belongs to what has ended");
        pair.client.no_event();
        assert_eq!(pair.client.pending_calls(), 0);
    });
}

#[test]
fn a_cancelled_registration_ends_itself() {
    each_split_of_a_pair(|pair| {
        let serial = pair.client.subscribe(&register_pool(), CallOptions::default(), Time::START).unwrap();
        let id = pair.called().id;
        pair.client.unsubscribe(serial);
        pair.server.emit(&pool_event(5, 1)).unwrap();
        pair.server.reply(id, &registered_pool(5)).unwrap();
        pair.server.emit(&pool_event(5, 2)).unwrap();
        pair.run();
        let call = pair.server.called();
        let args: ConnectStoragePoolEventDeregisterAnyArgs = call.args().unwrap();
        assert_eq!(args.callback_id, 5);
        pair.server.reply(call.id, &()).unwrap();
        pair.run();
        assert_eq!(next_event(&mut pair.client), (None, 2), "nobody is told of the reply");
        pair.client.no_event();
        assert_eq!(pair.client.pending_calls(), 0);
    });
}

#[test]
fn a_registration_that_is_too_late_ends_itself() {
    let mut pair = Pair::open();
    let options =
        CallOptions { deadline: Some(Time::START + Duration::from_secs(1)), ..CallOptions::default() };
    let serial = pair.client.subscribe(&register_domain(), options, Time::START).unwrap();
    let id = pair.called().id;
    pair.client.pass(Duration::from_secs(2));
    pair.client.result(serial).unwrap_err();
    pair.server.reply(id, &registered_domain(1)).unwrap();
    let call = pair.called();
    assert_eq!(call.args::<ConnectDomainEventCallbackDeregisterAnyArgs>().unwrap().callback_id, 1);
}

#[test]
fn a_failed_registration_leaves_nothing() {
    each_split_of_a_pair(|pair| {
        let serial = pair.client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
        let id = pair.called().id;
        pair.server.emit(&domain_event(3, 1)).unwrap();
        pair.server.reply_error(id, &error(3)).unwrap();
        pair.server.emit(&domain_event(3, 2)).unwrap();
        pair.run();
        pair.client.result(serial).unwrap_err();
        assert_eq!(next_event(&mut pair.client), (None, 2), "what was parked is gone");
        pair.client.no_event();
        pair.client.unsubscribe(serial);
        pair.run();
        pair.server.no_event();
        // Nor does a later registration inherit it.
        subscribe_domain(pair, 3);
        pair.client.no_event();
    });
}

#[test]
fn a_registration_with_a_reply_that_cannot_be_read_fails() {
    let mut client = Side::client();
    let serial = client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
    client.feed(&hand_reply(ConnectDomainEventCallbackRegisterAnyArgs::PROCEDURE, serial, &()));
    let failed = client.result(serial).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "the reply to remote.connect_domain_event_callback_register_any cannot be decoded: \
         at byte 0 of 0: expected 4 more bytes, 0 are left"
    );
}

#[test]
fn unsubscribing_waits_its_turn_behind_the_cap() {
    let mut pair = Pair::open();
    let subscription = subscribe_domain(&mut pair, 7);
    for _ in 0..4 {
        pair.client.call(&VERSION, Time::START).unwrap();
    }
    pair.client.unsubscribe(subscription);
    pair.run();
    let ids: Vec<_> = (0..4).map(|_| pair.server.called().id).collect();
    pair.server.no_event();
    pair.server.reply(ids[0], &version(1)).unwrap();
    assert_eq!(pair.called().procedure, ConnectDomainEventCallbackDeregisterAnyArgs::PROCEDURE);
}

#[test]
fn an_event_that_is_not_known_is_reported_and_dropped() {
    each_split(Side::client, |client| {
        let message = |procedure, status| {
            let mut bytes = hand(procedure, PacketType::MESSAGE, Serial(0), status, &domain_event(0, 1));
            if status == Status::OK {
                bytes[12..16].copy_from_slice(&9999_i32.to_be_bytes());
            }
            bytes
        };
        let procedure = DomainEventCallbackLifecycleMsg::PROCEDURE;
        // No such procedure; a call's procedure; an event with a status that no event has.
        client.feed(&message(procedure, Status::OK));
        let call = DomainLookupByNameArgs::PROCEDURE;
        client.feed(&hand(call, PacketType::MESSAGE, Serial(0), Status::OK, &lookup("demo")));
        client.feed(&message(procedure, Status::ERROR));
        for _ in 0..3 {
            assert!(matches!(client.event(), Some(ClientEvent::Unexpected { .. })));
        }
        client.no_event();
        assert_eq!(client.close_reason(), None);
    });
}

/// What telling events apart rests on, in the definitions of all programs.
#[test]
fn every_event_with_a_callback_identifier_begins_with_it() {
    let mut classes = std::collections::BTreeSet::new();
    for procedure in PROGRAMS.iter().flat_map(|program| program.procedures) {
        let first = procedure.args.fields.first().map_or("", |field| field.name);
        let begins_with_identifier = first == "callbackID";
        match (procedure.kind, procedure.event_class) {
            (Kind::Event, class) => {
                assert_eq!(class.is_some(), begins_with_identifier, "{procedure}");
                classes.extend(class);
            }
            (Kind::Call, Some(_)) => {
                let registers = procedure.ret.fields.first().is_some_and(|field| field.name == "callbackID");
                assert!(registers != begins_with_identifier, "{procedure} registers or deregisters");
            }
            (Kind::Call, None) => assert!(!begins_with_identifier, "{procedure}"),
        }
    }
    let all = [
        EventClass::Domain,
        EventClass::Network,
        EventClass::StoragePool,
        EventClass::NodeDevice,
        EventClass::Secret,
        EventClass::QemuMonitor,
    ];
    assert_eq!(classes.into_iter().collect::<Vec<_>>(), all);
}
