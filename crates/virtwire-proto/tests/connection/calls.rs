//! Calls: answered in any order, cancelled, late, too many at once, out of time.

use crate::rig::{Pair, Side, bytes_of, each_split, each_split_of_a_pair, hand_reply};
use crate::samples::*;
use bytes::Bytes;
use std::time::Duration;
use virtwire_proto::connection::{
    CallError, CallOptions, Client, ClientEvent, CloseReason, ReplyError, Time,
};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::Call;
use virtwire_proto::program::remote::*;

#[test]
fn serials_count_up_from_1() {
    let mut client = Side::client();
    for serial in 1..=3 {
        assert_eq!(client.call(&VERSION, Time::START).unwrap(), Serial(serial));
    }
    let serials: Vec<_> = client.headers().iter().map(|header| header.serial.0).collect();
    assert_eq!(serials, [1, 2, 3]);
}

#[test]
fn a_reply_comes_back_to_its_call() {
    each_split_of_a_pair(|pair| {
        let serial = pair.client.call(&lookup("demo"), Time::START).unwrap();
        let call = pair.called();
        assert_eq!(call.procedure, DomainLookupByNameArgs::PROCEDURE);
        assert_eq!(call.args::<DomainLookupByNameArgs>().unwrap(), lookup("demo"));
        pair.server.reply(call.id, &DomainLookupByNameRet { dom: domain() }).unwrap();
        pair.run();
        let reply = pair.client.result(serial).unwrap();
        assert_eq!(reply.decode::<DomainLookupByNameArgs>().unwrap().dom, domain());
        pair.client.no_event();
        assert_eq!((pair.client.pending_calls(), pair.server.pending_calls()), (0, 0));
    });
}

#[test]
fn replies_come_in_any_order() {
    each_split_of_a_pair(|pair| {
        let serials = [(); 4].map(|()| pair.client.call(&VERSION, Time::START).unwrap());
        pair.run();
        let ids = [(); 4].map(|()| pair.server.called().id);
        for at in [2, 0, 3, 1] {
            pair.server.reply(ids[at], &version(at as u64)).unwrap();
        }
        pair.run();
        for at in [2, 0, 3, 1] {
            let reply = pair.client.result(serials[at]).unwrap();
            assert_eq!(reply.decode::<ConnectGetLibVersionArgs>().unwrap().lib_ver, at as u64);
        }
        pair.client.no_event();
    });
}

#[test]
fn a_call_is_answered_once() {
    let mut pair = Pair::open();
    pair.client.call(&VERSION, Time::START).unwrap();
    let id = pair.called().id;
    pair.server.reply(id, &version(1)).unwrap();
    assert_eq!(pair.server.reply(id, &version(2)), Err(ReplyError::NotWaiting));
    assert_eq!(pair.server.reply_error(id, &error(1)), Err(ReplyError::NotWaiting));
    assert_eq!(pair.server.packets().len(), 1);
}

#[test]
fn a_cancelled_calls_late_reply_is_dropped() {
    each_split_of_a_pair(|pair| {
        let cancelled = pair.client.call(&VERSION, Time::START).unwrap();
        let kept = pair.client.call(&VERSION, Time::START).unwrap();
        pair.run();
        let ids = [(); 2].map(|()| pair.server.called().id);
        pair.client.cancel(cancelled);
        assert_eq!(pair.client.pending_calls(), 2, "the server still works on it");
        for id in ids {
            pair.server.reply(id, &version(1)).unwrap();
        }
        pair.run();
        pair.client.result(kept).unwrap();
        pair.client.no_event();
        assert_eq!(pair.client.pending_calls(), 0);
    });
}

#[test]
fn a_cancelled_calls_late_error_and_descriptors_are_dropped() {
    each_split_of_a_pair(|pair| {
        let [failing, giving] = [(); 2].map(|()| pair.client.call(&VERSION, Time::START).unwrap());
        pair.run();
        let ids = [(); 2].map(|()| pair.server.called().id);
        pair.client.cancel(failing);
        pair.client.cancel(giving);
        pair.server.reply_error(ids[0], &error(1)).unwrap();
        pair.server.reply_with(ids[1], &version(1), vec![descriptor()]).unwrap();
        pair.run();
        pair.client.no_event();
        assert_eq!(pair.client.pending_calls(), 0);
    });
}

#[test]
fn a_call_cancelled_before_its_turn_is_never_sent() {
    let mut client = Side::client();
    let serials: Vec<_> = (0..6).map(|_| client.call(&VERSION, Time::START).unwrap()).collect();
    client.cancel(serials[4]);
    assert_eq!(client.pending_calls(), 5);
    client.packets();
    for serial in [0, 1] {
        client.feed(&hand_reply(ConnectGetLibVersionArgs::PROCEDURE, serials[serial], &version(1)));
    }
    let sent: Vec<_> = client.headers().iter().map(|header| header.serial).collect();
    assert_eq!(sent, [serials[5]]);
}

#[test]
fn cancelling_twice_or_what_is_not_there_does_nothing() {
    let mut client = Side::client();
    let serial = client.call(&VERSION, Time::START).unwrap();
    client.cancel(Serial(77));
    client.cancel(serial);
    client.cancel(serial);
    client.feed(&hand_reply(ConnectGetLibVersionArgs::PROCEDURE, serial, &version(1)));
    client.cancel(serial);
    client.no_event();
}

#[test]
fn what_passes_the_cap_waits_its_turn() {
    each_split_of_a_pair(|pair| {
        let serials: Vec<_> = (0..8).map(|_| pair.client.call(&VERSION, Time::START).unwrap()).collect();
        pair.run();
        let mut ids: Vec<_> = (0..4).map(|_| pair.server.called().id).collect();
        pair.server.no_event();
        // Each answer lets one more through, in the order of the calls.
        for (done, &serial) in serials.iter().enumerate() {
            pair.server.reply(ids[done], &version(done as u64)).unwrap();
            pair.run();
            let reply = pair.client.result(serial).unwrap();
            assert_eq!(reply.decode::<ConnectGetLibVersionArgs>().unwrap().lib_ver, done as u64);
            if done < 4 {
                ids.push(pair.server.called().id);
            }
            pair.server.no_event();
        }
        assert_eq!((pair.client.pending_calls(), pair.server.pending_calls()), (0, 0));
    });
}

#[test]
fn a_waiting_calls_serial_cannot_be_answered() {
    let mut client = Side::client();
    let serials: Vec<_> = (0..6).map(|_| client.call(&VERSION, Time::START).unwrap()).collect();
    client.feed(&hand_reply(ConnectGetLibVersionArgs::PROCEDURE, serials[5], &version(1)));
    assert!(
        matches!(client.event(), Some(ClientEvent::Unexpected { header }) if header.serial == serials[5])
    );
    assert_eq!(client.pending_calls(), 6);
}

/// libvirtd stops reading a client once it works on max_client_requests of its calls.
#[test]
fn a_server_with_enough_to_do_takes_nothing_more() {
    each_split(Side::server, |server| {
        let mut client = Client::new(
            {
                let mut config = virtwire_proto::connection::ClientConfig::default();
                config.max_calls_in_flight = 8;
                config
            },
            Time::START,
        );
        for _ in 0..7 {
            client.call(&VERSION, Time::START).unwrap();
        }
        server.feed_all(std::iter::from_fn(|| client.transmit()));
        let ids: Vec<_> = (0..5).map(|_| server.called().id).collect();
        server.no_event();
        assert!(!server.wants_bytes());
        assert_eq!(server.bytes.len(), 2 * 28, "what it does not take stays where it is");
        server.reply(ids[3], &version(1)).unwrap();
        assert!(server.wants_bytes());
        server.receive();
        server.called();
        assert!(!server.wants_bytes());
        assert_eq!(server.bytes.len(), 28);
        server.reply(ids[0], &version(1)).unwrap();
        server.reply(ids[1], &version(1)).unwrap();
        server.receive();
        server.called();
        assert!(server.wants_bytes());
        assert!(server.bytes.is_empty());
    });
}

#[test]
fn a_reply_of_another_procedure_fails_the_call_alone() {
    each_split(Side::client, |client| {
        let wrong = client.call(&VERSION, Time::START).unwrap();
        let right = client.call(&VERSION, Time::START).unwrap();
        client.feed(&hand_reply(ConnectGetHostnameArgs::PROCEDURE, wrong, &version(1)));
        client.feed(&hand_reply(ConnectGetLibVersionArgs::PROCEDURE, right, &version(1)));
        let failed = client.result(wrong).unwrap_err();
        assert_eq!(
            failed.to_string(),
            "expected a reply to remote.connect_get_lib_version, \
             got REPLY OK of procedure 59 of program 0x20008086 version 1, serial 1"
        );
        assert!(matches!(failed, CallError::Mismatched { .. }));
        client.result(right).unwrap();
    });
}

#[test]
fn a_reply_to_no_call_is_reported_and_dropped() {
    each_split(Side::client, |client| {
        for serial in [0, 1, u32::MAX] {
            let header = hand_reply(ConnectGetLibVersionArgs::PROCEDURE, Serial(serial), &version(1));
            client.feed(&header);
            assert!(
                matches!(client.event(), Some(ClientEvent::Unexpected { header }) if header.serial.0 == serial)
            );
        }
        assert_eq!(client.close_reason(), None);
    });
}

#[test]
fn a_deadline_fails_the_call_and_frees_what_comes_late() {
    let second = Duration::from_secs(1);
    let mut pair = Pair::open();
    let options =
        |seconds| CallOptions { deadline: Some(Time::START + second * seconds), ..Default::default() };
    let late = pair.client.call_with(&VERSION, options(2), Time::START).unwrap();
    let never = pair.client.call(&VERSION, Time::START).unwrap();
    let early = pair.client.call_with(&VERSION, options(1), Time::START).unwrap();
    assert_eq!(pair.client.deadline(), Some(Time::START + second));
    pair.run();
    let ids = [(); 3].map(|()| pair.server.called().id);
    pair.client.pass(second);
    assert!(matches!(pair.client.result(early), Err(CallError::TimedOut)));
    assert_eq!(pair.client.deadline(), Some(Time::START + second * 2));
    pair.client.pass(second * 10);
    assert!(matches!(pair.client.result(late), Err(CallError::TimedOut)));
    assert_eq!(pair.client.deadline(), None);
    for id in ids {
        pair.server.reply(id, &version(1)).unwrap();
    }
    pair.run();
    pair.client.result(never).unwrap();
    pair.client.no_event();
    assert_eq!(pair.client.pending_calls(), 0);
}

#[test]
fn a_deadline_reaches_calls_that_wait_their_turn() {
    let mut client = Side::client();
    let deadline = Some(Time::START + Duration::from_secs(1));
    for _ in 0..5 {
        client.call(&VERSION, Time::START).unwrap();
    }
    let waiting =
        client.call_with(&VERSION, CallOptions { deadline, ..Default::default() }, Time::START).unwrap();
    client.pass(Duration::from_secs(1));
    assert!(matches!(client.result(waiting), Err(CallError::TimedOut)));
    assert_eq!(client.pending_calls(), 5);
}

#[test]
fn a_reply_at_the_deadline_counts() {
    let mut client = Side::client();
    let deadline = Some(Time::START + Duration::from_secs(1));
    let serial =
        client.call_with(&VERSION, CallOptions { deadline, ..Default::default() }, Time::START).unwrap();
    client.feed(&hand_reply(ConnectGetLibVersionArgs::PROCEDURE, serial, &version(1)));
    client.pass(Duration::from_secs(2));
    client.result(serial).unwrap();
    client.no_event();
}

#[test]
fn large_calls_never_interleave() {
    let mut pair = Pair::open();
    let texts = [b'a', b'b'].map(|byte| vec![byte; 3 << 20]);
    for text in &texts {
        pair.client.call(&DomainDefineXmlArgs { xml: text.clone().into() }, Time::START).unwrap();
    }
    pair.run();
    for text in texts {
        let args: DomainDefineXmlArgs = pair.server.called().args().unwrap();
        assert!(args.xml.as_bytes() == text, "what came is what was sent");
    }
}

#[test]
fn a_call_that_is_encoded_already_looks_the_same() {
    let [mut typed, mut raw] = [(); 2].map(|()| Side::client());
    typed.call(&lookup("demo"), Time::START).unwrap();
    let payload = virtwire_proto::xdr::to_bytes(&lookup("demo")).unwrap();
    raw.call_raw(DomainLookupByNameArgs::PROCEDURE, &payload, CallOptions::default(), Time::START).unwrap();
    assert_eq!(bytes_of(typed.written()), bytes_of(raw.written()));
}

#[test]
fn an_answer_that_is_encoded_already_looks_the_same() {
    // Below and above the length from which a payload is not copied.
    for count in [0, 300] {
        let ret = ConnectListAllDomainsRet { domains: vec![domain(); count], ret: count as u32 };
        let payload = virtwire_proto::xdr::to_bytes(&ret).unwrap();
        let written = [false, true].map(|raw| {
            let mut pair = Pair::open();
            let args = ConnectListAllDomainsArgs { need_results: 1, flags: 0 };
            pair.client.call(&args, Time::START).unwrap();
            let id = pair.called().id;
            if raw {
                pair.server.reply_raw(id, payload.clone(), Vec::new()).unwrap();
            } else {
                pair.server.reply(id, &ret).unwrap();
            }
            bytes_of(pair.server.written())
        });
        assert_eq!(written[0], written[1]);
    }
}

#[test]
fn no_call_starts_on_a_closed_connection() {
    let mut client = Side::client();
    client.close(CloseReason::Local);
    assert!(matches!(client.call(&VERSION, Time::START), Err(CallError::Closed(CloseReason::Local))));
    assert_eq!(client.pending_calls(), 0);
    assert_eq!(bytes_of(client.written()), Bytes::new());
}
