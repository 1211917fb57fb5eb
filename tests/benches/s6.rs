//! S6: what connections cost that do nothing, in memory and to the one that does something.

use crate::count::Counts;
use crate::crowd::{Crowd, Peer};
use crate::effort::Effort;
use crate::engine::Done;
use crate::table::{Table, number, verdict};
use barenet::TcpConfig;
use barenet::time::Duration;
use std::hint::black_box;
use std::process::Command;

/// So many connections idle beside the one, for instructions.
const IDLE: [u32; 3] = [1, 1_000, 100_000];
/// And for memory.
const MANY: [u32; 2] = [100_000, 1_000_000];
/// Exchanges that are counted.
const ROUNDS: u64 = 2_000;

/// `turns KIND N ROUNDS`: N connections, and ROUNDS exchanges on the first, or on each in turn.
/// `bytes KIND N V6`: bytes for each of N connections that idle, or are in TIME-WAIT.
pub(crate) fn sample(args: &[String]) -> Option<String> {
    let number = |word: &String| word.parse().ok();
    match args {
        [what, n, rounds] if what == "one" || what == "each" => {
            Some(exchanges(what == "each", number(n)?, number(rounds)?.into()).to_string())
        }
        [what, n, v6] if what == "idle" || what == "waiting" => {
            Some(bytes(what == "waiting", number(n)?, v6 == "true").to_string())
        }
        _ => None,
    }
}

#[inline(never)]
fn phase_receive(crowd: &mut Crowd, frame: &[u8]) {
    black_box(5);
    crowd.arrive(black_box(frame));
}
#[inline(never)]
fn phase_answer(crowd: &mut Crowd, peer: &Peer) {
    crowd.answer(black_box(peer));
}
#[inline(never)]
fn phase_send(crowd: &mut Crowd) {
    black_box(3);
    crowd.turn();
}

/// A peer sends a little, which acknowledges the last answer; the application answers.
fn exchange(crowd: &mut Crowd, peer: &mut Peer) {
    crowd.now += Duration::from_micros(200);
    let frame = crowd.text(peer);
    phase_receive(crowd, &frame);
    phase_answer(crowd, peer);
    phase_send(crowd);
    crowd.heard(peer);
}

fn exchanges(each: bool, n: u32, rounds: u64) -> Done {
    let mut crowd = Crowd::new(false, TcpConfig::default());
    let mut peers: Vec<Peer> = (0..n).map(|i| crowd.connect(i)).collect();
    crowd.pass(Duration::from_secs(2));
    let before = crowd.frames();
    for round in 0..rounds {
        let which = if each { round as usize * 7919 % peers.len() } else { 0 };
        exchange(&mut crowd, &mut peers[which]);
    }
    Done { bytes: rounds, segments: crowd.frames() - before, acks: 0, seconds: 0.0 }
}

/// Bytes of memory that this process has.
fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("of this process");
    let pages: f64 = pages.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    pages * 4096.0
}

/// Resident bytes for each connection, its peer's not counted.
fn bytes(waiting: bool, n: u32, v6: bool) -> f64 {
    let mut config = TcpConfig::default();
    // Long enough for all to wait.
    config.time_wait = Duration::from_secs(100_000);
    let mut crowd = Crowd::new(v6, config);
    // What the first takes, all have.
    let open = |crowd: &mut Crowd, i: u32| {
        let mut peer = crowd.connect(i);
        exchange(crowd, &mut peer);
        let last = crowd.acknowledge(&peer);
        crowd.arrive(&last);
        if waiting {
            crowd.close(&mut peer);
        }
        crowd.pass(Duration::from_micros(100));
    };
    (n..n + 500).for_each(|i| open(&mut crowd, i));
    crowd.pass(Duration::from_secs(2));
    let before = resident();
    (0..n).for_each(|i| open(&mut crowd, i));
    crowd.pass(Duration::from_secs(2));
    let all = n as usize + 500;
    assert_eq!(crowd.count(), if waiting { (0, all) } else { (all, 0) });
    (resident() - before) / f64::from(n)
}

fn count(what: &str, n: u32) -> f64 {
    let words =
        |rounds: u64| ["sample", "s6", what, &n.to_string(), &rounds.to_string()].map(str::to_owned).into();
    let counts = Counts::of(ROUNDS, words);
    let all: f64 = ["receive", "answer", "send"].iter().map(|p| counts.phase(p).all).sum();
    // A frame in and a frame out.
    all / (2.0 * counts.done.segments as f64)
}

fn measure(what: &str, n: u32, v6: bool) -> Result<f64, String> {
    let output = Command::new(std::env::current_exe().expect("the path of this program"))
        .args(["sample", "s6", what, &n.to_string(), &v6.to_string()])
        .output()
        .map_err(|why| why.to_string())?;
    let line = String::from_utf8_lossy(&output.stdout);
    line.trim().parse().map_err(|_| format!("{what} {n}: {line}{}", String::from_utf8_lossy(&output.stderr)))
}

pub(crate) fn tables(effort: &Effort) -> Result<Vec<Table>, String> {
    let mut cost = Table::new(
        "S6: instructions per packet, one connection active among N, or each in turn",
        ["N", "the same one", "of N = 1", "goal", "each in turn"],
    );
    let few = count("one", 1);
    for n in IDLE {
        let (one, each) = (count("one", n), count("each", n));
        let goal = format!("{} <= 1.1", verdict(one / few <= 1.1));
        cost.row([n.to_string(), number(one), number(one / few), goal, number(each)]);
    }
    let mut memory = Table::new(
        "S6: resident bytes of a connection, with everything that leads to it",
        ["connections", "idle, IPv4", "IPv6", "goal", "TIME-WAIT, IPv4", "IPv6", "goal"],
    );
    for n in if effort.rounds < Effort::FULL.rounds { &MANY[..1] } else { &MANY } {
        let mut cells = vec![n.to_string()];
        for (what, most) in [("idle", 256.0), ("waiting", 64.0)] {
            let (v4, v6) = (measure(what, *n, false)?, measure(what, *n, true)?);
            let goal = format!("{} <= {most}", verdict(v4.max(v6) <= most));
            cells.extend([number(v4), number(v6), goal]);
        }
        memory.row::<7>(cells.try_into().expect("seven cells"));
    }
    Ok(vec![cost, memory])
}
