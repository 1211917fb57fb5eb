//! S10: one flow over a lossy link, in virtual time. RTT 100 ms, buffers of 32 KiB, no bandwidth limit,
//! independent loss both ways, ARP and the handshake included.

use crate::effort::Effort;
use crate::table::{Samples, Table, number, verdict};
use barenet::Congestion;
use barenet::time::{Duration, Instant};
use barenet_tests::peers::cable::{Cable, End, Faults, Link};
use barenet_tests::peers::world::{Node, Read};
use barenet_tests::peers::{ours, smol};
use smoltcp::socket::tcp::CongestionControl;

/// From one end to the other.
const DELAY: Duration = Duration::from_millis(50);
/// Of each direction of each socket, and what is transferred, in bytes.
const BUFFER: u32 = 32 << 10;
const TOTAL: usize = 10 << 20;
/// A run that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(500_000);

/// Loss both ways in frames of a million; the bytes per second that a perfect sender with selective repeat
/// and 22 segments in flight reaches; and the share of it that is
/// the goal, where there is one.
const CELLS: [(u32, f64, Option<f64>); 8] = [
    (0, 327_680.0, None),
    (1_000, 315_000.0, Some(0.97)),
    (10_000, 282_000.0, Some(0.92)),
    (20_000, 262_000.0, None),
    (50_000, 225_000.0, Some(0.85)),
    (100_000, 185_000.0, Some(0.80)),
    (200_000, 147_000.0, Some(0.65)),
    (300_000, 109_000.0, Some(0.55)),
];

/// Which stack at both ends, and with which congestion control.
#[derive(Clone, Copy)]
enum Stack {
    Ours(Congestion),
    Smoltcp(CongestionControl),
}

pub(crate) fn tables(effort: &Effort) -> Vec<Table> {
    let loss = |ppm: u32| format!("{} %", f64::from(ppm) / 10_000.0);
    let mut none = Table::new(
        "S10: goodput over a lossy link, no congestion control, KB/s",
        ["loss both ways", "bound", "smoltcp", "barenet", "barenet / bound", "goal"],
    );
    for (ppm, bound, goal) in CELLS {
        let theirs = rates(Stack::Smoltcp(CongestionControl::None), ppm, effort);
        let ours = rates(Stack::Ours(Congestion::None), ppm, effort);
        let share = ours.median() * 1e3 / bound;
        none.row([
            loss(ppm),
            number(bound / 1e3),
            theirs.to_string(),
            ours.to_string(),
            number(share),
            goal.map_or("-".to_owned(), |goal| format!("{} >= {goal}", verdict(share >= goal))),
        ]);
    }
    let mut cubic = Table::new(
        "S10: goodput over a lossy link, CUBIC, KB/s",
        ["loss both ways", "smoltcp", "barenet", "barenet / smoltcp", "goal"],
    );
    for (ppm, _, _) in CELLS {
        let theirs = rates(Stack::Smoltcp(CongestionControl::Cubic), ppm, effort);
        let ours = rates(Stack::Ours(Congestion::default()), ppm, effort);
        let ratio = ours.median() / theirs.median();
        let goal = format!("{} > 1", verdict(ratio > 1.0));
        cubic.row([loss(ppm), theirs.to_string(), ours.to_string(), number(ratio), goal]);
    }
    vec![none, cubic]
}

/// KB/s of one seed a round; without loss all seeds are alike.
fn rates(stack: Stack, lost_ppm: u32, effort: &Effort) -> Samples {
    let seeds = if lost_ppm == 0 { 1 } else { effort.rounds as u64 };
    (0..seeds).map(|seed| rate(stack, lost_ppm, seed) / 1e3).collect()
}

fn rate(stack: Stack, lost_ppm: u32, seed: u64) -> f64 {
    let faults = Faults { lost_ppm, ..Faults::default() };
    let (cable, a, b) = Cable::with_delay(Link::Ethernet, DELAY, faults, seed);
    match stack {
        Stack::Ours(congestion) => {
            let node = |device, n| {
                let mut config = ours::config(BUFFER, congestion);
                // What is measured is how fast, not when a connection is given up.
                config.syn_timeout = PATIENCE;
                config.data_timeout = PATIENCE;
                ours::Node::<End>::with(device, n, seed, config)
            };
            transfer(&cable, node(a, 1), node(b, 2))
        }
        Stack::Smoltcp(congestion) => {
            let node =
                |device, n| smol::Node::with(device, n, seed + u64::from(n), BUFFER as usize, congestion);
            transfer(&cable, node(a, 1), node(b, 2))
        }
    }
}

/// From the SYN to the last byte read, in bytes per second. 0: the transfer did not end.
fn transfer(cable: &Cable, mut from: impl Node, mut to: impl Node) -> f64 {
    let mut now = Instant::ZERO;
    to.listen(7);
    from.connect((smol::v4(2), 7).into(), now);
    let data = vec![0; BUFFER as usize];
    let mut buffer = vec![0; BUFFER as usize];
    let (mut put, mut got) = (0, 0);
    let mut turns = 0;
    while got < TOTAL && now < Instant::ZERO + PATIENCE {
        from.turn(now);
        to.turn(now);
        let mut moved = false;
        while let n @ 1.. = from.write(&data[..data.len().min(TOTAL - put)]) {
            put += n;
            moved = true;
        }
        while let Read::Bytes(n) = to.read(&mut buffer) {
            got += n;
            moved = true;
        }
        if moved {
            continue; // the stacks react at the same instant
        }
        let events = [cable.next_arrival(), from.deadline(now), to.deadline(now)];
        let Some(next) = events.into_iter().flatten().min() else { return 0.0 };
        // smoltcp asks for another turn at the same instant for ever.
        turns = if next <= now { turns + 1 } else { 0 };
        now = if turns > 1000 { now + Duration::from_micros(1) } else { now.max(next) };
        cable.set_now(now);
    }
    got as f64 * 1e6 / now.micros() as f64
}
