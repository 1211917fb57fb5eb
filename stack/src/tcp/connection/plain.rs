//! The segment that nearly all are that go out: new payload from SND.NXT on, or nothing but an acknowledgment, with no option but
//! timestamps, on a connection in good order.
//!
//! The steps of [`output`](super::output) would plan the same, and tests compare the two; these skip what has nothing to do.

use super::output::clock;
use super::tcb::{Phase, Synchronized, Tcb};
use crate::base::pool::Pool;
use crate::tcp::context::Context;
use crate::tcp::segment::{Flags, PlainPlan, PlanKind, Timestamps};
use crate::time::Instant;

impl Tcb {
    /// The segment to send now, if it is a plain one, with at most `most` bytes of payload. `None`: it is another one, or there
    /// is none.
    #[inline]
    pub(crate) fn plan_plain(&self, most: u32, now: Instant, pool: &Pool<'_>) -> Option<PlainPlan> {
        match &self.phase {
            Phase::Synchronized(s) => s.plan_plain(most, clock(self.ts_offset, now), pool),
            _ => None,
        }
    }

    /// The device has taken the segment of `plan`, as far as the plan goes. Returns whether there is more to send, and by when
    /// the connection is to be looked at on account of this segment.
    #[inline]
    pub(crate) fn on_plain_sent(&mut self, plan: &PlainPlan, cx: &mut Context<'_, '_>) -> (bool, Instant) {
        match &mut self.phase {
            Phase::Synchronized(s) => s.on_plain_sent(plan, cx),
            _ => (false, Instant::FAR_FUTURE),
        }
    }
}

impl Synchronized {
    /// Is there nothing to say but what a plain segment says?
    #[inline]
    fn is_plain(&self) -> bool {
        self.send.is_plain()
            && self.receive.is_plain()
            && self.ecn.is_plain()
            && self.opening.is_none()
            && !self.asking.due
    }

    #[inline]
    pub(super) fn plan_plain(&self, most: u32, clock: u32, pool: &Pool<'_>) -> Option<PlainPlan> {
        if !self.is_plain() {
            return None;
        }
        let (send, receive) = (&self.send, &self.receive);
        let most = if cfg!(feature = "offload") { most } else { most.min(send.mss.into()) };
        let len = send.plain_len(most);
        let kind = if len > 0 { PlanKind::Data } else { PlanKind::Ack };
        if len == 0 && !receive.is_ack_due() {
            return None;
        }
        let offset = if len > 0 { send.flight() } else { 0 };
        let mut flags = Flags::ACK | self.ecn.flags(kind, len);
        if len > 0 && offset + len == send.queue.len() as u32 {
            flags = flags | Flags::PSH; // MUST-60: the last of what was written
        }
        let (window, edge) = receive.window(pool);
        Some(PlainPlan {
            seq: send.nxt,
            ack: receive.nxt,
            flags,
            window,
            timestamps: receive.ts_recent.map(|echo| Timestamps { value: clock, echo }),
            mark: self.ecn.mark(kind, len, true),
            offset,
            len,
            mss: send.mss,
            edge,
        })
    }

    #[inline]
    fn on_plain_sent(&mut self, plan: &PlainPlan, cx: &mut Context<'_, '_>) -> (bool, Instant) {
        self.stats.segments_sent = self.stats.segments_sent.wrapping_add(plan.segments());
        self.receive.on_ack_sent(cx.pool, plan.edge, plan.len == 0);
        let owes = self.receive.is_ack_due();
        if plan.len == 0 {
            // Nothing else was to be sent, and what waited for a time waits on.
            return (owes, Instant::FAR_FUTURE);
        }
        let send = &mut self.send;
        send.sent_at = cx.now;
        send.on_sent(plan.len, plan.len, cx.pool, cx.now);
        send.update_timer(cx.now, cx.config);
        (owes || send.has_sendable(), send.deadline(cx.options))
    }
}
