//! S12: what a path does to one flow beside losing frames at random, in virtual time. RTT 100 ms,
//! 20 Mbit/s, a long queue.

use crate::table::{Samples, Table, verdict};
use barenet::time::{Duration, Instant};
use barenet_tests::sim::{self, FaultOptions, FlowOptions, Hole, HostOptions, LinkOptions, Node, Options};

const RTT: Duration = Duration::from_millis(100);
const BYTES_PER_S: u64 = 2_500_000;
/// Long enough that slow start does not matter.
const BULK: u64 = 10 << 20;
/// Ten segments: they leave at once.
const MESSAGE: u64 = 10 * 1448;
/// Runs of each row, with a seed each: one says little of what is random.
const SEEDS: u64 = 11;
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// What one run showed.
struct Run {
    /// From the beginning to the last byte read.
    took: Duration,
    /// Segments sent again, and those of them that had not been lost.
    again: u64,
    spurious: u64,
}

pub(crate) fn tables() -> Result<Vec<Table>, String> {
    Ok(vec![bulk()?, tails()?])
}

/// A flow of so many bytes over a link with these properties, for a reader that waits so long.
fn run(seed: u64, bytes: u64, wait: Duration, change: &dyn Fn(&mut LinkOptions)) -> Result<Run, String> {
    let mut host = HostOptions { memory: 16 << 20, ..HostOptions::default() };
    (host.tcp.send_buffer, host.tcp.receive_buffer) = (2 << 20, 2 << 20);
    let mut link = LinkOptions {
        bytes_per_s: BYTES_PER_S,
        delay_us: RTT.micros() / 2,
        ..LinkOptions::new(0, [Node::Host(0), Node::Host(1)])
    };
    change(&mut link);
    let mut flow = FlowOptions::bulk(0, [0, 1], bytes);
    flow.scripts[1].read_wait = wait;
    let options = Options {
        start: Instant::from_micros(5_000),
        faulty: PATIENCE,
        hosts: vec![host.clone(), host],
        links: vec![link],
        flows: vec![flow],
    };
    let trace = sim::watch(options, seed, PATIENCE, Duration::from_millis(1))?;
    let points = &trace.flows[0];
    let end = points.iter().find(|p| p.read == bytes).ok_or("the transfer did not end")?;
    let info = points.iter().rev().find_map(|p| p.info).ok_or("nothing is known of the connection")?;
    let again = u64::from(info.segments_retransmitted);
    let spurious = again.saturating_sub(trace.pipes[0][0].text_lost);
    Ok(Run { took: end.at.since(trace.start), again, spurious })
}

/// What may befall a long transfer.
fn bulk() -> Result<Table, String> {
    let mut table = Table::new(
        "S12: 10 MiB over a path that does more than lose, 20 Mbit/s, RTT 100 ms",
        ["", "seconds", "more than undisturbed", "sent again", "of it spurious", "goal"],
    );
    let faults = |f: FaultOptions| move |link: &mut LinkOptions| link.faults[0] = f;
    let none = FaultOptions::default();
    let reorder = |ppm, ms: u64| FaultOptions { reorder: ppm, reorder_us: ms * 1000, ..none };
    let hole = |from_ms, until_ms| {
        move |link: &mut LinkOptions| {
            let (from, until) = (Duration::from_millis(from_ms), Duration::from_millis(until_ms));
            link.hole = Some(Hole { from, until, above: 0, tells: false });
        }
    };
    let zero = Duration::ZERO;
    let plain = run(1, BULK, zero, &|_| {})?.took;
    let ms = Duration::from_millis;
    // The name, how long the reader waits, the fault, how much longer it must take, and may.
    type Row<'a> = (&'a str, Duration, Box<dyn Fn(&mut LinkOptions)>, Duration, Option<Duration>);
    let rows: [Row<'_>; 9] = [
        ("undisturbed", zero, Box::new(|_| {}), zero, None),
        ("1 % reordered by up to 1/4 RTT", zero, Box::new(faults(reorder(10_000, 25))), zero, Some(ms(100))),
        (
            "10 % reordered by up to 1/4 RTT",
            zero,
            Box::new(faults(reorder(100_000, 25))),
            zero,
            Some(ms(100)),
        ),
        ("10 % reordered by up to 1 RTT", zero, Box::new(faults(reorder(100_000, 100))), zero, None),
        (
            "5 % doubled",
            zero,
            Box::new(faults(FaultOptions { duplicate: 50_000, ..none })),
            zero,
            Some(ms(100)),
        ),
        ("jitter of 20 ms", zero, Box::new(faults(FaultOptions { jitter_us: 20_000, ..none })), zero, None),
        ("no reader for 5 s", ms(5_000), Box::new(|_| {}), zero, None),
        ("black hole of 1 s", zero, Box::new(hole(2_000, 3_000)), ms(1_000), None),
        ("black hole of 10 s", zero, Box::new(hole(2_000, 12_000)), ms(10_000), None),
    ];
    for (name, wait, change, must, may) in rows {
        let runs: Result<Vec<_>, _> = (1..=SEEDS).map(|seed| run(seed, BULK, wait, &*change)).collect();
        let runs = runs?;
        let took: Samples = runs.iter().map(|run| run.took.micros() as f64 / 1e6).collect();
        let count = |count: fn(&Run) -> u64| runs.iter().map(|run| count(run) as f64).collect::<Samples>();
        let more = took.median() - (plain + must).micros() as f64 / 1e6;
        let goal = may.map_or("-".to_owned(), |may| {
            let may = may.micros() as f64 / 1e6;
            format!("{} <= {may}", verdict(more <= may))
        });
        table.row([
            name.to_owned(),
            took.to_string(),
            format!("{more:.2}"),
            count(|run| run.again).to_string(),
            count(|run| run.spurious).to_string(),
            goal,
        ]);
    }
    Ok(table)
}

/// The end of a message is lost.
fn tails() -> Result<Table, String> {
    let mut table = Table::new(
        "S12: the tail of a message of ten segments is lost, RTT 100 ms",
        ["segments lost", "RTTs from the last ACK to the last byte", "sent again", "goal"],
    );
    let plain = run(1, MESSAGE, Duration::ZERO, &|_| {})?.took;
    for lost in [1, 2, 3, 5, 10] {
        let run = run(1, MESSAGE, Duration::ZERO, &move |link| link.faults[0].text = [10 - lost, 10])?;
        // Undisturbed the last byte comes half an RTT after it was sent, the last ACK half an RTT later.
        // When nothing arrives, there is no ACK, and what counts is when it was sent.
        let half = RTT.micros() as f64 / 2.0;
        let half = if lost < 10 { -half } else { half };
        let rtts = (run.took.micros() as f64 - plain.micros() as f64 + half) / RTT.micros() as f64;
        table.row([
            lost.to_string(),
            format!("{rtts:.2}"),
            run.again.to_string(),
            format!("{} <= 2.5", verdict(rtts <= 2.5)),
        ]);
    }
    Ok(table)
}
