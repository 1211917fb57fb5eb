//! The process of one run: hosts at both ends of a path, and the loop that carries their frames across it.

use super::linux;
use super::ours::Ours;
use super::run::{Job, Run, STEP};
use barenet::time;
use barenet_drivers::tap::Tap;
use barenet_tests::peers::smol::{v4, v6};
use barenet_tests::sim::Path;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Where the right end listens.
pub(super) const PORT: u16 = 7000;
/// Number of the host at the right end; those at the left have the next ones.
const RIGHT: u8 = 1;
/// Frames that are taken from one host before the next has its turn.
const BATCH: usize = 64;
/// Largest frame.
const FRAME: usize = 1514;

/// One host.
#[derive(Clone, Copy)]
pub(super) struct Host {
    pub(super) number: u8,
    /// Its place at the left end, and its connections.
    pub(super) sends: Option<(usize, usize)>,
}

/// What all threads of a run see.
pub(super) struct Shared {
    pub(super) run: Run,
    on: OnceLock<Instant>,
    /// Bytes that were read, for each connection with its sender's place.
    flows: Mutex<Vec<(usize, Arc<AtomicU64>)>>,
    times: Mutex<Vec<Duration>>,
    failures: Mutex<Vec<String>>,
}

/// What a thread that panicked has left is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// May senders begin?
    pub(super) fn is_on(&self) -> bool {
        self.on.get().is_some()
    }

    /// Where they connect to.
    pub(super) fn to(&self) -> SocketAddr {
        SocketAddr::new(self.address(RIGHT), PORT)
    }

    fn address(&self, host: u8) -> IpAddr {
        if self.run.cell.v6 { v6(host).into() } else { v4(host).into() }
    }

    /// A connection from there has come: where to count its bytes.
    pub(super) fn flow(&self, from: IpAddr) -> Arc<AtomicU64> {
        let from = from.to_canonical();
        let is_from = |at: &usize| self.address(RIGHT + 1 + *at as u8) == from;
        let place = (0..self.run.left.len()).find(is_from).unwrap_or(0);
        let bytes = Arc::<AtomicU64>::default();
        lock(&self.flows).push((place, bytes.clone()));
        bytes
    }

    pub(super) fn transferred(&self, time: Duration) {
        lock(&self.times).push(time);
    }

    pub(super) fn fail(&self, why: String) {
        lock(&self.failures).push(why);
    }

    /// Bytes of each connection by its sender's place.
    fn bytes(&self) -> Vec<(usize, u64)> {
        lock(&self.flows).iter().map(|(place, bytes)| (*place, bytes.load(Relaxed))).collect()
    }

    fn total(&self) -> u64 {
        self.bytes().iter().map(|(_, bytes)| bytes).sum()
    }
}

/// A host's end of the path.
enum Port {
    Kernel(Tap),
    Ours(Box<Ours>),
}

impl Port {
    /// A frame that the host sends.
    fn read(&mut self) -> Option<Vec<u8>> {
        match self {
            Port::Ours(ours) => ours.sent(),
            Port::Kernel(tap) => {
                let mut frame = vec![0; FRAME];
                let n = rustix::io::read(tap, &mut frame[..]).ok()?;
                frame.truncate(n);
                Some(frame)
            }
        }
    }

    /// False: it was not taken.
    fn write(&mut self, frame: Vec<u8>, now: time::Instant) -> bool {
        match self {
            Port::Ours(ours) => {
                ours.receive(frame, now);
                true
            }
            Port::Kernel(tap) => rustix::io::write(tap, &frame).is_ok(),
        }
    }

    /// Ours does what is due; when it wants to be turned again.
    fn turn(&mut self, now: time::Instant) -> Option<time::Instant> {
        match self {
            Port::Kernel(_) => None,
            Port::Ours(ours) => {
                ours.turn(now);
                ours.deadline(now)
            }
        }
    }

    fn poll_fd(&self) -> Option<PollFd<'_>> {
        match self {
            Port::Kernel(tap) => Some(PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN)),
            Port::Ours(_) => None,
        }
    }
}

/// The ports of both ends, those of the left first, and who answers to which hardware address there.
struct Switch {
    ports: Vec<Port>,
    learned: Vec<Option<[u8; 6]>>,
    refused: u64,
}

impl Switch {
    /// Which end a port is at.
    fn end(&self, port: usize) -> usize {
        usize::from(port + 1 == self.ports.len())
    }

    /// A frame has arrived at an end: to its host there, or to all if it is for all.
    fn deliver(&mut self, end: usize, frame: &[u8], now: time::Instant) {
        let known = |port: &usize| self.learned[*port].as_ref().is_some_and(|mac| frame.starts_with(mac));
        let here: Vec<usize> = (0..self.ports.len()).filter(|port| self.end(*port) == end).collect();
        let for_one = here.iter().copied().find(known);
        for port in here.into_iter().filter(|port| for_one.is_none_or(|one| one == *port)) {
            self.refused += u64::from(!self.ports[port].write(frame.to_vec(), now));
        }
    }

    /// Takes in what hosts send.
    fn collect(&mut self, path: &mut Path, now: time::Instant) -> bool {
        let mut more = false;
        for port in 0..self.ports.len() {
            for n in 0..BATCH {
                let Some(frame) = self.ports[port].read() else { break };
                more |= n + 1 == BATCH;
                if let Some(source) = frame.get(6..12) {
                    self.learned[port] = source.try_into().ok();
                }
                path.offer(self.end(port), frame, now);
            }
        }
        more
    }

    fn sleep(&self, time: Duration) {
        let mut entries: Vec<PollFd<'_>> = self.ports.iter().filter_map(Port::poll_fd).collect();
        let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        // Interrupted or not, the caller looks again.
        let _ = poll(&mut entries, Some(&time));
    }
}

/// Does the run that these words describe, and tells what came of it.
pub(crate) fn sample(words: &[String]) -> Option<Result<String, String>> {
    Run::parse(words).map(measure)
}

fn measure(run: Run) -> Result<String, String> {
    let shared = Arc::new(Shared {
        run,
        on: OnceLock::new(),
        flows: Mutex::default(),
        times: Mutex::default(),
        failures: Mutex::default(),
    });
    let mut ports = Vec::new();
    let right = Host { number: RIGHT, sends: None };
    let left = shared.run.left.iter().enumerate();
    let left = left
        .map(|(at, &(who, flows))| (who, Host { number: RIGHT + 1 + at as u8, sends: Some((at, flows)) }));
    for (who, host) in left.chain([(shared.run.right, right)]) {
        ports.push(match who.of_kernel() {
            Some(_) => Port::Kernel(linux::start(host, who, &shared)?),
            None => Port::Ours(Box::new(Ours::new(host, who, &shared)?)),
        });
    }
    let learned = vec![None; ports.len()];
    let mut switch = Switch { ports, learned, refused: 0 };
    let clock = Instant::now();
    let new_path = || Path::new(&shared.run.cell.link(), shared.run.seed);
    if shared.run.cell.v6 {
        // Until nobody else has claimed our address.
        turn(&mut switch, &mut new_path(), clock, clock + Duration::from_secs(2), |_, _| {});
    }
    let on = Instant::now();
    let _ = shared.on.set(on);
    let span = Duration::from_secs(shared.run.cell.seconds);
    let (mut path, mut steps, mut last, mut early) = (new_path(), Vec::new(), 0, Vec::new());
    turn(&mut switch, &mut path, clock, on + span, |path, now| {
        let elapsed = on.elapsed();
        if elapsed >= STEP * (steps.len() as u32 + 1) {
            let total = shared.total();
            let mbit = (total - last) as f64 * 8e-6 / STEP.as_secs_f64();
            steps.push((mbit, path.backlog(now).micros() as f64 / 1e3));
            last = total;
        }
        if early.is_empty() && elapsed >= span / 4 {
            early = shared.bytes();
        }
    });
    match lock(&shared.failures).first() {
        Some(why) => Err(why.clone()),
        None => Ok(report(&shared, &path, &switch, &steps, &early)),
    }
}

/// Carries frames until then; their time is that of `clock`.
fn turn(
    switch: &mut Switch,
    path: &mut Path,
    clock: Instant,
    until: Instant,
    mut look: impl FnMut(&Path, time::Instant),
) {
    while Instant::now() < until {
        let now = time::Instant::from_micros(clock.elapsed().as_micros() as u64);
        while let Some((end, frame)) = path.take(now) {
            switch.deliver(end, &frame, now);
        }
        let due = switch.ports.iter_mut().filter_map(|port| port.turn(now)).min();
        let more = switch.collect(path, now);
        look(path, now);
        if !more {
            // Looks fall into steps, at the latest.
            let next = path.next().into_iter().chain(due).min();
            let next = next.map_or(STEP, |at| at.since(now).into());
            switch.sleep(next.min(STEP / 20));
        }
    }
}

/// One line for each figure.
fn report(
    shared: &Shared,
    path: &Path,
    switch: &Switch,
    steps: &[(f64, f64)],
    early: &[(usize, u64)],
) -> String {
    let stats = path.stats();
    let [there, _] = stats.pipes;
    let seconds = shared.run.cell.seconds as f64;
    let mut text = String::new();
    let mut line = |name: &str, value: f64| {
        let _ = writeln!(text, "{name} {value}");
    };
    // What each connection got in the last three quarters.
    let before = |at: usize| early.get(at).map_or(0, |(_, bytes)| *bytes);
    let late: Vec<(usize, f64)> =
        shared.bytes().iter().enumerate().map(|(at, (place, n))| (*place, (n - before(at)) as f64)).collect();
    let sum = |of: fn(f64) -> f64, place: Option<usize>| -> f64 {
        late.iter().filter(|(p, _)| place.is_none_or(|place| *p == place)).map(|(_, n)| of(*n)).sum()
    };
    let all = sum(|n| n, None);
    line("mbit", shared.total() as f64 * 8e-6 / seconds);
    line("share", sum(|n| n, Some(0)) / all);
    line("fairness", all * all / (late.len() as f64 * sum(|n| n * n, None)));
    line("utilisation", there.bytes as f64 * 8e-6 / seconds / shared.run.cell.mbit as f64);
    line("segments", stats.text.segments as f64);
    line("again", stats.text.retransmitted as f64);
    line("needless", stats.text.needless as f64);
    line("dropped", there.dropped as f64);
    line("lost", there.lost as f64);
    line("acks", stats.acks as f64);
    line("acks_per_mb", stats.acks as f64 / (there.bytes as f64 / 1e6));
    line("queue_p50", path.wait_percentile(50).micros() as f64 / 1e3);
    line("queue_p95", path.wait_percentile(95).micros() as f64 / 1e3);
    line("late", stats.late as f64 / stats.taken.max(1) as f64);
    line("refused", switch.refused as f64);
    if matches!(shared.run.cell.job, Job::Transfer(_)) {
        lock(&shared.times).iter().for_each(|time| line("time", time.as_secs_f64()));
    }
    for (mbit, queue_ms) in steps {
        let _ = writeln!(text, "step {mbit} {queue_ms}");
    }
    text
}
