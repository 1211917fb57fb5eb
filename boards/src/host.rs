//! The host board: the program as a Linux process whose network is a TAP.
//!
//! | argument | meaning |
//! |---|---|
//! | `--tap NAME` | the TAP, which must exist; without it, that of the environment's `BARENET_TAP` |
//! | `--fibers` | a fiber per connection, all on one thread, as on bare metal; not OS threads |
//! | `ip=…`, `gw=…` | addresses and gateways, see [`options`] |
//!
//! Everything else is the program's. Without addresses it asks for them, by DHCP and by SLAAC. A call that blocks parks its
//! thread, and the daemon has a thread of its own; with `--fibers` see [`fiber`](crate::fiber).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use barenet::Net;
use barenet::device::{Capabilities, Device, Mac};
use barenet::stack::{Limits, Stack, Storage};
use barenet::wait::{Threads, Wait};
use barenet_drivers::middleware::Capture;
use barenet_drivers::tap::{self, Tap};

use crate::configure::{self, Configuring};
use crate::fiber::{Ended, Fibers, STACK_SIZE_MAIN};
use crate::linger::{Linger, Step};
use crate::options::{self, Options};
use crate::program::{self, Outcome};

mod platform;

pub use platform::Host;

/// Runs the program: brings up the network, calls `main` with it, reports what it gives back. If `main`
/// runs in a fiber its stack has `stack_size` bytes, or the default's.
pub fn run<R: Outcome + 'static>(main: fn(Net) -> R, stack_size: Option<usize>) -> ExitCode {
    match start(move |net| main(net).report(), stack_size) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            std::eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Opens the TAP and runs `main` to its success. An error is one line for the user.
fn start(main: impl FnOnce(Net) -> bool + Send + 'static, stack_size: Option<usize>) -> Result<bool, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut args: Vec<&'static str> = args.into_iter().map(|arg| &*arg.leak()).collect();
    let name = take_tap(&mut args)?;
    let pcap = take_value(&mut args, "--pcap", "a file's name")?;
    let with_fibers = take_flag(&mut args, "--fibers");
    let options = options::parse(args).map_err(|why| why.to_string())?;
    let tap = open(&name)?;
    let machine = format!("host: Linux process on {}, TAP {}", cpu(), tap.name()).leak();
    let platform = Host::new([tap.events()]).map_err(|why| format!("can't wait for the TAP: {why}"))?;
    let platform: &'static Host = Box::leak(Box::new(platform));
    program::init(options.args.clone().leak(), machine, platform);
    let device = captured(tap, pcap)?;
    let stack = Stack::new(Storage::heap(&Limits::default()), seed()?);
    if with_fibers {
        let fibers: &'static Fibers = Box::leak(Box::new(Fibers::new(platform)));
        fibers.set_main_stack_size(stack_size.unwrap_or(STACK_SIZE_MAIN));
        let net = new_net(stack, platform, fibers)?;
        let configuring = add_interface(&net, device, &options)?;
        run_in_fiber(fibers, &net, configured(configuring, main))
    } else {
        let net = new_net(stack, platform, &Threads)?;
        let configuring = add_interface(&net, device, &options)?;
        run_beside_daemon(&net, configured(configuring, main))
    }
}

/// `main`, once the interface has its addresses.
fn configured(configuring: Configuring, main: impl FnOnce(Net) -> bool) -> impl FnOnce(Net) -> bool {
    move |net| {
        std::eprintln!("{}", configure::wait(&net, &configuring));
        main(net)
    }
}

fn new_net(stack: Stack<'static>, platform: &'static Host, wait: &'static dyn Wait) -> Result<Net, String> {
    Net::new(stack, platform, wait).map_err(|why| format!("the network can't be set up: {why}"))
}

/// This thread runs all fibers and the daemon.
fn run_in_fiber(
    fibers: &'static Fibers,
    net: &Net,
    main: impl FnOnce(Net) -> bool + Send + 'static,
) -> Result<bool, String> {
    let (report, reported) = mpsc::channel();
    let own = net.clone();
    let job = Box::new(move || report.send(main(own)).unwrap_or_default());
    match fibers.run(net, job) {
        Ok(Ended::Returned) => Ok(reported.try_recv().unwrap_or(false)),
        Ok(Ended::Undelivered | Ended::Panicked) => Ok(false),
        Err(why) => Err(format!("`main` can't be started: {why}")),
    }
}

/// This thread runs `main`; the daemon has its own.
fn run_beside_daemon(net: &Net, main: impl FnOnce(Net) -> bool) -> Result<bool, String> {
    let daemon = net.clone();
    let started = thread::Builder::new().name("daemon".into()).spawn(move || daemon.run());
    started.map_err(|why| format!("can't start the daemon's thread: {why}"))?;
    let ended = catch_unwind(AssertUnwindSafe(|| main(net.clone())));
    let is_delivered = linger(net, Linger::new(net, ended.is_err()));
    match ended {
        Ok(success) => Ok(success && is_delivered),
        Err(panic) => resume_unwind(panic),
    }
}

/// Takes `flag` out of the arguments: was it among them?
fn take_flag(args: &mut Vec<&'static str>, flag: &str) -> bool {
    let at = args.iter().position(|arg| *arg == flag);
    at.map(|at| args.remove(at)).is_some()
}

/// The TAP: by `--tap`, or else by the environment.
fn take_tap(args: &mut Vec<&'static str>) -> Result<String, String> {
    if let Some(name) = take_value(args, "--tap", "the name of a TAP")? {
        return Ok(name.into());
    }
    std::env::var("BARENET_TAP").map_err(|_| {
        "no TAP: name one with `--tap NAME` or BARENET_TAP=NAME, or let `cargo host EXAMPLE` make one".into()
    })
}

/// Takes `--option VALUE` or `--option=VALUE` out of the arguments.
fn take_value(
    args: &mut Vec<&'static str>,
    option: &str,
    what: &str,
) -> Result<Option<&'static str>, String> {
    let value = |arg: &&'static str| Some((*arg).strip_prefix(option)?.strip_prefix('='));
    let is_it = |arg: &&'static str| *arg == option || value(arg).flatten().is_some();
    let Some(at) = args.iter().position(is_it) else { return Ok(None) };
    let arg = args.remove(at);
    match value(&arg).flatten() {
        Some(value) => Ok(Some(value)),
        None if at < args.len() => Ok(Some(args.remove(at))),
        None => Err(std::format!("`{option}` needs {what} behind it")),
    }
}

/// The TAP, whose frames go into this file, if there is one.
fn captured(tap: Tap, file: Option<&str>) -> Result<Box<dyn Device + Send>, String> {
    let Some(path) = file else { return Ok(Box::new(tap)) };
    let why = |why: std::io::Error| std::format!("can't write the capture {path}: {why}");
    // Without a buffer: a program that is killed leaves whole frames.
    let file = std::fs::File::create(path).map_err(why)?;
    let clock = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Ok(Box::new(Capture::new(tap, file, clock).map_err(why)?))
}

fn open(name: &str) -> Result<Tap, String> {
    Tap::open(mac(name), tap::Options::new().existing(name)).map_err(|why| why.to_string())
}

/// An address that stays the same for this TAP of this machine, so that neighbours need not learn
/// a new one at each start: locally administered, the rest a hash (FNV-1a).
fn mac(name: &str) -> Mac {
    let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
    let hash = machine.iter().chain(name.as_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    Mac([0x02, a, b, c, d, e])
}

fn add_interface(
    net: &Net,
    device: Box<dyn Device + Send>,
    options: &Options<'_>,
) -> Result<Configuring, String> {
    let Capabilities { mtu, mac, .. } = device.capabilities();
    let configuring = configure::add_interface(net, device, options)
        .map_err(|why| format!("can't use the TAP (MTU {mtu}) with these addresses and gateways: {why}"))?;
    // Beside what the program prints, not in it.
    std::eprintln!("{}, MAC {mac}", program::machine());
    Ok(configuring)
}

/// What nobody else can know: 32 bytes of the kernel's.
pub(crate) fn seed() -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    let mut filled = 0;
    while filled < seed.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut seed[filled..], flags) {
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(why) => return Err(format!("no entropy: {why}")),
        }
    }
    Ok(seed)
}

/// The CPU's name, as /proc/cpuinfo has it.
fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split_once(": ")).map(|(_, name)| name.trim());
    name.unwrap_or(std::env::consts::ARCH).into()
}

/// Delivers what `main` has left. True: the peers have it all.
fn linger(net: &Net, mut linger: Linger) -> bool {
    loop {
        // The program may have ended the daemon.
        net.turn();
        match linger.step(net) {
            Step::Wait(_) => thread::sleep(std::time::Duration::from_millis(5)),
            Step::End { is_delivered } => return is_delivered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tap_is_taken_out_of_the_arguments() {
        let mut args = alloc::vec!["a", "--tap", "tap3", "b"];
        assert_eq!(take_tap(&mut args).as_deref(), Ok("tap3"));
        assert_eq!(args, ["a", "b"]);
        let mut args = alloc::vec!["--tap=tap4"];
        assert_eq!(take_tap(&mut args).as_deref(), Ok("tap4"));
        assert!(args.is_empty());
        let mut args = alloc::vec!["a", "--fibers"];
        assert!(take_flag(&mut args, "--fibers") && !take_flag(&mut args, "--fibers"));
        assert_eq!(args, ["a"]);
        assert!(take_tap(&mut alloc::vec!["--tap"]).unwrap_err().contains("--tap"));
        let mut args = alloc::vec!["--pcaps", "--pcap=all.pcapng"];
        assert_eq!(take_value(&mut args, "--pcap", "a file's name"), Ok(Some("all.pcapng")));
        assert_eq!(args, ["--pcaps"]);
    }

    #[test]
    fn a_tap_keeps_its_address_and_shares_it_with_none() {
        assert_eq!(mac("tap0"), mac("tap0"));
        assert_ne!(mac("tap0"), mac("tap1"));
        assert!(mac("tap0").is_unicast());
    }

    #[test]
    fn two_seeds_differ() {
        assert_ne!(seed(), seed());
    }
}
