//! The calls of TCP's sockets on the pure stack: each returns at once, `WouldBlock` where a socket
//! would wait. Sockets with waiting stand on these; simulations call them as they are.

use core::net::{IpAddr, SocketAddr};
use core::task::Waker;

use super::Stack;
use crate::base::slab::Key;
#[cfg(any(feature = "counters", test))]
use crate::counters::TcpCounts;
use crate::error::Error;
use crate::ip::{self, InterfaceId};
use crate::tcp::{Interest, LastWords, Opened, Reply, State, TcpConfig, TcpInfo, TcpOptions, Tuple};
use crate::time::Instant;
use crate::udp::with_zone;

/// Names a connection for as long as its application holds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TcpHandle(pub(crate) Key);

/// Names a listener.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ListenerHandle(pub(crate) Key);

/// Which way a task waits for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Data, the end of the stream, an error, or urgent data ahead.
    Readable,
    /// Room to write, an established connection, or an error.
    Writable,
}

impl Stack<'_> {
    /// Listens on a port: on one address of ours, on every IPv4 address for
    /// `0.0.0.0`, or on all of both families for `::`. Port 0 chooses
    /// one. At most `backlog` connections wait for [`tcp_accept`](Stack::tcp_accept).
    ///
    /// [`Error::AddrInUse`], [`Error::AddrNotAvailable`] for an address that is not ours,
    /// [`Error::TooManySockets`], [`Error::OutOfMemory`] if the pool is too small for one connection.
    pub fn tcp_listen(&mut self, local: SocketAddr, backlog: u16) -> Result<(ListenerHandle, u16), Error> {
        self.tcp_listen_with(local, backlog, false)
    }

    /// As [`tcp_listen`](Stack::tcp_listen); with `is_shared`, also where other listeners are that said so, on the same
    /// address and port (`SO_REUSEPORT`): a hash of both addresses and ports decides whose a connection is.
    pub fn tcp_listen_with(
        &mut self,
        local: SocketAddr,
        backlog: u16,
        is_shared: bool,
    ) -> Result<(ListenerHandle, u16), Error> {
        self.has_memory_for_one()?;
        let address = local.ip().to_canonical();
        if !address.is_unspecified() && !self.is_ours(address) {
            return Err(Error::AddrNotAvailable);
        }
        let listening = self.tcp.listen(address, local.port(), backlog, is_shared);
        listening.map(|(key, port)| (ListenerHandle(key), port))
    }

    /// The established connection that has waited longest, or [`Error::WouldBlock`].
    ///
    /// [`Error::AddrNotAvailable`]: there is none, and the listener's address was taken away, for as long
    /// as it is.
    pub fn tcp_accept(&mut self, listener: ListenerHandle) -> Result<(TcpHandle, SocketAddr), Error> {
        let accepted = self.tcp.accept(listener.0);
        if accepted == Err(Error::WouldBlock) && !self.listener_has_address(listener)? {
            return Err(Error::AddrNotAvailable); // H265
        }
        let handle = TcpHandle(accepted?);
        let (_, remote) = self.tcp_addresses(handle)?;
        Ok((handle, remote))
    }

    /// Is the address that it listens on one of ours?
    fn listener_has_address(&self, listener: ListenerHandle) -> Result<bool, Error> {
        let address = self.tcp.listener_address(listener.0)?;
        Ok(address.is_unspecified() || self.is_ours(address))
    }

    /// Does a connection wait for [`tcp_accept`](Stack::tcp_accept), or an error?
    pub fn tcp_is_acceptable(&self, listener: ListenerHandle) -> Result<bool, Error> {
        Ok(self.tcp.is_acceptable(listener.0)? || !self.listener_has_address(listener)?)
    }

    /// When a connection waits to be accepted [`next_woken`](Stack::next_woken) gives `waker`.
    pub fn tcp_register_acceptor(&mut self, listener: ListenerHandle, waker: &Waker) {
        self.tcp.register_acceptor(listener.0, waker);
    }

    /// Stops listening. Connections that nobody accepted are reset, and clients that have answered and
    /// wait for a place among those; the next segment of one that is half-open is.
    pub fn tcp_unlisten(&mut self, listener: ListenerHandle, now: Instant) {
        while let Ok((handle, _)) = self.tcp_accept(listener) {
            self.tcp_abort(handle, now);
        }
        while let Some(key) = self.tcp.late(listener.0) {
            self.tcp_abort(TcpHandle(key), now);
        }
        self.tcp.forget_half_open(listener.0, &mut self.pool);
        self.tcp.unlisten(listener.0);
    }

    /// Starts to open a connection. It is established when
    /// [`tcp_state`](Stack::tcp_state) says so; its end is what `tcp_connected` reports.
    ///
    /// At once: [`Error::NetUnreachable`] without a route, [`Error::AddrInvalid`] for a group, an
    /// unspecified address or port 0 (H008), [`Error::AddrNotAvailable`] for a local address that
    /// is not ours (H009), [`Error::AddrInUse`], [`Error::TooManySockets`], [`Error::OutOfMemory`] if
    /// the pool is too small for one connection.
    pub fn tcp_connect(
        &mut self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        now: Instant,
    ) -> Result<TcpHandle, Error> {
        self.tcp_connect_with(remote, local, None, now)
    }

    /// The same with other options than the stack's, which count from the SYN on. Also
    /// [`Error::InvalidInput`]: a field is outside its range.
    pub fn tcp_connect_with(
        &mut self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        options: Option<&TcpOptions>,
        now: Instant,
    ) -> Result<TcpHandle, Error> {
        self.has_memory_for_one()?;
        let zone = self.named_zone(&remote)?;
        let to = remote.ip().to_canonical();
        //= rfc9293#3.9.1.1
        let broadcast = matches!(to, IpAddr::V4(a) if self.is_directed_broadcast(a));
        if remote.port() == 0 || to.is_unspecified() || ip::is_group(to) || broadcast {
            return Err(Error::AddrInvalid);
        }
        let source = local.map(|l| l.ip().to_canonical()).filter(|a| !a.is_unspecified());
        let path = self.path(to, zone, source)?;
        let tuple = Tuple {
            local: path.source,
            remote: to,
            local_port: local.map_or(0, |l| l.port()),
            remote_port: remote.port(),
        };
        self.tcp_give_up_orphan(Opened::ByUs, now);
        self.tcp.connect(tuple, path.interface, path.mtu, options, now, &mut self.pool).map(TcpHandle)
    }

    /// A connection needs a block for each direction, and one has to be left for the questions of others:
    /// with less it would wait for ever for memory that nobody can free.
    fn has_memory_for_one(&self) -> Result<(), Error> {
        if self.pool.is_enough() { Ok(()) } else { Err(Error::OutOfMemory) }
    }

    /// Is the connection established? [`Error::WouldBlock`] while the handshake goes on, else why
    /// it failed. With [`TcpOptions::fast_open`] nobody need wait for the handshake, where the server's
    /// cookie is known.
    pub fn tcp_connected(&self, handle: TcpHandle) -> Result<(), Error> {
        self.tcp.inspect(handle.0, |c| c.tcb.connected())?
    }

    /// The state of RFC 9293 §3.3.2. A connection in TIME-WAIT is `Closed` to its application.
    pub fn tcp_state(&self, handle: TcpHandle) -> Result<State, Error> {
        self.tcp.inspect(handle.0, |c| c.tcb.state())
    }

    /// What is known of the connection: see [`TcpInfo`].
    pub fn tcp_info(&self, handle: TcpHandle, now: Instant) -> Result<TcpInfo, Error> {
        self.tcp.inspect(handle.0, |c| c.tcb.info(now, &self.tcp.settings.config))
    }

    /// Why the connection ended, or a problem that may pass, which is told once: an ICMP error, or a
    /// peer that does not answer (RFC 9293 §3.9.1.8).
    pub fn tcp_take_error(&mut self, handle: TcpHandle, now: Instant) -> Result<Option<Error>, Error> {
        self.tcp.take_error(handle.0, now)
    }

    /// Local and remote address and port.
    pub fn tcp_addresses(&self, handle: TcpHandle) -> Result<(SocketAddr, SocketAddr), Error> {
        let (t, interface) = self.tcp.inspect(handle.0, |c| (c.tuple, c.interface))?;
        let zone = interface.zone();
        Ok((with_zone(t.local, t.local_port, zone), with_zone(t.remote, t.remote_port, zone)))
    }

    /// Moves received bytes to `to`. 0: the peer has closed its side (or `to` is empty).
    ///
    /// [`Error::WouldBlock`], [`Error::ConnectionReset`], [`Error::TimedOut`] and what else ended
    /// the connection: after all that came in order before it, the peer's FIN included, and on every call
    /// from then on.
    pub fn tcp_read(&mut self, handle: TcpHandle, to: &mut [u8], now: Instant) -> Result<usize, Error> {
        self.tcp.read(handle.0, to, now, &mut self.pool)
    }

    /// As [`tcp_read`](Stack::tcp_read), but the bytes stay.
    pub fn tcp_peek(&mut self, handle: TcpHandle, to: &mut [u8], now: Instant) -> Result<usize, Error> {
        self.tcp.peek(handle.0, to, now, &mut self.pool)
    }

    /// As [`tcp_read`](Stack::tcp_read) without a copy: `look` is lent what can be read, in the pieces in which it
    /// lies, and says how many bytes of that it takes. No pieces: the peer has closed its side.
    pub fn tcp_read_with<R>(
        &mut self,
        handle: TcpHandle,
        look: impl FnOnce(&[&[u8]]) -> (usize, R),
        now: Instant,
    ) -> Result<R, Error> {
        self.tcp.read_with(handle.0, look, now, &mut self.pool)
    }

    /// As [`tcp_write`](Stack::tcp_write) without a copy: `fill` is lent memory for `most` bytes at most and one at
    /// least, with anything in it, and says how many it wrote.
    pub fn tcp_write_with<R>(
        &mut self,
        handle: TcpHandle,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
        now: Instant,
    ) -> Result<R, Error> {
        self.tcp.write_with(handle.0, most, fill, now, &mut self.pool)
    }

    /// Queues bytes for sending, as many as there is room for.
    ///
    /// [`Error::WouldBlock`], [`Error::ClosedLocally`] after our own shutdown,
    /// [`Error::ClosedByPeer`], and what else ended the connection.
    pub fn tcp_write(&mut self, handle: TcpHandle, data: &[u8], now: Instant) -> Result<usize, Error> {
        self.tcp.write(handle.0, data, now, &mut self.pool)
    }

    /// Has the peer acknowledged everything that was written, and our FIN if there is one?
    /// [`Error::WouldBlock`]: not yet (it is a [`Readiness::Writable`] when it does); else why it will
    /// not.
    pub fn tcp_acknowledged(&self, handle: TcpHandle) -> Result<(), Error> {
        self.tcp.inspect(handle.0, |c| c.tcb.acknowledged())?
    }

    /// As [`tcp_write`](Stack::tcp_write), but all of it or nothing, and 4 KiB beyond a full send buffer:
    /// [`Error::WouldBlock`] if there is no room for all even so, or no memory.
    pub fn tcp_write_whole(&mut self, handle: TcpHandle, data: &[u8], now: Instant) -> Result<(), Error> {
        self.tcp.write_whole(handle.0, data, now, &mut self.pool)
    }

    /// How many bytes there are to read up to the end of the peer's urgent data, what has not come yet
    /// included; `None`: no urgent data is ahead (RFC 9293 §3.8.5).
    pub fn tcp_urgent(&self, handle: TcpHandle) -> Result<Option<u32>, Error> {
        self.tcp.urgent(handle.0)
    }

    /// Would [`tcp_read`](Stack::tcp_read) or [`tcp_write`](Stack::tcp_write) do something, or fail?
    pub fn tcp_is_ready(
        &mut self,
        handle: TcpHandle,
        readiness: Readiness,
        now: Instant,
    ) -> Result<bool, Error> {
        self.tcp.is_ready(handle.0, readiness.interest(), now, &mut self.pool)
    }

    /// At the next change of that kind [`next_woken`](Stack::next_woken) gives `waker`. Several tasks may
    /// wait.
    pub fn tcp_register(&mut self, handle: TcpHandle, readiness: Readiness, waker: &Waker, now: Instant) {
        self.tcp.register(handle.0, readiness.interest(), waker, now, &self.pool);
    }

    /// Sends a FIN after what was written; reading goes on.
    pub fn tcp_shutdown_write(&mut self, handle: TcpHandle, now: Instant) -> Result<(), Error> {
        self.tcp.shutdown_write(handle.0, now, &mut self.pool)
    }

    /// What was written goes as soon as the windows let it: see [`TcpStream::flush`](crate::TcpStream::flush).
    pub fn tcp_flush(&mut self, handle: TcpHandle, now: Instant) -> Result<(), Error> {
        self.tcp.flush(handle.0, now, &mut self.pool)
    }

    /// Reads no more: what lies unread is dropped; if the peer sends more, it is told by a reset, and
    /// the connection ends with [`Error::ConnectionAborted`].
    pub fn tcp_shutdown_read(&mut self, handle: TcpHandle, now: Instant) -> Result<(), Error> {
        self.tcp.shutdown_read(handle.0, now, &mut self.pool)
    }

    /// The connection's options.
    pub fn tcp_options(&self, handle: TcpHandle) -> Result<TcpOptions, Error> {
        self.tcp.options(handle.0).copied()
    }

    /// Other options for the connection. [`Error::InvalidInput`]: a field is outside its range;
    /// [`Error::OutOfMemory`]: too many connections have options of their own.
    pub fn tcp_set_options(
        &mut self,
        handle: TcpHandle,
        options: TcpOptions,
        now: Instant,
    ) -> Result<(), Error> {
        self.tcp.set_options(handle.0, options, now, &mut self.pool)
    }

    /// Nagle's rule off (`true`) or on: [`TcpOptions::nodelay`].
    pub fn tcp_set_nodelay(&mut self, handle: TcpHandle, nodelay: bool, now: Instant) -> Result<(), Error> {
        let options = self.tcp_options(handle)?;
        self.tcp_set_options(handle, TcpOptions { nodelay, ..options }, now)
    }

    /// The options that the listener's connections inherit.
    pub fn tcp_listener_options(&self, listener: ListenerHandle) -> Result<TcpOptions, Error> {
        self.tcp.listener_options(listener.0).copied()
    }

    /// Other options for connections that come from now on; errors as for
    /// [`tcp_set_options`](Stack::tcp_set_options).
    pub fn tcp_set_listener_options(
        &mut self,
        listener: ListenerHandle,
        options: TcpOptions,
    ) -> Result<(), Error> {
        self.tcp.set_listener_options(listener.0, options)
    }

    /// How often what happened in TCP: see [`TcpCount`](crate::counters::TcpCount).
    #[cfg(any(feature = "counters", test))]
    pub fn tcp_counts(&self) -> &TcpCounts {
        &self.tcp.settings.counts
    }

    /// Lets go of the connection: what was written is still sent, then a FIN, and the stack sees it
    /// to its end. If received data was never read, or comes now, a reset takes the place of the FIN, so
    /// that the peer learns of the loss (RFC 1122 §4.2.2.13); it is sent when the peer has acknowledged
    /// what was written, at once if there is nothing.
    pub fn tcp_close(&mut self, handle: TcpHandle, now: Instant) {
        let reset = self.tcp.let_go(handle.0, true, now, &mut self.pool);
        self.send_reset(reset, now);
    }

    /// As [`tcp_close`](Stack::tcp_close) for an application that failed: what it wrote is still sent, and
    /// then a reset says that it is not the whole stream.
    pub fn tcp_fail(&mut self, handle: TcpHandle, now: Instant) {
        let reset = self.tcp.let_go(handle.0, false, now, &mut self.pool);
        self.send_reset(reset, now);
    }

    /// For the end of a program: listeners are closed, and connections that are still held are let go of, as by
    /// [`tcp_fail`](Stack::tcp_fail).
    pub fn tcp_let_go_of_all(&mut self, now: Instant) {
        for index in 0..self.tcp.listener_places() {
            if let Some(key) = self.tcp.listener_at(index) {
                self.tcp_unlisten(ListenerHandle(key), now);
            }
        }
        for index in 0..self.tcp.places() {
            if let Some(key) = self.tcp.held_at(index) {
                self.tcp_fail(TcpHandle(key), now);
            }
        }
    }

    /// What connections that nobody holds have yet to deliver: how many have, and how many bytes their peers have
    /// not acknowledged; each FIN is one. It looks at all connections in use.
    pub fn tcp_undelivered(&self) -> (usize, usize) {
        let all = (0..self.tcp.places()).filter_map(|index| self.tcp.undelivered_at(index));
        all.fold((0, 0), |(connections, bytes), (_, more)| (connections + 1, bytes + more))
    }

    /// Resets those connections.
    pub fn tcp_abort_undelivered(&mut self, now: Instant) {
        for index in 0..self.tcp.places() {
            if let Some((key, _)) = self.tcp.undelivered_at(index) {
                self.tcp_abort(TcpHandle(key), now);
            }
        }
    }

    /// Ends the connection at once with a reset.
    pub fn tcp_abort(&mut self, handle: TcpHandle, now: Instant) {
        let reset = self.tcp.abort(handle.0, now, &mut self.pool);
        self.send_reset(reset, now);
    }

    /// Resets a connection that nobody holds, if a new one needs its place. True: there is one now.
    pub(super) fn tcp_give_up_orphan(&mut self, opened: Opened, now: Instant) -> bool {
        let evictable = self.tcp.evictable(opened, now);
        if let Some(key) = evictable {
            self.tcp_abort(TcpHandle(key), now);
        }
        evictable.is_some()
    }

    fn send_reset(&mut self, last: Option<LastWords>, now: Instant) {
        if let Some(LastWords { tuple, interface, reset, fields }) = last {
            self.tcp_reply(&tuple, interface, (Reply::Reset(reset), fields), now);
        }
    }

    /// The settings of TCP. A stack without memory has none yet: all is zero.
    pub fn tcp_config(&self) -> &TcpConfig {
        &self.tcp.settings.config
    }

    /// Changes some of the settings of TCP, for connections that come about from now on.
    /// [`Error::InvalidInput`] names a field that is outside its range; then none is changed.
    pub fn configure_tcp(&mut self, change: impl FnOnce(&mut TcpConfig)) -> Result<(), Error> {
        self.tcp.settings.set_defaults();
        let mut config = self.tcp.settings.config;
        change(&mut config);
        config.check()?;
        self.tcp.settings.config = config;
        Ok(())
    }

    /// The device of an interface is gone, and with it every connection through it. Acceptors look
    /// again.
    pub(super) fn tcp_device_gone(&mut self, interface: InterfaceId, now: Instant) {
        for index in 0..self.tcp.places() {
            if let Some(tuple) = self.tcp.live_on(interface, index) {
                let outcome = self.tcp.fail(index, Error::DeviceGone, now, &mut self.pool);
                self.tcp_outcome(&tuple, interface, outcome, now);
            }
        }
        self.tcp.wake_acceptors();
    }

    /// An address was taken away, and with it every connection from it; other interfaces may have it still.
    pub(super) fn tcp_address_gone(&mut self, address: IpAddr, now: Instant) {
        for index in 0..self.tcp.places() {
            if let Some((tuple, interface)) = self.tcp.live_from(address, index)
                && !self.is_ours_in(interface, address)
            {
                let outcome = self.tcp.fail(index, Error::AddrNotAvailable, now, &mut self.pool);
                self.tcp_outcome(&tuple, interface, outcome, now);
            }
        }
    }

    /// Connections that exist, half-open ones included, and records in TIME-WAIT.
    pub fn tcp_count(&self) -> (usize, usize) {
        (self.tcp.len(), self.tcp.time_waits())
    }
}

impl Readiness {
    fn interest(self) -> Interest {
        match self {
            Readiness::Readable => Interest::Read,
            Readiness::Writable => Interest::Write,
        }
    }
}
