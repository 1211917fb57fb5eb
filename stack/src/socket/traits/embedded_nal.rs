//! The traits of `embedded-nal-async`: the network is the stack that connects and binds.

use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};

use embedded_nal_async::{ConnectedUdp, TcpConnect, UdpStack, UnconnectedUdp};

use crate::error::Error;
use crate::net::Net;
use crate::socket::udp::pending;
use crate::socket::{TcpStream, UdpSocket};

impl TcpConnect for Net {
    type Error = Error;
    type Connection<'a> = TcpStream;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpStream, Error> {
        TcpStream::connect_async(self, remote).await
    }
}

impl UdpStack for Net {
    type Error = Error;
    type Connected = UdpSocket;
    type UniquelyBound = UdpSocket;
    type MultiplyBound = UdpSocket;

    async fn connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(SocketAddr, UdpSocket), Error> {
        let socket = UdpSocket::bind(self, local)?;
        socket.connect(remote)?;
        Ok((socket.local_addr()?, socket))
    }

    /// For an unspecified address one of the host's is chosen: the first that is in use and leads out of this
    /// machine, else the loopback's.
    async fn bind_single(&self, local: SocketAddr) -> Result<(SocketAddr, UdpSocket), Error> {
        let mut local = local;
        if local.ip().is_unspecified() {
            local.set_ip(one_address(self, local.is_ipv4())?);
        }
        let socket = UdpSocket::bind(self, local)?;
        Ok((socket.local_addr()?, socket))
    }

    async fn bind_multiple(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        UdpSocket::bind(self, local)
    }
}

/// An address of the host that any peer may answer to, if there is one.
fn one_address(net: &Net, is_v4: bool) -> Result<IpAddr, Error> {
    net.with_stack(|stack| {
        let usable = stack.addresses().iter().filter(|a| a.is_usable()).map(|a| a.cidr.address());
        // A link-local address would need its zone, which the caller can't know.
        let is_link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let candidates = usable.filter(|ip| ip.is_ipv4() == is_v4 && !is_link_local(ip));
        candidates.min_by_key(IpAddr::is_loopback).ok_or(Error::AddrNotAvailable)
    })
}

impl ConnectedUdp for UdpSocket {
    type Error = Error;

    async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.send_async(data).await.map(drop)
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.recv_async(buffer).await
    }
}

impl UnconnectedUdp for UdpSocket {
    type Error = Error;

    /// A local address that is given is the source of the datagram: [`Error::AddrNotAvailable`] if it is none of
    /// ours, or the socket is bound to another. The port is the socket's.
    async fn send(&mut self, local: SocketAddr, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
        let from = local.ip().to_canonical();
        if local.port() != 0 && local.port() != self.local_addr()?.port() {
            return Err(Error::AddrNotAvailable);
        }
        if from.is_unspecified() {
            return poll_fn(|cx| self.poll_send_to(cx, data, Some(remote))).await.map(drop);
        }
        let handle = self.handle();
        let send = poll_fn(|cx| {
            pending(self.net().call_sending(|stack, devices, now| {
                stack.datagram_send_from(handle, (from, remote), data, (cx.waker(), devices), now)
            }))
        });
        send.await.map(drop)
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        let received = self.recv_datagram_async(buffer).await?;
        let local = SocketAddr::new(received.to, self.local_addr()?.port());
        Ok((received.len, local, received.from))
    }
}
