//! When something is due, or never: that is all zero.

use crate::time::Instant;

/// A point in time, or never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(
    /// In microseconds, plus one; 0: never.
    u64,
);

impl Deadline {
    pub(crate) const NEVER: Deadline = Deadline(0);

    /// [`Instant::FAR_FUTURE`] is never.
    #[inline]
    pub(crate) fn new(at: Instant) -> Deadline {
        Deadline(at.micros().wrapping_add(1))
    }

    /// When that is; [`Instant::FAR_FUTURE`]: never.
    #[inline]
    fn instant(self) -> Instant {
        Instant::from_micros(self.0.wrapping_sub(1))
    }

    /// The same, as who lists deadlines asks.
    #[inline]
    pub(crate) fn at(self) -> Option<Instant> {
        (self.0 != 0).then(|| self.instant())
    }

    /// Is it due by then?
    #[inline]
    pub(crate) fn is_by(self, now: Instant) -> bool {
        self.instant() <= now
    }

    /// Deadline then, if that is sooner.
    #[inline]
    pub(crate) fn or_sooner(&mut self, at: Instant) {
        *self = Deadline::new(self.instant().min(at));
    }
}
