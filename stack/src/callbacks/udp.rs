//! UDP: datagrams to and from anybody.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::SocketAddr;
use core::task::{Context, Poll};

use super::{BUDGET, Handle, Loop, Place};
use crate::base::wakers::NOBODY;
use crate::error::Error;
use crate::socket::{ToListenAddr, ToSocketAddrs, UdpSocket};
use crate::udp::BindOptions;

type OnReceived = Box<dyn FnMut(&Udp, Result<Datagram<'_>, Error>)>;
type OnSent = Box<dyn FnOnce(&Udp, Result<(), Error>)>;

/// A datagram that has arrived. An empty one is one too: there is no end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    /// What was sent, as far as the buffer holds it.
    pub data: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// The buffer was too small: the rest is lost.
    pub is_partial: bool,
}

/// A UDP handle. What sends or receives without having been bound is given a free port.
///
/// ```no_run
/// # fn example(events: &barenet::callbacks::Loop) -> Result<(), barenet::Error> {
/// use barenet::callbacks::Udp;
/// let client = Udp::new(events);
/// client.send(&[b"Hello, world!"], Some("192.0.2.1:7000".parse().unwrap()), |_, _| {});
/// client.recv_start(vec![0; 1500], |client, received| {
///     match received {
///         Err(error) => println!("can't receive: {error}"),
///         Ok(datagram) => println!("{}", datagram.data.escape_ascii()),
///     }
///     client.close(|| {});
/// })?;
/// events.run();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Udp(Rc<Inner>);

struct Inner {
    place: Place,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    socket: Option<Rc<UdpSocket>>,
    receiving: Option<Receiving>,
    /// How often receiving was begun or stopped.
    changes: usize,
    is_receiving: bool,
    sends: VecDeque<Send>,
    is_closed: bool,
    on_closed: Option<Box<dyn FnOnce()>>,
}

struct Receiving {
    buffer: Vec<u8>,
    on_received: OnReceived,
}

/// A datagram that waits to be sent, or one of which it is known how it went.
struct Send {
    data: Vec<u8>,
    to: Option<SocketAddr>,
    result: Option<Result<(), Error>>,
    on_sent: OnSent,
}

impl Udp {
    /// A handle that is not bound.
    pub fn new(events: &Loop) -> Udp {
        Udp(Rc::new(Inner { place: Place::new(events), state: RefCell::default() }))
    }

    /// The loop that it is a handle of.
    pub fn events(&self) -> &Loop {
        &self.0.place.events
    }

    /// Binds it to a local address and port; errors as for [`UdpSocket::bind`], and [`Error::AlreadyConnected`] if it is bound.
    pub fn bind(&self, local: impl ToListenAddr) -> Result<(), Error> {
        self.bind_with(local, &BindOptions::default())
    }

    /// [`bind`](Udp::bind) with options: ports that are shared, IPv6 alone, one interface.
    pub fn bind_with(&self, local: impl ToListenAddr, options: &BindOptions) -> Result<(), Error> {
        let mut state = self.0.state.borrow_mut();
        if state.is_closed {
            return Err(Error::ClosedLocally);
        }
        if state.socket.is_some() {
            return Err(Error::AlreadyConnected);
        }
        state.socket = Some(Rc::new(UdpSocket::bind_with(self.events().net(), local, options)?));
        Ok(())
    }

    /// The socket, for all else that it can do: options, groups, addresses. It is bound to a free port if it was not yet.
    pub fn socket(&self) -> Result<Rc<UdpSocket>, Error> {
        if self.0.state.borrow().socket.is_none() {
            self.bind(0)?;
        }
        self.0.state.borrow().socket.clone().ok_or(Error::ClosedLocally)
    }

    /// Gives it a peer: [`UdpSocket::connect`].
    pub fn connect(&self, peer: impl ToSocketAddrs) -> Result<(), Error> {
        self.socket()?.connect(peer)
    }

    /// Takes the peer away: [`UdpSocket::disconnect`].
    pub fn disconnect(&self) -> Result<(), Error> {
        self.socket()?.disconnect()
    }

    /// Calls `on_received` with each datagram that arrives, read into `buffer`, and with each error that ICMP tells,
    /// until [`recv_stop`](Udp::recv_stop) or [`close`](Udp::close). What else can go wrong ends it: the socket's address or
    /// device is gone.
    pub fn recv_start(
        &self,
        buffer: impl Into<Vec<u8>>,
        on_received: impl FnMut(&Udp, Result<Datagram<'_>, Error>) + 'static,
    ) -> Result<(), Error> {
        self.socket()?;
        let receiving = Receiving { buffer: buffer.into(), on_received: Box::new(on_received) };
        self.change(Some(receiving));
        self.call();
        Ok(())
    }

    /// Stops that: what arrives waits in the socket.
    pub fn recv_stop(&self) {
        self.change(None);
        self.0.place.ring();
    }

    fn change(&self, to: Option<Receiving>) {
        let mut state = self.0.state.borrow_mut();
        state.changes += 1;
        state.is_receiving = to.is_some();
        let before = core::mem::replace(&mut state.receiving, to);
        drop(state);
        drop(before);
    }

    /// Sends the parts as one datagram, to the connected peer with `None`, and calls back with how it went. One for which
    /// the device has no room is copied and waits.
    pub fn send(
        &self,
        parts: &[&[u8]],
        to: Option<SocketAddr>,
        on_sent: impl FnOnce(&Udp, Result<(), Error>) + 'static,
    ) {
        let result = match self.try_send(parts, to) {
            Err(Error::WouldBlock) => None,
            result => Some(result),
        };
        let data = if result.is_none() { parts.concat() } else { Vec::new() };
        self.0.state.borrow_mut().sends.push_back(Send { data, to, result, on_sent: Box::new(on_sent) });
        self.call();
    }

    /// Sends only if that can be done at once: [`Error::WouldBlock`] if the device has no room, or others wait before it.
    pub fn try_send(&self, parts: &[&[u8]], to: Option<SocketAddr>) -> Result<(), Error> {
        if self.send_queue_count() > 0 {
            return Err(Error::WouldBlock);
        }
        match self.socket()?.poll_send_vectored(&mut Context::from_waker(NOBODY), parts, to) {
            Poll::Pending => Err(Error::WouldBlock),
            Poll::Ready(sent) => sent.map(|_| ()),
        }
    }

    /// Bytes of the datagrams that wait to be sent.
    pub fn send_queue_size(&self) -> usize {
        self.0.state.borrow().sends.iter().map(|send| send.data.len()).sum()
    }

    /// Datagrams that wait to be sent.
    pub fn send_queue_count(&self) -> usize {
        self.0.state.borrow().sends.iter().filter(|send| send.result.is_none()).count()
    }

    /// Closes the handle and calls back when that is done. Datagrams that wait are called back with
    /// [`Error::ClosedLocally`]. No other callback is called afterwards.
    pub fn close(&self, on_closed: impl FnOnce() + 'static) {
        self.change(None);
        let mut state = self.0.state.borrow_mut();
        state.is_closed = true;
        state.on_closed = Some(Box::new(on_closed));
        let socket = state.socket.take();
        drop(state);
        drop(socket);
        self.call();
    }

    /// Will a callback be called yet?
    pub fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn call(&self) {
        self.events().call(self.0.clone());
    }

    fn run_sends(&self, cx: &mut Context<'_>) {
        loop {
            let mut state = self.0.state.borrow_mut();
            let socket = state.socket.clone();
            let Some(send) = state.sends.front() else { return };
            let result = match (send.result, socket) {
                (Some(result), _) => result,
                (None, None) => Err(Error::ClosedLocally),
                (None, Some(socket)) => match socket.poll_send_to(cx, &send.data, send.to) {
                    Poll::Pending => return,
                    Poll::Ready(result) => result.map(|_| ()),
                },
            };
            let Some(send) = state.sends.pop_front() else { return };
            drop(state);
            (send.on_sent)(self, result);
        }
    }

    fn run_receiving(&self, cx: &mut Context<'_>) {
        for turn in 0.. {
            let mut state = self.0.state.borrow_mut();
            let (Some(socket), Some(mut receiving)) = (state.socket.clone(), state.receiving.take()) else {
                return;
            };
            let polled = match turn {
                BUDGET => {
                    self.0.place.ring();
                    Poll::Pending
                }
                _ => socket.poll_recv(cx, &mut receiving.buffer),
            };
            let Poll::Ready(received) = polled else {
                state.receiving = Some(receiving);
                return;
            };
            let changes = state.changes;
            let is_over = matches!(
                received,
                Err(Error::DeviceGone | Error::NetDown | Error::AddrNotAvailable | Error::StaleHandle)
            );
            state.is_receiving = !is_over;
            drop(state);
            let Receiving { buffer, on_received } = &mut receiving;
            let datagram = received.map(|received| Datagram {
                data: &buffer[..received.len],
                from: received.from,
                is_partial: received.is_truncated(),
            });
            on_received(self, datagram);
            let mut state = self.0.state.borrow_mut();
            if state.changes == changes && !is_over {
                state.receiving = Some(receiving);
            }
        }
    }
}

impl Handle for Inner {
    fn run(self: Rc<Self>, cx: &mut Context<'_>) {
        let udp = Udp(self);
        udp.run_sends(cx);
        udp.run_receiving(cx);
        let on_closed = udp.0.state.borrow_mut().on_closed.take();
        if let Some(on_closed) = on_closed {
            on_closed();
        }
    }

    fn is_active(&self) -> bool {
        let state = self.state.borrow();
        state.is_receiving || !state.sends.is_empty() || state.on_closed.is_some()
    }

    fn close(&self) {
        let closed = State { is_closed: true, ..State::default() };
        drop(self.state.replace(closed));
    }

    fn place(&self) -> &Place {
        &self.place
    }
}
