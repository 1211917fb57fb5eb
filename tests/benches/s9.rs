//! S9: what the engine alone costs, in instructions and in time, ours beside smoltcp.

use crate::count::{self, Counts};
use crate::effort::Effort;
use crate::engine::{self, Case, Done, Stack, Until};
use crate::table::{Samples, Table, number, verdict};
use barenet_tests::peers::ring::Checksums;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// MTU in bytes, and whether checksums are computed.
type Link = (u16, Checksums);

const LINKS: [Link; 4] =
    [(1500, Checksums::On), (1500, Checksums::Off), (u16::MAX, Checksums::On), (u16::MAX, Checksums::Off)];

/// A child that transfers a given number of bytes, to be counted: `STACK LINK BYTES`, indices into the
/// tables.
pub(crate) fn sample(args: &[String]) -> Option<Done> {
    let [stack, link, bytes] = args else { return None };
    let stack = *Stack::ALL.get(stack.parse::<usize>().ok()?)?;
    let (mtu, checksums) = *LINKS.get(link.parse::<usize>().ok()?)?;
    Some(engine::run(Case { stack, mtu, checksums }, Until::Bytes(bytes.parse().ok()?)))
}

fn name((mtu, checksums): Link) -> String {
    let size = if mtu == u16::MAX { "64 KiB".to_owned() } else { mtu.to_string() };
    format!("{size}, checksums {}", if checksums == Checksums::On { "on" } else { "off" })
}

fn counted(stack: usize, link: usize) -> Counts {
    // A few thousand segments of MTU 1500, some hundred of 64 KiB.
    let bytes = if LINKS[link].0 > 9000 { 40_000_000 } else { 4_000_000 };
    let words = |n: u64| format!("sample s9 {stack} {link} {n}").split(' ').map(str::to_owned).collect();
    Counts::of(bytes, words)
}

/// Instructions of one stack on one link.
struct Cost {
    per_mb: f64,
    copies_per_mb: f64,
    /// Per data segment, sent and received: all, and without copies.
    segment: [(f64, f64); 2],
    /// Per acknowledgement, sent and received.
    ack: [f64; 2],
    segments_per_ack: f64,
}

impl Cost {
    fn of(counts: &Counts) -> Cost {
        let phases = ["write", "tx_data", "rx_data", "read", "tx_ack", "rx_ack"].map(|p| counts.phase(p));
        let [_, tx, rx, _, tx_ack, rx_ack] = phases;
        let megabytes = counts.done.bytes as f64 / 1e6;
        let (segments, acks) = (counts.done.segments as f64, counts.done.acks as f64);
        Cost {
            per_mb: phases.iter().map(|p| p.all).sum::<f64>() / megabytes,
            copies_per_mb: phases.iter().map(|p| p.copies).sum::<f64>() / megabytes,
            segment: [tx, rx].map(|p| (p.all / segments, (p.all - p.copies) / segments)),
            ack: [tx_ack, rx_ack].map(|p| p.all / acks),
            segments_per_ack: segments / acks,
        }
    }
}

/// Instructions per MB, segment and acknowledgement, and the goals.
pub(crate) fn instructions() -> [Table; 2] {
    let mut all = Table::new(
        "S9: the engine alone, instructions",
        [
            "MTU, stack",
            "per MB",
            "of it copies",
            "tx segment",
            "rx segment",
            "tx, no copy",
            "rx, no copy",
            "tx ACK",
            "rx ACK",
            "segments per ACK",
        ],
    );
    let mut goals = Table::new("S9: barenet's instructions", ["", "reached", "goal"]);
    for (link, name) in LINKS.map(name).iter().enumerate() {
        let costs = [0, 1, 2].map(|stack| Cost::of(&counted(stack, link)));
        for (stack, cost) in Stack::ALL.iter().zip(&costs) {
            let [(tx, tx_bare), (rx, rx_bare)] = cost.segment;
            let [tx_ack, rx_ack] = cost.ack;
            all.row([
                format!("{name}: {}", stack.name()),
                number(cost.per_mb),
                number(cost.copies_per_mb),
                number(tx),
                number(rx),
                number(tx_bare),
                number(rx_bare),
                number(tx_ack),
                number(rx_ack),
                number(cost.segments_per_ack),
            ]);
        }
        let [_, best, ours] = costs;
        let mut goal = |what: &str, reached: f64, most: f64| {
            let mark = verdict(reached <= most);
            goals.row([format!("{name}: {what}"), number(reached), format!("{mark} <= {most}")]);
        };
        goal("per MB, of smoltcp's best", ours.per_mb / best.per_mb, 0.25);
        if LINKS[link].1 == Checksums::Off {
            goal("per data segment sent, no copy", ours.segment[0].1, 200.0);
            goal("per data segment received, no copy", ours.segment[1].1, 200.0);
            goal("per ACK sent", ours.ack[0], 100.0);
            goal("per ACK received", ours.ack[1], 100.0);
        }
    }
    [all, goals]
}

/// The most expensive functions of each phase of our engine, on the links without checksums.
pub(crate) fn profile() -> Vec<Table> {
    let phases = [
        ("write", true),
        ("tx_data", true),
        ("rx_data", true),
        ("read", true),
        ("tx_ack", false),
        ("rx_ack", false),
    ];
    let mut tables = Vec::new();
    for link in [1, 3] {
        let counts = counted(Stack::ALL.len() - 1, link);
        for (phase, of_segments) in phases {
            let (unit, n) = match of_segments {
                true => ("segment", counts.done.segments),
                false => ("ACK", counts.done.acks),
            };
            tables.push(count::profile(&counts, &name(LINKS[link]), phase, unit, n));
        }
    }
    tables
}

/// Gb/s of one round.
struct Round {
    limit: f64,
    rates: [f64; 3],
}

/// Gb/s, rounds interleaved.
pub(crate) fn rates(effort: &Effort) -> Table {
    let mut table = Table::new(
        "S9: the engine alone, Gb/s",
        [
            "MTU",
            "memcpy, four times",
            "smoltcp, stock",
            "smoltcp, best",
            "barenet",
            "barenet / smoltcp, best",
            "goal",
        ],
    );
    // Nothing here waits for another thread: a third of the time is enough.
    let time = effort.time / 3;
    for link in LINKS {
        let (mtu, checksums) = link;
        let rate = |stack| {
            let done = engine::run(Case { stack, mtu, checksums }, Until::Elapsed(time));
            done.bytes as f64 * 8e-9 / done.seconds
        };
        let rounds: Vec<Round> =
            (0..effort.rounds).map(|_| Round { limit: copies(time), rates: Stack::ALL.map(rate) }).collect();
        let limit: Samples = rounds.iter().map(|r| r.limit).collect();
        let [stock, best, ours] = [0, 1, 2].map(|i| rounds.iter().map(|r| r.rates[i]).collect::<Samples>());
        let ratio: Samples = rounds.iter().map(|r| r.rates[2] / r.rates[1]).collect();
        table.row([
            name(link),
            limit.to_string(),
            stock.to_string(),
            best.to_string(),
            ours.to_string(),
            ratio.to_string(),
            format!("{} >= 3", verdict(ratio.median() >= 3.0)),
        ]);
    }
    table
}

/// The limit: 64 KiB copied as often as the socket API and the device make necessary (into the stack, into
/// the frame, out of the frame, to the reader), in Gb/s.
fn copies(time: Duration) -> f64 {
    let mut buffers = [(); 5].map(|()| vec![1u8; 65_536]);
    let start = Instant::now();
    let mut bytes = 0u64;
    while start.elapsed() < time {
        for i in 0..4 {
            let (from, to) = buffers.split_at_mut(i + 1);
            to[0].copy_from_slice(black_box(&from[i]));
        }
        bytes += 65_536;
    }
    bytes as f64 * 8e-9 / start.elapsed().as_secs_f64()
}
