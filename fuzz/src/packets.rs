//! The target `packets`: any bytes, arriving in any pieces, from a peer that may send anything.

use crate::descriptors::Descriptors;
use crate::input::Input;
use crate::memory::Bound;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use virtwire_proto::connection::{
    Authentication, CallOptions, Client, ClientConfig, ClientEvent, CloseReason, ReplyError, SaslReply,
    Server, ServerConfig, ServerEvent, ServerStreamEvent, StreamEvent, Time, Transmit,
};
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::error::raised;
use virtwire_proto::packet::{self, Descriptor, FramingError, MAX_DESCRIPTORS, Packet};
use virtwire_proto::program::{Call, PROGRAMS, qemu, remote};

/// What one side may allocate for what its peer has sent: a packet of 28 bytes becomes an event, which is larger, and
/// may be answered by an error of some 200 bytes; both are put into buffers that grow by doubling.
const MEMORY: Bound = Bound { per_byte: 48, constant: 32 * 1024 };

/// How many bytes a server may answer to each byte that came, where nobody answers calls but with short errors.
const ANSWER: usize = 10;

/// Cuts the input into packets, and gives it to a client and to a server.
///
/// | byte | says |
/// | --- | --- |
/// | 0 | the low half: how many descriptors are there from the start, in threes; bit 4: whether the two sides are also run with someone behind them who answers; the high bits: how the server authenticates |
/// | 1 | how the bytes arrive: 0 one at a time, else in pieces of many lengths that follow from it |
/// | 2 and on | the bytes |
///
/// # Panics
/// If the pieces make a difference, if what a side has to say is no whole packets, or if memory, descriptors or
/// answers are out of proportion.
pub fn packets(data: &[u8]) {
    let mut input = Input::new(data);
    let options = input.byte();
    let pieces = Pieces { seed: input.byte() };
    let authentication =
        [Authentication::None, Authentication::Sasl, Authentication::Polkit][usize::from(options >> 5) % 3];
    let stream = input.rest();
    let descriptors = Descriptors::new();

    let count = 3 * usize::from(options & 15);
    framing(stream, pieces, &descriptors, count);
    let whole = MEMORY.check("a client", stream.len(), || client(&[stream], false, Vec::new()));
    assert_eq!(client(&pieces.of(stream), false, Vec::new()), whole, "pieces make no difference to a client");
    let whole =
        MEMORY.check("a server", stream.len(), || server(&[stream], authentication, false, Vec::new()));
    assert_eq!(
        server(&pieces.of(stream), authentication, false, Vec::new()),
        whole,
        "pieces make no difference to a server"
    );
    if options & 16 != 0 {
        let some = || descriptors.some(count);
        client(&pieces.of(stream), true, some());
        server(&pieces.of(stream), authentication, true, some());
    }
    descriptors.assert_all_closed();
}

/// The input of [`packets`] of which `stream` is all packets' bytes.
pub fn packets_input(options: u8, pieces: u8, stream: &[u8]) -> Vec<u8> {
    [&[options, pieces], stream].concat()
}

/// How a stream is cut into the pieces in which it arrives.
#[derive(Debug, Clone, Copy)]
struct Pieces {
    seed: u8,
}

impl Pieces {
    fn of(self, mut stream: &[u8]) -> Vec<&[u8]> {
        let mut state = u32::from(self.seed);
        let mut pieces = Vec::new();
        while !stream.is_empty() {
            // One in four is short, so that words are cut too.
            let length = match self.seed {
                0 => 1,
                _ if state.is_multiple_of(4) => 1 + state as usize / 4 % 4,
                _ => 1 + state as usize / 4 % 64,
            };
            let (piece, rest) = stream.split_at(length.min(stream.len()));
            pieces.push(piece);
            stream = rest;
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) >> 3;
        }
        pieces
    }
}

/// Packets are the same however their bytes arrive, can be put together again, and announce what they wait for.
fn framing(stream: &[u8], pieces: Pieces, descriptors: &Descriptors, count: usize) {
    let cut = |pieces: &[&[u8]]| {
        let mut there: VecDeque<Descriptor> = descriptors.some(count).into();
        let mut bytes = BytesMut::new();
        let mut packets = Vec::new();
        for piece in pieces {
            bytes.extend_from_slice(piece);
            loop {
                let missing = packet::missing(&bytes);
                match packet::cut(&mut bytes, &mut there) {
                    Ok(Some(packet)) => {
                        assert_eq!(missing, Ok(0), "nothing is missing of a packet that is there");
                        packets.push(packet);
                    }
                    Ok(None) => {
                        assert!(missing.is_ok_and(|missing| missing > 0), "something is missing");
                        break;
                    }
                    Err(error) => {
                        let no_descriptor = matches!(error, FramingError::MissingDescriptors { .. });
                        assert!(no_descriptor || missing == Err(error.clone()), "an error is one for both");
                        return (packets, Err(error));
                    }
                }
            }
        }
        (packets, Ok(bytes))
    };
    let (packets, end) = cut(&[stream]);
    let (cut_up, cut_up_end) = cut(&pieces.of(stream));
    assert_eq!(cut_up_end, end);
    assert!(cut_up.iter().map(shown).eq(packets.iter().map(shown)), "pieces make no difference");

    let mut again = BytesMut::new();
    let procedure = remote::DomainGetInfoArgs::PROCEDURE;
    for Packet { header, payload, descriptors } in &packets {
        // The procedure is only for errors.
        packet::put_raw(&mut again, procedure, *header, payload, descriptors.len())
            .expect("a packet that came can be sent on");
        again.resize(again.len() + descriptors.len(), 0);
    }
    if let Ok(rest) = end {
        assert_eq!(again.len() + rest.len(), stream.len(), "no byte is lost");
    }
    if packets.iter().all(|packet| packet.descriptors.is_empty()) {
        assert_eq!(again, stream[..again.len()], "packets can be put together again");
    }
}

fn shown(packet: &Packet) -> (packet::Header, &Bytes, usize) {
    (packet.header, &packet.payload, packet.descriptors.len())
}

/// What happens on a client with a call of each kind under way.
fn client(pieces: &[&[u8]], answers: bool, descriptors: Vec<Descriptor>) -> Vec<String> {
    let now = Time::START;
    let mut client = Client::new(ClientConfig::default(), now);
    let calls: [(_, Vec<u8>); 5] = [
        (remote::DomainGetInfoArgs::PROCEDURE, vec![0; 24]),
        (remote::DomainOpenConsoleArgs::PROCEDURE, vec![0; 32]),
        (remote::StorageVolUploadArgs::PROCEDURE, vec![0; 32]),
        (remote::AuthSaslStartArgs::PROCEDURE, vec![0; 12]),
        (remote::DomainOpenGraphicsArgs::PROCEDURE, vec![0; 32]),
    ];
    let register = remote::ConnectDomainEventCallbackRegisterAnyArgs::default();
    client.subscribe(&register, CallOptions::default(), now).expect("it can be sent");
    for (procedure, payload) in calls {
        client.call_raw(procedure, &payload, CallOptions::default(), now).expect("it can be sent");
    }
    let register = qemu::ConnectDomainMonitorEventRegisterArgs::default();
    client.subscribe(&register, CallOptions::default(), now).expect("it can be sent");

    let mut bytes = BytesMut::new();
    let mut there: VecDeque<_> = descriptors.into();
    let mut events = Vec::new();
    let mut written = written(|| client.transmit());
    for piece in pieces {
        bytes.extend_from_slice(piece);
        loop {
            let received = client.receive(&mut bytes, &mut there, now);
            assert_eq!(received.err().as_ref(), client.close_reason());
            let mut replied = false;
            while let Some(event) = client.event() {
                events.push(format!("{event:?}"));
                replied |= matches!(event, ClientEvent::Reply { .. });
                if answers && let ClientEvent::Stream { serial, event } = event {
                    answer_stream(&mut client, serial, event);
                }
            }
            written.extend(self::written(|| client.transmit()));
            if client.close_reason().is_some() {
                break;
            }
            if !replied {
                assert!(there.len() <= MAX_DESCRIPTORS, "no more descriptors are kept than a packet has");
                break;
            }
            client.authenticated(None);
        }
        if client.close_reason().is_some() {
            break;
        }
    }
    client.close(CloseReason::Peer);
    while let Some(event) = client.event() {
        events.push(format!("{event:?}"));
    }
    assert!(events.last().is_some_and(|event| event.starts_with("Closed")), "the last event is the end");
    assert_whole_packets(written);
    events
}

fn answer_stream(client: &mut Client, serial: packet::Serial, event: StreamEvent) {
    // What has ended meanwhile takes nothing more, and says so.
    let _ = match event {
        StreamEvent::Data(data) => client.send(serial, data),
        StreamEvent::Hole { length, flags } => client.send_hole(serial, length, flags),
        StreamEvent::End => client.finish(serial),
        _ => Ok(()),
    };
}

/// What happens on a server, which answers every call by an error unless it `answers`: then as the client likes it.
fn server(
    pieces: &[&[u8]],
    authentication: Authentication,
    answers: bool,
    descriptors: Vec<Descriptor>,
) -> Vec<String> {
    let now = Time::START;
    let config = ServerConfig::new(PROGRAMS).authentication(authentication).max_client_requests(3);
    let mut server = Server::new(config, now);
    let mut bytes = BytesMut::new();
    let mut there: VecDeque<_> = descriptors.into();
    let mut events = Vec::new();
    let mut written = Vec::new();
    for piece in pieces {
        bytes.extend_from_slice(piece);
        loop {
            let received = server.receive(&mut bytes, &mut there, now);
            assert_eq!(received.err().as_ref(), server.close_reason());
            let bounded = there.len() <= MAX_DESCRIPTORS || !server.wants_bytes();
            assert!(bounded, "no more descriptors are kept than a packet has");
            assert!(server.pending_calls() <= 3, "no more calls are taken than may be worked on");
            let mut answered = false;
            while let Some(event) = server.event() {
                events.push(format!("{event:?}"));
                answered |= answer(&mut server, event, answers);
            }
            assert!(answered || server.wants_bytes() || server.close_reason().is_some());
            written.extend(self::written(|| server.transmit()));
            if !answered || server.close_reason().is_some() {
                break;
            }
        }
        if server.close_reason().is_some() {
            break;
        }
    }
    let came: usize = pieces.iter().map(|piece| piece.len()).sum();
    assert!(answers || written.len() <= ANSWER * came, "{} bytes answer {came}", written.len());
    server.close(CloseReason::Peer);
    while let Some(event) = server.event() {
        events.push(format!("{event:?}"));
    }
    assert!(events.last().is_some_and(|event| event.starts_with("Closed")), "the last event is the end");
    assert_whole_packets(written);
    events
}

/// Whether the event was a call, which is then answered.
fn answer(server: &mut Server, event: ServerEvent, answers: bool) -> bool {
    let error = raised(ErrorNumber::INTERNAL_ERROR, ErrorDomain::TEST, "%s", "no");
    let answered = match event {
        ServerEvent::Call(call) if answers => {
            // A reply of any bytes: the call's own.
            server.reply_raw(call.id, call.payload, call.descriptors)
        }
        ServerEvent::Call(call) => server.reply_error(call.id, &error),
        ServerEvent::Polkit { id } => server.decide(id, if answers { Ok(()) } else { Err(&error) }),
        ServerEvent::SaslInit { id } => server.sasl_mechanisms(id, "PLAIN"),
        ServerEvent::SaslStart { id, data, .. } => {
            // The step that comes next is the last.
            server.sasl_reply(id, SaslReply::Challenge(data))
        }
        ServerEvent::SaslStep { id, data } => {
            let failed = data.as_ref().is_some_and(Bytes::is_empty);
            let complete = SaslReply::Complete { data, layer: None };
            server.sasl_reply(id, if failed { SaslReply::Failed } else { complete })
        }
        ServerEvent::Stream { id, event } => {
            // A stream that has ended meanwhile takes nothing more, and says so.
            let _ = match event {
                ServerStreamEvent::Data(data) => server.send(id, data),
                ServerStreamEvent::Hole { length, flags } => server.send_hole(id, length, flags),
                ServerStreamEvent::Finish => server.confirm(id),
                _ => Ok(()),
            };
            return false;
        }
        _ => return false,
    };
    match answered {
        Ok(()) => true,
        // What came behind the call has ended the connection.
        Err(ReplyError::NotWaiting) if server.close_reason().is_some() => false,
        Err(error) => panic!("every call can be answered, once: {error}"),
    }
}

fn written(mut transmit: impl FnMut() -> Option<Transmit>) -> Vec<u8> {
    let mut written = Vec::new();
    while let Some(next) = transmit() {
        match next {
            Transmit::Bytes(bytes) => written.extend_from_slice(&bytes),
            Transmit::Descriptor(_) => written.push(0),
        }
    }
    written
}

/// What a side writes are whole packets. Those that carry descriptors are only those that carried some here.
fn assert_whole_packets(written: Vec<u8>) {
    let mut bytes = BytesMut::from(&written[..]);
    loop {
        match packet::cut(&mut bytes, &mut VecDeque::new()) {
            Ok(Some(_)) => {}
            Ok(None) => return assert!(bytes.is_empty(), "what a side writes is whole packets"),
            Err(FramingError::MissingDescriptors { .. }) => return,
            Err(error) => panic!("what a side writes can be cut into packets: {error}"),
        }
    }
}
