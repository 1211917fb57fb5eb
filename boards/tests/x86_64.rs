//! The x86_64 board in QEMU, on both machines: what happens when something goes wrong.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use barenet_qemu::accelerator::Accelerator;
use barenet_qemu::board::{self, Board};
use barenet_qemu::example::workspace;
use barenet_qemu::forward::Forward;
use barenet_qemu::install;
use barenet_qemu::machine::{Launch, Network};

const SUCCESS: Option<i32> = Some(33);
const FAILURE: Option<i32> = Some(3);

/// A guest takes a second to boot; what takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn board() -> &'static Board {
    board::find("x86_64").unwrap()
}

/// The test program, built once.
fn kernel() -> &'static Path {
    static KERNEL: OnceLock<PathBuf> = OnceLock::new();
    KERNEL.get_or_init(|| {
        install::emulator(board()).unwrap();
        install::target(board()).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--package", "barenet-boards", "--example", "misbehave"]);
        cargo.args(["--target", board().target, "--message-format", "json-render-diagnostics"]);
        let output = cargo.current_dir(workspace()).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "the test program does not build");
        let messages = String::from_utf8(output.stdout).unwrap();
        let (_, rest) = messages.split_once(r#""executable":""#).expect("cargo names the program");
        rest.split('"').next().unwrap().into()
    })
}

/// The command line of QEMU for the program with these arguments.
fn qemu(machine: &str, arguments: &str, forwards: Vec<Forward>) -> Vec<String> {
    let launch = Launch {
        board: board(),
        machine: board().machine(Some(machine)).unwrap(),
        accelerator: Accelerator::Tcg,
        kernel: kernel().into(),
        arguments: arguments.split_whitespace().map(String::from).collect(),
        network: Network::User(forwards),
        pcap: None,
    };
    launch.arguments().unwrap()
}

/// A running guest and its console.
struct Guest(Child, BufReader<ChildStdout>);

impl Guest {
    fn start(arguments: &[String]) -> Guest {
        let mut command = Command::new(board().qemu);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let console = BufReader::new(child.stdout.take().unwrap());
        Guest(child, console)
    }

    /// A guest that serves, with the port of this host that leads to it.
    fn serving(machine: &str) -> (Guest, u16) {
        let (guest, port, _) = Guest::serving_as(machine, |_| {});
        (guest, port)
    }

    /// The same with QEMU's command line changed, and what the guest says of its machine.
    fn serving_as(machine: &str, change: impl Fn(&mut Vec<String>)) -> (Guest, u16, String) {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let forward = format!("{port}:7000").parse().unwrap();
        let mut command = qemu(machine, "serve", vec![forward]);
        change(&mut command);
        let mut guest = Guest::start(&command);
        let [mut about, mut addresses, mut line] = [String::new(), String::new(), String::new()];
        guest.1.read_line(&mut about).unwrap();
        guest.1.read_line(&mut addresses).unwrap();
        guest.1.read_line(&mut line).unwrap();
        assert!(line.contains("serving"), "{command:?}: {about}{line}");
        (guest, port, about)
    }

    /// Waits for the end: QEMU's status and the rest of what was printed.
    fn end(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.1.read_to_string(&mut text).unwrap();
        (self.0.wait().unwrap().code(), text)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const MACHINES: [&str; 2] = ["q35", "microvm"];

/// Runs the program on both machines; `change` changes the command line of QEMU.
fn run(arguments: &str, change: impl Fn(&mut Vec<String>)) -> [(Option<i32>, String); 2] {
    MACHINES.map(|machine| {
        let mut command = qemu(machine, arguments, Vec::new());
        change(&mut command);
        Guest::start(&command).end()
    })
}

/// The connection to the guest after `message` was sent: what comes back.
fn ask(port: u16, message: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(message.as_bytes())?;
    let mut answer = vec![0; 64];
    let n = stream.read(&mut answer)?;
    answer.truncate(n);
    Ok(answer)
}

#[test]
fn a_program_knows_its_machine_and_its_arguments() {
    for (status, text) in run("ip=192.0.2.1/24 one two=2", |_| {}) {
        assert_eq!(status, SUCCESS, "{text}");
        assert!(text.contains("arguments: one two=2"), "{text}");
        assert!(text.contains("q35") || text.contains("microvm"), "{text}");
    }
}

/// Without ACPI, QEMU names the devices on the kernel command line, as Firecracker does.
#[test]
fn devices_named_on_the_command_line_are_found() {
    let no_acpi = |command: &mut Vec<String>| {
        command.iter_mut().filter(|a| a.starts_with("microvm")).for_each(|a| *a += ",acpi=off");
    };
    for (status, text) in run("one", no_acpi) {
        assert!(status == SUCCESS && text.lines().any(|l| l == "arguments: one"), "{text}");
    }
}

#[test]
fn an_error_and_a_panic_of_main_are_told_and_the_status_is_failure() {
    for (arguments, told) in
        [("error", "error: timed out"), ("panic", "as asked"), ("exhaust", "memory allocation")]
    {
        for (status, text) in run(arguments, |_| {}) {
            assert!(status == FAILURE && text.contains(told), "{arguments}: {status:?} {text}");
        }
    }
}

#[test]
fn a_panicking_handler_ends_its_connection_only() {
    for machine in MACHINES {
        let (guest, port) = Guest::serving(machine);
        let mut other = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        other.set_read_timeout(Some(PATIENCE)).unwrap();
        other.write_all(b"before").unwrap();
        other.read_exact(&mut [0; 6]).unwrap();
        // QEMU passes on the reset as an end of the stream, or as what it is.
        assert!(!matches!(ask(port, "panic"), Ok(answer) if !answer.is_empty()));
        assert_eq!(ask(port, "after").unwrap(), b"after");
        other.write_all(b"still").unwrap();
        let mut answer = [0; 5];
        other.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"still", "{machine}: the other connection lives");
        drop(guest);
    }
}

#[test]
fn a_stack_overflow_names_the_fiber() {
    for machine in MACHINES {
        let (guest, port) = Guest::serving(machine);
        // However QEMU ends the connection: the guest is gone.
        let _ = ask(port, "overflow");
        let (status, text) = guest.end();
        assert!(text.contains("fiber `connection from 10.0.2.2"), "{machine}: {text}");
        assert!(text.contains("overflowed its stack"), "{machine}: {text}");
        assert_eq!(status, FAILURE, "{machine}");
    }
}

/// A line that names the mistake, and failure.
fn assert_refused<const N: usize>(outcomes: [(Option<i32>, String); N], told: &str) {
    for (status, text) in outcomes {
        assert!(status == FAILURE && text.contains(told), "{status:?} {text}");
        assert_eq!(text.trim().lines().count(), 1, "{text}");
    }
}

#[test]
fn an_address_that_is_none_is_named() {
    assert_refused(run("ip=10.0.2.15/33", |_| {}), "ip=10.0.2.15/33");
    assert_refused(run("gw=here", |_| {}), "gw=here");
    // H222: refused by the stack rather than by the parser.
    assert_refused(run("ip=127.0.0.1/8", |_| {}), "ip=127.0.0.1/8");
    let odd = run("virtio_mmio.device=512@here:5", |_| {});
    assert_refused(odd, "virtio_mmio.device=512@here:5");
    // RAM is not taken for registers.
    let ram = run("virtio_mmio.device=512@0x200000:5", |_| {});
    assert_refused(ram, "virtio_mmio.device=512@0x200000:5");
}

/// Puts `device` where the network device is, and `more` before it.
fn with_nic(device: &'static str, more: &'static str) -> impl Fn(&mut Vec<String>) {
    move |command| {
        let nic = command.iter().position(|a| a.contains(",netdev=")).unwrap();
        command[nic] = device.into();
        let more: Vec<String> = more.split_whitespace().map(String::from).collect();
        command.splice(nic - 1..nic - 1, more);
    }
}

/// Behind an IOMMU, on a second root bus, one of two: it serves, and says which device it took.
#[test]
fn network_devices_in_unusual_places_serve() {
    let cases = [
        (
            "q35",
            "virtio-net-pci,disable-legacy=on,iommu_platform=on,netdev=n0",
            "",
            "virtio-net at PCI 00:01.0, MAC",
        ),
        ("q35", "virtio-net-pci,disable-legacy=on,iommu_platform=on,netdev=n0", "-device intel-iommu", "MAC"),
        (
            "q35",
            "virtio-net-pci,netdev=n0,bus=rp",
            "-device pxb-pcie,id=far,bus_nr=128,bus=pcie.0 \
             -device pcie-root-port,id=rp,bus=far,chassis=1",
            "virtio-net at PCI 81:00.0, MAC",
        ),
        (
            "q35",
            "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:07",
            "-netdev user,id=n1 -device virtio-net-pci,netdev=n1,addr=8",
            "virtio-net at PCI 00:01.0 (not used: PCI 00:08.0), MAC 52:54:00:00:00:07",
        ),
        (
            "microvm",
            "virtio-net-device,iommu_platform=on,netdev=n0",
            "",
            "virtio-net at MMIO 0xfeb02e00, MAC",
        ),
        ("microvm", "virtio-net-device,netdev=n0", "-machine pcie=on", "virtio-net at MMIO 0xfeb02e00, MAC"),
    ];
    for (machine, device, more, told) in cases {
        let (_guest, port, about) = Guest::serving_as(machine, with_nic(device, more));
        assert!(about.contains(told), "{device} {more}: {about}");
        assert_eq!(ask(port, "hello").unwrap(), b"hello", "{device} {more}");
    }
}

/// A network device that can't be used is refused by its place and why, in one line.
#[test]
fn a_network_device_that_can_not_be_used_is_named() {
    let cases = [
        ("microvm", "virtio-net-pci,netdev=n0", "-machine pcie=on", "on microvm's PCIe bus"),
        ("q35", "virtio-net-pci,netdev=n0,vectors=1", "", "PCI 00:01.0: the device has fewer than two"),
        ("q35", "virtio-net-pci,netdev=n0,disable-modern=on,disable-legacy=off", "", "PCI 00:01.0"),
        ("q35", "virtio-net-pci,netdev=n0,mac=01:00:00:00:00:01", "", "unicast MAC"),
    ];
    for (machine, device, more, told) in cases {
        let mut command = qemu(machine, "", Vec::new());
        with_nic(device, more)(&mut command);
        assert_refused([Guest::start(&command).end()], told);
    }
}

#[test]
fn without_a_network_device_it_says_which_to_add() {
    let without = |command: &mut Vec<String>| {
        let nic = command.iter().position(|a| a.contains(",netdev=")).unwrap();
        command.drain(nic - 1..=nic);
    };
    assert_refused(run("", without), "no network device");
}

/// Entropy is never a constant: from RDRAND, else from a device, else the board does not start.
#[test]
fn without_entropy_it_does_not_start() {
    let no_rdrand = |command: &mut Vec<String>| {
        let cpu = command.iter_mut().find(|a| *a == "max").unwrap();
        *cpu = "qemu64".into();
    };
    assert_refused(run("", no_rdrand), "no entropy");
    let with_device = |command: &mut Vec<String>| {
        no_rdrand(command);
        let bus = if command.iter().any(|a| a == "q35") { "pci,disable-legacy=on" } else { "device" };
        command.extend(["-device".into(), format!("virtio-rng-{bus},iommu_platform=on")]);
    };
    for (status, text) in run("", with_device) {
        assert_eq!(status, SUCCESS, "{text}");
    }
}

#[test]
fn a_legacy_device_is_refused_with_the_option_that_helps() {
    let legacy = |command: &mut Vec<String>| {
        command.extend(["-global".into(), "virtio-mmio.force-legacy=true".into()]);
    };
    let [_, microvm] = run("", legacy);
    assert_eq!(microvm.0, FAILURE);
    assert!(microvm.1.contains("virtio-mmio.force-legacy=off"), "{}", microvm.1);
}

/// Little memory: it runs in 16 MiB, and where it does not it says so.
#[test]
fn little_memory_is_enough_or_told() {
    let memory = |size: &'static str| {
        move |command: &mut Vec<String>| {
            let of = command.iter().position(|a| a == "-m").unwrap() + 1;
            command[of] = size.into();
        }
    };
    for (status, text) in run("", memory("16M")) {
        assert_eq!(status, SUCCESS, "{text}");
    }
    assert_refused(run("", memory("4M")), "too little memory");
}
