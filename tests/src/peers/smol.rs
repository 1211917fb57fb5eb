//! A host that runs smoltcp 0.14 on any of its devices.

use super::world::Read;
use barenet::Error;
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The IPv4 address of host `n`, in a /24.
pub const fn v4(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, n)
}

/// The IPv6 address of host `n`, in a /64.
pub const fn v6(n: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n as u16)
}

/// An instant of our clock on smoltcp's.
pub fn instant(now: barenet::time::Instant) -> Instant {
    Instant::from_micros(now.micros() as i64)
}

/// smoltcp with its interface, device and sockets.
pub struct Host<D> {
    iface: Interface,
    device: D,
    sockets: SocketSet<'static>,
}

impl<D: Device> Host<D> {
    /// Host `n` with both its addresses. `seed` decides its initial sequence numbers.
    pub fn new(mut device: D, n: u8, seed: u64) -> Self {
        let mut config = Config::new(EthernetAddress(super::ring::mac(n).0).into());
        config.random_seed = seed;
        let mut iface = Interface::new(config, &mut device, Instant::ZERO);
        iface.update_ip_addrs(|list| {
            for (address, prefix) in [(IpAddress::from(v4(n)), 24), (v6(n).into(), 64)] {
                // Two places are the default of smoltcp's build.
                list.push(IpCidr::new(address, prefix)).expect("room for two addresses");
            }
        });
        Host { iface, device, sockets: SocketSet::new(Vec::new()) }
    }

    /// A TCP socket with `buf` bytes for each direction, without Nagle's delay.
    pub fn socket(&mut self, buf: usize, congestion: tcp::CongestionControl) -> SocketHandle {
        let queue = || tcp::SocketBuffer::new(vec![0; buf]);
        let mut socket = tcp::Socket::new(queue(), queue());
        socket.set_congestion_control(congestion);
        socket.set_nagle_enabled(false);
        self.sockets.add(socket)
    }

    /// The socket behind a handle.
    pub fn tcp(&mut self, socket: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(socket)
    }

    /// All sockets.
    pub fn sockets(&mut self) -> &mut SocketSet<'static> {
        &mut self.sockets
    }

    /// Begins an active open from `port`.
    pub fn connect(&mut self, socket: SocketHandle, to: SocketAddr, port: u16) {
        let to = IpEndpoint::new(IpAddr::into(to.ip()), to.port());
        self.sockets
            .get_mut::<tcp::Socket>(socket)
            .connect(self.iface.context(), to, port)
            .expect("a fresh socket and valid addresses");
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }

    /// Takes in up to `frames` frames; gives how many there were.
    pub fn ingress(&mut self, now: Instant, frames: usize) -> usize {
        (0..frames)
            .take_while(|_| {
                self.iface.poll_ingress_single(now, &mut self.device, &mut self.sockets)
                    != PollIngressSingleResult::None
            })
            .count()
    }

    /// Sends all that can be sent; gives whether anything was.
    pub fn egress(&mut self, now: Instant) -> bool {
        let mut any = false;
        while self.iface.poll_egress(now, &mut self.device, &mut self.sockets)
            == PollResult::SocketStateChanged
        {
            any = true;
        }
        any
    }

    /// One turn of smoltcp's own loop.
    pub fn poll(&mut self, now: Instant) -> bool {
        self.iface.poll(now, &mut self.device, &mut self.sockets) == PollResult::SocketStateChanged
    }

    /// When it wants to run next without a frame.
    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        self.iface.poll_at(now, &self.sockets)
    }
}

/// A smoltcp host with one connection.
pub struct Node<D> {
    host: Host<D>,
    socket: SocketHandle,
    was_open: bool,
}

impl<D: Device> Node<D> {
    /// Host `n` with buffers of `buf` bytes.
    pub fn new(device: D, n: u8, seed: u64, buf: usize) -> Self {
        Node::with(device, n, seed, buf, tcp::CongestionControl::Cubic)
    }

    /// The same with another congestion control.
    pub fn with(device: D, n: u8, seed: u64, buf: usize, congestion: tcp::CongestionControl) -> Self {
        let mut host = Host::new(device, n, seed);
        let socket = host.socket(buf, congestion);
        Node { host, socket, was_open: false }
    }
}

impl<D: Device> super::world::Node for Node<D> {
    fn listen(&mut self, port: u16) {
        self.host.tcp(self.socket).listen(port).expect("a fresh socket");
    }

    fn connect(&mut self, to: SocketAddr, _: barenet::time::Instant) {
        self.host.connect(self.socket, to, 50_000);
    }

    fn turn(&mut self, now: barenet::time::Instant) {
        while self.host.poll(instant(now)) {}
        let state = self.host.tcp(self.socket).state();
        self.was_open |= state == tcp::State::Established;
    }

    fn deadline(&mut self, now: barenet::time::Instant) -> Option<barenet::time::Instant> {
        let at = self.host.deadline(instant(now))?;
        Some(barenet::time::Instant::from_micros(at.total_micros().max(0) as u64))
    }

    fn write(&mut self, data: &[u8]) -> usize {
        self.host.tcp(self.socket).send_slice(data).unwrap_or(0)
    }

    fn read(&mut self, buf: &mut [u8]) -> Read {
        let was_open = self.was_open;
        let socket = self.host.tcp(self.socket);
        match socket.recv_slice(buf) {
            Ok(0) => Read::Nothing,
            Ok(n) => Read::Bytes(n),
            Err(tcp::RecvError::Finished) => Read::End,
            // smoltcp tells a reset by nothing but the state.
            Err(tcp::RecvError::InvalidState) => match (socket.state(), was_open) {
                (tcp::State::Closed, true) => Read::Failed(Error::ConnectionReset),
                (tcp::State::Closed, false) => Read::Failed(Error::ConnectionRefused),
                _ => Read::Nothing,
            },
        }
    }

    fn shutdown(&mut self) {
        self.host.tcp(self.socket).close();
    }

    fn abort(&mut self) {
        self.host.tcp(self.socket).abort();
    }

    fn describe(&mut self) -> String {
        let socket = self.host.tcp(self.socket);
        let (to_send, to_read) = (socket.send_queue(), socket.recv_queue());
        format!("smoltcp {} with {to_send} B to send, {to_read} to read", socket.state())
    }

    fn is_gone(&mut self) -> bool {
        self.host.tcp(self.socket).state() == tcp::State::Closed
    }
}
