//! Packs the state of an idle connection into a short row of bytes, and reads it again.
//!
//! Numbers take the bytes that they need, so a field that is nearly always zero costs one.

use crate::seq::Seq;
use crate::time::Instant;

/// Bytes of a parked state. One that needs more is not parked.
pub(crate) const PARKED_LEN: usize = 168;

/// A connection at rest, packed.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Parked([u8; PARKED_LEN]);

impl Parked {
    pub(in crate::tcp) fn unpacker(&self) -> Unpacker<'_> {
        Unpacker { row: &self.0, base: None }
    }
}

/// Writes a row of bytes.
pub(in crate::tcp) struct Packer {
    row: [u8; PARKED_LEN],
    /// How many were written, or would have been.
    len: usize,
    /// The first instant: the others lie near it.
    base: Option<Instant>,
    now: Instant,
}

impl Packer {
    pub(in crate::tcp) fn new(now: Instant) -> Self {
        Packer { row: [0; PARKED_LEN], len: 0, base: None, now }
    }

    pub(in crate::tcp) fn now(&self) -> Instant {
        self.now
    }

    /// `None`: it does not fit.
    pub(in crate::tcp) fn finish(self) -> Option<Parked> {
        (self.len <= PARKED_LEN).then_some(Parked(self.row))
    }

    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.row.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
    }

    /// A number that is likely to be small: a byte for each seven bits.
    pub(in crate::tcp) fn number(&mut self, number: impl Into<u64>) {
        let mut number = number.into();
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// A number that is as likely to be large.
    pub(in crate::tcp) fn word(&mut self, word: u32) {
        self.bytes(&word.to_le_bytes());
    }

    pub(in crate::tcp) fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.byte(*byte));
    }

    /// A number near zero, of either sign.
    fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    /// A sequence number near another.
    pub(in crate::tcp) fn near(&mut self, seq: Seq, other: Seq) {
        self.signed(i64::from(seq.since(other) as i32));
    }

    pub(in crate::tcp) fn instant(&mut self, at: Instant) {
        match self.base {
            Some(base) => self.signed(at.micros().wrapping_sub(base.micros()) as i64),
            None => {
                self.base = Some(at);
                self.number(at.micros());
            }
        }
    }

    /// Up to eight bits in a byte.
    pub(in crate::tcp) fn bits<const N: usize>(&mut self, bits: [bool; N]) {
        self.byte(bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    }
}

/// Reads what a [`Packer`] wrote, in the same order.
pub(in crate::tcp) struct Unpacker<'a> {
    row: &'a [u8],
    base: Option<Instant>,
}

impl Unpacker<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.row.split_first() else { return 0 };
        self.row = rest;
        *byte
    }

    pub(in crate::tcp) fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    pub(in crate::tcp) fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    pub(in crate::tcp) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.byte())
    }

    fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    pub(in crate::tcp) fn near(&mut self, other: Seq) -> Seq {
        other + self.signed() as u32
    }

    pub(in crate::tcp) fn instant(&mut self) -> Instant {
        match self.base {
            Some(base) => Instant::from_micros(base.micros().wrapping_add(self.signed() as u64)),
            None => {
                let at = Instant::from_micros(self.number());
                self.base = Some(at);
                at
            }
        }
    }

    pub(in crate::tcp) fn bits<const N: usize>(&mut self) -> [bool; N] {
        let byte = self.byte();
        core::array::from_fn(|bit| byte >> bit & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written is read, at both ends of every range.
    #[test]
    fn a_row_of_bytes_and_back() {
        let mut to = Packer::new(Instant::ZERO);
        let numbers = [0, 1, 127, 128, u64::from(u32::MAX), u64::MAX];
        numbers.iter().for_each(|n| to.number(*n));
        let seqs = [Seq(5), Seq(0), Seq(u32::MAX), Seq(0x8000_0004)];
        seqs.iter().for_each(|seq| to.near(*seq, Seq(4)));
        let instants = [7, 0, 1 << 60, 8].map(Instant::from_micros);
        instants.iter().for_each(|at| to.instant(*at));
        to.word(0xdead_beef);
        to.bits([true, false, true]);
        let parked = to.finish().expect("it fits");
        let mut from = parked.unpacker();
        numbers.iter().for_each(|n| assert_eq!(from.number(), *n));
        seqs.iter().for_each(|seq| assert_eq!(from.near(Seq(4)), *seq));
        instants.iter().for_each(|at| assert_eq!(from.instant(), *at));
        assert_eq!((from.word(), from.bits()), (0xdead_beef, [true, false, true]));
    }

    #[test]
    fn what_does_not_fit_is_not_parked() {
        let mut to = Packer::new(Instant::ZERO);
        (0..PARKED_LEN).for_each(|_| to.number(1u8));
        to.number(1u8);
        assert!(to.finish().is_none());
    }
}
