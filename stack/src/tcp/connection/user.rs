//! What the application asked for: the calls of RFC 9293 §3.10, on one connection.

#![warn(clippy::cast_possible_truncation)]

use super::tcb::{Over, Phase, Synchronized, Tcb};
use crate::base::pool::{Chain, Need, Pool, to_u32};
use crate::error::Error;
use crate::tcp::context::Context;
use crate::tcp::options::TcpOptions;
use crate::tcp::receive::START;
use crate::tcp::segment::Reset;
use crate::tcp::send::Fin;
use crate::time::{Duration, Instant};

/// Bytes that last words may take beyond a full send buffer.
pub(crate) const LAST_WORDS: usize = 4096;

/// What is queued for sending.
struct Queue<'q> {
    len: u32,
    /// To how much the application may fill it.
    max: u32,
    /// How much of it never went out.
    unsent: u32,
    /// What it lies in.
    chain: &'q Chain,
    /// How much of it the peer has room for; `None`: it has yet to answer.
    window: Option<u32>,
}

impl Tcb {
    /// SEND: queues as much of `data` as there is room for. `WouldBlock` if that is nothing.
    pub(crate) fn write(&mut self, data: &[u8], cx: &mut Context<'_, '_>) -> Result<usize, Error> {
        let part = &data[..self.room(data.len(), cx)];
        let n = self.queue(part, cx)?;
        if n == 0 && !data.is_empty() { Err(Error::WouldBlock) } else { Ok(n) }
    }

    /// SEND of all of `data` or nothing, beyond a full buffer by [`LAST_WORDS`]: `WouldBlock` if that or
    /// the memory does not do.
    pub(crate) fn write_whole(&mut self, data: &[u8], cx: &mut Context<'_, '_>) -> Result<(), Error> {
        match self.room_for_last_words(cx) < data.len() {
            true => Err(Error::WouldBlock),
            false => self.queue(data, cx).map(|_| ()),
        }
    }

    #[inline]
    fn queue(&mut self, data: &[u8], cx: &mut Context<'_, '_>) -> Result<usize, Error> {
        self.queue_with(cx, |queue, pool| queue.append(pool, data, Need::Send))
    }

    /// Adds to what is queued for sending.
    pub(super) fn queue_with<R>(
        &mut self,
        cx: &mut Context<'_, '_>,
        add: impl FnOnce(&mut Chain, &mut Pool<'_>) -> R,
    ) -> Result<R, Error> {
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => {
                if h.fin {
                    return Err(Error::ClosedLocally);
                }
                let result = add(&mut h.queue, cx.pool);
                self.stop_waiting_for_payload();
                Ok(result)
            }
            Phase::Synchronized(s) => {
                let send = &mut s.send;
                if send.fin != Fin::Open {
                    return Err(Error::ClosedLocally);
                }
                if s.resets {
                    return Err(Error::ConnectionAborted);
                }
                send.note_idle(cx.now, cx.config);
                let result = add(&mut send.queue, cx.pool);
                send.update_timer(cx.now, cx.config);
                Ok(result)
            }
            Phase::Over(over) => Err(over.write_error()),
        }
    }

    /// How much of `want` bytes `write` would take; all, if it would only fail.
    #[inline]
    pub(crate) fn room(&self, want: usize, cx: &Context<'_, '_>) -> usize {
        // Nearly always: little is queued, and no buffer is as small as that.
        if let Phase::Synchronized(Synchronized { send, .. }) = &self.phase
            && cx.options.unsent_max.is_none()
        {
            let all = send.queue.len().saturating_add(want);
            if all <= send.queue_max_least() as usize && cx.pool.has_plenty(all, Need::Ahead) {
                return want;
            }
        }
        self.room_by_memory(want, cx)
    }

    /// The same by what all others hold.
    #[inline(never)]
    fn room_by_memory(&self, want: usize, cx: &Context<'_, '_>) -> usize {
        let Some(Queue { len, max, unsent, chain, window }) = self.open_queue(cx) else { return want };
        let room = want.min(max.saturating_sub(len).min(cx.unsent_room(unsent)) as usize);
        if cx.pool.has_plenty(max as usize, Need::Ahead) {
            return room;
        }
        room.min(memory_share(cx.pool, len, chain.spare(cx.pool), window) as usize)
    }

    fn room_for_last_words(&self, cx: &Context<'_, '_>) -> usize {
        let Some(Queue { len, max, chain, .. }) = self.open_queue(cx) else { return usize::MAX };
        let memory = cx.pool.beyond(Need::Send).max(chain.spare(cx.pool));
        ((max + to_u32(LAST_WORDS)).saturating_sub(len) as usize).min(memory)
    }

    /// What is queued for sending, if the application may add to it.
    fn open_queue(&self, cx: &Context<'_, '_>) -> Option<Queue<'_>> {
        match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) if !h.fin => {
                let len = to_u32(h.queue.len());
                let max = if cx.tuned().0 { self.send_limit.min(START) } else { self.send_limit };
                Some(Queue { len, max, unsent: len, chain: &h.queue, window: None })
            }
            Phase::Synchronized(Synchronized { send, resets: false, .. }) if send.fin == Fin::Open => {
                let (len, max) = (to_u32(send.queue.len()), send.queue_max());
                Some(Queue { len, max, unsent: send.unsent(), chain: &send.queue, window: Some(send.wnd) })
            }
            _ => None,
        }
    }

    /// Would `write` take something, or fail?
    pub(crate) fn is_writable(&self, cx: &Context<'_, '_>) -> bool {
        self.room(1, cx) > 0
    }

    /// Has the peer acknowledged everything that was written, and the FIN if there is one?
    pub(crate) fn acknowledged(&self) -> Result<(), Error> {
        let is_done = match &self.phase {
            Phase::SynSent(_) | Phase::SynReceived(_) => false,
            Phase::Synchronized(s) => s.is_acknowledged(),
            // Nothing was lost by the error that came afterwards.
            Phase::Over(over) if over.acknowledged => true,
            Phase::Over(over) => return over.error.map_or(Ok(()), Err),
        };
        if is_done { Ok(()) } else { Err(Error::WouldBlock) }
    }

    /// RECEIVE: moves readable bytes out. 0 is the peer's FIN and nothing else; `WouldBlock` if
    /// there is nothing yet. An error never overtakes what came in order before it, payload and FIN.
    pub(crate) fn read(&mut self, to: &mut [u8], cx: &mut Context<'_, '_>) -> Result<usize, Error> {
        if to.is_empty() {
            return Ok(0);
        }
        match &mut self.phase {
            Phase::SynSent(_) | Phase::SynReceived(_) => {
                self.stop_waiting_for_payload();
                Err(Error::WouldBlock)
            }
            Phase::Synchronized(s) => {
                let n = s.receive.read(cx.pool, to);
                s.after_reading(n, cx);
                match n {
                    0 if s.receive.finished || s.receive.shut => {
                        s.end_read |= s.receive.finished;
                        Ok(0)
                    }
                    0 => Err(Error::WouldBlock),
                    n => Ok(n),
                }
            }
            Phase::Over(over) => {
                let read = over.peek(cx.pool, to);
                over.unread.consume(cx.pool, read.unwrap_or(0));
                over.end_unread &= read != Ok(0);
                read
            }
        }
    }

    /// Copies readable bytes without taking them; same answers as `read` otherwise (H224).
    pub(crate) fn peek(&self, to: &mut [u8], cx: &Context<'_, '_>) -> Result<usize, Error> {
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
            Phase::Over(over) => over.peek(cx.pool, to),
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
    pub(crate) fn shutdown_write(&mut self, cx: &Context<'_, '_>) {
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => {
                h.fin = true;
                self.stop_waiting_for_payload();
            }
            Phase::Synchronized(s) if s.send.fin == Fin::Open && !s.resets => {
                s.send.fin = Fin::Queued;
                s.send.update_timer(cx.now, cx.config);
            }
            Phase::Synchronized(_) => {}
            Phase::Over(over) => over.closed_locally = true,
        }
    }

    /// The application reads no more: what lies unread is dropped, and new payload is answered with a
    /// reset (M17).
    pub(crate) fn shutdown_read(&mut self, cx: &mut Context<'_, '_>) {
        match &mut self.phase {
            Phase::Synchronized(s) => {
                s.receive.shut(cx.pool);
                s.receive.on_window_update(cx.pool);
            }
            Phase::Over(over) => over.unread.clear(cx.pool),
            Phase::SynSent(h) | Phase::SynReceived(h) => h.read_shut = true,
        }
    }

    /// The application lets go of the connection, `is_whole` if it wrote all that it had to. `Some`: the
    /// connection is over by this reset. `None`: the stack carries it to its end (H019, H228), with a
    /// FIN; or with a reset, once the peer has what was written, if unread data is lost (RFC 1122
    /// §4.2.2.13) or the stream is not whole.
    pub(crate) fn let_go(&mut self, is_whole: bool, cx: &mut Context<'_, '_>) -> Option<Reset> {
        self.orphan = true;
        if cx.options.linger == Some(Duration::ZERO)
            && let Some(reset) = self.reset(cx.now)
        {
            return Some(reset);
        }
        match &mut self.phase {
            Phase::Synchronized(s) if !is_whole || s.resets || s.receive.readable() > 0 => {
                s.receive.shut(cx.pool);
                s.end_by_reset(cx);
                if s.send.queue.is_empty() {
                    return Some(s.reset(cx.now));
                }
            }
            Phase::Synchronized(s) => {
                s.receive.shut(cx.pool);
                self.shutdown_write(cx);
            }
            Phase::SynSent(h) | Phase::SynReceived(h) => {
                h.read_shut = true;
                self.shutdown_write(cx);
            }
            Phase::Over(_) => self.shutdown_write(cx),
        }
        self.watch_orphan(cx.now, cx);
        None
    }

    /// An orphan in FIN-WAIT-2 ends after a while (H016).
    pub(crate) fn watch_orphan(&mut self, now: Instant, cx: &Context<'_, '_>) {
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

    /// FLUSH, as PUSH of RFC 9293 §3.9.1.2: what was written waits for no more of it.
    pub(crate) fn flush(&mut self, cx: &Context<'_, '_>) {
        if let Phase::Synchronized(s) = &mut self.phase {
            s.send.push();
            s.send.update_timer(cx.now, cx.config);
        }
    }

    /// The connection has other options than before: what else knows of them follows.
    pub(crate) fn take_options(&mut self, before: &TcpOptions, cx: &Context<'_, '_>) {
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

/// What a writer may take, who has `queued` bytes already, and whose peer takes `window` of them: to hold no
/// more than is left for the others, so all that write as much as they can come to hold the same. Where
/// memory is short, nobody holds what the peer has no room for, but for a little to ask with; and one that
/// has nothing queued finds a block even when others hold all that they may. A peer that has yet to answer
/// gets nothing then: else two small stacks that connect to each other have no memory for each other's SYNs.
/// What the queue's blocks have room for, `spare`, costs nobody anything.
pub(in crate::tcp) fn memory_share(pool: &Pool<'_>, queued: u32, spare: usize, window: Option<u32>) -> u32 {
    let is_short = pool.beyond(Need::Ahead) == 0;
    if is_short && window.is_none() {
        return 0;
    }
    let (queued, window) = (queued as usize, window.unwrap_or(0) as usize);
    let first = match queued {
        0 if !is_short => pool.block_len(),
        0 if pool.beyond(Need::Window) > 0 => pool.block_len().min(window.max(pool.least_len())),
        0 => pool.least_len(),
        _ => 0,
    };
    let first = first.min(pool.beyond(Need::Send));
    let mut share = pool.beyond(Need::Bulk).saturating_sub(queued).max(spare);
    if is_short {
        share = share.min(window.saturating_sub(queued));
        // A little more than a small block would take a whole one.
        let all = queued + share;
        if all > pool.small_len() && all <= 2 * pool.small_len() {
            share = pool.small_len().saturating_sub(queued);
        }
    }
    to_u32(share.max(first))
}

impl Synchronized {
    /// The application has taken `n` bytes.
    pub(super) fn after_reading(&mut self, n: usize, cx: &mut Context<'_, '_>) {
        self.receive.tune(to_u32(n), self.send.rtt.smoothed(), cx.now);
        self.pass_urgent();
        if n > 0 {
            self.receive.on_window_update(cx.pool);
        }
    }
}

impl Over {
    /// What a reader gets: what is left, once the end if the peer's FIN had come, then the error.
    pub(super) fn peek(&self, pool: &Pool<'_>, to: &mut [u8]) -> Result<usize, Error> {
        match (self.unread.copy_out(pool, 0, to), self.error) {
            (0, Some(error)) if !self.end_unread => Err(error),
            (n, _) => Ok(n),
        }
    }

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

impl Tcb {
    /// Bytes that were written and the peer has not acknowledged, with our FIN as one of them.
    pub(crate) fn undelivered(&self) -> usize {
        let (queue, fin) = match &self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => (&h.queue, h.fin),
            Phase::Synchronized(s) => (&s.send.queue, s.send.fin == Fin::Queued),
            Phase::Over(_) => return 0,
        };
        queue.len() + usize::from(fin)
    }
}
