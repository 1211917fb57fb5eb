//! Little memory and many connections: all of them get on, whatever one of them does.

use barenet::Error;
use barenet::device::Device;
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, ListenerHandle, Stack, Storage, TcpHandle};
use barenet::time::{Duration, Instant};
use barenet_tests::peers::ring::{Checksums, End, cable};
use barenet_tests::peers::smol::v4;
use std::net::Ipv4Addr;

/// Memory of the server.
const MEMORY: usize = 1 << 20;
const BLOCK: usize = 512;
const PORT: u16 = 7;

struct Host {
    stack: Stack<'static>,
    device: End,
    interface: InterfaceId,
}

impl Host {
    fn new(device: End, n: u8, memory: usize) -> Host {
        let limits = Limits { memory, block_len: BLOCK, active: 16, ..Limits::default() };
        let mut stack = Stack::new(Storage::heap(&limits), [n; 32]);
        let interface = stack.add_interface(device.capabilities()).unwrap();
        stack.add_address(interface, Cidr::new(v4(n).into(), 24).unwrap(), Instant::ZERO).unwrap();
        Host { stack, device, interface }
    }

    fn turn(&mut self, now: Instant) {
        let Host { stack, device, interface } = self;
        while device.receive(&mut |frame| stack.on_frame(*interface, frame, now)) {}
        stack.on_timers(now);
        while stack.egress(*interface, device, now) && stack.next_deadline(now).is_some_and(|at| at <= now) {
            stack.on_timers(now);
        }
        stack.check();
    }
}

/// Both ends of a connection, what the client has sent and had back, and what the server has yet to
/// send back.
struct Flow {
    client: TcpHandle,
    server: TcpHandle,
    sent: usize,
    back: usize,
    held: Vec<u8>,
}

/// A client with plenty of memory, and a server with little that echoes.
struct Pair {
    client: Host,
    server: Host,
    listener: ListenerHandle,
    now: Instant,
}

impl Pair {
    fn new() -> Pair {
        let (a, b) = cable(1500, Checksums::Off);
        let (client, mut server) = (Host::new(a, 1, 64 << 20), Host::new(b, 2, MEMORY));
        let (listener, _) = server.stack.tcp_listen((Ipv4Addr::UNSPECIFIED, PORT).into(), 128).unwrap();
        Pair { client, server, listener, now: Instant::from_millis(1) }
    }

    fn turn(&mut self) {
        self.now += Duration::from_millis(1);
        self.client.turn(self.now);
        self.server.turn(self.now);
        let (used, all) = self.server.stack.memory();
        assert!(used <= all && all == MEMORY);
    }

    fn connect(&mut self) -> Flow {
        let client = self.client.stack.tcp_connect((v4(2), PORT).into(), None, self.now).unwrap();
        let server = loop {
            self.turn();
            if let Ok((server, _)) = self.server.stack.tcp_accept(self.listener) {
                break server;
            }
        };
        Flow { client, server, sent: 0, back: 0, held: vec![] }
    }

    /// The client sends up to `len` bytes in all, the server sends back what it reads.
    fn echo(&mut self, flow: &mut Flow, len: usize) {
        let mut buf = [7; 2048];
        let n = (len - flow.sent).min(buf.len());
        if n > 0 {
            flow.sent += done(self.client.stack.tcp_write(flow.client, &buf[..n], self.now));
        }
        if flow.held.is_empty() {
            let n = done(self.server.stack.tcp_read(flow.server, &mut buf, self.now));
            flow.held.extend(&buf[..n]);
        }
        if !flow.held.is_empty() {
            let n = done(self.server.stack.tcp_write(flow.server, &flow.held, self.now));
            flow.held.drain(..n);
        }
        flow.back += done(self.client.stack.tcp_read(flow.client, &mut buf, self.now));
    }

    /// Every flow has `len` bytes back within so many seconds.
    fn echo_all(&mut self, flows: &mut [Flow], len: usize, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while flows.iter().any(|f| f.back < len) {
            assert!(self.now < end, "{:?}", flows.iter().map(|f| f.back).collect::<Vec<_>>());
            flows.iter_mut().for_each(|flow| self.echo(flow, len));
            self.turn();
        }
    }
}

fn done(result: Result<usize, Error>) -> usize {
    match result {
        Ok(n) => n,
        Err(Error::WouldBlock) => 0,
        Err(why) => panic!("{why}"),
    }
}

/// T18: a thousand connections in a megabyte, all at once. Afterwards none holds any of it.
#[test]
fn a_thousand_connections_share_a_megabyte() {
    let mut pair = Pair::new();
    let mut flows: Vec<Flow> = (0..1000).map(|_| pair.connect()).collect();
    pair.echo_all(&mut flows, 10_000, 120);
    (0..100).for_each(|_| pair.turn());
    assert_eq!(pair.server.stack.memory().0, 0);
}

/// T18: connections that nobody reads from hold what they got, and the others go on.
#[test]
fn who_never_reads_starves_nobody() {
    let mut pair = Pair::new();
    let greedy: Vec<Flow> = (0..10).map(|_| pair.connect()).collect();
    for _ in 0..2000 {
        for flow in &greedy {
            done(pair.client.stack.tcp_write(flow.client, &[1; 4096], pair.now));
        }
        pair.turn();
    }
    assert!(pair.server.stack.memory().0 > MEMORY / 4, "they hold much");
    let mut flows: Vec<Flow> = (0..50).map(|_| pair.connect()).collect();
    pair.echo_all(&mut flows, 50_000, 60);
}

/// T18, H027: connections whose peers keep their windows closed hold what was written, and the others
/// go on.
#[test]
fn whose_peer_never_reads_starves_nobody() {
    let mut pair = Pair::new();
    let stalled: Vec<Flow> = (0..20).map(|_| pair.connect()).collect();
    pair.client.stack.configure_tcp(|c| c.receive_buffer = 4096).unwrap();
    let stalled: Vec<Flow> = stalled.into_iter().chain((0..20).map(|_| pair.connect())).collect();
    for _ in 0..2000 {
        for flow in &stalled {
            done(pair.server.stack.tcp_write(flow.server, &[1; 4096], pair.now));
        }
        pair.turn();
    }
    let held = pair.server.stack.memory().0;
    assert!(held > 0 && held < MEMORY / 2, "they hold {held} bytes");
    pair.client.stack.configure_tcp(|c| c.receive_buffer = 1 << 20).unwrap();
    let mut flows: Vec<Flow> = (0..50).map(|_| pair.connect()).collect();
    pair.echo_all(&mut flows, 50_000, 120);
}
