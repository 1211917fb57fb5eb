//! Tail loss probes (RFC 8985 §7): when nothing behind it can show that the last segment is lost, it,
//! or a new one, is sent once more before the retransmission timer fires.

use super::super::config::TcpConfig;
use super::super::ranges::Range;
use super::super::send::{Send, SendTimer};
use super::Phase;
use crate::seq::Seq;
use crate::time::{Duration, Instant};

/// How long a peer may hold an acknowledgment of a single segment back.
//= rfc8985#7.2: TLP.max_ack_delay, "a recommended value is 200 ms"
const ACK_DELAY: Duration = Duration::from_millis(200);

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
    /// Is there no news yet of a probe that was sent?
    pub(super) fn is_out(&self) -> bool {
        self.end.is_some() || self.due
    }

    /// The peer says that `range` came twice: if it is what the probe sent, nothing was lost.
    //= rfc8985#7.4.2
    pub(super) fn on_dsack(&mut self, range: Range) {
        if self.end == Some(range.end) {
            self.end = None;
        }
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
    /// When the tail is probed, counted from when something was last sent or heard; `None`: it is not.
    //= rfc8985#7.2
    pub(crate) fn tail_timeout(&self, config: &TcpConfig) -> Option<Duration> {
        let recovery = &self.recovery;
        let quiet = recovery.sack
            && recovery.phase == Phase::Open
            && recovery.tail.end.is_none()
            && self.scoreboard.sacked() == 0;
        let srtt = self.rtt.smoothed().filter(|_| quiet)?;
        let lone = if self.flight() <= self.mss as u32 { ACK_DELAY } else { Duration::ZERO };
        let timeout = srtt + srtt + lone;
        // If the other timer fires first, it does without a probe.
        (timeout < self.rtt.rto(config)).then_some(timeout)
    }

    /// The timer of the tail fired.
    pub(crate) fn on_tail(&mut self, now: Instant, config: &TcpConfig) {
        // It was not set anew with each segment that went out.
        let due = self.tail_timeout(config).map(|timeout| self.sent_at + timeout);
        match due {
            Some(at) if now < at => self.timer = SendTimer::Tail(at),
            due => {
                self.recovery.tail.due = due.is_some() && self.flight() > 0;
                self.timer = SendTimer::Retransmit(now + self.rtt.rto(config));
            }
        }
    }

    /// The last segment again, if that is what probes the tail.
    //= rfc8985#7.3
    pub(crate) fn tail_segment(&self, most: u32) -> Option<Range> {
        let len = self.flight().min(self.mss as u32).min(most);
        (self.recovery.tail.due && len > 0).then(|| Range { start: self.nxt - len, end: self.nxt })
    }

    /// What went out now ends the wait for a probe; `again` if it was the last segment again.
    pub(crate) fn on_tail_sent(&mut self, again: bool, now: Instant, config: &TcpConfig) {
        self.recovery.tail = Tail { due: false, end: Some(self.nxt), again };
        self.timer = SendTimer::Retransmit(now + self.rtt.rto(config));
    }
}
