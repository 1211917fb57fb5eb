//! TCP sequence numbers: positions on a circle of 2^32 (RFC 9293 §3.4).
//!
//! A [`Seq`] has no order, because a circle has none: two numbers are compared relative to each
//! other, and the answer is right as long as they are less than 2^31 apart. There is no
//! subtraction that could panic or go negative.

use core::ops::{Add, AddAssign, Sub};

/// A position in the sequence space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Seq(pub u32);

impl Seq {
    /// Is `self` strictly before `other`?
    pub(crate) const fn before(self, other: Seq) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Is `self` before `other`, or the same?
    pub(crate) const fn at_or_before(self, other: Seq) -> bool {
        !other.before(self)
    }

    /// How many numbers lie from `earlier` up to `self`; meaningful when `earlier` is not later.
    pub(crate) const fn since(self, earlier: Seq) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Is `self` in the half-open range of `len` numbers that starts at `start`?
    pub(crate) const fn within(self, start: Seq, len: u32) -> bool {
        self.since(start) < len
    }

    /// Is it so near `other`, on either side, that comparing them has a wide margin? Whatever is stored for
    /// long has to follow SND.UNA or RCV.NXT that closely: 2^31 behind, it would look like ahead.
    pub(crate) const fn is_near(self, other: Seq) -> bool {
        (self.0.wrapping_sub(other.0) as i32).unsigned_abs() <= (1 << 30) + 1
    }

    /// The later of the two.
    pub(crate) const fn later_of(self, other: Seq) -> Seq {
        if self.before(other) { other } else { self }
    }

    /// The earlier of the two.
    pub(crate) const fn earlier_of(self, other: Seq) -> Seq {
        if self.before(other) { self } else { other }
    }
}

impl Add<u32> for Seq {
    type Output = Seq;
    fn add(self, n: u32) -> Seq {
        Seq(self.0.wrapping_add(n))
    }
}

impl AddAssign<u32> for Seq {
    fn add_assign(&mut self, n: u32) {
        *self = *self + n;
    }
}

impl Sub<u32> for Seq {
    type Output = Seq;
    fn sub(self, n: u32) -> Seq {
        Seq(self.0.wrapping_sub(n))
    }
}

/// A range of sequence numbers, `end` not included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Range {
    pub(crate) start: Seq,
    pub(crate) end: Seq,
}

impl Range {
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> u32 {
        self.end.since(self.start)
    }

    /// The numbers that are in both, if there are any; `base` is before all of them.
    pub(crate) fn overlap(&self, other: &Range, base: Seq) -> Option<Range> {
        let start = self.start.since(base).max(other.start.since(base));
        let end = self.end.since(base).min(other.end.since(base));
        (start < end).then(|| Range { start: base + start, end: base + end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H037: comparison is right up to 2^31 − 1; a number exactly 2^31 away is before in both directions, so that
    /// neither of the two is taken for the later one.
    #[test]
    fn comparison_holds_around_the_wrap() {
        let a = Seq(0xffff_fff0);
        let b = a + 0x20;
        assert!(a.before(b) && !b.before(a) && a.at_or_before(a));
        assert_eq!(b.since(a), 0x20);
        assert!(Seq(0xffff_ffff).within(a, 0x20) && !b.within(a, 0x20));
        assert_eq!(a.later_of(b), b);
        assert_eq!(a.earlier_of(b), a);
        let (almost, half) = (a + 0x7fff_ffff, a + 0x8000_0000);
        assert!(a.before(almost) && !almost.before(a));
        assert!(a.before(half) && half.before(a) && !a.at_or_before(half));
    }
}
