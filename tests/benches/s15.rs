//! S15: how soon a program on the x86_64 board is on the network: instructions from power on to its first frame.
//!
//! QEMU counts them: with `-icount shift=0` its virtual clock runs a nanosecond for each instruction, and a
//! capture has the virtual time of each frame, in microseconds.

use crate::table::{Table, number, verdict};
use barenet_qemu::accelerator::Accelerator;
use barenet_qemu::board::BOARDS;
use barenet_qemu::machine::{Launch, Network};
use barenet_qemu::{build, end_with_runner, example};
use pcap_file::pcap::PcapReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program: it has an address that it was given, and announces it.
const PROGRAM: &str = "http_server";
/// The most instructions on each machine, the firmware's included.
const GOALS: [(&str, Option<u32>); 2] = [("microvm", Some(250_000)), ("q35", None)];
/// A boot takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn table() -> Result<Table, String> {
    let mut table =
        Table::new("S15: instructions from power on to the first frame", ["machine", "barenet", "goal"]);
    let board = &BOARDS[0];
    let program = example::find(PROGRAM).and_then(|program| build::build(&program, Some(board.target)));
    let kernel = program.map_err(|why| format!("{why:#}"))?;
    for (machine, most) in GOALS {
        let count = first_frame(machine, kernel.clone())?;
        let goal = most.map_or("-".to_owned(), |most| format!("{} <= {most}", verdict(count <= most.into())));
        table.row([machine.to_owned(), number(count), goal]);
    }
    Ok(table)
}

/// Boots the program and gives the instructions until its first frame, in thousands of them.
fn first_frame(machine: &str, kernel: PathBuf) -> Result<f64, String> {
    let board = &BOARDS[0];
    let pcap = std::env::temp_dir().join(format!("barenet-s15-{}-{machine}.pcap", std::process::id()));
    let launch = Launch {
        board,
        machine: board.machine(Some(machine)).map_err(|why| format!("{why:#}"))?,
        accelerator: Accelerator::Tcg,
        kernel,
        arguments: Vec::new(),
        network: Network::User(Vec::new()),
        pcap: Some(pcap.clone()),
    };
    let mut qemu = Command::new(board.qemu);
    qemu.args(launch.arguments().map_err(|why| format!("{why:#}"))?);
    // Where it would sleep, virtual time goes on to what it waits for.
    qemu.args(["-icount", "shift=0,sleep=off"]);
    qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    end_with_runner(&mut qemu);
    let mut guest = qemu.spawn().map_err(|why| format!("{} can't be run: {why}", board.qemu))?;
    let found = until_found(|| micros_of_first(&pcap));
    // It serves until it is ended; if that fails it ends with this process.
    let _ = guest.kill();
    let _ = guest.wait();
    let _ = std::fs::remove_file(&pcap);
    found.map(|micros| f64::from(micros) * 1000.0).ok_or_else(|| format!("{machine} sent no frame"))
}

fn until_found<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || start.elapsed() > PATIENCE {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The virtual time of the first frame, below a second: QEMU adds whole seconds of the host's.
fn micros_of_first(pcap: &Path) -> Option<u32> {
    let bytes = std::fs::read(pcap).ok()?;
    let mut reader = PcapReader::new(&bytes[..]).ok()?;
    Some(reader.next_packet()?.ok()?.timestamp.subsec_micros())
}
