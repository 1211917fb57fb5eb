//! RESULTS.md: the tables of the last whole run, with the machine that they are from.

use crate::table::Table;
use std::fmt::Write;
use std::process::Command;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/RESULTS.md");

/// What the figures mean. Stands before the tables.
const NOTES: &str = include_str!("notes.md");

/// Begins the second part of the page.
const BESIDE_LINUX: &str = "## Beside Linux\n";

/// Begins what [`machine`] says.
const MEASURED: &str = "Measured on ";

/// What is measured in one run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// S17.
    BesideLinux,
    Rest,
}

/// Writes a part of the page; the other stays. `machine` is what [`machine`] said before the run.
pub(crate) fn write(part: Part, machine: &str, tables: &[Table]) -> Result<(), String> {
    let error = |e| format!("{PATH}: {e}");
    let mut text = format!("{machine}\n");
    for table in tables {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{table}");
    }
    let page = std::fs::read_to_string(PATH).map_err(error)?;
    // The notes may have changed since.
    let page = page.find(MEASURED).map_or("", |at| &page[at..]);
    let (rest, beside) = page.split_once(BESIDE_LINUX).unwrap_or((page, ""));
    let (rest, beside) = match part {
        Part::BesideLinux => (rest, text.as_str()),
        Part::Rest => (text.as_str(), beside),
    };
    let page = format!("{NOTES}\n{}\n\n{BESIDE_LINUX}\n{}\n", rest.trim(), beside.trim());
    std::fs::write(PATH, page).map_err(error)?;
    println!("written to {PATH}");
    Ok(())
}

/// Date, CPU, kernel, compiler, and how busy the machine is with other things.
pub(crate) fn machine() -> String {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let output = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        output.map_or_else(|_| "unknown".to_owned(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
    };
    let cpuinfo = file("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown")
    };
    format!(
        "{MEASURED}{}: {} x {} (family {} model {}), Linux {}, {}, {}. Load of other programs before the run: {}.\n",
        output("date", &["-u", "+%F %H:%M UTC"]),
        std::thread::available_parallelism().map_or(1, usize::from),
        field("model name"),
        field("cpu family"),
        field("model\t"),
        file("/proc/sys/kernel/osrelease").trim(),
        output("rustc", &["--version"]),
        output("valgrind", &["--version"]),
        file("/proc/loadavg").split(' ').next().unwrap_or("unknown"),
    )
}
