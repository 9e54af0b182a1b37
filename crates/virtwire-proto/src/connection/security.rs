//! The security layer that a SASL mechanism may have negotiated.

use alloc::string::String;
use bytes::BytesMut;
use core::fmt;

/// Seals and unseals the bytes of a connection, as a SASL mechanism with a security layer (SSF > 0) has
/// negotiated: the mechanism's part, supplied from outside.
pub trait SecurityLayer: fmt::Debug + Send {
    /// Appends to `sealed` what carries `plain`, in as many of the mechanism's buffers as that takes.
    ///
    /// # Errors
    /// [`SecurityError`]: the connection is lost.
    fn wrap(&mut self, plain: &[u8], sealed: &mut BytesMut) -> Result<(), SecurityError>;

    /// Takes the mechanism's buffers that are all there off the front of `sealed` and appends what they carry
    /// to `plain`. Leaves a last one that is not all there.
    ///
    /// # Errors
    /// [`SecurityError`]: the connection is lost.
    fn unwrap(&mut self, sealed: &mut BytesMut, plain: &mut BytesMut) -> Result<(), SecurityError>;
}

/// Why a security layer could not seal or unseal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecurityError(pub String);
