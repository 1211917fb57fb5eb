//! A whole network of stacks in one thread, in virtual time, from one seed.
//!
//! The seed draws everything: how many hosts, what joins them, what their links lose, double, reorder,
//! corrupt, delay and swallow, what their devices can do, how their applications behave. After a while
//! the links heal; from then on every transfer has to complete, every connection to reach its end, and
//! all memory to come back. The same seed gives the same run. A failure shrinks: what it does not need
//! is left out of its world, and the report says how to replay the rest.

mod app;
mod checker;
mod cut;
mod device;
mod draw;
mod host;
mod judge;
mod ledger;
mod link;
mod mangle;
mod network;
mod options;
mod path;
mod plot;
mod random;
mod record;
mod stream;
mod trace;
mod world;

use super::seeds::panic_text;
use barenet::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

pub use cut::Cuts;
pub use ledger::TextCounts;
pub use link::PipeStats;
pub use options::{Ending, FaultOptions, FlowOptions, Hole, HostOptions, LinkOptions, Node, Options, Script};
pub use path::{Path, PathStats};
pub use plot::plot;
pub use random::Random;
pub use stream::WRITE_MAX;
pub use trace::{Lost, Point, Trace};
pub use world::Summary;

use record::Record;
use world::World;

/// A run to its end, and what was found.
type Outcome = Result<Summary, String>;

/// Runs one seed.
///
/// # Errors
///
/// What went wrong, in words.
pub fn run(seed: u64) -> Outcome {
    guarded(seed, &Cuts::default(), None, None).0
}

/// What is kept of a replay.
#[derive(Debug)]
pub struct Replay {
    /// How it ended.
    pub outcome: Outcome,
    /// The world that it was in.
    pub options: Options,
    /// What it looked like.
    pub trace: Trace,
    /// Where what crossed the links (`.pcapng`) and the log of events (`.log`) are.
    pub stem: PathBuf,
}

/// Runs one seed without what is cut, and keeps what there is to see. Looks at flows every so often.
///
/// # Errors
///
/// The files could not be written.
pub fn replay(seed: u64, cuts: &Cuts, every: Duration) -> std::io::Result<Replay> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/sim");
    std::fs::create_dir_all(&folder)?;
    let stem = folder.canonicalize()?.join(format!("seed-{seed}"));
    let record = Record::create(&stem)?;
    let (outcome, trace) = guarded(seed, cuts, Some(record), Some(every));
    Ok(Replay { outcome, options: world_of(seed, cuts), trace, stem })
}

/// Runs one seed; a failure is shrunk, replayed with a record, and told with all that one needs to go
/// on.
///
/// # Errors
///
/// The report.
pub fn run_or_explain(seed: u64) -> Outcome {
    let first = match run(seed) {
        Ok(summary) => return Ok(summary),
        Err(first) => first,
    };
    let fails = |cuts: &Cuts| guarded(seed, cuts, None, None).0.is_err_and(|e| kind(&e) == kind(&first));
    let cuts = Cuts::shrink(&Options::draw(seed), fails);
    let (shrunk, stem) = match replay(seed, &cuts, Duration::from_secs(1)) {
        Ok(replay) => (replay.outcome.err().unwrap_or_default(), replay.stem),
        Err(error) => (format!("no record: {error}"), PathBuf::new()),
    };
    Err(format!(
        "seed {seed}: {first}\n  shrunk: {shrunk}\n  replay: cargo run -p barenet-tests --bin sim -- --seed {seed} \
         --cut {cuts}\n  kept: {0}.pcapng and {0}.log",
        stem.display()
    ))
}

/// Runs a world for so long, or until its applications are done, and looks at its flows every so often.
///
/// # Errors
///
/// What went wrong, in words.
pub fn watch(options: Options, seed: u64, span: Duration, every: Duration) -> Result<Trace, String> {
    World::new(options, seed, None, Some(every))?.watch(span)
}

/// What a failure is about, so that shrinking does not end at another one.
fn kind(failure: &str) -> String {
    let first = failure.lines().next().unwrap_or_default();
    let about = first.split(": ").take(3).collect::<Vec<_>>().join(": ");
    about.chars().filter(|c| !c.is_ascii_digit()).take(60).collect()
}

fn world_of(seed: u64, cuts: &Cuts) -> Options {
    let mut options = Options::draw(seed);
    cuts.apply(&mut options);
    options
}

/// A panic is a failure like others.
fn guarded(seed: u64, cuts: &Cuts, record: Option<Record>, trace: Option<Duration>) -> (Outcome, Trace) {
    let run = || match World::new(world_of(seed, cuts), seed, record, trace) {
        Ok(mut world) => (world.run(), world.seen()),
        Err(error) => (Err(error), Trace::default()),
    };
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| (Err(format!("panic: {}", panic_text(&*panic))), Trace::default()))
}
