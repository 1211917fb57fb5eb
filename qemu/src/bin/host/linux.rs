//! The runner: a namespace, a TAP in it, the example on it, a command beside it.

use anyhow::{Context, Result, bail};
use barenet_drivers::tap::{self, namespace};
use barenet_qemu::example::{self, Example};
use barenet_qemu::status::TIMED_OUT;
use barenet_qemu::{build, capture, dhcp, end_with_runner, ready};
use clap::{Args, Parser};
use duct::{Handle, cmd};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// The TAP in the namespace.
const TAP: &str = "tap0";
/// The kernel's end of it.
const KERNEL: [(IpAddr, u8); 2] =
    [(IpAddr::V4(KERNEL_V4), 24), (IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)), 64)];
const KERNEL_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The address that the host board gets by DHCP unless its arguments say otherwise.
const STACK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The address of IPv6, in arguments of the host board: no router advertises a prefix in the namespace.
const STACK_V6: [&str; 3] = ["ip=dhcp", "ip=fd00::2/64", "gw=fd00::1"];
/// A program that has not got so far by then never will.
const READY_WITHIN: Duration = Duration::from_secs(10);

const STATUS: &str = "\
Exit status: that of the command, or without one the example's: 0 if its `main` succeeded, 1 if it failed,
101 if it panicked on a thread, 128 and the signal's number if it was killed; 124 after --timeout. A mistake on the command line
is 2, any other of the runner's 1, with a line `error: …`.";

/// Builds an example and runs it as a Linux process on a TAP in a network namespace of its own;
/// with a command, runs that in the namespace too and returns its status. For a program of your own:
/// `barenet-host run --help`.
#[derive(Parser, Debug)]
#[command(name = "cargo host", bin_name = "cargo host", after_help = STATUS)]
struct Options {
    /// The example to run
    #[arg(required_unless_present = "list")]
    example: Option<String>,
    #[command(flatten)]
    process: ProcessOptions,
    /// An argument for the example; repeatable
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,
    /// Show the examples
    #[arg(long)]
    list: bool,
    /// The command to run once the example is ready
    #[arg(last = true)]
    command: Vec<String>,
}

const AS_RUNNER: &str = "\
Cargo starts it so for `cargo run`, if .cargo/config.toml of the program says
  [target.x86_64-unknown-linux-gnu]
  runner = \"barenet-host run\"";

/// Runs a program that is built already as a Linux process on a TAP in a network namespace of its own. Its exit status becomes
/// the command's.
#[derive(Parser, Debug)]
#[command(name = "barenet-host run", bin_name = "barenet-host run", after_help = AS_RUNNER, after_long_help = STATUS)]
struct Run {
    #[command(flatten)]
    process: ProcessOptions,
    /// The program's file
    program: PathBuf,
    /// Arguments for the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Args, Debug)]
struct ProcessOptions {
    /// Use this TAP of the system, and no namespace
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
    /// Write what crosses the network to this file
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// End the program, and the command, after so many seconds, with status 124
    #[arg(long, value_name = "S")]
    timeout: Option<u64>,
}

/// Does what the command line says; the status is the command's or else the program's.
pub(super) fn run() -> Result<u8> {
    let mut words: Vec<_> = std::env::args_os().collect();
    match words.get(1) {
        Some(word) if word == "run" => {
            words.remove(1);
            let run = Run::parse_from(words);
            if !run.program.is_file() {
                bail!("there is no program {}", run.program.display());
            }
            let program = run.program.canonicalize()?;
            start(run.process, run.args, &[], &Example::built(&program), || Ok(program.clone()))
        }
        _ => run_example(Options::parse()),
    }
}

fn run_example(options: Options) -> Result<u8> {
    let Some(name) = options.example.as_deref().filter(|_| !options.list) else {
        print!("{}", example::list("cargo host")?);
        return Ok(0);
    };
    let example = example::find(name)?;
    start(options.process, options.args, &options.command, &example, || build::build(&example, None))
}

/// Starts what `program` gives, on its TAP, and `command` beside it if there is one.
fn start(
    options: ProcessOptions,
    args: Vec<String>,
    command: &[String],
    example: &Example,
    program: impl FnOnce() -> Result<PathBuf>,
) -> Result<u8> {
    options.pcap.as_deref().map_or(Ok(()), capture::make)?;
    let program = program()?;
    let own_namespace = options.tap.is_none();
    let name = match options.tap {
        Some(name) => name,
        None => {
            // The process has one thread still, which a user namespace asks for.
            namespace::enter()?;
            let name = tap::create(tap::Options::new().name(TAP))?;
            tap::configure(&name, &KERNEL)?;
            name
        }
    };
    // What a program without an address asks for; on a TAP of the system that is somebody else's.
    let mut words = vec!["--tap".to_owned(), name];
    if own_namespace && example::address(&args).is_none() {
        dhcp::serve(KERNEL_V4, STACK)?;
        words.extend(STACK_V6.map(str::to_owned));
    }
    let address = example::address(&args).unwrap_or(IpAddr::V4(STACK));
    if let Some(pcap) = &options.pcap {
        words.extend([
            "--pcap".to_owned(),
            pcap.to_str().context("the capture's name is not text")?.to_owned(),
        ]);
    }
    words.extend(args);
    let mut run = cmd(program, words).unchecked();
    if command.is_empty() {
        for port in example.ports() {
            let reach = port.reach(&address.to_string(), port.number);
            eprintln!("{} will serve in its namespace: {reach}", example.name);
        }
    } else {
        // The output is the command's.
        run = run.stdout_to_stderr();
    }
    let running = run
        .before_spawn(|command| {
            end_with_runner(command);
            Ok(())
        })
        .start()
        .with_context(|| format!("can't start {}", example.name))?;
    let limit = options.timeout.map(Duration::from_secs);
    let ended = match command.split_first() {
        None => wait(&running, limit, &example.name)?,
        Some((program, words)) => {
            wait_until_ready(example, address, &running)?;
            if own_namespace {
                tap::settle(&KERNEL)?;
            }
            let command = cmd(program, words).unchecked().before_spawn(|command| {
                end_with_runner(command);
                Ok(())
            });
            let started = command.start().with_context(|| format!("can't run `{program}`"));
            let ended = started.and_then(|command| wait(&command, limit, program));
            end(&running)?;
            ended?
        }
    };
    if let Some(pcap) = &options.pcap {
        eprintln!("{}", capture::describe(pcap));
    }
    Ok(ended)
}

/// Waits for its end, or ends it after the limit.
fn wait(running: &Handle, limit: Option<Duration>, name: &str) -> Result<u8> {
    let ended = match limit {
        Some(limit) => running.wait_timeout(limit)?,
        None => Some(running.wait()?),
    };
    match ended {
        Some(output) => Ok(status(output.status)),
        None => {
            end(running)?;
            eprintln!("error: timed out: {name} was ended after {} s", limit.unwrap_or_default().as_secs());
            Ok(TIMED_OUT)
        }
    }
}

fn wait_until_ready(example: &Example, address: IpAddr, running: &Handle) -> Result<()> {
    let started = Instant::now();
    while !ready::is_ready(address, example.ports().next()) {
        if let Some(ended) = running.wait_timeout(Duration::from_millis(20))? {
            bail!("{} ended before it was ready: {}", example.name, ended.status);
        }
        if started.elapsed() > READY_WITHIN {
            end(running)?;
            bail!("{} does not answer at {address} after {READY_WITHIN:?}", example.name);
        }
    }
    Ok(())
}

/// Ends the example and waits until it has.
fn end(running: &Handle) -> std::io::Result<()> {
    running.kill()?;
    running.wait().map(drop)
}

/// As a shell has it: 128 and the signal's number for a program that was killed.
fn status(ended: ExitStatus) -> u8 {
    let killed = ended.signal().map(|signal| 128 + signal);
    let code = ended.code().or(killed);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
