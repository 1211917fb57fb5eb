//! The short way: what comes in order on a connection in good order and says only one new thing,
//! text or an acknowledgment.
//!
//! Nearly every segment of a transfer is such a one. Whatever is not goes the way of
//! [`input`](super::input), step by step, and these would come to the same there: this skips the
//! steps that have nothing to do.

use super::receive::Taken;
use super::segment::Segment;
use super::send::{Fin, SendTimer};
use super::tcb::{Cx, Effects, Phase, Synchronized};
use super::{Tcp, wake};
use crate::pool::Pool;
use crate::slab::Key;
use crate::time::Instant;

impl Tcp<'_> {
    /// Takes a segment of this connection, if it is one that was expected and `is_whole` says that
    /// its checksum is right. False: nothing was done.
    pub(crate) fn take_expected(
        &mut self,
        key: Key,
        segment: &Segment<'_>,
        is_whole: impl FnOnce() -> bool,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> bool {
        let Some(c) = self.connections.get_mut(key) else { return false };
        let Phase::Synchronized(s) = &mut c.tcb.phase else { return false };
        if c.tcb.orphan || !s.expects(segment, now) || !is_whole() {
            return false;
        }
        let mut cx = self.settings.cx(c.profile, now, pool);
        if segment.text.is_empty() {
            if s.take_expected_ack(segment, &mut cx).writable {
                wake(&mut c.writer);
            }
            self.feed_starved(pool);
        } else if s.take_expected_text(segment, &mut cx) {
            wake(&mut c.reader);
        } else {
            return false;
        }
        self.after(key.index);
        true
    }
}

impl Synchronized {
    /// Is it at RCV.NXT and inside the window, where nothing is missing and nothing ended, and is
    /// it either text that acknowledges nothing new and leaves the window as it is, or an
    /// acknowledgment without text?
    fn expects(&self, segment: &Segment<'_>, now: Instant) -> bool {
        let (send, receive) = (&self.send, &self.receive);
        let is_plain = self.ecn.is_quiet(segment)
            && segment.seq == receive.nxt
            && receive.fin.is_none()
            && !receive.is_old(segment, now);
        let len = segment.text.len() as u32;
        let is_news = if len == 0 {
            send.una.before(segment.ack) && segment.ack.at_or_before(send.max) && send.fin == Fin::Open
        } else {
            segment.ack == send.una
                && segment.options.sack.is_empty()
                && (segment.window as u32) << send.scale == send.wnd
                && len <= receive.wnd()
                && !receive.has_hole()
                && !receive.shut
                && !matches!(send.timer, SendTimer::Persist(_))
        };
        is_plain && is_news
    }

    fn take_expected_text(&mut self, segment: &Segment<'_>, cx: &mut Cx<'_, '_>) -> bool {
        if !self.receive.has_room(cx.pool, segment.text)
            || self.receive.text(cx.pool, segment.seq, segment.text) != Taken::InOrder
        {
            return false; // no memory
        }
        self.note_arrival(cx.now);
        self.stats.bytes_received += segment.text.len() as u64;
        self.receive.take_timestamp(segment, cx.now);
        self.ecn.on_quiet_text(segment);
        (self.send.wl1, self.send.wl2) = (segment.seq, segment.ack);
        self.receive.owe(cx.now, cx.config);
        true
    }

    fn take_expected_ack(&mut self, segment: &Segment<'_>, cx: &mut Cx<'_, '_>) -> Effects {
        let mut effects = Effects::default();
        // It is a good one: that was asked.
        self.note_arrival(cx.now);
        let _ = self.check_ack(segment, cx, &mut effects);
        self.receive.take_timestamp(segment, cx.now);
        effects
    }
}
