//! What methods give that is neither an object nor a list of parameters.
//!
//! Numbers that the daemon does not know are `None`; enums are open: what is newer than this crate keeps its number.

mod domain;
mod guest;
mod guest_info;
mod host;
mod job;
mod state;
mod stats;
mod storage;

pub use domain::*;
pub use guest::*;
pub use guest_info::*;
pub use host::*;
pub use job::*;
pub use state::*;
pub use stats::*;
pub use storage::*;

use virtwire_proto::xdr::Text;

/// Characters up to the first NUL, as C reads them.
fn text(characters: &[u8]) -> Text {
    Text::from(characters.split(|&byte| byte == 0).next().unwrap_or_default())
}
