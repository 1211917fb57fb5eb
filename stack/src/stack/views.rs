//! What a program may look at: sockets, as netstat(8) shows them.

use core::net::SocketAddr;

use super::Stack;
#[cfg(feature = "raw")]
use crate::raw::RawKind;
use crate::tcp::{State, TcpInfo};
use crate::time::Instant;
use crate::udp::DatagramKind;

/// What a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketKind {
    /// It takes TCP connections.
    TcpListener,
    /// A TCP connection.
    Tcp(State),
    /// What is left of a TCP connection that both sides have closed (RFC 9293 §3.3.2).
    TcpTimeWait,
    /// A socket for UDP datagrams.
    Udp,
    /// A socket for ICMP echo; its port is the identifier.
    Ping,
    /// A socket for IP packets of a protocol; its port is the protocol's number.
    #[cfg(feature = "raw")]
    Raw,
    /// A socket for Ethernet frames; its port is their type.
    #[cfg(feature = "raw")]
    Ethernet,
}

/// A socket as it is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketView {
    /// What it is, and its state.
    pub kind: SocketKind,
    /// Where it is bound. The unspecified address stands for all of its family, `::` also for all of both.
    pub local: SocketAddr,
    /// Its peer; `None`: it has none.
    pub peer: Option<SocketAddr>,
    /// Payload that came and was not read, in bytes; of a listener the connections that wait to be accepted.
    pub unread: u32,
    /// Payload that was written and is not acknowledged, in bytes; of a listener its backlog.
    pub unsent: u32,
}

impl Stack<'_> {
    /// Every connection, half-open ones included, by its local and remote end, with all that is known of it. It takes a
    /// look at each.
    pub fn tcp_connections(
        &self,
        now: Instant,
    ) -> impl Iterator<Item = (SocketAddr, SocketAddr, TcpInfo)> + '_ {
        self.tcp.look_at_all(now).map(|(tuple, info)| {
            let local = SocketAddr::new(tuple.local, tuple.local_port);
            (local, SocketAddr::new(tuple.remote, tuple.remote_port), info)
        })
    }

    /// Every socket and connection, those in TIME-WAIT as well. Each takes a look at its state: a million connections take
    /// their time.
    pub fn sockets(&self, now: Instant) -> impl Iterator<Item = SocketView> + '_ {
        let listeners = self.tcp.listeners().map(|l| SocketView {
            kind: SocketKind::TcpListener,
            local: SocketAddr::new(l.address, l.port),
            peer: None,
            unread: l.waiting.into(),
            unsent: l.backlog.into(),
        });
        let connections = self.tcp.look_at_all(now).map(|(tuple, info)| SocketView {
            kind: SocketKind::Tcp(info.state),
            local: SocketAddr::new(tuple.local, tuple.local_port),
            peer: Some(SocketAddr::new(tuple.remote, tuple.remote_port)),
            unread: info.unread,
            unsent: info.unsent + info.unacked,
        });
        let over = self.tcp.waiting().map(|tuple| SocketView {
            kind: SocketKind::TcpTimeWait,
            local: SocketAddr::new(tuple.local, tuple.local_port),
            peer: Some(SocketAddr::new(tuple.remote, tuple.remote_port)),
            unread: 0,
            unsent: 0,
        });
        let datagrams = self.datagrams.iter().map(|s| SocketView {
            kind: match s.kind {
                DatagramKind::Udp => SocketKind::Udp,
                DatagramKind::Echo => SocketKind::Ping,
            },
            local: s.local(),
            peer: s.peer.map(|(address, port)| SocketAddr::new(address, port)),
            unread: u32::try_from(s.held(&self.pool)).unwrap_or(u32::MAX),
            unsent: 0,
        });
        let all = listeners.chain(connections).chain(over).chain(datagrams);
        #[cfg(feature = "raw")]
        let all = all.chain(self.raw.iter().map(|s| self.raw_view(s)));
        all
    }

    #[cfg(feature = "raw")]
    fn raw_view(&self, socket: &crate::raw::RawEntry) -> SocketView {
        use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
        let (v4, v6) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let (kind, local, port) = match socket.kind {
            RawKind::Ipv4(protocol) => (SocketKind::Raw, v4, protocol.into()),
            RawKind::Ipv6(protocol) => (SocketKind::Raw, v6, protocol.into()),
            RawKind::Ethernet(ethertype) => (SocketKind::Ethernet, v4, ethertype),
        };
        SocketView {
            kind,
            local: SocketAddr::new(local, port),
            peer: socket.peer.map(|peer| SocketAddr::new(peer, port)),
            unread: u32::try_from(socket.held(&self.pool)).unwrap_or(u32::MAX),
            unsent: 0,
        }
    }
}
