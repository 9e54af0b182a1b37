//! The generated types and tables: every type's bytes, every maximum, every row.

#[path = "program/registry.rs"]
mod registry;
#[path = "program/schema.rs"]
mod schema;

use bytes::{Bytes, BytesMut};
use schema::Random;
use std::collections::HashSet;
use virtwire_proto::program::{self, Call, Event, EventClass, Kind, Priority, Procedure, Program, Struct};
use virtwire_proto::program::{StreamDirection, Version, net};
use virtwire_proto::typed_params::{TypedParam, TypedValue};
use virtwire_proto::xdr::{DecodeError, DecodeErrorKind, EncodeError, Reader, Text, Writer, Xdr, from_bytes};

/// A struct: its C name, and its codec without its type.
pub(crate) struct Case {
    name: &'static str,
    min_len: usize,
    /// Decodes and encodes again.
    recode: fn(Bytes) -> Result<Result<Bytes, EncodeError>, DecodeError>,
    /// Encodes values that pass a maximum, one for each way to do so.
    too_long: Vec<Box<dyn Fn() -> Result<Bytes, EncodeError>>>,
}

/// A procedure's row, as its type names it.
pub(crate) struct Row {
    procedure: &'static Procedure,
    kind: Kind,
    ret_min_len: usize,
}

fn case<T: Xdr + Default + 'static>(name: &'static str, too_long: Vec<fn(&mut T)>) -> Case {
    Case {
        name,
        min_len: T::MIN_LEN,
        recode: |bytes| from_bytes::<T>(bytes).map(|value| encode(&value)),
        too_long: too_long
            .into_iter()
            .map(|lengthen| {
                let encode_it = move || {
                    let mut value = T::default();
                    lengthen(&mut value);
                    encode(&value)
                };
                Box::new(encode_it) as Box<dyn Fn() -> _>
            })
            .collect(),
    }
}

fn call<T: Call>() -> Row {
    Row { procedure: T::PROCEDURE, kind: Kind::Call, ret_min_len: T::Ret::MIN_LEN }
}

fn event<T: Event>() -> Row {
    Row { procedure: T::PROCEDURE, kind: Kind::Event, ret_min_len: 0 }
}

/// How many structs have a type.
const STRUCTS: usize = 769;

/// How many maxima their fields have.
const MAXIMA: usize = 497;

fn encode<T: Xdr>(value: &T) -> Result<Bytes, EncodeError> {
    let mut buffer = BytesMut::new();
    value.encode(&mut Writer::new(&mut buffer))?;
    Ok(buffer.freeze())
}

/// One byte over `max`.
fn bytes(max: u32) -> Bytes {
    vec![0; max as usize + 1].into()
}

/// One byte over `max`.
fn text(max: u32) -> Text {
    bytes(max).into()
}

fn param() -> TypedParam {
    TypedParam { field: Text::default(), value: TypedValue::Int(0) }
}

/// Every struct with its description.
fn each(mut check: impl FnMut(&Case, &'static Struct)) -> usize {
    let mut count = 0;
    for (program, cases) in registry::structs() {
        let structs = structs(program);
        for case in cases {
            let description = structs.iter().find(|of| of.name == case.name);
            check(&case, description.unwrap_or_else(|| panic!("{} is not described", case.name)));
            count += 1;
        }
    }
    count
}

fn structs(program: &str) -> &'static [&'static Struct] {
    match program::PROGRAMS.iter().find(|of| of.name == program) {
        Some(program) => program.structs,
        None => net::STRUCTS,
    }
}

fn row(program: &'static Program, name: &str) -> &'static Procedure {
    program.procedure_named(name).unwrap_or_else(|| panic!("{} has no {name}", program.name))
}

#[test]
fn programs_have_their_procedures() {
    let counts: Vec<_> = program::PROGRAMS.iter().map(|of| (of.name, of.procedures.len())).collect();
    assert_eq!(
        counts,
        [("remote", 456), ("qemu", 7), ("lxc", 1), ("admin", 20), ("lock", 8), ("log", 4), ("keepalive", 2)]
    );
    for program in program::PROGRAMS {
        for (index, procedure) in program.procedures.iter().enumerate() {
            assert_eq!(procedure.number as usize, index + 1, "{procedure}");
            assert_eq!(procedure.program, *program);
            assert_eq!(program.procedure(procedure.number), Some(procedure));
            assert_eq!(program.procedure_named(procedure.name), Some(procedure));
        }
        for number in [0, -1, program.procedures.len() as i32 + 1, i32::MAX, i32::MIN] {
            assert_eq!(program.procedure(number), None);
        }
    }
}

#[test]
fn every_procedure_has_a_type_of_its_own() {
    let structs: Vec<_> = registry::structs().into_iter().flat_map(|(_, cases)| cases).collect();
    for (name, rows) in registry::procedures() {
        let Some(program) = program::PROGRAMS.iter().find(|of| of.name == name) else {
            assert!(rows.is_empty());
            continue;
        };
        assert_eq!(rows.len(), program.procedures.len());
        for (row, procedure) in rows.iter().zip(program.procedures) {
            assert!(std::ptr::eq(row.procedure, procedure), "{} is not {procedure}", row.procedure);
            assert_eq!(row.kind, procedure.kind, "{procedure}");
            let ret = structs.iter().find(|of| of.name == procedure.ret.name).map_or(0, |of| of.min_len);
            assert_eq!(row.ret_min_len, ret, "{procedure}");
        }
    }
}

#[test]
fn every_type_gives_back_the_bytes_that_it_was_made_from() {
    let mut random = Random::new(0x6c69_6276_6972_7400);
    let count = each(|case, description| {
        for size in 0..24 {
            let bytes = random.bytes(description, size);
            let again = (case.recode)(bytes.clone());
            assert_eq!(again, Ok(Ok(bytes)), "{}", case.name);
        }
    });
    assert_eq!(count, STRUCTS);
}

#[test]
fn no_type_decodes_from_fewer_bytes() {
    let mut random = Random::new(0x7472_756e_6361_7465);
    each(|case, description| {
        for size in [0, 2, 4] {
            let bytes = random.bytes(description, size);
            for len in 0..bytes.len() {
                let result = (case.recode)(bytes.slice(..len));
                let error = result.expect_err(case.name);
                assert!(error.offset <= len, "{}: {error}", case.name);
                assert_eq!(error.length, len, "{}", case.name);
            }
        }
    });
}

#[test]
fn no_type_panics_on_any_bytes() {
    let mut random = Random::new(0x6761_7262_6167_6521);
    each(|case, description| {
        for _ in 0..32 {
            // A word that is wrong inside what is right reaches deeper than noise alone.
            let mut bytes = random.bytes(description, 3).to_vec();
            let words = bytes.len() / 4;
            let at = 4 * random.below(words);
            bytes[at..at + 4].copy_from_slice(&random.odd_word());
            let result = (case.recode)(bytes.into());
            assert!(result.is_err() || result.is_ok_and(|bytes| bytes.is_ok()), "{}", case.name);
        }
    });
}

#[test]
fn the_shortest_value_of_a_type_is_as_long_as_it_says() {
    each(|case, description| {
        assert_eq!(schema::shortest(description).len(), case.min_len, "{}", case.name);
    });
}

#[test]
fn a_count_at_its_maximum_passes_and_one_more_is_refused_when_reading() {
    let mut tried = 0;
    each(|case, description| {
        schema::each_maximum(description, |of| {
            let exact = Bytes::from(of.exact);
            let again = (case.recode)(exact.clone());
            // Not by assert_eq: it would print megabytes.
            assert!(again == Ok(Ok(exact)), "{} with {}", case.name, of.max);
            let error = (case.recode)(of.over.into()).expect_err(case.name);
            let DecodeErrorKind::TooLong { count, max, .. } = error.kind else {
                panic!("{}: {error}", case.name)
            };
            assert_eq!((error.offset, count, max), (of.at, of.max + 1, of.max), "{}", case.name);
            tried += 1;
        });
    });
    assert_eq!(tried, MAXIMA);
}

#[test]
fn a_value_over_a_maximum_is_refused_when_writing() {
    let mut tried = 0;
    each(|case, _| {
        for too_long in &case.too_long {
            let error = too_long().expect_err(case.name);
            assert_eq!(error.count, error.max as usize + 1, "{}", case.name);
            tried += 1;
        }
    });
    assert_eq!(tried, MAXIMA);
}

#[test]
fn a_maximum_in_the_table_is_the_one_that_the_type_has() {
    let limits = program::remote::PROGRAM.limits;
    let of = |name| limits.iter().find(|limit| limit.name == name).map(|limit| limit.value);
    assert_eq!(of("REMOTE_STRING_MAX"), Some(program::remote::limits::STRING_MAX));
    assert_eq!(of("REMOTE_CONNECT_GET_ALL_DOMAIN_STATS_MAX"), Some(262_144));
    assert_eq!(of("REMOTE_SECURITY_LABEL_MAX"), Some(4097));
    assert_eq!(of("REMOTE_DOMAIN_ANNOUNCE_INTERFACE_PARAMS_MAX"), Some(16));
    assert_eq!(program::lock::limits::STRING_MAX, 65_536);
    assert_eq!(net::limits::MESSAGE_PAYLOAD_MAX, 33_554_408);
}

#[test]
fn rows_say_what_the_definitions_say() {
    let remote = &program::remote::PROGRAM;
    assert_eq!((remote.number, remote.version), (0x2000_8086, 1));
    let info = row(remote, "domain_get_info");
    assert_eq!((info.number, info.c_name), (16, Some("virDomainGetInfo")));
    assert_eq!(info.since, Some(Version::new(0, 0, 3)));
    assert_eq!((info.priority, info.acl), (Priority::Low, ["domain:read"].as_slice()));
    assert_eq!(
        (info.args.name, info.ret.name),
        ("remote_domain_get_info_args", "remote_domain_get_info_ret")
    );
    assert_eq!(info.to_string(), "remote.domain_get_info");

    let list = row(remote, "connect_list_all_domains");
    assert_eq!((list.priority, list.acl_filter), (Priority::High, ["domain:getattr"].as_slice()));

    let upload = row(remote, "storage_vol_upload");
    assert_eq!((upload.stream, upload.stream_parameter), (StreamDirection::Write, Some(1)));
    assert_eq!(upload.sparse_flag, Some("VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM"));
    assert!(upload.ret.name.is_empty() && upload.ret.fields.is_empty());

    let announce = row(remote, "domain_announce_interface");
    assert_eq!((announce.number, announce.since), (456, Some(Version::new(12, 5, 0))));

    let locks = row(&program::lock::PROGRAM, "create_lockspace");
    assert_eq!(locks.args.name, "virLockSpaceProtocolCreateLockSpaceArgs");
}

#[test]
fn streams_go_one_way_or_the_other() {
    let of = |direction| {
        let streams =
            program::PROGRAMS.iter().flat_map(|of| of.procedures).filter(|of| of.stream == direction);
        streams.map(|of| of.name).collect::<Vec<_>>()
    };
    assert_eq!(
        of(StreamDirection::Read),
        ["domain_open_console", "storage_vol_download", "domain_screenshot", "domain_open_channel"]
    );
    assert_eq!(
        of(StreamDirection::Write),
        [
            "domain_migrate_prepare_tunnel",
            "storage_vol_upload",
            "domain_migrate_prepare_tunnel3",
            "domain_migrate_prepare_tunnel3_params"
        ]
    );
}

#[test]
fn a_callback_identifier_belongs_to_a_class() {
    let carries = |of: &Struct| of.fields.iter().any(|field| field.name == "callbackID");
    for procedure in program::PROGRAMS.iter().flat_map(|of| of.procedures) {
        let wanted = carries(procedure.args) || carries(procedure.ret);
        assert_eq!(procedure.event_class.is_some(), wanted, "{procedure}");
    }
    let remote = &program::remote::PROGRAM;
    for (name, class) in [
        ("connect_domain_event_callback_register_any", EventClass::Domain),
        ("connect_domain_event_callback_deregister_any", EventClass::Domain),
        ("domain_event_callback_lifecycle", EventClass::Domain),
        ("domain_event_block_threshold", EventClass::Domain),
        ("network_event_lifecycle", EventClass::Network),
        ("storage_pool_event_refresh", EventClass::StoragePool),
        ("connect_node_device_event_register_any", EventClass::NodeDevice),
        ("secret_event_value_changed", EventClass::Secret),
    ] {
        assert_eq!(row(remote, name).event_class, Some(class), "{name}");
    }
    // The older generation has no identifiers.
    assert_eq!(row(remote, "connect_domain_event_register_any").event_class, None);
    assert_eq!(row(remote, "domain_event_lifecycle").event_class, None);
    assert_eq!(row(remote, "connect_event_connection_closed").event_class, None);
    let qemu = row(&program::qemu::PROGRAM, "domain_monitor_event");
    assert_eq!(qemu.event_class, Some(EventClass::QemuMonitor));
}

#[test]
fn c_functions_are_found_for_all_but_26_calls_of_remote() {
    let calls = program::remote::PROGRAM.procedures.iter().filter(|of| of.kind == Kind::Call);
    assert_eq!(calls.filter(|of| of.c_name.is_none()).count(), 26);
    let mut seen = HashSet::new();
    for procedure in program::PROGRAMS.iter().flat_map(|of| of.procedures) {
        if let Some(name) = procedure.c_name {
            assert!(seen.insert(name), "{name} is carried twice");
            assert!(procedure.since.is_some(), "{procedure}");
        }
    }
}

#[test]
fn an_error_keeps_all_of_its_fields() {
    let error = net::MessageError {
        code: 4242,
        domain: -1,
        message: Some(Text::from(vec![0xff, 0])),
        level: 2,
        dom: Some(net::MessageNonnullDomain { name: "a".into(), id: -1, ..Default::default() }),
        str1: None,
        str2: Some("two".into()),
        str3: None,
        int1: i32::MIN,
        int2: 7,
        net: Some(net::MessageNonnullNetwork::default()),
    };
    let bytes = encode(&error).unwrap();
    let mut reader = Reader::new(&bytes);
    assert_eq!(net::MessageError::decode(&mut reader).unwrap(), error);
    assert_eq!(reader.remaining(), 0);
}
