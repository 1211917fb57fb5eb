//! What an acknowledgment says was delivered, lost or duplicated (SACK, DSACK, duplicate acknowledgments).

use super::RecoveryPhase as Phase;
use super::rack::RttContext;
use super::{AckEvent, CLOCK, Recovery, THRESHOLD, elapsed, in_order, is_certain, later};
use crate::base::pool::Pool;
use crate::seq::{Range, Seq};
use crate::tcp::context::Context;
use crate::tcp::send::Send;
use crate::tcp::send::scoreboard::{Record, SegmentStatus, XmitTime};
use crate::time::{Duration, Instant};

/// What the scoreboard learned from an acknowledgment.
#[derive(Default)]
pub(super) struct News {
    /// Bytes that have arrived and were not known to have.
    pub(super) delivered: u32,
    /// Of them, those that were sent once, and before the point of recovery.
    pub(super) original: u32,
    /// When the last of those was sent of which the acknowledgment is a sample.
    pub(super) sent: Option<XmitTime>,
    /// What was sent again is acknowledged: what lies behind may have waited for it.
    pub(super) waited: bool,
    /// When the last of what was sent again was.
    pub(super) again: Option<XmitTime>,
    /// Something arrived behind a gap.
    pub(super) behind: bool,
    /// By its timestamp, it answers the last transmission of all that is acknowledged.
    pub(super) is_of_last: bool,
    /// Bytes found lost.
    pub(super) lost: u32,
    /// µs until something may be found lost.
    pub(super) wait: Option<u32>,
}

impl News {
    fn note(&mut self, range: Range, record: &Record, point: Seq) {
        let len = range.end.since(range.start);
        self.delivered += len;
        if record.again {
            self.waited = true;
            self.again = later(self.again, record.sent);
            return;
        }
        if range.end.at_or_before(point) {
            self.original += len;
        }
        // What is taken as lost may have been sent longer ago than stamps can tell.
        if !self.waited && record.status != SegmentStatus::Lost && !record.vague {
            self.sent = later(self.sent, record.sent);
        }
    }
}

impl Send {
    /// The part of the option that says what came twice.
    //= rfc2883#4
    pub(super) fn duplicate_in(&self, heard: &AckEvent<'_>) -> Option<Range> {
        let (first, rest) = heard.sack.split_first()?;
        let contained = |r: &Range| r.start.at_or_before(first.start) && first.end.at_or_before(r.end);
        let is_old = first.end.at_or_before(heard.ack);
        let is_duplicate = first.start.before(first.end) && (is_old || rest.first().is_some_and(contained));
        // Nothing came twice that was never sent.
        (self.recovery.sack && is_duplicate && first.end.at_or_before(self.max)).then_some(*first)
    }

    /// The peer says that `range` came twice. If we sent it twice, because RACK or the clock took it for lost,
    /// more patience is due; what the network doubles says nothing of it (H276). Where nothing is spared, much
    /// goes again of which nobody keeps count.
    pub(super) fn take_duplicate(&mut self, range: Range) {
        let is_free = self.is_free();
        let recovery = &mut self.recovery;
        if recovery.tail.on_dsack(range) {
            self.rtt.on_needless_probe();
        }
        if is_free || recovery.undo.is_some_and(|undo| undo.may_be_of(range)) {
            recovery.rack.on_dsack(self.una, self.nxt);
        }
    }

    /// Puts what was heard on the scoreboard, and looks for losses.
    pub(super) fn take_news(&mut self, heard: &AckEvent<'_>, pool: &mut Pool<'_>, now: Instant) -> News {
        let mut news = News { is_of_last: heard.acked > 0, ..News::default() };
        let (una, nxt, mss) = (self.una, self.nxt, self.mss);
        let Send { scoreboard, recovery, rtt, .. } = self;
        let Recovery { rack, point, phase, sack, .. } = recovery;
        let judge = RttContext {
            now: XmitTime::of(now),
            min_rtt: rtt.min(),
            echoed: heard.elapsed.map(|elapsed| XmitTime::of(now - elapsed)),
        };
        let before = scoreboard.lost();
        scoreboard.edit(pool, |records| {
            let mut note = |news: &mut News, range: Range, record: &Record, judge: &RttContext| {
                news.note(range, record, *point);
                rack.on_delivered(range, record, judge);
            };
            records.advance(una, |range, record| {
                news.is_of_last &= judge.echoed.is_some_and(|at| !at.after(CLOCK).before(record.sent));
                note(&mut news, range, record, &judge);
            });
            // The timestamp is of what arrived in order.
            let judge = RttContext { echoed: None, ..judge };
            news.waited = false;
            if !*sack {
                return;
            }
            for block in in_order(heard.sack, una) {
                // What reaches beyond what was sent says nothing.
                if una.before(block.end) && block.start.before(block.end) && block.end.at_or_before(nxt) {
                    let block = Range { start: block.start.later_of(una), ..block };
                    records.sack(block, mss, |range, record| {
                        note(&mut news, range, record, &judge);
                        news.behind = true;
                    });
                }
            }
            let urgent = *phase != Phase::Open || is_certain(records, mss);
            news.wait = rack.detect(records, rtt, urgent, judge.now);
        });
        rack.follow(una);
        news.lost = scoreboard.lost().saturating_sub(before);
        news
    }

    /// A round-trip sample (RFC 6298 §3, H049): by what was sent once, or by the echoed timestamp.
    ///
    /// An acknowledgment may tell late of what arrived long ago, because those that told of it were
    /// lost: after a timeout the sample would be as long as the timeout, and the next one longer still.
    /// So what answers a duplicate gives none; what was sent once gives none if a retransmission that
    /// was sent later has arrived, too; and the timestamp, which is of what came in order, gives none
    /// if something arrived behind it, or if it is of an earlier transmission than the last: the back-off
    /// then stays until something new is measured (Karn's algorithm).
    //= rfc9293#3.8.1 MUST-18
    pub(super) fn measure(
        &mut self,
        heard: &AckEvent<'_>,
        dsack: Option<Range>,
        news: &News,
        cx: &Context<'_, '_>,
    ) -> Option<Duration> {
        let is_old = news.behind || (news.again.is_some() && !news.is_of_last);
        let by_timestamp = heard.elapsed.filter(|_| heard.acked > 0 && !is_old);
        let sent = news.sent.filter(|sent| news.again.is_none_or(|again| again.before(*sent)));
        let sample = sent.map(|sent| elapsed(cx.now, sent)).or(by_timestamp).filter(|_| dsack.is_none());
        let sample = sample.map(|rtt| self.rtt.sample(rtt, cx.now, cx.config));
        self.learn_ack_delay(heard.acked, sample);
        // Payload of before the timeout may be all that there is to send: the back-off must not wait for
        // new payload, or each further loss doubles it again.
        if sample.is_some() || (heard.acked > 0 && self.recovery.answered) {
            self.rtt.forget_back_off();
        }
        self.recovery.answered |= heard.acked > 0 && self.recovery.phase == Phase::Loss;
        sample
    }

    /// Without SACK: duplicates stand for segments that arrived behind a gap, and the third for the
    /// loss of the first (RFC 5681 §3.2). In recovery each partial acknowledgment shows the next
    /// hole (H043).
    pub(super) fn count_duplicates(&mut self, heard: &AckEvent<'_>, news: &mut News, pool: &mut Pool<'_>) {
        let (una, mss, flight) = (self.una, self.mss as u32, self.flight());
        let recovery = &mut self.recovery;
        if heard.acked > 0 {
            // Of what is acknowledged, duplicates had told already.
            let told = recovery.arrived.min(heard.acked.saturating_sub(mss.min(heard.acked)));
            news.delivered = news.delivered.saturating_sub(told);
            recovery.arrived = (recovery.arrived - told).min(flight.saturating_sub(mss));
            recovery.duplicates = 0;
            if recovery.phase == Phase::Fast && una.before(recovery.point) {
                //= rfc6582#3.2 step 3, partial acknowledgments
                self.lose_first(pool);
            } else {
                recovery.arrived = 0;
            }
            return;
        }
        if !heard.duplicate || recovery.phase == Phase::Loss {
            return;
        }
        recovery.duplicates = recovery.duplicates.saturating_add(1);
        // Up to "recover", what was sent again for nothing makes duplicates, too: as many as it was.
        //= rfc6582#3.2 step 2
        let is_old = recovery.phase == Phase::Open && una.at_or_before(recovery.point);
        let needless = if is_old { recovery.needless } else { 0 };
        let is_loss = recovery.duplicates >= THRESHOLD.saturating_add(needless);
        if recovery.duplicates >= THRESHOLD && !is_loss {
            return;
        }
        //= rfc3042#2; H042: new payload for each; H052: for each further one too
        let more = mss.min(flight.saturating_sub(mss + recovery.arrived));
        recovery.arrived += more;
        news.delivered += more;
        if recovery.phase == Phase::Open && is_loss {
            self.lose_first(pool);
        }
    }
}
