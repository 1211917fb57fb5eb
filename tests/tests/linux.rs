//! The Linux kernel as the peer of our TCP over a TAP: IPv4 and IPv6, our server and our client,
//! with offloads and without, blocking calls on OS threads.

use barenet::device::Device;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet::wait::Threads;
use barenet::{Error, Net, Shutdown};
use barenet_boards::host::Host;
use barenet_drivers::middleware::{Faults, Rates};
use barenet_drivers::tap::Events;
use barenet_tests::netns::{self, KERNEL_V4, KERNEL_V6, STACK_V4, STACK_V6};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::thread;

/// Bytes that go each way.
const LEN: usize = 10_000_000;

/// Bytes that go each way over a bad network, where each lost frame may cost a pause.
const LEN_FAULTS: usize = 300_000;

/// Byte `at` of what flows one way; `seed` tells the flows apart.
fn byte(seed: usize, at: usize) -> u8 {
    ((at + seed).wrapping_mul(2_654_435_761) >> 13) as u8
}

fn data(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| byte(seed, at)).collect()
}

/// Fails at the first byte that is not the flow's.
fn check(who: &str, seed: usize, len: usize, got: &[u8]) {
    let wrong = got.iter().enumerate().find(|&(at, &b)| b != byte(seed, at));
    assert_eq!(wrong, None, "{who}: the first wrong byte and its place");
    assert_eq!(got.len(), len, "{who}: bytes");
}

/// Runs `body` with a network of ours on the TAP of a namespace, with offloads and without.
fn beside_the_kernel(body: impl Fn(&Net) + Send + Sync) {
    for offloads in [true, false] {
        netns::run(|| {
            let tap = netns::tap(offloads);
            let events = tap.events();
            beside(Box::new(tap), events, &body);
        });
    }
}

/// Runs `body` with a network of ours on this device, whose TAP has these events.
fn beside(device: Box<dyn Device + Send>, events: Events, body: impl Fn(&Net)) {
    let platform: &'static Host = Box::leak(Box::new(Host::new([events]).unwrap()));
    let stack = Stack::new(Storage::heap(&Limits::default()), [3; 32]);
    let net = Net::new(stack, platform, &Threads);
    let addresses = [(STACK_V4.into(), 24), (STACK_V6.into(), 64)];
    let addresses = addresses.map(|(address, len)| Cidr::new(address, len).unwrap());
    net.add_interface(device, &addresses, &[]).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| net.run());
        let _down = Down(&net);
        body(&net);
    });
}

/// Ends the daemon, also when a test panics.
struct Down<'a>(&'a Net);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// Sends one flow and receives another at once, on a kernel socket.
fn exchange_kernel(stream: std::net::TcpStream, len: usize, send: usize, receive: usize) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = stream;
    thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(&data(send, len)).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        check("the kernel", receive, len, &got);
    });
}

/// The same on a socket of ours: everything out, while a thread of the kernel's side reads.
fn exchange_ours(mut stream: barenet::TcpStream, len: usize, send: usize, receive: usize) {
    let data = data(send, len);
    let mut sent = 0;
    let mut got = Vec::new();
    let mut buf = vec![0; 1 << 16];
    // One thread does both: it writes what fits and reads what is there.
    while sent < len {
        let step = (sent + (1 << 16)).min(len);
        stream.write_all(&data[sent..step]).unwrap();
        sent = step;
        while let Ok(n @ 1..) = stream.try_read(&mut buf) {
            got.extend_from_slice(&buf[..n]);
        }
    }
    stream.shutdown(Shutdown::Write).unwrap();
    loop {
        match stream.read(&mut buf).unwrap() {
            0 => break,
            n => got.extend_from_slice(&buf[..n]),
        }
    }
    check("we", receive, len, &got);
}

/// Our server, and the kernel as its client, over both families.
fn serve_the_kernel(net: &Net, len: usize) {
    let listener = barenet::TcpListener::bind(net, 7000).unwrap();
    for address in [IpAddr::from(STACK_V4), STACK_V6.into()] {
        thread::scope(|scope| {
            scope.spawn(|| exchange_ours(listener.accept().unwrap().0, len, 1, 2));
            let stream = std::net::TcpStream::connect((address, 7000)).unwrap();
            exchange_kernel(stream, len, 2, 1);
        });
    }
}

/// The kernel as the server, and our client, over both families.
fn be_served_by_the_kernel(net: &Net, len: usize) {
    for address in [IpAddr::from(KERNEL_V4), KERNEL_V6.into()] {
        let listener = std::net::TcpListener::bind((address, 0)).unwrap();
        let server = listener.local_addr().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| exchange_kernel(listener.accept().unwrap().0, len, 2, 1));
            exchange_ours(barenet::TcpStream::connect(net, server).unwrap(), len, 1, 2);
        });
    }
}

#[test]
fn our_server_exchanges_10_mb_each_way() {
    beside_the_kernel(|net| serve_the_kernel(net, LEN));
}

#[test]
fn our_client_exchanges_10_mb_each_way() {
    beside_the_kernel(|net| be_served_by_the_kernel(net, LEN));
}

/// Both stacks repair what a bad network does to both directions.
#[test]
fn a_bad_network_changes_no_byte() {
    for offloads in [true, false] {
        netns::run(|| {
            let tap = netns::tap(offloads);
            let events = tap.events();
            let rates = Rates { loss: 5_000, duplicate: 5_000, reorder: 5_000, corrupt: 5_000 };
            let faults = Faults::new(tap, 42).receiving(rates).transmitting(rates);
            beside(Box::new(faults), events, |net| {
                serve_the_kernel(net, LEN_FAULTS);
                be_served_by_the_kernel(net, LEN_FAULTS);
            });
        });
    }
}

/// A port that nobody listens on is refused at once, in both directions.
#[test]
fn a_closed_port_is_refused() {
    beside_the_kernel(|net| {
        for address in [IpAddr::from(KERNEL_V4), KERNEL_V6.into()] {
            let closed = SocketAddr::new(address, 9);
            let refused = barenet::TcpStream::connect(net, closed).map(drop);
            assert_eq!(refused, Err(Error::ConnectionRefused), "{closed}");
        }
        for address in [IpAddr::from(STACK_V4), STACK_V6.into()] {
            let refused = std::net::TcpStream::connect((address, 9)).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{address}");
        }
    });
}

/// What the kernel wrote before it reset the connection does not end like a stream.
#[test]
fn a_reset_is_no_end() {
    beside_the_kernel(|net| {
        let listener = std::net::TcpListener::bind((KERNEL_V4, 0)).unwrap();
        let mut ours = barenet::TcpStream::connect(net, listener.local_addr().unwrap()).unwrap();
        let (kernels, _) = listener.accept().unwrap();
        ours.write_all(b"never read").unwrap();
        // Closed with unread data, Linux resets.
        let mut byte = [0];
        while kernels.peek(&mut byte).unwrap() == 0 {}
        drop(kernels);
        assert_eq!(ours.read(&mut byte), Err(Error::ConnectionReset));
    });
}
