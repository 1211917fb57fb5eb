//! S11: flows that share a drop-tail bottleneck, in virtual time. Each has hosts of its own; 100 Mbit/s,
//! RTT 40 ms, a queue of one bandwidth-delay product.

use crate::effort::Effort;
use crate::table::{Samples, Table, number, verdict};
use barenet::Congestion;
use barenet::time::{Duration, Instant};
use barenet_tests::sim::{self, FlowOptions, HostOptions, LinkOptions, Node, Options, Random, Trace};

const BYTES_PER_S: u64 = 12_500_000;
const RTT_MS: u64 = 40;
const BDP: u64 = BYTES_PER_S * RTT_MS / 1000;
/// What is looked at: after the start, which is all slow start.
const FROM: Duration = Duration::from_secs(10);
const SPAN: Duration = Duration::from_secs(40);
/// Bytes of a full frame, and of the text in it.
const FRAME: f64 = 1514.0;
const TEXT: f64 = 1448.0;

/// What one run showed.
struct Share {
    utilisation: f64,
    /// Jain's index: 1 if all get the same, 1/n if one gets all.
    fairness: f64,
    dropped: f64,
    queue_ms: f64,
}

pub(crate) fn table(effort: &Effort) -> Result<Table, String> {
    let mut table = Table::new(
        "S11: flows through a drop-tail bottleneck of 100 Mbit/s, RTT 40 ms",
        ["flows, queue", "utilisation", "Jain's fairness", "frames dropped, %", "queue delay, ms", "goal"],
    );
    let cubic = [(1, 1.0), (1, 0.25), (4, 1.0), (16, 1.0), (64, 1.0)].map(|cell| (Congestion::Cubic, cell));
    let bbr = [(1, 1.0), (1, 0.25), (2, 1.0), (16, 1.0), (64, 1.0)].map(|cell| (Congestion::Bbr, cell));
    for (law, (flows, queue)) in cubic.into_iter().chain(bbr) {
        let seeds = 0..effort.rounds as u64 / 2;
        let runs: Vec<Share> = seeds.map(|seed| run(law, flows, queue, seed)).collect::<Result<_, _>>()?;
        let of = |f: fn(&Share) -> f64| runs.iter().map(f).collect::<Samples>();
        let (utilisation, fairness) = (of(|r| r.utilisation), of(|r| r.fairness));
        let (dropped, queue_ms) = (of(|r| r.dropped), of(|r| r.queue_ms));
        let (most, fair) = (utilisation.median(), fairness.median());
        let (met, goal) = match flows {
            // Many flows of a model fill any queue: only how they share it is a goal.
            2.. if law == Congestion::Bbr => (most >= 0.85 && fair >= 0.95, ">= 0.85, >= 0.95"),
            1 if queue == 1.0 => (most >= 0.9 && dropped.median() < 2.0, ">= 0.9, drops < 2 %"),
            16.. => (most >= 0.85 && fair >= 0.95 && dropped.median() < 2.0, ">= 0.85, >= 0.95, drops < 2 %"),
            _ => (dropped.median() < 2.0, "drops < 2 %"),
        };
        table.row([
            format!("{flows}, {} BDP{}", number(queue), if law == Congestion::Bbr { ", BBR" } else { "" }),
            utilisation.to_string(),
            fairness.to_string(),
            dropped.to_string(),
            queue_ms.to_string(),
            format!("{} {goal}", verdict(met)),
        ]);
    }
    Ok(table)
}

fn run(law: Congestion, flows: usize, queue: f64, seed: u64) -> Result<Share, String> {
    let r = &mut Random::new(seed);
    let mut host = HostOptions { memory: (16 << 20) / flows.min(4), ..HostOptions::default() };
    (host.tcp.send_buffer, host.tcp.receive_buffer) = (2 << 20, 2 << 20);
    host.tcp.congestion = law;
    let join = |host, switch| LinkOptions {
        delay_us: RTT_MS * 1000 / 8,
        ..LinkOptions::new(0, [Node::Host(host), Node::Switch(switch)])
    };
    let bar = LinkOptions {
        bytes_per_s: BYTES_PER_S,
        delay_us: RTT_MS * 1000 / 4,
        queue: (BDP as f64 * queue) as u64,
        ..LinkOptions::new(0, [Node::Switch(0), Node::Switch(1)])
    };
    let ends = (0..flows).flat_map(|f| [join(2 * f, 0), join(2 * f + 1, 1)]);
    let flow = |f| FlowOptions {
        begins: Duration::from_micros(r.below(1_000_000)),
        ..FlowOptions::bulk(0, [2 * f, 2 * f + 1], u64::MAX / 4)
    };
    let options = Options {
        start: Instant::from_micros(5_000),
        faulty: Duration::ZERO,
        hosts: vec![host; 2 * flows],
        links: [bar].into_iter().chain(ends).collect(),
        flows: (0..flows).map(flow).collect(),
    };
    let trace = sim::watch(options, seed, FROM + SPAN, Duration::from_millis(100))?;
    Ok(share(&trace))
}

fn share(trace: &Trace) -> Share {
    let rates: Vec<f64> = trace
        .flows
        .iter()
        .map(|points| {
            let early = points.iter().find(|p| p.at >= trace.start + FROM);
            let (Some(first), Some(last)) = (early, points.last()) else { return 0.0 };
            (last.read - first.read) as f64 * 1e6 / last.at.since(first.at).micros() as f64
        })
        .collect();
    let (sum, squares) = (rates.iter().sum::<f64>(), rates.iter().map(|r| r * r).sum::<f64>());
    let bar = trace.pipes[0][0];
    Share {
        utilisation: sum * FRAME / TEXT / BYTES_PER_S as f64,
        fairness: sum * sum / (rates.len() as f64 * squares),
        dropped: bar.dropped as f64 * 100.0 / bar.offered as f64,
        queue_ms: bar.waited_us as f64 / 1e3 / (bar.offered - bar.dropped) as f64,
    }
}
