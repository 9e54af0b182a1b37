//! DIGEST-MD5's security layer (RFC 2831, 2.3 and 2.4): packets with a length in front, a number and a MAC behind,
//! encrypted by RC4 where that was negotiated.

use super::hash;
use bytes::{Buf, BufMut, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use rc4::{Rc4, StreamCipher};
use std::fmt;
use virtwire_proto::connection::{SecurityError, SecurityLayer};
use zeroize::Zeroizing;

/// How much of the HMAC goes with a packet.
const MAC_LEN: usize = 10;
/// What stands behind a MAC: the layer's version and the packet's number.
const TRAILER_LEN: usize = 6;
/// What a sealed packet has beside what it carries, its length not counted.
pub(super) const OVERHEAD: usize = MAC_LEN + TRAILER_LEN;
/// The one version that there is.
const VERSION: u16 = 1;
/// The largest packet that this side takes, as the response says.
pub(super) const MAX_BUFFER: u32 = 65_536;

/// How a packet is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    /// It is signed (auth-int).
    Integrity,
    /// It is signed and encrypted by RC4 (auth-conf) with a key made from so many bytes.
    Rc4 { key_len: usize },
}

/// Which way packets go, as the keys are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// Seals what goes one way and opens what comes the other.
pub(super) struct Layer {
    out: Direction,
    incoming: Direction,
    /// How much one sealed packet that goes out carries.
    most_plain: usize,
}

impl Layer {
    /// The layer of the side that sends `out`, to a peer that takes packets of up to `max_buffer` bytes.
    pub(super) fn new(secret: &[u8; 16], protection: Protection, out: Way, max_buffer: u32) -> Self {
        let back = if out == Way::ToServer { Way::ToClient } else { Way::ToServer };
        let most = usize::try_from(max_buffer.min(MAX_BUFFER)).unwrap_or(usize::MAX);
        Self {
            out: Direction::new(secret, protection, out),
            incoming: Direction::new(secret, protection, back),
            most_plain: most.saturating_sub(OVERHEAD).max(1),
        }
    }
}

/// No key is shown.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestMd5Layer")
            .field("sent", &self.out.number)
            .field("got", &self.incoming.number)
            .finish_non_exhaustive()
    }
}

impl SecurityLayer for Layer {
    fn wrap(&mut self, plain: &[u8], sealed: &mut BytesMut) -> Result<(), SecurityError> {
        for part in plain.chunks(self.most_plain) {
            self.out.seal(part, sealed)?;
        }
        Ok(())
    }

    fn unwrap(&mut self, sealed: &mut BytesMut, plain: &mut BytesMut) -> Result<(), SecurityError> {
        while let Some(length) = sealed.first_chunk::<4>() {
            let length = u32::from_be_bytes(*length);
            if length > MAX_BUFFER {
                return Err(SecurityError(format!(
                    "a sealed packet of {length} bytes, expected {MAX_BUFFER} at most"
                )));
            }
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length < OVERHEAD {
                return Err(SecurityError(format!(
                    "a sealed packet of {length} bytes, expected {OVERHEAD} at least"
                )));
            }
            if sealed.len() - 4 < length {
                break;
            }
            sealed.advance(4);
            let mut packet = sealed.split_to(length);
            plain.extend_from_slice(self.incoming.open(&mut packet)?);
        }
        Ok(())
    }
}

/// The packets of one direction.
struct Direction {
    signing_key: Zeroizing<[u8; 16]>,
    cipher: Option<Rc4>,
    /// The next packet's.
    number: u32,
}

impl Direction {
    fn new(secret: &[u8; 16], protection: Protection, way: Way) -> Self {
        let (signing, sealing) = match way {
            Way::ToServer => (
                "Digest session key to client-to-server signing key magic constant",
                "Digest H(A1) to client-to-server sealing key magic constant",
            ),
            Way::ToClient => (
                "Digest session key to server-to-client signing key magic constant",
                "Digest H(A1) to server-to-client sealing key magic constant",
            ),
        };
        let signing_key = Zeroizing::new(hash(&[secret, signing.as_bytes()]));
        let cipher = match protection {
            Protection::Integrity => None,
            Protection::Rc4 { key_len } => {
                let key = Zeroizing::new(hash(&[&secret[..key_len], sealing.as_bytes()]));
                Some(Rc4::new_from_slice(&*key).expect("RC4 takes keys of 16 bytes"))
            }
        };
        Self { signing_key, cipher, number: 0 }
    }

    fn mac(&self, message: &[u8]) -> Hmac<Md5> {
        let mut mac = Hmac::<Md5>::new_from_slice(&*self.signing_key).expect("HMAC takes keys of any length");
        mac.update(&self.number.to_be_bytes());
        mac.update(message);
        mac
    }

    fn seal(&mut self, plain: &[u8], sealed: &mut BytesMut) -> Result<(), SecurityError> {
        let length = plain.len() + OVERHEAD;
        sealed.reserve(4 + length);
        sealed.put_u32(
            u32::try_from(length).map_err(|_| SecurityError("a part is too long to be sealed".into()))?,
        );
        let start = sealed.len();
        sealed.extend_from_slice(plain);
        sealed.extend_from_slice(&self.mac(plain).finalize().into_bytes()[..MAC_LEN]);
        if let Some(cipher) = &mut self.cipher {
            cipher.apply_keystream(&mut sealed[start..]);
        }
        sealed.put_u16(VERSION);
        sealed.put_u32(self.number);
        self.number = self.number.wrapping_add(1);
        Ok(())
    }

    /// What a packet carries, its length taken off already.
    fn open<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], SecurityError> {
        let (body, trailer) = packet.split_at_mut(packet.len() - TRAILER_LEN);
        let mut trailer: &[u8] = trailer;
        let (version, number) = (trailer.get_u16(), trailer.get_u32());
        if version != VERSION {
            return Err(SecurityError(format!("a sealed packet of version {version}, expected {VERSION}")));
        }
        if number != self.number {
            return Err(SecurityError(format!("the sealed packet {number}, expected {}", self.number)));
        }
        if let Some(cipher) = &mut self.cipher {
            cipher.apply_keystream(body);
        }
        let (plain, mac) = body.split_at(body.len() - MAC_LEN);
        if self.mac(plain).verify_truncated_left(mac).is_err() {
            return Err(SecurityError(format!(
                "the sealed packet {number} is not what was sealed: its MAC differs"
            )));
        }
        self.number = self.number.wrapping_add(1);
        Ok(plain)
    }
}
