//! Plays packetdrill's scripts against our stack: `packetdrill [--neutral] FILE|FOLDER…`.

use barenet_tests::packetdrill::deviations::Deviations;
use barenet_tests::packetdrill::profile::Profile;
use barenet_tests::packetdrill::report::{Kind, Report, Summary};
use barenet_tests::packetdrill::{Options, run, scripts};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: packetdrill [OPTION…] FILE|FOLDER…

Prints a line for each script, and in the end why scripts fail and the score. A script passes, fails, can't be read
(it uses what this program does not know), or deviates (it fails, and a reason for that is on record).
Exits with 0 if none fails or can't be read.
  --neutral   ignores what only fingerprints a stack, and says what it ignored
  -v          tells what happens in each script, with the times
  --pcapng=FOLDER       keeps there what crossed the link, a file for each script
  --profile=freebsd|linux   settings of this system instead of those that each script seems to assume
  --tolerance_usecs=N   how far times may be off in scripts that do not say it themselves; else 4000, or
              10000 with --neutral
  -DNAME[=VALUE]        defines a name for #ifdef, and what stands for it
  --deviations=FILE     reasons: a pattern of paths, in which * stands for anything, a tab, the reason; else
              those of tests/scripts/DEVIATIONS.tsv, which are built in. `--deviations=` has none";

#[derive(Default)]
struct Wishes {
    options: Options,
    pcapng: Option<PathBuf>,
    paths: Vec<PathBuf>,
    deviations: Deviations,
}

impl Wishes {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Wishes, String> {
        let mut wishes = Wishes::default();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            if let Some(definition) =
                argument.strip_prefix("-D").or_else(|| argument.strip_prefix("--define="))
            {
                let next =
                    if definition.is_empty() { arguments.next().ok_or(USAGE)? } else { definition.into() };
                let (name, value) = next.split_once('=').unwrap_or((&next, ""));
                wishes.options.defines.push((name.into(), value.into()));
                continue;
            }
            match argument.split_once('=').unwrap_or((&argument, "")) {
                ("--neutral", "") => wishes.options.neutral = true,
                ("-v", "") => wishes.options.trace = true,
                ("--pcapng", folder) if !folder.is_empty() => wishes.pcapng = Some(folder.into()),
                ("--profile", "freebsd") => wishes.options.profile = Some(Profile::FreeBsd),
                ("--profile", "linux") => wishes.options.profile = Some(Profile::Linux),
                ("--tolerance_usecs", n) => {
                    wishes.options.tolerance_usecs = Some(n.parse().map_err(|_| USAGE)?);
                }
                ("--deviations", "") => wishes.deviations = Deviations::none(),
                ("--deviations", file) => {
                    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
                    wishes.deviations = Deviations::read(&text);
                }
                _ if argument.starts_with('-') => return Err(USAGE.into()),
                _ => wishes.paths.push(argument.into()),
            }
        }
        Ok(wishes)
    }

    /// How a script is played.
    fn options(&self, path: &Path) -> Options {
        let name = path.file_stem().unwrap_or_default();
        let capture = self.pcapng.as_ref().map(|folder| folder.join(name).with_extension("pcapng"));
        Options { capture, ..self.options.clone() }
    }

    /// What a script came to, as a line; counts it.
    fn judge(&self, path: &Path, report: &Report, summary: &mut Summary) -> String {
        let place = path.display();
        let deviation = self.deviations.of(path);
        let line = match (&report.failure, deviation) {
            (None, Some(deviation)) if deviation.must_fail => {
                summary.fail_unexpectedly(&place.to_string());
                format!("FAIL {place}: passes, but was to fail: {}", deviation.reason)
            }
            (None, _) => {
                summary.pass();
                format!("PASS {place}")
            }
            (Some(failure), Some(deviation)) => {
                summary.deviate();
                format!("DEVIATES {place}:{failure}; {}", deviation.reason)
            }
            (Some(failure), None) => {
                summary.fail(&failure.trouble, &place.to_string());
                let what = if failure.trouble.kind == Kind::Fails { "FAIL" } else { "CAN'T READ" };
                format!("{what} {place}:{failure}")
            }
        };
        match report.ignored.is_empty() {
            true => line,
            false => format!("{line} (ignored: {})", report.ignored.join("; ")),
        }
    }
}

fn play(wishes: &Wishes, all: &[(PathBuf, String)]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let mut summary = Summary::default();
    for (path, text) in all {
        let report = run(text, &wishes.options(path));
        for line in &report.trace {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "{}", wishes.judge(path, &report, &mut summary))?;
    }
    writeln!(out, "{summary}")?;
    Ok(summary.is_clean())
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
    match play(&wishes, &all) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
