//! RESULTS.md: the tables of the last whole run, with the machine that they are from.

use crate::table::Table;
use std::fmt::Write;
use std::process::Command;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/RESULTS.md");

/// What the figures mean. Stands before the tables.
const NOTES: &str = include_str!("notes.md");

/// Writes the page. `machine` is what [`machine`] said before the run.
pub(crate) fn write(machine: &str, tables: &[Table]) -> Result<(), String> {
    let mut text = format!("{NOTES}\n{machine}\n");
    for table in tables {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{table}");
    }
    std::fs::write(PATH, text.trim_end().to_owned() + "\n").map_err(|e| format!("{PATH}: {e}"))?;
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
        "Measured on {}: {} x {} (family {} model {}), Linux {}, {}, {}. Load of other programs before the run: {}.\n",
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
