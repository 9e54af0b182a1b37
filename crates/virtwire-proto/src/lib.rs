//! libvirt's RPC protocol, for both roles, without I/O.
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod bit_flags;
pub mod connection;
pub mod constants;
pub mod enums;
pub mod error;
pub mod flags;
pub mod names;
mod open_enum;
pub mod packet;
pub mod program;
pub mod socket_path;
pub mod typed_params;
pub mod uri;
pub mod xdr;
