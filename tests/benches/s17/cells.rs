//! One connection on a path: every cell with all its rows of ends, round by round.

use super::lanes::{self, Progress};
use super::run::{Cell, Job, Outcome, Run, Who};
use super::{Plan, plot};
use crate::table::{Samples, Table, number, verdict};

/// Sender and receiver. The first is the yardstick of the next two, the fourth that of the last.
const PAIRS: [(Who, Who); 5] = [
    (Who::Linux, Who::Linux),
    (Who::Barenet, Who::Linux),
    (Who::Linux, Who::Barenet),
    (Who::LinuxBbr, Who::Linux),
    (Who::BarenetBbr, Who::Linux),
];

/// A cell's rounds: what each pair of ends reached in each.
struct Measured {
    name: String,
    cell: Cell,
    rounds: Vec<Vec<Outcome>>,
}

pub(super) fn tables(plan: &Plan) -> Result<Vec<Table>, String> {
    let cells = cells(plan);
    let has_bbr = kernel_has_bbr();
    let pairs = if has_bbr { &PAIRS[..] } else { &PAIRS[..3] };
    let mut measured: Vec<Measured> =
        cells.into_iter().map(|(name, cell)| Measured { name, cell, rounds: Vec::new() }).collect();
    let mut progress = Progress::new(measured.len() * pairs.len() * plan.rounds as usize);
    for seed in 0..plan.rounds {
        for m in &mut measured {
            let run = |&(who, right): &(Who, Who)| Run {
                cell: m.cell,
                left: vec![(who, 1)],
                right,
                seed: seed + 1,
            };
            let runs: Vec<Run> = pairs.iter().map(run).collect();
            m.rounds.push(lanes::measure(&runs, &mut progress)?);
        }
    }
    for m in measured.iter().filter(|m| m.cell.job == Job::Bulk) {
        let lines = pairs.iter().zip(&m.rounds[0]);
        let lines = lines.map(|((from, to), o)| (format!("{} to {}", from.name(), to.name()), &o.series[..]));
        plot::draw(&m.name, &lines.collect::<Vec<_>>())?;
    }
    let of = |wanted: fn(&Job) -> bool| measured.iter().filter(move |m| wanted(&m.cell.job));
    let bulk: Vec<&Measured> = of(|job| *job == Job::Bulk).collect();
    let mut tables = vec![goodput(&bulk, has_bbr), counts(&bulk)];
    tables.push(transfers(&of(|job| matches!(job, Job::Transfer(_))).collect::<Vec<_>>()));
    tables.push(slow_reader(&of(|job| *job == Job::Slow).collect::<Vec<_>>()));
    Ok(tables)
}

fn cells(plan: &Plan) -> Vec<(String, Cell)> {
    let mut cells = Vec::new();
    for mbit in [20, 100] {
        for rtt in [10, 50, 100] {
            for (queue, name) in [(0.25, "1/4"), (1.0, "1")] {
                cells.push((format!("{mbit}, {rtt}, {name}"), Cell::new(mbit, rtt, queue, plan.bulk)));
            }
        }
    }
    let usual = Cell::new(20, 50, 1.0, plan.bulk);
    let mut more = |name: &str, cell: Cell| cells.push((format!("20, 50, 1: {name}"), cell));
    for (loss, name) in [(1_000, "0.1 %"), (10_000, "1 %"), (30_000, "3 %"), (50_000, "5 %")] {
        more(&format!("{name} lost"), Cell { loss, ..usual });
    }
    more("1 % late by up to 1/4 RTT", Cell { reorder: 10_000, ..usual });
    more("5 % doubled", Cell { duplicate: 50_000, ..usual });
    more("IPv6", Cell { v6: true, ..usual });
    for (bytes, name) in [(10_000, "10 KB"), (100_000, "100 KB"), (1_000_000, "1 MB")] {
        more(name, Cell { job: Job::Transfer(bytes), ..usual });
    }
    more("a reader of 400 KB/s", Cell { job: Job::Slow, ..usual });
    cells.push(("200, 640, 1: a product of 16 MB".to_owned(), Cell::new(200, 640, 1.0, 3 * plan.bulk)));
    cells
}

fn kernel_has_bbr() -> bool {
    let known = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    known.is_ok_and(|known| known.split_whitespace().any(|name| name == "bbr"))
}

impl Measured {
    /// A figure of one pair, round by round.
    fn of(&self, pair: usize, name: &str) -> Samples {
        self.rounds.iter().filter_map(|round| Some(round.get(pair)?.get(name))).collect()
    }

    /// The ratio of a figure of two pairs in the same round.
    fn ratio(&self, pair: usize, to: usize, of: impl Fn(&Outcome) -> f64) -> Samples {
        self.rounds.iter().filter_map(|round| Some(of(round.get(pair)?) / of(round.get(to)?))).collect()
    }
}

fn goodput(cells: &[&Measured], has_bbr: bool) -> Table {
    let bbr = if has_bbr { "BBR: B to L / L to L" } else { "BBR: not in this kernel" };
    let mut table = Table::new(
        "S17: goodput beside Linux (L) on one path, CUBIC",
        [
            "Mbit/s, RTT in ms, queue in BDP",
            "L to L, Mbit/s",
            "B to L / L to L",
            "L to B / L to L",
            "goal",
            bbr,
            "goal",
        ],
    );
    let mbit = |o: &Outcome| o.get("mbit");
    for m in cells {
        let [to_linux, to_us, bbr] = [(1, 0), (2, 0), (4, 3)].map(|(pair, to)| m.ratio(pair, to, mbit));
        let met = to_linux.median() >= 0.95 && to_us.median() >= 0.95;
        let bbr_met = bbr.median() >= 0.9;
        table.row([
            m.name.clone(),
            m.of(0, "mbit").to_string(),
            to_linux.to_string(),
            to_us.to_string(),
            format!("{} >= 0.95", verdict(met)),
            bbr.to_string(),
            if has_bbr { format!("{} >= 0.9", verdict(bbr_met)) } else { "-".to_owned() },
        ]);
    }
    table
}

fn counts(cells: &[&Measured]) -> Table {
    let mut table = Table::new(
        "S17: sent again / of it needless / dropped by the queue; queue delay in ms, median / 95 %",
        [
            "Mbit/s, RTT in ms, queue in BDP",
            "L to L",
            "",
            "B to L",
            "",
            "L to B",
            "",
            "BBR: L to L",
            "",
            "BBR: B to L",
            "",
        ],
    );
    for m in cells {
        let cell = |pair: usize, names: &[&str]| {
            let figures = names.iter().map(|name| number(m.of(pair, name).median()));
            figures.collect::<Vec<_>>().join(" / ")
        };
        let [sent, waited] = [&["again", "needless", "dropped"][..], &["queue_p50", "queue_p95"]];
        table.row([
            m.name.clone(),
            cell(0, sent),
            cell(0, waited),
            cell(1, sent),
            cell(1, waited),
            cell(2, sent),
            cell(2, waited),
            cell(3, sent),
            cell(3, waited),
            cell(4, sent),
            cell(4, waited),
        ]);
    }
    table
}

/// Of all transfers of all rounds: so many in a hundred took no longer, in milliseconds.
fn percentile(m: &Measured, pair: usize, percent: usize) -> f64 {
    let times = m.rounds.iter().filter_map(|round| round.get(pair)).flat_map(|o| o.times.iter().copied());
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() * percent / 100).map_or(f64::NAN, |time| time * 1e3)
}

fn transfers(cells: &[&Measured]) -> Table {
    let mut table = Table::new(
        "S17: short transfers, each on a connection of its own, with its handshake and end: ms, median / 95 %; dropped per transfer",
        [
            "Mbit/s, RTT in ms, queue in BDP",
            "L to L",
            "B to L",
            "L to B",
            "BBR: L to L",
            "BBR: B to L",
            "median, L to L / B to L",
            "goal",
        ],
    );
    for m in cells {
        let cell = |pair: usize| {
            let count: usize = m.rounds.iter().filter_map(|r| r.get(pair)).map(|o| o.times.len()).sum();
            let dropped: f64 = m.rounds.iter().filter_map(|r| r.get(pair)).map(|o| o.get("dropped")).sum();
            let [p50, p95] = [50, 95].map(|percent| number(percentile(m, pair, percent)));
            format!("{p50} / {p95}; {}", number(dropped / count as f64))
        };
        let ratio = |pair| percentile(m, 0, 50) / percentile(m, pair, 50);
        let met = ratio(1) >= 0.95 && ratio(2) >= 0.95;
        table.row([
            m.name.clone(),
            cell(0),
            cell(1),
            cell(2),
            cell(3),
            cell(4),
            format!("{}; L to B: {}", number(ratio(1)), number(ratio(2))),
            format!("{} >= 0.95", verdict(met)),
        ]);
    }
    table
}

fn slow_reader(cells: &[&Measured]) -> Table {
    let mut table = Table::new(
        "S17: acknowledgments of a slow reader, per MB",
        ["Mbit/s, RTT in ms, queue in BDP", "L to L", "L to B", "L to B / L to L"],
    );
    for m in cells {
        table.row([
            m.name.clone(),
            m.of(0, "acks_per_mb").to_string(),
            m.of(2, "acks_per_mb").to_string(),
            m.ratio(2, 0, |o| o.get("acks_per_mb")).to_string(),
        ]);
    }
    table
}
