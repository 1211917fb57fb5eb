//! Plays packetdrill's scripts against our stack: `packetdrill [--neutral] FILE|FOLDER…`.

use barenet_tests::packetdrill::profile::Profile;
use barenet_tests::packetdrill::{Options, run, scripts};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str =
    "usage: packetdrill [--neutral] [--profile=freebsd|linux] [--tolerance_usecs=N] FILE|FOLDER…

Prints a line for each script and a score; exits with 0 if all pass.
  --neutral   ignores what only fingerprints a stack, and says what it ignored
  --profile   settings of this system instead of those that each script seems to assume
  --tolerance_usecs=N   how far times may be off in scripts that do not say it themselves; else 4000, or
              10000 with --neutral";

fn main() -> ExitCode {
    let mut options = Options::default();
    let mut paths = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--neutral" => options.neutral = true,
            "--profile=freebsd" => options.profile = Some(Profile::FreeBsd),
            "--profile=linux" => options.profile = Some(Profile::Linux),
            option if option.starts_with("--tolerance_usecs=") => {
                options.tolerance_usecs = option.split('=').next_back().and_then(|n| n.parse().ok());
            }
            option if option.starts_with('-') => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
            path => paths.push(PathBuf::from(path)),
        }
    }
    let all = match scripts(&paths) {
        Ok(all) if !all.is_empty() => all,
        Ok(_) => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let passed = all.iter().filter(|(path, text)| play(path, text, &options)).count();
    println!("{passed} of {} pass", all.len());
    if passed == all.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play(path: &std::path::Path, text: &str, options: &Options) -> bool {
    let report = run(text, options);
    let ignored = match report.ignored.is_empty() {
        true => String::new(),
        false => format!(" (ignored: {})", report.ignored.join("; ")),
    };
    match &report.failure {
        None => println!("PASS {}{ignored}", path.display()),
        Some(failure) => println!("FAIL {}:{failure}{ignored}", path.display()),
    }
    report.failure.is_none()
}
