//! A way of waiting.

use core::net::{IpAddr, SocketAddr};

use barenet::Error;
use barenet::time::Duration;

/// A datagram that has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    /// Bytes of it in the buffer.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The rest is lost.
    pub is_truncated: bool,
}

/// The calls of the sockets as one way of waiting has them. A limit is that of the call; `None`: it waits for ever.
pub(crate) trait Way {
    /// A connection.
    type Stream: 'static;
    /// A listener.
    type Listener;
    /// A UDP socket.
    type Socket;

    fn connect(&self, to: SocketAddr, limit: Option<Duration>) -> Result<Self::Stream, Error>;

    fn listen(&self, local: (IpAddr, u16), backlog: u16) -> Result<(Self::Listener, u16), Error>;

    fn accept(&self, listener: &Self::Listener, limit: Option<Duration>) -> Result<Self::Stream, Error>;

    /// Ends listening, and the listener is there still.
    fn close(&self, listener: &Self::Listener);

    fn read(
        &self,
        stream: &mut Self::Stream,
        buf: &mut [u8],
        limit: Option<Duration>,
    ) -> Result<usize, Error>;

    /// Some of `data`, or all.
    fn write(&self, stream: &mut Self::Stream, data: &[u8], limit: Option<Duration>) -> Result<usize, Error>;

    /// A FIN after what was written.
    fn finish(&self, stream: &mut Self::Stream) -> Result<(), Error>;

    /// A reset.
    fn abort(&self, stream: &mut Self::Stream);

    fn bind(&self, local: (IpAddr, u16)) -> Result<Self::Socket, Error>;

    fn send_to(&self, socket: &Self::Socket, data: &[u8], to: SocketAddr) -> Result<(), Error>;

    fn recv_from(
        &self,
        socket: &Self::Socket,
        buf: &mut [u8],
        limit: Option<Duration>,
    ) -> Result<Told, Error>;
}
