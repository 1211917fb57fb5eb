//! The application's calls, by key.

use super::parking::Copied;
use super::{Connection, Interest, LastWords, Ready, Starved, Tcp, passive, ready_list};
use crate::base::pool::Pool;
use crate::base::slab::Key;
use crate::base::wakers::{self, Others};
use crate::error::Error;
use crate::tcp::connection::tcb::{Phase, has_memory};
use crate::tcp::context::Context;
use crate::tcp::options::TcpOptions;
use crate::time::Instant;
use core::task::Waker;

impl Tcp<'_> {
    pub(in crate::tcp) fn with<R>(
        &mut self,
        key: Key,
        now: Instant,
        pool: &mut Pool<'_>,
        call: impl FnOnce(&mut Connection, &mut Context<'_, '_>) -> R,
    ) -> Result<R, Error> {
        let c = match self.connections.in_use(key)? {
            Some(c) => c,
            None => self.connections.activated(key, now)?,
        };
        let mut cx = self.settings.cx(c.profile, now, pool);
        let result = call(c, &mut cx);
        let changes = c.changes(cx.options);
        self.reschedule(key.index, changes);
        Ok(result)
    }

    /// As `with`, but one that idles stays so: it has nothing to give. If it `takes` what there is, one that was not told
    /// of the end does not.
    #[inline]
    fn with_reader<R>(
        &mut self,
        key: Key,
        takes: bool,
        now: Instant,
        pool: &mut Pool<'_>,
        call: impl FnOnce(&mut Connection, &mut Context<'_, '_>) -> R,
    ) -> Result<R, Error> {
        let c = match self.connections.in_use(key)? {
            Some(c) => c,
            None => match self.idle_reader(key, takes, now)? {
                Some(mut copy) => {
                    let mut cx = self.settings.cx(copy.profile, now, pool);
                    return Ok(call(&mut copy, &mut cx));
                }
                None => self.connections.activated(key, now)?,
            },
        };
        let mut cx = self.settings.cx(c.profile, now, pool);
        let result = call(c, &mut cx);
        // Reading changes nothing about what may be sent but the window, and with it the acknowledgment.
        match &c.tcb.phase {
            Phase::Synchronized(s) if s.receive.is_ack_due() && !c.ready.is_queued() => {
                let list = ready_list(c.interface);
                self.ready[list].push(&mut Ready(&mut self.connections), key.index);
            }
            Phase::Synchronized(_) => {}
            _ => self.after(key.index),
        }
        Ok(result)
    }

    /// A copy of a connection that idles, for a reader. `None`: it is in use now. What idles has nothing but the end to give,
    /// and remembers that it did.
    #[inline(never)]
    fn idle_reader(&mut self, key: Key, takes: bool, now: Instant) -> Result<Option<Copied>, Error> {
        let is_activated = takes
            && self.connections.idle(key).is_some_and(|c| c.tcb.is_readable())
            && self.connections.activate(key.index, now);
        if is_activated { Ok(None) } else { self.connections.idle(key).map(Some).ok_or(Error::StaleHandle) }
    }

    pub(crate) fn read(
        &mut self,
        key: Key,
        to: &mut [u8],
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<usize, Error> {
        let read = self.with_reader(key, true, now, pool, |c, cx| c.tcb.read(to, cx))?;
        if read.is_ok() {
            self.feed_starved(pool);
        }
        read
    }

    pub(crate) fn read_with<R>(
        &mut self,
        key: Key,
        look: impl FnOnce(&[&[u8]]) -> (usize, R),
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<R, Error> {
        let read = self.with_reader(key, true, now, pool, |c, cx| c.tcb.read_with(look, cx))?;
        if read.is_ok() {
            self.feed_starved(pool);
        }
        read
    }

    pub(crate) fn peek(
        &mut self,
        key: Key,
        to: &mut [u8],
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<usize, Error> {
        self.with_reader(key, false, now, pool, |c, cx| c.tcb.peek(to, cx))?
    }

    pub(crate) fn write(
        &mut self,
        key: Key,
        data: &[u8],
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<usize, Error> {
        self.with(key, now, pool, |c, cx| c.tcb.write(data, cx))?
    }

    pub(crate) fn write_with<R>(
        &mut self,
        key: Key,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<R, Error> {
        self.with(key, now, pool, |c, cx| c.tcb.write_with(most, fill, cx))?
    }

    pub(crate) fn write_whole(
        &mut self,
        key: Key,
        data: &[u8],
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<(), Error> {
        self.with(key, now, pool, |c, cx| c.tcb.write_whole(data, cx))?
    }

    pub(crate) fn is_ready(
        &mut self,
        key: Key,
        interest: Interest,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<bool, Error> {
        match interest {
            Interest::Read => self.with_reader(key, false, now, pool, |c, _| c.tcb.is_readable()),
            Interest::Write => self.with(key, now, pool, |c, cx| c.tcb.is_writable(cx)),
        }
    }

    /// `waker` is woken when the connection can be read, or can be written.
    pub(crate) fn register(
        &mut self,
        key: Key,
        interest: Interest,
        waker: &Waker,
        now: Instant,
        pool: &Pool<'_>,
    ) {
        if !self.keep_waker(key, interest, waker, now) {
            return self.woken.push(waker.clone());
        }
        // Who reads first has nothing to go with the SYN.
        if interest == Interest::Read
            && let Some(c) = self.connections.get_mut(key)
            && c.tcb.stop_waiting_for_payload()
        {
            self.after(key.index);
        }
        // A writer that waits for its peer alone has nothing to do with others' memory.
        if interest == Interest::Write && !has_memory(pool) {
            self.starved.push(&mut Starved(&mut self.connections), key.index);
        }
    }

    /// False: it is to ask again.
    fn keep_waker(&mut self, key: Key, interest: Interest, waker: &Waker, now: Instant) -> bool {
        let place = match interest {
            Interest::Read => self.connections.reader(key),
            // One that idles can be written.
            Interest::Write => self.connections.get_mut(key).map(|c| &mut c.writer),
        };
        let Some(place) = place else { return false };
        // Only a connection in use has room for a second task.
        let is_taken = place.as_ref().is_some_and(|known| !known.will_wake(waker));
        if !is_taken {
            wakers::register(place, &mut Others::new(), waker, &mut self.woken);
            return true;
        }
        let Ok(c) = self.connections.activated(key, now) else { return false };
        let place = match interest {
            Interest::Read => &mut c.reader,
            Interest::Write => &mut c.writer,
        };
        wakers::register(place, &mut c.others, waker, &mut self.woken);
        true
    }

    pub(crate) fn shutdown_write(
        &mut self,
        key: Key,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<(), Error> {
        self.with(key, now, pool, |c, cx| c.tcb.shutdown_write(cx))
    }

    pub(crate) fn flush(&mut self, key: Key, now: Instant, pool: &mut Pool<'_>) -> Result<(), Error> {
        self.with(key, now, pool, |c, cx| c.tcb.flush(cx))
    }

    pub(crate) fn shutdown_read(&mut self, key: Key, now: Instant, pool: &mut Pool<'_>) -> Result<(), Error> {
        self.with(key, now, pool, |c, cx| c.tcb.shutdown_read(cx))?;
        if let Some(c) = self.connections.get_mut(key) {
            c.wake_reader(&mut self.woken);
        }
        Ok(())
    }

    pub(crate) fn take_error(&mut self, key: Key, now: Instant) -> Result<Option<Error>, Error> {
        Ok(self.connections.activated(key, now)?.tcb.take_error())
    }

    pub(crate) fn options(&self, key: Key) -> Result<&TcpOptions, Error> {
        let profile = self.inspect(key, |c| c.profile)?;
        Ok(self.settings.options(profile))
    }

    pub(crate) fn set_options(
        &mut self,
        key: Key,
        options: TcpOptions,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Result<(), Error> {
        let c = self.connections.activated(key, now)?;
        let before = *self.settings.options(c.profile);
        c.profile = self.settings.change(c.profile, options)?;
        self.with(key, now, pool, |c, cx| c.tcb.take_options(&before, cx))
    }

    /// ABORT (RFC 9293 §3.10.5): the connection ends at once, and the peer is told.
    pub(crate) fn abort(&mut self, key: Key, now: Instant, pool: &mut Pool<'_>) -> Option<LastWords> {
        let look = |c: &Connection| (c.tcb.reset(now), c.profile, c.tuple, c.interface);
        let (reset, profile, tuple, interface) = self.connections.inspect(key, look)?;
        let fields = self.settings.options(profile).ip_fields();
        self.take_out(key, pool);
        Some(LastWords { tuple, interface, reset: reset?, fields })
    }

    /// Takes a connection off all tables. False: there is none.
    pub(in crate::tcp) fn take_out(&mut self, key: Key, pool: &mut Pool<'_>) -> bool {
        let look = |c: &Connection| (passive(&c.tcb), c.tcb.opening());
        let Some((passive_on, opening)) = self.connections.inspect(key, look) else { return false };
        self.forget(key.index);
        if let Some(listener) = passive_on {
            self.half_open_ends(listener, key.index);
        }
        self.discard(key.index, pool);
        if let Some(listener) = opening {
            self.fast_open_ends(listener, None);
        }
        self.feed_starved(pool);
        true
    }
}

impl Tcp<'_> {
    /// Bytes up to the end of the urgent data.
    //= rfc9293#3.8.5 MUST-33
    pub(crate) fn urgent(&self, key: Key) -> Result<Option<u32>, Error> {
        self.inspect(key, |c| c.tcb.urgent_left())
    }
}
