//! Calls that block, by whatever the network waits with.

use core::net::{IpAddr, SocketAddr};

use barenet::time::Duration;
use barenet::{Error, Net, Shutdown, TcpListener, TcpStream, UdpSocket};

use crate::way::{Told, Way};

#[derive(Clone)]
pub(crate) struct Blocking(Net);

impl Blocking {
    pub(crate) fn new(net: &Net) -> Self {
        Blocking(net.clone())
    }
}

impl Way for Blocking {
    type Stream = TcpStream;
    type Listener = TcpListener;
    type Socket = core::cell::RefCell<UdpSocket>;

    fn connect(&self, to: SocketAddr, limit: Option<Duration>) -> Result<TcpStream, Error> {
        match limit {
            Some(limit) => TcpStream::connect_timeout(&self.0, to, limit),
            None => TcpStream::connect(&self.0, to),
        }
    }

    fn listen(&self, local: (IpAddr, u16), backlog: u16) -> Result<(TcpListener, u16), Error> {
        let listener = TcpListener::bind_with_backlog(&self.0, local, backlog)?;
        let port = listener.local_addr().port();
        Ok((listener, port))
    }

    fn accept(&self, listener: &TcpListener, limit: Option<Duration>) -> Result<TcpStream, Error> {
        let accepted = match limit {
            Some(limit) => listener.accept_timeout(limit),
            None => listener.accept(),
        };
        accepted.map(|(stream, _)| stream)
    }

    fn close(&self, listener: &TcpListener) {
        listener.close();
    }

    fn read(&self, stream: &mut TcpStream, buf: &mut [u8], limit: Option<Duration>) -> Result<usize, Error> {
        stream.set_read_timeout(limit);
        stream.read(buf)
    }

    fn write(&self, stream: &mut TcpStream, data: &[u8], limit: Option<Duration>) -> Result<usize, Error> {
        stream.set_write_timeout(limit);
        stream.write(data)
    }

    fn finish(&self, stream: &mut TcpStream) -> Result<(), Error> {
        stream.shutdown(Shutdown::Write)
    }

    fn abort(&self, stream: &mut TcpStream) {
        stream.abort();
    }

    fn bind(&self, local: (IpAddr, u16)) -> Result<Self::Socket, Error> {
        UdpSocket::bind(&self.0, local).map(core::cell::RefCell::new)
    }

    fn send_to(&self, socket: &Self::Socket, data: &[u8], to: SocketAddr) -> Result<(), Error> {
        let sent = socket.borrow().send_to(data, to)?;
        assert_eq!(sent, data.len(), "a datagram is sent whole");
        Ok(())
    }

    fn recv_from(
        &self,
        socket: &Self::Socket,
        buf: &mut [u8],
        limit: Option<Duration>,
    ) -> Result<Told, Error> {
        socket.borrow_mut().set_read_timeout(limit);
        let told = socket.borrow().recv_datagram(buf)?;
        Ok(Told { len: told.len, from: told.from, is_truncated: told.is_truncated() })
    }
}
