//! Interrupts: they only end a `hlt`. What happened is read from the device by the daemon.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::apic;
use super::segments::Stub;

/// The APIC's timer.
pub(super) const TIMER: u8 = 0x20;
/// A queue of the NIC, by MSI-X.
pub(super) const QUEUE: u8 = 0x21;
/// The NIC's configuration (link state), by MSI-X.
pub(super) const CONFIG: u8 = 0x22;
/// The NIC's interrupt line, for virtio over MMIO.
pub(super) const LINE: u8 = 0x23;
/// What the APIC delivers when an interrupt vanished; it wants no end-of-interrupt.
pub(super) const SPURIOUS: u8 = 0xff;

/// When the timer's interrupt will come, in microseconds of the clock; 0: it came.
pub(super) static ALARM: AtomicU64 = AtomicU64::new(0);

/// The NIC's configuration changed; its driver clears the flag when it has looked.
pub(super) static CONFIG_CHANGED: AtomicBool = AtomicBool::new(true);

/// Address of the InterruptStatus register of the NIC over MMIO; 0 if it is on PCI.
pub(super) static LINE_STATUS: AtomicUsize = AtomicUsize::new(0);

macro_rules! stub {
    ($handler:path) => {{
        // The CPU has aligned the stack and pushed five words; with these nine that is a
        // multiple of 16, as a call wants it. There are no vector registers on this target.
        #[unsafe(naked)]
        unsafe extern "C" fn stub() -> ! {
            naked_asm!(
                "push rax", "push rcx", "push rdx", "push rsi", "push rdi",
                "push r8", "push r9", "push r10", "push r11",
                "cld",
                "call {handler}",
                "pop r11", "pop r10", "pop r9", "pop r8",
                "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rax",
                "iretq",
                handler = sym $handler,
            );
        }
        stub as Stub
    }};
}

/// Every vector that is used, with its stub.
pub(super) const STUBS: [(u8, Stub); 5] = [
    (TIMER, stub!(timer)),
    (QUEUE, stub!(wake)),
    (CONFIG, stub!(config)),
    (LINE, stub!(line)),
    (SPURIOUS, stub!(spurious)),
];

extern "C" fn timer() {
    ALARM.store(0, Ordering::Relaxed);
    apic::end_of_interrupt();
}

extern "C" fn wake() {
    apic::end_of_interrupt();
}

extern "C" fn spurious() {}

extern "C" fn config() {
    CONFIG_CHANGED.store(true, Ordering::Relaxed);
    apic::end_of_interrupt();
}

/// The line stays up until the device has been told that its interrupt was seen.
extern "C" fn line() {
    /// InterruptStatus to InterruptACK, in the virtio MMIO register layout (virtio 1.3, 4.2.2).
    const ACK: usize = 4;
    /// "Configuration Change" in InterruptStatus; the other bit is "Used Buffer".
    const CHANGED: u32 = 1 << 1;
    let register = LINE_STATUS.load(Ordering::Relaxed) as *mut u32;
    if !register.is_null() {
        // SAFETY: `mmio::open` stored the address of the register, and the one it acknowledges by
        // follows it. The driver of the device, which lives for ever, touches neither.
        let status = unsafe {
            let status = register.read_volatile();
            register.byte_add(ACK).write_volatile(status);
            status
        };
        if status & CHANGED != 0 {
            CONFIG_CHANGED.store(true, Ordering::Relaxed);
        }
    }
    apic::end_of_interrupt();
}
