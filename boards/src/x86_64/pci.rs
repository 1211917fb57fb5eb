//! PCI by the I/O ports of configuration mechanism 1, which every PC has: finding virtio devices,
//! and sending their interrupts here by MSI-X.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use barenet_drivers::virtio::virtio_drivers::transport::DeviceType;
use barenet_drivers::virtio::virtio_drivers::transport::pci::bus::{
    BarInfo, Cam, Command, ConfigurationAccess, DeviceFunction, MmioCam, PciRoot,
};
use barenet_drivers::virtio::virtio_drivers::transport::pci::virtio_device_type;
use barenet_drivers::virtio::{PciTransport, Vectors};
use x86_64::instructions::port::Port;

use super::hal::{Identity, is_for_devices};
use super::{apic, interrupts};

/// Ports 0xcf8 and 0xcfc.
#[derive(Clone)]
struct Ports;

impl Ports {
    fn select(function: DeviceFunction, register: u8) -> Port<u32> {
        let DeviceFunction { bus, device, function } = function;
        let address = 1 << 31
            | u32::from(bus) << 16
            | u32::from(device) << 11
            | u32::from(function) << 8
            | u32::from(register & !3);
        // SAFETY: the address port of PCI, used only here and with no interrupt in between.
        unsafe { Port::new(0xcf8).write(address) };
        Port::new(0xcfc)
    }
}

impl ConfigurationAccess for Ports {
    fn read_word(&self, function: DeviceFunction, register: u8) -> u32 {
        // SAFETY: reads the selected register; without PCI it gives ones.
        unsafe { Ports::select(function, register).read() }
    }

    fn write_word(&mut self, function: DeviceFunction, register: u8, data: u32) {
        // SAFETY: the callers write registers of the device that they drive.
        unsafe { Ports::select(function, register).write(data) }
    }

    unsafe fn unsafe_clone(&self) -> Ports {
        Ports
    }
}

/// Vendor and device ID of the host bridge; all ones without PCI.
fn host_bridge() -> u32 {
    Ports.read_word(DeviceFunction { bus: 0, device: 0, function: 0 }, 0)
}

/// Is there PCI at all?
pub(super) fn is_present() -> bool {
    host_bridge() != u32::MAX
}

/// Is this the chipset of QEMU's `q35`?
pub(super) fn is_q35() -> bool {
    /// Intel 82G33, "Q35".
    const MCH: u32 = 0x29c0_8086;
    host_bridge() == MCH
}

/// A function on PCI, with its name for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place(DeviceFunction);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PCI {}", self.0)
    }
}

/// The virtio devices of the kind, on all buses, in their order.
pub(super) fn find(kind: DeviceType) -> Vec<Place> {
    let root = PciRoot::new(Ports);
    let mut found = Vec::new();
    let (mut waiting, mut seen) = (BTreeSet::from([0]), BTreeSet::new());
    while let Some(bus) = waiting.pop_first() {
        if !seen.insert(bus) {
            continue;
        }
        for (function, info) in root.enumerate_bus(bus) {
            if virtio_device_type(&info) == Some(kind) {
                found.push(Place(function));
            }
            match (info.class, info.subclass) {
                // Host bridges, and bridges to other buses.
                (6, 0) if (bus, function.device) != (0, 0) => waiting.extend(buses_in_use()),
                (6, 4) => waiting.extend([bus_behind(function)]),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn bus_behind(function: DeviceFunction) -> u8 {
    (Ports.read_word(function, 0x18) >> 8) as u8
}

/// The buses with any device. Where a second root bus begins (QEMU's `pxb-pcie`), only ACPI says.
fn buses_in_use() -> impl Iterator<Item = u8> {
    let is_there = |function| Ports.read_word(function, 0) != u32::MAX;
    let any = move |bus| (0..32).any(|device| is_there(DeviceFunction { bus, device, function: 0 }));
    (0..=255).filter(move |bus| any(*bus))
}

/// Is there a network device on the PCIe bus of a `microvm`, which has no firmware that would give it
/// addresses? Its configuration space is in memory (QEMU, include/hw/i386/microvm.h).
pub(super) fn has_idle_nic() -> bool {
    const ECAM: *mut u8 = core::ptr::without_provenance_mut(0xe000_0000);
    // SAFETY: mapped uncached, and no RAM is there on any machine that QEMU makes; without the bus,
    // reads give ones. Only vendor and class are read.
    let bus = PciRoot::new(unsafe { MmioCam::new(ECAM, Cam::Ecam) });
    bus.enumerate_bus(0).any(|(_, info)| virtio_device_type(&info) == Some(DeviceType::Network))
}

/// The device at the place, ready to be driven.
///
/// # Errors
///
/// A sentence, when it can't be used.
pub(super) fn open(Place(function): Place, kind: DeviceType) -> Result<PciTransport, String> {
    let mut root = PciRoot::new(Ports);
    let bars = root.bars(function).map_err(|why| why.to_string())?;
    // Those without an address are told by name later.
    let memory = bars.iter().flatten().filter_map(BarInfo::memory_address_size).filter(|m| m.0 != 0);
    for (address, size) in memory {
        if !is_for_devices(address, size) {
            return Err(format!(
                "its registers at {address:#x} are not between 3 and 4 GiB: give the machine less memory"
            ));
        }
    }
    root.set_command(function, Command::MEMORY_SPACE | Command::BUS_MASTER);
    // Only the NIC wakes the CPU; the entropy source is waited for.
    let vectors = match kind {
        DeviceType::Network => Some(route(&mut root, function)?),
        _ => None,
    };
    // SAFETY: the ports reach the machine's configuration space; firmware has given the BARs addresses
    // of their own, which lie where no RAM is, as was just checked; decoding is on; `Bus` opens each
    // device once, and gives it to `VirtioNet` or `entropy`.
    let transport = unsafe { PciTransport::new::<Identity, _>(Ports, function, vectors) };
    transport.map_err(|why| why.to_string())
}

/// Fills two entries of the device's MSI-X table: configuration, and all queues.
fn route(root: &mut PciRoot<Ports>, function: DeviceFunction) -> Result<Vectors, String> {
    const MSIX: u8 = 0x11;
    /// The capability takes 12 bytes.
    const LAST: u8 = u8::MAX - 12;
    /// As many capabilities as fit: a list that goes round ends.
    const MOST: usize = 48;
    const ENABLE: u32 = 1 << 31;
    const MASK_ALL: u32 = 1 << 30;
    const ENTRIES: u32 = 2;
    let capability = root
        .capabilities(function)
        .take(MOST)
        .find(|c| c.id == MSIX)
        .filter(|c| c.offset <= LAST)
        .ok_or("the device has no MSI-X: leave `vectors` at its default")?
        .offset;
    let control = Ports.read_word(function, capability);
    if (control >> 16 & 0x7ff) + 1 < ENTRIES {
        return Err("the device has fewer than two MSI-X vectors".into());
    }
    let table = Ports.read_word(function, capability + 4);
    let (bar, offset) = (table as u8 & 7, u64::from(table & !7));
    let size = u64::from(ENTRIES) * 16;
    let address = match root.bar_info(function, bar) {
        Ok(Some(BarInfo::Memory { address: at @ 1.., size: room, .. })) if offset + size <= room => {
            at + offset
        }
        _ => return Err("the device misplaces its MSI-X table".into()),
    };
    use barenet_drivers::virtio::virtio_drivers::Hal;
    // SAFETY: memory that the device's BAR decodes, as just checked, and nobody else has a pointer to.
    let entries = unsafe { Identity::mmio_phys_to_virt(address, size as usize) }.cast::<u32>();
    for (entry, vector) in [interrupts::CONFIG, interrupts::QUEUE].into_iter().enumerate() {
        // Address: the APIC of this CPU. Data: the vector, edge-triggered. Control: not masked.
        let words = [0xfee0_0000 | u32::from(apic::id()) << 12, 0, u32::from(vector), 0];
        for (at, word) in words.into_iter().enumerate() {
            // SAFETY: inside the table, by the check of its size above.
            unsafe { entries.add(entry * 4 + at).write_volatile(word) };
        }
    }
    Ports.write_word(function, capability, control & !MASK_ALL | ENABLE);
    Ok(Vectors { config: 0, queues: 1 })
}
