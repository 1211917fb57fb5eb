//! TIME-WAIT: what is left of a connection for two segment lifetimes (RFC 9293 §3.6.1).
//!
//! A record of its own, without buffers or timers. Every record waits equally long, so the queue
//! in order of arrival is the queue in order of expiry, and the oldest gives way when the table
//! is full (H018).

use super::config::TcpConfig;
use super::segment::{Flags, Segment, Timestamps};
use super::tcb::TimeWaitStart;
use super::{Reply, Tuple};
use crate::list::Link;
use crate::seq::Seq;
use crate::time::Instant;

/// One waiting record.
#[derive(Debug)]
pub(crate) struct TimeWait {
    pub(crate) tuple: Tuple,
    start: TimeWaitStart,
    pub(crate) until: Instant,
    pub(crate) link: Link,
}

impl TimeWaitStart {
    /// The acknowledgment of the peer's FIN.
    pub(crate) fn acknowledgment(&self, now: Instant) -> Reply {
        let value = (now.millis() as u32).wrapping_add(self.ts_offset);
        let timestamps = self.ts_recent.map(|echo| Timestamps { value, echo });
        Reply::Ack { seq: self.snd_nxt, ack: self.rcv_nxt, timestamps }
    }
}

/// What a segment does to the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Acknowledge again; the wait starts anew.
    Acknowledge,
    /// Say where we stand; the wait goes on.
    Remind,
    /// A new connection may take the place: the SYN is beyond all old numbers (H017).
    Reuse,
    /// Nothing. Resets too: they must not end the wait early (RFC 1337).
    Ignore,
}

impl TimeWait {
    pub(crate) fn new(tuple: Tuple, start: TimeWaitStart, now: Instant, config: &TcpConfig) -> Self {
        TimeWait { tuple, start, until: now + config.time_wait, link: Link::default() }
    }

    /// The acknowledgment of the peer's FIN, again.
    pub(crate) fn acknowledgment(&self, now: Instant) -> Reply {
        self.start.acknowledgment(now)
    }

    //= rfc9293#3.10.7.4, TIME-WAIT
    //= rfc6191#2
    pub(crate) fn on_segment(&self, segment: &Segment<'_>) -> Verdict {
        let flags = segment.flags;
        if flags.has(Flags::RST) {
            return Verdict::Ignore;
        }
        if flags.has(Flags::SYN) && !flags.has(Flags::ACK) {
            let newer_number = self.start.rcv_nxt.before(segment.seq);
            let newer = match (self.start.ts_recent, segment.options.timestamps) {
                (Some(old), Some(new)) if old != new.value => Seq(old).before(Seq(new.value)),
                _ => newer_number,
            };
            return if newer { Verdict::Reuse } else { Verdict::Acknowledge };
        }
        // A FIN again, or text, wants an answer; an ACK of our last FIN does not. A peer that sends
        // anything else knows another connection (RFC 9293 §3.10.7.4 first).
        match segment.len() {
            0 if segment.seq == self.start.rcv_nxt => Verdict::Ignore,
            0 => Verdict::Remind,
            _ => Verdict::Acknowledge,
        }
    }
}
