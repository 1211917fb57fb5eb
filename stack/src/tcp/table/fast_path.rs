//! Header prediction: what comes in order on a connection in good order and brings nothing but payload,
//! an acknowledgment, or both, as requests and answers do, perhaps with another window.
//!
//! Nearly every segment of a transfer is such a one. Whatever is not goes the way of
//! [`input`](crate::tcp::connection::input), step by step, and these would come to the same there: this skips the
//! steps that have nothing to do.

use super::entry::Changes;
use super::{ActiveKey, Connection, Ready, Settings, Tcp, Timers, ready_list};
use crate::base::pool::Pool;
use crate::base::wakers::Woken;
use crate::tcp::connection::header_prediction::News;
use crate::tcp::connection::tcb::Phase;
use crate::tcp::receive::PendingAck;
use crate::tcp::segment::Plain;
use crate::time::Instant;

impl Tcp<'_> {
    /// Takes a segment of this connection, if it is one that was expected and `is_whole` says that
    /// its checksum is right. False: nothing was done.
    #[inline(never)]
    pub(crate) fn take_expected(
        &mut self,
        key: ActiveKey,
        segment: &Plain<'_>,
        is_whole: impl FnOnce() -> bool,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> bool {
        let Some(c) = self.connections.get_active(key) else { return false };
        let Phase::Synchronized(s) = &mut c.tcb.phase else { return false };
        let Some(news) = s.expects(segment, now).filter(|_| !c.tcb.orphan && is_whole()) else {
            return false;
        };
        if news.ack {
            let Some(changes) = c.take_ack(segment, news, (&self.settings, &mut self.woken), now, pool)
            else {
                return false;
            };
            let index = c.index;
            self.feed_starved(pool);
            if changes != Changes::NONE {
                self.reschedule(index, changes);
            }
            return true;
        }
        let Some(is_held_back) = s.take_payload(segment, now, pool, &self.settings.config) else {
            return false;
        };
        let pending_ack = s.receive.pending_ack();
        c.wake_reader(&mut self.woken);
        // Payload alone changes nothing about what may be sent but the acknowledgment.
        match pending_ack {
            PendingAck::Now(_) if !c.ready.is_queued() => {
                let (index, list) = (c.index, ready_list(c.interface));
                self.ready[list].push(&mut Ready(&mut self.connections), index);
            }
            PendingAck::By(at) if is_held_back && !c.timer.fires_by(at) => {
                let index = c.index;
                self.wheel.arm(&mut Timers(&mut self.connections), index, at);
            }
            PendingAck::Now(_) | PendingAck::By(_) | PendingAck::Nothing => {}
        }
        true
    }
}

impl Connection {
    /// Takes an expected segment that brings an acknowledgment or a window. `None`: there is no memory for its payload, and
    /// nothing was done.
    #[inline(never)]
    fn take_ack(
        &mut self,
        segment: &Plain<'_>,
        news: News,
        (settings, woken): (&Settings<'_>, &mut Woken),
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Option<Changes> {
        let Phase::Synchronized(s) = &mut self.tcb.phase else { return None };
        let mut cx = settings.cx(self.profile, now, pool);
        let is_writable = s.take_ack(segment, news, &mut cx)?;
        let options = cx.options;
        let changes = self.changes(options);
        if news.payload {
            self.wake_reader(woken);
        }
        if is_writable {
            self.wake_writer(woken);
        }
        Some(changes)
    }
}
