//! What the sockets of one network add, over its loopback, in virtual time: sleepers beside many others (S7), and an exchange
//! that is copied beside one in the stack's own memory (S8).

use crate::count::Counts;
use crate::engine::Done;
use crate::pair::TURN;
use crate::table::{Table, number, verdict};
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::{Duration, Instant};
use barenet::wait::Spin;
use barenet::{Net, Platform, TcpListener, TcpStream};
use std::future::Future;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

/// Sleepers that are there besides.
const SLEEPERS: [u32; 2] = [1, 1_000];
const ROUNDS: u64 = 2_000;
/// Bytes of a request and of its answer.
const TEXT: usize = 1024;

struct Machine(AtomicU64);

static MACHINE: Machine = Machine(AtomicU64::new(1));

impl Platform for Machine {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::Relaxed))
    }
    fn idle(&self, _: Option<Instant>) {}
    fn wake(&self) {}
}

fn net() -> Net {
    Net::new(Stack::new(Storage::heap(&Limits::default()), [4; 32]), &MACHINE, &Spin).expect("a network")
}

fn pass(time: Duration) {
    MACHINE.0.fetch_add(time.micros(), Ordering::Relaxed);
}

/// `sleep N ROUNDS` or `copied ROUNDS` or `in-place ROUNDS`.
pub(crate) fn sample(args: &[String]) -> Option<String> {
    let done = match args {
        [kind, n, rounds] if kind == "sleep" => sleepers(n.parse().ok()?, rounds.parse().ok()?),
        [kind, rounds] if kind == "copied" => exchanges(rounds.parse().ok()?, Copied),
        [kind, rounds] if kind == "in-place" => exchanges(rounds.parse().ok()?, InPlace),
        _ => return None,
    };
    Some(done.to_string())
}

// Symbols of their own, kept apart by their constants.

#[inline(never)]
fn phase_arm(sleep: impl Future) -> impl Future {
    let mut sleep = Box::pin(sleep);
    assert!(sleep.as_mut().poll(&mut Context::from_waker(black_box(Waker::noop()))).is_pending());
    sleep
}
#[inline(never)]
fn phase_cancel(sleep: impl Future) {
    drop(black_box(sleep));
}
#[inline(never)]
fn phase_tick(net: &Net) {
    pass(black_box(Duration::from_millis(1)));
    net.turn();
}

/// One task begins to sleep and is dropped, a millisecond passes, beside `n` that sleep longer.
fn sleepers(n: u32, rounds: u64) -> Done {
    let net = net();
    let long = |i: u32| net.sleep(Duration::from_secs(600) + Duration::from_millis(i.into()));
    let _others: Vec<_> = (0..n).map(|i| phase_arm(long(i))).collect();
    for _ in 0..rounds {
        let sleep = phase_arm(net.sleep(Duration::from_millis(500)));
        phase_cancel(sleep);
        phase_tick(&net);
    }
    Done { bytes: rounds, segments: 0, acks: 0, seconds: 0.0 }
}

/// How a program writes and reads.
trait Face {
    fn write(stream: &mut TcpStream);
    /// Looks at all that came, and makes one number of it.
    fn read(stream: &mut TcpStream) -> u64;
}

/// The number that a program makes of what it reads.
fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks_exact(8).fold(0, |sum, word| sum ^ u64::from_ne_bytes(word.try_into().expect("8 bytes")))
}

/// What is written is made in a buffer, and what is read comes in one.
struct Copied;

impl Face for Copied {
    fn write(stream: &mut TcpStream) {
        let mut buf = [0; TEXT];
        black_box(&mut buf).fill(0x5a);
        assert_eq!(stream.try_write(&buf), Ok(TEXT));
    }
    fn read(stream: &mut TcpStream) -> u64 {
        let mut buf = [0; TEXT];
        let n = stream.try_read(&mut buf).expect("what was sent");
        sum(&buf[..n])
    }
}

/// Both in the stack's own memory.
struct InPlace;

impl Face for InPlace {
    fn write(stream: &mut TcpStream) {
        let filled = stream.try_write_with(TEXT, |room| {
            black_box(&mut *room).fill(0x5a);
            (room.len(), room.len())
        });
        assert_eq!(filled, Ok(TEXT));
    }
    fn read(stream: &mut TcpStream) -> u64 {
        let look = |pieces: &[&[u8]]| {
            let sums = pieces.iter().fold((0, 0), |(n, all), piece| (n + piece.len(), all ^ sum(piece)));
            (sums.0, sums.1)
        };
        stream.try_read_with(look).expect("what was sent")
    }
}

#[inline(never)]
fn phase_write<F: Face>(stream: &mut TcpStream) {
    F::write(stream);
    black_box(1);
}
#[inline(never)]
fn phase_read<F: Face>(stream: &mut TcpStream) -> u64 {
    black_box(F::read(stream))
}
#[inline(never)]
fn phase_turn(net: &Net) {
    net.turn();
    black_box(3);
}

/// A request of [`TEXT`] bytes and an answer of as many.
fn exchanges<F: Face>(rounds: u64, _: F) -> Done {
    let net = net();
    let listener = TcpListener::bind(&net, 7).expect("a free port");
    let mut client =
        TcpStream::start_connect(&net, "127.0.0.1:7".parse().expect("an address")).expect("a route");
    let settle = || (0..20).for_each(|_| _ = net.turn());
    settle();
    let (mut server, _) = listener.try_accept().expect("a connection");
    for _ in 0..rounds {
        for (from, to) in [(0, 1), (1, 0)] {
            let ends = [&mut client, &mut server];
            phase_write::<F>(ends[from]);
            (0..3).for_each(|_| phase_turn(&net));
            phase_read::<F>(ends[to]);
            pass(TURN);
        }
    }
    Done { bytes: rounds, segments: 0, acks: 0, seconds: 0.0 }
}

fn counted(args: &[&str]) -> Counts {
    Counts::of(ROUNDS, |rounds| {
        let rounds = rounds.to_string();
        ["sample", "sockets"]
            .into_iter()
            .chain(args.iter().copied())
            .chain([&*rounds])
            .map(str::to_owned)
            .collect()
    })
}

/// S7 for the timers of programs.
pub(crate) fn sleeping() -> Table {
    let head = ["sleepers besides", "arm", "drop", "tick", "of N = 1", "goal"];
    let mut table = Table::new("S7: instructions of `Net::sleep`", head);
    let mut few = None;
    for n in SLEEPERS {
        let counts = counted(&["sleep", &n.to_string()]);
        let cost = ["arm", "cancel", "tick"].map(|p| counts.phase(p).all / ROUNDS as f64);
        let few = *few.get_or_insert(cost);
        let ratio = (0..3).map(|i| cost[i] / few[i]).fold(0.0, f64::max);
        let [arm, cancel, tick] = cost.map(number);
        let goal = format!("{} <= 1.1", verdict(ratio <= 1.1));
        table.row([n.to_string(), arm, cancel, tick, number(ratio), goal]);
    }
    table
}

/// S8 for what is read and written in place.
pub(crate) fn in_place() -> Table {
    let title = "S8: a request and an answer of 1 KiB by sockets, over loopback, instructions";
    let mut table = Table::new(title, ["", "write", "read", "network", "all", "of copied", "goal"]);
    let mut copied = None;
    for kind in ["copied", "in-place"] {
        let counts = counted(&[kind]);
        let cost = ["write", "read", "turn"].map(|p| counts.phase(p).all / ROUNDS as f64);
        let all: f64 = cost.iter().sum();
        let ratio = all / *copied.get_or_insert(all);
        let goal =
            if kind == "copied" { "-".to_owned() } else { format!("{} <= 0.9", verdict(ratio <= 0.9)) };
        let [write, read, turn] = cost.map(number);
        table.row([kind.to_owned(), write, read, turn, number(all), number(ratio), goal]);
    }
    table
}
