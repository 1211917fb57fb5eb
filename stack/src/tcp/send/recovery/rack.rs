//! RACK (RFC 8985): a segment is lost when one that was sent later has arrived, and the time by which
//! the path reorders is over. It finds lost retransmissions as well.

use super::super::rtt::Rtt;
use super::super::scoreboard::{Record, Records, SegmentStatus, XmitTime};
use crate::seq::{Range, Seq};
use crate::tcp::codec::{Packer, Unpacker};

/// Recoveries without a DSACK after which the window is as small as at first.
//= rfc8985#6.2 step 4: RACK.reo_wnd_persist
const PERSIST: u8 = 16;
/// Larger than any factor by which min_RTT/4 has to be multiplied to be beyond SRTT.
const FACTOR_MAX: u8 = 64;

/// What RACK knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: of all that has arrived, what was sent last.
    sent: XmitTime,
    end: Seq,
    /// RACK.rtt in µs; 0: nothing has arrived yet.
    rtt: u32,
    /// RACK.fack: the highest number that has arrived.
    fack: Seq,
    /// RACK.reordering_seen
    pub(super) reordered: bool,
    /// RACK.reo_wnd_mult
    factor: u8,
    persist: u8,
    /// RACK.dsack_round
    dsack_round: Option<Seq>,
}

/// What an acknowledgment says about RTTs, to judge whether it is one of the retransmission or of what
/// was sent before.
#[derive(Clone, Copy)]
pub(super) struct RttContext {
    pub(super) now: XmitTime,
    /// The shortest RTT so far in µs.
    pub(super) min_rtt: u32,
    /// When what it answers was sent at the earliest, by the timestamp that it echoes.
    pub(super) echoed: Option<XmitTime>,
}

impl RttContext {
    /// May this acknowledgment be of the last transmission of `record`?
    //= rfc8985#6.2 step 2
    fn is_of_last(&self, record: &Record) -> bool {
        let rtt = self.now.since(record.sent);
        let too_early = self.echoed.is_some_and(|at| at.before(record.sent));
        !record.again || (rtt >= self.min_rtt && !too_early)
    }
}

impl Rack {
    pub(super) const fn new(start: Seq) -> Rack {
        Rack {
            sent: XmitTime::NEVER,
            end: start,
            rtt: 0,
            fack: start,
            reordered: false,
            factor: 1,
            persist: 0,
            dsack_round: None,
        }
    }

    /// See [`park`](crate::tcp::connection::idle): nothing is in flight.
    pub(super) fn park(&self, to: &mut Packer) {
        let Rack { sent: _, end: _, rtt: _, fack: _, reordered, factor, persist, dsack_round: _ } = self;
        to.bits([*reordered]);
        to.number(*factor);
        to.number(*persist);
    }

    /// The other way.
    pub(super) fn unpark(una: Seq, from: &mut Unpacker<'_>) -> Rack {
        let [reordered] = from.bits();
        let (factor, persist) = (from.number() as u8, from.number() as u8);
        Rack { reordered, factor, persist, ..Rack::new(una) }
    }

    /// Nothing is in flight any more. Stamps from before would look like later ones one day.
    pub(super) fn forget_time(&mut self) {
        self.rtt = 0;
    }

    /// In-order data has arrived up to `una`, while nothing was missing; the last of it that gives a sample
    /// was sent at `sent`.
    pub(super) fn on_progress(&mut self, una: Seq, sent: Option<XmitTime>, now: XmitTime) {
        if let Some(sent) = sent {
            (self.sent, self.end, self.rtt) = (sent, una, now.since(sent).max(1));
        }
        self.follow(una);
    }

    /// SND.UNA has passed what is not beyond `una`.
    pub(super) fn follow(&mut self, una: Seq) {
        self.fack = self.fack.later_of(una);
        self.dsack_round = self.dsack_round.filter(|end| una.before(*end));
    }

    /// Our own invariants, for tests and the simulation.
    pub(super) fn check(&self, una: Seq) {
        let marks = [Some(self.fack), self.dsack_round, Some(self.end).filter(|_| self.rtt > 0)];
        assert!(marks.iter().flatten().all(|seq| seq.is_near(una)), "a number was left behind: {self:?}");
    }

    /// A stretch has arrived that was not known to have.
    //= rfc8985#6.2 step 2, step 3
    pub(super) fn on_delivered(&mut self, range: Range, record: &Record, judge: &RttContext) {
        if self.fack.before(range.end) {
            self.fack = range.end;
        } else if range.end.before(self.fack) && !record.again {
            self.reordered = true;
        }
        // When a vague one was sent nobody knows.
        if !record.vague
            && judge.is_of_last(record)
            && (self.rtt == 0 || sent_after(record.sent, range.end, self.sent, self.end))
        {
            (self.sent, self.end) = (record.sent, range.end);
            self.rtt = judge.now.since(record.sent).max(1);
        }
    }

    /// A segment has arrived twice: what was taken for a loss was none, so more time is given. Once in
    /// a round.
    //= rfc8985#6.2 step 4
    pub(super) fn on_dsack(&mut self, una: Seq, nxt: Seq) {
        self.follow(una);
        if self.dsack_round.is_none() {
            self.dsack_round = Some(nxt);
            self.factor = (self.factor + 1).min(FACTOR_MAX);
            self.persist = PERSIST;
        }
    }

    /// A recovery is over.
    pub(super) fn on_recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.factor = 1;
        }
    }

    /// RACK.reo_wnd in µs. `urgent`: losses are certain already, or as many segments arrived behind the
    /// gap as mean one.
    //= rfc8985#6.2 step 4
    fn window(&self, rtt: &Rtt, urgent: bool) -> u32 {
        if !self.reordered && urgent {
            return 0;
        }
        let (min, smoothed) = (rtt.min(), rtt.smoothed_micros());
        (u32::from(self.factor) * (min / 4)).min(smoothed)
    }

    /// Marks what is lost by now. How many µs to wait for the next to be.
    //= rfc8985#6.2 step 5
    pub(super) fn detect(
        &self,
        records: &mut Records<'_, '_>,
        rtt: &Rtt,
        urgent: bool,
        now: XmitTime,
    ) -> Option<u32> {
        if self.rtt == 0 {
            return None;
        }
        let patience = self.rtt.saturating_add(self.window(rtt, urgent));
        let mut wait = None;
        records.each_until(|range, record| {
            let is_older = sent_after(self.sent, self.end, record.sent, range.end);
            if record.status == SegmentStatus::Sent && is_older {
                match patience.checked_sub(now.since(record.sent)) {
                    None | Some(0) => record.status = SegmentStatus::Lost,
                    Some(more) => wait = wait.max(Some(more)),
                }
            }
            is_older
        });
        wait
    }

    /// The retransmission timer fired: what was sent longer ago than a round trip is lost, and the
    /// first in any case.
    //= rfc8985#6.3
    pub(super) fn on_timeout(&self, records: &mut Records<'_, '_>, rtt: &Rtt, now: XmitTime) {
        let patience = self.rtt.saturating_add(self.window(rtt, true));
        let mut first = true;
        records.each(|_, record| {
            if record.status == SegmentStatus::Sent && (first || now.since(record.sent) >= patience) {
                record.status = SegmentStatus::Lost;
            }
            first = false;
        });
    }
}

/// RACK_sent_after: was the first sent later? What was sent at one instant went out in order.
fn sent_after(a: XmitTime, a_end: Seq, b: XmitTime, b_end: Seq) -> bool {
    b.before(a) || (a == b && b_end.before(a_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H055: the patience that DSACKs taught, once in a round trip, lasts for so many recoveries without one.
    //= rfc8985#6.2 step 4
    #[test]
    fn patience_lasts() {
        let mut rack = Rack::new(Seq(0));
        rack.on_dsack(Seq(0), Seq(1000));
        rack.on_dsack(Seq(500), Seq(2000));
        assert_eq!(rack.factor, 2, "once in a round trip");
        for _ in 1..PERSIST {
            rack.on_recovered();
            assert_eq!(rack.factor, 2);
        }
        rack.on_recovered();
        assert_eq!(rack.factor, 1);
        (0..2 * FACTOR_MAX)
            .for_each(|round| rack.on_dsack(Seq(1000 * u32::from(round)), Seq(1000 * u32::from(round) + 1)));
        assert_eq!(rack.factor, FACTOR_MAX);
    }
}
