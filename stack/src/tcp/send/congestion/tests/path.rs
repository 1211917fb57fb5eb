//! Flows through one bottleneck with an end to its queue, in virtual time: whole controllers with
//! ideal recovery. Every segment is acknowledged by itself, a gap of three is a loss, and where nothing is heard a
//! timer fires.

use super::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

const MSS: u32 = 1448;
/// Sent so long before something that has arrived, in segments of all flows, is lost.
const REORDER: u64 = 64;

/// The bottleneck.
#[derive(Clone, Copy)]
struct Path {
    bytes_per_s: u64,
    rtt: Duration,
    /// Bytes that may wait.
    queue: u64,
    /// One segment in so many is lost by chance.
    recent_loss: u64,
}

impl Path {
    fn product(&self) -> u64 {
        self.bytes_per_s * self.rtt.micros() / 1_000_000
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The acknowledgment of a segment arrives, sent at this time.
    Ack { flow: usize, number: u32, order: u64, sent: Instant },
    /// A gate may have opened, or the application goes on.
    Wake { flow: usize },
}

struct Flow {
    c: Controller,
    begins: Instant,
    start: Seq,
    /// Segments in flight or lost: in which order they were sent, and whether they are lost.
    out: BTreeMap<u32, (u64, bool)>,
    flight: u32,
    lost: std::collections::BTreeSet<u32>,
    next: u32,
    acked: u32,
    recover: Option<u32>,
    /// What recovery lets out, in tenths of a segment: PRR in short.
    budget: u32,
    delivered: u64,
    srtt: Duration,
    min_rtt: Duration,
    wakes_at: Option<Instant>,
    /// When the last acknowledgment came, or the timer fired, and how often it did since.
    heard: Instant,
    timeouts: u32,
    /// Bytes in a second that the application has; none: more than the path takes.
    has: Option<u64>,
}

impl Flow {
    fn seq(&self, number: u32) -> Seq {
        self.start + number.wrapping_mul(MSS)
    }

    fn una(&self) -> Seq {
        self.seq(self.out.keys().next().copied().unwrap_or(self.next))
    }

    fn flight(&self) -> u32 {
        self.flight
    }

    fn timeout(&self) -> Option<Instant> {
        let rto = Duration::from_millis(200 << self.timeouts.min(6)) + self.srtt;
        (!self.out.is_empty()).then_some(self.heard + rto)
    }

    /// All that was sent and all that went again may have met a full queue: then nothing is heard any more.
    fn on_timer(&mut self, now: Instant) {
        if self.timeout().is_none_or(|at| now < at) {
            return;
        }
        let flight = self.seq(self.next).since(self.una());
        self.c.on_timeout(flight, now, self.timeouts > 0);
        for (number, (_, lost)) in &mut self.out {
            *lost = true;
            self.lost.insert(*number);
        }
        (self.flight, self.recover, self.heard) = (0, None, now);
        self.timeouts += 1;
    }
}

struct World {
    path: Path,
    now: Instant,
    flows: Vec<Flow>,
    events: BinaryHeap<Reverse<(Instant, Event)>>,
    busy_until: Instant,
    sent: u64,
    dropped: u64,
    /// Part of what was sent in the last `shares`.
    drops: f64,
    /// The longest wait in the queue since it was reset, in µs.
    waited: u64,
}

impl World {
    fn new(path: Path, config: TcpConfig, laws: &[Congestion]) -> World {
        World::spaced(path, config, laws, 37)
    }

    /// The flows begin so many milliseconds one after the other.
    fn spaced(path: Path, config: TcpConfig, laws: &[Congestion], ms: u64) -> World {
        let mut world = World {
            path,
            now: Instant::ZERO,
            flows: vec![],
            events: BinaryHeap::new(),
            busy_until: Instant::ZERO,
            sent: 0,
            dropped: 0,
            drops: 0.0,
            waited: 0,
        };
        for (n, law) in laws.iter().enumerate() {
            let begins = Instant::from_millis(ms * n as u64);
            let start = Seq(0xfff0_0000 + 7919 * n as u32);
            world.flows.push(Flow {
                c: Controller::new(*law, &config, MSS as u16, false, start, begins),
                begins,
                start,
                out: BTreeMap::new(),
                flight: 0,
                lost: Default::default(),
                next: 0,
                acked: 0,
                recover: None,
                budget: 0,
                delivered: 0,
                srtt: path.rtt,
                min_rtt: path.rtt,
                wakes_at: Some(begins),
                heard: begins,
                timeouts: 0,
                has: None,
            });
            world.events.push(Reverse((begins, Event::Wake { flow: n })));
        }
        world
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(Reverse((at, event))) = self.events.peek().copied()
            && at <= end
        {
            self.events.pop();
            self.now = at;
            let flow = match event {
                Event::Ack { flow, number, order, sent } => {
                    self.arrive(flow, number, order, sent);
                    flow
                }
                // Another was set since, for earlier.
                Event::Wake { flow } if self.flows[flow].wakes_at != Some(at) => continue,
                Event::Wake { flow } => {
                    self.flows[flow].wakes_at = None;
                    self.flows[flow].on_timer(at);
                    flow
                }
            };
            self.fill(flow);
        }
        self.now = end;
    }

    fn arrive(&mut self, flow: usize, number: u32, order: u64, sent: Instant) {
        let now = self.now;
        let f = &mut self.flows[flow];
        if let Some((_, false)) = f.out.remove(&number) {
            f.flight -= MSS;
        }
        f.lost.remove(&number);
        f.delivered += u64::from(MSS);
        f.acked += 1;
        (f.heard, f.timeouts) = (now, 0);
        let rtt = now.since(sent);
        f.srtt = Duration::from_micros((f.srtt.micros() * 7 + rtt.micros()) / 8);
        f.min_rtt = f.min_rtt.min(rtt);
        let (before, mut lost) = (f.flight + MSS, false);
        // What is missing lies before what was just acknowledged, but for what was sent again.
        let last = if f.lost.is_empty() && f.recover.is_none() { number } else { u32::MAX };
        for (n, (sent, gone)) in f.out.range_mut(..last) {
            if *sent + REORDER <= order && !*gone {
                (*gone, lost) = (true, true);
                f.flight -= MSS;
                f.lost.insert(*n);
            }
            if *sent > order {
                break;
            }
        }
        if lost && f.recover.is_none() {
            f.recover = Some(f.next);
            f.budget = 0;
            f.c.on_congestion(Cause::Loss, before, now);
        }
        let (una, max, flight) = (f.una(), f.seq(f.next), f.flight());
        let recovering = f.recover.is_some();
        f.budget += if f.flight > f.c.ssthresh() { 7 } else { 10 };
        if f.recover.is_some_and(|end| f.seq(end).at_or_before(una)) {
            f.recover = None;
            f.c.on_recovered(flight, f.srtt, now);
        }
        let (srtt, min_rtt) = (f.srtt, f.min_rtt);
        let rtt = Some(rtt);
        let ack = Ack { now, una, max, delivered: MSS, flight, rtt, srtt, min_rtt, recovering };
        f.c.on_ack(&ack);
    }

    /// Sends what the window and the gate allow: what is lost first.
    fn fill(&mut self, flow: usize) {
        loop {
            let now = self.now;
            let f = &mut self.flows[flow];
            f.c.on_timer(now);
            let allowed = match f.recover {
                Some(_) => f.budget >= 10,
                None => f.flight() + MSS <= f.c.window(),
            };
            if !f.c.pacer().is_open() || !allowed {
                break;
            }
            f.budget = f.budget.saturating_sub(10);
            let again = f.lost.pop_first();
            let allowed = |has: u64| now.since(f.begins).micros() * has / 1_000_000 / u64::from(MSS);
            if again.is_none() && f.has.is_some_and(|has| u64::from(f.next) >= allowed(has)) {
                f.c.on_dry(f.flight(), now);
                self.wake(flow, now + Duration::from_millis(5));
                return;
            }
            let number = again.unwrap_or(f.next);
            match again {
                Some(_) => f.c.on_resent(f.start + number.wrapping_mul(MSS), MSS, now),
                None => f.next += 1,
            }
            if f.out.is_empty() {
                f.heard = now;
            }
            f.flight += MSS;
            f.out.insert(number, (self.sent, false));
            if again.is_none() {
                let (nxt, flight) = (f.seq(f.next), f.flight());
                f.c.on_sent(nxt, flight, MSS, now);
            }
            self.carry(flow, number);
        }
        let f = &self.flows[flow];
        if let Some(at) = f.c.pacer().deadline().into_iter().chain(f.timeout()).min() {
            // The timer wheel's tick.
            self.wake(flow, Instant::from_millis(at.micros().div_ceil(1000)));
        }
    }

    fn wake(&mut self, flow: usize, at: Instant) {
        if self.flows[flow].wakes_at.is_none_or(|set| at < set) {
            self.flows[flow].wakes_at = Some(at);
            self.events.push(Reverse((at, Event::Wake { flow })));
        }
    }

    fn carry(&mut self, flow: usize, number: u32) {
        let order = self.sent;
        self.sent += 1;
        let starts = self.busy_until.max(self.now);
        let waits = starts.since(self.now).micros();
        let by_chance = self.path.recent_loss > 0
            && ((self.sent * 2_654_435_761) >> 7).is_multiple_of(self.path.recent_loss);
        if by_chance {
            return;
        }
        if waits * self.path.bytes_per_s / 1_000_000 > self.path.queue {
            self.dropped += 1;
            return;
        }
        self.waited = self.waited.max(waits);
        self.busy_until = starts + Duration::from_micros(u64::from(MSS) * 1_000_000 / self.path.bytes_per_s);
        // A little jitter, or the flows would never leave step.
        let jitter = Duration::from_micros(((self.sent * 2_654_435_761) >> 9) % 500);
        let at = self.busy_until + self.path.rtt + jitter;
        self.events.push(Reverse((at, Event::Ack { flow, number, order, sent: self.now })));
    }

    /// Runs for a while and says what each flow got of the bottleneck.
    fn shares(&mut self, ms: u64) -> Vec<f64> {
        let before: Vec<u64> = self.flows.iter().map(|f| f.delivered).collect();
        (self.dropped, self.waited) = (0, 0);
        let sent = self.sent;
        self.run(ms);
        self.drops = self.dropped as f64 / (self.sent - sent) as f64;
        let most = self.path.bytes_per_s as f64 * ms as f64 / 1000.0;
        self.flows.iter().zip(before).map(|(f, b)| (f.delivered - b) as f64 / most).collect()
    }
}

fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    sum * sum / (shares.len() as f64 * shares.iter().map(|s| s * s).sum::<f64>())
}

const MBIT: u64 = 125_000;

fn path(mbit: u64, rtt_ms: u64, products: f64) -> Path {
    let path =
        Path { bytes_per_s: mbit * MBIT, rtt: Duration::from_millis(rtt_ms), queue: 0, recent_loss: 0 };
    Path { queue: (path.product() as f64 * products) as u64, ..path }
}

fn alone(law: Congestion, path: Path) -> World {
    World::new(path, TcpConfig::default(), &[law])
}

/// T06, S11: one flow with room for a product of bandwidth and delay fills the bottleneck, after a slow
/// start that overruns it once at most.
#[test]
fn one_flow_fills_the_bottleneck() {
    for law in [Congestion::Cubic, Congestion::NewReno, Congestion::Bbr] {
        for (mbit, rtt_ms) in [(10, 40), (100, 40), (100, 10), (1000, 20)] {
            let mut w = alone(law, path(mbit, rtt_ms, 1.0));
            w.run(5_000);
            let share = w.shares(15_000)[0];
            assert!(share >= 0.95, "{law:?} {mbit} Mb/s {rtt_ms} ms: {share}");
            assert!(w.drops < 0.005, "{law:?} {mbit} Mb/s {rtt_ms} ms: {} dropped", w.drops);
        }
    }
}

/// S11: with a queue of a quarter of the product, what a reduction leaves must do: CUBIC's seven tenths
/// and its flat curve, or BBR's bandwidth.
#[test]
fn one_flow_with_a_short_queue() {
    for (law, least) in [(Congestion::Cubic, 0.95), (Congestion::Bbr, 0.95), (Congestion::NewReno, 0.85)] {
        let mut w = alone(law, path(100, 40, 0.25));
        w.run(5_000);
        let share = w.shares(30_000)[0];
        assert!(share >= least, "{law:?}: {share}");
        assert!(w.drops < 0.005, "{law:?}: {} dropped", w.drops);
    }
}

/// T06, S11: many flows share the bottleneck, all of it, evenly, and little is dropped.
#[test]
fn many_flows_share_the_bottleneck() {
    for n in [16, 64] {
        let mut w = World::new(path(100, 40, 1.0), TcpConfig::default(), &vec![Congestion::Cubic; n]);
        w.run(20_000);
        let shares = w.shares(100_000);
        let (sum, fairness): (f64, f64) = (shares.iter().sum(), jain(&shares));
        assert!(sum >= 0.95 && fairness >= 0.97 && w.drops < 0.02, "{n}: {sum} {fairness} {}", w.drops);
    }
}

/// T06: a flow of Reno's beside one of CUBIC's gets its part, where the path is such that Reno does
/// well.
//= rfc9438#4.3
#[test]
fn cubic_leaves_room_for_reno() {
    let mut w =
        World::new(path(20, 10, 1.0), TcpConfig::default(), &[Congestion::Cubic, Congestion::NewReno]);
    w.run(5_000);
    let shares = w.shares(50_000);
    assert!(shares[1] > 0.25 && shares[0] + shares[1] > 0.95, "{shares:?}");
}

/// T07: pacing keeps the first flights from overrunning a short queue, and costs no throughput.
#[test]
fn paced_flows_fill_the_bottleneck_as_well() {
    let config = TcpConfig { pacing: true, ..TcpConfig::default() };
    for law in [Congestion::Cubic, Congestion::NewReno] {
        let mut w = World::new(path(100, 40, 1.0), config, &[law]);
        w.run(5_000);
        let share = w.shares(15_000)[0];
        assert!(share >= 0.95, "{law:?}: {share}");
    }
}

/// T07: losses that are not congestion do not slow a flow with a model down; CUBIC takes each for
/// what it is not.
#[test]
fn chance_losses() {
    let recent_loss = Path { recent_loss: 100, ..path(100, 40, 1.0) };
    let share = |law| {
        let mut w = alone(law, recent_loss);
        w.run(5_000);
        w.shares(20_000)[0]
    };
    let (bbr, cubic) = (share(Congestion::Bbr), share(Congestion::Cubic));
    assert!(bbr >= 0.9 && cubic < 0.2, "{bbr} {cubic}");
}

/// T07: two flows with a model find an even share.
#[test]
fn two_with_a_model() {
    let mut w = World::new(path(100, 40, 1.0), TcpConfig::default(), &[Congestion::Bbr; 2]);
    w.run(10_000);
    let shares = w.shares(50_000);
    assert!(jain(&shares) > 0.95 && w.drops < 0.01, "{shares:?} {}", w.drops);
}

/// T07: who comes a second late finds a full path, and gets a share that grows all the same; so do sixteen.
#[test]
fn those_who_come_late_with_a_model() {
    for (flows, ms, least) in [(2, 1_000, 0.75), (4, 300, 0.75), (16, 60, 0.7)] {
        let laws = vec![Congestion::Bbr; flows];
        let mut w = World::spaced(path(100, 40, 1.0), TcpConfig::default(), &laws, ms);
        w.run(10_000);
        let shares = w.shares(40_000);
        let (sum, fairness): (f64, f64) = (shares.iter().sum(), jain(&shares));
        assert!(sum > 0.95 && fairness > least && w.drops < 0.05, "{fairness} {} {shares:?}", w.drops);
    }
}

/// T07: Startup doubles the rate in a round trip, not in two.
#[test]
fn a_model_finds_the_path_in_a_few_round_trips() {
    let mut w = alone(Congestion::Bbr, path(100, 100, 1.0));
    w.run(900);
    let share = w.shares(300)[0];
    assert!(share > 0.9, "{share}");
}

/// T07: an application with little to send gets it through without a queue, and says nothing about
/// the path; when it has more, the path is found.
#[test]
fn a_model_of_a_path_that_is_not_used() {
    let mut w = alone(Congestion::Bbr, path(100, 40, 1.0));
    w.flows[0].has = Some(MBIT);
    w.run(5_000);
    let share = w.shares(20_000)[0];
    assert!((0.0095..0.0105).contains(&share), "{share}");
    assert!(w.waited < 2_000, "{} us", w.waited);
    w.flows[0].has = None;
    w.run(5_000);
    let share = w.shares(10_000)[0];
    assert!(share > 0.9, "{share}");
}

/// T07: the path gets longer. What was the shortest round trip is forgotten after ten seconds, and
/// found anew with little in flight.
#[test]
fn a_longer_path_is_found() {
    let mut w = alone(Congestion::Bbr, path(100, 20, 1.0));
    w.run(5_000);
    w.path.rtt = Duration::from_millis(60);
    w.run(25_000);
    let share = w.shares(10_000)[0];
    assert!(share > 0.9, "{share}");
}
