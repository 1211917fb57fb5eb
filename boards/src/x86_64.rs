//! The x86_64 board: PVH boot under QEMU on `q35` and `microvm`.
//!
//! * One CPU, long mode, memory identity-mapped up to 4 GiB; the heap is all RAM behind the program.
//! * The clock is the time stamp counter; the APIC's timer wakes the CPU from `hlt`.
//! * The console is the first serial port.
//! * Entropy comes from RDRAND or a virtio-rng device; without either the board refuses to boot.
//! * The program ends through `isa-debug-exit`, see [`QEMU_SUCCESS`].
//! * The kernel command line carries the program's arguments.
//!
//! Programs are linked statically at a fixed address (`-C relocation-model=static`, set for the
//! target in `.cargo/config.toml`); the linker's default layout serves, there is no linker script.
//!
//! The target has no vector registers, and the compiler fails on functions that ask for them. Crates of cryptography have
//! settings for that: `--cfg aes_force_soft --cfg polyval_force_soft` in the target's `rustflags`, and the feature
//! `force-soft` of `sha2`. `embedded-tls` needs all three.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Display;
use core::sync::atomic::{AtomicBool, Ordering};

use barenet::Net;
use barenet::stack::{Limits, Stack, Storage};
use pvh::start_info::reader::{IdentityMap, StartInfoReader};

use crate::configure::{self, Configuring};
use crate::fiber::{Ended, Fibers, STACK_SIZE_MAIN};
use crate::{options, println, program};

use devices::Bus;
use platform::Machine;

mod apic;
mod boot;
mod clock;
mod console;
mod cpu;
mod devices;
mod entropy;
mod exit;
mod fault;
mod hal;
mod heap;
mod interrupts;
mod mmio;
pub(crate) mod paging;
mod pci;
mod platform;
mod segments;

pub(crate) use console::print;
pub use exit::{QEMU_FAILURE, QEMU_SUCCESS};

// SAFETY: `main` is the one that defines it, with this signature; a second one is a linker's error.
unsafe extern "Rust" {
    /// The program, as [`main`](crate::main) expands it: true for success.
    safe fn barenet_main(net: Net) -> bool;
    /// The size of its stack, if it says so.
    safe fn barenet_main_stack_size() -> Option<usize>;
}

/// The first Rust code, on the boot stack, called from [`boot`].
///
/// # Safety
///
/// Called once, in long mode, with the physical address that the loader gave.
unsafe extern "C" fn start(start_info: u32) -> ! {
    console::init();
    // SAFETY: the loader vouches for the structure; memory is identity-mapped.
    let Some(info) = (unsafe { StartInfoReader::from_paddr_identity(start_info) }) else {
        refuse("not booted by a PVH loader: use `qemu-system-x86_64 -kernel`");
    };
    if let Err(why) = heap::init(&info) {
        refuse(why);
    }
    match run(&info) {
        Ok(success) => exit::exit(success),
        Err(why) => refuse(why),
    }
}

fn refuse(why: impl Display) -> ! {
    println!("error: {why}");
    exit::exit(false)
}

/// Brings the machine up and runs the program. Gives its success.
fn run(info: &StartInfoReader<'_, IdentityMap>) -> Result<bool, String> {
    segments::init();
    // SAFETY: the lowest page of the boot stack serves nothing else.
    unsafe { paging::unmap(boot::stack_guard()) }?;
    apic::init();
    let machine: &'static Machine = Box::leak(Box::new(Machine::new(clock::init()?)));

    let words = command_line(info)?;
    let bus = Bus::of_machine(&words)?;
    let words = words.into_iter().filter(|word| !mmio::is_option(word));
    let options = options::parse(words).map_err(|why| why.to_string())?;
    program::init(options.args.clone().leak(), describe(machine, &bus).leak(), machine);

    let seed = entropy(&bus)?;
    let nic = bus.nic().ok_or_else(|| bus.no_nic())??;
    let about = format!("virtio-net at {nic}, MAC {}", nic.device.capabilities().mac);
    let fibers: &'static Fibers = Box::leak(Box::new(Fibers::with_stack_memory(machine, heap::size() / 4)));
    let net = Net::new(Stack::new(Storage::heap(&limits()), seed), machine, fibers);
    let net = net.map_err(|why| format!("the network can't be set up: {why}"))?;
    let configuring = configure::add_interface(&net, nic.device, &options)
        .map_err(|why| format!("the interface can't be set up with {options}: {why}"))?;
    println!("{}; {about}", program::machine());
    run_main(fibers, net, configuring)
}

/// The words of the kernel command line.
fn command_line(info: &StartInfoReader<'_, IdentityMap>) -> Result<Vec<&'static str>, String> {
    let line = info.cmdline().unwrap_or_default().to_str();
    let line = line.map_err(|_| "the kernel command line is not UTF-8")?;
    let line: &'static str = String::from(line).leak();
    Ok(line.split_ascii_whitespace().collect())
}

/// Board, machine and CPU in one line.
fn describe(machine: &Machine, bus: &Bus) -> String {
    let tenths = (machine.clock.hertz + 50_000_000) / 100_000_000;
    format!(
        "x86_64 board, {} under {}, {} at {}.{} GHz, {} MiB of heap",
        bus.machine_name(),
        cpu::hypervisor_name(),
        cpu::name(),
        tenths / 10,
        tenths % 10,
        heap::size() >> 20
    )
}

/// What the program gets; the virtio-rng device is asked once, for the stack.
pub(crate) fn seed() -> Option<[u8; 32]> {
    entropy::from_cpu()
}

fn entropy(bus: &Bus) -> Result<[u8; 32], String> {
    match entropy::from_cpu() {
        Some(seed) => Ok(seed),
        None => bus.entropy().ok_or(
            "no entropy: the CPU has no RDRAND and there is no virtio-rng device; start QEMU \
             with `-cpu max` or `-device virtio-rng-pci` (on microvm: virtio-rng-device)",
        )?,
    }
}

/// What the network may use, as far as the program leaves it: half the heap for data, and connections in
/// proportion. A quarter is for the stacks of fibers, and the rest for the program. Nothing is taken before
/// it is needed, and a heap that has no more is a full table, or a smaller pool.
fn limits() -> Limits {
    /// A connection's own state and its places in the tables take well below 2 KiB; they may fill
    /// an eighth of the heap.
    const CONNECTION: usize = 16 * 1024;
    let most = Limits::default();
    Limits { memory: heap::size() / 2, connections: most.connections.min(heap::size() / CONNECTION), ..most }
}

fn run_main(fibers: &'static Fibers, net: Net, configuring: Configuring) -> Result<bool, String> {
    let success = Arc::new(AtomicBool::new(false));
    let main = {
        let (success, net) = (success.clone(), net.clone());
        move || {
            println!("{}", configure::wait(&net, &configuring));
            success.store(barenet_main(net), Ordering::Relaxed);
        }
    };
    fibers.set_main_stack_size(barenet_main_stack_size().unwrap_or(STACK_SIZE_MAIN));
    match fibers.run(&net, Box::new(main)) {
        Ok(Ended::Returned) => Ok(success.load(Ordering::Relaxed)),
        Ok(Ended::Undelivered | Ended::Panicked) => Ok(false),
        Err(why) => Err(format!("`main` can't be started: {why}")),
    }
}
