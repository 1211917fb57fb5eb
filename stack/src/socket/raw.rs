//! Raw sockets: IP packets of a protocol, and Ethernet frames of a type.

use core::fmt;
use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};

use super::udp::pending;
use crate::device::Mac;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::net::Net;
use crate::raw::{RawFrame, RawHandle, RawKind, RawPacket};
use crate::time::Duration;

/// What both kinds of sockets are made of.
struct Raw {
    net: Net,
    handle: RawHandle,
    read_timeout: Option<Duration>,
}

impl Raw {
    fn open(net: &Net, kind: RawKind, interface: Option<InterfaceId>) -> Result<Raw, Error> {
        let handle = net.call(|stack, _| stack.raw_open(kind, interface))?;
        Ok(Raw { net: net.clone(), handle, read_timeout: None })
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.received(self.net.call(|stack, _| match stack.raw_is_readable(self.handle)? {
            true => Ok(()),
            false => stack.raw_register(self.handle, cx.waker()).and(Err(Error::WouldBlock)),
        }))
    }

    /// When its device is gone, nothing can come any more.
    fn received<R>(&self, result: Result<R, Error>) -> Poll<Result<R, Error>> {
        match result {
            Err(Error::WouldBlock) if self.net.is_cut_off() => Poll::Ready(Err(Error::DeviceGone)),
            result => pending(result),
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.net.let_go(|stack, _| stack.raw_close(self.handle));
    }
}

/// A socket for IP packets of one protocol: what follows the IP header, or whole packets.
///
/// It gets a copy of each packet for this host; the stack handles TCP, UDP and ICMP all the same. A protocol that
/// a raw socket speaks is not answered with "protocol unreachable". Fragments are put together before.
///
/// ```no_run
/// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
/// use barenet::RawSocket;
/// // OSPF has number 89 over IPv4.
/// let socket = RawSocket::open_v4(net, 89)?;
/// socket.send_to(b"hello", "192.0.2.1".parse().unwrap())?;
/// let mut buf = [0; 1500];
/// let packet = socket.recv(&mut buf)?;
/// println!("{} bytes from {}", packet.packet_len, packet.from);
/// # Ok(()) }
/// ```
pub struct RawSocket(Raw);

impl RawSocket {
    /// A socket for an IPv4 protocol, by its number (RFC 791 §3.1).
    ///
    /// [`Error::TooManySockets`]
    pub fn open_v4(net: &Net, protocol: u8) -> Result<RawSocket, Error> {
        Raw::open(net, RawKind::Ipv4(protocol), None).map(RawSocket)
    }

    /// A socket for an IPv6 protocol: the last next-header field of the packet (RFC 8200 §3).
    ///
    /// [`Error::TooManySockets`]
    pub fn open_v6(net: &Net, protocol: u8) -> Result<RawSocket, Error> {
        Raw::open(net, RawKind::Ipv6(protocol), None).map(RawSocket)
    }

    /// The same, tied to an interface: it takes that one's packets only, and sends by it.
    ///
    /// [`Error::DeviceGone`]: there is no such interface. [`Error::InvalidInput`] for
    /// [`RawKind::Ethernet`], which is for an [`EthernetSocket`]. [`Error::TooManySockets`]
    pub fn open_on(net: &Net, kind: RawKind, interface: InterfaceId) -> Result<RawSocket, Error> {
        if matches!(kind, RawKind::Ethernet(_)) {
            return Err(Error::InvalidInput("Ethernet frames are for an EthernetSocket"));
        }
        Raw::open(net, kind, Some(interface)).map(RawSocket)
    }

    /// Ties the socket to one host: it takes packets from there only, [`send`](Self::send) sends there, and it hears of
    /// ICMP errors. `None`: no longer.
    ///
    /// [`Error::AddrInvalid`]: the unspecified address, or one of the other family.
    pub fn connect(&self, peer: Option<IpAddr>) -> Result<(), Error> {
        self.0.net.with_stack(|stack| stack.raw_connect(self.0.handle, peer))
    }

    /// Whole packets both ways: what is sent begins with its IP header, and what is received too.
    ///
    /// Nothing in the header of a packet that is sent is changed, but that IPv4's checksum is filled in, and its source
    /// if that is 0.0.0.0. It is never fragmented: [`Error::MessageTooLong`] is the answer.
    pub fn set_header_included(&self, on: bool) -> Result<(), Error> {
        self.0.net.with_stack(|stack| stack.raw_set_header_included(self.0.handle, on))
    }

    /// Allows or forbids sending to broadcast addresses; forbidden at first.
    pub fn set_broadcast(&self, on: bool) -> Result<(), Error> {
        self.0.net.with_stack(|stack| stack.raw_set_broadcast(self.0.handle, on))
    }

    /// Sets the TTL or hop limit, 1 to 255; `None`, the default: 64, and 1 to groups.
    pub fn set_ttl(&self, ttl: Option<u8>) -> Result<(), Error> {
        self.0.net.with_stack(|stack| stack.raw_set_hop_limit(self.0.handle, ttl))
    }

    /// The longest that [`recv`](Self::recv) waits before [`Error::TimedOut`]; `None`, the default: for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.0.read_timeout = timeout;
    }

    /// [`send_to`](Self::send_to) in poll form; `None`: to the connected host.
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<Result<usize, Error>> {
        let Raw { net, handle, .. } = &self.0;
        pending(net.call_sending(|stack, devices, now| {
            stack.raw_send(*handle, to, data, (Some(cx.waker()), Some(devices)), now)
        }))
    }

    /// Ready when a receive would give something: a packet or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_readable(cx)
    }

    /// [`recv`](Self::recv) in poll form.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<RawPacket, Error>> {
        let Raw { net, handle, .. } = &self.0;
        self.0.received(net.call(|stack, _| stack.raw_receive(*handle, buf, Some(cx.waker()))))
    }

    /// Sends a packet and returns its length: what follows the IP header, which has the socket's protocol. An ICMPv6
    /// message gets its checksum (RFC 3542 §3.1), nothing else is changed.
    ///
    /// [`Error::MessageTooLong`], [`Error::NetUnreachable`], [`Error::AddrInvalid`] (an address of the other family),
    /// [`Error::BroadcastNotAllowed`], and what ICMP said about earlier packets to a connected host.
    pub fn send_to(&self, data: &[u8], to: IpAddr) -> Result<usize, Error> {
        self.send_to_on(data, SocketAddr::new(to, 0))
    }

    /// The same for a link-local address, whose scope id names the interface. The port is of no meaning.
    pub fn send_to_on(&self, data: &[u8], to: SocketAddr) -> Result<usize, Error> {
        self.0.net.wait_for(None, |cx| self.poll_send(cx, data, Some(to)))
    }

    /// Sends a packet to the connected host. [`Error::NotConnected`]: there is none.
    pub fn send(&self, data: &[u8]) -> Result<usize, Error> {
        self.0.net.wait_for(None, |cx| self.poll_send(cx, data, None))
    }

    /// Waits for a packet. [`Error::TimedOut`] after the timeout, [`Error::DeviceGone`], and what ICMP said.
    pub fn recv(&self, buf: &mut [u8]) -> Result<RawPacket, Error> {
        self.0.net.wait_for(self.0.read_timeout, |cx| self.poll_recv(cx, buf))
    }

    /// [`send_to`](Self::send_to) for an executor. Dropped before it is ready, it has sent nothing.
    pub async fn send_to_async(&self, data: &[u8], to: IpAddr) -> Result<usize, Error> {
        poll_fn(|cx| self.poll_send(cx, data, Some(SocketAddr::new(to, 0)))).await
    }

    /// [`recv`](Self::recv) for an executor. It may be dropped at any time: no packet is lost.
    pub async fn recv_async(&self, buf: &mut [u8]) -> Result<RawPacket, Error> {
        poll_fn(|cx| self.poll_recv(cx, buf)).await
    }
}

impl fmt::Debug for RawSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawSocket").field(&self.0.handle).finish()
    }
}

/// A socket for Ethernet frames of one type on one interface, sent to hardware addresses.
///
/// ```no_run
/// # fn example(net: &barenet::Net, interface: barenet::ip::InterfaceId) -> Result<(), barenet::Error> {
/// use barenet::EthernetSocket;
/// use barenet::device::Mac;
/// // A type for local experiments (IEEE 802 §9.2.3).
/// let socket = EthernetSocket::open(net, interface, 0x88b5)?;
/// socket.send_to(b"hello", Mac::BROADCAST)?;
/// let mut buf = [0; 1500];
/// let frame = socket.recv(&mut buf)?;
/// println!("{} bytes from {}", frame.payload_len, frame.from);
/// # Ok(()) }
/// ```
pub struct EthernetSocket(Raw);

impl EthernetSocket {
    /// A socket for frames of a type from 1,536 on. Those of ARP, IPv4 and IPv6 are copies: the stack handles them all
    /// the same.
    ///
    /// [`Error::InvalidInput`]: a smaller type. [`Error::DeviceGone`]: there is no such interface.
    /// [`Error::TooManySockets`]
    pub fn open(net: &Net, interface: InterfaceId, ethertype: u16) -> Result<EthernetSocket, Error> {
        Raw::open(net, RawKind::Ethernet(ethertype), Some(interface)).map(EthernetSocket)
    }

    /// The longest that [`recv`](Self::recv) waits before [`Error::TimedOut`]; `None`, the default: for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.0.read_timeout = timeout;
    }

    /// [`send_to`](Self::send_to) in poll form.
    pub fn poll_send(&self, cx: &mut Context<'_>, payload: &[u8], to: Mac) -> Poll<Result<usize, Error>> {
        let Raw { net, handle, .. } = &self.0;
        pending(net.call_sending(|stack, devices, now| {
            stack.raw_send_frame(*handle, to, payload, (Some(cx.waker()), Some(devices)), now)
        }))
    }

    /// Ready when a receive would give something: a packet or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_readable(cx)
    }

    /// [`recv`](Self::recv) in poll form.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<RawFrame, Error>> {
        let Raw { net, handle, .. } = &self.0;
        self.0.received(net.call(|stack, _| stack.raw_receive_frame(*handle, buf, Some(cx.waker()))))
    }

    /// Sends a frame to a hardware address, and returns the length of its payload. A frame below 60 bytes is padded
    /// by the device, so that a receiver may see more.
    ///
    /// [`Error::MessageTooLong`]: the payload is longer than the interface's MTU. [`Error::DeviceGone`]
    pub fn send_to(&self, payload: &[u8], to: Mac) -> Result<usize, Error> {
        self.0.net.wait_for(None, |cx| self.poll_send(cx, payload, to))
    }

    /// Waits for a frame. [`Error::TimedOut`] after the timeout, [`Error::DeviceGone`].
    pub fn recv(&self, buf: &mut [u8]) -> Result<RawFrame, Error> {
        self.0.net.wait_for(self.0.read_timeout, |cx| self.poll_recv(cx, buf))
    }

    /// [`send_to`](Self::send_to) for an executor. Dropped before it is ready, it has sent nothing.
    pub async fn send_to_async(&self, payload: &[u8], to: Mac) -> Result<usize, Error> {
        poll_fn(|cx| self.poll_send(cx, payload, to)).await
    }

    /// [`recv`](Self::recv) for an executor. It may be dropped at any time: no frame is lost.
    pub async fn recv_async(&self, buf: &mut [u8]) -> Result<RawFrame, Error> {
        poll_fn(|cx| self.poll_recv(cx, buf)).await
    }
}

impl fmt::Debug for EthernetSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EthernetSocket").field(&self.0.handle).finish()
    }
}
