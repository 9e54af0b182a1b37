//! What cannot be reached from outside in a reasonable time: serials at their end.

use crate::connection::{CallOptions, Client, ClientConfig, Time};
use crate::packet::{self, PacketType, Serial, Status};
use crate::program::Call;
use crate::program::remote::{
    ConnectDomainEventCallbackRegisterAnyArgs, ConnectDomainEventCallbackRegisterAnyRet,
    ConnectGetLibVersionArgs, ConnectGetLibVersionRet, StorageVolDownloadArgs,
};
use crate::xdr::Xdr;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::BytesMut;

const CALL: ConnectGetLibVersionArgs = ConnectGetLibVersionArgs {};

fn client(last_serial: u32) -> Client {
    let mut client = Client::new(ClientConfig::default(), Time::START);
    client.calls.last_serial = last_serial;
    client
}

fn answer<C: Call<Ret = T>, T: Xdr>(client: &mut Client, serial: Serial, ret: &T) {
    let mut bytes = BytesMut::new();
    packet::put_reply(&mut bytes, C::PROCEDURE, serial, ret, 0).unwrap();
    client.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
    client.event().unwrap();
}

fn call(client: &mut Client) -> u32 {
    client.call(&CALL, Time::START).unwrap().0
}

#[test]
fn serials_wrap_past_0() {
    let mut client = client(u32::MAX - 2);
    let serials: Vec<_> = (0..4).map(|_| call(&mut client)).collect();
    assert_eq!(serials, [u32::MAX - 1, u32::MAX, 1, 2]);
    for serial in [u32::MAX, 1] {
        let ret = ConnectGetLibVersionRet { lib_ver: serial.into() };
        answer::<ConnectGetLibVersionArgs, _>(&mut client, Serial(serial), &ret);
    }
}

#[test]
fn serials_in_use_are_passed_over() {
    let mut client = client(0);
    // A stream has 1, a subscription 2, a call 3; 4 is a stream that has been aborted and not confirmed.
    let stream = client.call(&StorageVolDownloadArgs::default(), Time::START).unwrap();
    answer::<StorageVolDownloadArgs, _>(&mut client, stream, &());
    let register = ConnectDomainEventCallbackRegisterAnyArgs::default();
    let subscription = client.subscribe(&register, CallOptions::default(), Time::START).unwrap();
    let ret = ConnectDomainEventCallbackRegisterAnyRet { callback_id: 0 };
    answer::<ConnectDomainEventCallbackRegisterAnyArgs, _>(&mut client, subscription, &ret);
    assert_eq!(call(&mut client), 3);
    let aborted = client.call(&StorageVolDownloadArgs::default(), Time::START).unwrap();
    answer::<StorageVolDownloadArgs, _>(&mut client, aborted, &());
    client.abort(aborted);

    client.calls.last_serial = u32::MAX;
    assert_eq!(call(&mut client), 5);

    // Each is free again once its user is gone.
    answer::<ConnectGetLibVersionArgs, _>(&mut client, Serial(3), &ConnectGetLibVersionRet::default());
    client.unsubscribe(subscription);
    for (serial, procedure) in [(stream, "finished"), (aborted, "aborted")] {
        if procedure == "finished" {
            client.finish(serial).unwrap();
        }
        let header =
            packet::Header::new(StorageVolDownloadArgs::PROCEDURE, PacketType::STREAM, serial, Status::OK);
        let mut bytes = BytesMut::new();
        packet::put_head(&mut bytes, StorageVolDownloadArgs::PROCEDURE, header, 0).unwrap();
        client.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
    }
    client.calls.last_serial = u32::MAX;
    let serials: Vec<_> = (0..4).map(|_| call(&mut client)).collect();
    assert_eq!(serials, [1, 2, 3, 4]);
}

#[test]
fn a_refused_call_uses_no_serial() {
    let mut client = client(u32::MAX);
    let options = || CallOptions { descriptors: Vec::new(), ..CallOptions::default() };
    let too_long = alloc::vec![0; packet::MAX_PAYLOAD_LEN + 1];
    client.call_raw(ConnectGetLibVersionArgs::PROCEDURE, &too_long, options(), Time::START).unwrap_err();
    assert_eq!(call(&mut client), 1);
}
