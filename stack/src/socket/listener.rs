//! A listening port.

use core::net::SocketAddr;
use core::task::{Context, Poll};

use super::{TcpBuilder, TcpStream, ToListenAddr};
#[cfg(feature = "alloc")]
use crate::base::sync::atomic::AtomicUsize;
use crate::error::Error;
use crate::net::Net;
use crate::stack::ListenerHandle;
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
    pub(super) stops: AtomicUsize,
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

    /// The network that it is a socket of.
    pub fn net(&self) -> &Net {
        &self.net
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

#[cfg(all(test, feature = "std"))]
mod tests;
