//! What each side may expect of the other, kept in the plainest way.

use bytes::{Buf, Bytes};
use std::collections::{BTreeMap, HashMap, VecDeque};
use virtwire_proto::connection::{
    CallError, CallId, ClientEvent, CloseReason, IncomingCall, Reply, ServerStreamEvent, StreamEvent,
    StreamFailure, Time,
};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::{EventClass, Procedure, StreamDirection};

/// The number of a call in this run. Its arguments begin with it.
pub(super) type Tag = u32;

#[derive(Debug, Default)]
pub(super) struct Model {
    /// Whether bytes were changed on their way, so that a peer's doings may be anything.
    pub(super) corrupt: bool,
    pub(super) calls: BTreeMap<Tag, Call>,
    tags: HashMap<Serial, Tag>,
    last_taken: Tag,
    /// The calls that the server works on; without a tag those that the client makes on nobody's behalf.
    pub(super) working: Vec<(CallId, Option<Tag>)>,
    pub(super) streams: BTreeMap<Tag, Stream>,
    /// What the server has given out, and not taken back.
    pub(super) registered: BTreeMap<Key, Tag>,
    last_callback: i32,
    last_event: u32,
    client_closed: bool,
    server_closed: bool,
}

/// A callback identifier counts within its class.
pub(super) type Key = (EventClass, i32);

#[derive(Debug)]
pub(super) struct Call {
    pub(super) serial: Serial,
    pub(super) procedure: &'static Procedure,
    payload: Bytes,
    descriptors: usize,
    deadline: Option<Time>,
    /// Whether the client still wants to hear of it.
    pub(super) wanted: bool,
    replied: bool,
    taken: bool,
    pub(super) answer: Option<Answer>,
    pub(super) registration: Option<Registration>,
}

#[derive(Debug, Clone)]
pub(super) enum Answer {
    Payload(Bytes, usize),
    Error(i32),
}

/// A call that registers for events.
#[derive(Debug)]
pub(super) struct Registration {
    /// What the server knows it by, once it has the call.
    pub(super) key: Option<Key>,
    /// Whether the client has the reply, and has not unsubscribed.
    live: bool,
    /// The events that it is to get.
    events: VecDeque<u32>,
    /// How many may have been lost, as the client was told.
    lost: u64,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: CallId,
    pub(super) client: Phase,
    pub(super) server: Phase,
    to_client: VecDeque<Item>,
    to_server: VecDeque<Item>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The reply has not come yet.
    Before,
    Open,
    Finishing,
    Gone,
}

/// What travels on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Data(Bytes),
    Hole(i64, u32),
    End,
    Finish,
    Abort,
    Confirm,
    Fail(i32),
}

impl Model {
    /// Notes a call that the client has made.
    pub(super) fn called(
        &mut self,
        tag: Tag,
        serial: Serial,
        procedure: &'static Procedure,
        payload: Bytes,
        descriptors: usize,
        deadline: Option<Time>,
    ) {
        assert_ne!(serial, Serial(0));
        assert!(self.tags.insert(serial, tag).is_none(), "a serial is used once");
        let registers = procedure.event_class.is_some();
        let registration =
            registers.then(|| Registration { key: None, live: false, events: VecDeque::new(), lost: 0 });
        let call = Call {
            serial,
            procedure,
            payload,
            descriptors,
            deadline,
            wanted: true,
            replied: false,
            taken: false,
            answer: None,
            registration,
        };
        self.calls.insert(tag, call);
    }

    pub(super) fn next_tag(&self) -> Tag {
        self.calls.last_key_value().map_or(1, |(last, _)| last + 1)
    }

    /// Notes that the client has forgotten a call, where it still waited for it.
    pub(super) fn cancelled(&mut self, tag: Tag) {
        if let Some(call) = self.calls.get_mut(&tag)
            && !call.replied
        {
            call.wanted = false;
        }
    }

    /// Notes that the client has unsubscribed.
    pub(super) fn unsubscribed(&mut self, tag: Tag) {
        self.cancelled(tag);
        if let Some(registration) = self.calls.get_mut(&tag).and_then(|call| call.registration.as_mut()) {
            registration.live = false;
        }
    }

    /// How many calls the server has of the client's.
    pub(super) fn in_flight(&self) -> usize {
        self.working.len()
    }

    /// Checks a call that the server is told of.
    pub(super) fn taken(&mut self, call: &IncomingCall) {
        assert!(!self.server_closed, "a closed server is told of nothing");
        let mut payload = call.payload.clone();
        let word = payload.try_get_u32();
        let tag = match (call.procedure.event_class, word) {
            // Deregistrations are made on nobody's behalf.
            (Some(class), Ok(callback)) if call.procedure.name.contains("deregister") => {
                let known = self.registered.remove(&(class, callback.cast_signed())).is_some();
                assert!(known || self.corrupt, "what is taken back was given out, once");
                None
            }
            (_, Ok(tag)) if !self.corrupt => {
                let known = self.calls.get_mut(&tag).expect("the client has made this call");
                assert!(!known.taken && tag > self.last_taken, "a call comes once, and in its turn");
                assert_eq!(known.procedure, call.procedure);
                assert_eq!(known.payload, call.payload);
                assert_eq!(known.descriptors, call.descriptors.len());
                known.taken = true;
                self.last_taken = tag;
                if let (Some(registration), Some(class)) =
                    (known.registration.as_mut(), call.procedure.event_class)
                {
                    self.last_callback += 1;
                    registration.key = Some((class, self.last_callback));
                }
                Some(tag)
            }
            _ => {
                assert!(self.corrupt, "a call has arguments");
                None
            }
        };
        self.working.push((call.id, tag));
    }

    /// Notes an answer that the server has given.
    pub(super) fn answered(&mut self, id: CallId, answer: Answer) {
        let Some(place) = self.working.iter().position(|(working, _)| *working == id) else { return };
        let (_, tag) = self.working.swap_remove(place);
        let Some((tag, call)) = tag.and_then(|tag| self.calls.get_mut(&tag).map(|call| (tag, call))) else {
            return;
        };
        if let Answer::Payload(..) = answer {
            if call.procedure.stream != StreamDirection::None {
                let (to_client, to_server) = (VecDeque::new(), VecDeque::new());
                let stream = Stream { id, client: Phase::Before, server: Phase::Open, to_client, to_server };
                self.streams.insert(tag, stream);
            }
            if let Some(key) = call.registration.as_ref().and_then(|registration| registration.key) {
                self.registered.insert(key, tag);
            }
        }
        call.answer = Some(answer);
    }

    /// The number of an event that the server is about to send.
    pub(super) fn emitted(&mut self, key: Key) -> u32 {
        self.last_event += 1;
        let holder = self.calls.values_mut().find_map(|call| {
            let registration = call.registration.as_mut()?;
            let waits = call.wanted && (registration.live || !call.replied);
            (waits && registration.key == Some(key)).then_some(registration)
        });
        if let Some(registration) = holder {
            registration.events.push_back(self.last_event);
        }
        self.last_event
    }

    /// Checks what a client is told.
    pub(super) fn client_event(&mut self, event: ClientEvent, now: Time, closed: Option<&CloseReason>) {
        assert!(!self.client_closed, "nothing follows the end, but {event:?} does");
        match event {
            ClientEvent::Reply { serial, result } => self.replied(serial, result, now, closed),
            ClientEvent::Stream { serial, event } => self.client_stream(serial, event, closed),
            ClientEvent::Message { subscription, procedure, mut payload } => {
                let (callback, event) = (payload.try_get_i32(), payload.try_get_u32());
                let key = procedure.event_class.zip(callback.ok());
                let Some(subscription) = subscription else {
                    let live = self.registration_of(key).is_some_and(|registration| registration.live);
                    assert!(!live || self.corrupt, "a subscription's event comes to it");
                    return;
                };
                let corrupt = self.corrupt;
                let registration = self.registration(subscription).expect("only registrations subscribe");
                assert!(registration.live, "an event comes only while it is wanted");
                if corrupt {
                    return;
                }
                assert_eq!(registration.key, key);
                loop {
                    match registration.events.pop_front() {
                        next if next == event.as_ref().ok().copied() => break,
                        Some(_) if registration.lost > 0 => registration.lost -= 1,
                        next => panic!("expected the event {next:?}, got {event:?}"),
                    }
                }
            }
            ClientEvent::EventsLost { subscription, count } => {
                let registration = self.registration(subscription).expect("only registrations subscribe");
                assert!(registration.live && count > 0);
                registration.lost += count;
            }
            ClientEvent::Unexpected { header } => assert!(self.corrupt, "nobody expected {header}"),
            ClientEvent::Closed { .. } => {
                assert!(closed.is_some());
                self.client_closed = true;
            }
            other => panic!("an event of an unknown kind: {other:?}"),
        }
    }

    fn replied(
        &mut self,
        serial: Serial,
        result: Result<Reply, CallError>,
        now: Time,
        closed: Option<&CloseReason>,
    ) {
        let tag = self.tags[&serial];
        let call = self.calls.get_mut(&tag).expect("every serial has a call");
        assert!(call.wanted && !call.replied, "a call ends once, and not after it was cancelled");
        call.replied = true;
        match (result, &call.answer) {
            (Ok(reply), Some(Answer::Payload(payload, descriptors))) => {
                assert_eq!(reply.procedure, call.procedure);
                assert!(self.corrupt || (&reply.payload, reply.descriptors.len()) == (payload, *descriptors));
                if let Some(registration) = &mut call.registration {
                    registration.live = true;
                }
                if let Some(stream) = self.streams.get_mut(&tag) {
                    stream.client = Phase::Open;
                }
            }
            (Err(CallError::Server(error)), Some(Answer::Error(code))) if error.code == *code => {}
            (Err(CallError::TimedOut), _) => {
                assert!(call.deadline.is_some_and(|deadline| deadline <= now), "its time has come");
                call.wanted = false;
            }
            (Err(CallError::Closed(reason)), _) => assert_eq!(Some(&reason), closed),
            (result, answer) => {
                assert!(self.corrupt, "{answer:?} was answered, {result:?} came");
                // Whatever it was, the client believes it.
                if result.is_ok() {
                    if let Some(registration) = &mut call.registration {
                        registration.live = true;
                    }
                    if call.procedure.stream != StreamDirection::None {
                        let (to_client, to_server) = (VecDeque::new(), VecDeque::new());
                        let id = self.streams.values().next().map(|stream| stream.id);
                        if let Some(id) = id {
                            let (client, server) = (Phase::Open, Phase::Gone);
                            let stream = Stream { id, client, server, to_client, to_server };
                            self.streams.entry(tag).or_insert(stream).client = Phase::Open;
                        }
                    }
                }
            }
        }
    }

    fn client_stream(&mut self, serial: Serial, event: StreamEvent, closed: Option<&CloseReason>) {
        let corrupt = self.corrupt;
        let Some(stream) = self.streams.get_mut(&self.tags[&serial]) else {
            return assert!(corrupt, "{event:?} of no stream");
        };
        let open = matches!(stream.client, Phase::Open | Phase::Finishing);
        assert!(open, "{event:?} of a stream that is {:?}", stream.client);
        let finishing = stream.client == Phase::Finishing;
        let item = match event {
            StreamEvent::Data(data) => {
                return arrive(&mut stream.to_client, data, corrupt);
            }
            StreamEvent::Hole { length, flags } => Item::Hole(length, flags),
            StreamEvent::End => Item::End,
            StreamEvent::Finished => {
                assert!(finishing, "only what this side has finished is confirmed");
                stream.client = Phase::Gone;
                Item::Confirm
            }
            StreamEvent::Failed(failure) => {
                stream.client = Phase::Gone;
                match failure {
                    StreamFailure::Closed(reason) => return assert_eq!(Some(&reason), closed),
                    StreamFailure::Server(error) => Item::Fail(error.code),
                    StreamFailure::Unfinished { .. } => {
                        assert!(!finishing);
                        Item::Confirm
                    }
                    other => return assert!(corrupt, "{other}"),
                }
            }
            other => panic!("an event of an unknown kind: {other:?}"),
        };
        let expected = stream.to_client.pop_front();
        assert!(corrupt || expected.as_ref() == Some(&item), "expected {expected:?}, got {item:?}");
    }

    /// Checks what a server is told of a stream.
    pub(super) fn server_stream(&mut self, id: CallId, event: ServerStreamEvent) {
        let corrupt = self.corrupt;
        let found = self.streams.iter_mut().find(|(_, stream)| stream.id == id);
        let Some((tag, stream)) = found else { return assert!(corrupt, "{event:?} of no stream") };
        if corrupt {
            return;
        }
        assert!(
            matches!(stream.server, Phase::Open | Phase::Finishing),
            "{event:?} of a stream that is {:?}",
            stream.server
        );
        let item = match event {
            ServerStreamEvent::Data(data) => return arrive(&mut stream.to_server, data, corrupt),
            ServerStreamEvent::Hole { length, flags } => Item::Hole(length, flags),
            ServerStreamEvent::Finish => {
                stream.server = Phase::Finishing;
                Item::Finish
            }
            ServerStreamEvent::Abort => {
                stream.server = Phase::Gone;
                if !self.calls[tag].wanted {
                    // Nobody waited for the reply, so that the client has given the stream up by itself.
                    return;
                }
                Item::Abort
            }
            other => panic!("an event of an unknown kind: {other:?}"),
        };
        let expected = stream.to_server.pop_front();
        assert!(expected.as_ref() == Some(&item), "expected {expected:?}, got {item:?}");
    }

    pub(super) fn server_closed(&mut self) {
        assert!(!self.server_closed, "it ends once");
        self.server_closed = true;
        self.working.clear();
        self.streams.values_mut().for_each(|stream| stream.server = Phase::Gone);
    }

    /// Everything that was under way has come to its end.
    pub(super) fn assert_settled(&self) {
        assert!(self.working.is_empty());
        for call in self.calls.values() {
            assert_eq!(call.wanted, call.replied && call.wanted, "every call has its end: {call:?}");
            if let Some(Registration { key, live, events, lost }) = &call.registration {
                assert!(!live || events.len() as u64 <= *lost, "every event comes, or is said to be lost");
                let given = key.is_some_and(|key| self.registered.contains_key(&key));
                assert_eq!(given, *live, "what nobody wants any more is taken back: {call:?}");
            }
        }
        for stream in self.streams.values() {
            assert_eq!(stream.server, Phase::Gone);
            assert!(matches!(stream.client, Phase::Gone | Phase::Before), "{stream:?}");
        }
    }

    /// Both sides have ended, and have said so.
    pub(super) fn assert_ended(&self) {
        assert!(self.client_closed && self.server_closed);
        assert!(self.calls.values().all(|call| call.replied || !call.wanted), "every call has its end");
        let streams = self.streams.values();
        assert!(streams.clone().all(|stream| matches!(stream.client, Phase::Gone | Phase::Before)));
    }

    fn registration(&mut self, serial: Serial) -> Option<&mut Registration> {
        self.calls.get_mut(&self.tags[&serial]).and_then(|call| call.registration.as_mut())
    }

    fn registration_of(&self, key: Option<Key>) -> Option<&Registration> {
        let registrations = self.calls.values().filter_map(|call| call.registration.as_ref());
        registrations.into_iter().find(|registration| key.is_some() && registration.key == key)
    }
}

impl Stream {
    pub(super) fn push_to_server(&mut self, item: Item) {
        // What comes too late is dropped.
        if self.server != Phase::Gone {
            self.to_server.push_back(item);
        }
    }

    pub(super) fn push_to_client(&mut self, item: Item) {
        if self.client != Phase::Gone {
            self.to_client.push_back(item);
        }
    }
}

/// Checks data that has come: all of it, or the first part.
fn arrive(items: &mut VecDeque<Item>, data: Bytes, corrupt: bool) {
    assert!(!data.is_empty(), "no data is no data");
    if corrupt {
        return;
    }
    match items.front_mut() {
        Some(Item::Data(expected)) if expected.starts_with(&data) => {
            expected.advance(data.len());
            if expected.is_empty() {
                items.pop_front();
            }
        }
        expected => panic!("expected {expected:?}, got {} bytes of data", data.len()),
    }
}
