//! The engine alone: two hosts of the same stack move data through two rings in memory, in one thread and in
//! virtual time, so that nothing but the stack costs anything.
//!
//! Both stacks get the data through their socket's ordinary `write` and `read`: one copy in, one copy out.

use barenet::Congestion;
use barenet::stack::TcpHandle;
use barenet::time::{Duration, Instant};
use barenet_tests::peers::ours;
use barenet_tests::peers::ring::{Checksums, End, cable};
use barenet_tests::peers::smol::{self, instant};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{self, CongestionControl};
use std::fmt::{self, Display};
use std::hint::black_box;

/// Buffers of each socket, in bytes and each direction, for the stacks at their best.
const BUFFER: usize = 256 << 10;

/// Bytes before anything is counted.
const WARM_UP: u64 = 8 << 20;

/// Virtual time between two turns.
const TURN: Duration = Duration::from_micros(20);

/// So many turns without a byte are a second, longer than any timer that could move a transfer without losses on.
const TURNS_STALLED_MAX: u64 = 50_000;

/// What is measured: one stack on both ends of one link.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) stack: Stack,
    pub(crate) mtu: u16,
    pub(crate) checksums: Checksums,
}

/// Which stack, and how it is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stack {
    /// smoltcp as its own benchmark runs it: 64 KiB buffers, no congestion control.
    SmoltcpStock,
    /// smoltcp at its best: 256 KiB buffers, CUBIC.
    SmoltcpBest,
    /// Ours: 256 KiB buffers.
    Barenet,
}

impl Stack {
    pub(crate) const ALL: [Stack; 3] = [Stack::SmoltcpStock, Stack::SmoltcpBest, Stack::Barenet];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Stack::SmoltcpStock => "smoltcp, stock settings",
            Stack::SmoltcpBest => "smoltcp, best",
            Stack::Barenet => "barenet",
        }
    }
}

/// How long to transfer.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// So many bytes have arrived: for counts.
    Bytes(u64),
    /// So much time has passed: for rates.
    Elapsed(std::time::Duration),
}

/// What a transfer took.
pub(crate) struct Done {
    pub(crate) bytes: u64,
    pub(crate) segments: u64,
    pub(crate) acks: u64,
    pub(crate) seconds: f64,
}

/// As a child prints it.
impl Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.bytes, self.segments, self.acks, self.seconds)
    }
}

impl Done {
    /// The other way.
    pub(crate) fn parse(line: &str) -> Option<Done> {
        let mut words = line.split_whitespace();
        Some(Done {
            bytes: words.next()?.parse().ok()?,
            segments: words.next()?.parse().ok()?,
            acks: words.next()?.parse().ok()?,
            seconds: words.next()?.parse().ok()?,
        })
    }
}

/// One host of the pair with its established connection.
trait Host {
    fn write(&mut self, data: &[u8]) -> usize;
    fn read(&mut self, buf: &mut [u8]) -> usize;
    fn egress(&mut self, now: Instant);
    fn ingress(&mut self, now: Instant);
    /// Frames sent so far, of them those with payload.
    fn sent(&mut self) -> (u64, u64);
}

/// Runs `case`: connects, warms up, and transfers.
pub(crate) fn run(case: Case, until: Until) -> Done {
    match case.stack {
        Stack::SmoltcpStock => smoltcp_run(case, 65_535, CongestionControl::None, until),
        Stack::SmoltcpBest => smoltcp_run(case, BUFFER, CongestionControl::Cubic, until),
        Stack::Barenet => barenet_run(case, until),
    }
}

// The phases of a turn, each a symbol of its own that the instruction counts are attributed to. The different
// constants keep the compiler from folding two of them into one.

#[inline(never)]
fn phase_write(host: &mut impl Host, data: &[u8]) -> usize {
    host.write(black_box(data))
}
#[inline(never)]
fn phase_tx_data(host: &mut impl Host, now: Instant) {
    black_box(1);
    host.egress(now);
}
#[inline(never)]
fn phase_rx_data(host: &mut impl Host, now: Instant) {
    black_box(2);
    host.ingress(now);
}
#[inline(never)]
fn phase_read(host: &mut impl Host, buf: &mut [u8]) -> usize {
    host.read(black_box(buf))
}
#[inline(never)]
fn phase_tx_ack(host: &mut impl Host, now: Instant) {
    black_box(3);
    host.egress(now);
}
#[inline(never)]
fn phase_rx_ack(host: &mut impl Host, now: Instant) {
    black_box(4);
    host.ingress(now);
}

/// Transfers from `a` to `b`, first enough to open every window and touch every page.
fn warm_transfer(a: &mut impl Host, b: &mut impl Host, mut now: Instant, until: Until) -> Done {
    transfer(a, b, &mut now, Until::Bytes(WARM_UP));
    transfer(a, b, &mut now, until)
}

fn transfer(a: &mut impl Host, b: &mut impl Host, now: &mut Instant, until: Until) -> Done {
    let (bytes, time) = match until {
        Until::Bytes(bytes) => (bytes, std::time::Duration::MAX),
        Until::Elapsed(time) => (u64::MAX, time),
    };
    let data = vec![0x5a; BUFFER];
    let mut buf = vec![0; BUFFER];
    let (_, segments) = a.sent();
    let (acks, _) = b.sent();
    let start = std::time::Instant::now();
    let (mut written, mut read, mut stalled) = (0, 0, 0);
    for turn in 0u64.. {
        let before = read;
        let len = usize::try_from(bytes - written).map_or(BUFFER, |left| left.min(BUFFER));
        written += phase_write(a, &data[..len]) as u64;
        phase_tx_data(a, *now);
        phase_rx_data(b, *now);
        read += phase_read(b, &mut buf) as u64;
        phase_tx_ack(b, *now);
        phase_rx_ack(a, *now);
        *now += TURN;
        if read >= bytes || turn % 16 == 15 && start.elapsed() > time {
            break;
        }
        stalled = if read > before { 0 } else { stalled + 1 };
        assert!(stalled < TURNS_STALLED_MAX, "{read} bytes arrived, then nothing");
    }
    Done {
        bytes: read,
        segments: a.sent().1 - segments,
        acks: b.sent().0 - acks,
        seconds: start.elapsed().as_secs_f64(),
    }
}

struct Smoltcp {
    host: smol::Host<End>,
    socket: SocketHandle,
}

impl Host for Smoltcp {
    fn write(&mut self, data: &[u8]) -> usize {
        let socket = self.host.tcp(self.socket);
        // The queue is a ring: what lies behind its end is the second half.
        let n = socket.send_slice(data).expect("established");
        n + socket.send_slice(&data[n..]).expect("established")
    }
    fn read(&mut self, buf: &mut [u8]) -> usize {
        let socket = self.host.tcp(self.socket);
        let n = socket.recv_slice(buf).expect("established");
        n + socket.recv_slice(&mut buf[n..]).expect("established")
    }
    fn egress(&mut self, now: Instant) {
        self.host.egress(instant(now));
    }
    fn ingress(&mut self, now: Instant) {
        self.host.ingress(instant(now), usize::MAX);
    }
    fn sent(&mut self) -> (u64, u64) {
        self.host.device().sent()
    }
}

fn smoltcp_run(case: Case, buf: usize, congestion: CongestionControl, until: Until) -> Done {
    let (a, b) = cable(case.mtu, case.checksums);
    let [mut a, mut b] = [(a, 1), (b, 2)].map(|(end, n)| {
        let mut host = smol::Host::new(end, n, n.into());
        let socket = host.socket(buf, congestion);
        Smoltcp { host, socket }
    });
    b.host.tcp(b.socket).listen(7).expect("a port");
    a.host.connect(a.socket, (smol::v4(2), 7).into(), 60_000);
    let mut now = Instant::ZERO;
    while a.host.tcp(a.socket).state() != tcp::State::Established
        || b.host.tcp(b.socket).state() != tcp::State::Established
    {
        now += Duration::from_millis(1);
        a.host.poll(instant(now));
        b.host.poll(instant(now));
    }
    warm_transfer(&mut a, &mut b, now, until)
}

struct Barenet {
    host: ours::Host<End>,
    connection: TcpHandle,
    now: Instant,
}

impl Host for Barenet {
    fn write(&mut self, data: &[u8]) -> usize {
        self.host.stack().tcp_write(self.connection, data, self.now).unwrap_or(0)
    }
    fn read(&mut self, buf: &mut [u8]) -> usize {
        self.host.stack().tcp_read(self.connection, buf, self.now).unwrap_or(0)
    }
    fn egress(&mut self, now: Instant) {
        self.now = now;
        self.host.egress(now);
    }
    fn ingress(&mut self, now: Instant) {
        self.now = now;
        self.host.ingress(now, usize::MAX);
    }
    fn sent(&mut self) -> (u64, u64) {
        self.host.device().sent()
    }
}

fn barenet_run(case: Case, until: Until) -> Done {
    let config = ours::config(BUFFER as u32, Congestion::default());
    let (a, b) = cable(case.mtu, case.checksums);
    let [mut a, mut b] = [(a, 1), (b, 2)].map(|(end, n)| ours::Host::new(end, n, n.into(), config));
    let any = (std::net::Ipv4Addr::UNSPECIFIED, 7).into();
    let (listener, _) = b.stack().tcp_listen(any, 1).expect("a free port");
    let mut now = Instant::ZERO;
    let to = (smol::v4(2), 7).into();
    let client = a.stack().tcp_connect(to, None, now).expect("a route");
    let server = loop {
        now += Duration::from_millis(1);
        for host in [&mut a, &mut b] {
            host.ingress(now, usize::MAX);
            host.egress(now);
        }
        if let Ok((server, _)) = b.stack().tcp_accept(listener) {
            break server;
        }
    };
    // As smoltcp's: the last bytes do not wait for an acknowledgement that is held back.
    a.stack().tcp_set_nodelay(client, true, now).expect("an open connection");
    let mut a = Barenet { host: a, connection: client, now };
    let mut b = Barenet { host: b, connection: server, now };
    warm_transfer(&mut a, &mut b, now, until)
}
