//! `cargo qemu EXAMPLE`: builds an example, boots it in QEMU and prints where to reach it. `barenet-qemu run IMAGE`: boots
//! any program, also as Cargo's runner.

use anyhow::{Context, Result, bail};
use barenet_qemu::accelerator::Accelerator;
use barenet_qemu::board::{self, BOARDS, Board};
use barenet_qemu::example::Example;
use barenet_qemu::forward::{self, Forward};
use barenet_qemu::machine::{Launch, Network};
use barenet_qemu::status::{Outcome, TIMED_OUT, outcome};
use barenet_qemu::{build, capture, end_with_runner, example, install, report};
use clap::{Args, Parser};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const STATUS: &str = "\
Exit status: 0 if the program's `main` succeeded, 1 if it failed (an error, a panic, a fault), 124 after
--timeout. A mistake on the command line is 2, any other of the runner's or QEMU's own 1, with a line
`error: …`. QEMU without this runner ends with 33 for the program's success, and with 3 for its failure.";

/// Builds an example, boots it in QEMU and prints where to reach it. Its exit status becomes the
/// command's. For a program of your own: `barenet-qemu run --help`.
#[derive(Parser, Debug)]
#[command(name = "cargo qemu", bin_name = "cargo qemu", after_help = STATUS)]
struct Options {
    /// The example to run
    #[arg(required_unless_present = "list")]
    example: Option<String>,
    #[command(flatten)]
    guest: GuestOptions,
    /// Show the examples and boards
    #[arg(long)]
    list: bool,
    /// Arguments for the example; without an address, as ip=10.0.2.15/24 and gw=10.0.2.2, it asks for one by DHCP and SLAAC
    #[arg(last = true)]
    args: Vec<String>,
}

const AS_RUNNER: &str = "\
Cargo starts it so for `cargo run`, if .cargo/config.toml of the program says
  [target.x86_64-unknown-none]
  runner = \"barenet-qemu run --forward 7000:7000\"";

/// Boots an image that is built already: `main` by `#[barenet_boards::main]`. Its exit status becomes the command's.
#[derive(Parser, Debug)]
#[command(name = "barenet-qemu run", bin_name = "barenet-qemu run", after_help = AS_RUNNER, after_long_help = STATUS)]
struct Run {
    #[command(flatten)]
    guest: GuestOptions,
    /// The program's file
    image: PathBuf,
    /// Arguments for the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Args, Debug)]
struct GuestOptions {
    /// The board
    #[arg(long, default_value = BOARDS[0].name)]
    board: String,
    /// The machine: q35 (the default) or microvm
    #[arg(long)]
    machine: Option<String>,
    /// QEMU's own network behind address translation: the default, takes no privilege
    #[arg(long, conflicts_with = "tap")]
    user: bool,
    /// Connect the guest to this TAP
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
    /// Let a port of this host lead to one of the guest: 8080:80 or 7000:7000/udp; repeatable
    #[arg(long, value_name = "HOST:GUEST", conflicts_with = "tap")]
    forward: Vec<String>,
    /// Write what crosses the network to this file
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// End the guest after so many seconds, with status 124
    #[arg(long, value_name = "S")]
    timeout: Option<u64>,
}

fn main() -> ExitCode {
    let mut words: Vec<_> = std::env::args_os().collect();
    report(match words.get(1) {
        Some(word) if word == "run" => {
            words.remove(1);
            run_image(Run::parse_from(words))
        }
        _ => run_example(Options::parse()),
    })
}

fn run_example(options: Options) -> Result<u8> {
    let Some(name) = options.example.as_deref().filter(|_| !options.list) else {
        return list();
    };
    let example = example::find(name)?;
    boot(options.guest, options.args, &example, |board| {
        install::target(board)?;
        build::build(&example, Some(board.target))
    })
}

fn run_image(run: Run) -> Result<u8> {
    let image = run.image;
    if !image.is_file() {
        bail!("there is no program {}", image.display());
    }
    boot(run.guest, run.args, &Example::built(&image), |_| Ok(image.clone()))
}

/// Boots what `kernel` gives.
fn boot(
    options: GuestOptions,
    arguments: Vec<String>,
    program: &Example,
    kernel: impl FnOnce(&Board) -> Result<PathBuf>,
) -> Result<u8> {
    let board = board::find(&options.board)?;
    let machine = board.machine(options.machine.as_deref())?;
    let wanted = options.forward.iter().map(|f| f.parse());
    let wanted = wanted.collect::<Result<Vec<Forward>>>()?;
    if let Some(name) = &options.tap {
        try_tap(name)?;
    }
    options.pcap.as_deref().map_or(Ok(()), capture::make)?;
    install::emulator(board)?;
    let kernel = kernel(board)?;

    let network = match options.tap {
        Some(name) => {
            // Without one the guest says what it got.
            if let Some(address) = example::address(&arguments) {
                for port in program.ports() {
                    eprintln!(
                        "{} will serve: {}",
                        program.name,
                        port.reach(&address.to_string(), port.number)
                    );
                }
            }
            Network::Tap(name)
        }
        None => Network::User(forwards(program, &wanted)?),
    };
    let launch = Launch {
        board,
        machine,
        accelerator: Accelerator::detect(),
        kernel,
        arguments,
        network,
        pcap: options.pcap,
    };
    let status = start(&launch, options.timeout.map(Duration::from_secs));
    if let Some(pcap) = &launch.pcap {
        eprintln!("{}", capture::describe(pcap));
    }
    status
}

fn list() -> Result<u8> {
    print!("{}", example::list("cargo qemu")?);
    println!("Boards (--board) and their machines (--machine), the default first:");
    for board in BOARDS {
        println!("  {}", board.name);
        for machine in board.machines {
            println!("    {:<16} {}", machine.name, machine.about);
        }
    }
    Ok(0)
}

/// Settles the forwarded ports and prints where they lead.
fn forwards(example: &Example, wanted: &[Forward]) -> Result<Vec<Forward>> {
    let chosen = forward::choose(wanted, example.ports())?;
    for entry in &chosen {
        if let Some(taken) = entry.instead_of {
            eprintln!("port {taken} of this host is in use: {} instead", entry.forward.host);
        }
        let reach = entry.forward.guest.reach("127.0.0.1", entry.forward.host);
        eprintln!("{} will serve: {reach}", example.name);
    }
    Ok(chosen.into_iter().map(|entry| entry.forward).collect())
}

/// QEMU would create a TAP that is missing, with nothing at its other end, and says less about what
/// is wrong with one that is there.
#[cfg(target_os = "linux")]
fn try_tap(name: &str) -> Result<()> {
    Ok(barenet_drivers::tap::probe(name)?)
}

/// QEMU itself says what it can.
#[cfg(not(target_os = "linux"))]
fn try_tap(_name: &str) -> Result<()> {
    Ok(())
}

/// Runs QEMU to its end, or to the timeout.
fn start(launch: &Launch, timeout: Option<Duration>) -> Result<u8> {
    let Board { qemu, .. } = launch.board;
    let running = duct::cmd(*qemu, launch.arguments()?)
        // QEMU would switch the terminal to raw mode and leave it so when it is killed.
        .stdin_null()
        .unchecked()
        .before_spawn(|command| {
            end_with_runner(command);
            Ok(())
        })
        .start()
        .with_context(|| format!("can't start {qemu}"))?;
    let ended = match timeout {
        Some(timeout) => running.wait_timeout(timeout)?,
        None => Some(running.wait()?),
    };
    let Some(output) = ended else {
        running.kill()?;
        running.wait()?;
        eprintln!("error: timed out: the guest was ended after {} s", timeout.unwrap_or_default().as_secs());
        return Ok(TIMED_OUT);
    };
    match outcome(output.status.code()) {
        Outcome::Program(status) => Ok(status),
        Outcome::Stopped => {
            bail!("the guest stopped without a status: it was reset or QEMU was told to quit")
        }
        Outcome::Qemu => bail!("{qemu} failed ({}); it says why above", output.status),
    }
}
