//! TIME-WAIT: what is left of a connection for two segment lifetimes (RFC 9293 §3.6.1).
//!
//! A record of its own, without buffers or timers. Every record waits equally long, so the queue
//! in order of arrival is the queue in order of expiry, and the oldest gives way when the table
//! is full (H018).

use super::Tuple;
use super::config::TcpConfig;
use super::segment::{Flags, Segment};
use super::tcb::TimeWaitStart;
use crate::list::Link;
use crate::seq::Seq;
use crate::time::Instant;

/// One waiting record.
#[derive(Debug)]
pub(crate) struct TimeWait {
    pub(crate) tuple: Tuple,
    pub(crate) snd_nxt: Seq,
    pub(crate) rcv_nxt: Seq,
    ts_recent: Option<u32>,
    pub(crate) until: Instant,
    pub(crate) link: Link,
}

/// What a segment does to the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Acknowledge again; the wait starts anew.
    Acknowledge,
    /// A new connection may take the place: the SYN is beyond all old numbers (H017).
    Reuse,
    /// Nothing. Resets too: they must not end the wait early (RFC 1337).
    Ignore,
}

impl TimeWait {
    pub(crate) fn new(tuple: Tuple, start: TimeWaitStart, now: Instant, config: &TcpConfig) -> Self {
        let TimeWaitStart { snd_nxt, rcv_nxt, ts_recent } = start;
        TimeWait { tuple, snd_nxt, rcv_nxt, ts_recent, until: now + config.time_wait, link: Link::default() }
    }

    //= rfc9293#3.10.7.4, TIME-WAIT
    //= rfc6191#2
    pub(crate) fn on_segment(&self, segment: &Segment<'_>) -> Verdict {
        let flags = segment.flags;
        if flags.has(Flags::RST) {
            return Verdict::Ignore;
        }
        if flags.has(Flags::SYN) && !flags.has(Flags::ACK) {
            let newer_time = match (self.ts_recent, segment.options.timestamps) {
                (Some(old), Some(new)) => Seq(old).before(Seq(new.value)),
                _ => false,
            };
            let newer = newer_time || self.rcv_nxt.before(segment.seq);
            return if newer { Verdict::Reuse } else { Verdict::Acknowledge };
        }
        // Only a FIN again, or data, wants an answer; an ACK of our last FIN does not.
        if segment.len() > 0 { Verdict::Acknowledge } else { Verdict::Ignore }
    }
}
