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

use alloc::string::String;

use pvh::start_info::reader::{IdentityMap, StartInfoReader};

use crate::println;

mod apic;
mod boot;
mod clock;
mod console;
mod devices;
mod entropy;
mod exit;
mod fault;
mod hal;
mod heap;
mod interrupts;
mod mmio;
mod paging;
mod pci;
mod platform;
mod segments;

pub(crate) use console::print;
pub use exit::{QEMU_FAILURE, QEMU_SUCCESS};

/// The first Rust code, on the boot stack, called from [`boot`].
///
/// # Safety
///
/// Called once, in long mode, with the physical address that the loader gave.
unsafe extern "C" fn start(start_info: u32) -> ! {
    console::init();
    // SAFETY: the loader vouches for the structure; memory is identity-mapped.
    let info = unsafe { StartInfoReader::from_paddr_identity(start_info) };
    let outcome = match info {
        Some(info) => run(&info),
        None => Err("not booted by a PVH loader: use `qemu-system-x86_64 -kernel`".into()),
    };
    match outcome {
        Ok(()) => exit::exit(true),
        Err(why) => {
            println!("error: {why}");
            exit::exit(false)
        }
    }
}

fn run(info: &StartInfoReader<'_, IdentityMap>) -> Result<(), String> {
    heap::init(info)?;
    segments::init();
    // SAFETY: the lowest page of the boot stack serves nothing else.
    unsafe { paging::unmap(boot::stack_guard()) };
    apic::init();
    let _machine = platform::Machine::new(clock::init()?);
    Ok(())
}
