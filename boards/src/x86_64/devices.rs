//! Finding the machine's virtio devices: on PCI, or over MMIO.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use barenet::device::Device;
use barenet_drivers::virtio::virtio_drivers::transport::DeviceType;
use barenet_drivers::virtio::{self, DmaTransport, InitError, VirtioNet};

use super::hal::Identity;
use super::interrupts::CONFIG_CHANGED;
use super::mmio::{self, Slot};
use super::pci;

/// Where the machine has its devices.
pub(super) enum Bus {
    Pci,
    Mmio(Vec<Slot>),
}

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

    /// The first network device. `None` without one, for which [`no_nic`](Self::no_nic) has words.
    pub(super) fn nic(&self) -> Option<Result<Nic, String>> {
        const KIND: DeviceType = DeviceType::Network;
        match self {
            Bus::Pci => first("virtio-net", &pci::find(KIND), |at| pci::open(at, KIND), start_nic),
            Bus::Mmio(slots) => {
                first("virtio-net", &mmio::find(slots, KIND), |at| mmio::open(at, KIND), start_nic)
            }
        }
    }

    /// 32 bytes from the first entropy device.
    pub(super) fn entropy(&self) -> Option<Result<[u8; 32], String>> {
        const KIND: DeviceType = DeviceType::EntropySource;
        let found = match self {
            Bus::Pci => first(
                "virtio-rng",
                &pci::find(KIND),
                |at| pci::open(at, KIND),
                virtio::entropy::<Identity, _>,
            ),
            Bus::Mmio(slots) => first(
                "virtio-rng",
                &mmio::find(slots, KIND),
                |at| mmio::open(at, KIND),
                virtio::entropy::<Identity, _>,
            ),
        };
        found.map(|found| found.map(|found| found.device))
    }

    /// Why there is no network device, in one line.
    pub(super) fn no_nic(&self) -> &'static str {
        match self {
            Bus::Mmio(_) if pci::has_idle_nic() => {
                "the network device is on microvm's PCIe bus, which nobody sets up: use \
                 `-device virtio-net-device,netdev=n` instead of virtio-net-pci"
            }
            _ => {
                "no network device: start QEMU with `-netdev user,id=n` and \
                 `-device virtio-net-pci,netdev=n` (q35) or \
                 `-device virtio-net-device,netdev=n` (microvm)"
            }
        }
    }
}

/// A device that was found, with its place and those of others of its kind.
pub(super) struct Found<D> {
    pub(super) device: D,
    place: String,
    others: Vec<String>,
}

/// Where it is, for people.
impl<D> fmt::Display for Found<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        match &self.others[..] {
            [] => Ok(()),
            others => write!(f, " (not used: {})", others.join(", ")),
        }
    }
}

pub(super) type Nic = Found<Box<dyn Device + Send>>;

fn start_nic<T: DmaTransport + Send + 'static>(transport: T) -> Result<Box<dyn Device + Send>, InitError> {
    Ok(Box::new(VirtioNet::<Identity, T>::new(transport, &CONFIG_CHANGED)?))
}

/// The first device of those at `places`, of the kind that `name` names.
fn first<P: Copy + fmt::Display, T, D>(
    name: &str,
    places: &[P],
    open: impl FnOnce(P) -> Result<T, String>,
    start: impl FnOnce(T) -> Result<D, InitError>,
) -> Option<Result<Found<D>, String>> {
    let (place, others) = places.split_first()?;
    let device = open(*place).and_then(|transport| start(transport).map_err(|why| why.to_string()));
    Some(match device {
        Ok(device) => {
            Ok(Found { device, place: place.to_string(), others: others.iter().map(P::to_string).collect() })
        }
        Err(why) => Err(format!("{name} at {place}: {why}")),
    })
}
