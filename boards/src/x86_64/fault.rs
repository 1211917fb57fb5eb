//! What went wrong: CPU exceptions and panics. The console gets the cause.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::registers::control::Cr2;

use super::{boot, exit, paging};
use crate::{fiber, println};

/// What the stub and the CPU pushed, from the lowest address on.
#[repr(C)]
pub(super) struct Frame {
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

const PAGE_FAULT: u64 = 14;

/// Prints what the exception was and ends the program. The state that it interrupted, perhaps
/// inside the stack, can't be trusted: so a fault ends everything, other than a panic.
pub(super) extern "C" fn report(frame: &Frame) -> ! {
    let name = NAMES.get(frame.vector as usize).copied().unwrap_or("exception");
    println!(
        "\nfault: {name} (vector {}, error {:#x}) at {:#x}, stack {:#x}",
        frame.vector, frame.error, frame.rip, frame.rsp
    );
    if frame.vector == PAGE_FAULT {
        let address = Cr2::read_raw() as usize;
        println!("touched address {address:#x}");
        let guard = boot::stack_guard();
        if let Some(name) = fiber::overflowed(address) {
            println!("fiber `{name}` overflowed its stack");
        } else if (guard..guard + paging::SIZE_4K).contains(&address) {
            println!("the scheduler overflowed its stack");
        }
    }
    exit::exit(false)
}

const NAMES: [&str; 22] = [
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "no coprocessor",
    "double fault",
    "coprocessor overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "reserved",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
    "virtualization",
    "control flow",
];

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    // A panic while printing the panic: stop without a word.
    if PANICKING.swap(true, Ordering::Relaxed) {
        exit::exit(false);
    }
    println!("\n{info}");
    PANICKING.store(false, Ordering::Relaxed);
    fiber::abandon();
    exit::exit(false)
}
