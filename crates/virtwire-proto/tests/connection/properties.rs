//! Random lists of operations, and bytes of any kind: nothing breaks, nothing is lost, nothing stays.

use crate::ops::{Op, World};
use crate::rig::{Side, Split};
use crate::samples::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use virtwire_proto::connection::{CallOptions, Time};

fn op() -> impl Strategy<Value = Op> {
    let n = any::<u8>;
    let flag = any::<bool>;
    prop_oneof![
        6 => (n(), flag(), option::weighted(0.2, n()))
            .prop_map(|(kind, descriptor, milliseconds)| Op::Call { kind, descriptor, milliseconds }),
        2 => n().prop_map(Op::Cancel),
        3 => flag().prop_map(|pools| Op::Subscribe { pools }),
        1 => n().prop_map(Op::Unsubscribe),
        3 => (n(), n(), flag()).prop_map(|(stream, len, hole)| Op::Send { stream, len, hole }),
        2 => n().prop_map(Op::Finish),
        2 => n().prop_map(Op::Abort),
        6 => (n(), flag()).prop_map(|(call, descriptor)| Op::Reply { call, descriptor }),
        2 => n().prop_map(Op::Fail),
        4 => (flag(), n()).prop_map(|(pools, callback)| Op::Emit { pools, callback }),
        3 => (n(), n(), flag()).prop_map(|(stream, len, hole)| Op::Serve { stream, len, hole }),
        2 => n().prop_map(Op::End),
        2 => n().prop_map(Op::Confirm),
        1 => n().prop_map(Op::FailStream),
        8 => (flag(), n()).prop_map(|(to_server, bytes)| Op::Arrive { to_server, bytes }),
        3 => Just(Op::Settle),
        3 => any::<u16>().prop_map(|milliseconds| Op::Pass { milliseconds: milliseconds % 5000 }),
        1 => flag().prop_map(|client| Op::Keepalive { client }),
        1 => (flag(), flag()).prop_map(|(client, reading)| Op::Reading { client, reading }),
    ]
}

/// Rare: after one of these much less can be said.
fn accident() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (any::<bool>(), any::<u8>(), any::<u8>())
            .prop_map(|(to_server, at, bits)| Op::Corrupt { to_server, at, bits }),
        1 => any::<bool>().prop_map(|client| Op::Close { client }),
    ]
}

proptest! {
    #[test]
    fn whatever_good_peers_do(ops in vec(op(), 0..200)) {
        World::play(ops);
    }

    #[test]
    fn whatever_befalls_them(ops in vec(prop_oneof![20 => op().boxed(), 1 => accident().boxed()], 0..200)) {
        World::play(ops);
    }

    #[test]
    fn whatever_a_fuzzer_makes(bytes in vec(any::<u8>(), 0..800)) {
        let mut bytes = &bytes[..];
        World::play(std::iter::from_fn(|| Op::read(&mut bytes)));
    }

    #[test]
    fn whatever_bytes_come(bytes in vec(any::<u8>(), 0..300), at in 0..300_usize) {
        let mut client = Side::client();
        client.split = Split::At(at);
        for _ in 0..3 {
            client.call(&VERSION, Time::START).unwrap();
            client.call(&download(), Time::START).unwrap();
        }
        client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
        client.feed(&bytes);
        let mut server = Side::server();
        server.split = Split::At(at);
        server.feed(&bytes);
    }

    /// Packets whose headers are nearly right go deeper.
    #[test]
    fn whatever_packets_come(
        packets in vec((0..8_i32, 0..4_u32, -1..4_i32, prop_oneof![Just(66), Just(157), Just(209), Just(316),
            Just(318), Just(68), any::<i32>()], vec(any::<u8>(), 0..40)), 0..20),
        split in prop_oneof![Just(Split::Whole), Just(Split::Bytes), (1..500_usize).prop_map(Split::At)],
    ) {
        use virtwire_proto::packet::{Header, PacketType, Serial, Status};
        let mut client = Side::client();
        let mut server = Side::server();
        client.split = split;
        server.split = split;
        client.call(&VERSION, Time::START).unwrap();
        client.call(&download(), Time::START).unwrap();
        client.subscribe(&register_domain(), CallOptions::default(), Time::START).unwrap();
        for (packet_type, serial, status, procedure, payload) in packets {
            let header = Header {
                program: 0x2000_8086,
                version: 1,
                procedure,
                packet_type: PacketType(packet_type),
                serial: Serial(serial),
                status: Status(status),
            };
            let bytes = crate::rig::raw(header, &payload);
            client.feed(&bytes);
            server.feed(&bytes);
            client.packets();
            server.packets();
        }
        while client.event().is_some() {}
        while server.event().is_some() {}
    }
}
