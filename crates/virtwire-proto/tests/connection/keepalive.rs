//! Keepalive: PINGs at any time, and death by silence.

use crate::rig::{Pair, Side, each_split, each_split_of_a_pair, hand_reply, raw};
use crate::samples::*;
use std::time::Duration;
use virtwire_proto::connection::{
    ClientConfig, ClientEvent, CloseReason, Keepalive, ServerConfig, ServerEvent, Time,
};
use virtwire_proto::packet::{Header, PacketType, Serial, Status};
use virtwire_proto::program::keepalive::PROGRAM;
use virtwire_proto::program::remote::ConnectGetLibVersionArgs;
use virtwire_proto::program::{Call, PROGRAMS};

const SECOND: Duration = Duration::from_secs(1);

fn header(number: i32) -> Header {
    let procedure = PROGRAM.procedure(number).expect("PING and PONG are known");
    Header::new(procedure, PacketType::MESSAGE, Serial(0), Status::OK)
}

fn ping() -> Vec<u8> {
    raw(header(1), &[])
}

fn pong() -> Vec<u8> {
    raw(header(2), &[])
}

const SETTINGS: Keepalive = Keepalive { interval: SECOND, count: 3 };

#[test]
fn libvirts_settings_are_the_default() {
    assert_eq!(Keepalive::default(), Keepalive { interval: SECOND * 5, count: 5 });
}

#[test]
fn a_ping_is_answered_by_both_sides_at_any_time() {
    each_split(Side::client, |client| {
        client.feed(&ping());
        assert_eq!(client.headers(), [header(2)]);
        client.call(&VERSION, Time::START).unwrap();
        client.packets();
        client.feed(&ping());
        assert_eq!(client.headers(), [header(2)], "between a call and its reply");
        client.no_event();
    });
    each_split(Side::server, |server| {
        server.feed(&ping());
        assert_eq!(server.headers(), [header(2)]);
        server.no_event();
    });
}

#[test]
fn a_ping_passes_the_queue_of_calls() {
    let mut pair = Pair::open();
    for _ in 0..7 {
        pair.client.call(&VERSION, Time::START).unwrap();
    }
    pair.client.packets();
    pair.client.feed(&ping());
    assert_eq!(pair.client.headers(), [header(2)]);
}

/// libvirtd answers each; one answer says as much, and a peer that only sends cannot make answers pile up.
#[test]
fn one_pong_answers_all_pings_that_came_since_the_last() {
    let mut server = Side::server();
    server.feed(&ping().repeat(1000));
    assert_eq!(server.pending_bytes(), 28);
    assert_eq!(server.headers(), [header(2)]);
    assert_eq!(server.pending_bytes(), 0);
    server.feed(&ping());
    assert_eq!(server.headers(), [header(2)]);
}

/// As libvirtd does, whatever stands in the fields that mean nothing here.
#[test]
fn a_ping_is_known_by_program_version_type_and_number() {
    let odd = Header { serial: Serial(55), status: Status::ERROR, ..header(1) };
    let mut server = Side::server();
    server.feed(&raw(odd, b"payload!"));
    assert_eq!(server.headers(), [header(2)]);
    // Other numbers of the program are ignored.
    for number in [2, 0, 3, -1] {
        server.feed(&raw(Header { procedure: number, ..header(1) }, &[]));
    }
    assert!(server.packets().is_empty());
    server.no_event();
    // As a call, it is a program like any other that is not offered.
    server.feed(&raw(Header { packet_type: PacketType::CALL, ..header(1) }, &[]));
    assert_eq!(server.headers()[0].status, Status::ERROR);
}

#[test]
fn without_keepalive_silence_lasts_for_ever() {
    let mut client = Side::client();
    assert_eq!(client.deadline(), None);
    client.pass(SECOND * 1_000_000);
    assert_eq!(client.close_reason(), None);
    assert!(client.packets().is_empty());
}

#[test]
fn an_interval_of_zero_stops_it() {
    let mut client = Side::client();
    client.start_keepalive(SETTINGS, Time::START);
    client.start_keepalive(Keepalive { interval: Duration::ZERO, count: 3 }, Time::START);
    assert_eq!(client.deadline(), None);
    client.pass(SECOND * 100);
    assert_eq!(client.close_reason(), None);
}

#[test]
fn a_silent_peer_is_dead_at_exactly_interval_times_count_plus_1() {
    let mut client = Side::client();
    let mut server = Side::server();
    client.start_keepalive(SETTINGS, Time::START);
    server.start_keepalive(SETTINGS, Time::START);
    let call = client.call(&VERSION, Time::START).unwrap();
    client.packets();
    for second in 1..=3 {
        client.pass(SECOND);
        server.pass(SECOND);
        assert_eq!(client.headers(), [header(1)], "a PING at second {second}");
        assert_eq!(server.headers(), [header(1)]);
    }
    client.pass(SECOND - Duration::from_nanos(1));
    server.pass(SECOND - Duration::from_nanos(1));
    assert_eq!((client.close_reason(), server.close_reason()), (None, None));
    client.pass(Duration::from_nanos(1));
    server.pass(Duration::from_nanos(1));
    let dead = CloseReason::Keepalive { silence: SECOND * 4, unanswered: 3 };
    assert_eq!(client.close_reason(), Some(&dead));
    assert_eq!(server.close_reason(), Some(&dead));
    assert_eq!(dead.to_string(), "nothing came from the peer for 4s, with 3 keepalive requests unanswered");
    client.result(call).unwrap_err();
    assert!(matches!(client.event(), Some(ClientEvent::Closed { reason }) if reason == dead));
    assert!(matches!(server.event(), Some(ServerEvent::Closed { reason }) if reason == dead));
    assert_eq!((client.deadline(), server.deadline()), (None, None));
    assert!(client.packets().is_empty() && server.packets().is_empty(), "nothing is said over a dead link");
}

/// As libvirt does: without PINGs, at the first interval of silence.
#[test]
fn a_count_of_zero_sends_no_ping() {
    let mut client = Side::client();
    client.start_keepalive(Keepalive { interval: SECOND, count: 0 }, Time::START);
    client.pass(SECOND);
    assert!(client.packets().is_empty());
    assert!(matches!(client.close_reason(), Some(CloseReason::Keepalive { unanswered: 0, .. })));
}

#[test]
fn any_byte_is_life() {
    let mut client = Side::client();
    client.start_keepalive(SETTINGS, Time::START);
    let serial = client.call(&VERSION, Time::START).unwrap();
    let reply = hand_reply(ConnectGetLibVersionArgs::PROCEDURE, serial, &version(1));
    // One byte every 3.5 seconds: each PING of three may go unanswered.
    for byte in &reply {
        client.pass(Duration::from_millis(3500));
        client.feed(&[*byte]);
    }
    client.result(serial).unwrap();
    client.pass(SECOND * 4);
    assert!(client.close_reason().is_some());
}

#[test]
fn taking_what_came_before_is_no_life() {
    let mut pair = Pair::open();
    pair.server.start_keepalive(SETTINGS, Time::START);
    let written = {
        for _ in 0..5 {
            pair.client.call(&VERSION, Time::START).unwrap();
        }
        pair.client.written()
    };
    pair.server.feed_all(written);
    // The client dies. The server answers one call a second, and looks for more each time.
    for _ in 0..3 {
        let id = pair.server.called().id;
        pair.server.reply(id, &version(1)).unwrap();
        pair.server.receive();
        pair.server.pass(SECOND);
    }
    assert_eq!(pair.server.close_reason(), None);
    pair.server.pass(SECOND);
    let dead = CloseReason::Keepalive { silence: SECOND * 4, unanswered: 3 };
    assert_eq!(pair.server.close_reason(), Some(&dead));
}

#[test]
fn a_pong_keeps_the_connection() {
    each_split_of_a_pair(|pair| {
        pair.client.start_keepalive(SETTINGS, Time::START);
        for _ in 0..20 {
            pair.client.pass(SECOND);
            pair.run();
        }
        assert_eq!(pair.client.close_reason(), None);
        pair.client.no_event();
    });
}

#[test]
fn while_nobody_reads_pings_go_out_and_silence_says_nothing() {
    let mut client = Side::client();
    client.start_keepalive(SETTINGS, Time::START);
    client.set_reading(false, Time::START);
    client.pass(SECOND * 20);
    assert_eq!(client.close_reason(), None);
    assert_eq!(client.headers().len(), 20);
    // Once somebody reads again, the peer has all the time that it had at the beginning.
    let now = client.now;
    client.set_reading(true, now);
    client.pass(SECOND * 4 - Duration::from_nanos(1));
    assert_eq!(client.close_reason(), None);
    client.pass(Duration::from_nanos(1));
    assert!(client.close_reason().is_some());
}

/// libvirtd hangs up on a client that answers every PING, once it works on max_client_requests of its calls:
/// with 5 of them, a keepalive of 1 second and a count of 1, a libvirtd 9.0.0 did so after 2 seconds.
#[test]
fn a_server_that_takes_nothing_blames_nobody_for_silence() {
    let busy = ServerConfig::new(PROGRAMS).max_client_requests(4);
    let mut pair = Pair::new(ClientConfig::default(), busy);
    pair.server.start_keepalive(SETTINGS, Time::START);
    for _ in 0..4 {
        pair.client.call(&VERSION, Time::START).unwrap();
    }
    pair.run();
    let ids: Vec<_> = (0..4).map(|_| pair.server.called().id).collect();
    assert!(!pair.server.wants_bytes());
    pair.server.pass(SECOND * 100);
    assert_eq!(pair.server.close_reason(), None);
    pair.server.packets();
    // Its PONGs are there, unread. The first timeout behind the answer may come before they are read.
    pair.server.reply(ids[0], &version(1)).unwrap();
    pair.server.pass(SECOND);
    assert_eq!(pair.server.close_reason(), None);
    pair.server.feed(&pong());
    pair.server.pass(SECOND * 4);
    assert!(pair.server.close_reason().is_some());
}

#[test]
fn a_late_timeout_kills_nobody_before_the_pings_were_sent() {
    // The machine slept, or the loop was busy.
    let mut client = Side::client();
    client.start_keepalive(SETTINGS, Time::START);
    client.timeout(Time::START + SECOND * 1000);
    assert_eq!(client.close_reason(), None);
    assert_eq!(client.headers(), [header(1)]);
    assert_eq!(client.deadline(), Some(Time::START + SECOND * 1001));
}

#[test]
fn a_timeout_before_the_deadline_does_nothing() {
    let mut client = Side::client();
    client.start_keepalive(SETTINGS, Time::START);
    for _ in 0..10 {
        client.timeout(Time::START + (SECOND - Duration::from_nanos(1)));
    }
    assert!(client.packets().is_empty());
}
