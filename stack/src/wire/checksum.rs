//! The Internet checksum (RFC 1071), over bytes that may lie in pieces of odd length.

use core::net::IpAddr;

use crate::bytes::Bytes;

/// A running ones'-complement sum.
///
/// ```
/// use barenet::wire::Checksum;
/// let mut sum = Checksum::default();
/// sum.add(&[0x45, 0x00, 0x00]); // odd pieces are fine
/// sum.add(&[0x1c]);
/// assert_eq!(sum.finish(), !(0x4500u16 + 0x001c));
/// ```
#[derive(Clone, Copy, Default, Debug)]
pub struct Checksum {
    /// Sum of 16-bit words in network order, folded to 16 bits after each piece.
    sum: u32,
    /// An odd number of bytes went before, so the next piece starts in the low half of a word.
    odd: bool,
}

impl Checksum {
    /// Continues from a 16-bit sum (not complemented).
    pub const fn from_sum(sum: u16) -> Self {
        Checksum { sum: sum as u32, odd: false }
    }

    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        let mut sum = sum_words(piece);
        if self.odd {
            // RFC 1071 §2(B): the sum of a shifted run is the byte-swapped sum.
            sum = sum.swap_bytes();
        }
        self.odd ^= piece.len() % 2 == 1;
        self.add_word(sum);
    }

    /// Adds every piece of `bytes`.
    pub fn add_bytes(&mut self, bytes: Bytes<'_>) {
        bytes.chunks().for_each(|piece| self.add(piece));
    }

    /// Adds one 16-bit word, or a sum of such.
    pub fn add_word(&mut self, word: u16) {
        let sum = self.sum + u32::from(word);
        self.sum = (sum & 0xffff) + (sum >> 16);
    }

    /// The sum so far, not complemented: what a device that completes checksums wants in the field.
    pub const fn sum(self) -> u16 {
        self.sum as u16
    }

    /// The checksum to put in the field. Over data with a right checksum inside it is zero.
    pub const fn finish(self) -> u16 {
        !self.sum()
    }

    /// Was it the sum of data with a right checksum inside?
    pub const fn is_valid(self) -> bool {
        self.sum() == 0xffff
    }
}

/// The sum of the pseudo-header (RFC 9293 §3.1, RFC 768, RFC 8200 §8.1) for `len` bytes of
/// transport header and payload.
pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, len: usize) -> Checksum {
    let mut sum = Checksum::default();
    for address in [source, destination] {
        match address {
            IpAddr::V4(a) => sum.add(&a.octets()),
            IpAddr::V6(a) => sum.add(&a.octets()),
        }
    }
    let len = (len as u32).to_be_bytes();
    sum.add(&[len[0], len[1], len[2], len[3], 0, protocol]);
    sum
}

/// Four lanes of 64 bits with end-around carry, since `x86_64-unknown-none` has no vector units.
/// Words are added in the machine's order; the sum is turned at the end (RFC 1071 §2(B)).
fn sum_words(piece: &[u8]) -> u16 {
    fn add(lane: &mut u64, word: u64) {
        let (sum, carry) = lane.overflowing_add(word);
        *lane = sum + u64::from(carry);
    }
    let (blocks, rest) = piece.as_chunks::<32>();
    let mut lanes = [0u64; 4];
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            add(lane, u64::from_ne_bytes(*word));
        }
    }
    let [mut total, b, c, d] = lanes;
    [b, c, d].iter().for_each(|lane| add(&mut total, *lane));
    let (words, tail) = rest.as_chunks::<8>();
    for word in words {
        add(&mut total, u64::from_ne_bytes(*word));
    }
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    add(&mut total, u64::from_ne_bytes(last));
    let folded = (total & 0xffff_ffff) + (total >> 32);
    let folded = (folded & 0xffff) + ((folded >> 16) & 0xffff) + (folded >> 32);
    let folded = (folded & 0xffff) + (folded >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    (folded as u16).to_be()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(data: &[u8]) -> u16 {
        let mut sum = 0u32;
        for word in data.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn it_agrees_with_the_definition_at_every_split() {
        let mut data = [0u8; 131];
        let mut x = 7u32;
        for b in &mut data {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *b = (x >> 24) as u8;
        }
        for len in 0..data.len() {
            for split in [0, 1, 3, 8, 31, 32, 33, 64] {
                let (a, b) = data[..len].split_at(split.min(len));
                let mut sum = Checksum::default();
                sum.add(a);
                sum.add(b);
                assert_eq!(sum.sum(), slow(&data[..len]), "{len} bytes cut at {split}");
            }
        }
    }

    #[test]
    fn carries_survive_all_ones() {
        let mut sum = Checksum::default();
        sum.add(&[0xff; 4096]);
        assert!(sum.is_valid());
        assert_eq!(sum.finish(), 0);
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let mut sum = Checksum::default();
        sum.add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.sum(), 0xddf2);
    }
}
