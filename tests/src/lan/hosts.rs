//! A host: a stack with its clients, and its programs.

use super::super::sim::Random;
use barenet::config::Ipv6Config;
use barenet::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use barenet::dhcp::{DhcpClient, DhcpConfig};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::{Address, Cidr, Origin};
use barenet::stack::{DhcpMemory, Limits, ListenerHandle, Stack, Storage, TcpHandle};
use barenet::time::Instant;
use barenet::udp::{DatagramHandle, DatagramKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where all listen.
pub(super) const PORT: u16 = 9;
/// Who is behind the routers.
pub(super) const OUTSIDE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
/// And its router there.
pub(super) const GATEWAY: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0xff);
pub(super) const OUTSIDE_MAC: [u8; 6] = [2, 0, 0, 3, 0, 1];

#[derive(Default)]
struct Line {
    mac: [u8; 6],
    sent: Vec<Vec<u8>>,
    groups: Vec<[u8; 6]>,
}

impl Device for Line {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac(self.mac), 1500)
    }
    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.groups.retain(|known| *known != group.0);
        if join {
            self.groups.push(group.0);
        }
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|piece| bytes.extend_from_slice(piece));
        self.sent.push(bytes);
        Ok(())
    }
}

pub(super) struct Host {
    pub(super) mac: [u8; 6],
    /// When it wants a turn.
    pub(super) next: Option<Instant>,
    stack: Stack<'static>,
    line: Line,
    id: InterfaceId,
    is_up: bool,
    socket: DatagramHandle,
    listener: Option<ListenerHandle>,
    accepted: Option<TcpHandle>,
}

impl Host {
    fn with_mac(mac: [u8; 6], random: &mut Random) -> Host {
        let limits = Limits { memory: 256 * 1024, connections: 8, memberships: 32, ..Limits::default() };
        let seed = std::array::from_fn(|_| random.next_u64() as u8);
        let mut stack = Stack::new(Storage::heap(&limits), seed);
        let line = Line { mac, ..Line::default() };
        let id = stack.add_interface(line.capabilities()).expect("a place");
        let local = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
        let socket = stack.datagram_bind(DatagramKind::Udp, local, false).expect("a socket");
        let (next, listener, accepted) = (None, None, None);
        Host { mac, next, stack, line, id, is_up: true, socket, listener, accepted }
    }

    /// Host number `n`, which configures itself.
    pub(super) fn new(n: usize, random: &mut Random, now: Instant) -> Host {
        let [.., high, low] = (n as u32).to_be_bytes();
        let mut host = Host::with_mac([2, 0, 0, 0, high, low], random);
        let memory = DhcpMemory::Owned(Box::new(DhcpClient::new()));
        host.stack.dhcp_start(host.id, DhcpConfig::DEFAULT, memory, now).expect("a client");
        host.stack.configure_ipv6(host.id, Ipv6Config::default(), now).expect("IPv6");
        host.next = Some(now);
        host
    }

    /// The one behind the routers, with a listener.
    pub(super) fn outside(random: &mut Random) -> Host {
        let mut host = Host::with_mac(OUTSIDE_MAC, random);
        let cidr = Cidr::new(OUTSIDE.into(), 64).expect("a prefix");
        host.stack.add_address(host.id, cidr, Instant::ZERO).expect("an address");
        host.stack.set_gateway(host.id, GATEWAY.into()).expect("a route");
        let (listener, _) =
            host.stack.tcp_listen(SocketAddr::new(OUTSIDE.into(), PORT), 4).expect("a listener");
        host.listener = Some(listener);
        host
    }

    pub(super) fn input(&mut self, frame: &[u8], now: Instant) {
        if self.is_up {
            self.stack.on_frame(self.id, RxFrame::plain(&[frame]), now);
        }
    }

    /// One turn: what it says.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.stack.on_timers(now);
        self.stack.egress(self.id, &mut self.line, now);
        while self.stack.next_woken().is_some() {}
        self.next = self.stack.next_deadline(now);
        let said = std::mem::take(&mut self.line.sent);
        if self.is_up { said } else { Vec::new() }
    }

    pub(super) fn link(&mut self, is_up: bool, now: Instant) {
        self.is_up = is_up;
        let known = if is_up { self.stack.link_up(self.id, now) } else { self.stack.link_down(self.id, now) };
        known.expect("it is there");
    }

    /// Does its device let this through?
    pub(super) fn hears(&self, to: [u8; 6]) -> bool {
        to == self.mac || to == [0xff; 6] || (to[0] & 1 == 1 && self.line.groups.contains(&to))
    }

    fn of(&self, origin: Origin) -> Option<&Address> {
        self.stack.addresses().of(self.id).find(|a| a.origin == origin && a.is_usable())
    }

    pub(super) fn is_configured(&self) -> bool {
        [Origin::Dhcpv4, Origin::Stable, Origin::Temporary]
            .into_iter()
            .all(|origin| self.of(origin).is_some())
    }

    pub(super) fn address(&self, origin: Origin) -> IpAddr {
        self.of(origin).expect("an address").cidr.address()
    }

    /// Has it this address?
    pub(super) fn has(&self, address: IpAddr) -> Option<&Address> {
        self.stack.addresses().of(self.id).find(|a| a.cidr.address() == address)
    }

    /// For messages.
    pub(super) fn describe(&self) -> String {
        let addresses: Vec<_> =
            self.stack.addresses().of(self.id).map(|a| format!("{} {:?}", a.cidr, a.state)).collect();
        let drops: Vec<_> =
            self.stack.counters().drops_seen().map(|(drop, n)| format!("{n}: {}", drop.name())).collect();
        format!("{addresses:?}, {drops:?}, {:?}", self.stack.dhcp(self.id).map(|client| client.state()))
    }

    pub(super) fn send(&mut self, to: IpAddr, port: u16, now: Instant) {
        let sent =
            self.stack.datagram_send(self.socket, Some(SocketAddr::new(to, port)), b"hello", None, now);
        sent.unwrap_or_else(|why| panic!("to {to}: {why}"));
    }

    /// How many datagrams came since it was asked last.
    pub(super) fn received(&mut self) -> usize {
        let mut buf = [0; 16];
        std::iter::from_fn(|| self.stack.datagram_receive(self.socket, &mut buf, false, None).ok()).count()
    }

    pub(super) fn connect(&mut self, now: Instant) -> TcpHandle {
        self.stack.tcp_connect(SocketAddr::new(OUTSIDE.into(), PORT), None, now).expect("a connection")
    }

    pub(super) fn write(&mut self, connection: TcpHandle, now: Instant) {
        // What does not fit is written again.
        let _ = self.stack.tcp_write(connection, &[7; 100], now);
    }

    /// Bytes that came on the connection since it was asked last.
    pub(super) fn read(&mut self, now: Instant) -> usize {
        if self.accepted.is_none()
            && let Some(listener) = self.listener
        {
            self.accepted = self.stack.tcp_accept(listener).ok().map(|(handle, _)| handle);
        }
        let Some(connection) = self.accepted else { return 0 };
        let mut buf = [0; 4096];
        std::iter::from_fn(|| self.stack.tcp_read(connection, &mut buf, now).ok().filter(|n| *n > 0)).sum()
    }
}
