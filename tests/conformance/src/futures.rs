//! Futures, which `Net::block_on` runs, and which are dropped when their time is over.

use core::future::Future;
use core::net::{IpAddr, SocketAddr};

use barenet::time::Duration;
use barenet::{Error, Net, Shutdown, TcpListener, TcpStream, UdpSocket};

use crate::way::{Told, Way};

#[derive(Clone)]
pub(crate) struct Futures(Net);

impl Futures {
    pub(crate) fn new(net: &Net) -> Self {
        Futures(net.clone())
    }

    fn run<T>(
        &self,
        limit: Option<Duration>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match limit {
            Some(limit) => self.0.block_on(self.0.timeout(limit, call))?,
            None => self.0.block_on(call),
        }
    }
}

impl Way for Futures {
    type Stream = TcpStream;
    type Listener = TcpListener;
    type Socket = UdpSocket;

    fn connect(&self, to: SocketAddr, limit: Option<Duration>) -> Result<TcpStream, Error> {
        self.run(limit, TcpStream::connect_async(&self.0, to))
    }

    fn listen(&self, local: (IpAddr, u16), backlog: u16) -> Result<(TcpListener, u16), Error> {
        let listener = TcpListener::bind_with_backlog(&self.0, local, backlog)?;
        let port = listener.local_addr().port();
        Ok((listener, port))
    }

    fn accept(&self, listener: &TcpListener, limit: Option<Duration>) -> Result<TcpStream, Error> {
        self.run(limit, listener.accept_async()).map(|(stream, _)| stream)
    }

    fn close(&self, listener: &TcpListener) {
        listener.close();
    }

    fn read(&self, stream: &mut TcpStream, buf: &mut [u8], limit: Option<Duration>) -> Result<usize, Error> {
        self.run(limit, stream.read_async(buf))
    }

    fn write(&self, stream: &mut TcpStream, data: &[u8], limit: Option<Duration>) -> Result<usize, Error> {
        self.run(limit, stream.write_async(data))
    }

    fn finish(&self, stream: &mut TcpStream) -> Result<(), Error> {
        stream.shutdown(Shutdown::Write)
    }

    fn abort(&self, stream: &mut TcpStream) {
        stream.abort();
    }

    fn bind(&self, local: (IpAddr, u16)) -> Result<UdpSocket, Error> {
        UdpSocket::bind(&self.0, local)
    }

    fn send_to(&self, socket: &UdpSocket, data: &[u8], to: SocketAddr) -> Result<(), Error> {
        let sent = self.run(None, socket.send_to_async(data, to))?;
        assert_eq!(sent, data.len(), "a datagram is sent whole");
        Ok(())
    }

    fn recv_from(&self, socket: &UdpSocket, buf: &mut [u8], limit: Option<Duration>) -> Result<Told, Error> {
        let told = self.run(limit, socket.recv_datagram_async(buf))?;
        Ok(Told { len: told.len, from: told.from, is_truncated: told.is_truncated() })
    }
}
