//! Plays packetdrill's scripts against our stack: `packetdrill [--neutral] FILE|FOLDER…`.

use barenet_tests::packetdrill::profile::Profile;
use barenet_tests::packetdrill::{Options, run, scripts};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: packetdrill [--neutral] [--profile=freebsd|linux] [--tolerance_usecs=N]
                   [--deviations=FILE] FILE|FOLDER…

Prints a line for each script and a score; exits with 0 if all pass.
  --neutral   ignores what only fingerprints a stack, and says what it ignored
  --profile   settings of this system instead of those that each script seems to assume
  --tolerance_usecs=N   how far times may be off in scripts that do not say it themselves; else 4000, or
              10000 with --neutral
  --deviations=FILE     scripts that are to fail: the end of a path, a tab, the reason (tests/scripts/DEVIATIONS.tsv)";

#[derive(Default)]
struct Wishes {
    options: Options,
    paths: Vec<PathBuf>,
    /// The end of a script's path, and why it is to fail.
    deviations: Vec<(String, String)>,
}

impl Wishes {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Wishes, String> {
        let mut wishes = Wishes::default();
        for argument in arguments {
            match argument.split_once('=').unwrap_or((&argument, "")) {
                ("--neutral", "") => wishes.options.neutral = true,
                ("--profile", "freebsd") => wishes.options.profile = Some(Profile::FreeBsd),
                ("--profile", "linux") => wishes.options.profile = Some(Profile::Linux),
                ("--tolerance_usecs", n) => {
                    wishes.options.tolerance_usecs = Some(n.parse().map_err(|_| USAGE)?);
                }
                ("--deviations", file) => {
                    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
                    let rows = text.lines().filter(|line| !line.starts_with('#'));
                    let rows = rows.filter_map(|line| line.split_once('\t'));
                    wishes.deviations.extend(rows.map(|(path, why)| (path.into(), why.into())));
                }
                _ if argument.starts_with('-') => return Err(USAGE.into()),
                _ => wishes.paths.push(argument.into()),
            }
        }
        Ok(wishes)
    }

    fn deviation(&self, path: &Path) -> Option<&str> {
        self.deviations.iter().find(|(end, _)| path.ends_with(end)).map(|(_, why)| why.as_str())
    }

    /// Plays a script. Did it do as it should?
    fn play(&self, path: &Path, text: &str) -> bool {
        let report = run(text, &self.options);
        let ignored = match report.ignored.is_empty() {
            true => String::new(),
            false => format!(" (ignored: {})", report.ignored.join("; ")),
        };
        let place = path.display();
        match (&report.failure, self.deviation(path)) {
            (None, Some(why)) if !why.starts_with("not yet") => {
                println!("FAIL {place}: passes, but was to fail: {why}{ignored}");
                false
            }
            (None, _) => {
                println!("PASS {place}{ignored}");
                true
            }
            (Some(failure), None) => {
                println!("FAIL {place}:{failure}{ignored}");
                false
            }
            (Some(_), Some(why)) => {
                println!("PASS {place}: fails as it is to: {why}{ignored}");
                true
            }
        }
    }
}

fn main() -> ExitCode {
    let read = Wishes::read(std::env::args().skip(1)).and_then(|wishes| {
        let all = scripts(&wishes.paths).map_err(|error| error.to_string())?;
        if all.is_empty() { Err(USAGE.into()) } else { Ok((wishes, all)) }
    });
    let (wishes, all) = match read {
        Ok(read) => read,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let passed = all.iter().filter(|(path, text)| wishes.play(path, text)).count();
    println!("{passed} of {} pass", all.len());
    if passed == all.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
