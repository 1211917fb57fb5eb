//! How the program ends: by QEMU's `isa-debug-exit` device at I/O port 0xf4
//! (`-device isa-debug-exit,iobase=0xf4,iosize=0x04`), on `q35` and `microvm` alike.
//!
//! QEMU's own exit status is then `code * 2 + 1`, which is never 0: a runner maps
//! [`QEMU_SUCCESS`] to 0 and everything else to failure. Without the device the CPU stops for good.

use qemu_exit::{QEMUExit, X86};

/// QEMU's exit status when the program succeeded.
pub const QEMU_SUCCESS: u32 = 33;
/// QEMU's exit status when the program failed: an error of `main`, a panic, a fault.
pub const QEMU_FAILURE: u32 = 3;

const PORT: u16 = 0xf4;

/// Ends the machine.
pub(crate) fn exit(success: bool) -> ! {
    // SAFETY: port 0xf4 is unused on a PC but for this device.
    let device = unsafe { X86::new(PORT, QEMU_SUCCESS) };
    if success { device.exit_success() } else { device.exit(QEMU_FAILURE / 2) }
}
