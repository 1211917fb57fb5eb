//! Which phase of recovery a sender is in, and what it does to the congestion window: fast recovery, loss
//! recovery after a timeout, and undo.

use super::AckEvent;
use super::RecoveryPhase as Phase;
use super::delivery::News;
use super::prr::Prr;
use super::tail::Tail;
use super::undo::{Frto, Undo};
use crate::base::pool::Pool;
use crate::counters::TcpCount;
use crate::seq::Range;
use crate::tcp::context::Context;
use crate::tcp::send::congestion::Cause;
use crate::tcp::send::scoreboard::SegmentStatus;
use crate::tcp::send::{Send, SendTimer};
use crate::time::{Duration, Instant};

impl Send {
    /// Takes the last reduction of the window back, and what was found lost for none.
    //= rfc4015#3.2
    pub(super) fn undo(&mut self, cx: &mut Context<'_, '_>) {
        cx.count(TcpCount::Undone);
        self.controller.undo();
        if let Some(undo) = &mut self.recovery.undo {
            undo.on_undone(self.nxt);
        }
        self.recovery.phase = Phase::Open;
        self.recovery.frto = Frto::Off;
        self.recovery.force = false;
        self.scoreboard.edit(cx.pool, |records| {
            records.each(|_, r| {
                if r.status == SegmentStatus::Lost {
                    r.status = SegmentStatus::Sent;
                }
            });
        });
    }

    /// From one phase to the next, and what may be sent in recovery. Returns whether one began.
    pub(super) fn move_on(&mut self, heard: &AckEvent<'_>, news: &News, cx: &mut Context<'_, '_>) -> bool {
        let (una, now) = (self.una, cx.now);
        if self.recovery.phase != Phase::Open && self.recovery.point.at_or_before(una) {
            self.end_recovery(now);
            //= rfc6582#4.2: it answers the last transmission, so that was needed
            if news.is_of_last {
                self.recovery.needless = 0;
            }
        }
        // Evidence may come a round trip after the end, also where nothing was in flight then; not later.
        self.recovery.undo.take_if(|undo| undo.until.is_some_and(|end| end.before(una)));
        let begins = self.begins(cx);
        if begins {
            self.begin_fast(news.delivered, now);
        }
        if self.recovery.phase == Phase::Fast && news.delivered > 0 {
            let (pipe, ssthresh) = (self.pipe(), self.controller.ssthresh());
            let safe = heard.acked > 0 && news.lost == 0;
            self.recovery.prr.on_ack(news.delivered, pipe, ssthresh, self.mss as u32, safe);
        }
        begins
    }

    pub(super) fn end_recovery(&mut self, now: Instant) {
        let recovery = &mut self.recovery;
        let was = core::mem::replace(&mut recovery.phase, Phase::Open);
        recovery.rack.on_recovered();
        recovery.frto = Frto::Off;
        recovery.arrived = 0;
        if let Some(undo) = &mut recovery.undo {
            undo.until = Some(self.nxt);
        }
        if was == Phase::Fast {
            let srtt = self.rtt.smoothed().unwrap_or_default();
            self.controller.on_recovered(self.pipe(), srtt, now);
        }
    }

    /// Does fast recovery begin? Not for the loss of a probe that was longer than what the path is known
    /// to carry: that is sent again, and says nothing of congestion.
    pub(super) fn begins(&mut self, cx: &mut Context<'_, '_>) -> bool {
        if self.recovery.phase != Phase::Open {
            return false;
        }
        let Some(lost) = self.scoreboard.next_lost() else { return false };
        let Some(len) = self.size.on_lost(lost.start, self.scoreboard.lost(), cx.now) else { return true };
        // Duplicates speak of a segment of usual length.
        let probe = Range { start: lost.start, end: lost.start + len };
        self.scoreboard.edit(cx.pool, |records| records.lose(probe));
        self.begin_again();
        false
    }

    /// What is lost was too long for the path: it goes again, the window as it is.
    pub(super) fn begin_again(&mut self) {
        let recovery = &mut self.recovery;
        (recovery.phase, recovery.point) = (Phase::Loss, self.nxt);
        recovery.needless = 0;
        recovery.frto = Frto::Off;
        recovery.tail = Tail::default();
        recovery.undo = None;
        recovery.force = true;
    }

    /// Something is lost: the window is reduced, once until all that is in flight now is acknowledged.
    //= rfc6675#5 step 4
    pub(super) fn begin_fast(&mut self, delivered: u32, now: Instant) {
        let flight = self.flight();
        let on_way = flight.saturating_sub(self.scoreboard.sacked() + self.recovery.arrived);
        self.controller.on_congestion(Cause::Loss, flight, now);
        let recovery = &mut self.recovery;
        recovery.phase = Phase::Fast;
        recovery.point = self.nxt;
        recovery.needless = 0;
        recovery.prr = Prr::new(on_way + delivered);
        recovery.undo = Some(Undo::new(self.una));
        recovery.tail = Tail::default();
        recovery.force = true;
        if delivered == 0 {
            // The clock found it, not an acknowledgment.
            let (pipe, ssthresh) = (self.pipe(), self.controller.ssthresh());
            self.recovery.prr.on_ack(0, pipe, ssthresh, self.mss as u32, false);
        }
    }

    /// Losses may be certain in `wait` µs.
    //= rfc8985#6.2 step 5: the reordering timer
    pub(super) fn note_wait(&mut self, wait: Option<u32>, now: Instant) {
        if let Some(wait) = wait {
            self.timers.set(SendTimer::Reorder, now + Duration::from_micros(wait.into()));
        } else if self.awaits(SendTimer::Reorder) {
            self.timers.stop();
        }
    }

    /// The first segment is lost.
    pub(super) fn lose_first(&mut self, pool: &mut Pool<'_>) {
        let first = Range { start: self.una, end: self.una + self.flight().min(self.mss as u32) };
        self.scoreboard.edit(pool, |records| records.lose(first));
        self.recovery.force = true;
    }

    /// Everything in flight was too long for the path.
    pub(crate) fn on_too_long(&mut self, cx: &mut Context<'_, '_>) {
        self.scoreboard.edit(cx.pool, |records| {
            records.each(|_, record| {
                if record.status == SegmentStatus::Sent {
                    record.status = SegmentStatus::Lost;
                }
            });
        });
        self.begin_again();
        self.restart_timer(cx.now, cx.config);
    }
}
