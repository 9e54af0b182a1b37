//! What the client does, and what it is told.

use super::World;
use super::model::{Item, Phase, Tag};
use crate::input::Input;
use bytes::Bytes;
use std::time::Duration;
use virtwire_proto::connection::{
    Authentication, CallError, CallOptions, Client, ClientEvent, SecurityLayer, SendError, Time,
};
use virtwire_proto::packet::{PacketError, Serial};
use virtwire_proto::program::remote::{
    AuthPolkitArgs, AuthSaslInitArgs, AuthSaslStartArgs, AuthSaslStartRet, AuthSaslStepArgs,
    ConnectDomainEventCallbackRegisterAnyArgs, ConnectNetworkEventRegisterAnyArgs,
    ConnectSecretEventRegisterAnyArgs, DomainGetInfoArgs, DomainOpenConsoleArgs, StorageVolDownloadArgs,
    StorageVolUploadArgs,
};
use virtwire_proto::program::{Call, Procedure, qemu};
use virtwire_proto::xdr::{from_bytes, to_bytes};

/// What is called: twice what opens nothing, then what opens streams.
const CALLS: [&Procedure; 5] = [
    DomainGetInfoArgs::PROCEDURE,
    qemu::DomainMonitorCommandArgs::PROCEDURE,
    DomainOpenConsoleArgs::PROCEDURE,
    StorageVolUploadArgs::PROCEDURE,
    StorageVolDownloadArgs::PROCEDURE,
];

impl World<'_> {
    pub(super) fn client_operation(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=2 => self.call(input),
            3 => self.subscribe(input),
            4 => {
                if let Some(tag) = self.some_call(input) {
                    self.client.cancel(self.model.calls[&tag].serial);
                    self.model.cancelled(tag);
                }
            }
            5 => {
                if let Some(tag) = self.some_call(input) {
                    self.client.unsubscribe(self.model.calls[&tag].serial);
                    self.model.unsubscribed(tag);
                }
            }
            6..=8 => {
                let data = data(input);
                self.on_stream(
                    input,
                    |client, serial| client.send(serial, data.clone()),
                    |phase| match phase {
                        Phase::Open if data.is_empty() => Ok(None),
                        Phase::Open => Ok(Some(Item::Data(data.clone()))),
                        phase => Err(phase),
                    },
                );
            }
            9 => {
                let length = [0, 1, i64::MAX, i64::MIN][input.below(4)];
                let flags = u32::from(input.byte());
                self.on_stream(
                    input,
                    |client, serial| client.send_hole(serial, length, flags),
                    |phase| {
                        if phase == Phase::Open { Ok(Some(Item::Hole(length, flags))) } else { Err(phase) }
                    },
                );
            }
            10 | 11 => self.on_stream(
                input,
                |client, serial| client.finish(serial),
                |phase| {
                    if phase == Phase::Open { Ok(Some(Item::Finish)) } else { Err(phase) }
                },
            ),
            12 | 13 => {
                let Some(tag) = self.some_stream(input) else { return };
                self.client.abort(self.model.calls[&tag].serial);
                let Some(stream) = self.model.streams.get_mut(&tag) else { return };
                if stream.client == Phase::Open {
                    stream.push_to_server(Item::Abort);
                }
                // A call that has not been answered opens a stream yet.
                if stream.client != Phase::Before {
                    stream.client = Phase::Gone;
                }
            }
            _ => self.client_receive(),
        }
    }

    fn call(&mut self, input: &mut Input<'_>) {
        let procedure = input.one_of(&CALLS);
        let tag = self.model.next_tag();
        let payload = [&tag.to_be_bytes(), &data(input)[..]].concat();
        let options = self.options(input);
        let (deadline, descriptors) = (options.deadline, options.descriptors.len());
        let started = self.client.call_raw(procedure, &payload, options, self.now);
        self.called(tag, procedure, payload.into(), deadline, descriptors, started);
    }

    fn subscribe(&mut self, input: &mut Input<'_>) {
        let tag = self.model.next_tag();
        let event_id = tag.cast_signed();
        let class = input.below(3);
        let options = self.options(input);
        let (deadline, descriptors) = (options.deadline, options.descriptors.len());
        let (procedure, payload, started) = match class {
            0 => {
                let args = ConnectDomainEventCallbackRegisterAnyArgs { event_id, dom: None };
                (procedure_of(&args), to_bytes(&args), self.client.subscribe(&args, options, self.now))
            }
            1 => {
                let args = ConnectNetworkEventRegisterAnyArgs { event_id, net: None };
                (procedure_of(&args), to_bytes(&args), self.client.subscribe(&args, options, self.now))
            }
            _ => {
                let args = ConnectSecretEventRegisterAnyArgs { event_id, secret: None };
                (procedure_of(&args), to_bytes(&args), self.client.subscribe(&args, options, self.now))
            }
        };
        let payload = payload.expect("it passes no maximum");
        self.called(tag, procedure, payload, deadline, descriptors, started);
    }

    fn options(&mut self, input: &mut Input<'_>) -> CallOptions {
        let choice = input.byte();
        let deadline = (choice & 3 == 3).then(|| self.now + Duration::from_millis(u64::from(choice) * 50));
        let descriptors = if choice & 12 == 12 { usize::from(choice >> 4) % 4 } else { 0 };
        CallOptions { deadline, descriptors: self.descriptors.some(descriptors) }
    }

    fn called(
        &mut self,
        tag: Tag,
        procedure: &'static Procedure,
        payload: Bytes,
        deadline: Option<Time>,
        descriptors: usize,
        started: Result<Serial, CallError>,
    ) {
        match started {
            Ok(serial) => self.model.called(tag, serial, procedure, payload, descriptors, deadline),
            Err(CallError::Closed(reason)) => assert_eq!(Some(&reason), self.client.close_reason()),
            Err(CallError::Refused(PacketError::Sealed { .. })) => assert!(self.sealed && descriptors > 0),
            Err(error) => panic!("{error}"),
        }
    }

    fn some_call(&self, input: &mut Input<'_>) -> Option<Tag> {
        // The last ones, of which something may still be under way.
        self.model.calls.keys().rev().nth(input.below(16)).copied()
    }

    /// A call whose procedure opens streams, whether one is open or not.
    fn some_stream(&self, input: &mut Input<'_>) -> Option<Tag> {
        self.model.streams.keys().rev().nth(input.below(6)).copied()
    }

    /// Does something on a stream, and compares how it went with what `expect` says.
    fn on_stream(
        &mut self,
        input: &mut Input<'_>,
        act: impl FnOnce(&mut Client, Serial) -> Result<(), SendError>,
        expect: impl FnOnce(Phase) -> Result<Option<Item>, Phase>,
    ) {
        let Some(tag) = self.some_stream(input) else { return };
        let Some(stream) = self.model.streams.get_mut(&tag) else { return };
        let acted = act(&mut self.client, self.model.calls[&tag].serial);
        // A call that was cancelled is answered without anybody's being told: its stream is aborted.
        match (expect(stream.client), acted) {
            (Ok(item), Ok(())) => {
                if item == Some(Item::Finish) {
                    stream.client = Phase::Finishing;
                }
                item.into_iter().for_each(|item| stream.push_to_server(item));
            }
            (Err(Phase::Finishing), Err(SendError::Finished))
            | (Err(Phase::Gone | Phase::Before), Err(SendError::NoStream(_))) => {}
            (expected, acted) => {
                assert!(self.model.corrupt, "expected {expected:?}, got {acted:?}");
            }
        }
    }

    pub(super) fn client_events(&mut self) {
        while let Some(event) = self.client.event() {
            self.model.client_event(event, self.now, self.client.close_reason());
        }
    }

    /// Begins to authenticate, as the server asks.
    pub(super) fn client_authenticates(&mut self) {
        let started = if self.authentication == Authentication::Polkit {
            self.client.call(&AuthPolkitArgs {}, self.now)
        } else {
            self.client.call(&AuthSaslInitArgs {}, self.now)
        };
        started.expect("a call can be sent");
    }

    /// Goes on with the authentication, by what the server has answered.
    pub(super) fn client_goes_on(&mut self, layer: Option<Box<dyn SecurityLayer>>) {
        let super::Read { bytes, descriptors } = &mut self.client_read;
        self.client.receive(bytes, descriptors, self.now).expect("the server is honest");
        let Some(event) = self.client.event() else { return };
        let ClientEvent::Reply { result, .. } = event else { panic!("expected a reply, got {event:?}") };
        let reply = result.expect("every step succeeds");
        let next = if reply.procedure == AuthSaslInitArgs::PROCEDURE {
            self.client.call(&AuthSaslStartArgs { mech: "X".into(), nil: 1, data: Bytes::new() }, self.now)
        } else if reply.procedure == AuthSaslStartArgs::PROCEDURE {
            let ret: AuthSaslStartRet = from_bytes(reply.payload).expect("it is one");
            assert_eq!((ret.complete, ret.nil), (0, 0));
            self.client.call(&AuthSaslStepArgs { nil: 0, data: ret.data }, self.now)
        } else {
            if reply.procedure == AuthSaslStepArgs::PROCEDURE {
                self.client.authenticated(layer);
            }
            return;
        };
        next.expect("a call can be sent");
    }
}

fn procedure_of<C: Call>(_: &C) -> &'static Procedure {
    C::PROCEDURE
}

/// Some data: seldom long.
pub(super) fn data(input: &mut Input<'_>) -> Bytes {
    let choice = input.byte();
    let length = match choice {
        short @ 0..200 => usize::from(short) % 40,
        // About as long as what is sent without a copy.
        some @ 200..255 => 3_900 + 10 * (usize::from(some) - 200),
        // More than fits into one packet of a stream.
        255 => 262_121,
    };
    vec![choice; length].into()
}
