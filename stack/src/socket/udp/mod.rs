//! UDP sockets.

mod batch;
mod in_place;

use core::fmt;
#[cfg(feature = "multicast")]
use core::net::IpAddr;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};

use super::{Addresses, ToListenAddr, ToSocketAddrs, by_name};
use crate::error::Error;
#[cfg(feature = "multicast")]
use crate::ip::InterfaceId;
use crate::net::Net;
#[cfg(feature = "multicast")]
use crate::stack::Membership;
use crate::stack::{Devices, Stack};
use crate::time::{Duration, Instant, ToTimeout};
#[cfg(feature = "fragments")]
use crate::udp::DontFragment;
use crate::udp::{BindOptions, DatagramHandle, DatagramKind, Received};

/// A UDP socket. What it sends may be lost, doubled or reordered on the way; what it receives is
/// whole datagrams.
///
/// ```no_run
/// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
/// use barenet::UdpSocket;
/// let socket = UdpSocket::bind(net, 7)?;
/// let mut buf = [0; 1500];
/// loop {
///     let (len, peer) = socket.recv_from(&mut buf)?;
///     socket.send_to(&buf[..len], peer)?;
/// }
/// # }
/// ```
///
/// An error that ICMP told about an earlier datagram of a connected socket
/// ([`Error::ConnectionRefused`], [`Error::HostUnreachable`], [`Error::NetUnreachable`]) is
/// reported once: by the next call that sends, or by the one that receives after the datagrams that had come
/// before it.
///
/// Calls take `&self`: tasks may share a socket, and each datagram goes to one of them. Dropping
/// it closes it; datagrams that are already on their way out are still sent.
pub struct UdpSocket {
    net: Net,
    handle: DatagramHandle,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl UdpSocket {
    /// Opens a socket on a local address and port; port 0 stands for a free one at random. A bare
    /// port, or `[::]:port`, serves both families; IPv4 peers have IPv4 addresses all the same.
    ///
    /// [`Error::AddrInUse`], [`Error::AddrNotAvailable`] for an address that is not ours,
    /// [`Error::TooManySockets`]. A socket with an address of its own and one for every address
    /// may share a port; the former gets what is for its address.
    pub fn bind(net: &Net, local: impl ToListenAddr) -> Result<UdpSocket, Error> {
        Self::open(net, local.to_listen_addr()?, &BindOptions::default())
    }

    /// As [`bind`](UdpSocket::bind), but an IPv6 address that stands for all serves IPv6 only.
    pub fn bind_v6_only(net: &Net, local: impl ToListenAddr) -> Result<UdpSocket, Error> {
        Self::open(net, local.to_listen_addr()?, &BindOptions { v6_only: true, ..BindOptions::default() })
    }

    /// As [`bind`](UdpSocket::bind), with all that can be chosen: whether others may have the same address and port
    /// (`SO_REUSEADDR`, `SO_REUSEPORT`), and an interface that the socket is tied to, which need not have an address.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net, interface: barenet::ip::InterfaceId) -> Result<(), barenet::Error> {
    /// use barenet::UdpSocket;
    /// use barenet::udp::{BindOptions, Sharing};
    /// // A client of DHCP beside another one, on an interface that has no address yet.
    /// let options = BindOptions { sharing: Sharing::Address, interface: Some(interface), ..BindOptions::default() };
    /// let socket = UdpSocket::bind_with(net, "0.0.0.0:68", &options)?;
    /// # Ok(()) }
    /// ```
    ///
    /// [`Error::DeviceGone`]: there is no such interface; and all that `bind` reports.
    pub fn bind_with(net: &Net, local: impl ToListenAddr, options: &BindOptions) -> Result<UdpSocket, Error> {
        Self::open(net, local.to_listen_addr()?, options)
    }

    fn open(net: &Net, local: SocketAddr, options: &BindOptions) -> Result<UdpSocket, Error> {
        let handle = net.call(|stack, _| stack.datagram_bind_with(DatagramKind::Udp, local, options))?;
        Ok(UdpSocket { net: net.clone(), handle, read_timeout: None, write_timeout: None })
    }

    /// Binds the socket to one peer: [`send`](UdpSocket::send) goes there, and only its datagrams
    /// are received. With several addresses, to the first that has a route. Nothing is sent.
    ///
    /// [`Error::AlreadyConnected`]: [`disconnect`](UdpSocket::disconnect) comes first.
    /// [`Error::AddrInUse`]: another socket is connected to the peer from the same address and port.
    pub fn connect(&self, peer: impl ToSocketAddrs) -> Result<(), Error> {
        let mut last = Error::NoMatchingAddresses;
        for address in by_name::resolve(&self.net, &peer)? {
            let connect = |stack: &mut Stack<'static>, _| match stack.datagram_peer(self.handle) {
                Ok(_) => Err(Error::AlreadyConnected),
                Err(_) => stack.datagram_connect(self.handle, address),
            };
            match self.net.call(connect) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Takes the peer away again: everybody is heard, on the addresses that the socket was bound to, and
    /// datagrams that lie there unread stay.
    ///
    /// ```no_run
    /// # fn example(socket: &barenet::UdpSocket) -> Result<(), barenet::Error> {
    /// socket.connect("192.0.2.1:7")?;
    /// socket.send(b"to the first")?;
    /// socket.disconnect()?;
    /// socket.connect("192.0.2.2:7")?;
    /// socket.send(b"to the second")?;
    /// # Ok(()) }
    /// ```
    ///
    /// [`Error::NotConnected`]; [`Error::AddrInUse`]: another socket was bound there meanwhile, and this one
    /// keeps its peer.
    pub fn disconnect(&self) -> Result<(), Error> {
        self.net.call(|stack, _| stack.datagram_disconnect(self.handle))
    }

    /// Sends at once if that can be: the core of all forms.
    fn transmit(
        &self,
        parts: &[&[u8]],
        to: Option<SocketAddr>,
        waker: Option<&Waker>,
        (stack, devices): (&mut Stack<'static>, &mut dyn Devices),
        now: Instant,
    ) -> Result<usize, Error> {
        self.accepts(to, stack)?;
        stack.datagram_send_vectored(self.handle, to, parts, waker, devices, now)
    }

    /// A socket that has a peer sends to that alone.
    fn accepts(&self, to: Option<SocketAddr>, stack: &Stack<'static>) -> Result<(), Error> {
        match to.is_some() && stack.datagram_peer(self.handle).is_ok() {
            true => Err(Error::AlreadyConnected),
            false => Ok(()),
        }
    }

    /// [`send_to`](UdpSocket::send_to) in poll form; `None`: to the connected peer.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<Result<usize, Error>> {
        self.poll_send_vectored(cx, &[data], to)
    }

    /// Ready when a receive would give something: a datagram or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let is_readable = self.net.call(|stack, _| match stack.datagram_is_readable(self.handle)? {
            true => Ok(true),
            false => stack.datagram_register(self.handle, cx.waker()).map(|()| false),
        });
        match is_readable {
            Ok(false) if !self.net.is_cut_off() => Poll::Pending,
            result => Poll::Ready(result.map(|_| ())),
        }
    }

    /// Would a receive give something now: a datagram or an error?
    pub fn is_readable(&self) -> Result<bool, Error> {
        self.net.attempt_is(|stack, _| stack.datagram_is_readable(self.handle))
    }

    /// [`recv_datagram`](UdpSocket::recv_datagram) in poll form.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<Received, Error>> {
        self.poll_receive(cx, buf, false)
    }

    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        peek: bool,
    ) -> Poll<Result<Received, Error>> {
        let waker = Some(cx.waker());
        self.received(self.net.call(|stack, _| stack.datagram_receive(self.handle, buf, peek, waker)))
    }

    fn received<R>(&self, result: Result<R, Error>) -> Poll<Result<R, Error>> {
        match result {
            // Nothing can come any more: an address went with its device.
            Err(Error::WouldBlock | Error::AddrNotAvailable) if self.net.is_cut_off() => {
                Poll::Ready(Err(Error::DeviceGone))
            }
            result => pending(result),
        }
    }

    /// Sends a datagram to the connected peer, waiting for room in the device's queue.
    ///
    /// [`Error::NotConnected`], and all that [`send_to`](UdpSocket::send_to) reports.
    pub fn send(&self, data: &[u8]) -> Result<usize, Error> {
        self.net.wait_for(self.write_timeout, |cx| self.poll_send_to(cx, data, None))
    }

    /// Sends a datagram, waiting for room in the device's queue, and returns its length.
    ///
    /// [`Error::MessageTooLong`] with the limit: 65,507 bytes over IPv4 and 65,527 over IPv6, where datagrams may be
    /// fragmented (`set_dont_fragment`); [`Error::OutOfMemory`] for one beyond a quarter of the memory,
    /// [`Error::NetUnreachable`] without a route, [`Error::BroadcastNotAllowed`],
    /// [`Error::AddrInvalid`] for port 0, an unspecified address or the wrong family,
    /// [`Error::AlreadyConnected`] on a socket that has a peer.
    pub fn send_to(&self, data: &[u8], to: impl ToSocketAddrs) -> Result<usize, Error> {
        let to = first(&by_name::resolve(&self.net, &to)?)?;
        self.net.wait_for(self.write_timeout, |cx| self.poll_send_to(cx, data, Some(to)))
    }

    /// Sends one datagram whose data lie in several parts, as [`send_to`](UdpSocket::send_to); `None`: to the
    /// connected peer.
    ///
    /// ```no_run
    /// # fn example(socket: &barenet::UdpSocket, body: &[u8]) -> Result<(), barenet::Error> {
    /// socket.send_vectored(&[b"header", body], Some("192.0.2.1:7".parse().unwrap()))?;
    /// # Ok(()) }
    /// ```
    pub fn send_vectored(&self, parts: &[&[u8]], to: Option<SocketAddr>) -> Result<usize, Error> {
        self.net.wait_for(self.write_timeout, |cx| self.poll_send_vectored(cx, parts, to))
    }

    /// [`send_vectored`](UdpSocket::send_vectored) in poll form.
    pub fn poll_send_vectored(
        &self,
        cx: &mut Context<'_>,
        parts: &[&[u8]],
        to: Option<SocketAddr>,
    ) -> Poll<Result<usize, Error>> {
        let waker = Some(cx.waker());
        pending(
            self.net
                .call_sending(|stack, devices, now| self.transmit(parts, to, waker, (stack, devices), now)),
        )
    }

    /// [`send_vectored`](UdpSocket::send_vectored) without waiting: [`Error::WouldBlock`] if there is no room.
    pub fn try_send_vectored(&self, parts: &[&[u8]], to: Option<SocketAddr>) -> Result<usize, Error> {
        let transmit = |stack: &mut Stack<'static>, devices: &mut dyn Devices, now| {
            self.transmit(parts, to, None, (stack, devices), now)
        };
        self.net.attempt_sending(transmit)
    }

    /// Receives a datagram from the connected peer (or from anyone) and returns its length, cut
    /// to `buf`. 0 is an empty datagram: there is no end.
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.recv_datagram(buf).map(|received| received.len)
    }

    /// Receives a datagram, and who sent it.
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        self.recv_datagram(buf).map(|received| (received.len, received.from))
    }

    /// Receives a datagram and all that is known of it: also whether `buf` was too small for it,
    /// which address it was sent to, its hop limit and when it came.
    pub fn recv_datagram(&self, buf: &mut [u8]) -> Result<Received, Error> {
        self.net.wait_for(self.read_timeout, |cx| self.poll_recv(cx, buf))
    }

    /// As [`recv_from`](UdpSocket::recv_from), but the datagram stays.
    pub fn peek_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let peek = |cx: &mut Context<'_>| self.poll_receive(cx, buf, true);
        self.net.wait_for(self.read_timeout, peek).map(|received| (received.len, received.from))
    }

    /// As [`peek_from`](UdpSocket::peek_from), without who sent it.
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.peek_from(buf).map(|(len, _)| len)
    }

    /// Receives what is there, without waiting: [`Error::WouldBlock`] if nothing is.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        self.try_recv_datagram(buf).map(|received| (received.len, received.from))
    }

    /// [`try_recv_from`](UdpSocket::try_recv_from) without who sent it.
    pub fn try_recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.try_recv_datagram(buf).map(|received| received.len)
    }

    /// [`recv_datagram`](UdpSocket::recv_datagram) without waiting.
    pub fn try_recv_datagram(&self, buf: &mut [u8]) -> Result<Received, Error> {
        self.net.attempt(|stack, _| stack.datagram_receive(self.handle, buf, false, None))
    }

    /// Sends without waiting: [`Error::WouldBlock`] if there is no room.
    pub fn try_send_to(&self, data: &[u8], to: impl ToSocketAddrs) -> Result<usize, Error> {
        self.try_transmit(data, Some(first(&to.to_socket_addrs()?)?))
    }

    /// Sends to the connected peer without waiting: [`Error::WouldBlock`] if there is no room.
    pub fn try_send(&self, data: &[u8]) -> Result<usize, Error> {
        self.try_transmit(data, None)
    }

    fn try_transmit(&self, data: &[u8], to: Option<SocketAddr>) -> Result<usize, Error> {
        self.try_send_vectored(&[data], to)
    }

    /// [`recv_datagram`](UdpSocket::recv_datagram) for an executor. Dropped before it is ready, it has taken
    /// nothing. (Its time limit holds with the feature `alloc`, as for all async forms.)
    pub async fn recv_datagram_async(&self, buf: &mut [u8]) -> Result<Received, Error> {
        self.net.wait_async(self.read_timeout, |cx| self.poll_recv(cx, buf)).await
    }

    /// [`recv_from`](UdpSocket::recv_from) for an executor, as
    /// [`recv_datagram_async`](UdpSocket::recv_datagram_async).
    pub async fn recv_from_async(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let received = self.recv_datagram_async(buf).await?;
        Ok((received.len, received.from))
    }

    /// [`recv`](UdpSocket::recv) for an executor, as
    /// [`recv_datagram_async`](UdpSocket::recv_datagram_async).
    pub async fn recv_async(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.recv_datagram_async(buf).await.map(|received| received.len)
    }

    /// [`peek_from`](UdpSocket::peek_from) for an executor. It may be dropped at any time: it takes nothing.
    pub async fn peek_from_async(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let received = self.net.wait_async(self.read_timeout, |cx| self.poll_receive(cx, buf, true)).await?;
        Ok((received.len, received.from))
    }

    /// [`send_to`](UdpSocket::send_to) for an executor. Dropped before it is ready, it has sent nothing.
    pub async fn send_to_async(&self, data: &[u8], to: impl ToSocketAddrs) -> Result<usize, Error> {
        let to = first(&by_name::resolve_async(&self.net, &to).await?)?;
        self.net.wait_async(self.write_timeout, |cx| self.poll_send_to(cx, data, Some(to))).await
    }

    /// [`send`](UdpSocket::send) for an executor, as [`send_to_async`](UdpSocket::send_to_async).
    pub async fn send_async(&self, data: &[u8]) -> Result<usize, Error> {
        self.net.wait_async(self.write_timeout, |cx| self.poll_send_to(cx, data, None)).await
    }

    #[cfg(feature = "embedded-nal-async")]
    pub(super) fn handle(&self) -> DatagramHandle {
        self.handle
    }

    fn stack<R>(&self, call: impl FnOnce(&mut Stack<'static>) -> R) -> R {
        self.net.with_stack(call)
    }

    /// The local address and port; the address is unspecified while the socket serves all.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.stack(|stack| stack.datagram_local(self.handle))
    }

    /// The connected peer, or [`Error::NotConnected`].
    pub fn peer_addr(&self) -> Result<SocketAddr, Error> {
        self.stack(|stack| stack.datagram_peer(self.handle))
    }

    /// Allows sending to broadcast addresses. Default false.
    pub fn set_broadcast(&self, on: bool) -> Result<(), Error> {
        self.stack(|stack| stack.datagram_set_broadcast(self.handle, on))
    }

    /// May it send to broadcast addresses?
    pub fn broadcast(&self) -> Result<bool, Error> {
        self.stack(|stack| stack.datagram_broadcast(self.handle))
    }

    /// Sets the TTL or hop limit of what is sent, 1 to 255. `None`, the default: 64, and 1 to
    /// multicast groups.
    pub fn set_ttl(&self, ttl: Option<u8>) -> Result<(), Error> {
        self.stack(|stack| stack.datagram_set_hop_limit(self.handle, ttl))
    }

    /// Sets the traffic class, or type of service, of what the socket sends: DSCP in the upper six bits (RFC 2474), ECN in the
    /// lower two (RFC 3168), as `IP_TOS` and `IPV6_TCLASS` do. 0 at first. What came with a datagram is in
    /// [`Received::traffic_class`].
    ///
    /// ```no_run
    /// # fn example(socket: &barenet::UdpSocket) -> Result<(), barenet::Error> {
    /// socket.set_traffic_class(46 << 2)?; // expedited forwarding
    /// # Ok(()) }
    /// ```
    pub fn set_traffic_class(&self, class: u8) -> Result<(), Error> {
        self.net.call(|stack, _| stack.datagram_set_traffic_class(self.handle, class))
    }

    /// The traffic class of what the socket sends.
    pub fn traffic_class(&self) -> Result<u8, Error> {
        self.net.call(|stack, _| stack.datagram_traffic_class(self.handle))
    }

    /// The TTL or hop limit, if one was set.
    pub fn ttl(&self) -> Result<Option<u8>, Error> {
        self.stack(|stack| stack.datagram_hop_limit(self.handle))
    }

    /// Sets what is done with datagrams that are larger than their path. The default:
    /// [`DontFragment::No`], they are sent in fragments.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// use barenet::udp::DontFragment;
    /// let socket = barenet::UdpSocket::bind(net, 0)?;
    /// socket.connect("192.0.2.7:5000")?;
    /// // Find out by itself what gets through (RFC 8899): what routers say is only a hint.
    /// socket.set_dont_fragment(DontFragment::Probe)?;
    /// let packet = socket.path_mtu("192.0.2.7:5000")?; // with 20 bytes of IPv4 and 8 of UDP
    /// socket.send(&[0; 9000][..usize::from(packet).min(9000) - 28])?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "fragments")]
    pub fn set_dont_fragment(&self, choice: DontFragment) -> Result<(), Error> {
        self.stack(|stack| stack.datagram_set_dont_fragment(self.handle, choice))
    }

    /// What is done with datagrams that are larger than their path.
    #[cfg(feature = "fragments")]
    pub fn dont_fragment(&self) -> Result<DontFragment, Error> {
        self.stack(|stack| stack.datagram_dont_fragment(self.handle))
    }

    /// The largest IP packet in bytes, headers included, that fits through the path to `to`, as far as is known: the
    /// MTU of its interface, or less if a router has said so in the last ten minutes (RFC 1191, RFC 8201).
    ///
    /// [`Error::NetUnreachable`] without a route.
    #[cfg(feature = "fragments")]
    pub fn path_mtu(&self, to: impl ToSocketAddrs) -> Result<u16, Error> {
        let to = first(&to.to_socket_addrs()?)?;
        self.stack(|stack| stack.datagram_path_mtu(self.handle, to))
    }

    /// Joins a multicast group, by `interface` or, without one, by that of the route to it: datagrams to the group and
    /// the socket's port are received from then on, and routers are told (IGMPv3, MLDv2).
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// use barenet::stack::Membership;
    /// let socket = barenet::UdpSocket::bind(net, 5000)?;
    /// let group = "239.1.2.3".parse().unwrap();
    /// socket.join(group, None, Membership::AnySource)?;
    /// socket.join(group, None, Membership::Blocked("192.0.2.66".parse().unwrap()))?;
    /// // Of this group one source alone (RFC 4607).
    /// let group = "232.1.2.3".parse().unwrap();
    /// socket.join(group, None, Membership::Source("192.0.2.7".parse().unwrap()))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`Error::InvalidInput`] says what is wrong: the address is no group, the source is no host or of the other family,
    /// the socket is a member already or in the other way, the group has 64 sources, the interface 16 groups.
    /// [`Error::AddrInvalid`]: the socket does not speak the group's family. [`Error::DeviceGone`]: there is no such
    /// interface. [`Error::OutOfMemory`]: the table of memberships is full.
    #[cfg(feature = "multicast")]
    pub fn join(
        &self,
        group: IpAddr,
        interface: Option<InterfaceId>,
        membership: Membership,
    ) -> Result<(), Error> {
        self.net.call(|stack, now| stack.datagram_join(self.handle, group, interface, membership, now))
    }

    /// Takes back what [`join`](UdpSocket::join) has joined; with [`Membership::AnySource`] all that the socket has of
    /// the group.
    ///
    /// [`Error::InvalidInput`]: it is no member. Else as there.
    #[cfg(feature = "multicast")]
    pub fn leave(
        &self,
        group: IpAddr,
        interface: Option<InterfaceId>,
        membership: Membership,
    ) -> Result<(), Error> {
        self.net.call(|stack, now| stack.datagram_leave(self.handle, group, interface, membership, now))
    }

    /// Sets the TTL or hop limit of what is sent to groups, 1 to 255 ([`Error::InvalidInput`] else). The default, 1, keeps
    /// it on the link (RFC 1112 §6.1).
    #[cfg(feature = "multicast")]
    pub fn set_multicast_ttl(&self, ttl: u32) -> Result<(), Error> {
        self.stack(|stack| stack.datagram_set_multicast_ttl(self.handle, ttl))
    }

    /// Says whether sockets of this stack, this one too, hear what is sent to groups that they joined. Default true.
    #[cfg(feature = "multicast")]
    pub fn set_multicast_loop(&self, on: bool) -> Result<(), Error> {
        self.stack(|stack| stack.datagram_set_multicast_loop(self.handle, on))
    }

    /// Sets the interface by which it sends to groups; `None`, the default: that of the route.
    ///
    /// [`Error::DeviceGone`]: there is no such interface.
    #[cfg(feature = "multicast")]
    pub fn set_multicast_interface(&self, interface: Option<InterfaceId>) -> Result<(), Error> {
        self.stack(|stack| stack.datagram_set_multicast_interface(self.handle, interface))
    }

    /// The longest that a receive waits before [`Error::TimedOut`]; `None`, the default: for ever.
    pub fn set_read_timeout(&mut self, timeout: impl ToTimeout) {
        self.read_timeout = timeout.to_timeout();
    }

    /// The longest that a send waits before [`Error::TimedOut`]; `None`, the default: for ever.
    pub fn set_write_timeout(&mut self, timeout: impl ToTimeout) {
        self.write_timeout = timeout.to_timeout();
    }

    /// The network that it is a socket of.
    pub fn net(&self) -> &Net {
        &self.net
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.net.let_go(|stack, now| {
            #[cfg(feature = "multicast")]
            stack.datagram_leave_all(self.handle, now);
            let _ = now;
            stack.datagram_close(self.handle);
        });
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.local_addr(), self.peer_addr()) {
            (Ok(local), Ok(peer)) => write!(f, "UdpSocket({local} <-> {peer})"),
            (Ok(local), Err(_)) => write!(f, "UdpSocket({local})"),
            (Err(_), _) => f.write_str("UdpSocket(closed)"),
        }
    }
}

/// A datagram is sent once, so only the first address counts.
fn first(to: &Addresses) -> Result<SocketAddr, Error> {
    to.first().copied().ok_or(Error::NoMatchingAddresses)
}

/// "Would block" as "pending": the waker was registered by the call.
pub(super) fn pending<R>(result: Result<R, Error>) -> Poll<Result<R, Error>> {
    match result {
        Err(Error::WouldBlock) => Poll::Pending,
        result => Poll::Ready(result),
    }
}

#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tests;
