//! The connection's state machines, joined in memory: what they owe to each other, to good peers and to bad ones.
//!
//! Where a test says "libvirtd", the answer was asked of a libvirtd 9.0.0 over a raw socket.
//!
//! | length, order or accident | test |
//! | --- | --- |
//! | 1 event between call and reply | `events::between_a_call_and_its_reply` |
//! | 2 event before the registration's reply | `events::before_the_registrations_reply` and on |
//! | 3 the same callback identifier in two classes | `events::the_same_identifier_in_two_classes` |
//! | 4 unsubscribing during a storm | `events::unsubscribing_during_a_storm` |
//! | 5 a stream's consumer dies | `streams::a_dead_consumer_stops_no_calls` |
//! | 6 abort after the server already failed | `streams::an_abort_crosses_the_servers_failure` |
//! | 7 every end of a stream | `streams` |
//! | 8 holes both ways, near i64::MAX | `streams::holes_are_lengths_and_no_allocation` |
//! | 9 a cancelled call's late reply | `calls::a_cancelled_calls_late_reply_is_dropped` |
//! | 10 serials wrap | beside the code, `connection/client/tests.rs`: it cannot be reached from outside |
//! | 11 the peer closes with everything open | `closing` |
//! | 12 dropping the last handle closes the socket | needs a socket: the async client's tests |
//! | 13 two tasks never interleave | `calls::large_calls_never_interleave` (the tasks: the async client's tests) |
//! | 14 length words | `framing::length_words` |
//! | 15 unknown program, version, type, status, procedure | `refusals`, `framing` |
//! | 16 padding, trailing bytes, discriminants, counts | `payloads`; memory in `tests/memory.rs` |
//! | 17 fewer or more descriptors than announced | `descriptors` |
//! | 18 PING at any time, silence, more calls than the cap | `keepalive`, `calls::what_passes_the_cap_waits_its_turn` |
//! | 19 32 MiB, and one more | `limits` |
//! | 20 TLS's confirmation byte | needs TLS: the transports' tests |
//! | 21 modes, sockets, read-only, modular daemons | need daemons: the socket paths' and the client's tests |
//! | 22 SASL with a security layer | `authentication` |
//! | 23 network update on old and new servers | needs the client's methods: the async client's tests |
//! | 24 unknown error code, 25 error without a message | `errors` |
//! | 26 every split of the byte stream | every test that goes through `rig::each_split` |

mod authentication;
mod calls;
mod closing;
mod descriptors;
mod errors;
mod events;
mod framing;
mod keepalive;
mod limits;
mod links;
mod ops;
mod payloads;
mod properties;
mod refusals;
mod rig;
mod samples;
mod shared;
mod streams;
