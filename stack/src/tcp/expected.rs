//! The short way: what comes in order on a connection in good order and says only one new thing,
//! text or an acknowledgment.
//!
//! Nearly every segment of a transfer is such a one. Whatever is not goes the way of
//! [`input`](super::input), step by step, and these would come to the same there: this skips the
//! steps that have nothing to do.

use super::receive::Owed;
use super::segment::Plain;
use super::send::{Fin, SendTimer};
use super::tcb::{Cx, Effects, Phase, Synchronized};
use super::{Ready, Tcp, Timers, ready_list};
use crate::pool::Pool;
use crate::slab::Key;
use crate::time::Instant;

impl Tcp<'_> {
    /// Takes a segment of this connection, if it is one that was expected and `is_whole` says that
    /// its checksum is right. False: nothing was done.
    #[inline]
    pub(crate) fn take_expected(
        &mut self,
        key: Key,
        segment: &Plain<'_>,
        is_whole: impl FnOnce() -> bool,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> bool {
        match segment.text.is_empty() {
            true => self.take_expected_ack(key, segment, is_whole, now, pool),
            false => self.take_expected_text(key, segment, is_whole, now, pool),
        }
    }

    #[inline]
    fn take_expected_text(
        &mut self,
        key: Key,
        segment: &Plain<'_>,
        is_whole: impl FnOnce() -> bool,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> bool {
        let Some(c) = self.connections.get_mut(key) else { return false };
        let Phase::Synchronized(s) = &mut c.tcb.phase else { return false };
        if c.tcb.orphan || !s.expects_text(segment, now) || !is_whole() {
            return false;
        }
        let mut cx = self.settings.cx(c.profile, now, pool);
        let before = s.receive.owed;
        if !s.take_expected_text(segment, &mut cx) {
            return false;
        }
        // Text changes nothing about what may be sent but the acknowledgment.
        let owed = s.receive.owed;
        c.wake_reader(&mut self.woken);
        let interface = c.interface;
        match owed {
            Owed::Now => {
                self.ready[ready_list(interface)].push(&mut Ready(&mut self.connections), key.index);
            }
            Owed::By(at) if owed != before => {
                self.wheel.arm(&mut Timers(&mut self.connections), key.index, at);
            }
            Owed::By(_) | Owed::Nothing => {}
        }
        true
    }

    fn take_expected_ack(
        &mut self,
        key: Key,
        segment: &Plain<'_>,
        is_whole: impl FnOnce() -> bool,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> bool {
        let Some(c) = self.connections.get_mut(key) else { return false };
        let Phase::Synchronized(s) = &mut c.tcb.phase else { return false };
        if c.tcb.orphan || !s.expects_ack(segment, now) || !is_whole() {
            return false;
        }
        let mut cx = self.settings.cx(c.profile, now, pool);
        if s.take_expected_ack(segment, &mut cx).writable {
            c.wake_writer(&mut self.woken);
        }
        self.feed_starved(pool);
        self.after(key.index);
        true
    }
}

impl Synchronized {
    /// Is it at RCV.NXT, where nothing ended?
    #[inline]
    fn is_next(&self, segment: &Plain<'_>, now: Instant) -> bool {
        let receive = &self.receive;
        self.ecn.is_quiet(segment.flags, segment.mark)
            && segment.seq == receive.nxt
            && receive.fin.is_none()
            && !receive.is_old(segment.timestamps, now)
    }

    /// Is it text inside the window, where nothing is missing, that acknowledges nothing new and
    /// leaves the window as it is?
    #[inline]
    fn expects_text(&self, segment: &Plain<'_>, now: Instant) -> bool {
        let (send, receive) = (&self.send, &self.receive);
        self.is_next(segment, now)
            && segment.ack == send.una
            && (segment.window as u32) << send.scale == send.wnd
            && segment.text.len() as u32 <= receive.wnd()
            && !receive.has_hole()
            && !receive.shut
            && !matches!(send.timer, SendTimer::Persist(_) | SendTimer::SynAck(_))
    }

    /// Is it an acknowledgment of something new?
    fn expects_ack(&self, segment: &Plain<'_>, now: Instant) -> bool {
        let send = &self.send;
        self.is_next(segment, now)
            && send.una.before(segment.ack)
            && segment.ack.at_or_before(send.max)
            && send.fin == Fin::Open
            && !self.resets
    }

    #[inline(always)] // at every frame
    fn take_expected_text(&mut self, segment: &Plain<'_>, cx: &mut Cx<'_, '_>) -> bool {
        if !self.receive.expected_text(cx.pool, segment.text) {
            return false; // no memory
        }
        self.note_arrival(cx.now);
        self.stats.bytes_received += segment.text.len() as u64;
        self.receive.take_timestamp(segment.seq, segment.timestamps, cx.now);
        self.ecn.on_quiet_text(segment.mark, segment.text.len());
        (self.send.wl1, self.send.wl2) = (segment.seq, segment.ack);
        self.receive.owe(cx.now, cx.config, segment.is_merged);
        true
    }

    fn take_expected_ack(&mut self, segment: &Plain<'_>, cx: &mut Cx<'_, '_>) -> Effects {
        let mut effects = Effects::default();
        // It is a good one: that was asked.
        self.note_arrival(cx.now);
        let _ = self.check_ack(&segment.into(), cx, &mut effects);
        self.receive.take_timestamp(segment.seq, segment.timestamps, cx.now);
        effects
    }
}
