//! Memory: nothing is reserved for what a peer merely announces, and what is kept for it is bounded.

use allocation_counter::measure;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use virtwire_proto::connection::{
    CallOptions, Client, ClientConfig, ClientEvent, CloseReason, Server, ServerConfig, StreamEvent, Time,
};
use virtwire_proto::packet::{self, Header, PacketType, Serial, Status};
use virtwire_proto::program::remote::*;
use virtwire_proto::program::{Call, Event, PROGRAMS};
use virtwire_proto::typed_params::{TypedParam, TypedValue};
use virtwire_proto::xdr::{DecodeError, DecodeFailure, Text, Xdr, from_bytes, to_bytes};

/// The most bytes that were allocated at a time while this ran.
fn peak(run: impl FnOnce()) -> u64 {
    measure(run).bytes_max
}

/// The most bytes that were allocated at a time while a payload was decoded, and whether it could be.
fn decoding<T: Xdr>(payload: &Bytes) -> (u64, bool) {
    let mut decoded = false;
    let payload = payload.clone();
    let bytes = peak(|| {
        let result: Result<T, DecodeError> = from_bytes(payload);
        decoded = result.is_ok();
    });
    (bytes, decoded)
}

fn words(words: &[u32]) -> Bytes {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn a_count_with_nothing_behind_it_reserves_nothing() {
    for count in [1, 1000, 16_384, 262_144, u32::MAX] {
        let payload = words(&[count]);
        for decoding in [
            decoding::<ConnectListAllDomainsRet>,
            decoding::<ConnectListDefinedDomainsRet>,
            decoding::<ConnectGetAllDomainStatsRet>,
            decoding::<DomainLookupByNameArgs>,
        ] {
            let (bytes, decoded) = decoding(&payload);
            assert!(!decoded);
            assert_eq!(bytes, size_of::<DecodeFailure>() as u64, "the error, and nothing else");
        }
    }
}

/// libvirt's C code allocates 262 144 records for 28 bytes.
#[test]
fn counts_that_multiply_reserve_no_more_than_the_bytes_allow() {
    // Records with each as many parameters as there are bytes left: the first already fails.
    let mut payload = BytesMut::new();
    payload.put_u32(1000);
    for _ in 0..1000 {
        payload.put_u32(0);
        payload.put_bytes(0, 20);
        payload.put_u32(2000);
    }
    let payload = payload.freeze();
    let (bytes, decoded) = decoding::<ConnectGetAllDomainStatsRet>(&payload);
    assert!(!decoded);
    assert!(bytes <= 8 * payload.len() as u64, "{bytes} for {}", payload.len());
}

fn stats(records: usize, params: usize, field: &str) -> ConnectGetAllDomainStatsRet {
    let param = TypedParam { field: Text::from(field), value: TypedValue::Ullong(7) };
    let record = DomainStatsRecord { dom: NonnullDomain::default(), params: vec![param; params] };
    ConnectGetAllDomainStatsRet { ret_stats: vec![record; records] }
}

#[test]
fn a_bulk_reply_takes_at_most_3_times_its_bytes() {
    let domain =
        NonnullDomain { name: Text::from("a-domain-of-many"), uuid: uuid::Uuid::from_bytes([1; 16]), id: -1 };
    let list = ConnectListAllDomainsRet { domains: vec![domain; 10_000], ret: 10_000 };
    let replies = [
        ("list", to_bytes(&list).unwrap(), decoding::<ConnectListAllDomainsRet> as fn(&Bytes) -> (u64, bool)),
        (
            "stats",
            to_bytes(&stats(1000, 60, "block.0.rd.bytes")).unwrap(),
            decoding::<ConnectGetAllDomainStatsRet>,
        ),
    ];
    for (name, payload, decoding) in replies {
        let (bytes, decoded) = decoding(&payload);
        assert!(decoded);
        assert!(bytes <= 3 * payload.len() as u64, "{name}: {bytes} for {}", payload.len());
    }
}

/// The smallest values there are: empty strings, empty names, records without parameters.
#[test]
fn the_worst_reply_takes_a_small_multiple_of_its_bytes() {
    let names = ConnectListDefinedDomainsRet { names: vec![Text::default(); 16_384] };
    let replies = [
        (
            "names",
            to_bytes(&names).unwrap(),
            decoding::<ConnectListDefinedDomainsRet> as fn(&Bytes) -> (u64, bool),
        ),
        ("params", to_bytes(&stats(1, 60, "")).unwrap(), decoding::<ConnectGetAllDomainStatsRet>),
        ("records", to_bytes(&stats(10_000, 0, "")).unwrap(), decoding::<ConnectGetAllDomainStatsRet>),
    ];
    for (name, payload, decoding) in replies {
        let (bytes, decoded) = decoding(&payload);
        assert!(decoded);
        assert!(bytes <= 8 * payload.len() as u64, "{name}: {bytes} for {}", payload.len());
    }
}

fn put(buffer: &mut BytesMut, header: Header, payload: &[u8]) {
    buffer.put_u32((packet::MIN_LEN + payload.len()) as u32);
    buffer.put_u32(header.program);
    buffer.put_u32(header.version);
    buffer.put_i32(header.procedure);
    buffer.put_i32(header.packet_type.0);
    buffer.put_u32(header.serial.0);
    buffer.put_i32(header.status.0);
    buffer.put_slice(payload);
}

#[test]
fn an_announced_packet_reserves_nothing() {
    let mut server = Server::new(ServerConfig::new(PROGRAMS), Time::START);
    let mut bytes = BytesMut::from(&33_554_436_u32.to_be_bytes()[..]);
    let allocated = measure(|| {
        server.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
    });
    assert_eq!(allocated.bytes_total, 0);
}

#[test]
fn a_hole_is_a_length() {
    let mut client = Client::new(ClientConfig::default(), Time::START);
    let procedure = StorageVolDownloadArgs::PROCEDURE;
    let serial = client.call(&StorageVolDownloadArgs::default(), Time::START).unwrap();
    let mut bytes = BytesMut::new();
    put(&mut bytes, Header::new(procedure, PacketType::REPLY, serial, Status::OK), &[]);
    client.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
    while client.event().is_some() {}
    let mut hole = i64::MAX.to_be_bytes().to_vec();
    hole.extend([0; 4]);
    put(&mut bytes, Header::new(procedure, PacketType::STREAM_HOLE, serial, Status::CONTINUE), &hole);
    let allocated = peak(|| {
        client.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
        let event = client.event();
        assert!(matches!(
            event,
            Some(ClientEvent::Stream { event: StreamEvent::Hole { length: i64::MAX, .. }, .. })
        ));
    });
    assert!(allocated < 4096, "{allocated}");
}

#[test]
fn a_client_keeps_no_more_for_a_server_than_it_says() {
    // Events of 100 KiB each before the registration's reply, and data of a stream before its call's.
    let mut config = ClientConfig::default();
    config.max_parked_bytes = 1 << 20;
    let mut client = Client::new(config, Time::START);
    let download = client.call(&StorageVolDownloadArgs::default(), Time::START).unwrap();
    let register = ConnectDomainEventCallbackRegisterAnyArgs::default();
    client.subscribe(&register, CallOptions::default(), Time::START).unwrap();
    while client.transmit().is_some() {}
    let data = Header::new(StorageVolDownloadArgs::PROCEDURE, PacketType::STREAM, download, Status::CONTINUE);
    let event =
        Header::new(DomainEventCallbackLifecycleMsg::PROCEDURE, PacketType::MESSAGE, Serial(0), Status::OK);
    let payload = vec![0; 100 << 10];
    let kept = measure(|| {
        for _ in 0..200 {
            let mut bytes = BytesMut::new();
            put(&mut bytes, data, &payload);
            put(&mut bytes, event, &payload);
            client.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
            assert!(client.event().is_none());
        }
    });
    assert!(kept.bytes_current < 3 << 20, "{} bytes of 40 MiB are kept", kept.bytes_current);
    let freed = measure(|| client.close(CloseReason::Peer));
    assert!(freed.bytes_current < -1_000_000, "{} bytes are freed at the end", -freed.bytes_current);
}

#[test]
fn a_small_parked_event_keeps_no_large_buffer() {
    let mut client = Client::new(ClientConfig::default(), Time::START);
    let register = ConnectDomainEventCallbackRegisterAnyArgs::default();
    client.subscribe(&register, CallOptions::default(), Time::START).unwrap();
    let event =
        Header::new(DomainEventCallbackLifecycleMsg::PROCEDURE, PacketType::MESSAGE, Serial(0), Status::OK);
    let stray = Header::new(ConnectGetLibVersionArgs::PROCEDURE, PacketType::REPLY, Serial(99), Status::OK);
    let kept = measure(|| {
        for _ in 0..20 {
            let mut bytes = BytesMut::with_capacity(1 << 20);
            put(&mut bytes, event, &[0; 40]);
            put(&mut bytes, stray, &vec![0; 900_000]);
            client.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
            while client.event().is_some() {}
        }
    });
    assert!(kept.bytes_current < 1 << 20, "{} bytes are kept for 20 events of 40", kept.bytes_current);
}

#[test]
fn pings_without_end_make_nothing_grow() {
    let ping = virtwire_proto::program::keepalive::PROGRAM.procedure(1).unwrap();
    let header = Header::new(ping, PacketType::MESSAGE, Serial(0), Status::OK);
    let mut client = Client::new(ClientConfig::default(), Time::START);
    let mut server = Server::new(ServerConfig::new(PROGRAMS), Time::START);
    let grown = measure(|| {
        for _ in 0..10_000 {
            let mut bytes = BytesMut::new();
            put(&mut bytes, header, &[]);
            client.receive(&mut bytes.clone(), &mut VecDeque::new(), Time::START).unwrap();
            server.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
        }
    });
    assert!(grown.bytes_current < 4096, "{}", grown.bytes_current);
    assert_eq!((client.pending_bytes(), server.pending_bytes()), (28, 28));
}

#[test]
fn what_is_over_is_forgotten() {
    let mut client = Client::new(ClientConfig::default(), Time::START);
    let procedure = StorageVolDownloadArgs::PROCEDURE;
    let mut round = || {
        let serial = client.call(&StorageVolDownloadArgs::default(), Time::START).unwrap();
        let mut bytes = BytesMut::new();
        put(&mut bytes, Header::new(procedure, PacketType::REPLY, serial, Status::OK), &[]);
        put(&mut bytes, Header::new(procedure, PacketType::STREAM, serial, Status::CONTINUE), b"data");
        client.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
        client.finish(serial).unwrap();
        put(&mut bytes, Header::new(procedure, PacketType::STREAM, serial, Status::OK), &[]);
        client.receive(&mut bytes, &mut VecDeque::new(), Time::START).unwrap();
        while client.event().is_some() {}
        while client.transmit().is_some() {}
    };
    for _ in 0..10 {
        round();
    }
    let kept = measure(|| (0..10_000).for_each(|_| round()));
    assert!(kept.bytes_current.abs() < 64 << 10, "{}", kept.bytes_current);
}
