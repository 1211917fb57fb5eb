//! What the running program may ask about itself, the same on every board.

use core::fmt;
use core::net::IpAddr;

use barenet::time::{Duration, Instant};
use barenet::{Net, Platform};
use spin::Once;

struct Program {
    args: &'static [&'static str],
    machine: &'static str,
    platform: &'static dyn Platform,
    started: Instant,
}

static PROGRAM: Once<Program> = Once::new();

/// Called once by the board, before `main`. `args` are those of the program, without what the
/// board has taken; `machine` is one line that names board, machine and CPU.
pub(crate) fn init(args: &'static [&'static str], machine: &'static str, platform: &'static dyn Platform) {
    PROGRAM.call_once(|| Program { args, machine, platform, started: platform.now() });
}

/// What a program's `main` may give back.
pub trait Outcome {
    /// Prints the error, if it is one. True for success.
    fn report(self) -> bool;
}

impl Outcome for () {
    fn report(self) -> bool {
        true
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn report(self) -> bool {
        match self {
            Ok(()) => true,
            Err(why) => {
                crate::println!("error: {why}");
                false
            }
        }
    }
}

/// The program's arguments: on bare metal the words of the kernel command line, on the host those
/// of the process. The address options ([`options`](crate::options)) are the board's and not
/// among them.
pub fn args() -> &'static [&'static str] {
    PROGRAM.get().map_or(&[], |p| p.args)
}

/// One line that names the board, the machine and its CPU.
pub fn machine() -> &'static str {
    PROGRAM.get().map_or("unknown machine", |p| p.machine)
}

/// Time since the board was up, by the monotonic clock.
pub fn uptime() -> Duration {
    PROGRAM.get().map_or(Duration::ZERO, |p| p.platform.now().since(p.started))
}

/// 32 bytes of entropy, others at each call: the seed of a generator for keys, such as those of TLS. `None` where the
/// machine has none to give: a CPU without RDRAND, a system without `getrandom`.
pub fn seed() -> Option<[u8; 32]> {
    #[cfg(target_os = "linux")]
    return crate::host::seed().ok();
    #[cfg(target_os = "none")]
    crate::x86_64::seed()
}

/// The default router, the IPv4 one if there are several: on QEMU's user network and behind a TAP
/// the host that runs us.
pub fn gateway(net: &Net) -> Option<IpAddr> {
    net.with_stack(|stack| {
        let routers = || stack.routes().filter(|r| r.destination.prefix_len() == 0).filter_map(|r| r.gateway);
        routers().find(IpAddr::is_ipv4).or_else(|| routers().next())
    })
}
