//! The sockets of a unikernel's kernel (as `axnet` of ArceOS has them) on barenet: what a system that adopts it has to write.
//!
//! A [`Socket`] stands behind a descriptor: TCP or UDP, shared by threads, blocking or not; [`poll()`] and [`Epoll`] wait for
//! several. Each operation is one of barenet's in its async form, asked once or waited for. The system brings a
//! [`Platform`](barenet::Platform), its drivers as [`Device`](barenet::device::Device)s, and a [way of waiting](barenet::wait).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
mod ready;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::task::{Context, Poll, Waker};

use barenet::time::Instant;
use barenet::{Error, HostAddresses, Net, Shutdown, TcpListener, TcpStream, ToListenAddr, UdpSocket};
use embedded_io_async::{Read, Write};
pub use ready::{Epoll, Interest, poll};
use spin::Mutex;

/// All that the handler of a network device's interrupt does: the thread that polls the interfaces wakes up.
pub fn on_interrupt(net: &Net) {
    net.wake_daemon();
}

/// The body of the system's network thread or idle loop. Returns when it is to be called again without an interrupt.
pub fn poll_interfaces(net: &Net) -> Option<Instant> {
    net.turn()
}

/// The addresses of a name, in the order in which they are to be tried.
pub fn dns_query(net: &Net, name: &str) -> Result<HostAddresses, Error> {
    net.lookup(name)
}

/// What a socket is now: shared, so that one thread may wait in it while another uses it.
#[derive(Clone)]
enum Kind {
    Tcp(Option<SocketAddr>),
    Listener(Arc<TcpListener>),
    Stream(Arc<TcpStream>),
    Udp(Option<Arc<UdpSocket>>),
}

/// A socket behind a descriptor.
pub struct Socket {
    net: Net,
    kind: Mutex<Kind>,
    nonblocking: AtomicBool,
}

impl Socket {
    /// `socket(AF_INET6, SOCK_STREAM)`; it speaks both families.
    pub fn tcp(net: &Net) -> Socket {
        Socket::of(net, Kind::Tcp(None))
    }

    /// `socket(AF_INET6, SOCK_DGRAM)`.
    pub fn udp(net: &Net) -> Socket {
        Socket::of(net, Kind::Udp(None))
    }

    fn of(net: &Net, kind: Kind) -> Socket {
        Socket { net: net.clone(), kind: Mutex::new(kind), nonblocking: AtomicBool::new(false) }
    }

    /// A copy, so that the lock is not held while it is used.
    fn kind(&self) -> Kind {
        self.kind.lock().clone()
    }

    /// `O_NONBLOCK`: what would wait fails with [`Error::WouldBlock`].
    pub fn set_nonblocking(&self, on: bool) {
        self.nonblocking.store(on, Relaxed);
    }

    /// An operation, asked once or waited for.
    fn run<T>(&self, operation: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        if !self.nonblocking.load(Relaxed) {
            return self.net.block_on(operation);
        }
        match pin!(operation).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(Error::WouldBlock),
        }
    }

    fn stream(&self) -> Result<Arc<TcpStream>, Error> {
        match self.kind() {
            Kind::Stream(stream) => Ok(stream),
            _ => Err(Error::NotConnected),
        }
    }

    fn datagrams(&self) -> Result<Arc<UdpSocket>, Error> {
        let mut kind = self.kind.lock();
        match &mut *kind {
            Kind::Udp(Some(socket)) => Ok(socket.clone()),
            Kind::Udp(none) => Ok(none.insert(Arc::new(UdpSocket::bind(&self.net, 0)?)).clone()),
            _ => Err(Error::NotConnected),
        }
    }

    /// `bind`. [`Error::AlreadyConnected`]: it has an address, or a peer.
    pub fn bind(&self, local: SocketAddr) -> Result<(), Error> {
        let bound = match self.kind() {
            Kind::Tcp(None) => Kind::Tcp(Some(local)),
            Kind::Udp(None) => Kind::Udp(Some(Arc::new(UdpSocket::bind(&self.net, local)?))),
            _ => return Err(Error::AlreadyConnected),
        };
        *self.kind.lock() = bound;
        Ok(())
    }

    /// `listen`, on a free port if it was not bound.
    pub fn listen(&self, backlog: u16) -> Result<(), Error> {
        let Kind::Tcp(local) = self.kind() else { return Err(Error::AlreadyConnected) };
        let local = local.map_or_else(|| 0.to_listen_addr(), Ok)?;
        let listener = TcpListener::bind_with_backlog(&self.net, local, backlog)?;
        *self.kind.lock() = Kind::Listener(Arc::new(listener));
        Ok(())
    }

    /// `accept`.
    pub fn accept(&self) -> Result<(Socket, SocketAddr), Error> {
        let Kind::Listener(listener) = self.kind() else { return Err(Error::NotConnected) };
        let (stream, peer) = self.run(listener.accept_async())?;
        Ok((Socket::of(&self.net, Kind::Stream(Arc::new(stream))), peer))
    }

    /// `connect`. [`Error::WouldBlock`] stands for `EINPROGRESS`: the socket is writable when the handshake is over, and
    /// [`take_error`](Socket::take_error) says how it went.
    pub fn connect(&self, peer: SocketAddr) -> Result<(), Error> {
        match self.kind() {
            Kind::Udp(_) => self.datagrams()?.connect(peer),
            Kind::Tcp(local) => {
                let stream = Arc::new(TcpStream::start_connect_with(&self.net, peer, local, None)?);
                *self.kind.lock() = Kind::Stream(stream.clone());
                self.run(poll_fn(|cx| stream.poll_connected(cx)))
            }
            _ => Err(Error::AlreadyConnected),
        }
    }

    /// `send`.
    pub fn send(&self, data: &[u8]) -> Result<usize, Error> {
        match self.kind() {
            Kind::Udp(_) => self.run(self.datagrams()?.send_async(data)),
            _ => self.run((&*self.stream()?).write(data)),
        }
    }

    /// `recv`: 0 is the end of a stream.
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        match self.kind() {
            Kind::Udp(_) => self.run(self.datagrams()?.recv_async(buf)),
            _ => self.run((&*self.stream()?).read(buf)),
        }
    }

    /// `sendto`, for UDP.
    pub fn send_to(&self, data: &[u8], to: SocketAddr) -> Result<usize, Error> {
        self.run(self.datagrams()?.send_to_async(data, to))
    }

    /// `recvfrom`, for UDP.
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        self.run(self.datagrams()?.recv_from_async(buf))
    }

    /// `shutdown`, for TCP. A listener is closed.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Error> {
        match self.kind() {
            Kind::Listener(listener) => listener.close(),
            _ => self.stream()?.try_clone()?.shutdown(how)?,
        }
        Ok(())
    }

    /// `SO_ERROR`: why a connect or a connection failed, once.
    pub fn take_error(&self) -> Result<Option<Error>, Error> {
        match self.kind() {
            Kind::Stream(stream) => match stream.poll_connected(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Err(error)) => Ok(Some(error)),
                _ => stream.take_error(),
            },
            _ => Ok(None),
        }
    }

    /// `getsockname`.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        match self.kind() {
            Kind::Tcp(local) => local.ok_or(Error::NotConnected),
            Kind::Listener(listener) => Ok(listener.local_addr()),
            Kind::Stream(stream) => stream.local_addr(),
            Kind::Udp(_) => self.datagrams()?.local_addr(),
        }
    }

    /// `getpeername`.
    pub fn peer_addr(&self) -> Result<SocketAddr, Error> {
        match self.kind() {
            Kind::Udp(Some(socket)) => socket.peer_addr(),
            _ => self.stream()?.peer_addr(),
        }
    }
}
