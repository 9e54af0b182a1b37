//! Payloads and packets as JSON, read by the programs' tables rather than by Rust types.
//!
//! One form for each type of libvirt's definitions:
//!
//! | in the definitions | in JSON |
//! | --- | --- |
//! | a struct | an object; its fields have the names of the definitions |
//! | `int`, `unsigned int`, `hyper`, `unsigned hyper`, `short`, `char`, … | a number, 64 bits at full precision |
//! | `double` | a number; `{"hex": …}` of its 8 bytes where it is not finite |
//! | a string | a string; `{"hex": …}` where it is not UTF-8 |
//! | a UUID | its canonical string |
//! | opaque data, arrays of `char` | `{"hex": …}` |
//! | an optional value | the value, or null |
//! | an array | an array |
//! | a typed parameter | `{"field": …, "value": {"type": "int", "value": 1}}`; the types are int, uint, llong, ullong, double, boolean (a number) and string |
//!
//! And for a packet, see [`packet_to_json`].

mod capture;
mod from_json;
pub mod hex;
mod minimal;
mod packet;
mod path;
mod to_json;

pub use capture::{Capture, Piece};
pub use from_json::{Missing, from_json};
pub use minimal::minimal;
pub use packet::{bytes_to_json, line_to_json, packet_from_json, packet_to_json};
pub use path::JsonError;
pub(crate) use to_json::text;
pub use to_json::to_json;
