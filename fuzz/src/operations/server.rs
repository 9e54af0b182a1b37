//! What the server does, and what it is told.

use super::World;
use super::client::data;
use super::model::{Answer, Item, Phase, Tag};
use crate::input::Input;
use bytes::Bytes;
use virtwire_proto::connection::{
    CallId, ReplyError, SaslReply, SecurityLayer, SendError, Server, ServerEvent,
};
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::error::raised;
use virtwire_proto::packet::PacketError;
use virtwire_proto::program::net::MessageError;
use virtwire_proto::program::remote::{
    DomainEventCallbackLifecycleMsg, NetworkEventLifecycleMsg, SecretEventLifecycleMsg,
};
use virtwire_proto::program::{Event, EventClass, Procedure};

/// The events that are sent, one of each class that is registered for.
const EVENTS: [(EventClass, &Procedure); 3] = [
    (EventClass::Domain, DomainEventCallbackLifecycleMsg::PROCEDURE),
    (EventClass::Network, NetworkEventLifecycleMsg::PROCEDURE),
    (EventClass::Secret, SecretEventLifecycleMsg::PROCEDURE),
];

impl World<'_> {
    pub(super) fn server_operation(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=3 => {
                let choice = input.byte();
                let count = self.model.working.len().max(1);
                if let Some(&(id, tag)) = self.model.working.get(usize::from(choice >> 4) % count) {
                    let error = choice & 3 == 3;
                    let descriptors = if choice & 12 == 12 { 1 + input.below(3) } else { 0 };
                    let filler = data(input);
                    self.answer(id, tag, error, descriptors, filler);
                    self.server_receive();
                }
            }
            4..=6 => self.emit(input),
            7..=9 => {
                let data = data(input);
                let item = (!data.is_empty()).then(|| Item::Data(data.clone()));
                self.on_server_stream(input, |server, id| server.send(id, data), item);
            }
            10 => {
                let length = [0, 1, i64::MAX, i64::MIN][input.below(4)];
                let flags = u32::from(input.byte());
                let item = Some(Item::Hole(length, flags));
                self.on_server_stream(input, |server, id| server.send_hole(id, length, flags), item);
            }
            11 => self.on_server_stream(input, |server, id| server.end(id), Some(Item::End)),
            12 | 13 => self.on_server_stream(input, |server, id| server.confirm(id), Some(Item::Confirm)),
            14 => {
                let code = i32::from(input.byte());
                let error = raised(ErrorNumber(code), ErrorDomain::TEST, "%s", "failed");
                self.on_server_stream(input, |server, id| server.fail(id, &error), Some(Item::Fail(code)));
            }
            _ => self.server_receive(),
        }
    }

    fn answer(&mut self, id: CallId, tag: Option<Tag>, error: bool, descriptors: usize, filler: Bytes) {
        if error {
            // A deregistration has no tag: it may fail, and nobody hears of it.
            let code = tag.map_or(1, |tag| 1 + tag.cast_signed() % 100);
            self.server
                .reply_error(id, &raised(ErrorNumber(code), ErrorDomain::TEST, "%s", "no"))
                .expect("the call waits for an answer");
            return self.model.answered(id, Answer::Error(code));
        }
        let registration = tag.and_then(|tag| self.model.calls[&tag].registration.as_ref());
        let callback = registration.and_then(|registration| registration.key).map(|(_, callback)| callback);
        // What registers answers its identifier, and nothing that could stand before it.
        let payload = match callback {
            Some(callback) => Bytes::from([&callback.to_be_bytes(), &filler[..]].concat()),
            None => filler,
        };
        let sent = self.descriptors.some(descriptors);
        match self.server.reply_raw(id, payload.clone(), sent) {
            Ok(()) => self.model.answered(id, Answer::Payload(payload, descriptors)),
            Err(ReplyError::Refused(PacketError::Sealed { .. })) => assert!(self.sealed && descriptors > 0),
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends an event: of what is registered, of what is about to be, or of neither.
    fn emit(&mut self, input: &mut Input<'_>) {
        let (class, procedure) = input.one_of(&EVENTS);
        let about_to_be = self.model.working.iter().filter_map(|(_, tag)| {
            let registration = self.model.calls[&(*tag)?].registration.as_ref()?;
            registration.key.map(|(_, callback)| callback)
        });
        let known = self.model.registered.keys().map(|(_, callback)| *callback).chain(about_to_be);
        let callbacks: Vec<i32> = known.chain([0]).collect();
        let callback = callbacks[input.below(callbacks.len().min(256))];
        // An identifier is of one class: the event of another is of nothing.
        let event = self.model.emitted((class, callback));
        let mut payload = callback.to_be_bytes().to_vec();
        payload.extend(event.to_be_bytes());
        payload.extend(data(input));
        self.server.emit_raw(procedure, payload.into()).expect("it is short");
    }

    fn on_server_stream(
        &mut self,
        input: &mut Input<'_>,
        act: impl FnOnce(&mut Server, CallId) -> Result<(), SendError>,
        item: Option<Item>,
    ) {
        let tag = self.model.streams.keys().rev().nth(input.below(6)).copied();
        let Some(stream) = tag.and_then(|tag| self.model.streams.get_mut(&tag)) else { return };
        let acted = act(&mut self.server, stream.id);
        let open = matches!(stream.server, Phase::Open | Phase::Finishing);
        match acted {
            Ok(()) if open => {
                if matches!(item, Some(Item::Confirm | Item::Fail(_))) {
                    stream.server = Phase::Gone;
                }
                item.into_iter().for_each(|item| stream.push_to_client(item));
            }
            Err(SendError::NoStream(_)) if !open => {}
            acted => assert!(self.model.corrupt, "{acted:?} on a stream that is {:?}", stream.server),
        }
    }

    pub(super) fn server_events(&mut self) {
        while let Some(event) = self.server.event() {
            match event {
                ServerEvent::Call(call) => self.model.taken(&call),
                ServerEvent::Stream { id, event } => self.model.server_stream(id, event),
                ServerEvent::Unexpected { header } => {
                    assert!(self.model.corrupt, "nobody expected {header}");
                }
                ServerEvent::Closed { .. } => self.model.server_closed(),
                // Whoever has been let in, or was never asked, does not authenticate.
                other => assert!(self.model.corrupt, "{other:?}"),
            }
        }
    }

    /// Answers all calls and ends all streams, and says how many these were.
    pub(super) fn answer_all(&mut self) -> usize {
        let calls = self.model.working.clone();
        for &(id, tag) in &calls {
            self.answer(id, tag, false, 0, Bytes::new());
        }
        let open = self.model.streams.values_mut().filter(|stream| stream.server != Phase::Gone);
        let mut ended = 0;
        for stream in open {
            ended += 1;
            let error = raised(ErrorNumber(1), ErrorDomain::TEST, "%s", "the end");
            let (acted, item) = match stream.server {
                Phase::Finishing => (self.server.confirm(stream.id), Item::Confirm),
                _ => (self.server.fail(stream.id, &error), Item::Fail(1)),
            };
            assert!(acted.is_ok() || self.model.corrupt, "{acted:?}");
            stream.server = Phase::Gone;
            stream.push_to_client(item);
        }
        self.server_receive();
        calls.len() + ended
    }

    /// Answers a step of the authentication.
    pub(super) fn server_authenticates(&mut self, layer: Option<Box<dyn SecurityLayer>>) {
        let super::Read { bytes, descriptors } = &mut self.server_read;
        self.server.receive(bytes, descriptors, self.now).expect("the client is honest");
        let Some(event) = self.server.event() else { return };
        let answered = match event {
            ServerEvent::Polkit { id } => self.server.decide(id, Ok::<(), &MessageError>(())),
            ServerEvent::SaslInit { id } => self.server.sasl_mechanisms(id, "X"),
            ServerEvent::SaslStart { id, data, .. } => {
                assert_eq!(data, None, "no data is not empty data");
                self.server.sasl_reply(id, SaslReply::Challenge(Some(Bytes::new())))
            }
            ServerEvent::SaslStep { id, data } => {
                assert_eq!(data, Some(Bytes::new()), "no data is not empty data");
                self.server.sasl_reply(id, SaslReply::Complete { data: None, layer })
            }
            other => panic!("expected a step of the authentication, got {other:?}"),
        };
        answered.expect("the call waits for an answer");
    }
}
