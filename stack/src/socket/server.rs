//! Serving what comes to a listener: a task for each connection, up to a limit, until it is stopped.

use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::net::SocketAddr;
use core::ops::ControlFlow;
use core::task::{Poll, Waker};

use super::{TcpListener, TcpStream};
use crate::base::sync::Lock;
use crate::base::sync::atomic::{AtomicBool, Ordering};
use crate::error::Error;
use crate::net::Net;
use crate::stack::TcpHandle;
use crate::tcp::KeepAlive;
use crate::time::Duration;

/// When a server asks a silent client whether it is still there.
const KEEP_ALIVE: KeepAlive =
    KeepAlive { idle: Duration::from_secs(60), interval: Duration::from_secs(10), probes: 6 };
/// While there is no fiber or thread for a connection, and none of ours ends, it is tried again so often.
const RETRY: Duration = Duration::from_millis(100);
/// What is allocated for a handler before its fiber or thread, less than this: its name, its closures and
/// where its connection lies.
const START: usize = 1024;

/// Servers that one [`Stop`] remembers; with one more all of them look again.
const SERVERS_MAX: usize = 64;

/// What is told of a handler's failure: the error and whose connection it was. It says whether serving goes on.
type OnError<E> = Box<dyn Fn(E, SocketAddr) -> ControlFlow<()> + Send + Sync>;

/// How a listener serves, with handlers that fail with errors of type `E`.
///
/// ```
/// let serve = barenet::Serve::default()
///     .max_connections(64)
///     .on_error(|error, peer| println!("{peer}: {error}"));
/// ```
///
/// Of an own type of errors it is told how ours become one: those of a handler that panicked
/// ([`Error::ConnectionAborted`]), or for which there was neither fiber nor thread.
///
/// ```
/// use barenet::{Error, Serve};
/// enum Failure {
///     BadRequest,
///     Net(Error),
/// }
/// let serve = Serve::of(Failure::Net).on_error(|failure, peer| match failure {
///     Failure::BadRequest => println!("{peer} talks nonsense"),
///     Failure::Net(error) => println!("{peer}: {error}"),
/// });
/// ```
pub struct Serve<E = Error> {
    max_connections: usize,
    keep_alive: Option<KeepAlive>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    on_error: OnError<E>,
    of: fn(Error) -> E,
}

impl Default for Serve<Error> {
    fn default() -> Self {
        Serve::of(|error| error)
    }
}

impl<E> Serve<E> {
    /// For handlers with errors of another type: `of` makes one of them from one of ours.
    pub fn of(of: fn(Error) -> E) -> Self {
        Serve {
            max_connections: usize::MAX,
            keep_alive: Some(KEEP_ALIVE),
            read_timeout: None,
            write_timeout: None,
            on_error: Box::new(|_, _| ControlFlow::Continue(())),
            of,
        }
    }

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

    /// Called with each error of a handler and the address of its peer, and with
    /// [`Error::ConnectionAborted`] when a handler panicked (where the way of waiting can tell). What ends
    /// because the server is stopped [at once](Stop::stop_at_once) is not told.
    pub fn on_error(self, on_error: impl Fn(E, SocketAddr) + Send + Sync + 'static) -> Self {
        self.try_on_error(move |error, peer| {
            on_error(error, peer);
            ControlFlow::Continue(())
        })
    }

    /// As [`on_error`](Serve::on_error), and with [`ControlFlow::Break`] the server accepts nobody more, waits
    /// for the handlers that still run, and ends as if it had been stopped.
    pub fn try_on_error(
        mut self,
        on_error: impl Fn(E, SocketAddr) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Box::new(on_error);
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
}

/// Stops servers, with a value for whoever started them. A handle, cheap to clone, for other tasks; one may
/// stop several servers.
///
/// ```no_run
/// # fn example(listener: barenet::TcpListener) -> Result<(), barenet::Error> {
/// use barenet::{Serve, Stop};
/// let stop = Stop::new();
/// let own = stop.clone();
/// let why = listener.serve_until(&stop, Serve::default(), move |mut flow, _peer| {
///     let mut word = [0; 4];
///     flow.read_exact(&mut word)?;
///     if &word == b"quit" {
///         own.stop("a client said so");
///     }
///     flow.write_all(&word)
/// })?;
/// println!("stopped: {}", why.unwrap_or("the listener was closed"));
/// # Ok(()) }
/// ```
pub struct Stop<T = ()>(Arc<Lock<Stopping<T>>>);

struct Stopping<T> {
    value: Option<T>,
    at_once: bool,
    servers: Vec<Waker>,
}

impl<T> Clone for Stop<T> {
    fn clone(&self) -> Self {
        Stop(self.0.clone())
    }
}

impl<T> Default for Stop<T> {
    fn default() -> Self {
        Stop::new()
    }
}

impl<T> Stop<T> {
    /// One that nobody has used yet.
    pub fn new() -> Self {
        Stop(Arc::new(Lock::new(Stopping { value: None, at_once: false, servers: Vec::new() })))
    }

    /// The servers accept nobody more, wait for the handlers that still run, and return the value (the first,
    /// if this is called again). Listener and backlog stay: who comes meanwhile waits for the next `serve` or
    /// `accept` and is neither refused nor reset.
    pub fn stop(&self, value: T) {
        self.set(value, false);
    }

    /// As [`stop`](Stop::stop), and connections that are being served are reset: what their handlers wait for
    /// ends with [`Error::ConnectionAborted`]. It may follow a `stop` that takes too long.
    pub fn stop_at_once(&self, value: T) {
        self.set(value, true);
    }

    fn set(&self, value: T, at_once: bool) {
        let servers = {
            let stopping = &mut *self.0.lock();
            stopping.value.get_or_insert(value);
            stopping.at_once |= at_once;
            core::mem::take(&mut stopping.servers)
        };
        servers.into_iter().for_each(Waker::wake);
    }

    fn is_stopped(&self) -> bool {
        self.0.lock().value.is_some()
    }

    fn is_at_once(&self) -> bool {
        self.0.lock().at_once
    }

    /// A server is woken when it is stopped.
    fn register(&self, waker: &Waker) {
        let mut before = Vec::new();
        {
            let servers = &mut self.0.lock().servers;
            if !servers.iter().any(|known| known.will_wake(waker)) {
                if servers.len() == SERVERS_MAX {
                    core::mem::swap(servers, &mut before);
                }
                servers.push(waker.clone());
            }
        }
        // Not under the lock: they ask again, if they are still there.
        before.into_iter().for_each(Waker::wake);
    }
}

impl TcpListener {
    /// Serves until the listener is closed: `handler` runs for each connection, in a fiber or thread
    /// of its own where the way of waiting has such. While there can't be another of these, clients wait
    /// in the backlog. Errors of handlers are dropped; see
    /// [`serve_with`](TcpListener::serve_with) to hear of them.
    ///
    /// After [`close`](TcpListener::close), or [`stop`](TcpListener::stop), it waits for the handlers that still
    /// run, and returns. Errors: [`Error::DeviceGone`], [`Error::NetDown`].
    pub fn serve<H>(&self, handler: H) -> Result<(), Error>
    where
        H: Fn(TcpStream, SocketAddr) -> Result<(), Error> + Send + Sync + 'static,
    {
        self.serve_with(Serve::default(), handler)
    }

    /// Ends every [`serve`](TcpListener::serve) that runs on this listener now: it accepts nobody more, waits for
    /// the handlers that still run, and returns. The listener stays, and its backlog with it: who comes
    /// meanwhile waits for the next `serve` or `accept`. So one server follows another, and nobody is refused.
    pub fn stop(&self) {
        self.stops.fetch_add(1, Ordering::Release);
        self.net().under_lock(|stack, _| stack.tcp.wake_acceptors());
    }

    /// Serves until the listener is closed, with a limit on connections and an ear for errors, which may be of
    /// any type.
    pub fn serve_with<H, E>(&self, serve: Serve<E>, handler: H) -> Result<(), Error>
    where
        H: Fn(TcpStream, SocketAddr) -> Result<(), E> + Send + Sync + 'static,
        E: 'static,
    {
        self.serve_until(&Stop::<()>::new(), serve, handler).map(|_| ())
    }

    /// Serves until it is stopped, and gives the value with which it was; `None`: the listener was closed or
    /// [stopped](TcpListener::stop), or an error ended it by [`try_on_error`](Serve::try_on_error).
    ///
    /// Several tasks may do so on one listener, each with handlers and a limit of its own.
    pub fn serve_until<T: Clone, H, E>(
        &self,
        stop: &Stop<T>,
        serve: Serve<E>,
        handler: H,
    ) -> Result<Option<T>, Error>
    where
        H: Fn(TcpStream, SocketAddr) -> Result<(), E> + Send + Sync + 'static,
        E: 'static,
    {
        let served = Served::new(self.net(), serve, handler)?;
        let (max, stops) = (served.serve.max_connections, self.stops.load(Ordering::Acquire));
        let is_stopped = || {
            self.stops.load(Ordering::Acquire) != stops
                || stop.is_stopped()
                || served.is_broken.load(Ordering::Acquire)
        };
        let register = |waker: &Waker| stop.register(waker);
        loop {
            served.wait_for(None, register, |active| active < max || is_stopped())?;
            match self.accept_unless(is_stopped, register) {
                Ok(Some((mut stream, peer))) => {
                    served.serve.prepare(&mut stream);
                    self.start(&served, stream, peer)?;
                }
                Ok(None) | Err(Error::ClosedLocally) => break,
                Err(error) => return Err(error),
            }
        }
        served.wait_for(None, register, |active| {
            if stop.is_at_once() {
                served.abort();
            }
            active == 0
        })?;
        Ok(stop.0.lock().value.clone())
    }

    /// Accepts one connection, and handles it in a fiber or thread of its own, which it does not wait for.
    ///
    /// Errors: those of [`accept`](TcpListener::accept).
    pub fn accept_fork<H, E>(&self, serve: Serve<E>, handler: H) -> Result<(), Error>
    where
        H: Fn(TcpStream, SocketAddr) -> Result<(), E> + Send + Sync + 'static,
        E: 'static,
    {
        let served = Served::new(self.net(), serve, handler)?;
        let (mut stream, peer) = self.accept()?;
        served.serve.prepare(&mut stream);
        self.start(&served, stream, peer)
    }

    /// [`accept`](TcpListener::accept); `None` once `is_stopped` says so.
    fn accept_unless(
        &self,
        is_stopped: impl Fn() -> bool,
        register: impl Fn(&Waker),
    ) -> Result<Option<(TcpStream, SocketAddr)>, Error> {
        self.net().wait_for(None, |cx| match is_stopped() {
            true => Poll::Ready(Ok(None)),
            // Who stops it changes first what is looked at, and wakes then.
            false => match self.poll_accept(cx) {
                Poll::Pending => {
                    register(cx.waker());
                    if is_stopped() { Poll::Ready(Ok(None)) } else { Poll::Pending }
                }
                accepted => accepted.map_ok(Some),
            },
        })
    }

    /// Starts to serve a connection, as soon as there is a fiber or thread for it. Until then the next
    /// ones wait in the backlog.
    fn start<H, E>(
        &self,
        served: &Arc<Served<H, E>>,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Result<(), Error>
    where
        H: Fn(TcpStream, SocketAddr) -> Result<(), E> + Send + Sync + 'static,
        E: 'static,
    {
        let mut waiting = stream;
        loop {
            let active = served.active.lock().count;
            match served.start(waiting, peer) {
                Ok(()) => return Ok(()),
                // Nobody serves any more, and whoever is left is let go.
                Err((error, _)) if self.is_acceptable().is_err() => {
                    served.report(Some((served.serve.of)(error)), peer);
                    return Ok(());
                }
                Err((_, stream)) => waiting = stream,
            }
            // One that has ended makes room; or others do, of which nobody tells.
            match served.wait_for(Some(RETRY), |_| {}, |now_active| now_active < active) {
                Ok(()) | Err(Error::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the connections of one `serve` share.
struct Served<H, E> {
    handler: H,
    serve: Serve<E>,
    active: Lock<Active>,
    /// A handler's error ended it.
    is_broken: AtomicBool,
    /// It was stopped at once: what handlers fail with is no news.
    is_aborted: AtomicBool,
    net: Net,
}

/// The connections that are served.
#[derive(Default)]
struct Active {
    count: usize,
    /// Who waits for there to be fewer: `serve` itself.
    waiting: Option<Waker>,
    connections: Vec<Option<TcpHandle>>,
    free: Vec<usize>,
}

impl Active {
    /// A place for a connection, if there is memory for one.
    fn enter(&mut self, connection: TcpHandle) -> Option<usize> {
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                let places = self.connections.len() + 1;
                self.free.try_reserve(places).ok()?;
                self.connections.try_reserve(1).ok()?;
                self.connections.push(None);
                places - 1
            }
        };
        self.connections[place] = Some(connection);
        self.count += 1;
        Some(place)
    }

    fn leave(&mut self, place: usize) -> Option<Waker> {
        self.connections[place] = None;
        self.free.push(place);
        self.count -= 1;
        self.waiting.take()
    }
}

impl<H, E> Served<H, E>
where
    H: Fn(TcpStream, SocketAddr) -> Result<(), E> + Send + Sync + 'static,
    E: 'static,
{
    fn new(net: &Net, serve: Serve<E>, handler: H) -> Result<Arc<Self>, Error> {
        if serve.max_connections == 0 {
            return Err(Error::InvalidInput("max_connections is 0"));
        }
        Ok(Arc::new(Served {
            handler,
            serve,
            active: Lock::new(Active::default()),
            is_broken: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
            net: net.clone(),
        }))
    }

    /// Waits until `enough` says so of the number of connections that are served.
    fn wait_for(
        &self,
        timeout: Option<Duration>,
        register: impl Fn(&Waker),
        enough: impl Fn(usize) -> bool,
    ) -> Result<(), Error> {
        let active = || self.active.lock().count;
        let look = || match () {
            () if self.net.is_stopped() => Poll::Ready(Err(Error::NetDown)),
            () if enough(active()) => Poll::Ready(Ok(())),
            () => Poll::Pending,
        };
        self.net.wait_for(timeout, |cx| {
            if let Poll::Ready(result) = look() {
                return Poll::Ready(result);
            }
            // `shutdown`, `leave` and `Stop` change first what is looked at, and wake then.
            self.net.attend(cx.waker());
            register(cx.waker());
            let before = self.active.lock().waiting.replace(cx.waker().clone());
            // Not under the lock.
            drop(before);
            look()
        })
    }

    /// Gives the connection back if there is no fiber, thread or memory for its handler.
    fn start(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Result<(), (Error, TcpStream)> {
        let handle = stream.handle();
        let entered = if crate::base::heap::has(START) { self.active.lock().enter(handle) } else { None };
        let Some(place) = entered else {
            return Err((Error::OutOfMemory, stream));
        };
        let (job, hook) = (self.clone(), self.clone());
        // The job takes it from there when it runs: if it never does, the connection is not lost with it.
        let kept = Arc::new(Lock::new(Some(stream)));
        let own = kept.clone();
        let run = move || {
            let Some(stream) = own.lock().take() else { return };
            let result = (job.handler)(stream, peer);
            // The place comes last: if `on_error` panics, `on_panic` gives it back.
            job.report(result.err(), peer);
            job.leave(place);
        };
        let on_panic = move || {
            // Whatever became of the stream: its connection does not outlive its handler. What that wrote is
            // the peer's.
            hook.net.under_lock(|stack, now| stack.tcp_fail(handle, now));
            hook.leave(place);
            hook.report(Some((hook.serve.of)(Error::ConnectionAborted)), peer);
        };
        let name = format!("connection from {peer}");
        let result = self.net.waiter().spawn(name, Box::new(run), Box::new(on_panic));
        let left = result.err().and_then(|error| Some((error, kept.lock().take()?)));
        if left.is_some() {
            self.active.lock().leave(place);
        }
        left.map_or(Ok(()), Err)
    }

    /// A connection is served no more: `serve` looks again.
    fn leave(&self, place: usize) {
        let waiting = self.active.lock().leave(place);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn report(&self, error: Option<E>, peer: SocketAddr) {
        let Some(error) = error.filter(|_| !self.is_aborted.load(Ordering::Acquire)) else { return };
        if (self.serve.on_error)(error, peer).is_break() {
            self.is_broken.store(true, Ordering::Release);
            self.net.under_lock(|stack, _| stack.tcp.wake_acceptors());
        }
    }

    /// Resets every connection that is served.
    fn abort(&self) {
        self.is_aborted.store(true, Ordering::Release);
        let count = self.active.lock().connections.len();
        for place in 0..count {
            let connection = self.active.lock().connections.get_mut(place).and_then(Option::take);
            if let Some(handle) = connection {
                self.net.under_lock(|stack, now| stack.tcp_abort(handle, now));
            }
        }
    }
}

#[cfg(all(test, feature = "std", feature = "full"))]
mod tests;
