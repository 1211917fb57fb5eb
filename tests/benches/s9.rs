//! S9: what the engine alone costs, in instructions and in time, ours beside smoltcp.

use crate::count::Counts;
use crate::effort::Effort;
use crate::engine::{self, Case, Done, Stack, Until};
use crate::table::{Samples, Table, number};
use barenet_tests::peers::ring::Checksums;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The links: MTU in bytes, and whether checksums are computed.
const LINKS: [(u16, Checksums); 4] =
    [(1500, Checksums::On), (1500, Checksums::Off), (u16::MAX, Checksums::On), (u16::MAX, Checksums::Off)];

/// A child that transfers a given number of bytes, to be counted: `STACK LINK BYTES`, indices into the tables above.
pub(crate) fn sample(args: &[String]) -> Option<Done> {
    let [stack, link, bytes] = args else {
        return None;
    };
    let stack = *Stack::ALL.get(stack.parse::<usize>().ok()?)?;
    let (mtu, checksums) = *LINKS.get(link.parse::<usize>().ok()?)?;
    Some(engine::run(Case { stack, mtu, checksums }, Until::Bytes(bytes.parse().ok()?)))
}

fn link_name((mtu, checksums): (u16, Checksums)) -> String {
    let size = if mtu == u16::MAX { "64 KiB".to_owned() } else { mtu.to_string() };
    format!("{size}, checksums {}", if checksums == Checksums::On { "on" } else { "off" })
}

fn count(stack: usize, link: usize) -> Counts {
    // A few thousand segments of either size.
    let bytes = if LINKS[link].0 > 9000 { 40_000_000 } else { 4_000_000 };
    Counts::of(bytes, |n| {
        ["sample", "s9"]
            .map(str::to_owned)
            .into_iter()
            .chain([stack, link].map(|i| i.to_string()))
            .chain([n.to_string()])
            .collect()
    })
}

/// Instructions per MB, segment and ACK.
pub(crate) fn instructions() -> Table {
    let mut table = Table::new(
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
    for (link, name) in LINKS.map(link_name).iter().enumerate() {
        for (stack, which) in Stack::ALL.iter().enumerate() {
            let counts = count(stack, link);
            let phases = ["write", "tx_data", "rx_data", "read", "tx_ack", "rx_ack"].map(|p| counts.phase(p));
            let [_, tx, rx, _, tx_ack, rx_ack] = phases;
            let (mb, segments, acks) =
                (counts.done.bytes as f64 / 1e6, counts.done.segments as f64, counts.done.acks as f64);
            table.row([
                format!("{name}: {}", which.name()),
                number(phases.iter().map(|p| p.0).sum::<f64>() / mb),
                number(phases.iter().map(|p| p.1).sum::<f64>() / mb),
                number(tx.0 / segments),
                number(rx.0 / segments),
                number((tx.0 - tx.1) / segments),
                number((rx.0 - rx.1) / segments),
                number(tx_ack.0 / acks),
                number(rx_ack.0 / acks),
                number(segments / acks),
            ]);
        }
    }
    table
}

/// The ten most expensive functions of each phase, for the links without checksums.
pub(crate) fn profile() -> Vec<Table> {
    let stack = Stack::ALL.len() - 1;
    let mut tables = Vec::new();
    for link in [1, 3] {
        let counts = count(stack, link);
        let (segments, acks) = (counts.done.segments as f64, counts.done.acks as f64);
        for (phase, n) in [
            ("write", segments),
            ("tx_data", segments),
            ("rx_data", segments),
            ("read", segments),
            ("tx_ack", acks),
            ("rx_ack", acks),
        ] {
            let title =
                format!("{}, {}: instructions in {phase}", link_name(LINKS[link]), Stack::ALL[stack].name());
            let mut table = Table::new(&title, ["function", "instructions"]);
            for (function, cost) in counts.functions(phase).into_iter().take(10) {
                table.row([function.to_owned(), number(cost as f64 / n)]);
            }
            tables.push(table);
        }
    }
    tables
}

/// Gb/s, rounds interleaved.
pub(crate) fn rates(effort: &Effort) -> Table {
    let mut table = Table::new(
        "S9: the engine alone, Gb/s",
        ["MTU", "memcpy, four times", "smoltcp, stock settings", "smoltcp, best"],
    );
    for link in LINKS {
        let (mtu, checksums) = link;
        let mut limit = Samples::default();
        let mut rates = Stack::ALL.map(|_| Samples::default());
        for _ in 0..effort.rounds {
            limit.push(copies(effort.time));
            for (stack, samples) in Stack::ALL.into_iter().zip(&mut rates) {
                let done = engine::run(Case { stack, mtu, checksums }, Until::Elapsed(effort.time));
                samples.push(done.bytes as f64 * 8e-9 / done.seconds);
            }
        }
        let [stock, best] = rates.map(|r| r.to_string());
        table.row([link_name(link), limit.to_string(), stock, best]);
    }
    table
}

/// The limit: 64 KiB copied as often as the socket API and the device make necessary (into the stack, into the
/// frame, out of the frame, to the reader), in Gb/s.
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
