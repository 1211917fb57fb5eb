//! A whole network of stacks in one thread, in virtual time, from one seed.
//!
//! The seed draws everything: how many hosts, what their links lose, double, reorder, corrupt and
//! delay, what their devices can do, how their applications behave. After a while the links heal;
//! from then on every transfer has to complete, every connection to reach its end, and all memory
//! to come back. The same seed gives the same run, so a failure is replayed with
//! `cargo run -p barenet-tests --bin sim -- --seed N`.

mod app;
mod checker;
mod device;
mod host;
mod link;
mod options;
mod random;
mod record;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

pub use options::Options;
pub use random::Random;
pub use world::Summary;

use record::Record;
use world::World;

/// Runs one seed.
///
/// # Errors
///
/// What went wrong, in words.
pub fn run(seed: u64) -> Result<Summary, String> {
    guarded(seed, None)
}

/// Runs one seed and keeps what crossed the links, as pcapng, and a log of events. Returns the
/// outcome and where the files are: `.pcapng` and `.log`.
pub fn replay(seed: u64) -> (Result<Summary, String>, PathBuf) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/sim");
    let stem = folder.join(format!("seed-{seed}"));
    match Record::create(&stem) {
        Ok(record) => (guarded(seed, Some(record)), stem),
        Err(error) => (Err(format!("can't write {}.log: {error}", stem.display())), stem),
    }
}

/// Runs one seed; a failure is replayed with a record, and told with all that one needs to go on.
///
/// # Errors
///
/// The report.
pub fn run_or_explain(seed: u64) -> Result<Summary, String> {
    let first = match run(seed) {
        Ok(summary) => return Ok(summary),
        Err(first) => first,
    };
    let (again, stem) = replay(seed);
    let again = match again {
        Err(again) if again == first => String::new(),
        other => format!("\n  the replay ended differently: {other:?}"),
    };
    let stem = stem.canonicalize().unwrap_or(stem);
    Err(format!(
        "seed {seed}: {first}{again}\n  replay: SEED={seed} cargo test -p barenet-tests --test sim replay -- --nocapture\n  \
         or: cargo run -p barenet-tests --bin sim -- --seed {seed}\n  kept: {stem}.pcapng and {stem}.log",
        stem = stem.display()
    ))
}

/// A panic is a failure like others.
fn guarded(seed: u64, record: Option<Record>) -> Result<Summary, String> {
    let run = || World::new(&Options::draw(seed), seed, record).run();
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without a message");
        Err(format!("panic: {text}"))
    })
}
