//! Finding the machine's virtio devices: on PCI, or over MMIO.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use barenet::device::Device;
use barenet_drivers::virtio::VirtioNet;
use barenet_drivers::virtio::virtio_drivers::device::rng::VirtIORng;
use barenet_drivers::virtio::virtio_drivers::transport::{DeviceType, Transport};

use super::hal::Identity;
use super::interrupts::CONFIG_CHANGED;
use super::mmio::{self, Slot};
use super::pci;

/// Where the machine has its devices.
pub(super) enum Bus {
    Pci,
    Mmio(Vec<Slot>),
}

/// A device of the wanted kind, with whatever was made of it.
type Found<T> = Option<Result<T, String>>;

impl Bus {
    /// The bus that the command line describes, else PCI if there is one, else the places where
    /// a `microvm` has its devices.
    ///
    /// # Errors
    ///
    /// One line that names the word of the command line that can't be read.
    pub(super) fn of_machine(words: &[&str]) -> Result<Bus, String> {
        let named = mmio::slots(words.iter().copied())?;
        Ok(if !named.is_empty() {
            Bus::Mmio(named)
        } else if pci::is_present() {
            Bus::Pci
        } else {
            Bus::Mmio(mmio::microvm_slots())
        })
    }

    /// The machine that has such a bus, for people.
    pub(super) fn machine_name(&self) -> &'static str {
        match self {
            Bus::Pci if pci::is_q35() => "q35 (virtio over PCI)",
            Bus::Pci => "PC (virtio over PCI)",
            Bus::Mmio(_) => "microvm (virtio over MMIO)",
        }
    }

    /// The first network device.
    pub(super) fn nic(&self) -> Found<Box<dyn Device + Send>> {
        match self {
            Bus::Pci => pci::find(DeviceType::Network).map(|found| nic_on(found?)),
            Bus::Mmio(slots) => mmio::find(slots, DeviceType::Network).map(|found| nic_on(found?)),
        }
    }

    /// 32 bytes from the first entropy device.
    pub(super) fn entropy(&self) -> Found<[u8; 32]> {
        const KIND: DeviceType = DeviceType::EntropySource;
        match self {
            Bus::Pci => pci::find(KIND).map(|found| entropy_from(found?)),
            Bus::Mmio(slots) => mmio::find(slots, KIND).map(|found| entropy_from(found?)),
        }
    }
}

fn nic_on<T: Transport + Send + 'static>(transport: T) -> Result<Box<dyn Device + Send>, String> {
    match VirtioNet::<Identity, T>::new(transport, &CONFIG_CHANGED) {
        Ok(nic) => Ok(Box::new(nic)),
        Err(why) => Err(why.to_string()),
    }
}

fn entropy_from<T: Transport>(transport: T) -> Result<[u8; 32], String> {
    let mut device = VirtIORng::<Identity, T>::new(transport)
        .map_err(|why| ["the virtio-rng device can't be used: ", &why.to_string()].concat())?;
    let (mut seed, mut filled) = ([0; 32], 0);
    while filled < seed.len() {
        match device.request_entropy(&mut seed[filled..]) {
            Ok(count @ 1..) => filled += count.min(seed.len() - filled),
            Ok(_) | Err(_) => return Err("the virtio-rng device gives no entropy".into()),
        }
    }
    Ok(seed)
}
