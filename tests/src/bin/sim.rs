//! Simulates whole networks: many seeds at a time, or one to look at.

use barenet::time::Duration;
use barenet_tests::seeds::{Progress, run_all};
use barenet_tests::sim::{self, Cuts, Replay};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: sim --seeds COUNT [--from SEED] [--threads COUNT]
       sim --seed SEED [--cut WHAT,...] [--plot FILE.svg [--flow NUMBER]]
  --seeds  runs so many on all processors, or on so many threads; shrinks what fails, and says how to replay it
  --seed   runs one, keeps its frames and a log
  --cut    leaves something out of its world, as the report of a failure says
  --plot   draws windows, round-trip time, and goodput of a flow: the largest, if none is named";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match command(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

/// Options come in pairs. True: everything ended well.
fn command(args: &[String]) -> Result<bool, String> {
    let (mut seed, mut count, mut from, mut cuts) = (None, None, 0, Cuts::default());
    let (mut plot, mut flow, mut threads) = (None, None, 0);
    for pair in args.chunks(2) {
        let [name, value] = pair else { return Err(format!("{} needs a value", pair[0])) };
        let number = || value.parse::<u64>().map_err(|e| format!("{name} {value}: {e}"));
        match name.as_str() {
            "--seed" => seed = Some(number()?),
            "--seeds" => count = Some(number()?),
            "--from" => from = number()?,
            "--threads" => threads = number()? as usize,
            "--plot" => plot = Some(value),
            "--flow" => flow = Some(number()? as usize),
            "--cut" => cuts = value.parse()?,
            _ => return Err(format!("unknown option {name}")),
        }
    }
    match (seed, count) {
        (Some(seed), None) => {
            let replay = replay(seed, &cuts)?;
            if let Some(file) = plot {
                sim::plot(&replay.trace, flow.unwrap_or(replay.trace.largest()), Path::new(file))?;
                println!("drawn: {file}");
            }
            Ok(replay.outcome.is_ok())
        }
        (None, Some(count)) => Ok(many(from, count, threads)),
        _ => Err("either --seed or --seeds".to_owned()),
    }
}

fn replay(seed: u64, cuts: &Cuts) -> Result<Replay, String> {
    let replay = sim::replay(seed, cuts, Duration::from_millis(1)).map_err(|e| e.to_string())?;
    println!("kept: {0}.pcapng and {0}.log", replay.stem.display());
    match &replay.outcome {
        Ok(summary) => println!("seed {seed}: {summary:?}"),
        Err(report) => eprintln!("seed {seed}: {report}"),
    }
    Ok(replay)
}

fn many(from: u64, count: u64, threads: usize) -> bool {
    std::panic::set_hook(Box::new(|_| {})); // they are in the reports
    let mut progress = Progress::new(count);
    let (mut frames, mut bytes) = (0, 0);
    let mut slowest = (Duration::ZERO, from);
    run_all(from..from + count, threads, sim::run_or_explain, |seed, outcome| {
        match outcome {
            Ok(summary) => {
                frames += summary.frames;
                bytes += summary.bytes;
                slowest = slowest.max((summary.recovered, seed));
            }
            Err(report) => progress.failed(&report),
        }
        progress.one_more();
    });
    println!(
        "{frames} frames, {bytes} bytes; slowest to recover: seed {} in {} s",
        slowest.1,
        slowest.0.millis() / 1000
    );
    progress.failures == 0
}
