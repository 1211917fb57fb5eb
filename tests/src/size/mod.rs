//! What programs for a microcontroller take: flash, static memory and stack, of barenet's and of the same on smoltcp
//! (`tests/size`). For the benchmark's table S13 and the test that holds its figures.

mod image;
mod stack;
mod thumb;

use image::Image;
pub use stack::Stack;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The processor: a Cortex-M3.
const TARGET: &str = "thumbv7m-none-eabi";

/// A program of `tests/size`.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// The binary.
    bin: &'static str,
    /// The feature that it is built with.
    feature: &'static str,
}

/// barenet's programs.
pub const OURS: [Program; 6] = [
    Program { name: "bare", bin: "bare", feature: "bare" },
    Program { name: "tcp1", bin: "tcp1", feature: "tcp" },
    Program { name: "tcp8", bin: "tcp8", feature: "tcp" },
    Program { name: "full", bin: "full", feature: "full" },
    // Without one on smoltcp beside them. The first is `tcp1` with every feature off that TCP can do without.
    Program { name: "tcp-least", bin: "tcp1", feature: "tcp-least" },
    Program { name: "client", bin: "client", feature: "client" },
];

/// Clients by address and by name, and with what comes beside names; a server that asks, and one that is called back.
pub const FACES: [Program; 7] = [
    Program { name: "client_address", bin: "client_address", feature: "client-address" },
    Program { name: "client_lookup", bin: "client_lookup", feature: "client" },
    Program { name: "client", bin: "client", feature: "client" },
    Program { name: "client_multicast", bin: "client", feature: "client-multicast" },
    Program { name: "client_mdns", bin: "client_mdns", feature: "client-mdns" },
    Program { name: "echo_polled", bin: "tcp1", feature: "heap" },
    Program { name: "echo_called", bin: "echo_called", feature: "callbacks" },
];

/// A UDP server, and the same with one part more of the layers below.
pub const LAYERS: [Program; 9] = [
    layer("udp", "datagrams"),
    layer("dhcpv4", "datagrams-dhcpv4"),
    layer("slaac", "datagrams-slaac"),
    layer("dhcpv6", "datagrams-dhcpv6"),
    layer("multicast", "datagrams-multicast"),
    layer("fragments", "datagrams-fragments"),
    layer("raw", "datagrams-raw"),
    layer("vlan", "datagrams-vlan"),
    layer("forwarding", "datagrams-forwarding"),
];

const fn layer(name: &'static str, feature: &'static str) -> Program {
    Program { name, bin: "datagrams", feature }
}

/// `tcp-least`, and the same with one part more.
pub const TCP_PARTS: [Program; 7] = [
    part("tcp-least", "tcp-least"),
    part("counters", "tcp-counters"),
    part("fast-path", "tcp-fast-path"),
    part("icmp-errors", "tcp-icmp-errors"),
    part("offload", "tcp-offload"),
    part("pacing", "tcp-pacing"),
    part("sack", "tcp-sack"),
];

const fn part(name: &'static str, feature: &'static str) -> Program {
    Program { name, bin: "tcp1", feature }
}

/// The same on smoltcp.
pub const SMOLTCP: [Program; 4] = [
    Program { name: "smoltcp_bare", bin: "smoltcp_bare", feature: "smoltcp-bare" },
    Program { name: "smoltcp_tcp1", bin: "smoltcp_tcp1", feature: "smoltcp-tcp" },
    Program { name: "smoltcp_tcp8", bin: "smoltcp_tcp8", feature: "smoltcp-tcp" },
    Program { name: "smoltcp_full", bin: "smoltcp_full", feature: "smoltcp-full" },
];

/// Bytes of a program.
#[derive(Clone, Debug)]
pub struct Size {
    /// Code and constants: `.text`, `.rodata`.
    pub code: u32,
    /// Variables that begin with a value, which takes flash as well: `.data`.
    pub data: u32,
    /// Variables that begin as zero: `.bss`.
    pub bss: u32,
    /// The deepest that its calls can go, set-up included.
    pub stack: Stack,
}

impl Size {
    /// Bytes of flash.
    pub fn flash(&self) -> u32 {
        self.code + self.data
    }

    /// Bytes of static memory.
    pub fn fixed(&self) -> u32 {
        self.data + self.bss
    }
}

/// Builds the program and measures it.
///
/// # Errors
///
/// What could not be done, with the command that failed.
pub fn measure(program: Program) -> Result<Size, String> {
    let path = build(program)?;
    let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let image = Image::parse(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Size {
        code: image.len_of(".vectors") + image.len_of(".text") + image.len_of(".rodata"),
        data: image.len_of(".data"),
        bss: image.len_of(".bss"),
        stack: stack::deepest(&image, "_start")?,
    })
}

fn build(program: Program) -> Result<PathBuf, String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Does nothing where it is installed.
    run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(tests))?;
    let target = tests.join("../target/size");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--release", "--target", TARGET]);
    cargo.args(["--features", program.feature, "--bin", program.bin]).arg("--target-dir").arg(&target);
    // What each function takes of the stack is an unstable option of a stable compiler.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zemit-stack-sizes");
    // The options of the build that this is part of are none of this one's.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PROFILE_")) {
        cargo.env_remove(name);
    }
    run(cargo.env_remove("CARGO_INCREMENTAL").current_dir(tests.join("size")))?;
    Ok(target.join(TARGET).join("release").join(program.bin))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let error = || format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output.status.success().then_some(()).ok_or_else(error)
}
