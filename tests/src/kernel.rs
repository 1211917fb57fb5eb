//! Our stack with the Linux kernel as its peer, on one TAP in a namespace of their own.

use crate::netns::{self, KERNEL_V4, KERNEL_V6, STACK_V4, STACK_V6};
use barenet::device::Device;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet::wait::{Threads, Wait};
use barenet::{Net, Shutdown, TcpListener, TcpStream};
use barenet_boards::fiber::Fibers;
use barenet_boards::host::Host;
use barenet_drivers::tap::Events;
use std::io::{Read, Write};
use std::net::{self, IpAddr, SocketAddr};
use std::sync::{Once, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longest that a test may take that builds nothing: some twenty times what it needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An address family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// The kernel's address.
    pub fn kernel(self) -> IpAddr {
        match self {
            Family::V4 => KERNEL_V4.into(),
            Family::V6 => KERNEL_V6.into(),
        }
    }

    /// Our stack's address.
    pub fn ours(self) -> IpAddr {
        match self {
            Family::V4 => STACK_V4.into(),
            Family::V6 => STACK_V6.into(),
        }
    }
}

/// Runs `body` and ends the whole program with a message if it takes longer than `limit`: a thread
/// that waits for ever can't be ended in another way. Panics of any thread are shown at once, since
/// the thread that would report them may be the one that waits.
pub fn within<R>(limit: Duration, body: impl FnOnce() -> R) -> R {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|why| {
            // Not `eprintln!`: the test harness would keep it until the test has ended.
            let _ = writeln!(std::io::stderr(), "{why}");
        }));
    });
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (done, waiting) = mpsc::channel::<()>();
    thread::spawn(move || {
        if waiting.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = writeln!(std::io::stderr(), "{name}: not done after {limit:?}: something waits for ever");
            std::process::exit(101);
        }
    });
    let result = body();
    drop(done);
    result
}

/// The machine under a network whose device tells its events by `events`.
pub fn machine(events: Events) -> &'static Host {
    Box::leak(Box::new(Host::new([events]).expect("a descriptor")))
}

/// Fibers, and a network on a new TAP that they turn.
pub fn fibers_and_network() -> (&'static Fibers, Net) {
    let tap = netns::tap(true);
    let platform = machine(tap.events());
    let fibers: &'static Fibers = Box::leak(Box::new(Fibers::new(platform)));
    (fibers, network(tap, platform, fibers, &Limits::default()))
}

/// A network on `device` with [`STACK_V4`] and [`STACK_V6`] and no gateway.
pub fn network(
    device: impl Device + Send + 'static,
    platform: &'static Host,
    wait: &'static dyn Wait,
    limits: &Limits,
) -> Net {
    let storage = Storage::heap(limits);
    let net = Net::new(Stack::new(storage, [7; 32]), platform, wait).expect("a loopback");
    let addresses = [(IpAddr::from(STACK_V4), 24), (STACK_V6.into(), 64)];
    let addresses = addresses.map(|(address, prefix_len)| Cidr::new(address, prefix_len).unwrap());
    net.add_interface(Box::new(device), &addresses, &[]).expect("room for an interface");
    net
}

/// The daemon in a thread of its own. Dropping it shuts the network down and waits for its end.
pub struct Daemon {
    net: Net,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts it.
    pub fn start(net: &Net) -> Self {
        let own = net.clone();
        Daemon { net: net.clone(), thread: Some(thread::spawn(move || own.run())) }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.net.shutdown();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            let _ = writeln!(std::io::stderr(), "the daemon panicked");
        }
    }
}

/// Runs `body` in a namespace beside the kernel, with our stack on a TAP, OS threads as the way of
/// waiting and the daemon in its thread.
pub fn beside<F: FnOnce(&Net) + Send>(offloads: bool, body: F) {
    beside_wrapped(offloads, |tap| tap, &Limits::default(), body);
}

/// As [`beside`], with `wrap` around the TAP and other limits.
pub fn beside_wrapped<D, F>(
    offloads: bool,
    wrap: impl FnOnce(barenet_drivers::tap::Tap) -> D + Send,
    limits: &Limits,
    body: F,
) where
    D: Device + Send + 'static,
    F: FnOnce(&Net) + Send,
{
    within(PATIENCE, || {
        netns::run(|| {
            let tap = netns::tap(offloads);
            let platform = machine(tap.events());
            let net = network(wrap(tap), platform, &Threads, limits);
            let _daemon = Daemon::start(&net);
            body(&net);
        });
    });
}

/// Who opens a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opens {
    /// Our stack.
    Ours,
    /// The kernel.
    Kernel,
}

impl Opens {
    /// Both.
    pub const BOTH: [Opens; 2] = [Opens::Ours, Opens::Kernel];
}

/// A connection, seen from both ends.
///
/// # Panics
///
/// When it can't be opened.
pub fn pair(net: &Net, family: Family, opens: Opens) -> (TcpStream, net::TcpStream) {
    match opens {
        Opens::Ours => {
            let listener = net::TcpListener::bind((family.kernel(), 0)).expect("the kernel listens");
            let address = listener.local_addr().expect("its address");
            let ours = TcpStream::connect(net, address).expect("we connect");
            (ours, listener.accept().expect("the kernel accepts").0)
        }
        Opens::Kernel => {
            let local = SocketAddr::new(family.ours(), 0);
            let listener = TcpListener::bind(net, local).expect("we listen");
            let kernel = net::TcpStream::connect(listener.local_addr()).expect("the kernel connects");
            (listener.accept().expect("we accept").0, kernel)
        }
    }
}

/// One end of a connection, ours or the kernel's.
pub trait Flow: Read + Write {
    /// Sends our FIN; reading goes on.
    fn finish(&mut self);
}

impl Flow for TcpStream {
    fn finish(&mut self) {
        self.shutdown(Shutdown::Write).expect("shutdown");
    }
}

impl Flow for net::TcpStream {
    fn finish(&mut self) {
        self.shutdown(net::Shutdown::Write).expect("shutdown");
    }
}

/// Bytes without a pattern, the same for the same seed (SplitMix64).
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let words = (1..=len.div_ceil(8) as u64).flat_map(|n| {
        let mut z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    });
    words.take(len).collect()
}

/// Writes all of `data` and ends the stream.
///
/// # Panics
///
/// When that fails.
pub fn send(flow: &mut impl Flow, data: &[u8]) {
    flow.write_all(data).expect("all is written");
    flow.finish();
}

/// Reads to the end of the stream, which must be `expected`, byte for byte.
///
/// # Panics
///
/// When it is not, or reading fails.
pub fn receive(flow: &mut impl Flow, expected: &[u8]) {
    let mut buf = vec![0; 64 * 1024];
    let mut at = 0;
    loop {
        let n = flow.read(&mut buf).unwrap_or_else(|why| panic!("after {at} bytes: {why}"));
        if n == 0 {
            break;
        }
        let here = expected.get(at..at + n);
        assert!(here == Some(&buf[..n]), "the {n} bytes from {at} on are not those that were sent");
        at += n;
    }
    assert_eq!(at, expected.len(), "bytes before the end of the stream");
}

/// `first` sends `len` bytes and ends its direction; then `second` sends as many back and ends its
/// own: each end is half-closed for a while.
pub fn exchange(first: &mut impl Flow, second: &mut (impl Flow + Send), len: usize) {
    let (there, back) = (noise(len, 1), noise(len, 2));
    thread::scope(|scope| {
        scope.spawn(|| {
            receive(second, &there);
            send(second, &back);
        });
        send(first, &there);
        receive(first, &back);
    });
}

/// Both ends send `len` bytes at once.
pub fn exchange_at_once(ours: &mut TcpStream, kernel: &mut net::TcpStream, len: usize) {
    let (there, back) = (noise(len, 1), noise(len, 2));
    let mut writer = kernel.try_clone().expect("a second descriptor");
    thread::scope(|scope| {
        scope.spawn(|| send(&mut writer, &back));
        scope.spawn(|| receive(kernel, &there));
        // One thread does both: it writes what fits and reads what is there. It may wait for room,
        // since the kernel's side always reads.
        let (mut got, mut buf) = (Vec::with_capacity(len), vec![0; 64 * 1024]);
        for piece in there.chunks(64 * 1024) {
            ours.write_all(piece).expect("a piece is written");
            while let Ok(n @ 1..) = ours.try_read(&mut buf) {
                got.extend_from_slice(&buf[..n]);
            }
        }
        ours.finish();
        assert!(back.starts_with(&got), "the first {} bytes are not those that were sent", got.len());
        receive(ours, &back[got.len()..]);
    });
}

/// Sets one of the kernel's switches, such as `net.ipv4.tcp_ecn`, in this thread's namespace. False:
/// this kernel has no such switch, or not this value.
pub fn try_sysctl(name: &str, value: &str) -> bool {
    std::fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value).is_ok()
}

/// A counter of the kernel's TCP in this thread's namespace, such as `TCPWinProbe`.
///
/// # Panics
///
/// When the kernel has no counter of this name.
pub fn counter(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/netstat").expect("the kernel's counters");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let at = names.split(' ').position(|n| n == name);
    let value = at.and_then(|at| values.split(' ').nth(at)?.parse().ok());
    value.unwrap_or_else(|| panic!("the kernel counts no {name}"))
}
