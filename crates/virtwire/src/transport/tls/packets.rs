//! Where one packet ends and the next begins, so that no record holds parts of two.

use virtwire_proto::packet;

/// Where in the outgoing bytes one packet ends and the next begins.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// How many bytes of the packet are still to come, behind its length word.
    left: usize,
    /// What there is of a length word.
    word: Vec<u8>,
    /// Whether the bytes are no packets, but wrapped by a security layer: libvirtd decodes all that it has of these.
    wrapped: bool,
}

impl Packets {
    /// How many of the bytes, at least one, belong to the same packet.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> usize {
        if self.wrapped {
            return bytes.len();
        }
        let mut taken = 0;
        if self.left == 0 {
            taken = bytes.len().min(4 - self.word.len());
            self.word.extend_from_slice(&bytes[..taken]);
            let Ok(word) = <[u8; 4]>::try_from(&self.word[..]) else { return taken };
            self.word.clear();
            let length = u32::from_be_bytes(word) as usize;
            if !(packet::MIN_LEN..=packet::MAX_LEN).contains(&length) {
                self.wrapped = true;
                return bytes.len();
            }
            self.left = length - 4;
        }
        let rest = self.left.min(bytes.len() - taken);
        self.left -= rest;
        taken + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(packets: &mut Packets, mut bytes: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while !bytes.is_empty() {
            let some = packets.advance(bytes);
            assert!(some > 0);
            lengths.push(some);
            bytes = &bytes[some..];
        }
        lengths
    }

    fn packet(length: u32) -> Vec<u8> {
        let mut packet = length.to_be_bytes().to_vec();
        packet.resize(length as usize, 0xff);
        packet
    }

    #[test]
    fn packets_are_told_apart_wherever_the_pieces_are_cut() {
        let all = [packet(28), packet(100), packet(32), packet(28)].concat();
        let ends = [28, 128, 160, 188];
        assert_eq!(cut(&mut Packets::default(), &all), [28, 100, 32, 28]);
        for piece in 1..all.len() {
            let mut packets = Packets::default();
            let mut at = 0;
            for piece in all.chunks(piece) {
                for length in cut(&mut packets, piece) {
                    let end = ends.iter().find(|end| **end > at).unwrap();
                    at += length;
                    assert!(at <= *end, "a record goes over the end of a packet at {end}");
                }
            }
            assert_eq!(at, all.len());
        }
    }

    #[test]
    fn what_is_no_packet_passes_as_it_is() {
        let mut packets = Packets::default();
        assert_eq!(cut(&mut packets, &[packet(40), vec![0; 50]].concat()), [40, 50]);
        assert_eq!(cut(&mut packets, &packet(28)), [28]);
    }
}
