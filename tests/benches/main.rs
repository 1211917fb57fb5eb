//! The benchmarks: `cargo bench -p barenet-tests`.
//!
//! Figures are ratios within one run, rounds interleaved, or counts that do not depend on the machine. What
//! the rows mean stands in RESULTS.md, which `-- --write` renews.

mod bulk;
mod count;
mod crowd;
mod effort;
mod engine;
mod pair;
mod report;
mod s10;
mod s11;
mod s12;
mod s13;
mod s15;
mod s17;
mod s4;
mod s5;
mod s6;
mod s7;
mod s8;
mod s9;
mod short;
mod sockets;
mod table;
mod tap;

use effort::Effort;
use report::Part;
use std::process::ExitCode;
use table::Table;

const USAGE: &str = "usage: cargo bench -p barenet-tests [-- SECTION... --quick --write]
sections (all but the last two if none is named):
  s4        request and response: instructions, and cache lines with cold caches
  s5        connections that come and go, and SYNs that cookies answer: instructions
  s6        one connection among many that idle: instructions, and bytes of those
  s7        many running timers: instructions
  s8        datagrams and single bytes: instructions
  s9        the engine alone in memory: instructions and Gb/s; short bursts and long round trips
  s10       one flow over a lossy link, in virtual time
  s11       1 to 64 flows through one bottleneck, in virtual time
  s12       reordering, tail loss, black holes and the like, in virtual time
  s13       programs for a microcontroller: bytes of flash, static memory and stack
  s15       the x86_64 board in QEMU: instructions until its first frame
  s1, s1b   bulk send over TAP, with offloads and without
  s2, s2b   bulk receive over TAP, with offloads and without
  s17       beside Linux on one emulated path: half an hour, with --quick five minutes; pictures in target/s17
  profile   the most expensive functions of our engine
options:
  --quick   fewer and shorter rounds, to see that everything runs
  --write   keep the tables in tests/benches/RESULTS.md: of all sections but the last two, or of s17 alone";

/// What is measured when nothing is named.
const SECTIONS: [&str; 15] =
    ["s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s15", "s1", "s1b", "s2", "s2b"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [sample, scenario, rest @ ..] if sample == "sample" => child(scenario, rest),
        // `cargo bench` says so, `cargo test --all-targets` does not.
        _ if args.iter().any(|a| a == "--bench") => parent(&args),
        _ => {
            println!("nothing is measured without --bench\n{USAGE}");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn parent(args: &[String]) -> Result<(), String> {
    let (options, mut sections): (Vec<&str>, Vec<&str>) =
        args.iter().map(String::as_str).filter(|a| *a != "--bench").partition(|a| a.starts_with("--"));
    if let Some(unknown) = options.iter().find(|o| !["--quick", "--write"].contains(o)) {
        return Err(format!("unknown option {unknown}\n{USAGE}"));
    }
    let (quick, write) = (options.contains(&"--quick"), options.contains(&"--write"));
    let part = if sections == ["s17"] { Part::BesideLinux } else { Part::Rest };
    if write && (quick || (part == Part::Rest && !sections.is_empty())) {
        return Err(
            "--write keeps a whole run: not with --quick, and with no section but s17 alone".to_owned()
        );
    }
    if sections.is_empty() {
        sections = SECTIONS.to_vec();
    }
    let effort = if quick { &Effort::QUICK } else { &Effort::FULL };
    let machine = report::machine();
    let mut tables = Vec::new();
    for section in sections {
        for table in measure(section, effort, quick)? {
            println!("{table}");
            tables.push(table);
        }
    }
    if write {
        report::write(part, &machine, &tables)?;
    }
    Ok(())
}

fn measure(section: &str, effort: &Effort, quick: bool) -> Result<Vec<Table>, String> {
    Ok(match section {
        "s9" => {
            count::check()?;
            let [costs, goals] = s9::instructions();
            vec![costs, goals, short::table(), s9::rates(effort)]
        }
        "s4" => {
            count::check()?;
            s4::tables(effort)
        }
        "s5" => {
            count::check()?;
            s5::tables(effort)
        }
        "s8" => {
            count::check()?;
            s8::tables().into_iter().chain([sockets::in_place()]).collect()
        }
        "s6" => {
            count::check()?;
            s6::tables(effort)?
        }
        "s7" => {
            count::check()?;
            vec![s7::table(), sockets::sleeping()]
        }
        "s10" => s10::tables(effort),
        "s11" => vec![s11::table(effort)?],
        "s12" => s12::tables()?,
        "s13" => vec![s13::table()?, s13::faces()?, s13::layers()?, s13::tcp_parts()?],
        "s15" => vec![s15::table()?],
        "s17" => s17::tables(quick)?,
        "profile" => {
            count::check()?;
            [s9::profile(), s4::profile(), s5::profile(), s8::profile()].into_iter().flatten().collect()
        }
        _ => match bulk::tables(section, effort) {
            Some(tables) => tables?,
            None => return Err(format!("unknown section {section}\n{USAGE}")),
        },
    })
}

/// One measurement in a process of its own: prints its result.
fn child(scenario: &str, args: &[String]) -> Result<(), String> {
    let line = match scenario {
        "s9" => s9::sample(args).map(|done| Ok(done.to_string())),
        "s4" => s4::sample(args).map(Ok),
        "s5" => s5::sample(args).map(Ok),
        "s6" => s6::sample(args).map(Ok),
        "s7" => s7::sample(args).map(Ok),
        "s8" => s8::sample(args).map(Ok),
        "sockets" => sockets::sample(args).map(Ok),
        "short" => short::sample(args).map(Ok),
        "bulk" => bulk::sample(args),
        "s17" => s17::sample(args),
        _ => None,
    };
    println!("{}", line.ok_or_else(|| format!("not a sample: {scenario} {args:?}\n{USAGE}"))??);
    Ok(())
}
