//! libvirt's RPC protocol, for both roles, without I/O.
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod connection;
pub mod error;
mod open_enum;
pub mod packet;
pub mod program;
pub mod socket_path;
pub mod typed_params;
pub mod uri;
pub mod xdr;
