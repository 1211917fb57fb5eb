//! Instants and durations: microseconds since an origin that the caller chooses.
//!
//! The stack has no clock. Every entry point takes an [`Instant`], and the caller's clock must be
//! monotonic: 64 bits of microseconds last for half a million years, so no instant ever wraps.

use core::fmt;
use core::ops::{Add, AddAssign, Div, Mul, Sub};

/// A point in time on the caller's monotonic clock, in microseconds since its origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ZERO: Instant = Instant(0);
    /// Later than every instant that a clock reads: "never".
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    /// The instant `us` microseconds after the origin.
    pub const fn from_micros(us: u64) -> Self {
        Instant(us)
    }

    /// The instant `ms` milliseconds after the origin.
    pub const fn from_millis(ms: u64) -> Self {
        Instant(ms.saturating_mul(1000))
    }

    /// Microseconds since the origin.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the origin, rounded down.
    pub const fn millis(self) -> u64 {
        thousandth(self.0)
    }

    /// Milliseconds since the origin, rounded up: the tick at which a timer for it fires.
    pub(crate) const fn millis_up(self) -> u64 {
        thousandth(self.0.saturating_add(999))
    }

    /// Time from `earlier` to `self`; zero if `earlier` is in fact later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

/// A thousandth, rounded down.
#[inline]
const fn thousandth(n: u64) -> u64 {
    #[cfg(target_pointer_width = "64")]
    return n / 1000;
    // A division of 64 bits is a kilobyte of code there, and long.
    #[cfg(not(target_pointer_width = "64"))]
    thousandth_by_parts(n)
}

/// The same by the reciprocal: an eighth, times 2^68 / 125 rounded up, and the upper half of that by 16.
#[cfg(any(test, not(target_pointer_width = "64")))]
#[inline(never)]
const fn thousandth_by_parts(n: u64) -> u64 {
    const HIGH: u64 = 0x20c4_9ba5;
    const LOW: u64 = 0xe353_f7cf;
    const HALF: u64 = u32::MAX as u64;
    let (high, low) = (n >> 35, (n >> 3) & HALF);
    // No sum is beyond 64 bits: a product is at most (2^32 - 1)^2.
    let middle = high * LOW + ((low * LOW) >> 32);
    let other = low * HIGH + (middle & HALF);
    (high * HIGH + (middle >> 32) + (other >> 32)) >> 4
}

/// The earlier of two deadlines, where there are any.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// A span of time in microseconds.
///
/// One word on the targets that count; `core::time::Duration` converts both ways.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// `us` microseconds.
    pub const fn from_micros(us: u64) -> Self {
        Duration(us)
    }

    /// `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Duration(ms.saturating_mul(1000))
    }

    /// `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Duration(s.saturating_mul(1_000_000))
    }

    /// The whole span in microseconds.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The whole span in milliseconds, rounded down.
    pub const fn millis(self) -> u64 {
        thousandth(self.0)
    }

    /// The whole span in seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// As those of the core library: `1.5s`, `20ms`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&core::time::Duration::from(*self), f)
    }
}

/// A limit of time that may be none: a [`Duration`], that of the core library, `Some` of ours, or `None`.
pub trait ToTimeout {
    /// The limit; `None`: for ever.
    fn to_timeout(self) -> Option<Duration>;
}

impl ToTimeout for Duration {
    fn to_timeout(self) -> Option<Duration> {
        Some(self)
    }
}

impl ToTimeout for core::time::Duration {
    fn to_timeout(self) -> Option<Duration> {
        Some(self.into())
    }
}

// `None` alone says of no other type that it is one of a limit; so there is only this `Option`.
impl ToTimeout for Option<Duration> {
    fn to_timeout(self) -> Option<Duration> {
        self
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, d: Duration) -> Instant {
        Instant(self.0.saturating_add(d.0))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, d: Duration) -> Instant {
        Instant(self.0.saturating_sub(d.0))
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// Zero if the other one is later.
    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

impl Sub for Duration {
    type Output = Duration;
    /// Zero if the other one is longer.
    fn sub(self, d: Duration) -> Duration {
        Duration(self.0.saturating_sub(d.0))
    }
}

impl Mul<u32> for Duration {
    type Output = Duration;
    fn mul(self, times: u32) -> Duration {
        Duration(self.0.saturating_mul(times.into()))
    }
}

impl Div<u32> for Duration {
    type Output = Duration;
    /// # Panics
    ///
    /// If it is divided by 0.
    fn div(self, by: u32) -> Duration {
        Duration(self.0 / u64::from(by))
    }
}

impl Add for Duration {
    type Output = Duration;
    fn add(self, d: Duration) -> Duration {
        Duration(self.0.saturating_add(d.0))
    }
}

impl From<core::time::Duration> for Duration {
    fn from(d: core::time::Duration) -> Self {
        Duration(u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Duration> for core::time::Duration {
    fn from(d: Duration) -> Self {
        core::time::Duration::from_micros(d.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousandth_by_parts_is_that_of_a_division() {
        let edges = [0, 999, 1000, 1001, u32::MAX.into(), 1 << 35, u64::MAX - 1, u64::MAX];
        let spread = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) / 1000 * 1000]);
        for n in edges.into_iter().chain(spread).chain((0..1000).map(|n| n * 0x0041_8937_4bc6_a7ef)) {
            assert_eq!(thousandth_by_parts(n), n / 1000, "{n}");
            let at = Instant(n.min(u64::MAX - 999));
            assert_eq!(at.millis_up(), at.0.div_ceil(1000), "{n}");
        }
    }

    #[test]
    fn spans_count_and_print_as_those_of_the_core_library() {
        let span = Duration::from_millis(1500);
        assert_eq!((span - Duration::from_secs(2), span * 2 / 3), (Duration::ZERO, Duration::from_secs(1)));
        assert_eq!(Instant::from_millis(7) - Instant::from_millis(5), Duration::from_millis(2));
        assert_eq!((std::format!("{span}"), span.as_secs()), ("1.5s".into(), 1));
        assert_eq!(core::time::Duration::from_secs(1).to_timeout(), Some(Duration::from_secs(1)));
        assert_eq!(
            (None.to_timeout(), span.to_timeout(), Some(span).to_timeout()),
            (None, Some(span), Some(span))
        );
    }
}
