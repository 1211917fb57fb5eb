//! S7: what running timers cost, to those who run them and to others.

use crate::count::Counts;
use crate::crowd::{Crowd, Peer};
use crate::engine::Done;
use crate::table::{Table, number, verdict};
use barenet::time::Duration;
use barenet::{KeepAlive, TcpConfig};
use std::hint::black_box;

/// Connections whose timers run.
const RUNNING: [u32; 2] = [1, 100_000];
const ROUNDS: u64 = 2_000;
/// No timer of these fires while something is counted.
const LONG: Duration = Duration::from_secs(600);

/// `KIND N ROUNDS`: N connections with timers of that kind.
pub(crate) fn sample(args: &[String]) -> Option<String> {
    let [kind, n, rounds] = args else { return None };
    let (n, rounds) = (n.parse().ok()?, rounds.parse().ok()?);
    match kind.as_str() {
        "retransmission" => Some(timers(false, n, rounds).to_string()),
        "keep-alive" => Some(timers(true, n, rounds).to_string()),
        _ => None,
    }
}

// Symbols of their own, kept apart by their constants.

#[inline(never)]
fn phase_arm(crowd: &mut Crowd, peer: &Peer) {
    crowd.write(black_box(peer));
    crowd.turn();
}
#[inline(never)]
fn phase_cancel(crowd: &mut Crowd, frame: &[u8]) {
    black_box(6);
    crowd.arrive(black_box(frame));
}
#[inline(never)]
fn phase_tick(crowd: &mut Crowd) {
    crowd.pass(black_box(Duration::from_millis(1)));
}

/// Something is sent, which sets a timer, and acknowledged, which stops it; a millisecond passes, in
/// which nothing is due.
fn timers(keep_alive: bool, n: u32, rounds: u64) -> Done {
    let mut config = TcpConfig::default();
    (config.rto_min, config.rto_max) = (LONG, LONG);
    if keep_alive {
        config.options.keep_alive = Some(KeepAlive { idle: LONG, ..KeepAlive::default() });
    }
    let mut crowd = Crowd::new(false, config);
    let mut peers: Vec<Peer> = (0..n).map(|i| crowd.connect(i)).collect();
    if !keep_alive {
        for peer in &peers[1..] {
            crowd.write(peer);
            crowd.turn();
        }
    }
    crowd.pass(Duration::from_secs(2));
    let before = crowd.frames();
    for _ in 0..rounds {
        phase_arm(&mut crowd, &peers[0]);
        crowd.heard(&mut peers[0]);
        let ack = crowd.acknowledge(&peers[0]);
        phase_cancel(&mut crowd, &ack);
        phase_tick(&mut crowd);
    }
    Done { bytes: rounds, segments: crowd.frames() - before, acks: 0, seconds: 0.0 }
}

pub(crate) fn table() -> Table {
    let mut table = Table::new(
        "S7: instructions with N timers running",
        ["timers", "N", "send and arm", "ACK and cancel", "tick", "of N = 1", "goal"],
    );
    for kind in ["retransmission", "keep-alive"] {
        let mut few = None;
        for n in RUNNING {
            let words = |rounds: u64| {
                ["sample", "s7", kind, &n.to_string(), &rounds.to_string()].map(str::to_owned).into()
            };
            let counts = Counts::of(ROUNDS, words);
            let cost = ["arm", "cancel", "tick"].map(|p| counts.phase(p).all / ROUNDS as f64);
            let few = *few.get_or_insert(cost);
            let ratio = (0..3).map(|i| cost[i] / few[i]).fold(0.0, f64::max);
            let goal = format!("{} <= 1.1", verdict(ratio <= 1.1));
            let [arm, cancel, tick] = cost.map(number);
            table.row([kind.to_owned(), n.to_string(), arm, cancel, tick, number(ratio), goal]);
        }
    }
    table
}
