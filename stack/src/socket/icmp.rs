//! Ping: ICMP echo requests to one host, and its replies.

use core::fmt;
use core::future::poll_fn;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::task::{Context, Poll};

use super::udp::pending;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::net::Net;
use crate::time::{Duration, Instant, ToTimeout};
use crate::udp::{DatagramHandle, DatagramKind, with_zone};

/// Requests whose sending times are remembered; the round-trip time of older ones is not known.
const REMEMBERED: usize = 16;

/// The reply to an echo request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PingReply {
    /// Who answered.
    pub from: IpAddr,
    /// Which request it answers: what [`PingSocket::send`] returned.
    pub seq: u16,
    /// Bytes of payload that came back, and that were copied as far as the buffer went.
    pub len: usize,
    /// TTL or hop limit on arrival.
    pub ttl: u8,
    /// From the request to the arrival of this reply; `None` for a request of long ago.
    pub round_trip: Option<Duration>,
}

/// A socket that pings one host.
///
/// ```no_run
/// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
/// use barenet::PingSocket;
/// let mut ping = PingSocket::connect(net, "192.0.2.1".parse().unwrap())?;
/// ping.set_read_timeout(Some(barenet::time::Duration::from_secs(1)));
/// ping.send(b"some bytes")?;
/// let reply = ping.recv(&mut [0; 1500])?;
/// println!("{} answered {} after {:?}", reply.from, reply.seq, reply.round_trip);
/// # Ok(()) }
/// ```
pub struct PingSocket {
    net: Net,
    handle: DatagramHandle,
    peer: SocketAddr,
    /// Of the next request.
    seq: u16,
    sent: [Option<(u16, Instant)>; REMEMBERED],
    read_timeout: Option<Duration>,
}

impl PingSocket {
    /// A socket for the host `to`. Nothing is sent yet.
    ///
    /// [`Error::NetUnreachable`] without a route, [`Error::AddrInvalid`] for the unspecified
    /// address, [`Error::TooManySockets`].
    pub fn connect(net: &Net, to: IpAddr) -> Result<PingSocket, Error> {
        Self::open(net, SocketAddr::new(to.to_canonical(), 0))
    }

    /// The same for a link-local address, which needs its interface if there are several.
    pub fn connect_on(net: &Net, to: Ipv6Addr, interface: InterfaceId) -> Result<PingSocket, Error> {
        Self::open(net, with_zone(to.into(), 0, interface.zone()))
    }

    fn open(net: &Net, peer: SocketAddr) -> Result<PingSocket, Error> {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let handle = net.call(|stack, _| stack.datagram_bind(DatagramKind::Echo, any, false))?;
        // From here on dropping it closes the socket.
        let socket = PingSocket {
            net: net.clone(),
            handle,
            peer,
            seq: 0,
            sent: [None; REMEMBERED],
            read_timeout: None,
        };
        net.call(|stack, _| stack.datagram_connect(handle, peer))?;
        Ok(socket)
    }

    /// [`send`](PingSocket::send) in poll form.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, payload: &[u8]) -> Poll<Result<u16, Error>> {
        let (seq, waker) = (self.seq, Some(cx.waker()));
        let mut to = self.peer;
        to.set_port(seq);
        let sent = self.net.call_sending(|stack, devices, now| {
            stack.datagram_send_at_once(self.handle, Some(to), payload, waker, devices, now).map(|_| now)
        });
        pending(sent).map_ok(|now| {
            self.sent[usize::from(seq) % REMEMBERED] = Some((seq, now));
            self.seq = seq.wrapping_add(1);
            seq
        })
    }

    /// [`recv`](PingSocket::recv) in poll form.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<PingReply, Error>> {
        let waker = Some(cx.waker());
        let received = self.net.call(|stack, _| stack.datagram_receive(self.handle, buf, false, waker));
        if let Err(Error::WouldBlock | Error::AddrNotAvailable) = received
            && self.net.is_cut_off()
        {
            // Nothing can come any more: the address went with its device.
            return Poll::Ready(Err(Error::DeviceGone));
        }
        pending(received).map_ok(|received| {
            let seq = received.from.port();
            let sent = self.sent[usize::from(seq) % REMEMBERED].filter(|(of, _)| *of == seq);
            PingReply {
                from: received.from.ip().to_canonical(),
                seq,
                len: received.datagram_len,
                ttl: received.hop_limit,
                round_trip: sent.map(|(_, at)| received.at.since(at)),
            }
        })
    }

    /// Sends an echo request and returns its sequence number: 0, 1, 2 and so on.
    ///
    /// [`Error::MessageTooLong`], [`Error::NetUnreachable`], and what ICMP said about earlier
    /// requests, such as [`Error::HostUnreachable`].
    pub fn send(&mut self, payload: &[u8]) -> Result<u16, Error> {
        let net = self.net.clone();
        net.wait_for(None, |cx| self.poll_send(cx, payload))
    }

    /// Waits for a reply, to whichever request. [`Error::TimedOut`] after the timeout,
    /// [`Error::HostUnreachable`] when the next hop does not answer or a router says so,
    /// [`Error::DeviceGone`].
    pub fn recv(&mut self, buf: &mut [u8]) -> Result<PingReply, Error> {
        let (net, timeout) = (self.net.clone(), self.read_timeout);
        net.wait_for(timeout, |cx| self.poll_recv(cx, buf))
    }

    /// [`send`](PingSocket::send) for an executor. Dropped before it is ready, it has sent nothing.
    pub async fn send_async(&mut self, payload: &[u8]) -> Result<u16, Error> {
        poll_fn(|cx| self.poll_send(cx, payload)).await
    }

    /// [`recv`](PingSocket::recv) for an executor. Dropped before it is ready, it has taken nothing.
    pub async fn recv_async(&mut self, buf: &mut [u8]) -> Result<PingReply, Error> {
        let (net, timeout) = (self.net.clone(), self.read_timeout);
        net.wait_async(timeout, |cx| self.poll_recv(cx, buf)).await
    }

    /// The host that it pings.
    pub fn peer(&self) -> IpAddr {
        self.peer.ip()
    }

    /// Sets the TTL or hop limit of the requests, 1 to 255; `None`, the default: 64.
    pub fn set_ttl(&self, ttl: Option<u8>) -> Result<(), Error> {
        self.net.with_stack(|stack| stack.datagram_set_hop_limit(self.handle, ttl))
    }

    /// The longest that [`recv`](PingSocket::recv) waits before [`Error::TimedOut`]; `None`, the
    /// default: for ever.
    pub fn set_read_timeout(&mut self, timeout: impl ToTimeout) {
        self.read_timeout = timeout.to_timeout();
    }
}

impl Drop for PingSocket {
    fn drop(&mut self) {
        self.net.let_go(|stack, _| stack.datagram_close(self.handle));
    }
}

impl fmt::Debug for PingSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PingSocket({})", self.peer.ip())
    }
}
