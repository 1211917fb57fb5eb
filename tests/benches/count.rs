//! Instructions by callgrind: a transfer of n bytes and one of 2n, and their difference, so that start-up
//! cancels. Cache lines likewise, by its model of a cache.
//!
//! Every function is kept apart by its callers, so the cost of each is known for each phase of a turn.

use crate::engine::Done;
use crate::table::{Table, number};
use std::collections::BTreeMap;
use std::process::Command;

/// Valgrind counts one instruction per byte of `rep movsb`; this keeps glibc's memcpy away from it.
const TUNABLES: &str =
    "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824";

/// What is counted: the events of callgrind's that are summed, and its arguments for them.
struct Meter {
    events: &'static [&'static str],
    args: &'static [&'static str],
}

const INSTRUCTIONS: Meter = Meter { events: &["Ir"], args: &[] };
/// Reads and writes of data that miss the first level, which is that of a server's core of these years: 48 KiB
/// in 12 ways. The last level is of no interest.
const LINES: Meter = Meter {
    events: &["D1mr", "D1mw"],
    args: &["--cache-sim=yes", "--I1=32768,8,64", "--D1=49152,12,64", "--LL=8388608,16,64"],
};

/// How many functions of a phase are named.
const FUNCTIONS: usize = 10;

/// Frames of the call chain that are kept: more than lie between a phase and the deepest function.
const CALLERS: &str = "--separate-callers=24";

/// Instructions by phase and function, and what the transfer was.
pub(crate) struct Counts {
    cost: BTreeMap<(String, String), i64>,
    pub(crate) done: Done,
}

/// Instructions of one phase.
#[derive(Clone, Copy)]
pub(crate) struct Phase {
    pub(crate) all: f64,
    /// Those of them that copy memory.
    pub(crate) copies: f64,
}

impl Counts {
    /// Counts a transfer of `bytes`. `args` are the words that make this program run one of the given length.
    pub(crate) fn of(bytes: u64, args: impl Fn(u64) -> Vec<String>) -> Counts {
        Counts::by(&INSTRUCTIONS, bytes, args)
    }

    /// The same for cache lines that are fetched.
    pub(crate) fn of_lines(bytes: u64, args: impl Fn(u64) -> Vec<String>) -> Counts {
        Counts::by(&LINES, bytes, args)
    }

    fn by(meter: &Meter, bytes: u64, args: impl Fn(u64) -> Vec<String>) -> Counts {
        let once = run(meter, &args(bytes));
        let mut twice = run(meter, &args(2 * bytes));
        for (key, cost) in once.cost {
            *twice.cost.entry(key).or_default() -= cost;
        }
        twice.done.bytes -= once.done.bytes;
        twice.done.segments -= once.done.segments;
        twice.done.acks -= once.done.acks;
        twice
    }

    /// Instructions in `phase`.
    pub(crate) fn phase(&self, phase: &str) -> Phase {
        let sum = |wanted: &dyn Fn(&str) -> bool| {
            let functions = self.cost.iter().filter(|((p, f), _)| p == phase && wanted(f));
            functions.map(|(_, cost)| cost).sum::<i64>() as f64
        };
        Phase { all: sum(&|_| true), copies: sum(&|f| f.contains("memcpy") || f.contains("memmove")) }
    }

    /// The functions of `phase`, the most expensive first.
    pub(crate) fn functions(&self, phase: &str) -> Vec<(&str, i64)> {
        let mut all: Vec<_> =
            self.cost.iter().filter(|((p, _), _)| p == phase).map(|((_, f), c)| (f.as_str(), *c)).collect();
        all.sort_by_key(|(_, cost)| -cost);
        all
    }
}

/// The most expensive functions of a phase, per each of `n` of what `unit` names.
pub(crate) fn profile(counts: &Counts, name: &str, phase: &str, unit: &str, n: u64) -> Table {
    let title = format!("{name}: instructions in {phase}");
    let mut table = Table::new(&title, ["function", &format!("per {unit}")]);
    table.row(["all".to_owned(), number(counts.phase(phase).all / n as f64)]);
    for (function, cost) in counts.functions(phase).into_iter().take(FUNCTIONS) {
        table.row([function.to_owned(), number(cost as f64 / n as f64)]);
    }
    table
}

/// Is valgrind there?
pub(crate) fn check() -> Result<(), String> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => {
            Err("instructions are counted by valgrind, which is missing: apt-get install valgrind".to_owned())
        }
    }
}

fn run(meter: &Meter, args: &[String]) -> Counts {
    let out = std::env::temp_dir().join(format!("barenet-callgrind-{}", std::process::id()));
    let done = Command::new("valgrind")
        .env("GLIBC_TUNABLES", TUNABLES)
        .args(["--tool=callgrind", "-q", "--compress-strings=no", "--compress-pos=no", CALLERS])
        .args(meter.args)
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().expect("the path of this program"))
        .args(args)
        .output()
        .expect("valgrind was there a moment ago");
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    let profile = std::fs::read_to_string(&out).expect("callgrind's output");
    // It is only rubbish in the temporary folder if this fails.
    let _ = std::fs::remove_file(&out);
    let done = Done::parse(&String::from_utf8_lossy(&done.stdout)).expect("the child's result");
    Counts { cost: self_cost(&profile, meter.events), done }
}

/// Own cost of each function by phase, from callgrind's file: `events: names`, `fn=function'caller'…`, then
/// lines `position costs`, without those at the end that are zero; the line after a `calls=` is the cost of that
/// call, not the function's own.
fn self_cost(profile: &str, wanted: &[&str]) -> BTreeMap<(String, String), i64> {
    let mut cost = BTreeMap::new();
    let mut key = None;
    let mut is_call = false;
    let mut events = Vec::new();
    for line in profile.lines() {
        if let Some(names) = line.strip_prefix("events: ") {
            events = names.split(' ').map(|name| wanted.contains(&name)).collect();
        } else if let Some(name) = line.strip_prefix("fn=") {
            key = phase_of(name);
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit())
            && !std::mem::take(&mut is_call)
            && let Some(key) = &key
        {
            let costs = line.split(' ').skip(1).zip(&events).filter(|(_, is_wanted)| **is_wanted);
            let n: i64 = costs.filter_map(|(n, _)| n.parse::<i64>().ok()).sum();
            *cost.entry(key.clone()).or_default() += n;
        }
    }
    cost
}

fn phase_of(chain: &str) -> Option<(String, String)> {
    let function = chain.split('\'').next()?;
    let phase = chain.split("::phase_").nth(1)?;
    let phase = phase.split(['\'', ':', '<']).next()?;
    Some((phase.to_owned(), function.to_owned()))
}
