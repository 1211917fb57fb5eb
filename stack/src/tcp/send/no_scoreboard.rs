//! What is in flight, without the scoreboard that SACK needs: what of it is lost, and one segment that is timed.

use crate::base::pool::Pool;
use crate::seq::{Range, Seq};
use crate::time::{Duration, Instant};

/// What is known of the flight of one connection.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    /// What is lost and not sent again; empty: nothing.
    lost: Range,
    /// What ends here was sent at that time, and only once: the next round-trip sample.
    //= rfc6298#3: at least one sample in a round trip
    timed: Option<(Seq, Instant)>,
}

impl Scoreboard {
    pub(crate) const fn new(start: Seq) -> Self {
        Scoreboard { lost: Range { start, end: start }, timed: None }
    }

    /// Is nothing lost that was not sent again?
    pub(crate) fn is_plain(&self) -> bool {
        self.lost.is_empty()
    }

    /// Nothing is known to have arrived but in order.
    pub(crate) fn sacked(&self) -> u32 {
        0
    }

    /// Bytes that are lost and not sent again.
    pub(crate) fn lost(&self) -> u32 {
        self.lost.len()
    }

    /// What is to be sent again, if there is something.
    pub(crate) fn next_lost(&self) -> Option<Range> {
        Some(self.lost).filter(|lost| !lost.is_empty())
    }

    /// What ends at `end` was sent at `now`, `again` if perhaps not for the first time.
    pub(crate) fn push(&mut self, _: &mut Pool<'_>, end: Seq, now: Instant, again: bool) {
        if self.timed.is_none() && !again {
            self.timed = Some((end, now));
        }
    }

    /// SND.UNA moves on. The round trip of what was timed, if that has arrived.
    pub(crate) fn advance(&mut self, una: Seq, now: Instant) -> Option<Duration> {
        let Range { start, end } = self.lost;
        self.lost = Range { start: start.later_of(una), end: end.later_of(una) };
        self.timed.take_if(|(end, _)| end.at_or_before(una)).map(|(_, sent)| now.since(sent))
    }

    /// This is lost, and nothing else.
    pub(crate) fn lose(&mut self, range: Range) {
        self.lost = range;
    }

    /// This was sent again: no acknowledgment tells which transmission it answers (Karn's algorithm).
    //= rfc9293#3.8.1 MUST-18
    pub(crate) fn resend(&mut self, range: Range) {
        self.timed = None;
        self.lost.start = self.lost.start.later_of(range.end).earlier_of(self.lost.end);
    }

    /// Nothing is in flight any more, or so it is taken: what follows starts at `start`.
    pub(crate) fn clear(&mut self, _: &mut Pool<'_>, start: Seq) {
        *self = Scoreboard::new(start);
    }

    /// The loop stood still: what is in flight gives no sample.
    pub(crate) fn forget_times(&mut self, _: &mut Pool<'_>, _: Instant) {
        self.timed = None;
    }

    /// Our own invariants, for tests and the simulation.
    pub(crate) fn check(&self, una: Seq, nxt: Seq) {
        let flight = nxt.since(una);
        let Range { start, end } = self.lost;
        assert!(start.is_near(una) && end.is_near(una), "a number was left behind: {self:?}");
        assert!(start == end || start.since(una) < end.since(una), "the lost end before they begin");
        assert!(start == end || end.since(una) <= flight, "lost and never sent");
        let timed = self.timed.is_none_or(|(end, _)| una.before(end) && end.since(una) <= flight);
        assert!(timed, "timed and not in flight");
    }
}
