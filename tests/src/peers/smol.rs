//! A host that runs smoltcp 0.14 on any of its devices.

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
