//! The Internet checksum (RFC 1071), over bytes that may lie in pieces of odd length.

use core::net::IpAddr;

use crate::bytes::Bytes;

/// A running ones'-complement sum.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Checksum {
    /// Sum of the words in the machine's byte order, with end-around carry at 64 bits: the 16-bit
    /// sum is this one folded, since 2^16 - 1 divides 2^64 - 1, and turned (RFC 1071 §2(B)).
    sum: u64,
    /// An odd number of bytes went before, so the next piece starts in the middle of a word.
    odd: bool,
}

/// Adds with end-around carry.
const fn plus(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u64
}

impl Checksum {
    /// Adds a piece.
    #[inline]
    pub(crate) fn add(&mut self, piece: &[u8]) {
        let mut sum = sum_words(piece);
        if self.odd {
            // RFC 1071 §2(B): shifted by a byte, the sum is too.
            sum = sum.rotate_left(8);
        }
        self.odd ^= piece.len() % 2 == 1;
        self.sum = plus(self.sum, sum);
    }

    /// The sum of a few words of 32 bits, such as a header: without a carry to care for.
    #[inline]
    pub(crate) fn of_words<const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(N.is_multiple_of(4)) };
        let (words, _) = bytes.as_chunks::<4>();
        let sum = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
        Checksum { sum, odd: false }
    }

    /// Adds every piece of `bytes`.
    pub(crate) fn add_bytes(&mut self, bytes: Bytes<'_>) {
        bytes.chunks().for_each(|piece| self.add(piece));
    }

    /// Adds one 16-bit word, or a sum of such.
    #[inline]
    pub(crate) const fn add_word(&mut self, word: u16) {
        self.sum = plus(self.sum, word.to_be() as u64);
    }

    /// The sum so far, not complemented: what a device that completes checksums wants in the field.
    #[inline]
    pub(crate) const fn sum(self) -> u16 {
        let sum = (self.sum & 0xffff_ffff) + (self.sum >> 32);
        let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        (sum as u16).to_be()
    }

    /// The checksum to put in the field. Over data with a right checksum inside it is zero.
    #[inline]
    pub(crate) const fn finish(self) -> u16 {
        !self.sum()
    }

    /// Was it the sum of data with a right checksum inside?
    #[inline]
    pub(crate) const fn is_valid(self) -> bool {
        self.sum() == 0xffff
    }
}

/// The sum of the pseudo-header (RFC 9293 §3.1, RFC 768, RFC 8200 §8.1) for `len` bytes of
/// transport header and payload.
pub(crate) fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, len: usize) -> Checksum {
    let mut sum = 0;
    for address in [source, destination] {
        match address {
            IpAddr::V4(a) => sum = plus(sum, u64::from(u32::from_ne_bytes(a.octets()))),
            IpAddr::V6(a) => {
                let bits = u128::from_ne_bytes(a.octets());
                sum = plus(plus(sum, bits as u64), (bits >> 64) as u64);
            }
        }
    }
    // The length is a field of 32 bits, of which a packet uses 16 or little more.
    let len = u64::from((len as u32).to_be());
    let sum = plus(sum, plus(len, u64::from(u16::from(protocol).to_be())));
    Checksum { sum, odd: false }
}

#[inline]
fn sum_words(piece: &[u8]) -> u64 {
    let (blocks, rest) = piece.as_chunks::<BLOCK>();
    let mut total = if blocks.is_empty() { 0 } else { sum_blocks(blocks) };
    let (words, tail) = rest.as_chunks::<8>();
    for word in words {
        total = plus(total, u64::from_ne_bytes(*word));
    }
    let (fours, tail) = tail.as_chunks::<4>();
    for word in fours {
        total = plus(total, u64::from(u32::from_ne_bytes(*word)));
    }
    let (twos, tail) = tail.as_chunks::<2>();
    for word in twos {
        total = plus(total, u64::from(u16::from_ne_bytes(*word)));
    }
    match tail {
        [last] => plus(total, u64::from(u16::from_ne_bytes([*last, 0]))),
        _ => total,
    }
}

/// Bytes that are summed at a time: enough that the loop itself costs little.
const BLOCK: usize = 128;

/// Two chains of additions, since each waits for its own carry. No vectors:
/// `x86_64-unknown-none` has none.
fn sum_blocks(blocks: &[[u8; BLOCK]]) -> u64 {
    let (mut first, mut second) = (0, 0);
    for block in blocks {
        let (halves, _) = block.as_chunks::<{ BLOCK / 2 }>();
        first = sum_chain(first, &halves[0]);
        second = sum_chain(second, &halves[1]);
    }
    plus(first, second)
}

/// The carry of each addition goes into the next (an `adc` where the machine has one).
#[inline]
fn sum_chain(sum: u64, bytes: &[u8; BLOCK / 2]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    let add = |(sum, carry): (u64, bool), word: &[u8; 8]| sum.carrying_add(u64::from_ne_bytes(*word), carry);
    let (sum, carry) = words.iter().fold((sum, false), add);
    sum + u64::from(carry)
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
        let mut data = [0u8; 400];
        let mut x = 7u32;
        for b in &mut data {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *b = (x >> 24) as u8;
        }
        for len in 0..data.len() {
            for split in [0, 1, 3, 8, 31, 32, 33, 64, 127, 129] {
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
