//! The traits of `edge-nal`: the network is what connects and binds, sockets are what it gives.

use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ::edge_nal::{
    Close, MacAddr, MulticastV4, MulticastV6, RawBind, RawReceive, RawSend, RawSplit, Readable, TcpAccept,
    TcpBind, TcpConnect, TcpShutdown, TcpSplit, UdpBind, UdpConnect, UdpReceive, UdpSend, UdpSplit,
    UdpSplitMulticast,
};
use ::embedded_io::ErrorType;

use crate::device::Mac;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::net::Net;
use crate::socket::{EthernetSocket, ReadHalf, Shutdown, TcpListener, TcpStream, UdpSocket, WriteHalf};
use crate::stack::Membership;

impl TcpConnect for Net {
    type Error = Error;
    type Socket<'a> = TcpStream;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpStream, Error> {
        TcpStream::connect_async(self, remote).await
    }
}

impl TcpBind for Net {
    type Error = Error;
    type Accept<'a> = TcpListener;

    async fn bind(&self, local: SocketAddr) -> Result<TcpListener, Error> {
        TcpListener::bind(self, local)
    }
}

impl TcpAccept for TcpListener {
    type Error = Error;
    type Socket<'a> = TcpStream;

    async fn accept(&self) -> Result<(SocketAddr, TcpStream), Error> {
        let (stream, peer) = self.accept_async().await?;
        Ok((peer, stream))
    }
}

impl TcpSplit for TcpStream {
    type Read<'a> = ReadHalf<'a>;
    type Write<'a> = WriteHalf<'a>;

    fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        TcpStream::split(self)
    }
}

impl TcpShutdown for TcpStream {
    /// `Close::Write` sends a FIN and waits until it is acknowledged; `Close::Read` reads until the peer's FIN and
    /// drops what comes. The trait leaves it to the caller to limit the time.
    async fn close(&mut self, what: Close) -> Result<(), Error> {
        if matches!(what, Close::Write | Close::Both) {
            self.shutdown(Shutdown::Write)?;
        }
        if matches!(what, Close::Read | Close::Both) {
            let mut dropped = [0; 64];
            while self.read_async(&mut dropped).await? > 0 {}
        }
        if matches!(what, Close::Write | Close::Both) {
            poll_fn(|cx| self.poll_acknowledged(cx)).await?;
        }
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), Error> {
        TcpStream::abort(self);
        Ok(())
    }
}

impl Readable for TcpStream {
    async fn readable(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }
}

impl Readable for ReadHalf<'_> {
    async fn readable(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }
}

/// Sockets of this trait may send to broadcast addresses, as it has no call that would allow it.
fn open(net: &Net, local: SocketAddr) -> Result<UdpSocket, Error> {
    let socket = UdpSocket::bind(net, local)?;
    socket.set_broadcast(true)?;
    Ok(socket)
}

impl UdpBind for Net {
    type Error = Error;
    type Socket<'a> = UdpSocket;

    async fn bind(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        open(self, local)
    }
}

impl UdpConnect for Net {
    type Error = Error;
    type Socket<'a> = UdpSocket;

    async fn connect(&self, local: SocketAddr, remote: SocketAddr) -> Result<UdpSocket, Error> {
        let socket = open(self, local)?;
        socket.connect(remote)?;
        Ok(socket)
    }
}

impl ErrorType for UdpSocket {
    type Error = Error;
}

impl ErrorType for &UdpSocket {
    type Error = Error;
}

/// The traits for a socket and for a shared reference to it, which is what a split gives.
macro_rules! datagrams {
    ($($type:ty),*) => {$(
        impl UdpReceive for $type {
            async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
                self.recv_from_async(buffer).await
            }
        }

        impl UdpSend for $type {
            /// A connected socket sends to its peer only: [`Error::AlreadyConnected`] for another.
            async fn send(&mut self, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
                let to = Some(remote).filter(|remote| self.peer_addr() != Ok(*remote));
                poll_fn(|cx| self.poll_send_to(cx, data, to)).await.map(drop)
            }
        }

        impl Readable for $type {
            async fn readable(&mut self) -> Result<(), Error> {
                poll_fn(|cx| self.poll_readable(cx)).await
            }
        }

        impl MulticastV4 for $type {
            async fn join_v4(&mut self, group: Ipv4Addr, interface: Ipv4Addr) -> Result<(), Error> {
                self.join(group.into(), with_address(self.net(), interface)?, Membership::AnySource)
            }
            async fn leave_v4(&mut self, group: Ipv4Addr, interface: Ipv4Addr) -> Result<(), Error> {
                self.leave(group.into(), with_address(self.net(), interface)?, Membership::AnySource)
            }
        }

        impl MulticastV6 for $type {
            async fn join_v6(&mut self, group: Ipv6Addr, interface: u32) -> Result<(), Error> {
                self.join(group.into(), with_index(self.net(), interface)?, Membership::AnySource)
            }
            async fn leave_v6(&mut self, group: Ipv6Addr, interface: u32) -> Result<(), Error> {
                self.leave(group.into(), with_index(self.net(), interface)?, Membership::AnySource)
            }
        }
    )*};
}

datagrams!(UdpSocket, &UdpSocket);

impl UdpSplit for UdpSocket {
    type Receive<'a> = &'a UdpSocket;
    type Send<'a> = &'a UdpSocket;

    fn split(&mut self) -> (&UdpSocket, &UdpSocket) {
        (self, self)
    }
}

impl UdpSplitMulticast for UdpSocket {
    type MulticastV4<'a> = &'a UdpSocket;
    type MulticastV6<'a> = &'a UdpSocket;

    fn split_multicast(&mut self) -> (&UdpSocket, &UdpSocket, &UdpSocket, &UdpSocket) {
        (self, self, self, self)
    }
}

/// The interface that has this address; `0.0.0.0` leaves it to the route.
fn with_address(net: &Net, address: Ipv4Addr) -> Result<Option<InterfaceId>, Error> {
    if address.is_unspecified() {
        return Ok(None);
    }
    net.with_stack(|stack| {
        let mut owners = stack.addresses().iter().filter(|a| a.cidr.address() == IpAddr::V4(address));
        owners.next().map(|a| Some(a.interface)).ok_or(Error::AddrNotAvailable)
    })
}

/// The interface with this [`zone`](InterfaceId::zone); 0 leaves it to the route.
fn with_index(net: &Net, index: u32) -> Result<Option<InterfaceId>, Error> {
    match index {
        0 => Ok(None),
        index => net.configuration().by_index(index).map(Some).ok_or(Error::DeviceGone),
    }
}

/// An interface for the raw sockets of `edge-nal`, which send and receive IPv4 packets in Ethernet frames: for a
/// DHCP client or server that speaks to hosts without an address.
///
/// ```no_run
/// # async fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
/// use barenet::RawInterface;
/// use edge_nal::{RawBind, RawSend};
/// let interface = net.configuration().by_name("eth2");
/// let mut socket = RawInterface::new(net, interface.expect("it is there")).bind().await?;
/// socket.send([0xff; 6], &[0x45; 20]).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RawInterface {
    net: Net,
    interface: InterfaceId,
}

/// The type of frames with IPv4 packets.
const ETHERTYPE_IPV4: u16 = 0x0800;

impl RawInterface {
    /// An interface of `net`; whether it is there is asked when a socket is bound.
    pub fn new(net: &Net, interface: InterfaceId) -> Self {
        RawInterface { net: net.clone(), interface }
    }
}

impl RawBind for RawInterface {
    type Error = Error;
    type Socket<'a> = EthernetSocket;

    async fn bind(&self) -> Result<EthernetSocket, Error> {
        EthernetSocket::open(&self.net, self.interface, ETHERTYPE_IPV4)
    }
}

impl ErrorType for EthernetSocket {
    type Error = Error;
}

impl ErrorType for &EthernetSocket {
    type Error = Error;
}

macro_rules! frames {
    ($($type:ty),*) => {$(
        impl RawReceive for $type {
            async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, MacAddr), Error> {
                self.recv_async(buffer).await.map(|frame| (frame.len, frame.from.0))
            }
        }

        impl RawSend for $type {
            async fn send(&mut self, to: MacAddr, data: &[u8]) -> Result<(), Error> {
                self.send_to_async(data, Mac(to)).await.map(drop)
            }
        }

        impl Readable for $type {
            async fn readable(&mut self) -> Result<(), Error> {
                poll_fn(|cx| self.poll_readable(cx)).await
            }
        }
    )*};
}

frames!(EthernetSocket, &EthernetSocket);

impl RawSplit for EthernetSocket {
    type Receive<'a> = &'a EthernetSocket;
    type Send<'a> = &'a EthernetSocket;

    fn split(&mut self) -> (&EthernetSocket, &EthernetSocket) {
        (self, self)
    }
}
