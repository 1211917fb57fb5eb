//! Header prediction: a segment in order that brings nothing but payload, a new acknowledgment or another window.

use super::tcb::{Effects, Synchronized};
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
    #[inline]
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

    /// `None`: there is no memory for its payload, and nothing was done.
    #[inline(always)] // at every frame
    pub(crate) fn take_expected(
        &mut self,
        segment: &Plain<'_>,
        news: News,
        cx: &mut Context<'_, '_>,
    ) -> Option<Effects> {
        if news.payload {
            if !self.receive.expected_payload(cx.pool, segment.payload) {
                return None;
            }
            self.stats.bytes_received += segment.payload.len() as u64;
            self.ecn.on_expected_payload(segment.mark, segment.payload.len());
            self.receive.on_in_order(cx.now, cx.config, segment.is_merged);
        }
        self.note_arrival(cx.now);
        let mut effects = Effects::default();
        if news.ack {
            // It is a good one: that was asked.
            let _ = self.check_ack(&segment.into(), cx, &mut effects);
        } else {
            (self.send.wl1, self.send.wl2) = (segment.seq, segment.ack);
        }
        self.receive.take_timestamp(segment.seq, segment.timestamps, cx.now);
        Some(effects)
    }
}
