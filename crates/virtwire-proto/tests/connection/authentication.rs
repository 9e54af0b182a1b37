//! Authentication: who is let in, what is allowed before, and the security layer behind it.
//!
//! The mechanism is a toy: the client says a name, the server asks, the client answers its password. Its layer
//! turns every byte's bits round, in buffers of at most 100 bytes with a length and a running number in front.

use crate::rig::{Pair, Side, bytes_of, each_split, hand, raw};
use crate::samples::*;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use virtwire_proto::connection::{
    Authentication, CallError, Client, ClientConfig, CloseReason, IncomingCall, ReplyError, SaslReply,
    SecurityError, SecurityLayer, Server, ServerConfig, ServerEvent, Time,
};
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::packet::{Header, PacketType, Serial, Status};
use virtwire_proto::program::net::MessageError;
use virtwire_proto::program::remote::*;
use virtwire_proto::program::{Call, PROGRAMS};
use virtwire_proto::xdr::{Text, from_bytes};

/// The toy's security layer.
#[derive(Debug, Default)]
pub(crate) struct Toy {
    sealed: u8,
    unsealed: u8,
}

impl SecurityLayer for Toy {
    fn wrap(&mut self, plain: &[u8], sealed: &mut BytesMut) -> Result<(), SecurityError> {
        for part in plain.chunks(100) {
            sealed.put_u8(part.len() as u8);
            sealed.put_u8(self.sealed);
            self.sealed = self.sealed.wrapping_add(1);
            sealed.extend(part.iter().map(|byte| !byte));
        }
        Ok(())
    }

    fn unwrap(&mut self, sealed: &mut BytesMut, plain: &mut BytesMut) -> Result<(), SecurityError> {
        while let Some(&[len, number]) = sealed.first_chunk::<2>() {
            if len == 0 || len > 100 || number != self.unsealed {
                return Err(SecurityError("not sealed by the toy".into()));
            }
            if sealed.len() < 2 + usize::from(len) {
                return Ok(());
            }
            sealed.advance(2);
            self.unsealed = self.unsealed.wrapping_add(1);
            plain.extend(sealed.split_to(len.into()).iter().map(|byte| !byte));
        }
        Ok(())
    }
}

fn guarded(authentication: Authentication) -> Pair {
    Pair::new(ClientConfig::default(), ServerConfig::new(PROGRAMS).authentication(authentication))
}

fn server(authentication: Authentication) -> Side<Server> {
    guarded(authentication).server
}

fn required() -> Box<MessageError> {
    Box::new(virtwire_proto::error::raised(
        ErrorNumber::RPC,
        ErrorDomain::RPC,
        "%s",
        "authentication required",
    ))
}

fn failed() -> Box<MessageError> {
    Box::new(virtwire_proto::error::raised(
        ErrorNumber::AUTH_FAILED,
        ErrorDomain::RPC,
        "authentication failed: %s",
        "authentication failed",
    ))
}

/// What the server answers to a call by hand, by itself.
fn answer<C: Call>(server: &mut Side<Server>, args: &C) -> Result<Bytes, Box<MessageError>> {
    server.feed(&hand(C::PROCEDURE, PacketType::CALL, Serial(9), Status::OK, args));
    let mut packets = server.packets();
    assert_eq!(packets.len(), 1, "one answer");
    let packet = packets.remove(0);
    match packet.header.status {
        Status::OK => Ok(packet.payload),
        _ => Err(Box::new(from_bytes(packet.payload).unwrap())),
    }
}

fn asked(server: &mut Side<Server>) -> Vec<AuthType> {
    from_bytes::<AuthListRet>(answer(server, &AuthListArgs {}).unwrap()).unwrap().types
}

#[test]
fn the_server_says_what_it_asks_for() {
    assert_eq!(asked(&mut server(Authentication::None)), [AuthType::NONE]);
    assert_eq!(asked(&mut server(Authentication::Polkit)), [AuthType::POLKIT]);
    assert_eq!(asked(&mut server(Authentication::Sasl)), [AuthType::SASL]);
}

/// libvirtd refuses them so before it looks at their arguments; what is unknown it calls unknown.
#[test]
fn calls_before_authentication_are_refused() {
    for authentication in [Authentication::Polkit, Authentication::Sasl] {
        each_split(
            || server(authentication),
            |server| {
                let open = ConnectOpenArgs { name: None, flags: 0 };
                assert_eq!(answer(server, &open).unwrap_err(), required());
                assert_eq!(answer(server, &ConnectCloseArgs {}).unwrap_err(), required());
                assert_eq!(answer(server, &VERSION).unwrap_err(), required());
                let feature = ConnectSupportsFeatureArgs { feature: 10 };
                assert_eq!(answer(server, &feature).unwrap_err(), required());
                let header =
                    Header::new(DomainLookupByNameArgs::PROCEDURE, PacketType::CALL, Serial(1), Status::OK);
                server.feed(&raw(header, &[]));
                let malformed: MessageError = from_bytes(server.packets()[0].payload.clone()).unwrap();
                assert_eq!(malformed, *required());
                server.feed(&raw(Header { procedure: 9999, ..header }, &[]));
                let unknown: MessageError = from_bytes(server.packets()[0].payload.clone()).unwrap();
                assert_eq!(unknown.message.unwrap(), "unknown procedure: 9999");
                server.no_event();
                assert!(!server.admitted());
            },
        );
    }
}

#[test]
fn pings_are_answered_before_authentication() {
    let mut server = server(Authentication::Sasl);
    let ping = virtwire_proto::program::keepalive::PROGRAM.procedure(1).unwrap();
    server.feed(&hand(ping, PacketType::MESSAGE, Serial(0), Status::OK, &()));
    assert_eq!(server.headers()[0].procedure, 2);
}

#[test]
fn polkit_lets_in() {
    each_split(
        || guarded(Authentication::Polkit),
        |pair| {
            let serial = pair.client.call(&AuthPolkitArgs {}, Time::START).unwrap();
            // What follows waits for the decision.
            let next = pair.client.call(&VERSION, Time::START).unwrap();
            pair.run();
            let Some(ServerEvent::Polkit { id }) = pair.server.event() else { panic!("it is asked") };
            pair.server.no_event();
            assert!(!pair.server.wants_bytes() && !pair.server.admitted());
            pair.server.decide(id, Ok(())).unwrap();
            assert!(pair.server.admitted());
            let call = pair.called();
            pair.server.reply(call.id, &version(1)).unwrap();
            pair.run();
            let ret = pair.client.result(serial).unwrap().decode::<AuthPolkitArgs>().unwrap();
            assert_eq!(ret.complete, 1);
            pair.client.result(next).unwrap();
            assert_eq!(pair.server.decide(id, Ok(())), Err(ReplyError::NotWaiting));
        },
    );
}

#[test]
fn polkit_keeps_out_and_may_be_asked_again() {
    each_split(
        || guarded(Authentication::Polkit),
        |pair| {
            for _ in 0..2 {
                let serial = pair.client.call(&AuthPolkitArgs {}, Time::START).unwrap();
                pair.run();
                let Some(ServerEvent::Polkit { id }) = pair.server.event() else { panic!("it is asked") };
                pair.server.decide(id, Err(&failed())).unwrap();
                pair.run();
                let told = pair.client.result(serial).unwrap_err();
                assert!(matches!(told, CallError::Server(error) if error == failed()));
                assert!(!pair.server.admitted());
            }
            assert_eq!(answer(&mut pair.server, &VERSION).unwrap_err(), required());
        },
    );
}

/// libvirtd asks root for nothing where polkit would decide, and says so in AUTH_LIST.
#[test]
fn a_client_may_be_let_in_unasked() {
    let mut server = server(Authentication::Polkit);
    server.admit();
    assert_eq!(asked(&mut server), [AuthType::NONE]);
    server.feed(&hand(VERSION_CALL, PacketType::CALL, Serial(1), Status::OK, &VERSION));
    server.called();
}

const VERSION_CALL: &virtwire_proto::program::Procedure = ConnectGetLibVersionArgs::PROCEDURE;

fn start(data: Option<&'static [u8]>) -> AuthSaslStartArgs {
    AuthSaslStartArgs {
        mech: Text::from("TOY"),
        nil: data.is_none().into(),
        data: Bytes::from_static(data.unwrap_or_default()),
    }
}

fn step(data: Option<&'static [u8]>) -> AuthSaslStepArgs {
    AuthSaslStepArgs { nil: data.is_none().into(), data: Bytes::from_static(data.unwrap_or_default()) }
}

/// Steps that are not the next are refused, and change nothing. libvirtd's answers are the same.
#[test]
fn steps_out_of_order_are_refused() {
    for authentication in [Authentication::None, Authentication::Polkit] {
        let mut server = server(authentication);
        assert_eq!(answer(&mut server, &AuthSaslInitArgs {}).unwrap_err(), failed());
        assert_eq!(answer(&mut server, &start(None)).unwrap_err(), failed());
        server.no_event();
    }
    let mut server = server(Authentication::Sasl);
    assert_eq!(answer(&mut server, &start(None)).unwrap_err(), failed());
    assert_eq!(answer(&mut server, &step(None)).unwrap_err(), failed());
    assert_eq!(answer(&mut server, &AuthPolkitArgs {}).unwrap_err(), failed());
    server.feed(&hand(AuthSaslInitArgs::PROCEDURE, PacketType::CALL, Serial(1), Status::OK, &()));
    let Some(ServerEvent::SaslInit { id }) = server.event() else { panic!("it is asked") };
    server.sasl_mechanisms(id, "TOY").unwrap();
    server.packets();
    assert_eq!(answer(&mut server, &AuthSaslInitArgs {}).unwrap_err(), failed());
    assert_eq!(answer(&mut server, &step(None)).unwrap_err(), failed());
    server.feed(&hand(AuthSaslStartArgs::PROCEDURE, PacketType::CALL, Serial(1), Status::OK, &start(None)));
    assert!(matches!(server.event(), Some(ServerEvent::SaslStart { .. })));
}

#[test]
fn a_step_that_cannot_be_decoded_is_refused_and_may_be_sent_again() {
    let mut server = server(Authentication::Sasl);
    server.feed(&hand(AuthSaslInitArgs::PROCEDURE, PacketType::CALL, Serial(1), Status::OK, &()));
    let Some(ServerEvent::SaslInit { id }) = server.event() else { panic!("it is asked") };
    server.sasl_mechanisms(id, "TOY").unwrap();
    server.packets();
    server.feed(&hand(AuthSaslStartArgs::PROCEDURE, PacketType::CALL, Serial(1), Status::OK, &()));
    let error: MessageError = from_bytes(server.packets()[0].payload.clone()).unwrap();
    assert_eq!(error.message.unwrap(), "Unable to decode message payload");
    server.feed(&hand(AuthSaslStartArgs::PROCEDURE, PacketType::CALL, Serial(1), Status::OK, &start(None)));
    assert!(matches!(server.event(), Some(ServerEvent::SaslStart { data: None, .. })));
}

/// Goes through the toy mechanism on both sides up to its last step, which the server answers with `last`.
/// Gives the serial of the last step.
fn through_the_steps(pair: &mut Pair, last: SaslReply) -> Serial {
    let init = pair.client.call(&AuthSaslInitArgs {}, Time::START).unwrap();
    pair.run();
    let Some(ServerEvent::SaslInit { id }) = pair.server.event() else { panic!("it is asked") };
    pair.server.sasl_mechanisms(id, "TOY,OTHER").unwrap();
    pair.run();
    let ret = pair.client.result(init).unwrap().decode::<AuthSaslInitArgs>().unwrap();
    assert_eq!(ret.mechlist, "TOY,OTHER");

    let started = pair.client.call(&start(Some(b"fred")), Time::START).unwrap();
    pair.run();
    match pair.server.event() {
        Some(ServerEvent::SaslStart { id, mechanism, data }) => {
            assert_eq!((mechanism, data), (Text::from("TOY"), Some(Bytes::from_static(b"fred"))));
            pair.server.sasl_reply(id, SaslReply::Challenge(Some(Bytes::new()))).unwrap();
        }
        other => panic!("expected the start, got {other:?}"),
    }
    pair.run();
    let ret = pair.client.result(started).unwrap().decode::<AuthSaslStartArgs>().unwrap();
    assert_eq!((ret.complete, ret.nil, ret.data), (0, 0, Bytes::new()), "empty is not absent");

    let serial = pair.client.call(&step(None), Time::START).unwrap();
    pair.run();
    match pair.server.event() {
        Some(ServerEvent::SaslStep { id, data: None }) => pair.server.sasl_reply(id, last).unwrap(),
        other => panic!("expected the step, got {other:?}"),
    }
    serial
}

/// A call is made and answered; an event comes too.
fn still_works(pair: &mut Pair) {
    let serial = pair.client.call(&lookup("demo"), Time::START).unwrap();
    let call: IncomingCall = pair.called();
    assert_eq!(call.args::<DomainLookupByNameArgs>().unwrap().name, "demo");
    pair.server.reply(call.id, &DomainLookupByNameRet { dom: domain() }).unwrap();
    pair.run();
    pair.client.result(serial).unwrap();
    pair.client.no_event();
}

#[test]
fn sasl_without_a_layer() {
    each_split(
        || guarded(Authentication::Sasl),
        |pair| {
            let last = SaslReply::Complete { data: None, layer: None };
            let serial = through_the_steps(pair, last);
            assert!(pair.server.admitted());
            pair.server.emit(&domain_event(1, 1)).unwrap();
            pair.run();
            let ret = pair.client.result(serial).unwrap().decode::<AuthSaslStepArgs>().unwrap();
            assert_eq!((ret.complete, ret.nil), (1, 1));
            pair.client.no_event();
            assert!(pair.client.is_held());
            pair.client.authenticated(None);
            assert!(!pair.client.is_held());
            pair.run();
            assert!(pair.client.event().is_some(), "what came behind the last step was held");
            still_works(pair);
            assert_eq!(asked(&mut pair.server), [AuthType::NONE], "no more is asked of who is in");
        },
    );
}

#[test]
fn sasl_with_a_layer() {
    each_split(
        || guarded(Authentication::Sasl),
        |pair| {
            let data = Some(Bytes::from_static(b"welcome"));
            let layer = Box::new(Toy::default());
            let serial = through_the_steps(pair, SaslReply::Complete { data, layer: Some(layer) });
            // Sealed already, and on its way with the last step's plain answer.
            pair.server.emit(&domain_event(1, 1)).unwrap();
            pair.run();
            let ret = pair.client.result(serial).unwrap().decode::<AuthSaslStepArgs>().unwrap();
            assert_eq!((ret.complete, ret.data), (1, Bytes::from_static(b"welcome")));
            pair.client.no_event();
            assert!(!pair.client.bytes.is_empty());
            pair.client.authenticated(Some(Box::new(Toy::default())));
            pair.run();
            assert!(pair.client.event().is_some());
            for _ in 0..3 {
                still_works(pair);
            }
            // Nothing is plain on the wire any more.
            pair.client.call(&lookup("a name that would be seen"), Time::START).unwrap();
            let wire = bytes_of(pair.client.written());
            assert!(!wire.windows(4).any(|window| window == b"seen"));
        },
    );
}

#[test]
fn large_packets_pass_a_layer_in_many_buffers() {
    let mut pair = guarded(Authentication::Sasl);
    let layer = Box::new(Toy::default());
    let serial = through_the_steps(&mut pair, SaslReply::Complete { data: None, layer: Some(layer) });
    pair.run();
    pair.client.result(serial).unwrap();
    pair.client.authenticated(Some(Box::new(Toy::default())));
    let xml = vec![b'<'; 100_000];
    pair.client.call(&DomainDefineXmlArgs { xml: xml.clone().into() }, Time::START).unwrap();
    let args: DomainDefineXmlArgs = pair.called().args().unwrap();
    assert!(args.xml.as_bytes() == xml);
}

#[test]
fn a_sealed_server_takes_no_more_than_it_has_room_for() {
    let mut pair = guarded(Authentication::Sasl);
    let layer = Box::new(Toy::default());
    let serial = through_the_steps(&mut pair, SaslReply::Complete { data: None, layer: Some(layer) });
    pair.run();
    pair.client.result(serial).unwrap();
    let mut toy = Toy::default();
    let call = hand(VERSION_CALL, PacketType::CALL, Serial(1), Status::OK, &VERSION).repeat(7);
    let mut sealed = BytesMut::new();
    toy.wrap(&call, &mut sealed).unwrap();
    pair.server.feed(&sealed);
    let first = pair.server.called().id;
    for _ in 0..4 {
        pair.server.called();
    }
    pair.server.no_event();
    pair.server.reply(first, &version(1)).unwrap();
    pair.server.receive();
    pair.server.called();
    pair.server.no_event();
}

#[test]
fn a_mechanism_may_be_complete_at_its_start() {
    each_split(
        || guarded(Authentication::Sasl),
        |pair| {
            pair.client.call(&AuthSaslInitArgs {}, Time::START).unwrap();
            pair.run();
            let Some(ServerEvent::SaslInit { id }) = pair.server.event() else { panic!("it is asked") };
            pair.server.sasl_mechanisms(id, "TOY").unwrap();
            pair.run();
            pair.client.event();
            let serial = pair.client.call(&start(Some(b"fred")), Time::START).unwrap();
            pair.run();
            let Some(ServerEvent::SaslStart { id, .. }) = pair.server.event() else { panic!("it starts") };
            let layer: Option<Box<dyn SecurityLayer>> = Some(Box::new(Toy::default()));
            pair.server.sasl_reply(id, SaslReply::Complete { data: None, layer }).unwrap();
            pair.run();
            let ret = pair.client.result(serial).unwrap().decode::<AuthSaslStartArgs>().unwrap();
            assert_eq!(ret.complete, 1);
            pair.client.authenticated(Some(Box::new(Toy::default())));
            still_works(pair);
        },
    );
}

/// As libvirtd: the client is told no more than that, and may begin again.
#[test]
fn a_failed_mechanism_may_begin_again() {
    each_split(
        || guarded(Authentication::Sasl),
        |pair| {
            let serial = through_the_steps(pair, SaslReply::Failed);
            pair.run();
            let told = pair.client.result(serial).unwrap_err();
            assert!(matches!(told, CallError::Server(error) if error == failed()));
            assert!(!pair.server.admitted());
            assert_eq!(answer(&mut pair.server, &VERSION).unwrap_err(), required());
            assert_eq!(asked(&mut pair.server), [AuthType::SASL]);
            let serial = through_the_steps(pair, SaslReply::Complete { data: None, layer: None });
            pair.run();
            pair.client.result(serial).unwrap();
            pair.client.authenticated(None);
            still_works(pair);
        },
    );
}

#[test]
fn what_is_not_sealed_ends_a_sealed_connection() {
    let mut client = Side::new(Client::new(ClientConfig::default(), Time::START));
    client.authenticated(Some(Box::new(Toy::default())));
    let call = client.call(&VERSION, Time::START).unwrap();
    client.feed(&crate::rig::hand_reply(VERSION_CALL, call, &version(1)));
    let reason = CloseReason::Security(SecurityError("not sealed by the toy".into()));
    assert_eq!(client.close_reason(), Some(&reason));
    assert_eq!(reason.to_string(), "the peer broke the security layer: not sealed by the toy");
    client.result(call).unwrap_err();
}
