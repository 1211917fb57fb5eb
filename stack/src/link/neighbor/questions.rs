//! How often neighbours may be asked: for our own traffic each of them once in an interval, however
//! many there are (RFC 4861 §7.2.2, RFC 1122 §2.3.2.1); for answers to sources that nobody has
//! verified all of them together (RFC 6583 §3).

use managed::ManagedSlice;

use super::RETRANS;
use crate::base::lent::Places;
use crate::base::rate::TokenBucket;
use crate::time::{Duration, Instant};

/// A millisecond, nearly: a power of two of microseconds, since a division of 64 bits is long on small processors.
const UNIT: u64 = 1024;

/// A neighbour whose entry was evicted less than an interval after it was asked. Beyond those for which there are places
/// the limit yields: a neighbour may be asked too often, but none is asked too late.
#[derive(Clone, Copy, Debug)]
pub struct AskedNeighbor {
    fingerprint: u32,
    /// When it may be asked again, in [`UNIT`]s; counts round after 50 days.
    until: u32,
}

impl AskedNeighbor {
    /// A free place.
    pub const EMPTY: AskedNeighbor = AskedNeighbor { fingerprint: 0, until: 0 };
}

pub(super) struct Questions<'a> {
    evicted: Places<'a, AskedNeighbor>,
    /// The place that was used last.
    oldest: usize,
    answers: TokenBucket,
}

/// Questions on account of answers, for a cache of so many neighbours. Entries that answers made live four seconds, so
/// an eighth of the table at once and a sixteenth of it a second leave most of it to our own traffic.
const fn answers(slots: usize) -> TokenBucket {
    let slots = match slots {
        0 => 1,
        1..4096 => slots as u32,
        _ => 4096,
    };
    let burst = if slots < 8 { 1 } else { slots / 8 };
    TokenBucket::new(burst, Duration::from_micros(16_000_000 / slots as u64))
}

impl<'a> Questions<'a> {
    pub(super) const fn new() -> Self {
        Questions { evicted: Places::none(), oldest: 0, answers: TokenBucket::NONE }
    }

    /// How many neighbours the cache holds, and where those are remembered that it no longer does.
    pub(super) fn start(&mut self, slots: usize, evicted: ManagedSlice<'a, AskedNeighbor>) {
        self.answers = answers(slots);
        self.evicted = evicted.into();
    }

    /// May a neighbour be asked on account of an answer?
    pub(super) fn take_for_answer(&mut self, now: Instant) -> bool {
        self.answers.take(now)
    }

    /// The entry of a neighbour that may be asked again at `until` is evicted (H099).
    pub(super) fn remember(&mut self, fingerprint: u32, until: Instant, now: Instant) {
        if until > now {
            // Up to a whole one, so that it is never asked too early.
            let until = until.micros().div_ceil(UNIT) as u32;
            self.oldest = if self.oldest + 1 < self.evicted.len() { self.oldest + 1 } else { 0 };
            if let Some(place) = self.evicted.get_mut(self.oldest) {
                *place = AskedNeighbor { fingerprint, until };
            }
        }
    }

    /// When a neighbour without an entry may be asked; `None`: now.
    pub(super) fn not_before(&self, fingerprint: u32, now: Instant) -> Option<Instant> {
        let units = now.micros() / UNIT;
        let left = |asked: &AskedNeighbor| asked.until.wrapping_sub(units as u32);
        let within = 1..=(RETRANS.micros() / UNIT) as u32 + 2;
        let mut known = self.evicted.iter().filter(|a| a.fingerprint == fingerprint).map(left);
        // A whole number of units, so that it is the same time when it is remembered again.
        let at = |left: u32| Instant::from_micros((units + u64::from(left)) * UNIT);
        known.find(|left| within.contains(left)).map(at)
    }
}
