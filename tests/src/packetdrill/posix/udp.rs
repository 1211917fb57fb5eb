//! A socket of UDP.

use super::super::names::c;
use super::{Errno, Received, Result, shown, unspecified};
use barenet::{Error, Net, UdpSocket};
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

pub(super) struct Udp {
    net: Net,
    v6: bool,
    v6_only: bool,
    socket: Option<UdpSocket>,
    /// An error that `poll` has seen and nobody was told of.
    pending: Option<Errno>,
}

impl Udp {
    pub(super) fn new(net: Net, v6: bool) -> Udp {
        Udp { net, v6, v6_only: false, socket: None, pending: None }
    }

    pub(super) fn bind(&mut self, address: SocketAddr) -> Result<()> {
        if self.socket.is_some() {
            return Err(Errno::EINVAL);
        }
        let bind = if self.v6_only {
            UdpSocket::bind_v6_only(&self.net, address)
        } else {
            UdpSocket::bind(&self.net, address)
        };
        self.socket = Some(bind?);
        Ok(())
    }

    /// The socket; one that has no port yet gets one.
    fn socket(&mut self) -> Result<&UdpSocket> {
        if self.socket.is_none() {
            self.bind(SocketAddr::new(unspecified(self.v6), 0))?;
        }
        self.socket.as_ref().ok_or(Errno::EINVAL)
    }

    pub(super) fn connect(&mut self, to: Option<SocketAddr>) -> Result<()> {
        let to = to.ok_or(Errno::EAFNOSUPPORT)?;
        Ok(self.socket()?.connect(to)?)
    }

    pub(super) fn receive(&mut self, buf: &mut [u8], peek: bool) -> Result<Received> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let v6 = self.v6;
        let socket = self.socket()?;
        if peek {
            // Only the blocking form looks without taking, and nothing blocks here.
            let (len, from) = socket.peek_from(buf).map_err(|e| match e {
                Error::TimedOut => Errno::EAGAIN,
                error => error.into(),
            })?;
            return Ok(Received { len, from: Some(shown(from, v6)), truncated: false });
        }
        match socket.poll_recv(&mut Context::from_waker(Waker::noop()), buf) {
            Poll::Pending => Err(Errno::EAGAIN),
            Poll::Ready(received) => {
                let received = received?;
                let from = Some(shown(received.from, v6));
                Ok(Received { len: received.len, from, truncated: received.datagram_len > received.len })
            }
        }
    }

    pub(super) fn send(&mut self, data: &[u8], to: Option<SocketAddr>) -> Result<usize> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let mut context = Context::from_waker(Waker::noop());
        match self.socket()?.poll_send_to(&mut context, data, to) {
            Poll::Pending => Err(Errno::EAGAIN),
            Poll::Ready(Err(Error::NotConnected)) => Err(Errno::EDESTADDRREQ),
            Poll::Ready(sent) => Ok(sent?),
        }
    }

    /// Bytes of the datagram that is next.
    pub(super) fn unread(&mut self) -> Result<i32> {
        let mut buf = vec![0; 65_536];
        match self.receive(&mut buf, true) {
            Ok(received) => Ok(received.len as i32),
            Err(Errno::EAGAIN) => Ok(0),
            Err(error) => Err(error),
        }
    }

    pub(super) fn events(&mut self) -> i32 {
        let readable = match self.receive(&mut [0], true) {
            Ok(_) => c::POLLIN | c::POLLRDNORM,
            Err(Errno::EAGAIN) => 0,
            Err(error) => {
                self.pending = Some(error);
                c::POLLERR
            }
        };
        readable | c::POLLOUT | c::POLLWRNORM
    }

    pub(super) fn local_address(&mut self) -> Result<SocketAddr> {
        let (v6, any) = (self.v6, SocketAddr::new(unspecified(self.v6), 0));
        self.socket.as_ref().map_or(Ok(any), |s| Ok(shown(s.local_addr()?, v6)))
    }

    pub(super) fn peer_address(&mut self) -> Result<SocketAddr> {
        let v6 = self.v6;
        let socket = self.socket.as_ref().ok_or(Errno::ENOTCONN)?;
        Ok(shown(socket.peer_addr()?, v6))
    }

    pub(super) fn set_option(&mut self, level: i32, name: i32, value: i32) -> Result<()> {
        match (level, name) {
            (c::SOL_SOCKET, c::SO_BROADCAST) => Ok(self.socket()?.set_broadcast(value != 0)?),
            (c::IPPROTO_IP, c::IP_TTL) | (c::IPPROTO_IPV6, c::IPV6_UNICAST_HOPS) => {
                Ok(self.socket()?.set_ttl(u8::try_from(value).ok().filter(|v| *v > 0))?)
            }
            (c::IPPROTO_IPV6, c::IPV6_V6ONLY) if self.socket.is_none() => {
                self.v6_only = value != 0;
                Ok(())
            }
            (c::SOL_SOCKET, c::SO_REUSEADDR | c::SO_REUSEPORT | c::SO_RCVBUF | c::SO_SNDBUF) => Ok(()),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    pub(super) fn option(&mut self, level: i32, name: i32) -> Result<i32> {
        match (level, name) {
            (c::SOL_SOCKET, c::SO_TYPE) => Ok(c::SOCK_DGRAM),
            (c::SOL_SOCKET, c::SO_DOMAIN) => Ok(if self.v6 { c::AF_INET6 } else { c::AF_INET }),
            (c::SOL_SOCKET, c::SO_PROTOCOL) => Ok(17),
            (c::SOL_SOCKET, c::SO_ERROR) => match self.receive(&mut [0], true) {
                Ok(_) | Err(Errno::EAGAIN) => Ok(0),
                Err(error) => Ok(error.0),
            },
            (c::SOL_SOCKET, c::SO_BROADCAST) => Ok(self.socket()?.broadcast()?.into()),
            (c::IPPROTO_IP, c::IP_TTL) => Ok(self.socket()?.ttl()?.unwrap_or(64).into()),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }
}
