//! A flood of SYNs from everywhere, beside clients of the kernel's that mean it.

use barenet::ip::addresses::Cidr;
use barenet::ip::routes::Route;
use barenet::stack::Limits;
use barenet::{Net, TcpListener};
use barenet_tests::kernel::{Family, Opens, beside_wrapped, exchange, noise, pair, receive, send};
use barenet_tests::netns::{KERNEL_V4, STACK_V4};
use etherparse::PacketBuilder;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with};
use std::net::{self, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const PORT: u16 = 7000;
const BACKLOG: u16 = 64;
/// Clients that mean it.
const CLIENTS: u64 = 60;

/// Answers to strangers go to the kernel, which has no such address and drops them.
fn route_to_everywhere(net: &Net) {
    net.with_stack(|stack| {
        let interface = stack.interfaces().find(|(_, i)| !i.is_loopback()).map(|(id, _)| id).unwrap();
        let destination = Cidr::new([0, 0, 0, 0].into(), 0).unwrap();
        let gateway = Some(KERNEL_V4.into());
        stack.add_route(Route { destination, gateway, interface, metric: 0 }).unwrap();
    });
}

/// SYNs that are sent at once: far less than the queue of a TAP holds.
const BURST: u32 = 64;

/// Sends SYNs, each from another address and port, until `stop`; counts them. As many as the stack takes in: more
/// would only fill the TAP's queue, which then drops the clients' segments as well, however good the stack is.
fn flood(net: &Net, stop: &AtomicBool, sent: &AtomicU64) {
    let raw = socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW))
        .expect("a raw socket, for which the namespace's root suffices");
    let to = SocketAddrV4::new(STACK_V4, 0);
    let received = || net.with_stack(|stack| stack.counters().tcp.received.packets);
    let mut next = 0;
    for n in 0u32.. {
        if n % BURST == 0 {
            while received() < next && !stop.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            next = received() + u64::from(BURST);
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let [a, b, c, d] = n.wrapping_mul(0x9e37_79b1).to_be_bytes();
        let from = [11, a, b, c];
        let port = u16::from_be_bytes([d, 1]) | 1024;
        let packet = PacketBuilder::ipv4(from, STACK_V4.octets(), 64).tcp(port, PORT, n, 65_535).syn();
        let mut bytes = Vec::with_capacity(packet.size(0));
        packet.write(&mut bytes, &[]).expect("a vector takes everything");
        sendto(&raw, &bytes, SendFlags::empty(), &to).expect("room in the queue");
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// T13, H058, S5: under a flood the SYN queue stays as it is, clients are served with the help of
/// cookies, and a connection that stands goes on.
#[test]
fn clients_are_served_in_a_flood_of_syns() {
    beside_wrapped(
        false,
        |tap| tap,
        &Limits::default(),
        |net| {
            route_to_everywhere(net);
            let (mut ours, mut kernel) = pair(net, Family::V4, Opens::Kernel);
            let listener = TcpListener::bind_with_backlog(net, PORT, BACKLOG).unwrap();
            let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
            let most = AtomicU64::new(0);
            thread::scope(|scope| {
                scope.spawn(|| flood(net, &stop, &sent));
                // The flood has begun when the first cookie is out.
                while net.with_stack(|stack| stack.counters().handshakes.cookies_sent) == 0 {
                    thread::yield_now();
                }
                let server = scope.spawn(|| {
                    for _ in 0..CLIENTS {
                        let (mut flow, _) = listener.accept().unwrap();
                        let count = net.with_stack(|stack| stack.tcp_count().0);
                        most.fetch_max(count as u64, Ordering::Relaxed);
                        scope.spawn(move || {
                            let data = noise(10_000, 3);
                            receive(&mut flow, &data);
                            send(&mut flow, &data);
                        });
                    }
                });
                for _ in 0..CLIENTS {
                    scope.spawn(|| {
                        let mut flow = net::TcpStream::connect((STACK_V4, PORT)).unwrap();
                        let data = noise(10_000, 3);
                        send(&mut flow, &data);
                        receive(&mut flow, &data);
                    });
                }
                exchange(&mut ours, &mut kernel, 1_000_000);
                server.join().unwrap();
                stop.store(true, Ordering::Relaxed);
            });
            let (handshakes, received) = net.with_stack(|stack| {
                let counters = stack.counters();
                (counters.handshakes, counters.tcp.received.packets)
            });
            let sent = sent.into_inner();
            println!("{sent} SYNs sent, {received} segments received, {handshakes:?}");
            assert!(handshakes.cookies_accepted > 0, "{handshakes:?}");
            let most = most.into_inner();
            assert!(most <= u64::from(BACKLOG) + CLIENTS + 1, "{most} connections");
            let refused = TcpListener::bind(net, PORT).err();
            assert!(refused.is_some(), "it still listens");
        },
    );
}
