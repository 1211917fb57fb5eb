//! SEND and RECEIVE without a copy: the application is lent the memory of the queues.

use super::tcb::{Phase, Tcb};
use crate::base::pool::Need;
use crate::error::Error;
use crate::tcp::context::Context;

impl Tcb {
    /// RECEIVE in place: `look` is lent the readable bytes and says how many of them it takes; without pieces, at
    /// the end of the stream. Answers as [`read`](Tcb::read) otherwise.
    pub(crate) fn read_with<R>(
        &mut self,
        look: impl FnOnce(&[&[u8]]) -> (usize, R),
        cx: &mut Context<'_, '_>,
    ) -> Result<R, Error> {
        self.stop_waiting_for_payload();
        match &mut self.phase {
            Phase::SynSent(_) | Phase::SynReceived(_) => Err(Error::WouldBlock),
            Phase::Synchronized(s) => {
                if s.receive.readable() == 0 {
                    if !s.receive.finished && !s.receive.shut {
                        return Err(Error::WouldBlock);
                    }
                    s.end_read |= s.receive.finished;
                    return Ok(look(&[]).1);
                }
                let (taken, result) = s.receive.lend(cx.pool, |pieces, len| taken_of(len, look(pieces)));
                s.receive.consume(cx.pool, taken);
                s.after_reading(taken, cx);
                Ok(result)
            }
            Phase::Over(over) => {
                // What it would give: bytes, the end, or the error.
                let is_end = over.peek(cx.pool, &mut [0])? == 0;
                let (taken, result) = over
                    .unread
                    .lend(cx.pool, 0, over.unread.len(), |pieces, len| taken_of(len, look(pieces)));
                over.unread.consume(cx.pool, taken);
                over.end_unread &= !is_end;
                Ok(result)
            }
        }
    }

    /// SEND in place: `fill` is lent memory behind what is queued, of `most` bytes at most and one at least, and
    /// says how many it wrote. `WouldBlock` if there is no room.
    pub(crate) fn write_with<R>(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
        cx: &mut Context<'_, '_>,
    ) -> Result<R, Error> {
        let most = self.room(most.max(1), cx);
        if most == 0 {
            return Err(Error::WouldBlock);
        }
        self.queue_with(cx, |queue, pool| queue.append_with(pool, most, Need::Send, fill))?
            .ok_or(Error::WouldBlock)
    }
}

/// Nobody takes more than there is.
fn taken_of<R>(len: usize, (taken, result): (usize, R)) -> (usize, R) {
    (taken.min(len), result)
}
