//! The local APIC: its timer wakes the CPU, and device interrupts arrive through it.
//! The I/O APIC passes on interrupt lines. Both through memory (xAPIC mode).

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::Msr;

use super::interrupts::{SPURIOUS, TIMER};

/// Where every PC has its local APIC; IA32_APIC_BASE could move it, and [`init`] puts it back.
const BASE: usize = 0xfee0_0000;

// Register offsets (Intel SDM volume 3, table 11-1).
const ID: usize = 0x20;
const EOI: usize = 0xb0;
const SPURIOUS_VECTOR: usize = 0xf0;
const LVT_TIMER: usize = 0x320;
const LVT_LINT0: usize = 0x350;
const TIMER_INITIAL: usize = 0x380;
const TIMER_CURRENT: usize = 0x390;
const TIMER_DIVIDE: usize = 0x3e0;

const MASKED: u32 = 1 << 16;

/// Timer ticks per 2^32 microseconds, set by [`set_timer_rate`].
static RATE: AtomicU64 = AtomicU64::new(0);

fn read(register: usize) -> u32 {
    // SAFETY: `BASE` is mapped uncached, `init` has put the APIC there, and reading a register
    // that is named above has no side effect.
    unsafe { ((BASE + register) as *const u32).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: as for `read`; the callers write values that the register takes.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) }
}

/// Enables the APIC, with every source masked, and silences the two 8259s.
pub(super) fn init() {
    const IA32_APIC_BASE: u32 = 0x1b;
    const ENABLE: u64 = 1 << 11;
    const X2APIC: u64 = 1 << 10;
    let mut base = Msr::new(IA32_APIC_BASE);
    // SAFETY: every 64-bit CPU has the register. x2APIC mode is left by way of "disabled", as the
    // SDM (volume 3, 11.12.5) demands; then the APIC is enabled where this file expects it.
    unsafe {
        let old = base.read();
        if old & X2APIC != 0 {
            base.write(old & !(X2APIC | ENABLE));
        }
        base.write(old & 0xf00 & !X2APIC | ENABLE | BASE as u64);
    }
    for data_port in [0x21, 0xa1] {
        // SAFETY: the mask registers of the 8259s; where a machine has none, nothing happens.
        unsafe { Port::<u8>::new(data_port).write(0xff) };
    }
    write(LVT_LINT0, MASKED);
    /// Bit 8: the APIC's software enable.
    const SOFTWARE_ENABLE: u32 = 1 << 8;
    write(SPURIOUS_VECTOR, SOFTWARE_ENABLE | u32::from(SPURIOUS));
    write(TIMER_DIVIDE, DIVIDE_BY_16);
    write(LVT_TIMER, u32::from(TIMER));
}

/// How many times slower than its clock the timer counts, except for
/// [`timer_count_fully`]: at the usual 1 GHz that is 68 seconds in 32 bits.
pub(super) const DIVISOR: u64 = 16;

// Values of `TIMER_DIVIDE`.
const DIVIDE_BY_16: u32 = 0b0011;
const DIVIDE_BY_1: u32 = 0b1011;

/// Lets the timer run down from its greatest number at the full speed of its clock, to be measured.
pub(super) fn timer_count_fully() {
    write(TIMER_DIVIDE, DIVIDE_BY_1);
    timer_start(u32::MAX);
}

/// Ends that, and the timer counts as before.
pub(super) fn timer_count_slowly() {
    timer_start(0);
    write(TIMER_DIVIDE, DIVIDE_BY_16);
}

/// This CPU's address for interrupt messages.
pub(super) fn id() -> u8 {
    (read(ID) >> 24) as u8
}

/// Ends the interrupt that is being handled.
pub(super) fn end_of_interrupt() {
    write(EOI, 0);
}

/// Lets the timer run down from `ticks` once; 0 stops it.
pub(super) fn timer_start(ticks: u32) {
    write(TIMER_INITIAL, ticks);
}

/// Ticks until the timer has run down.
pub(super) fn timer_left() -> u32 {
    read(TIMER_CURRENT)
}

/// States the timer's speed in ticks per second.
pub(super) fn set_timer_rate(hertz: u64) {
    let rate = (u128::from(hertz) << 32) / 1_000_000;
    RATE.store(rate as u64, Ordering::Relaxed);
}

/// Has the timer's interrupt come in `us` microseconds, or earlier if the timer can't count that
/// far. Gives the microseconds until then, or a little more.
pub(super) fn timer_wake_in(us: u64) -> u64 {
    let rate = RATE.load(Ordering::Relaxed).max(1);
    // Half the timer's range: a minute is as good as for ever.
    let us = us.min(((1 << 63) / u128::from(rate)) as u64);
    let ticks = (u128::from(us) * u128::from(rate)) >> 32;
    timer_start((ticks as u32).max(1));
    us
}

/// The I/O APICs that a `microvm` has: lines 0 to 23 and, with ACPI, 24 to 47.
const IO_APICS: [usize; 2] = [0xfec0_0000, 0xfec1_0000];

const IO_VERSION: u32 = 1;
const IO_REDIRECTION: u32 = 0x10;

/// Base of the I/O APIC that serves the line, and the line's number there.
fn io_apic(line: u32) -> Option<(usize, u32)> {
    const LINES: u32 = 24;
    let base = *IO_APICS.get((line / LINES) as usize)?;
    let pin = line % LINES;
    let version = io_read(base, IO_VERSION);
    (version != u32::MAX && version >> 16 & 0xff >= pin).then_some((base, pin))
}

/// The data register of an I/O APIC, with `register` selected.
fn io_select(base: usize, register: u32) -> *mut u32 {
    const DATA: usize = 0x10;
    let select = base as *mut u32;
    // SAFETY: mapped uncached; if no I/O APIC is there, the write vanishes.
    unsafe { select.write_volatile(register) };
    select.wrapping_byte_add(DATA)
}

fn io_read(base: usize, register: u32) -> u32 {
    // SAFETY: mapped uncached, and reading has no effect; without an I/O APIC it gives ones.
    unsafe { io_select(base, register).read_volatile() }
}

fn io_write(base: usize, register: u32, value: u32) {
    // SAFETY: mapped uncached; the caller writes a redirection, which is this file's alone.
    unsafe { io_select(base, register).write_volatile(value) }
}

/// Has the machine an I/O APIC for the line?
pub(super) fn serves_line(line: u32) -> bool {
    io_apic(line).is_some()
}

/// Sends an interrupt line to this CPU as `vector`.
///
/// # Errors
///
/// When no I/O APIC has that line.
pub(super) fn route_line(line: u32, vector: u8) -> Result<(), &'static str> {
    const LEVEL: u32 = 1 << 15;
    let (base, pin) = io_apic(line).ok_or("no I/O APIC serves the virtio device's interrupt line")?;
    io_write(base, IO_REDIRECTION + 2 * pin + 1, u32::from(id()) << 24);
    io_write(base, IO_REDIRECTION + 2 * pin, LEVEL | u32::from(vector));
    Ok(())
}
