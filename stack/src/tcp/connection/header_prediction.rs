//! Header prediction: a segment in order that brings nothing but payload, a new acknowledgment or another window.

use super::tcb::{Effects, Synchronized};
use crate::base::pool::Pool;
use crate::tcp::config::TcpConfig;
use crate::tcp::context::Context;
use crate::tcp::segment::Plain;
use crate::tcp::send::{Fin, SendTimer};
use crate::time::Instant;

/// What is new in a segment that was expected.
#[derive(Clone, Copy)]
pub(crate) struct News {
    /// Payload at RCV.NXT, inside the window.
    pub(crate) payload: bool,
    /// An acknowledgment of something new, or another window.
    pub(crate) ack: bool,
}

impl Synchronized {
    /// Is it at RCV.NXT, where nothing ended?
    #[inline]
    fn is_next(&self, segment: &Plain<'_>, now: Instant) -> bool {
        let receive = &self.receive;
        self.ecn.is_expected_ecn(segment.flags, segment.mark)
            && segment.seq == receive.nxt
            && receive.fin.is_none()
            && !receive.is_old(segment.timestamps, now)
    }

    /// What is new in a segment that needs no other steps than those for its payload and for its
    /// acknowledgment. `None`: all of them.
    #[inline(always)] // at every frame
    pub(crate) fn expects(&self, segment: &Plain<'_>, now: Instant) -> Option<News> {
        if !self.is_next(segment, now) {
            return None;
        }
        let (send, payload) = (&self.send, !segment.payload.is_empty());
        let advances = segment.ack != send.una;
        let ack = advances || u32::from(segment.window) << send.scale != send.wnd;
        let fits = !payload || self.expects_payload(segment, ack);
        let is_known = !ack || self.expects_ack(segment, advances);
        // What says nothing new may be a duplicate.
        ((payload || advances) && fits && is_known).then_some(News { payload, ack })
    }

    /// Is it payload inside the window, where nothing is missing, and that somebody reads?
    #[inline]
    fn expects_payload(&self, segment: &Plain<'_>, ack: bool) -> bool {
        let (send, receive) = (&self.send, &self.receive);
        segment.payload.len() as u32 <= receive.wnd()
            && !receive.has_hole()
            && !receive.shut
            // A sign of the peer where that is waited for.
            && (ack || !(send.awaits(SendTimer::Persist) || send.awaits(SendTimer::SynAck)))
    }

    /// Is it an acknowledgment of something new, or none but with another window, on a connection that is open?
    #[inline]
    fn expects_ack(&self, segment: &Plain<'_>, advances: bool) -> bool {
        let send = &self.send;
        (!advances || (send.una.before(segment.ack) && segment.ack.at_or_before(send.max)))
            && send.fin == Fin::Open
            && self.opening.is_none()
            && !self.resets
    }

    /// Payload alone. Returns whether a delayed acknowledgment begins to wait; `None`: there is no memory for the payload,
    /// and nothing was done.
    #[inline(always)] // at every frame
    pub(crate) fn take_payload(
        &mut self,
        segment: &Plain<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
        config: &TcpConfig,
    ) -> Option<bool> {
        let is_held_back = self.append_payload(segment, now, pool, config)?;
        self.note_arrival(now);
        (self.send.wl1, self.send.wl2) = (segment.seq, segment.ack);
        self.receive.take_timestamp(segment.seq, segment.timestamps, now);
        Some(is_held_back)
    }

    /// An acknowledgment or a window, perhaps with payload. Returns whether the writer may go on; `None`: there is no memory
    /// for the payload, and nothing was done.
    pub(crate) fn take_ack(
        &mut self,
        segment: &Plain<'_>,
        news: News,
        cx: &mut Context<'_, '_>,
    ) -> Option<bool> {
        if news.payload {
            self.append_payload(segment, cx.now, cx.pool, cx.config)?;
        }
        self.note_arrival(cx.now);
        let is_writable = match self.is_in_good_order(cx) {
            true => self.take_plain_ack(segment, cx),
            false => self.take_other_ack(segment, cx),
        };
        self.receive.take_timestamp(segment.seq, segment.timestamps, cx.now);
        Some(is_writable)
    }

    #[inline(never)]
    fn take_other_ack(&mut self, segment: &Plain<'_>, cx: &mut Context<'_, '_>) -> bool {
        let mut effects = Effects::default();
        // It is a good one: that was asked.
        let _ = self.check_ack(&segment.into(), cx, &mut effects);
        effects.writable
    }

    #[inline(always)] // at every frame
    fn append_payload(
        &mut self,
        segment: &Plain<'_>,
        now: Instant,
        pool: &mut Pool<'_>,
        config: &TcpConfig,
    ) -> Option<bool> {
        if !self.receive.expected_payload(pool, segment.payload) {
            return None;
        }
        self.stats.bytes_received += segment.payload.len() as u64;
        self.ecn.on_expected_payload(segment.mark, segment.payload.len());
        Some(self.receive.on_in_order(now, config, segment.is_merged))
    }

    /// Is nothing of what is in flight missing, sought or probed, and no timer late, so that an acknowledgment brings
    /// no more than it says?
    #[inline]
    fn is_in_good_order(&self, cx: &Context<'_, '_>) -> bool {
        let send = &self.send;
        send.is_open()
            && !send.size.is_searching()
            && !send.awaits(SendTimer::Persist)
            && !send.awaits(SendTimer::SynAck)
            && !send.is_late(cx)
            && !self.ecn.is_accurate()
    }

    /// What [`check_ack`](Self::check_ack) comes to for an expected acknowledgment where [all is in good
    /// order](Self::is_in_good_order). Returns whether the writer may go on.
    #[inline]
    fn take_plain_ack(&mut self, segment: &Plain<'_>, cx: &mut Context<'_, '_>) -> bool {
        let advances = segment.ack != self.send.una;
        if advances {
            self.ecn.on_quiet_ack(segment.ack);
            let acked = self.take_acknowledged(segment.ack, cx);
            self.send.size.on_plain_ack(acked);
            self.send.on_ack_in_order(acked, cx);
        }
        let (before, window) = (self.send.wnd, u32::from(segment.window) << self.send.scale);
        self.take_window((segment.seq, segment.ack), window, advances, cx);
        // What is in flight has its timer, and what is not needs none.
        if !advances || self.send.flight() == 0 && self.send.has_unsent() {
            self.send.update_timer(cx.now, cx.config);
        }
        advances || self.send.wnd > before
    }
}
