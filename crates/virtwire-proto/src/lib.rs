//! libvirt's RPC protocol, for both roles, without I/O: what the bytes mean.
//!
//! libvirt's daemons speak an RPC protocol that is asynchronous by design. This crate is that protocol and nothing
//! else: no sockets, no clock, no runtime, no standard library but for the descriptors that travel beside the bytes
//! (the feature `std`). An asynchronous client (`virtwire`) and server (`virtwire-server`) are built on it; so can a
//! proxy, a sniffer or a blocking client be.
//!
//! | room | what it answers |
//! | --- | --- |
//! | [`xdr`] | how a value becomes bytes, and back |
//! | [`packet`] | how bytes become packets |
//! | [`program`] | which procedures, types and limits libvirt's programs have: generated from `protocol/` |
//! | [`connection`] | what a client and a server do with packets: calls, events, streams, keepalive, authentication |
//! | [`typed_params`] | values with names and types, as libvirt passes settings and statistics |
//! | [`uri`], [`socket_path`] | what a connection URI means, and which socket it leads to |
//! | [`enums`], [`flags`], [`constants`], [`names`] | what the public headers of libvirt give names to |
//! | [`error`] | libvirt's errors, as a server makes them |
//!
//! Start at [`connection`], whose example joins a client and a server in memory.
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
