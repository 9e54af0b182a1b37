//! The JSON forms lose nothing, and are the typed codecs' equals.

mod packets;
mod random;

use bytes::Bytes;
use packets::{decoded, encoded, packet, procedures, raw_packet};
use proptest::prelude::*;
use random::{Random, Style};
use virtwire_cli::json::hex::from_hex;
use virtwire_cli::json::{Capture, Missing, from_json, line_to_json, to_json};
use virtwire_proto::packet::{Header, PacketType, Serial, Status};
use virtwire_proto::program::{Call, Event, PROGRAMS, Struct, admin, lock, log, net, qemu, remote};
use virtwire_proto::xdr::{self, Xdr};

fn cases(cases: u32) -> ProptestConfig {
    // A failure that was found becomes a test with a name of its own.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// What the tables say of a payload is what the typed codec says.
fn agree<T: Xdr>(shape: &'static Struct, bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let by_table = to_json(shape, &bytes);
    match xdr::from_bytes::<T>(bytes.clone()) {
        Ok(typed) => {
            let value = by_table.unwrap_or_else(|error| panic!("{}: {error}: {bytes:?}", shape.name));
            let again = from_json(shape, &value, Missing::Refuse).unwrap();
            assert_eq!(again, xdr::to_bytes(&typed).unwrap(), "{}", shape.name);
        }
        Err(error) => {
            let said = by_table.expect_err(shape.name).to_string();
            assert!(said.ends_with(&error.to_string()), "{}: {said} but {error}", shape.name);
        }
    }
}

fn agree_call<C: Call>(seed: u64) {
    agree_damaged::<C>(seed, C::PROCEDURE.args);
    agree_damaged::<C::Ret>(seed, C::PROCEDURE.ret);
}

fn agree_damaged<T: Xdr>(seed: u64, shape: &'static Struct) {
    let mut bytes = Random::payload(seed, Style::Sloppy, shape);
    agree::<T>(shape, &bytes);
    let mut random = Random::new(seed, Style::Canonical);
    if !bytes.is_empty() {
        let place = random.below(bytes.len() as u64) as usize;
        bytes[place] = random.below(256) as u8;
        agree::<T>(shape, &bytes);
        bytes.truncate(place);
        agree::<T>(shape, &bytes);
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn every_procedures_payload_survives(seed: u64) {
        for procedure in procedures() {
            let cases = [
                (PacketType::CALL, procedure.args),
                (PacketType::REPLY, procedure.ret),
                (PacketType::MESSAGE, procedure.args),
            ];
            for (packet_type, shape) in cases {
                let payload = Random::payload(seed, Style::Canonical, shape);
                let bytes = packet(procedure, packet_type, Status::OK, &payload);
                let objects = decoded(&bytes);
                prop_assert_eq!(objects.len(), 1);
                prop_assert!(objects[0].get("error").is_none() && objects[0].get("raw").is_none(), "{}", objects[0]);
                prop_assert_eq!(encoded(&objects), bytes);

                let payload = Random::payload(seed, Style::Sloppy, shape);
                let bytes = packet(procedure, packet_type, Status::OK, &payload);
                let objects = decoded(&bytes);
                prop_assert!(objects[0].get("error").is_none(), "{}", objects[0]);
                prop_assert_eq!(encoded(&objects), bytes);
            }
        }
    }

    #[test]
    fn the_tables_and_the_typed_codecs_agree(seed: u64) {
        agree_call::<remote::DomainGetInfoArgs>(seed);
        agree_call::<remote::NodeGetInfoArgs>(seed);
        agree_call::<remote::AuthSaslStartArgs>(seed);
        agree_call::<remote::AuthListArgs>(seed);
        agree_call::<remote::ConnectGetAllDomainStatsArgs>(seed);
        agree_call::<remote::ConnectListAllDomainsArgs>(seed);
        agree_call::<remote::DomainGetSecurityLabelListArgs>(seed);
        agree_call::<remote::NodeGetSecurityModelArgs>(seed);
        agree_call::<remote::DomainSetMemoryParametersArgs>(seed);
        agree_call::<remote::DomainGetBlockIoTuneArgs>(seed);
        agree_call::<remote::DomainPinVcpuArgs>(seed);
        agree_call::<remote::DomainMigratePrepare3Args>(seed);
        agree_call::<remote::DomainInterfaceAddressesArgs>(seed);
        agree_call::<remote::DomainGetFsinfoArgs>(seed);
        agree_call::<remote::NetworkGetDhcpLeasesArgs>(seed);
        agree_call::<remote::DomainOpenConsoleArgs>(seed);
        agree_call::<qemu::DomainMonitorCommandArgs>(seed);
        agree_call::<admin::ServerListClientsArgs>(seed);
        agree_call::<admin::ClientGetInfoArgs>(seed);
        agree_call::<lock::AcquireResourceArgs>(seed);
        agree_call::<log::DomainReadLogFileArgs>(seed);
        agree_damaged::<remote::DomainEventCallbackLifecycleMsg>(
            seed, remote::DomainEventCallbackLifecycleMsg::PROCEDURE.args,
        );
        agree_damaged::<remote::DomainEventGraphicsMsg>(seed, remote::DomainEventGraphicsMsg::PROCEDURE.args);
        let error = net::STRUCTS.iter().find(|shape| shape.name == "virNetMessageError").unwrap();
        agree_damaged::<net::MessageError>(seed, error);
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn any_bytes_survive(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(encoded(&decoded(&bytes)), bytes);
    }

    /// Legal lengths, known programs, and anything else.
    #[test]
    fn any_packets_survive(
        packets in prop::collection::vec(
            (0..PROGRAMS.len(), 0..3_u32, 0..460_i32, 0..8_i32, any::<u32>(), -1..4_i32,
             prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => 0..4_u8, 1 => any::<u8>()], 0..120),
             prop::collection::vec(0..2_u8, 0..4)),
            1..5,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        for (program, version, procedure, packet_type, serial, status, payload, behind) in packets {
            let header = Header {
                program: PROGRAMS[program].number,
                version,
                procedure,
                packet_type: PacketType(packet_type),
                serial: Serial(serial),
                status: Status(status),
            };
            bytes.extend(raw_packet(header, &payload));
            if [4, 5].contains(&packet_type) {
                bytes.extend(behind);
            }
        }
        let whole = decoded(&bytes);
        prop_assert_eq!(encoded(&whole), &bytes[..]);
        let part = &bytes[..cut.index(bytes.len())];
        prop_assert_eq!(encoded(&decoded(part)), part);

        // However the bytes arrive, the pieces are the same.
        let mut capture = Capture::new();
        let mut pieces = Vec::new();
        for byte in &bytes {
            capture.push(&[*byte]);
            while let Some(piece) = capture.next() {
                pieces.push(piece.to_json());
            }
        }
        capture.finish();
        while let Some(piece) = capture.next() {
            pieces.push(piece.to_json());
        }
        prop_assert!(capture.is_finished());
        prop_assert_eq!(pieces, whole);
    }

    /// A line is one object, and the same bytes come out of it.
    #[test]
    fn any_line_survives(line in "([0-9a-fA-F ]{0,160}|.{0,30})") {
        let object = line_to_json(&line);
        match from_hex(&line) {
            Ok(bytes) => prop_assert_eq!(encoded(&[object]), bytes),
            Err(_) => prop_assert_eq!(&object["line"], &line),
        }
    }
}
