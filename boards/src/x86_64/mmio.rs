//! virtio devices over MMIO: where `microvm` and Firecracker say they are, on the kernel command
//! line (`virtio_mmio.device=512@0xfeb00e00:12`), or where `microvm` puts them when it says nothing.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use barenet_drivers::virtio::virtio_drivers::transport::mmio::{MmioError, MmioTransport, VirtIOHeader};
use barenet_drivers::virtio::virtio_drivers::transport::{DeviceType, Transport};

use super::hal::is_for_devices;
use super::{apic, interrupts};

/// Where a device's registers are, and its interrupt line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    address: usize,
    size: usize,
    line: u32,
}

const OPTION: &str = "virtio_mmio.device=";

/// Is this word of the command line for this file?
pub(super) fn is_option(word: &str) -> bool {
    word.starts_with(OPTION)
}

/// The slots that the words of the command line name.
///
/// # Errors
///
/// One line that names the word that can't be read.
pub(super) fn slots<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<Slot>, String> {
    words
        .filter_map(|word| Some((word, word.strip_prefix(OPTION)?)))
        .map(|(word, value)| {
            parse(value).ok_or_else(|| {
                [
                    "invalid option `",
                    word,
                    "`: expected virtio_mmio.device=SIZE@ADDRESS:IRQ, between 3 and 4 GiB",
                ]
                .concat()
            })
        })
        .collect()
}

fn parse(value: &str) -> Option<Slot> {
    let (size, place) = value.split_once('@')?;
    // An identifier may follow the line after another colon.
    let mut place = place.split(':');
    let slot = Slot {
        address: number(place.next()?)?,
        size: number(size)?,
        line: u32::try_from(number(place.next()?)?).ok()?,
    };
    let is_for_devices = is_for_devices(slot.address as u64, slot.size as u64);
    (slot.address.is_multiple_of(4) && slot.size >= 0x100 && is_for_devices).then_some(slot)
}

/// Decimal or 0x hexadecimal, with the suffix K or M.
fn number(text: &str) -> Option<usize> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 1 << 10),
        b'M' | b'm' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let number = match digits.strip_prefix("0x") {
        Some(hex) => usize::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    number.checked_mul(unit)
}

/// The 24 slots of a `microvm` whose command line is not extended (with ACPI, it is not): 512
/// bytes each from 0xfeb00000 on, lines 24 and up on the second I/O APIC if there is one, else 8
/// from line 5 on (QEMU, hw/i386/microvm.c). QEMU fills them from the last on.
pub(super) fn microvm_slots() -> Vec<Slot> {
    let (count, first_line) = if apic::serves_line(24) { (24, 24) } else { (8, 5) };
    let slot = |i: u32| Slot { address: 0xfeb0_0000 + 512 * i as usize, size: 512, line: first_line + i };
    (0..count).rev().map(slot).collect()
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MMIO {:#x}", self.address)
    }
}

/// The slots with devices of the kind.
pub(super) fn find(slots: &[Slot], kind: DeviceType) -> Vec<Slot> {
    let is_wanted = |slot: &&Slot| match transport(slot) {
        Ok(device) => device.device_type() == kind,
        // An empty slot (device type 0), or nothing.
        Err(MmioError::BadMagic(_) | MmioError::InvalidDeviceID(_)) => false,
        // `open` says what is wrong.
        Err(_) => true,
    };
    slots.iter().filter(is_wanted).copied().collect()
}

fn transport(slot: &Slot) -> Result<MmioTransport<'static>, MmioError> {
    let header = NonNull::new(slot.address as *mut VirtIOHeader).ok_or(MmioError::BadMagic(0))?;
    // SAFETY: `slots` and `microvm_slots` give addresses that are aligned and where no RAM is; where
    // nothing is at all, reads give ones. `find` drops a transport before it makes the next, and
    // `open` is called once for a slot, by `Bus`, which gives it to `VirtioNet` or `entropy`.
    unsafe { MmioTransport::new(header, slot.size) }
}

/// The device in the slot. A NIC's interrupt line is routed to this CPU.
///
/// # Errors
///
/// A sentence, when it can't be used.
pub(super) fn open(slot: Slot, kind: DeviceType) -> Result<MmioTransport<'static>, String> {
    let device = transport(&slot).map_err(|why| why.to_string())?;
    route(&slot, kind)?;
    Ok(device)
}

fn route(slot: &Slot, kind: DeviceType) -> Result<(), String> {
    /// InterruptStatus (virtio 1.3, 4.2.2).
    const STATUS: usize = 0x60;
    // Only the NIC wakes the CPU; the entropy source is waited for.
    if kind == DeviceType::Network {
        interrupts::LINE_STATUS.store(slot.address + STATUS, Ordering::Relaxed);
        apic::route_line(slot.line, interrupts::LINE)?;
    }
    Ok(())
}
