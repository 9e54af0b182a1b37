//! Where bytes become packets.

use super::{
    Descriptor, HEADER_LEN, Header, LENGTH_LEN, MAX_DESCRIPTORS, MAX_LEN, MIN_LEN, Packet, has_descriptors,
};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Buf, BytesMut};

/// Why bytes cannot be cut into packets. What follows cannot be told apart any more: the connection is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// The length word is none that a packet can have.
    #[error("expected a packet's length of {MIN_LEN} to {MAX_LEN} bytes, got {length}")]
    Length {
        /// The length word that came.
        length: u32,
    },
    /// A packet of a type with descriptors is too short for their count.
    #[error("a packet with descriptors ends before their count: {length} bytes")]
    NoCount {
        /// The packet's length word.
        length: u32,
    },
    /// A packet announces more descriptors than one may carry.
    #[error("a packet announces {count} descriptors, at most {MAX_DESCRIPTORS} may travel beside one")]
    TooManyDescriptors {
        /// The count that came.
        count: u32,
    },
    /// The byte that should carry a descriptor carried none.
    #[error("a packet announces {announced} descriptors, {came} came with its bytes")]
    MissingDescriptors {
        /// How many were announced.
        announced: usize,
        /// How many came.
        came: usize,
    },
}

/// What the front of a buffer holds.
struct Front {
    /// The packet's length, its length word included.
    len: usize,
    /// How many descriptors follow it, where that can be told already.
    descriptors: usize,
}

impl Front {
    /// `None` where the length word is not all there.
    fn of(bytes: &[u8]) -> Result<Option<Self>, FramingError> {
        let Some(word) = bytes.first_chunk::<LENGTH_LEN>() else { return Ok(None) };
        let length = u32::from_be_bytes(*word);
        let len = length as usize;
        if !(MIN_LEN..=MAX_LEN).contains(&len) {
            return Err(FramingError::Length { length });
        }
        let Some(header) = bytes.get(LENGTH_LEN..MIN_LEN) else {
            return Ok(Some(Self { len, descriptors: 0 }));
        };
        if !has_descriptors(Header::take(header).packet_type) {
            return Ok(Some(Self { len, descriptors: 0 }));
        }
        if len < MIN_LEN + 4 {
            return Err(FramingError::NoCount { length });
        }
        let Some(mut count) = bytes.get(MIN_LEN..MIN_LEN + 4) else {
            return Ok(Some(Self { len, descriptors: 0 }));
        };
        match count.get_u32() {
            count if count as usize > MAX_DESCRIPTORS => Err(FramingError::TooManyDescriptors { count }),
            count => Ok(Some(Self { len, descriptors: count as usize })),
        }
    }
}

/// Cuts the packet off the front of `bytes`, once it is all there, and takes its descriptors off the front of
/// `descriptors`. Its payload shares the buffer's memory.
///
/// A descriptor arrives with or before the byte that carries it, so whoever fills the two appends what one
/// read gave to both before calling this.
///
/// # Errors
/// [`FramingError`]: what follows cannot be told apart any more.
pub fn cut(
    bytes: &mut BytesMut,
    descriptors: &mut VecDeque<Descriptor>,
) -> Result<Option<Packet>, FramingError> {
    let Some(front) = Front::of(bytes)? else { return Ok(None) };
    if bytes.len() < front.len + front.descriptors {
        return Ok(None);
    }
    if descriptors.len() < front.descriptors {
        return Err(FramingError::MissingDescriptors {
            announced: front.descriptors,
            came: descriptors.len(),
        });
    }
    let mut payload = bytes.split_to(front.len).freeze();
    payload.advance(LENGTH_LEN);
    let header = Header::take(&payload[..HEADER_LEN]);
    payload.advance(HEADER_LEN);
    if has_descriptors(header.packet_type) {
        payload.advance(4);
    }
    let descriptors = if front.descriptors == 0 {
        Vec::new()
    } else {
        bytes.advance(front.descriptors);
        descriptors.drain(..front.descriptors).collect()
    };
    Ok(Some(Packet { header, payload, descriptors }))
}

/// How many bytes are missing at least before [`cut`] can give a packet: what a reader that knows nothing else
/// should ask for. Never more than the peer announced, which may not come: reserve as it does.
///
/// # Errors
/// [`FramingError`], as `cut` would give.
pub fn missing(bytes: &[u8]) -> Result<usize, FramingError> {
    Ok(match Front::of(bytes)? {
        None => MIN_LEN - bytes.len(),
        Some(front) => (front.len + front.descriptors).saturating_sub(bytes.len()),
    })
}
