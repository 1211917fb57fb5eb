//! The serial console: the first 16550 of a PC, port 0x3f8.

use core::fmt::{self, Write};

use spin::mutex::SpinMutex;
use uart_16550::{Config, Uart16550Tty, backend::PioBackend};

static SERIAL: SpinMutex<Option<Uart16550Tty<PioBackend>>> = SpinMutex::new(None);

const COM1: u16 = 0x3f8;

/// Looks for the port. Without one (`isa-serial=off`), what is printed goes nowhere.
pub(super) fn init() {
    // SAFETY: these ports are the first serial port's on every PC, and only this file uses them.
    *SERIAL.lock() = unsafe { Uart16550Tty::new_port(COM1, Config::default()) }.ok();
}

/// Writes the text to the console.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    // The lock is taken only if a fault or panic interrupted a print; its text goes in between.
    if SERIAL.try_lock().is_none() {
        // SAFETY: one CPU; the holder of the lock is below us on the call stack or was abandoned.
        unsafe { SERIAL.force_unlock() };
    }
    if let Some(serial) = SERIAL.lock().as_mut() {
        // The port's `write_str` never fails.
        let _ = serial.write_fmt(text);
    }
}
