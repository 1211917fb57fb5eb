//! Loss recovery at the sender, without SACK: duplicate acknowledgments are counted, the third stands for a loss, and in
//! recovery each partial acknowledgment shows the next (NewReno: RFC 5681 §3.2, RFC 6582). All else is left to the
//! retransmission timer (RFC 6298). There is no probe of the tail, and what was for nothing is not taken back.

pub(crate) use super::ack_event::AckEvent;
use super::ack_event::RecoveryPhase as Phase;
pub use super::ack_event::RecoveryPhase;
use super::congestion::Cause;
use crate::seq::{Range, Seq};
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::TcpConfig;
use crate::tcp::context::Context;
use crate::tcp::send::{Send, SendTimer};
use crate::time::{Duration, Instant};

/// Duplicates that stand for a loss.
//= rfc5681#3.2 step 2
const THRESHOLD: u8 = 3;

/// The state of recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    /// Both ends do SACK: never.
    pub(crate) sack: bool,
    phase: Phase,
    /// Recovery lasts until this is acknowledged: "recover" of RFC 6582.
    point: Seq,
    /// Duplicates in a row, and the bytes that they say have arrived: the window is larger by as much.
    duplicates: u8,
    arrived: u32,
    /// The first lost segment goes out whatever the window says.
    force: bool,
    /// Something was acknowledged since the timer fired.
    answered: bool,
}

impl Recovery {
    pub(crate) const fn new(start: Seq) -> Self {
        Recovery {
            sack: false,
            phase: Phase::Open,
            point: start,
            duplicates: 0,
            arrived: 0,
            force: false,
            answered: false,
        }
    }

    pub(crate) fn phase(&self) -> RecoveryPhase {
        self.phase
    }

    pub(crate) fn on_start(&mut self) {}

    pub(in crate::tcp) fn on_new_sent(&mut self, _: u32) {}

    /// SND.UNA moves on. While nothing is recovered, the point that it has passed stays just behind it.
    pub(in crate::tcp) fn follow(&mut self, una: Seq) {
        if self.phase == Phase::Open {
            self.point = self.point.later_of(una - 1);
        }
    }

    /// Our own invariants, for tests and the simulation.
    pub(in crate::tcp) fn check(&self, una: Seq) {
        assert!(self.point.is_near(una), "the recovery point was left behind: {self:?}");
    }

    /// Nobody looks whether the path reorders.
    pub(crate) fn is_reordered(&self) -> bool {
        false
    }

    /// Nothing goes again but by the timer, which counts.
    pub(crate) fn overdue(&self) -> u8 {
        0
    }

    /// No probe is ever sent.
    pub(crate) fn probe_is_due(&self) -> bool {
        false
    }

    /// See [`park`](crate::tcp::connection::idle): no recovery goes on.
    pub(in crate::tcp) fn park(&self, una: Seq, to: &mut Packer) -> Option<()> {
        let Recovery { sack: _, phase, point, duplicates, arrived, force, answered } = self;
        if *phase != Phase::Open || *duplicates > 0 || *arrived > 0 || *force {
            return None;
        }
        to.bits([*point == una, *answered]);
        Some(())
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(una: Seq, from: &mut Unpacker<'_>) -> Recovery {
        let [at_point, answered] = from.bits();
        Recovery { answered, ..Recovery::new(if at_point { una } else { una - 1 }) }
    }
}

impl Send {
    /// Is nothing missing, and nothing known but what came in order?
    pub(crate) fn is_open(&self) -> bool {
        self.recovery.phase == Phase::Open && self.recovery.duplicates == 0 && self.scoreboard.is_plain()
    }

    /// Bytes on their way, as far as is known: what is in flight, less what has arrived and what is lost.
    pub(crate) fn pipe(&self) -> u32 {
        self.flight().saturating_sub(self.scoreboard.lost() + self.recovery.arrived)
    }

    /// Bytes that may be on their way.
    pub(crate) fn cwnd(&self) -> u32 {
        self.controller.window()
    }

    /// What is lost and may go out now, `most` bytes of it at most: a stretch to be sent again.
    pub(crate) fn resendable(&self, most: u32) -> Option<Range> {
        let lost = self.scoreboard.next_lost()?;
        // A super-segment may be limited to less than one segment of a link with a huge MTU.
        let mss = u32::from(self.mss).min(most);
        let cwnd = self.cwnd().saturating_sub(self.pipe());
        let cwnd = if self.recovery.force { cwnd.max(mss) } else { cwnd };
        // Not beyond what the peer's window is now (RFC 9293 §3.8.6, SHLD-15).
        let wnd = (self.una + self.wnd).later_of(lost.start).since(lost.start);
        let (len, may) = (lost.len().min(wnd), cwnd.min(most));
        // Full segments, or less than one if that is all.
        let len = if len <= may { len } else { may - may % mss };
        (len > 0).then(|| Range { start: lost.start, end: lost.start + len })
    }

    /// `range` went out again.
    pub(crate) fn on_resent(&mut self, range: Range, _: u32, cx: &mut Context<'_, '_>) {
        self.scoreboard.resend(range);
        self.recovery.force = false;
        //= rfc6298#5.1
        if range.start == self.una {
            self.restart_timer(cx.now, cx.config);
        }
    }

    /// An acknowledgment of new data where [all is smooth](Self::is_open).
    pub(crate) fn on_ack_in_order(&mut self, acked: u32, cx: &mut Context<'_, '_>) {
        let rtt = self.scoreboard.advance(self.una, cx.now);
        let rtt = rtt.map(|rtt| self.rtt.sample(rtt, cx.now, cx.config));
        self.rtt.forget_back_off();
        self.tell_controller(acked, acked, rtt, cx.now);
        self.since = cx.now;
        self.restart_timer(cx.now, cx.config);
    }

    /// Any other acknowledgment. Returns whether the window was reduced.
    pub(crate) fn on_ack_slow(&mut self, heard: &AckEvent<'_>, cx: &mut Context<'_, '_>) -> bool {
        let rtt = self.measure(heard, cx);
        let delivered = self.count_duplicates(heard);
        if self.recovery.phase != Phase::Open && self.recovery.point.at_or_before(self.una) {
            self.end_recovery(cx.now);
        }
        let begins = self.begins(cx);
        if begins {
            self.controller.on_congestion(Cause::Loss, self.flight(), cx.now);
            (self.recovery.phase, self.recovery.point) = (Phase::Fast, self.nxt);
            self.recovery.force = true;
        }
        self.tell_controller(heard.acked, delivered, rtt, cx.now);
        if heard.acked > 0 {
            self.since = cx.now;
            // What is left has a time of its own.
            self.timers.stop();
        }
        self.update_timer(cx.now, cx.config);
        begins
    }

    /// A round-trip sample, by what was sent once or by the echoed timestamp: see RFC 6298 §3. The back-off stays until
    /// there is one, or an answer since the timer fired.
    fn measure(&mut self, heard: &AckEvent<'_>, cx: &Context<'_, '_>) -> Option<Duration> {
        let by_clock = self.scoreboard.advance(self.una, cx.now);
        let sample = heard.elapsed.filter(|_| heard.acked > 0).or(by_clock);
        let sample = sample.map(|rtt| self.rtt.sample(rtt, cx.now, cx.config));
        if sample.is_some() || (heard.acked > 0 && self.recovery.answered) {
            self.rtt.forget_back_off();
        }
        self.recovery.answered |= heard.acked > 0 && self.recovery.phase == Phase::Loss;
        sample
    }

    /// Duplicates stand for segments that arrived behind a gap, and the third for the loss of the first. In recovery
    /// each partial acknowledgment shows the next hole (H043). How many bytes are news.
    fn count_duplicates(&mut self, heard: &AckEvent<'_>) -> u32 {
        let (una, mss, flight) = (self.una, u32::from(self.mss), self.flight());
        let recovery = &mut self.recovery;
        if heard.acked > 0 {
            // Of what is acknowledged, duplicates had told already.
            let told = recovery.arrived.min(heard.acked.saturating_sub(mss));
            recovery.arrived = (recovery.arrived - told).min(flight.saturating_sub(mss));
            recovery.duplicates = 0;
            if recovery.phase == Phase::Fast && una.before(recovery.point) {
                //= rfc6582#3.2 step 3, partial acknowledgments
                self.lose_first();
            } else {
                recovery.arrived = 0;
            }
            return heard.acked - told;
        }
        if !heard.duplicate || recovery.phase == Phase::Loss {
            return 0;
        }
        recovery.duplicates = recovery.duplicates.saturating_add(1);
        // Up to "recover", what was sent again for nothing makes duplicates, too: a loss there is left to the timer.
        //= rfc6582#3.2 step 2
        let is_old = recovery.phase == Phase::Open && una.at_or_before(recovery.point);
        if is_old && recovery.duplicates >= THRESHOLD {
            return 0;
        }
        //= rfc3042#2; H042: new payload for each; H052: for each further one too
        let more = mss.min(flight.saturating_sub(mss + recovery.arrived));
        recovery.arrived += more;
        if recovery.phase == Phase::Open && recovery.duplicates >= THRESHOLD {
            self.lose_first();
        }
        more
    }

    /// The first segment is lost.
    fn lose_first(&mut self) {
        let first = Range { start: self.una, end: self.una + self.flight().min(self.mss.into()) };
        self.scoreboard.lose(first);
        self.recovery.force = true;
    }

    /// All of it was acknowledged that was in flight when it began.
    fn end_recovery(&mut self, now: Instant) {
        let was = core::mem::replace(&mut self.recovery.phase, Phase::Open);
        self.recovery.arrived = 0;
        if was == Phase::Fast {
            let srtt = self.rtt.smoothed().unwrap_or_default();
            self.controller.on_recovered(self.pipe(), srtt, now);
        }
    }

    /// Does fast recovery begin? Not for the loss of a probe that was longer than what the path is known to carry: that
    /// is sent again, and says nothing of congestion.
    fn begins(&mut self, cx: &Context<'_, '_>) -> bool {
        let Some(lost) = self.scoreboard.next_lost().filter(|_| self.recovery.phase == Phase::Open) else {
            return false;
        };
        let Some(len) = self.size.on_lost(lost.start, self.scoreboard.lost(), cx.now) else { return true };
        // Duplicates speak of a segment of usual length.
        self.scoreboard.lose(Range { start: lost.start, end: lost.start + len });
        self.begin_again();
        false
    }

    /// What is lost was too long for the path: it goes again, the window as it is.
    fn begin_again(&mut self) {
        (self.recovery.phase, self.recovery.point) = (Phase::Loss, self.nxt);
        (self.recovery.duplicates, self.recovery.arrived) = (0, 0);
        self.recovery.force = true;
    }

    /// The timer of reordering never runs.
    pub(crate) fn on_reorder(&mut self, _: &mut Context<'_, '_>) -> bool {
        false
    }

    /// Nor does that of the tail.
    pub(crate) fn on_tail(&mut self, _: &mut Context<'_, '_>) {}

    pub(crate) fn tail_segment(&self, _: u32) -> Option<Range> {
        None
    }

    pub(crate) fn on_tail_sent(&mut self, _: bool, _: Instant, _: &TcpConfig) {}

    /// The retransmission timer fired: all that is in flight is lost (RFC 6298 §5.4 to §5.6, RFC 5681 §3.1). Returns
    /// whether the window had been reduced for the same data before.
    pub(crate) fn on_timeout(&mut self, cx: &mut Context<'_, '_>) -> bool {
        let again = self.recovery.phase != Phase::Open;
        self.controller.on_timeout(self.flight(), cx.now, again);
        self.rtt.back_off();
        let recovery = &mut self.recovery;
        if !again {
            recovery.point = self.max;
        }
        recovery.phase = Phase::Loss;
        (recovery.duplicates, recovery.arrived) = (0, 0);
        (recovery.answered, recovery.force) = (false, true);
        self.scoreboard.lose(Range { start: self.una, end: self.nxt });
        self.restart_timer(cx.now, cx.config);
        again
    }

    /// Sets the timer of what is in flight.
    //= rfc6298#5.1
    pub(in crate::tcp::send) fn set_flight_timer(&mut self, now: Instant, config: &TcpConfig) {
        self.timers.set(SendTimer::Rto, now + self.rtt.rto(config));
    }

    /// Everything in flight was too long for the path.
    pub(crate) fn on_too_long(&mut self, cx: &mut Context<'_, '_>) {
        self.scoreboard.lose(Range { start: self.una, end: self.nxt });
        self.begin_again();
        self.restart_timer(cx.now, cx.config);
    }
}
