//! Simulates whole networks: `--seeds N` for many seeds, `--seed N` to replay one with a record.

use barenet_tests::sim;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "usage: sim --seeds COUNT [--from SEED] | sim --seed SEED";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    match (number("--seed"), number("--seeds")) {
        (Some(seed), None) => replay(seed),
        (None, Some(count)) => many(number("--from").unwrap_or(0), count),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn replay(seed: u64) -> ExitCode {
    let (outcome, stem) = sim::replay(seed);
    let stem = stem.canonicalize().unwrap_or(stem);
    println!("kept: {0}.pcapng and {0}.log", stem.display());
    match outcome {
        Ok(summary) => {
            println!("seed {seed}: {summary:?}");
            ExitCode::SUCCESS
        }
        Err(report) => {
            eprintln!("seed {seed}: {report}");
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, count: u64) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    // A line that is written over where somebody watches, now and then a line for a log.
    let (start, end, step) = match std::io::stderr().is_terminal() {
        true => ("\r", "   ", 20),
        false => ("", "\n", 2000),
    };
    let (mut failed, mut frames, mut bytes) = (0, 0, 0);
    let mut slowest = (barenet::time::Duration::ZERO, from);
    for seed in from..from + count {
        match sim::run_or_explain(seed) {
            Ok(summary) => {
                frames += summary.frames;
                slowest = slowest.max((summary.recovered, seed));
                bytes += summary.bytes;
            }
            Err(report) => {
                failed += 1;
                eprintln!("{start}{report}");
            }
        }
        let done = seed - from + 1;
        if done.is_multiple_of(step) || done == count {
            let s = began.elapsed().as_secs_f64();
            eprint!(
                "{start}{done} of {count} seeds, {failed} failed, {frames} frames, {bytes} bytes, {s:.1} s{end}"
            );
        }
    }
    eprintln!();
    println!("slowest to recover: seed {} in {} s", slowest.1, slowest.0.millis() / 1000);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
