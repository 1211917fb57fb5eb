//! S1 and S2: bulk data over a TAP to and from the kernel, with offloads and without, beside the limit, Linux
//! and smoltcp.

use crate::effort::Effort;
use crate::table::{Samples, Table, verdict};
use crate::tap::{self, Direction, Framing, Rate, Who};
use std::process::Command;
use std::time::Duration;

/// Buffers for each direction, in bytes: equal ones are compared. They are the strongest knob of a bulk
/// transfer.
const SMALL: usize = 256 << 10;
const LARGE: usize = 1 << 20;

/// A child that hangs is ended after so many seconds.
const TIMEOUT_S: &str = "10";

/// One table.
struct Scenario {
    name: &'static str,
    title: &'static str,
    direction: Direction,
    framing: Framing,
    /// The first is the limit, the last is ours.
    rows: &'static [(Who, &'static str)],
    /// Least ratios of our Gb/s to those of others.
    goals: &'static [(Who, f64)],
}

const OFFLOAD: &[(Who, &str)] = &[
    (Who::Null, "limit: null TCP"),
    (Who::Linux, "Linux through two TAPs"),
    (Who::SmoltcpStock, "smoltcp, stock: no offload, 64 KiB buffers"),
    (Who::Smoltcp(SMALL), "smoltcp, best: 256 KiB buffers"),
    (Who::Smoltcp(LARGE), "smoltcp, best: 1 MiB buffers"),
    (Who::Barenet(SMALL), "barenet: 256 KiB buffers"),
    (Who::Barenet(LARGE), "barenet: 1 MiB buffers"),
];

const PLAIN: &[(Who, &str)] = &[
    (Who::Null, "limit: null TCP"),
    (Who::Linux, "Linux through two TAPs"),
    (Who::SmoltcpStock, "smoltcp, stock: 64 KiB buffers"),
    (Who::Smoltcp(SMALL), "smoltcp, best: 256 KiB buffers"),
    (Who::Barenet(SMALL), "barenet: 256 KiB buffers"),
];

const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "s1",
        title: "S1: bulk send over TAP, offloads on",
        direction: Direction::Send,
        framing: Framing::Offload,
        rows: OFFLOAD,
        goals: &[(Who::SmoltcpStock, 5.0), (Who::Smoltcp(LARGE), 1.5), (Who::Linux, 1.0), (Who::Null, 0.85)],
    },
    Scenario {
        name: "s1b",
        title: "S1b: bulk send over TAP, MTU 1500, no offload",
        direction: Direction::Send,
        framing: Framing::Plain,
        rows: PLAIN,
        goals: &[(Who::SmoltcpStock, 1.6), (Who::Null, 0.9)],
    },
    Scenario {
        name: "s2",
        title: "S2: bulk receive over TAP, offloads on",
        direction: Direction::Receive,
        framing: Framing::Offload,
        rows: OFFLOAD,
        goals: &[(Who::SmoltcpStock, 3.0), (Who::Smoltcp(LARGE), 1.5), (Who::Linux, 1.0)],
    },
    Scenario {
        name: "s2b",
        title: "S2b: bulk receive over TAP, MTU 1500, no offload",
        direction: Direction::Receive,
        framing: Framing::Plain,
        rows: PLAIN,
        goals: &[(Who::Smoltcp(SMALL), 1.3), (Who::Null, 0.9)],
    },
];

/// A child that measures one row: `SCENARIO ROW MILLISECONDS`.
pub(crate) fn sample(args: &[String]) -> Option<Result<String, String>> {
    let [scenario, row, time] = args else { return None };
    let scenario = SCENARIOS.iter().find(|s| s.name == scenario)?;
    let (who, _) = *scenario.rows.get(row.parse::<usize>().ok()?)?;
    let time = Duration::from_millis(time.parse().ok()?);
    let rate = tap::measure(who, scenario.direction, scenario.framing, time);
    Some(rate.map(|rate| format!("{} {}", rate.gbps, rate.cpu_s_per_gb)))
}

/// The tables of a scenario: `s1`, `s1b`, `s2` or `s2b`; `None` for another name.
pub(crate) fn tables(name: &str, effort: &Effort) -> Option<Result<Vec<Table>, String>> {
    let scenario = SCENARIOS.iter().find(|s| s.name == name)?;
    Some(measure(scenario, effort).map(|rounds| vec![figures(scenario, &rounds), goals(scenario, &rounds)]))
}

/// Every row of a scenario, round by round.
type Rounds = Vec<Vec<Rate>>;

fn measure(scenario: &Scenario, effort: &Effort) -> Result<Rounds, String> {
    let rows = 0..scenario.rows.len();
    (0..effort.rounds).map(|_| rows.clone().map(|row| run(scenario, row, effort.time)).collect()).collect()
}

fn figures(scenario: &Scenario, rounds: &Rounds) -> Table {
    let mut table = Table::new(scenario.title, ["", "Gb/s", "of the limit", "CPU s/GB"]);
    for (i, (who, name)) in scenario.rows.iter().enumerate() {
        let gbps: Samples = rounds.iter().map(|round| round[i].gbps).collect();
        let to_limit: Samples = rounds.iter().map(|round| round[i].gbps / round[0].gbps).collect();
        let cpu: Samples = rounds.iter().map(|round| round[i].cpu_s_per_gb).collect();
        // Linux' figure is that of all its threads, the others' that of the stack's thread.
        let mark = if *who == Who::Linux { " *" } else { "" };
        table.row([(*name).to_owned(), gbps.to_string(), to_limit.to_string(), format!("{cpu}{mark}")]);
    }
    table
}

fn goals(scenario: &Scenario, rounds: &Rounds) -> Table {
    let ours = scenario.rows.len() - 1;
    let title = format!("{}: {} against", scenario.title, scenario.rows[ours].1);
    let mut table = Table::new(&title, ["", "Gb/s, ratio", "goal", "CPU s/GB, ratio"]);
    for (i, (who, name)) in scenario.rows.iter().enumerate() {
        let Some((_, goal)) = scenario.goals.iter().find(|(other, _)| other == who) else { continue };
        let gbps: Samples = rounds.iter().map(|round| round[ours].gbps / round[i].gbps).collect();
        let cpu: Samples =
            rounds.iter().map(|round| round[ours].cpu_s_per_gb / round[i].cpu_s_per_gb).collect();
        table.row([
            (*name).to_owned(),
            gbps.to_string(),
            format!("{} {goal}", verdict(gbps.median() >= *goal)),
            cpu.to_string(),
        ]);
    }
    table
}

/// One row, once, in a process of its own.
fn run(scenario: &Scenario, row: usize, time: Duration) -> Result<Rate, String> {
    let args = [
        "sample".to_owned(),
        "bulk".to_owned(),
        scenario.name.to_owned(),
        row.to_string(),
        time.as_millis().to_string(),
    ];
    let child = Command::new("timeout")
        .args(["--kill-after=1", TIMEOUT_S])
        .arg(std::env::current_exe().map_err(|e| e.to_string())?)
        .args(&args)
        .output()
        .map_err(|e| format!("the program `timeout`: {e}: apt-get install coreutils"))?;
    let text = String::from_utf8_lossy(&child.stdout);
    let mut words = text.split_whitespace().map(str::parse);
    match (words.next(), words.next()) {
        (Some(Ok(gbps)), Some(Ok(cpu_s_per_gb))) if child.status.success() => Ok(Rate { gbps, cpu_s_per_gb }),
        _ => {
            let why = String::from_utf8_lossy(&child.stderr);
            Err(format!("{}, {}: {} {why}", scenario.title, scenario.rows[row].1, child.status))
        }
    }
}
