//! What the application asked for: the calls of RFC 9293 §3.10, on one connection.

use super::options::TcpOptions;
use super::receive::{Owed, START};
use super::segment::Reset;
use super::send::Fin;
use super::tcb::{Cx, Over, Phase, Tcb};
use crate::error::Error;
use crate::pool::Pool;
use crate::time::{Duration, Instant};

impl Tcb {
    /// SEND: queues as much of `data` as there is room for. `WouldBlock` if that is nothing.
    pub(crate) fn write(&mut self, data: &[u8], cx: &mut Cx<'_, '_>) -> Result<usize, Error> {
        let part = &data[..data.len().min(self.room(cx))];
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => {
                if h.fin {
                    return Err(Error::ClosedLocally);
                }
                let n = h.queue.append(cx.pool, part);
                self.stop_waiting_for_text();
                accepted(n, data)
            }
            Phase::Synchronized(s) => {
                let send = &mut s.send;
                if send.fin != Fin::Open {
                    return Err(Error::ClosedLocally);
                }
                send.note_idle(cx.now, cx.config);
                let n = send.queue.append(cx.pool, part);
                send.update_timer(cx.now, cx.config);
                accepted(n, data)
            }
            Phase::Over(over) => Err(over.write_error()),
        }
    }

    /// How much `write` would take; any amount, if it would only fail.
    pub(crate) fn room(&self, cx: &Cx<'_, '_>) -> usize {
        let (room, queued, unsent) = match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) if !h.fin => {
                let queued = h.queue.len();
                let limit = if cx.tuned().0 { self.send_limit.min(START) } else { self.send_limit };
                (limit.saturating_sub(queued as u32), queued, queued as u32)
            }
            Phase::Synchronized(s) if s.send.fin == Fin::Open => {
                (s.send.room(), s.send.queue.len(), s.send.unsent())
            }
            _ => return usize::MAX,
        };
        room.min(cx.unsent_room(unsent)).min(memory_share(cx.pool, queued)) as usize
    }

    /// Would `write` take something, or fail?
    pub(crate) fn is_writable(&self, cx: &Cx<'_, '_>) -> bool {
        self.room(cx) > 0
    }

    /// Has the peer acknowledged everything that was written, and the FIN if there is one?
    pub(crate) fn acknowledged(&self) -> Result<(), Error> {
        let is_done = match &self.phase {
            Phase::SynSent(_) | Phase::SynReceived(_) => false,
            Phase::Synchronized(s) => s.send.queue.is_empty() && s.send.fin != Fin::Queued,
            Phase::Over(over) => return over.error.map_or(Ok(()), Err),
        };
        if is_done { Ok(()) } else { Err(Error::WouldBlock) }
    }

    /// RECEIVE: moves readable bytes out. 0 is the peer's FIN and nothing else; `WouldBlock` if
    /// there is nothing yet.
    pub(crate) fn read(&mut self, to: &mut [u8], cx: &mut Cx<'_, '_>) -> Result<usize, Error> {
        if to.is_empty() {
            return Ok(0);
        }
        self.stop_waiting_for_text();
        match &mut self.phase {
            Phase::SynSent(_) | Phase::SynReceived(_) => Err(Error::WouldBlock),
            Phase::Synchronized(s) => {
                let n = s.receive.read(cx.pool, to);
                s.receive.tune(n as u32, s.send.rtt.smoothed(), cx.now);
                s.pass_urgent();
                if n > 0 && s.receive.wants_update(cx.pool) {
                    s.receive.owed = Owed::Now;
                }
                match n {
                    0 if s.receive.finished || s.receive.shut => Ok(0),
                    0 => Err(Error::WouldBlock),
                    n => Ok(n),
                }
            }
            Phase::Over(over) => {
                let n = over.unread.copy_out(cx.pool, 0, to);
                over.unread.consume(cx.pool, n);
                match (n, over.error) {
                    (0, Some(error)) => Err(error),
                    (n, _) => Ok(n),
                }
            }
        }
    }

    /// Copies readable bytes without taking them; same answers as `read` otherwise (H224).
    pub(crate) fn peek(&self, to: &mut [u8], cx: &Cx<'_, '_>) -> Result<usize, Error> {
        if to.is_empty() {
            return Ok(0);
        }
        match &self.phase {
            Phase::SynSent(_) | Phase::SynReceived(_) => Err(Error::WouldBlock),
            Phase::Synchronized(s) => match s.receive.peek(cx.pool, to) {
                0 if s.receive.finished || s.receive.shut => Ok(0),
                0 => Err(Error::WouldBlock),
                n => Ok(n),
            },
            Phase::Over(over) => match (over.unread.copy_out(cx.pool, 0, to), over.error) {
                (0, Some(error)) => Err(error),
                (n, _) => Ok(n),
            },
        }
    }

    /// Would `read` give something, the end, or an error?
    pub(crate) fn is_readable(&self) -> bool {
        match &self.phase {
            Phase::SynSent(_) | Phase::SynReceived(_) => false,
            Phase::Synchronized(s) => s.receive.readable() > 0 || s.receive.finished || s.receive.shut,
            Phase::Over(_) => true,
        }
    }

    /// CLOSE of the sending side: a FIN follows what is queued (RFC 9293 §3.10.4, H002, H012).
    pub(crate) fn shutdown_write(&mut self, cx: &Cx<'_, '_>) {
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => {
                h.fin = true;
                self.stop_waiting_for_text();
            }
            Phase::Synchronized(s) if s.send.fin == Fin::Open => {
                s.send.fin = Fin::Queued;
                s.send.update_timer(cx.now, cx.config);
            }
            Phase::Synchronized(_) => {}
            Phase::Over(over) => over.closed_locally = true,
        }
    }

    /// The application reads no more: what lies unread is dropped, and new text is answered with a
    /// reset (M17).
    pub(crate) fn shutdown_read(&mut self, cx: &mut Cx<'_, '_>) {
        match &mut self.phase {
            Phase::Synchronized(s) => {
                s.receive.clear(cx.pool);
                s.receive.shut = true;
                s.receive.owed = Owed::Now;
            }
            Phase::Over(over) => over.unread.clear(cx.pool),
            Phase::SynSent(h) | Phase::SynReceived(h) => h.read_shut = true,
        }
    }

    /// The application lets go of the connection. `Some`: unread data is lost, so the peer is told
    /// by a reset (RFC 1122 §4.2.2.13) and the connection is over. `None`: the stack carries it to
    /// its end (H019, H228).
    pub(crate) fn let_go(&mut self, cx: &mut Cx<'_, '_>) -> Option<Reset> {
        self.orphan = true;
        if cx.options.linger == Some(Duration::ZERO)
            && let Some(reset) = self.reset()
        {
            return Some(reset);
        }
        if let Phase::Synchronized(s) = &self.phase
            && s.receive.readable() > 0
        {
            return self.reset();
        }
        self.shutdown_write(cx);
        self.watch_orphan(cx.now, cx);
        None
    }

    /// An orphan in FIN-WAIT-2 ends after a while (H016).
    pub(crate) fn watch_orphan(&mut self, now: Instant, cx: &Cx<'_, '_>) {
        let orphan = self.orphan;
        if let Phase::Synchronized(s) = &mut self.phase
            && orphan
            && s.send.fin == Fin::Acked
            && s.orphan_until.is_none()
        {
            let wait = cx.options.fin_wait_2_timeout.unwrap_or(cx.config.fin_wait_2_timeout);
            s.orphan_until = Some(now + wait);
        }
    }

    /// The connection has other options than before: what else knows of them follows.
    pub(crate) fn take_options(&mut self, before: &TcpOptions, cx: &Cx<'_, '_>) {
        let (options, config) = (cx.options, cx.config);
        let (send_limit, limit) = cx.limits();
        self.send_limit = send_limit;
        match &mut self.phase {
            // What a SYN said of windows holds until the handshake is over.
            Phase::SynSent(h) | Phase::SynReceived(h) if h.transmissions == 0 => self.receive_limit = limit,
            Phase::Synchronized(s) => {
                (s.send.limit, s.send.tuned) = (send_limit, cx.tuned().0);
                (s.send.nodelay, s.send.cork) = (options.nodelay, options.cork);
                s.send.update_timer(cx.now, config);
                s.receive.set_limit(limit, cx);
                if options.quick_acks != before.quick_acks {
                    s.receive.set_quick(options.quick_acks.unwrap_or(config.quick_acks));
                }
                if options.keep_alive != before.keep_alive {
                    s.start_asking(cx);
                }
            }
            Phase::SynSent(_) | Phase::SynReceived(_) | Phase::Over(_) => {}
        }
    }
}

fn accepted(n: usize, data: &[u8]) -> Result<usize, Error> {
    if n == 0 && !data.is_empty() { Err(Error::WouldBlock) } else { Ok(n) }
}

/// What a writer may take, who has `queued` bytes already: to hold no more than is left for the others,
/// so all that write as much as they can come to hold the same. Writers leave a quarter of the pool to
/// receivers; but one that has nothing queued finds a block even when receivers hold all that they may.
pub(super) fn memory_share(pool: &Pool<'_>, queued: usize) -> u32 {
    let beyond = |part: usize| pool.available().saturating_sub(pool.capacity() / part);
    let least = if queued == 0 { beyond(16).min(pool.block_len()) } else { 0 };
    beyond(4).saturating_sub(queued).max(least).min(u32::MAX as usize) as u32
}

impl Over {
    fn write_error(&self) -> Error {
        match self.error {
            // Its reset after its FIN says what a write to a closed peer gets anyway.
            Some(Error::ConnectionReset) if self.closed_by_peer => Error::ClosedByPeer,
            Some(error) => error,
            None if self.closed_locally => Error::ClosedLocally,
            None => Error::ClosedByPeer,
        }
    }
}
