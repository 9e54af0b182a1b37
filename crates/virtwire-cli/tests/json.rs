//! The JSON forms: what they look like, and what is said where something is wrong with them.

mod packets;

use bytes::{Bytes, BytesMut};
use packets::{decoded, encoded, packet, procedures, raw_packet};
use serde_json::{Value, json};
use virtwire_cli::json::hex::{from_hex, to_hex};
use virtwire_cli::json::{
    Missing, from_json, line_to_json, minimal, packet_from_json, packet_to_json, to_json,
};
use virtwire_proto::packet::{self, Header, PacketType, Serial, Status};
use virtwire_proto::program::{Call, Procedure, Struct, Type, net, remote};
use virtwire_proto::typed_params::TypedParam;
use virtwire_proto::xdr::{self, Text};

fn named(name: &str) -> &'static Procedure {
    remote::PROGRAM.procedure_named(name).expect("the procedure exists")
}

/// The struct whose one field `it` is of this type.
fn one(ty: Type) -> &'static Struct {
    let fields = Box::leak(Box::new([virtwire_proto::program::Field { name: "it", ty }]));
    Box::leak(Box::new(Struct { name: "one", fields }))
}

fn shown(ty: Type, bytes: &[u8]) -> Value {
    to_json(one(ty), &Bytes::copy_from_slice(bytes)).expect("it can be read")["it"].take()
}

fn refusal(ty: Type, value: Value) -> String {
    from_json(one(ty), &json!({ "it": value }), Missing::Refuse).unwrap_err().to_string()
}

#[test]
fn a_packet_has_the_keys_of_the_contract_in_their_order() {
    let mut buffer = BytesMut::new();
    let dom = remote::NonnullDomain { name: "demo".into(), id: -1, ..Default::default() };
    let args = remote::DomainGetXmlDescArgs { dom, flags: 3 };
    packet::put_call(&mut buffer, Serial(9), &args, 0).unwrap();
    assert_eq!(
        packet_to_json(&buffer.freeze(), &[]).to_string(),
        concat!(
            r#"{"program":"remote","version":1,"procedure":"domain_get_xml_desc","number":14,"type":"call","#,
            r#""serial":9,"status":"ok","payload":{"dom":{"name":"demo","#,
            r#""uuid":"00000000-0000-0000-0000-000000000000","id":-1},"flags":3}}"#,
        ),
    );
}

#[test]
fn each_type_has_its_form() {
    let small = [0xff; 4];
    assert_eq!(shown(Type::Int, &small), json!(-1));
    assert_eq!(shown(Type::Uint, &small), json!(u32::MAX));
    assert_eq!(shown(Type::Hyper, &[0x80, 0, 0, 0, 0, 0, 0, 0]), json!(i64::MIN));
    assert_eq!(shown(Type::Uhyper, &[0xff; 8]), json!(u64::MAX));
    assert_eq!(shown(Type::Short, &small), json!(-1));
    assert_eq!(shown(Type::Ushort, &small), json!(0xffff));
    assert_eq!(shown(Type::Char, &small), json!(-1));
    assert_eq!(shown(Type::Uchar, &small), json!(0xff));
    assert_eq!(shown(Type::Double, &0.1_f64.to_be_bytes()), json!(0.1));
    assert_eq!(shown(Type::Double, &f64::NAN.to_be_bytes()), json!({"hex": "7ff8000000000000"}));
    assert_eq!(shown(Type::Uuid, &[0xab; 16]), json!("abababab-abab-abab-abab-abababababab"));
    assert_eq!(shown(Type::String(9), b"\0\0\0\x02hi\0\0"), json!("hi"));
    assert_eq!(shown(Type::String(9), b"\0\0\0\x01\xff\0\0\0"), json!({"hex": "ff"}));
    assert_eq!(shown(Type::Opaque(9), b"\0\0\0\x02hi\0\0"), json!({"hex": "6869"}));
    assert_eq!(shown(Type::Chars(9), b"\0\0\0\x01\0\0\0h"), json!({"hex": "68"}));
    assert_eq!(shown(Type::FixedChars(2), b"\0\0\0h\0\0\0i"), json!({"hex": "6869"}));
    assert_eq!(shown(Type::Optional(&Type::Int), &[0; 4]), Value::Null);
    assert_eq!(shown(Type::Optional(&Type::Int), b"\0\0\0\x01\0\0\0\x05"), json!(5));
    assert_eq!(shown(Type::Array(&Type::Int, 9), b"\0\0\0\x01\0\0\0\x05"), json!([5]));
    assert_eq!(shown(Type::FixedArray(&Type::Int, 1), b"\0\0\0\x05"), json!([5]));
}

#[test]
fn typed_parameters_name_their_type() {
    let form = |param: TypedParam| shown(Type::TypedParam(99), &xdr::to_bytes(&param).unwrap());
    let value = |ty: &str, value: Value| json!({"field": "f", "value": {"type": ty, "value": value}});
    assert_eq!(form(TypedParam::new("f", -1_i32)), value("int", json!(-1)));
    assert_eq!(form(TypedParam::new("f", 1_u32)), value("uint", json!(1)));
    assert_eq!(form(TypedParam::new("f", i64::MIN)), value("llong", json!(i64::MIN)));
    assert_eq!(form(TypedParam::new("f", u64::MAX)), value("ullong", json!(u64::MAX)));
    assert_eq!(form(TypedParam::new("f", 0.5)), value("double", json!(0.5)));
    assert_eq!(form(TypedParam::new("f", true)), value("boolean", json!(1)));
    assert_eq!(form(TypedParam::new("f", "s")), value("string", json!("s")));
    let odd = TypedParam::new("f", Text::from(vec![0xff]));
    assert_eq!(form(odd), value("string", json!({"hex": "ff"})));
}

#[test]
fn packets_of_every_type_show_what_their_header_says() {
    let info = named("domain_get_info");
    let payload = |packet_type, status, payload: &[u8]| {
        decoded(&packet(info, packet_type, status, payload))[0]["payload"].take()
    };
    let error =
        xdr::to_bytes(&net::MessageError { code: 42, message: Some("no".into()), ..Default::default() });
    let error = error.unwrap();
    let ret = remote::DomainGetInfoRet { state: 1, max_mem: u64::MAX, ..Default::default() };
    let shown = payload(PacketType::REPLY, Status::OK, &xdr::to_bytes(&ret).unwrap());
    assert_eq!((&shown["state"], &shown["maxMem"]), (&json!(1), &json!(u64::MAX)));
    assert_eq!(payload(PacketType::REPLY, Status::ERROR, &error)["code"], 42);
    assert_eq!(payload(PacketType::STREAM, Status::ERROR, &error)["message"], "no");
    assert_eq!(payload(PacketType::STREAM, Status::ERROR, &[]), Value::Null);
    assert_eq!(payload(PacketType::STREAM, Status::OK, &[]), Value::Null);
    assert_eq!(payload(PacketType::STREAM, Status::CONTINUE, b"hi"), json!({"hex": "6869"}));
    assert_eq!(payload(PacketType::STREAM, Status::CONTINUE, &[]), json!({"hex": ""}));
    let hole = xdr::to_bytes(&net::StreamHole { length: i64::MAX, flags: 0 }).unwrap();
    assert_eq!(
        payload(PacketType::STREAM_HOLE, Status::CONTINUE, &hole),
        json!({"length": i64::MAX, "flags": 0})
    );
    let ping = &virtwire_proto::program::keepalive::PROGRAM.procedures[0];
    let ping = &decoded(&packet(ping, PacketType::MESSAGE, Status::OK, &[]))[0];
    assert_eq!(
        (&ping["procedure"], &ping["type"], &ping["payload"]),
        (&json!("ping"), &json!("message"), &json!({}))
    );
}

#[test]
fn what_has_no_name_is_a_number() {
    let header = Header {
        program: 77,
        version: 3,
        procedure: -5,
        packet_type: PacketType(9),
        serial: Serial(u32::MAX),
        status: Status(-1),
    };
    let bytes = raw_packet(header, &[1, 2, 3]);
    let objects = decoded(&bytes);
    assert_eq!(
        objects,
        [json!({"program": 77, "version": 3, "procedure": null, "number": -5, "type": 9, "serial": u32::MAX,
                "status": -1, "payload": {"hex": "010203"}})]
    );
    assert_eq!(encoded(&objects), bytes);

    let other_version = Header { version: 2, program: remote::PROGRAM.number, procedure: 1, ..header };
    let objects = decoded(&raw_packet(other_version, &[]));
    assert_eq!((&objects[0]["program"], &objects[0]["procedure"]), (&json!("remote"), &Value::Null));
    assert_eq!(encoded(&objects), raw_packet(other_version, &[]));
}

#[test]
fn an_unknown_programs_error_is_shown() {
    let error = xdr::to_bytes(&net::MessageError { code: 39, ..Default::default() }).unwrap();
    let header = Header {
        program: 77,
        version: 1,
        procedure: 1,
        packet_type: PacketType::REPLY,
        serial: Serial(1),
        status: Status::ERROR,
    };
    assert_eq!(decoded(&raw_packet(header, &error))[0]["payload"]["code"], 39);
    let object = &decoded(&raw_packet(header, &[1]))[0];
    assert_eq!((object["payload"].clone(), object.get("error")), (json!({"hex": "01"}), None));
}

#[test]
fn what_the_struct_does_not_tell_is_kept_in_raw() {
    // A string of one byte with padding that is not zero, and a byte behind the arguments.
    let payload = b"\0\0\0\x01x\x01\0\0\xaa";
    let bytes = packet(named("domain_lookup_by_name"), PacketType::CALL, Status::OK, payload);
    let mut objects = decoded(&bytes);
    assert_eq!(
        (&objects[0]["payload"], &objects[0]["raw"]),
        (&json!({"name": "x"}), &json!(to_hex(payload)))
    );
    assert_eq!(encoded(&objects), bytes);

    objects[0]["payload"]["name"] = json!("y");
    let mut buffer = BytesMut::new();
    assert_eq!(
        packet_from_json(&objects[0], &mut buffer).unwrap_err().to_string(),
        "payload: is not what raw says: without raw, the payload counts"
    );
    objects[0].as_object_mut().unwrap().remove("raw");
    assert_eq!(
        encoded(&objects),
        packet(named("domain_lookup_by_name"), PacketType::CALL, Status::OK, b"\0\0\0\x01y\0\0\0")
    );
}

#[test]
fn a_broken_payload_is_shown_with_its_reason_and_what_follows_too() {
    let lookup = named("domain_lookup_by_name");
    let broken = packet(lookup, PacketType::CALL, Status::OK, b"\0\0\0\x09x");
    let good = packet(lookup, PacketType::CALL, Status::OK, b"\0\0\0\0");
    let bytes = [broken, good].concat();
    let objects = decoded(&bytes);
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["payload"], json!({"hex": "0000000978"}));
    assert_eq!(objects[0]["error"], "name: at byte 0 of 5: expected 16 more bytes, 5 are left");
    assert_eq!(objects[1]["payload"], json!({"name": ""}));
    assert_eq!(encoded(&objects), bytes);
}

#[test]
fn behind_a_broken_length_the_rest_is_one_object() {
    let good = packet(named("connect_close"), PacketType::CALL, Status::OK, &[]);
    for word in [0_u32, 3, 27, 33_554_437, u32::MAX] {
        let bytes = [&good[..], &word.to_be_bytes(), &good].concat();
        let objects = decoded(&bytes);
        assert_eq!(objects.len(), 2);
        let error = format!("expected a packet's length of 28 to 33554436 bytes, got {word}");
        assert_eq!(objects[1], json!({"error": error, "raw": to_hex(&bytes[28..])}));
        assert_eq!(encoded(&objects), bytes);
    }
}

#[test]
fn a_capture_that_ends_inside_a_packet_shows_what_is_there() {
    let whole = packet(named("domain_lookup_by_name"), PacketType::CALL, Status::OK, b"\0\0\0\0");
    for end in 1..whole.len() {
        let objects = decoded(&whole[..end]);
        assert_eq!(objects.len(), 1);
        assert!(objects[0]["error"].as_str().unwrap().contains("ends"), "{}", objects[0]);
        assert_eq!(objects[0].get("procedure").is_some(), end >= 28);
        assert_eq!(encoded(&objects), &whole[..end]);
    }
}

#[test]
fn descriptors_are_counted_and_the_bytes_that_carry_them_are_kept() {
    let open = named("domain_open_graphics_fd");
    let next = packet(named("connect_close"), PacketType::CALL, Status::OK, &[]);
    let ret = |count: u32| packet(open, PacketType::REPLY_WITH_FDS, Status::OK, &count.to_be_bytes());
    for (carried, fd_bytes) in [
        (&[0, 0][..], None),
        (&[b'x', 0], Some(json!("7800"))),
        // Recorded without them.
        (&[], Some(json!(""))),
    ] {
        let bytes = [&ret(2), carried, &next, &ret(0), &next, &ret(2), carried].concat();
        let objects = decoded(&bytes);
        assert_eq!(objects.len(), 5, "{objects:?}");
        for index in [0, 4] {
            assert_eq!(
                (&objects[index]["fds"], objects[index].get("fd_bytes")),
                (&json!(2), fd_bytes.as_ref())
            );
            assert_eq!(objects[index]["payload"], json!({}));
        }
        assert_eq!(objects[1]["procedure"], "connect_close");
        assert_eq!(encoded(&objects), bytes);
        let line = to_hex(&[&ret(2), carried].concat());
        assert_eq!(line_to_json(&line), objects[0]);
    }

    for broken in [ret(33), packet(open, PacketType::REPLY_WITH_FDS, Status::OK, &[])] {
        let bytes = [&broken, &next[..]].concat();
        let objects = decoded(&bytes);
        assert!(objects[0]["error"].as_str().unwrap().contains("descriptors"), "{}", objects[0]);
        assert_eq!(objects[1]["procedure"], "connect_close");
        assert_eq!(encoded(&objects), bytes);
    }
}

#[test]
fn a_line_that_is_no_packet_says_why() {
    let packet = to_hex(&packet(named("connect_close"), PacketType::CALL, Status::OK, &[]));
    let error = |line: &str| line_to_json(line)["error"].as_str().map(str::to_owned);
    assert_eq!(error(&packet), None);
    assert_eq!(error(&packet.to_uppercase()), None);
    assert_eq!(error(&format!("{packet}00")).unwrap(), "1 bytes stand behind the packet of 28 bytes");
    assert_eq!(error(&packet[..54]).unwrap(), "a packet of 28 bytes ends after 27");
    assert_eq!(error("xyz").unwrap(), "'x' is not a hexadecimal digit");
    assert_eq!(error("0").unwrap(), "an odd number of hexadecimal digits");
    assert_eq!(line_to_json("xyz")["line"], "xyz");
    for line in [&packet[..54], &packet[..4], "", "00000000", &format!("{packet}00")] {
        assert_eq!(encoded(&[line_to_json(line)]), from_hex(line).unwrap());
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let args = |value: Value| {
        let shape = named("domain_get_xml_desc").args;
        from_json(shape, &value, Missing::Refuse).unwrap_err().within("args").to_string()
    };
    let dom = json!({"name": "n", "uuid": "00000000-0000-0000-0000-000000000000", "id": 1});
    assert_eq!(args(json!({"dom": dom})), "args.flags: missing");
    assert_eq!(args(json!({"dom": dom, "flag": 1})), "args.flag: unknown field, expected dom, flags");
    assert_eq!(args(json!([])), "args: expected an object, got []");
    assert_eq!(
        args(json!({"dom": {"name": "n", "uuid": 5, "id": 1}, "flags": 0})),
        "args.dom.uuid: expected a UUID, got 5"
    );
    assert_eq!(
        args(json!({"dom": dom, "flags": -1})),
        "args.flags: expected an unsigned number of 32 bits, got -1"
    );

    assert_eq!(refusal(Type::Int, json!(1.5)), "it: expected a whole number, got 1.5");
    assert_eq!(refusal(Type::Char, json!(200)), "it: expected a signed number of 8 bits, got 200");
    assert_eq!(refusal(Type::String(1), json!("ab")), "it: a string of 2 exceeds its maximum of 1");
    assert_eq!(refusal(Type::String(1), json!(null)), "it: expected a string, got null");
    assert_eq!(refusal(Type::Opaque(9), json!("ab")), "it: expected {\"hex\": …}, got \"ab\"");
    assert_eq!(refusal(Type::Opaque(9), json!({"hex": "0g"})), "it: 'g' is not a hexadecimal digit");
    assert_eq!(refusal(Type::FixedChars(2), json!({"hex": "00"})), "it: expected 2 bytes, got 1");
    assert_eq!(refusal(Type::Array(&Type::Int, 1), json!([1, 2])), "it: 2 elements exceed the maximum of 1");
    assert_eq!(
        refusal(Type::Array(&Type::Int, 9), json!([1, "x"])),
        "it[1]: expected a whole number, got \"x\""
    );
    assert_eq!(
        refusal(Type::TypedParam(9), json!({"field": "f", "value": {"type": "bool", "value": 1}})),
        "it.value.type: expected one of int, uint, llong, ullong, double, boolean, string, got \"bool\""
    );
    assert_eq!(
        refusal(Type::TypedParam(9), json!({"field": "f", "value": {"type": "int", "value": "1"}})),
        "it.value.value: expected a whole number, got \"1\""
    );
    let long = refusal(Type::Int, json!("x".repeat(1000)));
    assert!(long.len() < 120 && long.ends_with('…'), "{long}");
}

#[test]
fn a_packets_own_keys_are_checked() {
    let whole = decoded(&packet(named("connect_close"), PacketType::CALL, Status::OK, &[])).remove(0);
    let mut buffer = BytesMut::new();
    let mut with = |key: &str, value: Option<Value>| {
        let mut object = whole.clone();
        match value {
            Some(value) => object[key] = value,
            None => drop(object.as_object_mut().unwrap().remove(key)),
        }
        packet_from_json(&object, &mut buffer).map_err(|error| error.to_string())
    };
    assert_eq!(with("program", Some(json!("remote"))), Ok(()));
    assert_eq!(with("error", Some(json!("ignored"))), Ok(()));
    assert_eq!(with("version", None), Ok(()));
    assert_eq!(with("number", None), Ok(()));
    assert_eq!(with("type", Some(json!(0))), Ok(()));
    assert_eq!(with("serial", None).unwrap_err(), "serial: missing");
    assert_eq!(with("payload", None).unwrap_err(), "payload: missing");
    assert_eq!(
        with("number", Some(json!(3))).unwrap_err(),
        "number: 3 is not that of remote.connect_close, 2"
    );
    assert_eq!(
        with("procedure", Some(json!("nope"))).unwrap_err(),
        "procedure: expected a procedure's name, got \"nope\""
    );
    assert_eq!(
        with("status", Some(json!("fine"))).unwrap_err(),
        "status: expected one of ok, error, continue, or a number, got \"fine\""
    );
    assert!(
        with("serail", Some(json!(1))).unwrap_err().starts_with("serail: unknown key, expected program,")
    );
    assert_eq!(with("fds", Some(json!(1))).unwrap_err(), "fds: packets of type call carry no descriptors");
    assert_eq!(
        with("payload", Some(json!({"a": 1}))).unwrap_err(),
        "payload.a: unknown field, there is none"
    );
    assert!(buffer.len() >= 28 * 5);
}

#[test]
fn missing_fields_can_be_filled() {
    let shape = named("connect_list_all_domains").args;
    let filled = from_json(shape, &json!({"flags": 1}), Missing::Fill).unwrap();
    let typed = remote::ConnectListAllDomainsArgs { need_results: 0, flags: 1 };
    assert_eq!(filled, xdr::to_bytes(&typed).unwrap());
}

#[test]
fn every_procedure_has_minimal_arguments() {
    for procedure in procedures() {
        for shape in [procedure.args, procedure.ret] {
            let least = from_json(shape, &minimal(shape), Missing::Refuse)
                .unwrap_or_else(|error| panic!("{procedure}: {error}"));
            let filled = from_json(shape, &json!({}), Missing::Fill).unwrap();
            assert_eq!(least, filled, "{procedure}");
            assert!(least.iter().all(|byte| *byte == 0 || shape_has_typed_param(shape)), "{procedure}");
        }
    }
    let typed = xdr::to_bytes(&remote::DomainMigratePerform3ParamsArgs::default()).unwrap();
    let procedure = remote::DomainMigratePerform3ParamsArgs::PROCEDURE;
    assert_eq!(from_json(procedure.args, &minimal(procedure.args), Missing::Refuse).unwrap(), typed);
}

/// Whether it holds a typed parameter outside of any array: the type of its value cannot be 0.
fn shape_has_typed_param(shape: &Struct) -> bool {
    fn found(ty: &Type) -> bool {
        match *ty {
            Type::TypedParam(_) => true,
            Type::Struct(shape) => shape_has_typed_param(shape),
            _ => false,
        }
    }
    shape.fields.iter().any(|field| found(&field.ty))
}

#[test]
fn no_struct_contains_itself_and_none_looks_like_hex() {
    fn depth(shape: &Struct, above: &[&str]) -> usize {
        assert!(!above.contains(&shape.name), "{} contains itself", shape.name);
        assert!(shape.fields.len() != 1 || shape.fields[0].name != "hex", "{}", shape.name);
        let above = [above, &[shape.name]].concat();
        shape.fields.iter().map(|field| 1 + depth_of(&field.ty, &above)).max().unwrap_or_default()
    }
    fn depth_of(ty: &Type, above: &[&str]) -> usize {
        match *ty {
            Type::Struct(shape) => depth(shape, above),
            Type::Optional(ty) | Type::Array(ty, _) | Type::FixedArray(ty, _) => 1 + depth_of(ty, above),
            _ => 0,
        }
    }
    // What JSON readers take is at least 100 deep.
    let depths =
        procedures().flat_map(|procedure| [procedure.args, procedure.ret]).map(|shape| depth(shape, &[]));
    assert!(depths.max().unwrap() < 20);
}
