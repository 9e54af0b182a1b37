//! What a connection gives: domains, networks, volumes and so on, each with the procedures that belong to it.

mod admin;
mod agent_timeout;
mod cpu_set;
mod domain;
mod generated;
mod host;
mod interface;
mod network;
mod node_device;
mod nw_filter;
mod optional_text;
mod secret;
mod snapshot;
mod storage;

pub mod info;

pub use admin::{AdminClient, AdminServer};
pub use agent_timeout::AgentTimeout;
pub use cpu_set::{CpuSet, CpuSetError};
pub use domain::{Domain, MigrateParams};
pub use interface::Interface;
pub use network::{Network, NetworkPort};
pub use node_device::NodeDevice;
pub use nw_filter::{NwFilter, NwFilterBinding};
pub use optional_text::OptionalText;
pub use secret::Secret;
pub use snapshot::{DomainCheckpoint, DomainSnapshot};
pub use storage::{StoragePool, StorageVol};

use crate::error::ProtocolError;
use crate::{Error, Result};
use std::time::{Duration, SystemTime};
use virtwire_proto::flags::TypedParameterFlags;
use virtwire_proto::program::Call;

/// The flag by which parameters may be strings: every answer with parameters is to be whole.
const STRING_OKAY: u32 = TypedParameterFlags::STRING_OKAY.bits();

/// Declares an object: a connection and what the wire knows the object by; what it says of itself is for its
/// module. `same` are the methods whose results make two of them equal, `shown` those that it is shown with.
macro_rules! object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($handle:ty) of $connection:ident, made by $maker:ident;
        same: $($same:ident),+;
        shown: $($shown:ident),+;
    ) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name {
            connection: $crate::$connection,
            handle: $handle,
        }

        impl $crate::$connection {
            #[doc = concat!("The [`", stringify!($name), "`](crate::", stringify!($name), ") that a handle names, such")]
            /// as one out of an event or of a call by the wire's own types.
            #[must_use]
            pub fn $maker(&self, handle: $handle) -> $name {
                $name { connection: self.clone(), handle }
            }
        }

        impl $name {
            /// Its connection.
            #[must_use]
            pub fn connection(&self) -> &$crate::$connection {
                &self.connection
            }

            #[doc = concat!("The same ", stringify!($name), " by way of another connection to the same daemon: what is")]
            /// called on it goes there. So what moves much, such as a volume's data, leaves this connection to others.
            ///
            /// # Examples
            /// ```no_run
            #[doc = concat!("# fn example(object: virtwire::", stringify!($name), ", other: virtwire::", stringify!($connection), ") {")]
            /// let there = object.on(&other);
            /// assert_eq!(there, object);
            /// # }
            /// ```
            #[must_use]
            pub fn on(&self, connection: &$crate::$connection) -> Self {
                connection.$maker(self.handle.clone())
            }

            /// What the wire knows it by, for a call by the wire's own types.
            #[must_use]
            pub fn handle(&self) -> &$handle {
                &self.handle
            }
        }

        #[doc = concat!("Two are equal that have the same ", $(stringify!($same), ", ",)+ "on whatever connection.")]
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                true $(&& self.$same() == other.$same())+
            }
        }

        impl Eq for $name {}

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                $(self.$same().hash(state);)+
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($shown), &self.$shown()))+
                    .finish_non_exhaustive()
            }
        }
    };
}

use object;

/// A number of the answer to `C` that is a count.
fn count<C: Call>(number: i32) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::Protocol {
        procedure: C::PROCEDURE,
        source: ProtocolError::Other(format!("expected a count, got {number}")),
    })
}

/// A duration in whole milliseconds.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The time this long after the beginning of 1970, or before it.
pub(crate) fn time_at(seconds: i64, nanoseconds: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let at = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    at?.checked_add(Duration::from_nanos(nanoseconds.into()))
}
