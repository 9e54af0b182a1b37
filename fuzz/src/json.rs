//! The target `json`: the JSON forms of payloads and packets, which the command line reads and writes.

use crate::decoders::choose;
use bytes::BytesMut;
use serde_json::Value;
use virtwire_cli::json::{Capture, Missing, from_json, packet_from_json, to_json};

/// Takes the input, by its first byte, as a capture (0), as a payload of the type that [`decoders`](crate::decoders())
/// would choose (1), or as JSON text (2).
///
/// A capture becomes objects, whose text becomes the same bytes again. A payload has a JSON form if its type's decoder
/// takes it, and that form becomes what its type's encoder writes. Text that describes a packet describes one that is
/// shown again, and is then the same bytes.
///
/// # Panics
/// Where any of that does not hold.
pub fn json(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 3 {
        0 => assert_eq!(encoded(&shown(rest)), rest, "a capture comes back as it was"),
        1 => {
            let Some((codec, payload)) = choose(rest) else { return };
            let name = codec.shape.name;
            match ((codec.recode)(&payload), to_json(codec.shape, &payload)) {
                (Some(bytes), Ok(value)) => {
                    let again = from_json(codec.shape, &as_text(&value), Missing::Refuse);
                    assert_eq!(again, Ok(bytes), "{name}: {value}");
                }
                (None, Err(_)) => {}
                (typed, by_table) => panic!("{name}: {typed:?} by type, {by_table:?} by table"),
            }
        }
        _ => {
            let Ok(value) = serde_json::from_slice::<Value>(rest) else { return };
            let mut buffer = BytesMut::new();
            if packet_from_json(&value, &mut buffer).is_ok() {
                let objects = shown(&buffer);
                assert_eq!(encoded(&objects), buffer, "{value} is shown as {objects:?}");
            } else {
                assert!(buffer.is_empty(), "what is refused writes nothing");
            }
        }
    }
}

/// The objects of a capture, as they read from their text.
fn shown(capture: &[u8]) -> Vec<Value> {
    let mut pieces = Capture::new();
    pieces.push(capture);
    pieces.finish();
    let objects = std::iter::from_fn(|| pieces.next().map(|piece| as_text(&piece.to_json())));
    let objects = objects.collect();
    assert!(pieces.is_finished(), "a capture is shown to its end");
    objects
}

fn encoded(objects: &[Value]) -> BytesMut {
    let mut buffer = BytesMut::new();
    for object in objects {
        packet_from_json(object, &mut buffer).unwrap_or_else(|error| panic!("{error}: {object}"));
    }
    buffer
}

/// What is read from a value's text: numbers and strings go through it unharmed, or do not.
fn as_text(value: &Value) -> Value {
    let text = value.to_string();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
