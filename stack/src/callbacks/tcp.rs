//! TCP: what listens, and what is connected.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::task::{Context, Poll};

use super::{BUDGET, Handle, Loop, Place, Slot};
use crate::base::wakers::NOBODY;
use crate::error::Error;
use crate::socket::{Addresses, Shutdown, TcpBuilder, TcpListener, TcpStream, ToListenAddr, ToSocketAddrs};

/// Bytes that a callback is given at most at a time.
const READ_MAX: usize = 16 * 1024;

type OnConnection = Box<dyn FnMut(&Tcp, Result<(), Error>)>;
type OnDone = Box<dyn FnOnce(&Tcp, Result<(), Error>)>;
type OnRead = Box<dyn FnMut(&Tcp, Read<'_>)>;
type Deferred = Box<dyn FnOnce(&Tcp)>;
type OnWritten = Box<dyn FnOnce(&Tcp, Result<(), Error>, usize)>;

/// What [`Tcp::read_start`]'s callback is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read<'a> {
    /// Bytes that have arrived, one at least.
    Data(&'a [u8]),
    /// The end of the stream: the peer's FIN. Nothing more is read.
    End,
    /// The connection failed, and nothing more is read. Data may have been lost.
    Failed(Error),
}

/// A TCP handle: not bound yet, a listener, or a connection.
///
/// ```no_run
/// # fn example(events: &barenet::callbacks::Loop) {
/// use barenet::callbacks::{Read, Tcp};
/// let client = Tcp::new(events);
/// client.connect("192.0.2.1:7000", |client, connected| match connected {
///     Err(error) => println!("can't connect: {error}"),
///     Ok(()) => {
///         client.write(&[b"Hello, ", b"world!"], |client, _, _| client.shutdown(|_, _| {}));
///         client.read_start(|client, read| match read {
///             Read::Data(data) => println!("{}", data.escape_ascii()),
///             Read::End | Read::Failed(_) => client.close(|| {}),
///         });
///     }
/// });
/// events.run();
/// # }
/// ```
#[derive(Clone)]
pub struct Tcp(Rc<Inner>);

struct Inner {
    place: Place,
    /// The connection that was told was taken.
    is_taken: Cell<bool>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    socket: Socket,
    local: Option<SocketAddr>,
    on_connection: Slot<OnConnection>,
    /// A connection was told that nobody has taken yet.
    is_offered: bool,
    /// Other addresses to try, in reverse, and what is called in the end.
    connecting: Option<Connecting>,
    on_read: Slot<OnRead>,
    writes: VecDeque<Write>,
    on_shutdown: Option<(ShutWrite, OnDone)>,
    /// What is known already, and told in its turn.
    deferred: VecDeque<Deferred>,
    on_closed: Option<Box<dyn FnOnce()>>,
}

/// A connect that is under way. How it goes on is a pointer: a program that only listens has no code for it.
struct Connecting {
    rest: Addresses,
    start: fn(&Tcp, &mut State, Addresses) -> Result<Addresses, Error>,
    on_connected: OnDone,
}

/// How a stream is shut down: a pointer as well.
type ShutWrite = fn(&mut TcpStream) -> Result<(), Error>;

#[derive(Default)]
enum Socket {
    #[default]
    None,
    Listener(TcpListener),
    Stream(TcpStream),
    Closed,
}

/// What was not taken at once of what was written.
struct Write {
    data: Vec<u8>,
    done: usize,
    /// Bytes that were taken at once.
    before: usize,
    on_written: OnWritten,
}

impl Tcp {
    /// A handle that is neither bound nor connected.
    pub fn new(events: &Loop) -> Tcp {
        Tcp(Rc::new(Inner {
            place: Place::new(events),
            is_taken: Cell::new(false),
            state: RefCell::default(),
        }))
    }

    /// The loop that it is a handle of.
    pub fn events(&self) -> &Loop {
        &self.0.place.events
    }

    /// Gives it a local address and port, for [`listen`](Tcp::listen) or [`connect`](Tcp::connect). Whether they are free is
    /// told by those.
    pub fn bind(&self, local: impl ToListenAddr) -> Result<(), Error> {
        let local = local.to_listen_addr()?;
        let mut state = self.0.state.borrow_mut();
        match state.socket {
            Socket::None => state.local = Some(local),
            Socket::Closed => return Err(Error::ClosedLocally),
            Socket::Listener(_) | Socket::Stream(_) => return Err(Error::AlreadyConnected),
        }
        Ok(())
    }

    /// Listens, with room for `backlog` connections that wait: `on_connection` is called for each, and takes it by
    /// [`accept`](Tcp::accept); one that is not taken waits, and keeps those behind it waiting, until it is. With an error
    /// it is called once, and the handle listens no more. Errors as for [`TcpListener::bind`].
    pub fn listen(
        &self,
        backlog: u16,
        on_connection: impl FnMut(&Tcp, Result<(), Error>) + 'static,
    ) -> Result<(), Error> {
        let local = self.0.state.borrow().local.unwrap_or(SocketAddr::from(([0; 16], 0)));
        match self.0.state.borrow().socket {
            Socket::None => {}
            Socket::Closed => return Err(Error::ClosedLocally),
            Socket::Listener(_) | Socket::Stream(_) => return Err(Error::AlreadyConnected),
        }
        let listener = TcpBuilder::new(self.events().net()).backlog(backlog).listen(local)?;
        let mut state = self.0.state.borrow_mut();
        state.socket = Socket::Listener(listener);
        state.on_connection.set(Box::new(on_connection));
        drop(state);
        self.call();
        Ok(())
    }

    /// Takes a connection that waits into `client`, a fresh handle. [`Error::WouldBlock`]: none does;
    /// [`Error::NotConnected`]: this is no listener; [`Error::ClosedLocally`]: it was closed; [`Error::AlreadyConnected`]:
    /// `client` is in use.
    pub fn accept(&self, client: &Tcp) -> Result<(), Error> {
        let own = self.0.state.borrow();
        let listener = match &own.socket {
            Socket::Listener(listener) => listener,
            Socket::Closed => return Err(Error::ClosedLocally),
            Socket::None | Socket::Stream(_) => return Err(Error::NotConnected),
        };
        let mut state = client.0.state.try_borrow_mut().map_err(|_| Error::AlreadyConnected)?;
        if !matches!(state.socket, Socket::None) {
            return Err(Error::AlreadyConnected);
        }
        let (stream, _) = listener.try_accept()?;
        state.socket = Socket::Stream(stream);
        drop(state);
        self.0.is_taken.set(true);
        self.0.place.ring();
        Ok(())
    }

    /// Connects, from the address of [`bind`](Tcp::bind) if there is one, and calls back when that is over; several
    /// addresses are tried in turn. Errors as for [`TcpStream::connect`].
    pub fn connect(
        &self,
        to: impl ToSocketAddrs,
        on_connected: impl FnOnce(&Tcp, Result<(), Error>) + 'static,
    ) {
        let addresses = to.to_socket_addrs().map(|mut all| {
            all.reverse();
            all
        });
        let mut state = self.0.state.borrow_mut();
        let result = match state.socket {
            _ if state.connecting.is_some() => Err(Error::AlreadyConnected),
            Socket::None => addresses.and_then(|all| self.start(&mut state, all)),
            Socket::Closed => Err(Error::ClosedLocally),
            Socket::Listener(_) | Socket::Stream(_) => Err(Error::AlreadyConnected),
        };
        match result {
            Ok(rest) => {
                let on_connected = Box::new(on_connected);
                state.connecting = Some(Connecting { rest, start: Tcp::start, on_connected });
            }
            Err(error) => state.deferred.push_back(Box::new(move |tcp| on_connected(tcp, Err(error)))),
        }
        drop(state);
        self.call();
    }

    /// Begins with the last address, or one before that fails later than at once; the rest are left.
    fn start(&self, state: &mut State, mut addresses: Addresses) -> Result<Addresses, Error> {
        let mut last = Error::NoMatchingAddresses;
        while let Some(to) = addresses.pop() {
            match TcpStream::start_connect_with(self.events().net(), to, state.local, None) {
                Ok(stream) => {
                    state.socket = Socket::Stream(stream);
                    return Ok(addresses);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Calls `on_read` with what arrives, again and again, until [`read_stop`](Tcp::read_stop), the end, an error or
    /// [`close`](Tcp::close). On what is not connected it fails with [`Error::NotConnected`].
    pub fn read_start(&self, on_read: impl FnMut(&Tcp, Read<'_>) + 'static) {
        let before = {
            let mut state = self.0.state.borrow_mut();
            if matches!(state.socket, Socket::Closed) {
                return;
            }
            let before = state.on_read.stop();
            state.on_read.set(Box::new(on_read));
            before
        };
        drop(before);
        self.call();
    }

    /// Stops that: what arrives waits in the connection's window.
    pub fn read_stop(&self) {
        let before = self.0.state.borrow_mut().on_read.stop();
        drop(before);
        self.0.place.ring();
    }

    /// Writes all of the pieces, one after another as if they were one, and calls back with how it went and how many bytes
    /// the stack took. What it does not take at once is copied and waits
    /// ([`write_queue_size`](Tcp::write_queue_size)): who may write without an end should stop reading meanwhile.
    pub fn write(&self, pieces: &[&[u8]], on_written: impl FnOnce(&Tcp, Result<(), Error>, usize) + 'static) {
        let before = self.try_write(pieces);
        let (before, on_written): (usize, OnWritten) = match before {
            Ok(n) => (n, Box::new(on_written)),
            Err(Error::WouldBlock) => (0, Box::new(on_written)),
            Err(error) => (usize::MAX, Box::new(move |tcp, _, _| on_written(tcp, Err(error), 0))),
        };
        let (mut data, mut skip) = (Vec::new(), before);
        for piece in pieces {
            let here = skip.min(piece.len());
            data.extend_from_slice(&piece[here..]);
            skip -= here;
        }
        let before = if before == usize::MAX { 0 } else { before };
        self.0.state.borrow_mut().writes.push_back(Write { data, done: 0, before, on_written });
        self.call();
    }

    /// Writes of the pieces what can be written at once: [`Error::WouldBlock`] if that is nothing, or something waits before
    /// them.
    pub fn try_write(&self, pieces: &[&[u8]]) -> Result<usize, Error> {
        let mut state = self.0.state.borrow_mut();
        if !state.writes.is_empty() || state.connecting.is_some() {
            return Err(Error::WouldBlock);
        }
        if state.on_shutdown.is_some() {
            return Err(Error::ClosedLocally);
        }
        match &mut state.socket {
            Socket::Stream(stream) => {
                match stream.poll_write_vectored(&mut Context::from_waker(NOBODY), pieces) {
                    Poll::Pending => Err(Error::WouldBlock),
                    Poll::Ready(written) => written,
                }
            }
            Socket::Closed => Err(Error::ClosedLocally),
            Socket::None | Socket::Listener(_) => Err(Error::NotConnected),
        }
    }

    /// Bytes that were written and that the stack has yet to take.
    pub fn write_queue_size(&self) -> usize {
        self.0.state.borrow().writes.iter().map(|write| write.data.len() - write.done).sum()
    }

    /// Sends a FIN after what was written, and calls back then: the peer reads the end of the stream. Reading goes on.
    pub fn shutdown(&self, on_shutdown: impl FnOnce(&Tcp, Result<(), Error>) + 'static) {
        let shut: ShutWrite = |stream| stream.shutdown(Shutdown::Write);
        self.0.state.borrow_mut().on_shutdown = Some((shut, Box::new(on_shutdown)));
        self.call();
    }

    /// Closes the handle, as dropping a socket does, and calls back when that is done. Writes that wait are called back
    /// with [`Error::ClosedLocally`]; what the stack has taken is delivered. No other callback is called afterwards.
    pub fn close(&self, on_closed: impl FnOnce() + 'static) {
        let mut state = self.0.state.borrow_mut();
        let socket = core::mem::replace(&mut state.socket, Socket::Closed);
        let callbacks = (state.on_connection.stop(), state.on_read.stop());
        state.on_closed = Some(Box::new(on_closed));
        drop(state);
        drop((socket, callbacks));
        self.call();
    }

    /// [`close`](Tcp::close) with a reset: what was not delivered is lost.
    pub fn close_reset(&self, on_closed: impl FnOnce() + 'static) {
        let _ = self.with_stream(|stream| stream.abort());
        self.close(on_closed);
    }

    /// For all else that a stream can do: options, addresses, state. [`Error::NotConnected`]: it is none;
    /// [`Error::ClosedLocally`]: it is none any more.
    pub fn with_stream<R>(&self, with: impl FnOnce(&mut TcpStream) -> R) -> Result<R, Error> {
        match &mut self.0.state.borrow_mut().socket {
            Socket::Stream(stream) => Ok(with(stream)),
            Socket::Closed => Err(Error::ClosedLocally),
            Socket::None | Socket::Listener(_) => Err(Error::NotConnected),
        }
    }

    /// Our address and port: the chosen one, once it listens or connects.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        let state = self.0.state.borrow();
        match &state.socket {
            Socket::Stream(stream) => stream.local_addr(),
            Socket::Listener(listener) => Ok(listener.local_addr()),
            Socket::None => state.local.ok_or(Error::NotConnected),
            Socket::Closed => Err(Error::ClosedLocally),
        }
    }

    /// The peer's address and port.
    pub fn peer_addr(&self) -> Result<SocketAddr, Error> {
        self.with_stream(|stream| stream.peer_addr())?
    }

    /// Will a callback be called yet?
    pub fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn call(&self) {
        self.events().call(self.0.clone());
    }

    fn run_connecting(&self, cx: &mut Context<'_>) {
        let mut state = self.0.state.borrow_mut();
        if state.connecting.is_none() {
            return;
        }
        let result = match &state.socket {
            Socket::Stream(stream) => match stream.poll_connected(cx) {
                Poll::Pending => return,
                Poll::Ready(result) => result,
            },
            _ => Err(Error::ClosedLocally),
        };
        let Some(Connecting { rest, start, on_connected }) = state.connecting.take() else { return };
        if result.is_err() && !rest.is_empty() {
            state.socket = Socket::None;
            if let Ok(rest) = start(self, &mut state, rest) {
                state.connecting = Some(Connecting { rest, start, on_connected });
                return self.0.place.ring();
            }
        }
        drop(state);
        on_connected(self, result);
    }

    fn run_listening(&self, cx: &mut Context<'_>) {
        if self.0.is_taken.take() {
            self.0.state.borrow_mut().is_offered = false;
        }
        for turn in 0.. {
            let mut state = self.0.state.borrow_mut();
            let Socket::Listener(listener) = &state.socket else { return };
            if state.is_offered {
                return;
            }
            let Poll::Ready(result) = listener.poll_acceptable(cx) else { return };
            if turn == BUDGET {
                return self.0.place.ring();
            }
            let Some(mut on_connection) = state.on_connection.take() else { return };
            if result.is_err() {
                state.on_connection.stop();
            }
            drop(state);
            on_connection(self, result);
            let mut state = self.0.state.borrow_mut();
            state.on_connection.put_back(on_connection);
            state.is_offered = !self.0.is_taken.take();
        }
    }

    fn run_writes(&self, cx: &mut Context<'_>) {
        loop {
            let mut state = self.0.state.borrow_mut();
            if state.connecting.is_some() {
                return;
            }
            let State { socket, writes, .. } = &mut *state;
            let Some(write) = writes.front_mut() else { return };
            let result = match socket {
                _ if write.done == write.data.len() => Ok(()),
                Socket::Stream(stream) => {
                    match stream.poll_write_vectored(cx, &[&write.data[write.done..]]) {
                        Poll::Pending => return,
                        Poll::Ready(Ok(n)) => {
                            write.done += n;
                            continue;
                        }
                        Poll::Ready(Err(error)) => Err(error),
                    }
                }
                Socket::Closed => Err(Error::ClosedLocally),
                Socket::None | Socket::Listener(_) => Err(Error::NotConnected),
            };
            let Some(write) = writes.pop_front() else { return };
            drop(state);
            (write.on_written)(self, result, write.before + write.done);
        }
    }

    fn run_shutdown(&self) {
        let mut state = self.0.state.borrow_mut();
        if state.connecting.is_some() || !state.writes.is_empty() {
            return;
        }
        let Some((shut, on_shutdown)) = state.on_shutdown.take() else { return };
        let result = match &mut state.socket {
            Socket::Stream(stream) => shut(stream),
            Socket::Closed => Err(Error::ClosedLocally),
            Socket::None | Socket::Listener(_) => Err(Error::NotConnected),
        };
        drop(state);
        on_shutdown(self, result);
    }

    fn run_reading(&self, cx: &mut Context<'_>) {
        let mut buffer = None;
        for turn in 0.. {
            let mut state = self.0.state.borrow_mut();
            if !state.on_read.is_on || state.connecting.is_some() {
                return;
            }
            if turn == BUDGET {
                return self.0.place.ring();
            }
            let buffer = buffer.get_or_insert_with(|| vec![0; READ_MAX]);
            let read = match &mut state.socket {
                Socket::Stream(stream) => match stream.poll_read(cx, buffer) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(0)) => Read::End,
                    Poll::Ready(Ok(n)) => Read::Data(&buffer[..n]),
                    Poll::Ready(Err(error)) => Read::Failed(error),
                },
                _ => Read::Failed(Error::NotConnected),
            };
            let Some(mut on_read) = state.on_read.take() else { return };
            if !matches!(read, Read::Data(_)) {
                state.on_read.stop();
            }
            drop(state);
            on_read(self, read);
            self.0.state.borrow_mut().on_read.put_back(on_read);
        }
    }
}

impl Handle for Inner {
    fn run(self: Rc<Self>, cx: &mut Context<'_>) {
        let tcp = Tcp(self);
        let deferred = core::mem::take(&mut tcp.0.state.borrow_mut().deferred);
        deferred.into_iter().for_each(|tell| tell(&tcp));
        tcp.run_connecting(cx);
        tcp.run_listening(cx);
        tcp.run_writes(cx);
        tcp.run_shutdown();
        tcp.run_reading(cx);
        let on_closed = tcp.0.state.borrow_mut().on_closed.take();
        if let Some(on_closed) = on_closed {
            on_closed();
        }
    }

    fn is_active(&self) -> bool {
        let state = self.state.borrow();
        state.on_connection.is_on
            || state.connecting.is_some()
            || state.on_read.is_on
            || !state.writes.is_empty()
            || state.on_shutdown.is_some()
            || !state.deferred.is_empty()
            || state.on_closed.is_some()
    }

    fn close(&self) {
        let closed = State { socket: Socket::Closed, ..State::default() };
        drop(self.state.replace(closed));
    }

    fn place(&self) -> &Place {
        &self.place
    }
}
