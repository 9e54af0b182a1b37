//! One packet as JSON.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};
use virtwire_proto::packet::{
    HEADER_LEN, Header, LENGTH_LEN, MAX_DESCRIPTORS, MAX_LEN, MIN_LEN, PacketType, Serial, Status,
};
use virtwire_proto::program::{self, PROGRAMS, Procedure, Program, Struct, net};

use super::capture::{Capture, Piece};
use super::from_json::{Missing, from_json, integer};
use super::hex::{from_hex, to_hex, unwrapped, wrapped};
use super::path::JsonError;
use super::to_json::to_json;

/// How long the count of descriptors is that follows the header of some packets, in bytes.
const COUNT_LEN: usize = 4;

/// The keys of a packet's object.
const KEYS: [&str; 12] = [
    "program",
    "version",
    "procedure",
    "number",
    "type",
    "serial",
    "status",
    "fds",
    "fd_bytes",
    "payload",
    "raw",
    "error",
];

/// A packet as an object of `program`, `version`, `procedure`, `number`, `type`, `serial`, `status` and `payload`.
///
/// What has no name is a number; `procedure` is then null. The payload is the struct that the header says: a
/// call's arguments, a reply's result, an event's message, an error. A stream's data is `{"hex": …}`, and so is
/// every payload that no table describes or that is not what its table says; `error` then tells why. A stream's end
/// carries nothing: null.
///
/// Where the struct does not tell every bit (padding that is not zero, bytes behind it), `raw` has the payload's
/// bytes too. A packet with descriptors has their count in `fds`. The bytes that carry them stand behind the packet:
/// `descriptor_bytes`, which are in `fd_bytes` where they are not a zero for each.
///
/// `packet` begins with its length word, which is right.
#[must_use]
pub fn packet_to_json(packet: &Bytes, descriptor_bytes: &[u8]) -> Value {
    let Some(header) = header(packet) else { return bytes_to_json(packet, "shorter than a packet's header") };
    let mut map = header_to_json(&header);
    let mut payload = packet.slice(MIN_LEN..);
    if has_descriptors(&header) {
        if payload.len() < COUNT_LEN {
            return broken(map, packet, "a packet with descriptors ends before their count");
        }
        let count = payload.get_u32();
        if count as usize > MAX_DESCRIPTORS {
            let problem = format!("{count} descriptors exceed the maximum of {MAX_DESCRIPTORS}");
            return broken(map, packet, &problem);
        }
        map.insert("fds".into(), count.into());
        if descriptor_bytes.len() != count as usize || descriptor_bytes.iter().any(|byte| *byte != 0) {
            map.insert("fd_bytes".into(), to_hex(descriptor_bytes).into());
        }
    }
    payload_to_json(&mut map, &header, &payload);
    Value::Object(map)
}

/// Bytes that cannot be cut into packets, with the reason: an object of `error` and `raw`.
#[must_use]
pub fn bytes_to_json(bytes: &[u8], error: &str) -> Value {
    broken(Map::new(), bytes, error)
}

/// A packet in hexadecimal digits as an object: [`packet_to_json`] where the line is one packet, and otherwise
/// `error` beside `raw`, or beside `line` where these are no bytes at all.
///
/// The bytes that carry descriptors may stand behind the packet or not.
#[must_use]
pub fn line_to_json(line: &str) -> Value {
    let bytes = match from_hex(line) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => return serde_json::json!({ "error": error, "line": line }),
    };
    let mut capture = Capture::new();
    capture.push(&bytes);
    capture.finish();
    match capture.next() {
        Some(Piece::Packet { packet, descriptor_bytes }) => match capture.next() {
            None => packet_to_json(&packet, &descriptor_bytes),
            Some(_) => {
                let behind = bytes.len() - packet.len() - descriptor_bytes.len();
                let error = format!("{behind} bytes stand behind the packet of {} bytes", packet.len());
                let map = header(&packet).as_ref().map(header_to_json).unwrap_or_default();
                broken(map, &bytes, &error)
            }
        },
        Some(piece) => piece.to_json(),
        None => bytes_to_json(&bytes, "no bytes"),
    }
}

/// Appends the bytes of the packet that `value` describes, as [`packet_to_json`] or [`bytes_to_json`] made it, and
/// behind it those that carry its descriptors.
///
/// `version` may be left out where `program` is a name, and `number` where `procedure` is one; nothing else.
/// `error` is ignored. `raw`, where it is there, is what counts; a `payload` beside it has to agree with it.
///
/// # Errors
/// What is wrong, and where. `buffer` is then as it was.
pub fn packet_from_json(value: &Value, buffer: &mut BytesMut) -> Result<(), JsonError> {
    let Value::Object(map) = value else { return Err(JsonError::expected("an object", value)) };
    if map.contains_key("line") && map.contains_key("error") {
        return Err(JsonError::new("a line that was no packet has no bytes").within("line"));
    }
    if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(JsonError::new(format!("unknown key, expected {}", KEYS.join(", "))).within(key.clone()));
    }
    if let (Some(raw), None) = (map.get("raw"), map.get("payload")) {
        buffer.put_slice(&hex_text(raw).map_err(|error| error.within("raw"))?);
        return Ok(());
    }
    let header = header_from_json(map)?;
    let descriptors = descriptors_from_json(map, &header)?;
    let payload = payload_from_json(map, &header)?;
    let count_len = if descriptors.is_some() { COUNT_LEN } else { 0 };
    let len = MIN_LEN + count_len + payload.len();
    if len > MAX_LEN {
        return Err(JsonError::new(format!("a packet of {len} bytes exceeds the maximum of {MAX_LEN}")));
    }
    buffer.put_u32(len as u32);
    buffer.put_u32(header.program);
    buffer.put_u32(header.version);
    buffer.put_i32(header.procedure);
    buffer.put_i32(header.packet_type.0);
    buffer.put_u32(header.serial.0);
    buffer.put_i32(header.status.0);
    if let Some((count, _)) = &descriptors {
        buffer.put_u32(*count);
    }
    buffer.put_slice(&payload);
    if let Some((_, bytes)) = &descriptors {
        buffer.put_slice(bytes);
    }
    Ok(())
}

/// What a payload is.
enum Shape {
    /// A struct of the definitions.
    Struct(&'static Struct),
    /// A stream's failure: the error's struct from a server, nothing from a client.
    Failure,
    /// Nothing.
    Nothing,
    /// Data, or what no table describes.
    Bytes,
}

impl Shape {
    fn of(header: &Header) -> Self {
        match (header.packet_type, header.status, procedure(header)) {
            (PacketType::CALL | PacketType::CALL_WITH_FDS | PacketType::MESSAGE, _, Some(procedure)) => {
                Self::Struct(procedure.args)
            }
            (PacketType::REPLY | PacketType::REPLY_WITH_FDS, Status::OK, Some(procedure)) => {
                Self::Struct(procedure.ret)
            }
            // What a server does not know it answers with an error, which has one form for all programs.
            (PacketType::REPLY | PacketType::REPLY_WITH_FDS, Status::ERROR, _) => {
                Self::Struct(shared("virNetMessageError"))
            }
            (PacketType::STREAM, Status::OK, _) => Self::Nothing,
            (PacketType::STREAM, Status::ERROR, _) => Self::Failure,
            (PacketType::STREAM_HOLE, _, _) => Self::Struct(shared("virNetStreamHole")),
            _ => Self::Bytes,
        }
    }
}

fn payload_to_json(map: &mut Map<String, Value>, header: &Header, payload: &Bytes) {
    let shape = match Shape::of(header) {
        Shape::Nothing | Shape::Failure if payload.is_empty() => {
            map.insert("payload".into(), Value::Null);
            return;
        }
        Shape::Nothing | Shape::Bytes => {
            map.insert("payload".into(), wrapped(payload));
            return;
        }
        Shape::Failure => shared("virNetMessageError"),
        Shape::Struct(shape) => shape,
    };
    match to_json(shape, payload) {
        Ok(value) => {
            let told = from_json(shape, &value, Missing::Refuse).is_ok_and(|bytes| bytes == payload);
            map.insert("payload".into(), value);
            if !told {
                map.insert("raw".into(), to_hex(payload).into());
            }
        }
        Err(error) => {
            map.insert("payload".into(), wrapped(payload));
            // Who knows what an unknown procedure's reply would be.
            if procedure(header).is_some() {
                map.insert("error".into(), error.to_string().into());
            }
        }
    }
}

fn payload_from_json(map: &Map<String, Value>, header: &Header) -> Result<Bytes, JsonError> {
    let value = required(map, "payload")?;
    if let Some(raw) = map.get("raw") {
        let raw = Bytes::from(hex_text(raw).map_err(|error| error.within("raw"))?);
        let mut again = Map::new();
        payload_to_json(&mut again, header, &raw);
        if again.get("payload") != Some(value) {
            let problem = "is not what raw says: without raw, the payload counts";
            return Err(JsonError::new(problem).within("payload"));
        }
        return Ok(raw);
    }
    if let Some(bytes) = unwrapped(value) {
        return bytes.map(Bytes::from).map_err(|error| JsonError::new(error).within("payload"));
    }
    let shape = match Shape::of(header) {
        Shape::Nothing | Shape::Failure if value.is_null() => return Ok(Bytes::new()),
        Shape::Nothing => return Err(JsonError::expected("null", value).within("payload")),
        Shape::Bytes => return Err(JsonError::expected(r#"{"hex": …}"#, value).within("payload")),
        Shape::Failure => shared("virNetMessageError"),
        Shape::Struct(shape) => shape,
    };
    from_json(shape, value, Missing::Refuse).map_err(|error| error.within("payload"))
}

/// The header of `packet`; `None` where it is shorter than that.
pub(super) fn header(packet: &[u8]) -> Option<Header> {
    let mut words = packet.get(LENGTH_LEN..LENGTH_LEN + HEADER_LEN)?;
    Some(Header {
        program: words.get_u32(),
        version: words.get_u32(),
        procedure: words.get_i32(),
        packet_type: PacketType(words.get_i32()),
        serial: Serial(words.get_u32()),
        status: Status(words.get_i32()),
    })
}

pub(super) fn header_to_json(header: &Header) -> Map<String, Value> {
    let program = PROGRAMS.iter().find(|program| program.number == header.program);
    let named = |name: Option<&str>, number: i32| match name {
        Some(name) => name.to_ascii_lowercase().into(),
        None => number.into(),
    };
    let pairs = [
        ("program", program.map_or(header.program.into(), |program| program.name.into())),
        ("version", header.version.into()),
        ("procedure", procedure(header).map(|procedure| procedure.name).into()),
        ("number", header.procedure.into()),
        ("type", named(header.packet_type.name(), header.packet_type.0)),
        ("serial", header.serial.0.into()),
        ("status", named(header.status.name(), header.status.0)),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn header_from_json(map: &Map<String, Value>) -> Result<Header, JsonError> {
    let known = field(map, "program", |value| match value {
        Value::String(name) => PROGRAMS
            .iter()
            .copied()
            .find(|program| program.name == name)
            .map(Ok)
            .ok_or_else(|| JsonError::expected("a program's name or number", value)),
        _ => integer(value).map(Err),
    })?;
    let program = known.map_or_else(|number| number, |program: &'static Program| program.number);
    let version = match known {
        Ok(program) if !map.contains_key("version") => program.version,
        _ => field(map, "version", integer)?,
    };
    let procedure = match map.get("procedure") {
        None | Some(Value::Null) => field(map, "number", integer)?,
        Some(value) => {
            let found =
                value.as_str().and_then(|name| program::find(program, version)?.procedure_named(name));
            let Some(found) = found else {
                return Err(JsonError::expected("a procedure's name", value).within("procedure"));
            };
            let number = map.get("number").map(|_| field(map, "number", integer::<i32>)).transpose()?;
            if let Some(number) = number.filter(|number| *number != found.number) {
                let problem = format!("{number} is not that of {found}, {}", found.number);
                return Err(JsonError::new(problem).within("number"));
            }
            found.number
        }
    };
    Ok(Header {
        program,
        version,
        procedure,
        packet_type: PacketType(field(map, "type", |value| {
            named(value, PacketType::known().map(|it| (it.name(), it.0)))
        })?),
        serial: Serial(field(map, "serial", integer)?),
        status: Status(field(map, "status", |value| {
            named(value, Status::known().map(|it| (it.name(), it.0)))
        })?),
    })
}

/// How many descriptors a packet has, and the bytes that carry them; `None` where its type has none.
fn descriptors_from_json(
    map: &Map<String, Value>,
    header: &Header,
) -> Result<Option<(u32, Vec<u8>)>, JsonError> {
    if !has_descriptors(header) {
        return match ["fds", "fd_bytes"].into_iter().find(|key| map.contains_key(*key)) {
            Some(key) => Err(JsonError::new(format!(
                "packets of type {} carry no descriptors",
                header.packet_type.to_string().to_ascii_lowercase()
            ))
            .within(key)),
            None => Ok(None),
        };
    }
    let count: u32 = field(map, "fds", integer)?;
    if count as usize > MAX_DESCRIPTORS {
        let problem = format!("{count} descriptors exceed the maximum of {MAX_DESCRIPTORS}");
        return Err(JsonError::new(problem).within("fds"));
    }
    let bytes = match map.get("fd_bytes") {
        Some(_) => field(map, "fd_bytes", hex_text)?,
        None => vec![0; count as usize],
    };
    Ok(Some((count, bytes)))
}

fn field<T>(
    map: &Map<String, Value>,
    key: &'static str,
    read: impl FnOnce(&Value) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
    read(required(map, key)?).map_err(|error| error.within(key))
}

fn required<'a>(map: &'a Map<String, Value>, key: &'static str) -> Result<&'a Value, JsonError> {
    map.get(key).ok_or_else(|| JsonError::new("missing").within(key))
}

/// The number of one of the names, or a number as it is.
fn named(value: &Value, known: impl Iterator<Item = (Option<&'static str>, i32)>) -> Result<i32, JsonError> {
    let Some(text) = value.as_str() else { return integer(value) };
    let mut names = Vec::new();
    for (name, number) in known {
        let name = name.unwrap_or_default().to_ascii_lowercase();
        if name == text {
            return Ok(number);
        }
        names.push(name);
    }
    Err(JsonError::expected(format_args!("one of {}, or a number", names.join(", ")), value))
}

fn hex_text(value: &Value) -> Result<Vec<u8>, JsonError> {
    let text = value.as_str().ok_or_else(|| JsonError::expected("hexadecimal digits in a string", value))?;
    from_hex(text).map_err(JsonError::new)
}

/// Whether a count of descriptors follows the header.
pub(super) fn has_descriptors(header: &Header) -> bool {
    matches!(header.packet_type, PacketType::CALL_WITH_FDS | PacketType::REPLY_WITH_FDS)
}

fn procedure(header: &Header) -> Option<&'static Procedure> {
    program::find(header.program, header.version)?.procedure(header.procedure)
}

/// A struct that the packets of all programs share.
fn shared(name: &str) -> &'static Struct {
    net::STRUCTS.iter().find(|shape| shape.name == name).expect("libvirt's definitions have it")
}

pub(super) fn broken(mut map: Map<String, Value>, bytes: &[u8], error: &str) -> Value {
    map.insert("error".into(), error.into());
    map.insert("raw".into(), to_hex(bytes).into());
    Value::Object(map)
}
