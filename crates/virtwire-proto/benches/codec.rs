//! Encoding and decoding beside the crate `libvirt-xdr` and beside a plain copy of the same bytes, in one run.
//!
//! `cargo xtask bench codec`, or `cargo bench -p virtwire-proto`. The figures are the ratios within a group.
//!
//! Encoding goes as it does in use: ours into a connection's buffer, which has grown already; the other crate's into
//! the new `Vec` that it gives back. What is decoded is looked at and dropped where it is; "virtwire, moved" is the
//! value that `Xdr::decode` returns rather than one that is decoded in place. The allocator is the system's.

use bytes::{Bytes, BytesMut};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use libvirt_xdr::opaque::FixedOpaque16;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use uuid::Uuid;
use virtwire_proto::connection::{Client, ClientConfig, Time};
use virtwire_proto::packet::{self, Header, PacketType, STREAM_PAYLOAD_LEN, Serial, Status};
use virtwire_proto::program::{Call, remote};
use virtwire_proto::typed_params::{TypedParam, TypedValue};
use virtwire_proto::xdr::{Reader, Text, Xdr, to_bytes};

/// The same types, as that crate has them derived.
mod peer {
    use super::{Deserialize, FixedOpaque16, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Domain {
        pub name: String,
        pub uuid: FixedOpaque16,
        pub id: i32,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct GetInfoArgs {
        pub dom: Domain,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct ListRet {
        pub domains: Vec<Domain>,
        pub ret: u32,
    }

    /// Its typed parameters have no union; the discriminant stands beside the value.
    #[derive(Serialize, Deserialize)]
    pub(super) struct Param {
        pub field: String,
        pub kind: i32,
        pub value: u64,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Record {
        pub dom: Domain,
        pub params: Vec<Param>,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct StatsRet {
        pub records: Vec<Record>,
    }
}

fn domain(number: usize) -> remote::NonnullDomain {
    remote::NonnullDomain {
        name: Text::from(format!("vm-{number:05}")),
        uuid: Uuid::from_u128(0x6695_eb01_f6a4_8304_79aa_97f2_502e_193f + number as u128),
        id: number as i32,
    }
}

/// The names of statistics as a running guest with a few disks and interfaces gives them.
fn statistics() -> Vec<TypedParam> {
    const NAMES: [&str; 12] = [
        "state.state",
        "cpu.time",
        "balloon.current",
        "vcpu.maximum",
        "vcpu.0.time",
        "net.0.rx.bytes",
        "net.0.tx.pkts",
        "block.0.rd.reqs",
        "block.0.wr.bytes",
        "block.0.allocation",
        "balloon.last-update",
        "perf.stalled_cycles_frontend",
    ];
    (0..60)
        .map(|n| TypedParam {
            field: Text::from(NAMES[n % NAMES.len()]),
            value: TypedValue::Ullong(n as u64 * 1_000_003),
        })
        .collect()
}

fn both<Ours: Xdr, Theirs: Serialize + DeserializeOwned>(c: &mut Criterion, name: &str, value: &Ours) {
    let bytes = to_bytes(value).expect("it passes no maximum");
    let theirs: Theirs = libvirt_xdr::from_bytes(&bytes).expect("the same bytes");
    assert_eq!(libvirt_xdr::to_bytes(&theirs).expect("the same value"), bytes);

    let mut group = c.benchmark_group(format!("{name}/encode"));
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let mut buffer = BytesMut::with_capacity(bytes.len());
    group.bench_function("virtwire", |b| {
        b.iter(|| {
            buffer.clear();
            value.encode(&mut virtwire_proto::xdr::Writer::new(&mut buffer))
        });
    });
    group.bench_function("libvirt-xdr", |b| b.iter(|| libvirt_xdr::to_bytes(&theirs)));
    copy(&mut group, &bytes);
    group.finish();

    let mut group = c.benchmark_group(format!("{name}/decode"));
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    // The value is looked at and dropped where it was decoded, for both.
    group.bench_function("virtwire", |b| {
        b.iter(|| {
            let mut value = Ours::default();
            let result = value.decode_into(&mut Reader::new(black_box(&bytes)));
            black_box(&value);
            result
        });
    });
    group.bench_function("virtwire, moved", |b| {
        b.iter(|| {
            black_box(&Ours::decode(&mut Reader::new(black_box(&bytes))));
        });
    });
    group.bench_function("libvirt-xdr", |b| {
        b.iter(|| {
            black_box(&libvirt_xdr::from_bytes::<Theirs>(black_box(&bytes)));
        });
    });
    copy(&mut group, &bytes);
    group.finish();
}

/// What reading or writing the bytes once costs at least.
fn copy(group: &mut BenchmarkGroup<'_, WallTime>, bytes: &Bytes) {
    let mut target = vec![0; bytes.len()];
    group.bench_function("copy", |b| {
        b.iter(|| black_box(target.as_mut_slice()).copy_from_slice(black_box(bytes)));
    });
}

fn calls(c: &mut Criterion) {
    both::<_, peer::GetInfoArgs>(c, "small-call", &remote::DomainGetInfoArgs { dom: domain(1) });
    let domains = (0..10_000).map(domain).collect();
    let list = remote::ConnectListAllDomainsRet { domains, ret: 10_000 };
    both::<_, peer::ListRet>(c, "10000-domains", &list);
    let retstats =
        (0..1_000).map(|n| remote::DomainStatsRecord { dom: domain(n), params: statistics() }).collect();
    let stats = remote::ConnectGetAllDomainStatsRet { ret_stats: retstats };
    both::<_, peer::StatsRet>(c, "1000-statistics", &stats);
}

fn stream(c: &mut Criterion) {
    let procedure = remote::StorageVolUploadArgs::PROCEDURE;
    let header = Header::new(procedure, PacketType::STREAM, Serial(1), Status::CONTINUE);
    let data = Bytes::from(vec![7; STREAM_PAYLOAD_LEN]);
    let mut packet = BytesMut::new();
    packet::put_raw(&mut packet, procedure, header, &data, 0).expect("it fits");

    let mut group = c.benchmark_group("stream-packet/encode");
    group.throughput(Throughput::Bytes(packet.len() as u64));
    let mut buffer = BytesMut::with_capacity(packet.len());
    group.bench_function("virtwire, copied", |b| {
        b.iter(|| {
            buffer.clear();
            packet::put_raw(&mut buffer, procedure, header, black_box(&data), 0)
        });
    });
    let (mut client, serial) = uploading();
    group.bench_function("virtwire, sent", |b| {
        // What a client does with data that it owns: the payload goes out as it is, behind its header.
        b.iter(|| {
            client.send(serial, black_box(&data).clone()).expect("the stream is open");
            while let Some(transmit) = client.transmit() {
                black_box(transmit);
            }
        });
    });
    copy(&mut group, &packet.clone().freeze());
    group.finish();

    let mut group = c.benchmark_group("stream-packet/decode");
    group.throughput(Throughput::Bytes(packet.len() as u64));
    let mut target = BytesMut::with_capacity(packet.len());
    group.bench_function("virtwire, arriving", |b| {
        // A packet arrives by being copied out of the kernel: the copy is part of the price.
        b.iter_batched(
            BytesMut::new,
            |_| {
                target.clear();
                target.reserve(packet.len());
                target.extend_from_slice(black_box(&packet));
                packet::cut(&mut target, &mut Default::default())
            },
            BatchSize::PerIteration,
        );
    });
    copy(&mut group, &packet.clone().freeze());
    group.finish();
}

/// A client with a stream that it writes to.
fn uploading() -> (Client, Serial) {
    let mut client = Client::new(ClientConfig::default(), Time::START);
    let serial = client.call(&remote::StorageVolUploadArgs::default(), Time::START).expect("it is open");
    let mut reply = BytesMut::new();
    packet::put_reply(&mut reply, remote::StorageVolUploadArgs::PROCEDURE, serial, &(), 0).expect("it fits");
    client.receive(&mut reply, &mut Default::default(), Time::START).expect("it is a reply");
    while client.event().is_some() {}
    while client.transmit().is_some() {}
    (client, serial)
}

criterion_group!(benches, calls, stream);
criterion_main!(benches);
