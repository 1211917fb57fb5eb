//! Header prediction: what comes in order on a connection in good order and brings nothing but text,
//! an acknowledgment, or both, as requests and answers do, perhaps with another window.
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
        let Some(c) = self.connections.get_mut(key) else { return false };
        let Phase::Synchronized(s) = &mut c.tcb.phase else { return false };
        let Some(news) = s.expects(segment, now).filter(|_| !c.tcb.orphan && is_whole()) else {
            return false;
        };
        let mut cx = self.settings.cx(c.profile, now, pool);
        let before = s.receive.owed;
        let Some(effects) = s.take_expected(segment, news, &mut cx) else { return false };
        let owed = s.receive.owed;
        if news.text {
            c.wake_reader(&mut self.woken);
        }
        if effects.writable {
            c.wake_writer(&mut self.woken);
        }
        let interface = c.interface;
        match owed {
            _ if news.ack => {
                let changes = c.changes(cx.options);
                self.feed_starved(pool);
                self.reschedule(key.index, changes);
            }
            // Text alone changes nothing about what may be sent but the acknowledgment.
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
}

/// What is new in a segment that was expected.
#[derive(Clone, Copy)]
struct News {
    /// Text at RCV.NXT, inside the window.
    text: bool,
    /// An acknowledgment of something new, or another window.
    ack: bool,
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

    /// What is new in a segment that needs no other steps than those for its text and for its
    /// acknowledgment. `None`: all of them.
    #[inline]
    fn expects(&self, segment: &Plain<'_>, now: Instant) -> Option<News> {
        if !self.is_next(segment, now) {
            return None;
        }
        let (send, text) = (&self.send, !segment.text.is_empty());
        let advances = segment.ack != send.una;
        let ack = advances || u32::from(segment.window) << send.scale != send.wnd;
        let fits = !text || self.expects_text(segment, ack);
        let is_known = !ack || self.expects_ack(segment, advances);
        // What says nothing new may be a duplicate.
        ((text || advances) && fits && is_known).then_some(News { text, ack })
    }

    /// Is it text inside the window, where nothing is missing, and that somebody reads?
    #[inline]
    fn expects_text(&self, segment: &Plain<'_>, ack: bool) -> bool {
        let (send, receive) = (&self.send, &self.receive);
        segment.text.len() as u32 <= receive.wnd()
            && !receive.has_hole()
            && !receive.shut
            // A sign of the peer where that is waited for.
            && (ack || !matches!(send.timer, SendTimer::Persist(_) | SendTimer::SynAck(_)))
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

    /// `None`: there is no memory for its text, and nothing was done.
    #[inline(always)] // at every frame
    fn take_expected(&mut self, segment: &Plain<'_>, news: News, cx: &mut Cx<'_, '_>) -> Option<Effects> {
        if news.text {
            if !self.receive.expected_text(cx.pool, segment.text) {
                return None;
            }
            self.stats.bytes_received += segment.text.len() as u64;
            self.ecn.on_quiet_text(segment.mark, segment.text.len());
            self.receive.owe(cx.now, cx.config, segment.is_merged);
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
