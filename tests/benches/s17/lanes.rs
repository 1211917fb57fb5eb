//! Runs side by side and one after the other, each in a process of its own that ends with this one.

use super::run::{Outcome, Run};
use barenet_drivers::tap::namespace;
use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

/// Mbit/s that are carried at a time: what leaves the processors idle most of the time, so that all frames are on
/// time. What is compared runs side by side as far as this goes.
const LOAD: u64 = 200;

/// Tells what is done, on the error output.
pub(super) struct Progress {
    start: Instant,
    done: usize,
    all: usize,
}

impl Progress {
    pub(super) fn new(all: usize) -> Self {
        Progress { start: Instant::now(), done: 0, all }
    }

    fn tell(&mut self, what: &str) {
        self.done += 1;
        let elapsed = self.start.elapsed().as_secs();
        eprintln!("s17: {} of {} runs, {elapsed} s: {what}", self.done, self.all);
    }
}

/// Does the runs; all of them are of one round.
pub(super) fn measure(runs: &[Run], progress: &mut Progress) -> Result<Vec<Outcome>, String> {
    let mut outcomes = Vec::new();
    let rate = runs.iter().map(|run| run.cell.mbit).max().unwrap_or(1);
    for lanes in runs.chunks((LOAD / rate).max(1) as usize) {
        let children: Vec<Child> = lanes.iter().map(start).collect::<Result<_, _>>()?;
        for (run, child) in lanes.iter().zip(children) {
            let outcome = end(run, child)?;
            progress.tell(&summary(run, &outcome));
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

/// What comes before a program that should run as soon as it can: frames that are late here are late in the figures.
/// Nothing where that takes a privilege that we have not.
fn in_time() -> &'static [&'static str] {
    const REAL_TIME: &[&str] = &["chrt", "--fifo", "1"];
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    let allowed = ALLOWED.get_or_init(|| {
        let tried = Command::new(REAL_TIME[0]).args(&REAL_TIME[1..]).arg("true").output();
        tried.is_ok_and(|tried| tried.status.success())
    });
    if *allowed { REAL_TIME } else { &[] }
}

fn start(run: &Run) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut words = in_time().iter().map(OsStr::new).chain([program.as_os_str()]);
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .args(["sample", "s17"])
        .args(run.words())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let command = namespace::end_with_parent(namespace::isolate(&mut command));
    command.spawn().map_err(|e| format!("a process in a network namespace of its own: {e}"))
}

fn end(run: &Run, child: Child) -> Result<Outcome, String> {
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("sample s17 {}: {} {why}", run.words().join(" "), output.status));
    }
    Ok(Outcome::parse(&String::from_utf8_lossy(&output.stdout)))
}

fn summary(run: &Run, outcome: &Outcome) -> String {
    let left: Vec<String> = run.left.iter().map(|(who, flows)| format!("{flows} {}", who.name())).collect();
    format!(
        "{} Mbit/s, {} ms: {} to {}: {:.1} Mbit/s, {} again, {} needless, {} dropped, {} late",
        run.cell.mbit,
        run.cell.rtt_ms,
        left.join(" + "),
        run.right.name(),
        outcome.get("mbit"),
        outcome.get("again"),
        outcome.get("needless"),
        outcome.get("dropped"),
        format_args!("{:.2} %", 100.0 * outcome.get("late")),
    )
}
