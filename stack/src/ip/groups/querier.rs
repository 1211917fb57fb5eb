//! What an interface knows of the querier of a family: which version it speaks, and when all groups are reported.

use crate::time::{Duration, Instant};

/// For so long after its last query a querier of an older version is believed to be there: robustness times the query
/// interval of 125 s, and the time for answers, 10 s.
//= rfc3376#8.12
//= rfc3810#9.12
const OLDER_FOR: Duration = Duration::from_secs(2 * 125 + 10);
/// How often changes are told, unless a querier says another number.
const ROBUSTNESS: u8 = 2;

/// See [the module](self).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Querier {
    v1_until: Option<Instant>,
    v2_until: Option<Instant>,
    /// When a general query is answered.
    pub(super) general_at: Option<Instant>,
    robustness: u8,
}

impl Querier {
    /// The version to speak: 3 (of MLD, 2), or that of the oldest querier that was heard lately.
    pub(crate) fn version(&self, now: Instant) -> u8 {
        let is_there = |until: Option<Instant>| until.is_some_and(|until| now < until);
        match (is_there(self.v1_until), is_there(self.v2_until)) {
            (true, _) => 1,
            (_, true) => 2,
            _ => 3,
        }
    }

    /// When a general query is answered.
    pub(crate) const fn general_at(&self) -> Option<Instant> {
        self.general_at
    }

    /// How often a change is told.
    pub(crate) const fn robustness(&self) -> u8 {
        if self.robustness == 0 { ROBUSTNESS } else { self.robustness }
    }

    /// A query of this version came. True: another version is spoken from now on.
    pub(super) fn heard(&mut self, version: u8, robustness: u8, now: Instant) -> bool {
        let before = self.version(now);
        match version {
            1 => self.v1_until = Some(now + OLDER_FOR),
            2 => self.v2_until = Some(now + OLDER_FOR),
            _ => self.robustness = robustness,
        }
        before != self.version(now)
    }
}
