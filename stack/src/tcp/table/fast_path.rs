//! Header prediction: what comes in order on a connection in good order and brings nothing but payload,
//! an acknowledgment, or both, as requests and answers do, perhaps with another window.
//!
//! Nearly every segment of a transfer is such a one. Whatever is not goes the way of
//! [`input`](crate::tcp::connection::input), step by step, and these would come to the same there: this skips the
//! steps that have nothing to do.

use super::{Ready, Tcp, Timers, ready_list};
use crate::base::pool::Pool;
use crate::base::slab::Key;
use crate::tcp::connection::tcb::Phase;
use crate::tcp::receive::PendingAck;
use crate::tcp::segment::Plain;
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
        let before = s.receive.pending_ack();
        let Some(effects) = s.take_expected(segment, news, &mut cx) else { return false };
        let pending_ack = s.receive.pending_ack();
        if news.payload {
            c.wake_reader(&mut self.woken);
        }
        if effects.writable {
            c.wake_writer(&mut self.woken);
        }
        let interface = c.interface;
        match pending_ack {
            _ if news.ack => {
                let changes = c.changes(cx.options);
                self.feed_starved(pool);
                self.reschedule(key.index, changes);
            }
            // Payload alone changes nothing about what may be sent but the acknowledgment.
            PendingAck::Now(_) => {
                self.ready[ready_list(interface)].push(&mut Ready(&mut self.connections), key.index);
            }
            PendingAck::By(at) if pending_ack != before => {
                self.wheel.arm(&mut Timers(&mut self.connections), key.index, at);
            }
            PendingAck::By(_) | PendingAck::Nothing => {}
        }
        true
    }
}
