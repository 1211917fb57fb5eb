//! A TCP connection as a stream of bytes.

#[cfg(feature = "alloc")]
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::task::{Context, Poll};

use super::{ReadHalf, TcpBuilder, ToSocketAddrs, WriteHalf};
#[cfg(feature = "alloc")]
use crate::base::sync::Lock;
use crate::error::Error;
use crate::net::Net;
use crate::stack::{Readiness, Stack, TcpHandle};
use crate::tcp::{KeepAlive, LAST_WORDS, State, TcpInfo, TcpOptions};
use crate::time::{Duration, Instant, ToTimeout};

/// Which directions of a connection are shut down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// Nothing more will be read: what lies unread is dropped. If the peer sends more, it is told by a
    /// reset, once it has what was written, and the connection ends with [`Error::ConnectionAborted`], for
    /// writing too.
    Read,
    /// Nothing more will be written: the peer reads the end of the stream. Reading goes on.
    Write,
    /// Both.
    Both,
}

/// A connection whose handle names none any more was aborted while somebody held it.
pub(super) fn aborted<R>(result: Result<R, Error>) -> Result<R, Error> {
    result.map_err(|error| if error == Error::StaleHandle { Error::ConnectionAborted } else { error })
}

/// Both ends of a connection.
///
/// ```
/// let (local, remote) = ("192.0.2.7:80".parse().unwrap(), "192.0.2.1:5000".parse().unwrap());
/// let tags = barenet::Tags { local, remote };
/// assert_eq!(tags.to_string(), "local=192.0.2.7:80 remote=192.0.2.1:5000");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tags {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "local={} remote={}", self.local, self.remote)
    }
}

/// A TCP connection.
///
/// ```no_run
/// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
/// use barenet::{Shutdown, TcpStream};
/// let mut flow = TcpStream::connect(net, "192.0.2.1:80")?;
/// flow.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// flow.shutdown(Shutdown::Write)?;
/// let mut buf = [0; 1500];
/// while let n @ 1.. = flow.read(&mut buf)? {
///     println!("{n} bytes");
/// }
/// # Ok(()) }
/// ```
///
/// Dropping it closes it without waiting: what was written is still delivered, then the peer
/// reads the end of the stream, and the stack sees the connection to its end under its own timers.
/// If received data was never read, or comes after that, a reset takes the place of the end, so that the
/// peer learns of the loss (RFC 1122 §4.2.2.13); likewise while a panic unwinds. It follows when the peer
/// has acknowledged what was written. To wait for that, see [`close`](TcpStream::close).
///
/// # Which comes first
///
/// When a connection fails, by a reset, a timeout, or because its device is gone, nothing that came in
/// order before is lost:
///
/// | call | gives |
/// |---|---|
/// | `read`, `peek` | the text that had come, then, if the peer's FIN had come, 0 (once, if that was not read before), then the error on every call |
/// | `write` | the error at once, on every call; [`Error::ClosedByPeer`] for a reset after the peer's FIN |
/// | `take_error` | the error at once, on every call |
/// | `poll_connected` | nothing of it, if the handshake had been completed |
/// | `poll_acknowledged`, `close` with linger | the error, unless everything was acknowledged before |
pub struct TcpStream {
    net: Net,
    handle: TcpHandle,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    /// What all clones share, if there ever was one.
    #[cfg(feature = "alloc")]
    pub(super) holders: Lock<Option<Arc<()>>>,
}

impl TcpStream {
    pub(super) fn new(net: Net, handle: TcpHandle) -> Self {
        TcpStream {
            net,
            handle,
            read_timeout: None,
            write_timeout: None,
            #[cfg(feature = "alloc")]
            holders: Lock::new(None),
        }
    }

    /// Opens a connection; with several addresses, to the first that answers. By name (`"example.org:80"`) both families are tried in turns,
    /// each address 250 ms after the one before, as RFC 8305 says ([`EyeballsConfig`](crate::names::EyeballsConfig)), and the first that
    /// answers is taken.
    ///
    /// [`Error::ConnectionRefused`], [`Error::TimedOut`], [`Error::NetUnreachable`] at once
    /// without a route, [`Error::HostUnreachable`] when the next hop does not answer,
    /// [`Error::AddrInvalid`] for a group, unspecified address or port 0, [`Error::OutOfMemory`] if
    /// the stack's memory is too small for one connection; by name, those of [`Net::lookup`], too.
    pub fn connect(net: &Net, to: impl ToSocketAddrs) -> Result<TcpStream, Error> {
        TcpBuilder::new(net).connect(to)
    }

    /// As [`connect`](TcpStream::connect), with a limit for each address.
    pub fn connect_timeout(
        net: &Net,
        to: impl ToSocketAddrs,
        timeout: impl Into<Duration>,
    ) -> Result<TcpStream, Error> {
        TcpBuilder::new(net).timeout(timeout).connect(to)
    }

    /// As [`connect`](TcpStream::connect), for an executor. Dropped before it is ready, it gives the connection up.
    pub async fn connect_async(net: &Net, to: impl ToSocketAddrs) -> Result<TcpStream, Error> {
        TcpBuilder::new(net).connect_async(to).await
    }

    /// Sends the SYN and does not wait: [`poll_connected`](TcpStream::poll_connected) tells how
    /// it goes.
    pub fn start_connect(net: &Net, to: SocketAddr) -> Result<TcpStream, Error> {
        TcpBuilder::new(net).start_connect(to)
    }

    /// As [`start_connect`](TcpStream::start_connect), from this address and port of ours (an
    /// unspecified address and port 0 are chosen) and with other options than the stack's, which
    /// count from the SYN on.
    ///
    /// Besides [`connect`](TcpStream::connect)'s errors: [`Error::AddrNotAvailable`],
    /// [`Error::AddrInUse`], and [`Error::InvalidInput`] for an option outside its range.
    pub fn start_connect_with(
        net: &Net,
        to: SocketAddr,
        local: Option<SocketAddr>,
        options: Option<&TcpOptions>,
    ) -> Result<TcpStream, Error> {
        let handle = net.call(|stack, now| stack.tcp_connect_with(to, local, options, now))?;
        Ok(TcpStream::new(net.clone(), handle))
    }

    /// Both directions apart, for a task that reads while another writes: in scoped threads, or joined
    /// futures. Whoever has the stream still closes it.
    ///
    /// ```no_run
    /// # async fn example(stream: &mut barenet::TcpStream) -> Result<(), barenet::Error> {
    /// let (mut reader, mut writer) = stream.split();
    /// let ask = async { writer.write_all_async(&[7; 100_000]).await.and_then(|()| writer.shutdown()) };
    /// let hear = async {
    ///     let mut buf = [0; 1500];
    ///     while reader.read_async(&mut buf).await? > 0 {}
    ///     Ok::<(), barenet::Error>(())
    /// };
    /// # let _ = (ask, hear);
    /// # Ok(()) }
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    pub(super) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        readiness: Readiness,
        operation: impl FnOnce(&mut Stack<'static>, Instant) -> Result<R, Error>,
    ) -> Poll<Result<R, Error>> {
        let result = self.net.call(|stack, now| {
            let result = operation(stack, now);
            if let Err(Error::WouldBlock) = result {
                stack.tcp_register(self.handle, readiness, cx.waker(), now);
            }
            result
        });
        match result {
            Err(Error::WouldBlock) => Poll::Pending,
            result => Poll::Ready(aborted(result)),
        }
    }

    /// Ready when the handshake is over, one way or the other.
    pub fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll(cx, Readiness::Writable, |stack, _| stack.tcp_connected(self.handle))
    }

    /// [`read`](TcpStream::read) in poll form.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        ReadHalf(self).poll_read(cx, buf)
    }

    /// [`write`](TcpStream::write) in poll form.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Error>> {
        WriteHalf(self).poll_write(cx, data)
    }

    /// Reads what has arrived, at least a byte; 0 at the end of the stream (or for an empty
    /// `buf`). A reset is never an end: it is [`Error::ConnectionReset`], now and on every later
    /// call; what had come in order before it is read first, as for every
    /// [failure](TcpStream#which-comes-first).
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        ReadHalf(self).read(buf)
    }

    /// Fills `buf`. [`Error::UnexpectedEof`] if the stream ends before.
    pub fn read_exact(&mut self, buf: &mut [u8]) -> Result<(), Error> {
        ReadHalf(self).read_exact(buf)
    }

    /// Copies what [`read`](TcpStream::read) would give, without taking it.
    pub fn peek(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let (net, timeout) = (self.net.clone(), self.read_timeout);
        net.wait_for(timeout, |cx| self.poll_peek(cx, buf))
    }

    /// [`peek`](TcpStream::peek) in poll form.
    pub fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        ReadHalf(self).poll_peek(cx, buf)
    }

    /// Would a read give something now: data, the end, or an error?
    pub fn is_readable(&self) -> Result<bool, Error> {
        self.net.attempt_is(|stack, now| stack.tcp_is_ready(self.handle, Readiness::Readable, now))
    }

    /// Would a write take something now, or fail?
    pub fn is_writable(&self) -> Result<bool, Error> {
        self.net.attempt_is(|stack, now| stack.tcp_is_ready(self.handle, Readiness::Writable, now))
    }

    /// How many bytes there are to read up to the end of what the peer marked as urgent, what has not
    /// come yet included; `None`: nothing urgent is ahead. The data itself stands in the stream, where
    /// it belongs; nothing can be sent as urgent (RFC 9293 §3.8.5, RFC 6093).
    pub fn urgent(&self) -> Result<Option<u32>, Error> {
        self.net.with_stack(|stack| stack.tcp_urgent(self.handle))
    }

    /// Ready when something urgent is ahead, with what [`urgent`](TcpStream::urgent) says.
    pub fn poll_urgent(&self, cx: &mut Context<'_>) -> Poll<Result<u32, Error>> {
        self.poll(cx, Readiness::Readable, |stack, _| stack.tcp_urgent(self.handle)?.ok_or(Error::WouldBlock))
    }

    /// Queues at least one byte of `data` for sending, waiting for room, and says how many.
    ///
    /// [`Error::ClosedByPeer`], [`Error::ClosedLocally`] after our own shutdown of writing,
    /// [`Error::ConnectionReset`], [`Error::TimedOut`].
    pub fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        WriteHalf(self).write(data)
    }

    /// Queues all of `data`, waiting for room as often as needed.
    pub fn write_all(&mut self, data: &[u8]) -> Result<(), Error> {
        WriteHalf(self).write_all(data)
    }

    /// Reads what is there, without waiting: [`Error::WouldBlock`] if nothing is.
    pub fn try_read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        aborted(self.net.attempt(|stack, now| stack.tcp_read(self.handle, buf, now)))
    }

    /// Queues what there is room for, without waiting: [`Error::WouldBlock`] if there is none.
    pub fn try_write(&mut self, data: &[u8]) -> Result<usize, Error> {
        aborted(self.net.attempt(|stack, now| stack.tcp_write(self.handle, data, now)))
    }

    /// Bytes for which [`write_without_interruption`](TcpStream::write_without_interruption) has room
    /// beyond a full send buffer: 4 KiB, and not more until the peer has taken some.
    pub const LAST_WORDS: usize = LAST_WORDS;

    /// Queues all of `data` or nothing, without waiting and without being interrupted: for the last
    /// words of what is being torn down, such as in a `drop`. A full send buffer takes
    /// [`LAST_WORDS`](TcpStream::LAST_WORDS) bytes more. The peer reads them before it learns of the end,
    /// or of the reset if a panic unwinds.
    ///
    /// [`Error::WouldBlock`]: there is no room for all of it even so, or too little memory in the whole
    /// stack (last words leave a sixteenth), and nothing was taken. Others as for
    /// [`write`](TcpStream::write).
    pub fn write_without_interruption(&mut self, data: &[u8]) -> Result<(), Error> {
        WriteHalf(self).write_without_interruption(data)
    }

    /// [`read`](TcpStream::read) for an executor. Dropped before it is ready, it has taken nothing.
    pub async fn read_async(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        ReadHalf(self).read_async(buf).await
    }

    /// [`write`](TcpStream::write) for an executor. Dropped before it is ready, it has taken nothing.
    pub async fn write_async(&mut self, data: &[u8]) -> Result<usize, Error> {
        WriteHalf(self).write_async(data).await
    }

    /// [`write_all`](TcpStream::write_all) for an executor. Dropped before it is ready, it has written a part,
    /// and nobody knows which: where that matters, write by [`poll_write`](TcpStream::poll_write).
    pub async fn write_all_async(&mut self, data: &[u8]) -> Result<(), Error> {
        WriteHalf(self).write_all_async(data).await
    }

    /// Sends what was written as soon as the windows let it, the last segment too if it is not full: neither Nagle's
    /// rule nor [`TcpOptions::cork`] holds it any longer. It does not wait for that, nor for the peer: see
    /// [`wait_acknowledged`](TcpStream::wait_acknowledged). (PUSH of RFC 9293 §3.9.1.2; the `flush` of each trait of I/O.)
    ///
    /// A message that is written in pieces goes in full segments, and without delay:
    ///
    /// ```no_run
    /// # fn example(mut stream: barenet::TcpStream) -> Result<(), barenet::Error> {
    /// stream.configure(|options| options.cork = true)?;
    /// stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
    /// stream.write_all(b"Content-Length: 3\r\n\r\n")?;
    /// stream.write_all(b"yes")?;
    /// stream.flush()?;
    /// # Ok(()) }
    /// ```
    ///
    /// Nothing to send is no error. What ended the connection is told by the next write or read.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.push()
    }

    pub(super) fn push(&self) -> Result<(), Error> {
        self.net.call(|stack, now| stack.tcp_flush(self.handle, now))
    }

    /// Shuts down one direction or both, without waiting.
    pub fn shutdown(&mut self, how: Shutdown) -> Result<(), Error> {
        self.shut(how)
    }

    pub(super) fn shut(&self, how: Shutdown) -> Result<(), Error> {
        self.net.call(|stack, now| {
            if matches!(how, Shutdown::Read | Shutdown::Both) {
                stack.tcp_shutdown_read(self.handle, now)?;
            }
            if matches!(how, Shutdown::Write | Shutdown::Both) {
                stack.tcp_shutdown_write(self.handle, now)?;
            }
            Ok(())
        })
    }

    /// Ready when the peer has acknowledged everything that was written, and our FIN if there is one;
    /// with an error, when it will not.
    pub fn poll_acknowledged(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll(cx, Readiness::Writable, |stack, _| stack.tcp_acknowledged(self.handle))
    }

    /// Closes the connection as dropping it does, if nobody has a clone of it. With [`TcpOptions::linger`] it waits for the peer to
    /// have everything: [`Error::TimedOut`] if that takes longer, and the stack goes on delivering;
    /// [`Error::ConnectionReset`] and others if it fails.
    pub fn close(self) -> Result<(), Error> {
        #[cfg(feature = "alloc")]
        if self.is_shared() {
            return Ok(());
        }
        match self.linger()? {
            None | Some(Duration::ZERO) => Ok(()),
            limit => {
                self.shut(Shutdown::Write)?;
                self.net.wait_for(limit, |cx| self.poll_acknowledged(cx))
            }
        }
    }

    /// Ends the connection at once with a reset: what was not delivered is lost. Whoever waits for it,
    /// and who reads or writes later, gets [`Error::ConnectionAborted`].
    pub fn abort(&self) {
        self.net.under_lock(|stack, now| stack.tcp_abort(self.handle, now));
    }

    /// For a task that panicked: what was written is still sent, and then a reset says that it is not all.
    #[cfg(all(feature = "alloc", feature = "std"))]
    pub(super) fn abort_after_delivery(&self) {
        self.net.let_go(|stack, now| stack.tcp_fail(self.handle, now));
    }

    /// Our address and port.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.net.with_stack(|stack| stack.tcp_addresses(self.handle)).map(|(local, _)| local)
    }

    /// The peer's address and port.
    pub fn peer_addr(&self) -> Result<SocketAddr, Error> {
        self.net.with_stack(|stack| stack.tcp_addresses(self.handle)).map(|(_, remote)| remote)
    }

    /// Both ends of the connection, for a line of a log.
    pub fn tags(&self) -> Result<Tags, Error> {
        let (local, remote) = self.net.with_stack(|stack| stack.tcp_addresses(self.handle))?;
        Ok(Tags { local, remote })
    }

    /// The state of RFC 9293 §3.3.2.
    pub fn state(&self) -> Result<State, Error> {
        self.net.with_stack(|stack| stack.tcp_state(self.handle))
    }

    /// What is known of the connection: round-trip time, windows, what is in flight, counts.
    pub fn info(&self) -> Result<TcpInfo, Error> {
        self.net.under_lock(|stack, now| stack.tcp_info(self.handle, now))
    }

    /// Why the connection ended, or a problem that may pass, which is told once: an ICMP error, or a
    /// peer that does not answer (RFC 9293 §3.9.1.8).
    pub fn take_error(&self) -> Result<Option<Error>, Error> {
        self.net.under_lock(|stack, now| stack.tcp_take_error(self.handle, now))
    }

    /// The connection's options.
    pub fn options(&self) -> Result<TcpOptions, Error> {
        self.net.with_stack(|stack| stack.tcp_options(self.handle))
    }

    /// Changes some of the connection's options.
    ///
    /// ```no_run
    /// # fn example(stream: &barenet::TcpStream) -> Result<(), barenet::Error> {
    /// stream.configure(|options| options.dscp = 46)?;
    /// # Ok(()) }
    /// ```
    ///
    /// [`Error::InvalidInput`]: a field is outside its range; nothing is changed then.
    /// [`Error::OutOfMemory`]: too many connections have options of their own.
    pub fn configure(&self, change: impl FnOnce(&mut TcpOptions)) -> Result<(), Error> {
        self.net.call(|stack, now| {
            let mut options = stack.tcp_options(self.handle)?;
            change(&mut options);
            stack.tcp_set_options(self.handle, options, now)
        })
    }

    /// True: small segments go out at once, not held back until earlier ones are acknowledged
    /// (Nagle's rule off). Default false.
    //= rfc9293#3.7.4 MUST-17
    pub fn set_nodelay(&mut self, nodelay: bool) -> Result<(), Error> {
        self.configure(|options| options.nodelay = nodelay)
    }

    /// Do small segments go out at once?
    pub fn nodelay(&self) -> Result<bool, Error> {
        Ok(self.options()?.nodelay)
    }

    /// TTL or hop limit of what is sent, from 1 on. Default 64.
    pub fn set_ttl(&mut self, ttl: u8) -> Result<(), Error> {
        self.configure(|options| options.hop_limit = ttl)
    }

    /// TTL or hop limit of what is sent.
    pub fn ttl(&self) -> Result<u8, Error> {
        Ok(self.options()?.hop_limit)
    }

    /// What closing does: see [`TcpOptions::linger`].
    pub fn set_linger(&mut self, linger: Option<Duration>) -> Result<(), Error> {
        self.configure(|options| options.linger = linger)
    }

    /// What closing does.
    pub fn linger(&self) -> Result<Option<Duration>, Error> {
        Ok(self.options()?.linger)
    }

    /// Asks a silent peer whether it is still there; `None`, the default: does not.
    pub fn set_keep_alive(&mut self, keep_alive: Option<KeepAlive>) -> Result<(), Error> {
        self.configure(|options| options.keep_alive = keep_alive)
    }

    /// When a silent peer is asked.
    pub fn keep_alive(&self) -> Result<Option<KeepAlive>, Error> {
        Ok(self.options()?.keep_alive)
    }

    /// How long the peer may leave what was sent unanswered; `None`: as long as
    /// [`TcpConfig`](crate::TcpConfig) says.
    pub fn set_user_timeout(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        self.configure(|options| options.user_timeout = timeout)
    }

    /// How long the peer may leave what was sent unanswered.
    pub fn user_timeout(&self) -> Result<Option<Duration>, Error> {
        Ok(self.options()?.user_timeout)
    }

    /// The longest that a read waits before [`Error::TimedOut`], in its async form too (which needs the feature
    /// `alloc` for that); `None`, the default: for ever. No data is lost by it.
    pub fn set_read_timeout(&mut self, timeout: impl ToTimeout) {
        self.read_timeout = timeout.to_timeout();
    }

    /// The longest that a write waits for room before [`Error::TimedOut`], in its async form too (which needs
    /// the feature `alloc` for that); `None`, the default: for ever.
    pub fn set_write_timeout(&mut self, timeout: impl ToTimeout) {
        self.write_timeout = timeout.to_timeout();
    }

    /// The network that it is a connection of.
    pub fn net(&self) -> &Net {
        &self.net
    }

    pub(super) fn handle(&self) -> TcpHandle {
        self.handle
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        #[cfg(feature = "alloc")]
        if !self.is_last_holder() {
            return;
        }
        self.net.let_go(|stack, now| {
            // Closing in order while a panic unwinds would pass for a whole stream; but what was written
            // before it, such as last words, is the peer's.
            #[cfg(feature = "std")]
            if std::thread::panicking() {
                return stack.tcp_fail(self.handle, now);
            }
            stack.tcp_close(self.handle, now);
        });
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.net.with_stack(|stack| stack.tcp_addresses(self.handle));
        match addresses {
            Ok((local, remote)) => write!(f, "TcpStream({local} <-> {remote})"),
            Err(_) => f.write_str("TcpStream(closed)"),
        }
    }
}

#[cfg(feature = "std")]
impl std::io::Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        Ok(TcpStream::read(self, buf)?)
    }
}

#[cfg(feature = "std")]
impl std::io::Write for TcpStream {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        Ok(TcpStream::write(self, data)?)
    }
    fn write_vectored(&mut self, slices: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        Ok(WriteHalf(self).write_slices(slices)?)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(self.push()?)
    }
}

#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tests;
