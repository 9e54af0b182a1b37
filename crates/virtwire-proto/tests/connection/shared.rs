//! Equal subscriptions share one registration: libvirt refuses a second, also while the first is being undone.

use crate::rig::{Pair, Side, each_split_of_a_pair};
use crate::samples::*;
use virtwire_proto::connection::{
    CallError, CallId, CallOptions, Client, ClientEvent, CloseReason, Server, ServerConfig, Time,
};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::remote::*;
use virtwire_proto::program::{Call, PROGRAMS};
use virtwire_proto::xdr::to_bytes;

type Register = ConnectDomainEventCallbackRegisterAnyArgs;
type Deregister = ConnectDomainEventCallbackDeregisterAnyArgs;

fn subscribe(pair: &mut Pair) -> Serial {
    pair.client.subscribe_shared(&register_domain(), CallOptions::default(), Time::START).unwrap()
}

/// The next call, which is to be this.
fn called<C: Call>(pair: &mut Pair) -> CallId {
    let call = pair.called();
    assert_eq!(call.procedure, C::PROCEDURE);
    call.id
}

/// That the server was asked nothing more.
fn nothing_called(pair: &mut Pair) {
    pair.run();
    pair.server.no_event();
}

fn registered(pair: &mut Pair, subscription: Serial, callback: i32) {
    let reply = pair.client.result(subscription).unwrap();
    assert_eq!(reply.decode::<Register>().unwrap().callback_id, callback);
}

/// Sends an event, and gives those that are told it.
fn told(pair: &mut Pair, callback: i32) -> Vec<Serial> {
    pair.server.emit(&domain_event(callback, 0)).unwrap();
    pair.run();
    let mut told = Vec::new();
    while let Some(ClientEvent::Message { subscription, .. }) = pair.client.event() {
        told.extend(subscription);
    }
    told
}

#[test]
fn the_last_of_them_to_end_undoes_it() {
    each_split_of_a_pair(|pair| {
        let first = subscribe(pair);
        let id = called::<Register>(pair);
        pair.server.reply(id, &registered_domain(7)).unwrap();
        pair.run();
        registered(pair, first, 7);
        // Answered at once, by nobody but the client.
        let second = subscribe(pair);
        registered(pair, second, 7);
        nothing_called(pair);
        assert_eq!(told(pair, 7), [first, second]);

        pair.client.unsubscribe(first);
        nothing_called(pair);
        assert_eq!(told(pair, 7), [second]);
        let third = subscribe(pair);
        registered(pair, third, 7);
        pair.client.unsubscribe(second);
        nothing_called(pair);
        assert_eq!(told(pair, 7), [third]);
        pair.client.unsubscribe(third);
        let id = called::<Deregister>(pair);
        pair.server.reply(id, &()).unwrap();
        assert_eq!(told(pair, 7), []);
        assert_eq!(pair.client.pending_calls(), 0);
    });
}

#[test]
fn while_the_first_is_on_its_way_the_others_wait() {
    each_split_of_a_pair(|pair| {
        let [first, second, third] = [(); 3].map(|()| subscribe(pair));
        let id = called::<Register>(pair);
        nothing_called(pair);
        // One gives up, and is not heard of again.
        pair.client.cancel(second);
        pair.server.reply(id, &registered_domain(3)).unwrap();
        pair.run();
        registered(pair, first, 3);
        registered(pair, third, 3);
        pair.client.no_event();
        assert_eq!(told(pair, 3), [first, third]);
        // What registers for something else waits for nobody.
        let other = ConnectDomainEventCallbackRegisterAnyArgs { event_id: 5, ..register_domain() };
        pair.client.subscribe_shared(&other, CallOptions::default(), Time::START).unwrap();
        called::<Register>(pair);
    });
}

#[test]
fn where_the_first_is_refused_the_next_asks_for_itself() {
    each_split_of_a_pair(|pair| {
        let [first, second] = [(); 2].map(|()| subscribe(pair));
        let id = called::<Register>(pair);
        pair.server.reply_error(id, &error(1)).unwrap();
        pair.run();
        assert!(matches!(pair.client.result(first), Err(CallError::Server(_))));
        let id = called::<Register>(pair);
        pair.server.reply(id, &registered_domain(4)).unwrap();
        pair.run();
        registered(pair, second, 4);
        assert_eq!(told(pair, 4), [second]);
    });
}

#[test]
fn where_the_first_gives_up_the_next_asks_once_that_is_undone() {
    each_split_of_a_pair(|pair| {
        let [first, second] = [(); 2].map(|()| subscribe(pair));
        let id = called::<Register>(pair);
        pair.client.unsubscribe(first);
        pair.server.reply(id, &registered_domain(1)).unwrap();
        let id = called::<Deregister>(pair);
        nothing_called(pair);
        pair.server.reply(id, &()).unwrap();
        let id = called::<Register>(pair);
        pair.server.reply(id, &registered_domain(2)).unwrap();
        pair.run();
        registered(pair, second, 2);
        assert_eq!(told(pair, 2), [second]);
    });
}

#[test]
fn while_it_is_being_undone_the_next_waits() {
    each_split_of_a_pair(|pair| {
        let first = subscribe(pair);
        let id = called::<Register>(pair);
        pair.server.reply(id, &registered_domain(1)).unwrap();
        pair.run();
        registered(pair, first, 1);
        pair.client.unsubscribe(first);
        let [second, third] = [(); 2].map(|()| subscribe(pair));
        let id = called::<Deregister>(pair);
        nothing_called(pair);
        // It belongs to nobody any more.
        assert_eq!(told(pair, 1), []);
        pair.server.reply(id, &()).unwrap();
        let id = called::<Register>(pair);
        pair.server.reply(id, &registered_domain(2)).unwrap();
        pair.run();
        registered(pair, second, 2);
        registered(pair, third, 2);
        assert_eq!(told(pair, 2), [second, third]);
    });
}

#[test]
fn what_waits_behind_the_cap_and_gives_up_lets_the_next_ask() {
    let mut pair = Pair::open();
    let calls: Vec<_> = (0..4).map(|_| pair.client.call(&VERSION, Time::START).unwrap()).collect();
    let [first, second] = [(); 2].map(|()| subscribe(&mut pair));
    pair.client.cancel(first);
    pair.run();
    for call in calls {
        let id = pair.server.called().id;
        pair.server.reply(id, &version(1)).unwrap();
        pair.run();
        pair.client.result(call).unwrap();
    }
    let id = called::<Register>(&mut pair);
    nothing_called(&mut pair);
    pair.server.reply(id, &registered_domain(1)).unwrap();
    pair.run();
    registered(&mut pair, second, 1);
}

#[test]
fn those_that_wait_fail_with_the_connection_and_with_their_deadline() {
    let mut pair = Pair::open();
    let first = subscribe(&mut pair);
    let options = CallOptions { deadline: Some(Time::START), ..Default::default() };
    let late = pair.client.subscribe_shared(&register_domain(), options, Time::START).unwrap();
    let second = subscribe(&mut pair);
    called::<Register>(&mut pair);
    pair.client.timeout(Time::START);
    assert!(matches!(pair.client.result(late), Err(CallError::TimedOut)));
    pair.client.close(CloseReason::Local);
    for waiting in [first, second] {
        assert!(matches!(pair.client.result(waiting), Err(CallError::Closed(CloseReason::Local))));
    }
}

#[test]
fn on_a_new_link_what_is_made_again_goes_first_and_the_rest_shares_it() {
    let mut pair = Pair::open();
    pair.client.outlast_links(true);
    let first = subscribe(&mut pair);
    let id = called::<Register>(&mut pair);
    pair.server.reply(id, &registered_domain(1)).unwrap();
    pair.run();
    registered(&mut pair, first, 1);
    let second = subscribe(&mut pair);
    registered(&mut pair, second, 1);

    pair.client.lose(CloseReason::Peer);
    assert!(matches!(pair.client.event(), Some(ClientEvent::Lost { .. })));
    pair.client.bytes.clear();
    pair.server = Side::new(Server::new(ServerConfig::new(PROGRAMS), Time::START));
    // Somebody subscribes while there is no link: that waits, also through the loss of one that was never open.
    let waiting = subscribe(&mut pair);
    pair.client.lose(CloseReason::Peer);
    assert!(matches!(pair.client.event(), Some(ClientEvent::Lost { .. })));
    nothing_called(&mut pair);
    let args = to_bytes(&register_domain()).unwrap();
    let again = [(); 2].map(|()| {
        let (args, options) = (args.clone(), CallOptions::default());
        let call = |client: &mut Client| {
            client.subscribe_shared_raw(Register::PROCEDURE, args, options, Time::START)
        };
        pair.client.ahead(call).unwrap()
    });
    let id = called::<Register>(&mut pair);
    nothing_called(&mut pair);
    pair.server.reply(id, &registered_domain(5)).unwrap();
    pair.run();
    for subscription in again {
        registered(&mut pair, subscription, 5);
    }
    pair.client.no_event();
    pair.client.release_calls();
    registered(&mut pair, waiting, 5);
    nothing_called(&mut pair);
    assert_eq!(told(&mut pair, 5), [again[0], again[1], waiting]);
}
