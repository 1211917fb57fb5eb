//! Idle connections in little memory: the state of a connection with nothing queued, in flight or
//! owed, as a row of bytes, and back.
//!
//! Each part of the state packs itself, beside its own fields, and names every one of them: a new field
//! breaks both ways until somebody has said what becomes of it. A part that is not at rest packs to
//! `None`, and the connection stays as it is. Numbers take the bytes that they need, so a field
//! that is nearly always zero costs one, and what IPv4's short addresses leave is for the rest.

use super::Tuple;
use super::tcb::{Closing, Phase, Synchronized, Tcb};
use crate::seq::Seq;
use crate::time::Instant;
use core::net::IpAddr;

/// Bytes of a parked state. One that needs more is not parked.
pub(crate) const PARKED_LEN: usize = 168;

/// A connection at rest, packed.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Parked([u8; PARKED_LEN]);

impl Tcb {
    /// Packs the connection, if it is at rest.
    pub(super) fn park(&self, to: &mut Packer) -> Option<()> {
        let Tcb { phase, ts_offset, send_limit, receive_limit, orphan } = self;
        let Phase::Synchronized(s) = phase else { return None };
        s.park(to)?;
        to.word(*ts_offset);
        // Nearly always the same as those of the two sides.
        to.number(send_limit ^ s.send.limit);
        to.number(receive_limit ^ s.receive.limit_max());
        to.bits([*orphan]);
        Some(())
    }

    /// The connection as it was.
    pub(super) fn unpark(from: &mut Unpacker<'_>) -> Tcb {
        let mut s = Synchronized::unpark(from);
        let ts_offset = from.word();
        let send_limit = from.number() as u32 ^ s.send.limit;
        let receive_limit = from.number() as u32 ^ s.receive.limit_max();
        let [orphan] = from.bits();
        s.send.ts_offset = ts_offset;
        Tcb { phase: Phase::Synchronized(s), ts_offset, send_limit, receive_limit, orphan }
    }
}

impl Tuple {
    pub(super) fn park(&self, to: &mut Packer) {
        let Tuple { local, remote, local_port, remote_port } = self;
        to.bits([local.is_ipv4(), remote.is_ipv4()]);
        for address in [local, remote] {
            match address {
                IpAddr::V4(a) => to.bytes(&a.octets()),
                IpAddr::V6(a) => to.bytes(&a.octets()),
            }
        }
        [local_port, remote_port].iter().for_each(|port| to.bytes(&port.to_le_bytes()));
    }

    pub(super) fn unpark(from: &mut Unpacker<'_>) -> Self {
        let is_v4: [bool; 2] = from.bits();
        let [local, remote] = is_v4.map(|is_v4| match is_v4 {
            true => IpAddr::V4(from.bytes::<4>().into()),
            false => IpAddr::V6(from.bytes::<16>().into()),
        });
        let [local_port, remote_port] = [(); 2].map(|()| u16::from_le_bytes(from.bytes()));
        Tuple { local, remote, local_port, remote_port }
    }
}

impl Parked {
    pub(super) fn unpacker(&self) -> Unpacker<'_> {
        Unpacker { row: &self.0, base: None }
    }
}

impl Synchronized {
    fn park(&self, to: &mut Packer) -> Option<()> {
        let Synchronized {
            send,
            receive,
            closing,
            challenge_at,
            orphan_until,
            ecn,
            heard_at,
            // What came before is old by the next time.
            moved: _,
            asking,
            urgent,
            soft,
            opening,
            end_read,
            resets,
            stats,
        } = self;
        if opening.is_some() || *resets {
            return None;
        }
        to.instant(*heard_at);
        receive.park(to)?;
        send.park(receive.nxt, to)?;
        ecn.park(send.una, to)?;
        asking.park(to)?;
        to.bits([urgent.is_some(), *end_read]);
        urgent.iter().for_each(|up| to.word(up.0));
        to.number(soft.map_or(0, |soft| soft as u8 + 1));
        stats.park(to);
        let challenge_at = Some(*challenge_at).filter(|at| *at > to.now);
        let [local_first, remote_first] = [Closing::LocalFirst, Closing::RemoteFirst].map(|c| c == *closing);
        to.bits([local_first, remote_first, challenge_at.is_some(), orphan_until.is_some()]);
        challenge_at.iter().chain(orphan_until).for_each(|at| to.instant(*at));
        Some(())
    }

    fn unpark(from: &mut Unpacker<'_>) -> Self {
        let heard_at = from.instant();
        let receive = super::receive::Receive::unpark(from);
        let send = super::send::Send::unpark(receive.nxt, from);
        let ecn = super::ecn::Ecn::unpark(send.una, from);
        let asking = super::keep_alive::Asking::unpark(from);
        let [is_urgent, end_read] = from.bits();
        let urgent = is_urgent.then(|| Seq(from.word()));
        let soft = super::soft::SoftError::of_number(from.number());
        let stats = super::info::Stats::unpark(from);
        let [local_first, remote_first, challenged, orphaned] = from.bits();
        let closing = match (local_first, remote_first) {
            (true, _) => Closing::LocalFirst,
            (_, true) => Closing::RemoteFirst,
            _ => Closing::Neither,
        };
        // Once it has passed, when it was is all the same.
        let challenge_at = if challenged { from.instant() } else { heard_at };
        let orphan_until = orphaned.then(|| from.instant());
        Synchronized {
            send,
            receive,
            closing,
            challenge_at,
            orphan_until,
            ecn,
            heard_at,
            moved: stats.bytes_moved(),
            asking,
            urgent,
            soft,
            opening: None,
            end_read,
            resets: false,
            stats,
        }
    }
}

/// Writes a row of bytes.
pub(super) struct Packer {
    row: [u8; PARKED_LEN],
    /// How many were written, or would have been.
    len: usize,
    /// The first instant: the others lie near it.
    base: Option<Instant>,
    now: Instant,
}

impl Packer {
    pub(super) fn new(now: Instant) -> Self {
        Packer { row: [0; PARKED_LEN], len: 0, base: None, now }
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// `None`: it does not fit.
    pub(super) fn finish(self) -> Option<Parked> {
        (self.len <= PARKED_LEN).then_some(Parked(self.row))
    }

    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.row.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
    }

    /// A number that is likely to be small: a byte for each seven bits.
    pub(super) fn number(&mut self, number: impl Into<u64>) {
        let mut number = number.into();
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// A number that is as likely to be large.
    pub(super) fn word(&mut self, word: u32) {
        self.bytes(&word.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.byte(*byte));
    }

    /// A number near zero, of either sign.
    fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    /// A sequence number near another.
    pub(super) fn near(&mut self, seq: Seq, other: Seq) {
        self.signed(i64::from(seq.since(other) as i32));
    }

    pub(super) fn instant(&mut self, at: Instant) {
        match self.base {
            Some(base) => self.signed(at.micros().wrapping_sub(base.micros()) as i64),
            None => {
                self.base = Some(at);
                self.number(at.micros());
            }
        }
    }

    /// Up to eight bits in a byte.
    pub(super) fn bits<const N: usize>(&mut self, bits: [bool; N]) {
        self.byte(bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    }
}

/// Reads what a [`Packer`] wrote, in the same order.
pub(super) struct Unpacker<'a> {
    row: &'a [u8],
    base: Option<Instant>,
}

impl Unpacker<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.row.split_first() else { return 0 };
        self.row = rest;
        *byte
    }

    pub(super) fn number(&mut self) -> u64 {
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

    pub(super) fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.byte())
    }

    fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    pub(super) fn near(&mut self, other: Seq) -> Seq {
        other + self.signed() as u32
    }

    pub(super) fn instant(&mut self) -> Instant {
        match self.base {
            Some(base) => Instant::from_micros(base.micros().wrapping_add(self.signed() as u64)),
            None => {
                let at = Instant::from_micros(self.number());
                self.base = Some(at);
                at
            }
        }
    }

    pub(super) fn bits<const N: usize>(&mut self) -> [bool; N] {
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
