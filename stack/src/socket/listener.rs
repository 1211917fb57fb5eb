//! A listening port, and serving what comes to it.

#[cfg(feature = "alloc")]
use crate::base::sync::atomic::{AtomicUsize, Ordering};
#[cfg(feature = "alloc")]
use alloc::{boxed::Box, format, sync::Arc};
use core::net::SocketAddr;
#[cfg(feature = "alloc")]
use core::task::Waker;
use core::task::{Context, Poll};

use super::{TcpBuilder, TcpStream, ToListenAddr};
#[cfg(feature = "alloc")]
use crate::base::sync::Lock;
use crate::error::Error;
use crate::net::Net;
use crate::stack::ListenerHandle;
#[cfg(feature = "alloc")]
use crate::tcp::KeepAlive;
use crate::tcp::TcpOptions;
use crate::time::Duration;

/// A TCP port that accepts connections. Dropping it stops that: connections that nobody accepted
/// are reset, accepted ones live on.
pub struct TcpListener {
    net: Net,
    handle: ListenerHandle,
    local: SocketAddr,
    /// How often [`stop`](TcpListener::stop) was called.
    #[cfg(feature = "alloc")]
    stops: AtomicUsize,
}

impl TcpListener {
    /// Listens on a port of every address (`7000`), or on one address (`"10.0.0.2:7000"`), with
    /// the backlog of [`TcpConfig`](crate::TcpConfig). Port 0 chooses a free one.
    ///
    /// [`Error::AddrInUse`], [`Error::AddrNotAvailable`], [`Error::TooManySockets`],
    /// [`Error::OutOfMemory`] if the stack's memory is too small for one connection.
    pub fn bind(net: &Net, local: impl ToListenAddr) -> Result<TcpListener, Error> {
        TcpBuilder::new(net).listen(local)
    }

    /// As [`bind`](TcpListener::bind), with room for `backlog` connections that wait to be
    /// accepted, and as many in the handshake; at least 1.
    pub fn bind_with_backlog(
        net: &Net,
        local: impl ToListenAddr,
        backlog: u16,
    ) -> Result<TcpListener, Error> {
        TcpBuilder::new(net).backlog(backlog).listen(local)
    }

    pub(super) fn new(net: Net, handle: ListenerHandle, local: SocketAddr) -> Self {
        TcpListener {
            net,
            handle,
            local,
            #[cfg(feature = "alloc")]
            stops: AtomicUsize::new(0),
        }
    }

    /// The address that it listens on; the port is the chosen one if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// [`accept`](TcpListener::accept) in poll form.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<(TcpStream, SocketAddr), Error>> {
        let accepted = self.net.call(|stack, _| {
            let accepted = stack.tcp_accept(self.handle);
            if let Err(Error::WouldBlock) = accepted {
                stack.tcp_register_acceptor(self.handle, cx.waker());
            }
            accepted
        });
        match accepted {
            Ok((handle, peer)) => Poll::Ready(Ok((TcpStream::new(self.net.clone(), handle), peer))),
            // Nobody can come any more.
            Err(Error::WouldBlock) if self.net.is_cut_off() => Poll::Ready(Err(Error::DeviceGone)),
            Err(Error::WouldBlock) => Poll::Pending,
            Err(error) => Poll::Ready(Err(closed(error))),
        }
    }

    /// Waits for a connection. Several tasks may do so, and each gets a different one.
    ///
    /// [`Error::ClosedLocally`] after [`close`](TcpListener::close), [`Error::DeviceGone`],
    /// [`Error::NetDown`].
    pub fn accept(&self) -> Result<(TcpStream, SocketAddr), Error> {
        self.net.wait_for(None, |cx| self.poll_accept(cx))
    }

    /// As [`accept`](TcpListener::accept), but for so long at most: [`Error::TimedOut`] then. Who comes later
    /// waits in the backlog for the next call.
    pub fn accept_timeout(&self, limit: impl Into<Duration>) -> Result<(TcpStream, SocketAddr), Error> {
        self.net.wait_for(Some(limit.into()), |cx| self.poll_accept(cx))
    }

    /// Connections as they come, for ever: what [`accept`](TcpListener::accept) gives, in a loop.
    pub fn incoming(&self) -> impl Iterator<Item = Result<TcpStream, Error>> + '_ {
        core::iter::from_fn(|| Some(self.accept().map(|(stream, _)| stream)))
    }

    /// Takes a connection that waits, without waiting for one: [`Error::WouldBlock`] if none does.
    pub fn try_accept(&self) -> Result<(TcpStream, SocketAddr), Error> {
        let accepted = self.net.attempt(|stack, _| stack.tcp_accept(self.handle));
        let (handle, peer) = accepted.map_err(closed)?;
        Ok((TcpStream::new(self.net.clone(), handle), peer))
    }

    /// The options that its connections inherit.
    pub fn options(&self) -> Result<TcpOptions, Error> {
        self.net.with_stack(|stack| stack.tcp_listener_options(self.handle))
    }

    /// Changes some of the options that connections inherit which come from now on; errors as for
    /// [`TcpStream::configure`].
    pub fn configure(&self, change: impl FnOnce(&mut TcpOptions)) -> Result<(), Error> {
        self.net.call(|stack, _| {
            let mut options = stack.tcp_listener_options(self.handle)?;
            change(&mut options);
            stack.tcp_set_listener_options(self.handle, options)
        })
    }

    /// Ready when a connection waits to be accepted, or an error.
    pub fn poll_acceptable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let is_acceptable = self.net.call(|stack, _| {
            let is_acceptable = stack.tcp_is_acceptable(self.handle);
            if is_acceptable == Ok(false) {
                stack.tcp_register_acceptor(self.handle, cx.waker());
            }
            is_acceptable
        });
        match is_acceptable {
            Ok(false) if !self.net.is_cut_off() => Poll::Pending,
            result => Poll::Ready(result.map(|_| ()).map_err(closed)),
        }
    }

    /// Does a connection wait to be accepted?
    pub fn is_acceptable(&self) -> Result<bool, Error> {
        self.net.attempt_is(|stack, _| stack.tcp_is_acceptable(self.handle))
    }

    /// [`accept`](TcpListener::accept) for an executor. Dropped before it is ready, it has taken no connection.
    pub async fn accept_async(&self) -> Result<(TcpStream, SocketAddr), Error> {
        core::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Stops listening: connections that nobody accepted are reset, and every task in `accept` gets
    /// [`Error::ClosedLocally`]. Accepted connections live on.
    pub fn close(&self) {
        self.net.under_lock(|stack, now| stack.tcp_unlisten(self.handle, now));
    }

    /// Serves until the listener is closed: `handler` runs for each connection, in a fiber or thread
    /// of its own where the way of waiting has such. While there can't be another of these, clients wait
    /// in the backlog. Errors of handlers are dropped; see
    /// [`serve_with`](TcpListener::serve_with) to hear of them.
    ///
    /// After [`close`](TcpListener::close), or [`stop`](TcpListener::stop), it waits for the handlers that still
    /// run, and returns. Errors: [`Error::DeviceGone`], [`Error::NetDown`].
    #[cfg(feature = "alloc")]
    pub fn serve<H>(&self, handler: H) -> Result<(), Error>
    where
        H: Fn(TcpStream, SocketAddr) -> Result<(), Error> + Send + Sync + 'static,
    {
        self.serve_with(Serve::default(), handler)
    }

    /// Ends every [`serve`](TcpListener::serve) that runs on this listener now: it accepts nobody more, waits for
    /// the handlers that still run, and returns. The listener stays, and its backlog with it: who comes
    /// meanwhile waits for the next `serve` or `accept`. So one server follows another, and nobody is refused.
    #[cfg(feature = "alloc")]
    pub fn stop(&self) {
        self.stops.fetch_add(1, Ordering::Release);
        self.net.under_lock(|stack, _| stack.tcp.wake_acceptors());
    }

    /// Serves until the listener is closed, with a limit on connections and an ear for errors.
    #[cfg(feature = "alloc")]
    pub fn serve_with<H>(&self, serve: Serve, handler: H) -> Result<(), Error>
    where
        H: Fn(TcpStream, SocketAddr) -> Result<(), Error> + Send + Sync + 'static,
    {
        if serve.max_connections == 0 {
            return Err(Error::InvalidInput("max_connections is 0"));
        }
        let served = Arc::new(Served { handler, serve, active: Lock::new((0, None)), net: self.net.clone() });
        let stops = self.stops.load(Ordering::Acquire);
        loop {
            served.wait_for(|active| active < served.serve.max_connections)?;
            match self.accept_unless(|| self.stops.load(Ordering::Acquire) != stops) {
                Ok(Some((mut stream, peer))) => {
                    served.serve.prepare(&mut stream);
                    self.start(&served, stream, peer)?;
                }
                Ok(None) | Err(Error::ClosedLocally) => return served.wait_for(|active| active == 0),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(feature = "alloc")]
impl TcpListener {
    /// [`accept`](TcpListener::accept); `None` once `is_stopped` says so.
    fn accept_unless(&self, is_stopped: impl Fn() -> bool) -> Result<Option<(TcpStream, SocketAddr)>, Error> {
        self.net.wait_for(None, |cx| match is_stopped() {
            true => Poll::Ready(Ok(None)),
            // `stop` changes first what is looked at, and wakes then.
            false => match self.poll_accept(cx) {
                Poll::Pending if is_stopped() => Poll::Ready(Ok(None)),
                accepted => accepted.map_ok(Some),
            },
        })
    }

    /// Starts to serve a connection, as soon as there is a fiber or thread for it. Until then the next
    /// ones wait in the backlog.
    fn start<H>(&self, served: &Arc<Served<H>>, stream: TcpStream, peer: SocketAddr) -> Result<(), Error>
    where
        H: Fn(TcpStream, SocketAddr) -> Result<(), Error> + Send + Sync + 'static,
    {
        let mut waiting = stream;
        loop {
            let active = served.active.lock().0;
            match served.start(waiting, peer) {
                Ok(()) => return Ok(()),
                // Nobody serves any more, and whoever is left is let go.
                Err((error, _)) if self.is_acceptable().is_err() => {
                    served.report(Some(error), peer);
                    return Ok(());
                }
                Err((_, stream)) => waiting = stream,
            }
            // One that has ended makes room; or others do, of which nobody tells.
            match served.wait_for_at_most(Some(RETRY), |now_active| now_active < active) {
                Ok(()) | Err(Error::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.net.let_go(|stack, now| stack.tcp_unlisten(self.handle, now));
    }
}

/// The listener of a handle that names none any more was closed.
fn closed(error: Error) -> Error {
    if error == Error::StaleHandle { Error::ClosedLocally } else { error }
}

impl core::fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TcpListener({})", self.local)
    }
}

/// When a server asks a silent client whether it is still there.
#[cfg(feature = "alloc")]
const KEEP_ALIVE: KeepAlive =
    KeepAlive { idle: Duration::from_secs(60), interval: Duration::from_secs(10), probes: 6 };
/// While there is no fiber or thread for a connection, and none of ours ends, it is tried again so often.
#[cfg(feature = "alloc")]
const RETRY: Duration = Duration::from_millis(100);
/// What is allocated for a handler before its fiber or thread, less than this: its name, its closures and
/// where its connection lies.
#[cfg(feature = "alloc")]
const START: usize = 1024;

/// What is told of a handler's failure: the error and whose connection it was.
#[cfg(feature = "alloc")]
type OnError = Box<dyn Fn(Error, SocketAddr) + Send + Sync>;

/// How a listener serves.
///
/// ```
/// let serve = barenet::Serve::default()
///     .max_connections(64)
///     .on_error(|error, peer| println!("{peer}: {error}"));
/// ```
#[cfg(feature = "alloc")]
pub struct Serve {
    max_connections: usize,
    keep_alive: Option<KeepAlive>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    on_error: OnError,
}

#[cfg(feature = "alloc")]
impl Default for Serve {
    fn default() -> Self {
        Serve {
            max_connections: usize::MAX,
            keep_alive: Some(KEEP_ALIVE),
            read_timeout: None,
            write_timeout: None,
            on_error: Box::new(|_, _| {}),
        }
    }
}

#[cfg(feature = "alloc")]
impl Serve {
    /// Most connections that are served at once; further ones wait in the backlog. Default: no
    /// limit. 0 is refused by `serve_with`.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = max;
        self
    }

    /// Asks a client that has been silent for long whether it is still there, so that one that has vanished
    /// leaves nothing behind. Default: after a minute, every 10 s, and after six questions the connection
    /// ends with [`Error::TimedOut`]. `None`: only if the listener's options say so, as those do that ask in
    /// another way.
    pub fn keep_alive(mut self, keep_alive: Option<KeepAlive>) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// The longest that a read of a handler waits, as by [`TcpStream::set_read_timeout`]: for a protocol
    /// whose clients are not silent for long. Default: for ever, as long as the client is there.
    pub fn read_timeout(mut self, timeout: impl Into<Duration>) -> Self {
        self.read_timeout = Some(timeout.into());
        self
    }

    /// The longest that a write of a handler waits for a client that takes nothing, as by
    /// [`TcpStream::set_write_timeout`]. Default: for ever, as long as the client is there.
    pub fn write_timeout(mut self, timeout: impl Into<Duration>) -> Self {
        self.write_timeout = Some(timeout.into());
        self
    }

    /// Gives a connection these settings.
    fn prepare(&self, stream: &mut TcpStream) {
        (stream.read_timeout, stream.write_timeout) = (self.read_timeout, self.write_timeout);
        if let Some(keep_alive) = self.keep_alive {
            // One that has ended already, or memory for no options, is no reason not to serve it.
            let _ = stream.configure(|options| options.keep_alive = options.keep_alive.or(Some(keep_alive)));
        }
    }

    /// Called with each error of a handler and the address of its peer, and with
    /// [`Error::ConnectionAborted`] when a handler panicked (where the way of waiting can tell).
    pub fn on_error(mut self, on_error: impl Fn(Error, SocketAddr) + Send + Sync + 'static) -> Self {
        self.on_error = Box::new(on_error);
        self
    }
}

/// What the connections of one `serve` share.
#[cfg(feature = "alloc")]
struct Served<H> {
    handler: H,
    serve: Serve,
    /// Connections that are served, and who waits for there to be fewer: `serve` itself.
    active: Lock<(usize, Option<Waker>)>,
    net: Net,
}

#[cfg(feature = "alloc")]
impl<H> Served<H>
where
    H: Fn(TcpStream, SocketAddr) -> Result<(), Error> + Send + Sync + 'static,
{
    /// Waits until `enough` says so of the number of connections that are served.
    fn wait_for(&self, enough: impl Fn(usize) -> bool) -> Result<(), Error> {
        self.wait_for_at_most(None, enough)
    }

    fn wait_for_at_most(
        &self,
        timeout: Option<Duration>,
        enough: impl Fn(usize) -> bool,
    ) -> Result<(), Error> {
        let look = || match () {
            () if self.net.is_stopped() => Poll::Ready(Err(Error::NetDown)),
            () if enough(self.active.lock().0) => Poll::Ready(Ok(())),
            () => Poll::Pending,
        };
        self.net.wait_for(timeout, |cx| {
            if let Poll::Ready(result) = look() {
                return Poll::Ready(result);
            }
            // `shutdown` and `leave` change first what is looked at, and wake then.
            self.net.attend(cx.waker());
            let before = self.active.lock().1.replace(cx.waker().clone());
            // Not under the lock.
            drop(before);
            look()
        })
    }

    /// Gives the connection back if there is no fiber, thread or memory for its handler.
    fn start(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Result<(), (Error, TcpStream)> {
        if !crate::base::heap::has(START) {
            return Err((Error::OutOfMemory, stream));
        }
        self.active.lock().0 += 1;
        let (job, hook) = (self.clone(), self.clone());
        let handle = stream.handle();
        // The job takes it from there when it runs: if it never does, the connection is not lost with it.
        let place = Arc::new(Lock::new(Some(stream)));
        let own = place.clone();
        let run = move || {
            let Some(stream) = own.lock().take() else { return };
            let result = (job.handler)(stream, peer);
            // The place comes last: if `on_error` panics, `on_panic` gives it back.
            job.report(result.err(), peer);
            job.leave();
        };
        let on_panic = move || {
            // Whatever became of the stream: its connection does not outlive its handler. What that wrote is
            // the peer's.
            hook.net.under_lock(|stack, now| stack.tcp_fail(handle, now));
            hook.leave();
            hook.report(Some(Error::ConnectionAborted), peer);
        };
        let name = format!("connection from {peer}");
        let result = self.net.waiter().spawn(name, Box::new(run), Box::new(on_panic));
        let left = result.err().and_then(|error| Some((error, place.lock().take()?)));
        if left.is_some() {
            self.active.lock().0 -= 1;
        }
        left.map_or(Ok(()), Err)
    }

    /// A connection is served no more: `serve` looks again.
    fn leave(&self) {
        let waiting = {
            let (active, waiting) = &mut *self.active.lock();
            *active -= 1;
            waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn report(&self, error: Option<Error>, peer: SocketAddr) {
        if let Some(error) = error {
            (self.serve.on_error)(error, peer);
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests;
