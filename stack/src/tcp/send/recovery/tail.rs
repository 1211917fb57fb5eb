//! Tail loss probes (RFC 8985 §7): when nothing behind it can show that the last segment is lost, it,
//! or a new one, is sent once more before the retransmission timer fires.

use super::super::scoreboard::{SegmentStatus, XmitTime};
use super::Phase;
use crate::counters::TcpCount;
use crate::seq::{Range, Seq};
use crate::tcp::config::TcpConfig;
use crate::tcp::context::Context;

use crate::tcp::send::{Send, SendTimer};
use crate::time::{Duration, Instant};

/// Times in a row that what is overdue is sent again without congestion control, and without backing
/// off.
const OVERDUE_MAX: u8 = 6;
/// Segments that go again as one when all is silent: what a path is trusted with that nothing is known
/// of.
//= rfc6928#2
const WHOLE: u32 = 10;
/// The timer wheel's tick in µs.
const TICK: u32 = 1000;

/// The probe of one tail.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Tail {
    /// It is to be sent.
    pub(super) due: bool,
    /// TLP.end_seq: what was in flight ended there when it was sent.
    end: Option<Seq>,
    /// TLP.is_retrans
    again: bool,
}

impl Tail {
    /// No probe was sent.
    pub(super) const NONE: Tail = Tail { due: false, end: None, again: false };

    /// Is there no news yet of a probe that was sent?
    pub(super) fn is_out(&self) -> bool {
        self.end.is_some() || self.due
    }

    /// TLP.end_seq
    pub(super) fn end(&self) -> Option<Seq> {
        self.end
    }

    /// The peer says that `range` came twice: if it is what the probe sent, nothing was lost. Was it that?
    //= rfc8985#7.4.2
    pub(super) fn on_dsack(&mut self, range: Range) -> bool {
        let is_probe = self.end == Some(range.end);
        if is_probe {
            self.end = None;
        }
        is_probe
    }

    /// Does the acknowledgment of `ack` show that the probe repaired a loss?
    //= rfc8985#7.4.2
    pub(super) fn shows_loss(&mut self, ack: Seq) -> bool {
        let Some(end) = self.end.filter(|end| end.at_or_before(ack)) else { return false };
        let repaired = self.again && end.before(ack);
        if repaired || !self.again {
            self.end = None;
        }
        repaired
    }
}

impl Send {
    /// When the tail is probed, counted from when something was last sent; `None`: it is not.
    //= rfc8985#7.2
    fn tail_timeout(&self, config: &TcpConfig) -> Option<Duration> {
        if !config.tail_probes {
            return None;
        }
        let recovery = &self.recovery;
        let quiet = recovery.sack
            && recovery.phase == Phase::Open
            && recovery.tail.end.is_none()
            && self.scoreboard.sacked() == 0;
        let srtt = self.rtt.smoothed().filter(|_| quiet)?;
        let held = if self.is_lone() { self.held_back(config) } else { Duration::ZERO };
        let (timeout, rto) = (srtt + srtt + held, self.rtt.rto(config));
        // Without congestion control the other timer costs nothing, and sends all at once.
        (timeout < rto || !self.is_free()).then(|| timeout.min(rto))
    }

    /// How long the acknowledgment of a single segment may be held back. Where nothing is spared, we do not wait
    /// for who takes more than twice as long as we would.
    fn held_back(&self, config: &TcpConfig) -> Duration {
        let (learnt, usual) = (self.rtt.ack_delay(), config.ack_delay());
        if self.is_free() { usual + usual } else { learnt.max(usual) }
    }

    /// Is at most one segment in flight?
    fn is_lone(&self) -> bool {
        self.flight() <= u32::from(self.mss)
    }

    /// The acknowledgment of `acked` bytes took so long. If it is of the last segment that was in flight, the
    /// peer had no reason to hurry: that is how its delay is learnt.
    pub(super) fn learn_ack_delay(&mut self, acked: u32, rtt: Option<Duration>) {
        if let Some(rtt) = rtt.filter(|_| self.flight() == 0 && acked <= u32::from(self.mss)) {
            self.rtt.learn_ack_delay(rtt);
        }
    }

    /// When the tail is probed, if something was just sent or heard. The age of what is in flight counts
    /// (as in RFC 7765): of two round trips one is over when the acknowledgment of what was sent before it
    /// arrives, and waiting for two more would only leave more to the retransmission timer. A whole
    /// round trip of silence is sign enough.
    fn tail_at(&self, timeout: Duration, now: Instant) -> Instant {
        let silence = self.rtt.smoothed().unwrap_or(timeout).min(timeout);
        (self.sent_at + timeout).max(now + silence)
    }

    /// The timer of the tail fired.
    pub(crate) fn on_tail(&mut self, cx: &mut Context<'_, '_>) {
        if self.overdue_at().is_some() {
            return self.on_overdue(cx);
        }
        let (now, config) = (cx.now, cx.config);
        // It was not set anew with each segment that went out.
        let due = self.tail_timeout(config).map(|timeout| self.sent_at + timeout);
        match due {
            Some(at) if now < at => self.timers.set(SendTimer::Tlp, at),
            due => {
                self.set_rto(now, config);
                match due.is_some() && self.flight() > 0 {
                    true if self.may_repeat_tail(config) => self.repeat_tail(cx),
                    is_due => self.recovery.tail.due = is_due,
                }
            }
        }
    }

    /// Is the tail so short that all of it may go again? RFC 8985 sends its last segment alone. But when
    /// several at the end are lost, what that shows comes a round trip later, and recovery would then
    /// begin at one segment: for a short answer that is most of its time. What is in flight fits the
    /// window, and goes again once. On a short path a few round trips cost little, and silence is more
    /// often that of a peer that is busy, or holds back its acknowledgment.
    fn may_repeat_tail(&self, config: &TcpConfig) -> bool {
        let is_long = self.rtt.smoothed().is_some_and(|srtt| srtt >= config.ack_delay());
        let most = self.cwnd().min(WHOLE * u32::from(self.mss));
        // A FIN is no data.
        let payload = self.flight().min(self.queue.len() as u32);
        is_long && self.unsent() == 0 && (u32::from(self.mss) + 1..=most).contains(&payload)
    }

    fn repeat_tail(&mut self, cx: &mut Context<'_, '_>) {
        cx.count(TcpCount::TailProbes);
        self.scoreboard
            .edit(cx.pool, |records| records.each(|_, record| record.status = SegmentStatus::Lost));
        self.recovery.tail = Tail { due: false, end: Some(self.nxt), again: true };
    }

    /// Is there no congestion control, so that nothing is held back that might be lost?
    pub(super) fn is_free(&self) -> bool {
        self.controller.window() == u32::MAX
    }

    /// Does the timer not back off yet? That is congestion control, too.
    pub(super) fn spares_back_off(&self) -> bool {
        self.is_free() && self.recovery.overdue < OVERDUE_MAX
    }

    /// What is known to be in trouble does not wait for the retransmission timer where there is no
    /// congestion control: each transmission has its own time.
    fn overdue_at(&self) -> Option<XmitTime> {
        let in_trouble = self.recovery.phase != Phase::Open || self.scoreboard.sacked() > 0;
        if !self.recovery.sack || !in_trouble || !self.spares_back_off() {
            return None;
        }
        Some(self.scoreboard.oldest()?.after(self.overdue_after()?))
    }

    /// How long an answer takes, in µs: the timeout of RFC 6298 without its floor.
    fn overdue_after(&self) -> Option<u32> {
        let varies = 4 * self.rtt.variation().micros() as u32;
        self.rtt.smoothed().map(|srtt| srtt.micros() as u32 + varies.max(TICK))
    }

    fn on_overdue(&mut self, cx: &mut Context<'_, '_>) {
        let (now, after) = (XmitTime::of(cx.now), self.overdue_after().unwrap_or(0));
        self.scoreboard.edit(cx.pool, |records| {
            records.each(|_, r| {
                if r.status == SegmentStatus::Sent && now.since(r.sent) >= after {
                    r.status = SegmentStatus::Lost;
                }
            });
        });
        self.recovery.overdue += 1;
        self.restart_timer(cx.now, cx.config);
    }

    /// Sets the timer of what is in flight.
    pub(in crate::tcp::send) fn set_flight_timer(&mut self, now: Instant, config: &TcpConfig) {
        if let Some(at) = self.overdue_at() {
            let wait = at.since(XmitTime::of(now)).max(TICK);
            return self.timers.set(SendTimer::Tlp, now + Duration::from_micros(wait.into()));
        }
        match self.tail_timeout(config) {
            Some(timeout) => self.timers.set(SendTimer::Tlp, self.tail_at(timeout, now)),
            None => self.set_rto(now, config),
        }
    }

    //= rfc6298#5.1
    fn set_rto(&mut self, now: Instant, config: &TcpConfig) {
        self.timers.set(SendTimer::Rto, now + self.rtt.rto(config));
    }

    /// The last segment again, if that is what probes the tail. A FIN rides on the last payload: few peers
    /// say of a FIN alone that it has arrived.
    //= rfc8985#7.3
    pub(crate) fn tail_segment(&self, most: u32) -> Option<Range> {
        let fin = self.flight().saturating_sub(self.queue.len() as u32);
        let payload = (self.flight() - fin).min(self.mss as u32).min(most);
        (self.recovery.tail.due && payload + fin > 0)
            .then(|| Range { start: self.nxt - (payload + fin), end: self.nxt })
    }

    /// What went out now ends the wait for a probe; `again` if it was the last segment again.
    pub(crate) fn on_tail_sent(&mut self, again: bool, now: Instant, config: &TcpConfig) {
        self.recovery.tail = Tail { due: false, end: Some(self.nxt), again };
        self.set_rto(now, config);
    }
}
