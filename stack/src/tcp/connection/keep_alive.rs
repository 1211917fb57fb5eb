//! Keep-alive: a peer that has been silent for long is asked whether it is still there
//! (RFC 9293 §3.8.4).
//!
//! Nothing is done when a segment arrives: the timer looks, when it fires, how long ago that was.

use super::tcb::{Effects, Synchronized};
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::context::Context;
use crate::tcp::options::KeepAlive;
use crate::time::{Duration, Instant};

/// Where asking stands.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct KeepAliveProbes {
    /// When to look again whether the peer is silent; `None`: never.
    pub(crate) at: Option<Instant>,
    /// Questions in a row without an answer.
    pub(crate) unanswered: u8,
    /// A question is to be sent.
    pub(crate) due: bool,
}

impl KeepAliveProbes {
    /// See [`park`](crate::tcp::connection::idle): no question is about to be sent.
    pub(in crate::tcp) fn park(&self, to: &mut Packer) -> Option<()> {
        let KeepAliveProbes { at, unanswered, due: false } = self else { return None };
        to.number(u16::from(*unanswered) << 1 | u16::from(at.is_some()));
        at.iter().for_each(|at| to.instant(*at));
        Some(())
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> KeepAliveProbes {
        let number = from.number();
        let at = (number & 1 == 1).then(|| from.instant());
        KeepAliveProbes { at, unanswered: (number >> 1) as u8, due: false }
    }
}

impl KeepAliveProbes {
    /// Nobody is asked.
    pub(super) const NONE: KeepAliveProbes = KeepAliveProbes { at: None, unanswered: 0, due: false };
}

impl Synchronized {
    /// The options are new: keep-alive is on or off, from now on.
    //= rfc9293#3.8.4 MUST-24, MUST-27
    pub(in crate::tcp) fn start_asking(&mut self, cx: &Context<'_, '_>) {
        let at = cx.options.keep_alive.map(|k| (self.last_received_at + k.idle).max(cx.now));
        self.asking = KeepAliveProbes { at, ..KeepAliveProbes::default() };
    }

    pub(in crate::tcp) fn on_keep_alive(&mut self, cx: &Context<'_, '_>, effects: &mut Effects) {
        let Some((at, keep_alive)) = self.asking.at.filter(|at| *at <= cx.now).zip(cx.options.keep_alive)
        else {
            return;
        };
        let silent = cx.now.since(self.last_received_at);
        //= rfc9293#3.8.4 MUST-26: what is under way is a question by itself (H027)
        let is_busy = self.send.flight() > 0 || self.send.has_unsent();
        let has_answered = self.last_received_at + keep_alive.interval >= at;
        if is_busy || has_answered {
            self.asking.unanswered = 0;
        }
        if is_busy {
            self.asking.at = Some(cx.now + keep_alive.idle);
        } else if silent < keep_alive.idle {
            self.asking.at = Some(self.last_received_at + keep_alive.idle);
        } else if self.is_given_up(silent, &keep_alive, cx) {
            self.give_up(cx.now, effects);
        } else {
            self.asking.unanswered = self.asking.unanswered.saturating_add(1);
            self.asking.due = true;
            self.asking.at = Some(cx.now + keep_alive.interval);
        }
    }

    /// One lost answer says nothing; many do, or the time that the user set.
    //= rfc9293#3.8.4 MUST-29
    fn is_given_up(&self, silent: Duration, keep_alive: &KeepAlive, cx: &Context<'_, '_>) -> bool {
        let unanswered = self.asking.unanswered;
        let Some(limit) = cx.options.user_timeout else { return unanswered >= keep_alive.probes };
        // What the loop slept through is no silence: each question stands for its interval.
        let asked = keep_alive.interval.micros().saturating_mul(unanswered.into());
        unanswered > 0 && silent.min(keep_alive.idle + Duration::from_micros(asked)) >= limit
    }
}
