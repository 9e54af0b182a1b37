//! A descriptor that travels beside a packet.

/// A descriptor that travels beside a packet: an owned one, so that dropping it closes it.
#[cfg(all(feature = "std", unix))]
pub type Descriptor = std::os::fd::OwnedFd;

/// Descriptors travel only over UNIX sockets: here there are none, and this type has no values.
#[cfg(not(all(feature = "std", unix)))]
pub type Descriptor = core::convert::Infallible;
