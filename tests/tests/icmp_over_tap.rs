//! Our stack and the Linux kernel on one TAP, below TCP: neighbours are found, pings answered and
//! closed ports refused, over IPv4 and IPv6, with and without offloads.

use barenet::Platform;
use barenet::device::Device;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet_boards::host::Host;
use barenet_drivers::tap::Tap;
use barenet_tests::netns::{self, STACK_V4, STACK_V6};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recv, sendto, socket_with,
};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Turns a stack on the TAP until `ended`.
fn serve(mut tap: Tap, host: &Host, ended: &AtomicBool) {
    let mut stack = Stack::new(Storage::heap(&Limits::default()), [7; 32]);
    let id = stack.add_interface(tap.capabilities()).unwrap();
    let addresses: [(IpAddr, u8); 2] = [(STACK_V4.into(), 24), (STACK_V6.into(), 64)];
    for (address, prefix_len) in addresses {
        let cidr = Cidr::new(address, prefix_len).unwrap();
        stack.add_address(id, cidr, host.now()).unwrap();
    }
    while !ended.load(Relaxed) {
        let now = host.now();
        while tap.receive(&mut |frame| stack.on_frame(id, frame, now)) {}
        stack.on_timers(now);
        stack.egress(id, &mut tap, now);
        tap.flush();
        if tap.arm() {
            host.idle(stack.next_deadline(now));
        }
    }
}

/// Ends [`serve`], also when the client panics.
struct Stop<'a>(&'a Host, &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.1.store(true, Relaxed);
        self.0.wake();
    }
}

/// Runs `client` in a namespace in which our stack serves.
fn beside_our_stack(client: impl Fn() + Send + Sync) {
    for offloads in [true, false] {
        netns::run(|| {
            let tap = netns::tap(offloads);
            let host = Host::new([tap.events()]).unwrap();
            let ended = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| serve(tap, &host, &ended));
                let _stop = Stop(&host, &ended);
                client();
            });
        });
    }
}

#[test]
fn a_closed_udp_port_is_refused() {
    beside_our_stack(|| {
        for (local, host) in [("0.0.0.0:0", STACK_V4.into()), ("[::]:0", STACK_V6.into())] {
            let host: IpAddr = host;
            let socket = UdpSocket::bind(local).unwrap();
            socket.connect((host, 9)).unwrap();
            socket.send(b"is anyone there?").unwrap();
            let why = socket.recv(&mut [0; 100]).unwrap_err();
            assert_eq!(why.kind(), ErrorKind::ConnectionRefused, "{host}");
        }
    });
}

#[test]
fn a_ping_is_answered() {
    beside_our_stack(|| {
        let v4 = (AddressFamily::INET, ipproto::ICMP, IpAddr::V4(STACK_V4), 8, 0, 20);
        let v6 = (AddressFamily::INET6, ipproto::ICMPV6, IpAddr::V6(STACK_V6), 128, 129, 0);
        for (family, protocol, host, request, reply, header_len) in [v4, v6] {
            let flags = SocketFlags::CLOEXEC;
            let socket = socket_with(family, SocketType::RAW, flags, Some(protocol)).unwrap();
            // The kernel computes ICMPv6's checksum; this is ICMP's, of type 8 and nothing else.
            let mut echo = vec![request, 0, 0, 0, 0, 0, 0, 0];
            if host.is_ipv4() {
                echo[2..4].copy_from_slice(&(!0x0800u16).to_be_bytes());
            }
            let to = SocketAddr::new(host, 0);
            sendto(&socket, &echo, SendFlags::empty(), &to).unwrap();
            let mut buf = [0; 1500];
            // A raw socket also hears the kernel's own neighbour discovery.
            loop {
                let (n, _) = recv(&socket, &mut buf, RecvFlags::empty()).unwrap();
                if n == header_len + 8 && buf[header_len] == reply {
                    break;
                }
            }
        }
    });
}
