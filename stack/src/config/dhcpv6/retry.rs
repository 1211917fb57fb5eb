//! When a message is sent again (RFC 8415 §15).

use crate::base::random::Random;
use crate::time::{Duration, Instant};

/// How one kind of message is repeated (RFC 8415 §7.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Schedule {
    /// The first wait for an answer (IRT).
    first: Duration,
    /// The longest (MRT); zero: no limit.
    longest: Duration,
    /// How often it is sent (MRC); 0: no limit.
    most: u8,
}

const fn schedule(first: u64, longest: u64, most: u8) -> Schedule {
    Schedule { first: Duration::from_secs(first), longest: Duration::from_secs(longest), most }
}

pub(super) const SOLICIT: Schedule = schedule(1, 3600, 0);
pub(super) const REQUEST: Schedule = schedule(1, 30, 10);
pub(super) const CONFIRM: Schedule = schedule(1, 4, 0);
pub(super) const RENEW: Schedule = schedule(10, 600, 0);
pub(super) const REBIND: Schedule = schedule(10, 600, 0);
pub(super) const INFORM: Schedule = schedule(1, 3600, 0);
pub(super) const RELEASE: Schedule = schedule(1, 0, 4);
pub(super) const DECLINE: Schedule = schedule(1, 0, 4);

impl Schedule {
    /// A server says that the longest wait is another (RFC 8415 §21.24).
    pub(super) const fn with_longest(self, longest: Duration) -> Schedule {
        Schedule { longest, ..self }
    }
}

/// One exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Retry {
    schedule: Schedule,
    /// The last wait (RT).
    wait: Duration,
    /// How often it was sent.
    pub(super) sent: u8,
    /// When it is sent next.
    pub(super) at: Instant,
    /// When there is no more use (MRD).
    until: Instant,
}

impl Retry {
    /// Nothing is sent.
    pub(super) const NONE: Retry = Retry {
        schedule: RELEASE,
        wait: Duration::ZERO,
        sent: 0,
        at: Instant::FAR_FUTURE,
        until: Instant::FAR_FUTURE,
    };

    /// The first message is due at `at`, and none is after `until`.
    pub(super) const fn start(schedule: Schedule, at: Instant, until: Instant) -> Retry {
        Retry { schedule, at, until, ..Retry::NONE }
    }

    /// Is the message to be sent now? `None`: it was sent often enough.
    //= rfc8415#15
    pub(super) fn step(&mut self, random: &mut Random, now: Instant) -> Option<()> {
        let Schedule { first, longest, most } = self.schedule;
        if self.sent > 0 && ((most > 0 && self.sent >= most) || now >= self.until) {
            return None;
        }
        // A tenth more or less; of the first Solicit only more (RFC 8415 §18.2.1).
        let about = |wait: Duration, random: &mut Random| {
            let tenth = wait.micros() / 10;
            let jitter = tenth * u64::from(random.below(1001)) / 1000;
            (tenth, jitter)
        };
        self.wait = if self.sent == 0 {
            let (_, jitter) = about(first, random);
            first + Duration::from_micros(jitter)
        } else {
            let (tenth, jitter) = about(self.wait, random);
            Duration::from_micros(2 * self.wait.micros() - tenth + 2 * jitter)
        };
        if longest > Duration::ZERO && self.wait > longest {
            let (tenth, jitter) = about(longest, random);
            self.wait = Duration::from_micros(longest.micros() - tenth + 2 * jitter);
        }
        self.sent = self.sent.saturating_add(1);
        self.at = (now + self.wait).min(self.until);
        Some(())
    }
}
