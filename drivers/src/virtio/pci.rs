//! virtio over PCI (virtio 1.3, 4.1): modern devices, with MSI-X vectors for the queues, and a
//! notification that costs one write to the device.
//!
//! What the device says of itself, in its capabilities and registers, is checked: each structure
//! lies inside the BAR that it names, and each register that is used inside its structure.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction, PciRoot};
use virtio_drivers::transport::pci::virtio_device_type;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, Hal, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Entries of the device's MSI-X table, which the board has filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vectors {
    /// The entry for changes of the configuration.
    pub config: u16,
    /// The entry for all queues.
    pub queues: u16,
}

/// Why there is no transport. Its text is one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PciError {
    /// There is no virtio device at the function.
    NotVirtio,
    /// It has no structure of this name: a legacy device (QEMU's `disable-modern=on`).
    Missing(&'static str),
    /// The BAR of the structure of this name is no memory, or nobody gave it an address.
    NoAddress(&'static str),
    /// The structure of this name lies outside of the memory of the device, is too short, or is
    /// not aligned.
    BadLayout(&'static str),
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PciError::NotVirtio => f.write_str("no virtio device is at this place on PCI"),
            PciError::Missing(what) => {
                write!(f, "the virtio device on PCI has no {what}: start QEMU without `disable-modern=on`")
            }
            PciError::NoAddress(what) => {
                write!(f, "the firmware gave the virtio device on PCI no memory for its {what}")
            }
            PciError::BadLayout(what) => write!(f, "the virtio device on PCI misplaces its {what}"),
        }
    }
}

impl core::error::Error for PciError {}

/// Queues that can be used: a network device without multiqueue has two.
const QUEUES: usize = 2;

/// A virtio device on PCI.
pub struct PciTransport {
    device_type: DeviceType,
    common: Region,
    isr: Region,
    device: Option<Region>,
    /// Where to notify each queue that the device has.
    doorbells: [Option<NonNull<u16>>; QUEUES],
    vectors: Option<Vectors>,
}

// SAFETY: device registers belong to no thread, and writing them takes `&mut self`.
unsafe impl Send for PciTransport {}

/// Registers of the device in memory.
#[derive(Clone, Copy)]
struct Region {
    start: NonNull<u8>,
    len: usize,
}

impl Region {
    /// The register of type `T` at `offset`, if it lies inside and is aligned.
    fn register<T>(self, offset: usize) -> Option<NonNull<T>> {
        let end = offset.checked_add(size_of::<T>())?;
        let at = self.start.as_ptr().wrapping_add(offset).cast::<T>();
        (end <= self.len && at.is_aligned()).then_some(NonNull::new(at)?)
    }
}

/// A register of `virtio_pci_common_cfg` (4.1.4.3), all of whose bits are a value.
#[derive(Clone, Copy)]
struct Register<T> {
    offset: usize,
    kind: PhantomData<T>,
}

const fn register<T>(offset: usize) -> Register<T> {
    assert!(offset + size_of::<T>() <= COMMON_LEN && offset.is_multiple_of(size_of::<T>()));
    Register { offset, kind: PhantomData }
}

const DEVICE_FEATURE_SELECT: Register<u32> = register(0x00);
const DEVICE_FEATURE: Register<u32> = register(0x04);
const DRIVER_FEATURE_SELECT: Register<u32> = register(0x08);
const DRIVER_FEATURE: Register<u32> = register(0x0c);
const MSIX_CONFIG: Register<u16> = register(0x10);
const NUM_QUEUES: Register<u16> = register(0x12);
const STATUS: Register<u8> = register(0x14);
const CONFIG_GENERATION: Register<u8> = register(0x15);
const QUEUE_SELECT: Register<u16> = register(0x16);
const QUEUE_SIZE: Register<u16> = register(0x18);
const QUEUE_MSIX_VECTOR: Register<u16> = register(0x1a);
const QUEUE_ENABLE: Register<u16> = register(0x1c);
const QUEUE_NOTIFY_OFF: Register<u16> = register(0x1e);
/// Three addresses of 64 bits, each written in halves (4.1.3.1 allows it).
const QUEUE_ADDRESSES: [Register<u32>; 6] =
    [register(0x20), register(0x24), register(0x28), register(0x2c), register(0x30), register(0x34)];
const COMMON_LEN: usize = 0x38;

/// A kind of `virtio_pci_cap` (4.1.4), with the name of the structure and its alignment.
struct Structure {
    kind: u8,
    name: &'static str,
    len: usize,
    align: usize,
}

const COMMON: Structure = Structure { kind: 1, name: "common configuration", len: COMMON_LEN, align: 4 };
const NOTIFY: Structure = Structure { kind: 2, name: "notification registers", len: 2, align: 2 };
const ISR: Structure = Structure { kind: 3, name: "interrupt status", len: 1, align: 1 };
const DEVICE: Structure = Structure { kind: 4, name: "device configuration", len: 1, align: 4 };

impl PciTransport {
    /// The virtio device at `function`. With `vectors`, it sends MSI-X messages; without, it uses
    /// its interrupt line.
    ///
    /// # Errors
    ///
    /// When the function is not a virtio device or places its registers wrongly.
    ///
    /// # Safety
    ///
    /// `config` reaches the configuration space of the machine, the function's BARs have addresses
    /// where nothing else is, and memory decoding is on. Nobody else drives the function as long as
    /// the transport exists. `H` may map what the BARs decode. And since
    /// [`queue_set`](Transport::queue_set) is a safe function, by which a device can be told to write
    /// anywhere: it is called only by a driver that gives it DMA memory of its own, such as
    /// [`VirtioNet`](super::VirtioNet).
    pub unsafe fn new<H: Hal, C: ConfigurationAccess>(
        config: C,
        function: DeviceFunction,
        vectors: Option<Vectors>,
    ) -> core::result::Result<PciTransport, PciError> {
        // SAFETY: the clone is used to read fields that stay as they are.
        let reader = unsafe { config.unsafe_clone() };
        let mut place = Place { root: PciRoot::new(config), reader, function };
        let device_type = place.device_type().ok_or(PciError::NotVirtio)?;
        let common = place.find::<H>(&COMMON)?.ok_or(PciError::Missing(COMMON.name))?;
        let notify = place.find::<H>(&NOTIFY)?.ok_or(PciError::Missing(NOTIFY.name))?;
        let isr = place.find::<H>(&ISR)?.ok_or(PciError::Missing(ISR.name))?;
        let device = place.find::<H>(&DEVICE)?;
        let multiplier = place.reader.read_word(function, notify.capability + MULTIPLIER);
        let mut transport = PciTransport {
            device_type,
            common: common.region,
            isr: isr.region,
            device: device.map(|found| found.region),
            doorbells: [None; QUEUES],
            vectors,
        };
        transport.find_doorbells(notify.region, multiplier)?;
        Ok(transport)
    }

    /// Learns where to notify the queues that the device has (4.1.4.4).
    fn find_doorbells(&mut self, notify: Region, multiplier: u32) -> core::result::Result<(), PciError> {
        let count = usize::from(self.read(NUM_QUEUES)).min(QUEUES);
        for queue in 0..count {
            self.write(QUEUE_SELECT, queue as u16);
            let offset = u64::from(self.read(QUEUE_NOTIFY_OFF)) * u64::from(multiplier);
            let doorbell = usize::try_from(offset).ok().and_then(|at| notify.register(at));
            self.doorbells[queue] = Some(doorbell.ok_or(PciError::BadLayout(NOTIFY.name))?);
        }
        Ok(())
    }

    fn read<T: FromBytes>(&self, register: Register<T>) -> T {
        // SAFETY: inside the structure, whose length and alignment `find` has checked, and
        // `register` the offset. Every value of it is a `T`, and reading has no effect.
        unsafe { self.common.start.add(register.offset).cast::<T>().read_volatile() }
    }

    fn write<T: IntoBytes>(&mut self, register: Register<T>, value: T) {
        // SAFETY: as for `read`. Writing makes the device do what its driver asks for; whoever
        // gives it addresses of memory answers for them (see `DmaTransport`).
        unsafe { self.common.start.add(register.offset).cast::<T>().write_volatile(value) }
    }

    /// States the vectors of the selected queue, which every reset forgets. False: the device has
    /// none to give (4.1.5.1.2.2).
    fn set_vectors(&mut self) -> bool {
        let Some(vectors) = self.vectors else {
            return true;
        };
        self.write(MSIX_CONFIG, vectors.config);
        self.write(QUEUE_MSIX_VECTOR, vectors.queues);
        (self.read(MSIX_CONFIG), self.read(QUEUE_MSIX_VECTOR)) == (vectors.config, vectors.queues)
    }
}

/// Offset of `notify_off_multiplier` in the capability.
const MULTIPLIER: u8 = 16;

/// A function on PCI.
struct Place<C: ConfigurationAccess> {
    root: PciRoot<C>,
    reader: C,
    function: DeviceFunction,
}

/// A structure, and the offset of the capability that states it.
struct Found {
    region: Region,
    capability: u8,
}

impl<C: ConfigurationAccess> Place<C> {
    fn device_type(&self) -> Option<DeviceType> {
        let mut on_bus = self.root.enumerate_bus(self.function.bus);
        on_bus.find(|(at, _)| *at == self.function).and_then(|(_, info)| virtio_device_type(&info))
    }

    /// The offset of the first capability for the structure.
    fn capability(&self, wanted: &Structure) -> Option<u8> {
        /// Capability ID "vendor specific".
        const VENDOR: u8 = 9;
        /// As many capabilities as fit: a list that goes round ends.
        const MOST: usize = 48;
        let len = if wanted.kind == NOTIFY.kind { MULTIPLIER + 4 } else { 16 };
        let mut all = self.root.capabilities(self.function).take(MOST);
        let found = all.find(|c| {
            let [stated, kind] = c.private_header.to_le_bytes();
            c.id == VENDOR && kind == wanted.kind && stated >= len && c.offset.checked_add(len).is_some()
        });
        found.map(|c| c.offset)
    }

    /// The structure; `None` if the device states none.
    fn find<H: Hal>(&mut self, wanted: &Structure) -> core::result::Result<Option<Found>, PciError> {
        const BARS: u8 = 6;
        let Some(capability) = self.capability(wanted) else {
            return Ok(None);
        };
        let bad = PciError::BadLayout(wanted.name);
        let word = |at: u8| self.reader.read_word(self.function, capability + at);
        let (bar, offset, len) = (word(4) as u8, word(8), word(12));
        if bar >= BARS {
            return Err(bad);
        }
        let info = self.root.bar_info(self.function, bar).map_err(|_| bad)?;
        let memory = info.and_then(|info| info.memory_address_size());
        let (address, size) = memory.filter(|m| m.0 != 0).ok_or(PciError::NoAddress(wanted.name))?;
        let inside = u64::from(offset) + u64::from(len) <= size;
        let physical: PhysAddr = address.checked_add(u64::from(offset)).filter(|_| inside).ok_or(bad)?;
        let len = usize::try_from(len).map_err(|_| bad)?;
        if len < wanted.len {
            return Err(bad);
        }
        // SAFETY: memory that a BAR of the device decodes, as just checked, by the promise of
        // `PciTransport::new` at an address of its own.
        let start = unsafe { H::mmio_phys_to_virt(physical, len) };
        match start.addr().get().is_multiple_of(wanted.align) {
            true => Ok(Some(Found { region: Region { start, len }, capability })),
            false => Err(bad),
        }
    }
}

impl Transport for PciTransport {
    fn device_type(&self) -> DeviceType {
        self.device_type
    }

    fn read_device_features(&mut self) -> u64 {
        let [low, high] = [0, 1].map(|half| {
            self.write(DEVICE_FEATURE_SELECT, half);
            u64::from(self.read(DEVICE_FEATURE))
        });
        low | high << 32
    }

    fn write_driver_features(&mut self, features: u64) {
        for (half, bits) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.write(DRIVER_FEATURE_SELECT, half);
            self.write(DRIVER_FEATURE, bits);
        }
    }

    /// 0 for a queue that the device does not have.
    fn max_queue_size(&mut self, queue: u16) -> u32 {
        if self.doorbells.get(usize::from(queue)).is_none_or(Option::is_none) {
            return 0;
        }
        self.write(QUEUE_SELECT, queue);
        self.read(QUEUE_SIZE).into()
    }

    fn notify(&mut self, queue: u16) {
        if let Some(Some(doorbell)) = self.doorbells.get(usize::from(queue)) {
            // SAFETY: the queue's notification register, inside the notification structure.
            unsafe { doorbell.write_volatile(queue) }
        }
    }

    /// All bits, also those that mean nothing: a device that was pulled out has them all set.
    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.read(STATUS).into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.write(STATUS, status.bits() as u8);
    }

    /// Only legacy devices ask for it.
    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    /// Leaves the queue off if the device gives it no vector.
    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.write(QUEUE_SELECT, queue);
        if !self.set_vectors() {
            return;
        }
        self.write(QUEUE_SIZE, size as u16);
        let halves = [descriptors, driver_area, device_area].map(|a| [a as u32, (a >> 32) as u32]);
        for (register, half) in QUEUE_ADDRESSES.into_iter().zip(halves.into_iter().flatten()) {
            self.write(register, half);
        }
        self.write(QUEUE_ENABLE, 1);
    }

    /// A reset of the device is what turns queues off.
    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.write(QUEUE_SELECT, queue);
        self.read(QUEUE_ENABLE) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        // SAFETY: the register, inside its structure; reading it acknowledges, which is wanted.
        let status = unsafe { self.isr.start.read_volatile() };
        InterruptStatus::from_bits_retain(status.into())
    }

    fn read_config_generation(&self) -> u32 {
        self.read(CONFIG_GENERATION).into()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let device = self.device.ok_or(Error::ConfigSpaceMissing)?;
        let register = device.register::<T>(offset).ok_or(Error::ConfigSpaceTooSmall)?;
        // SAFETY: inside the structure and aligned, as just checked; any bytes are a `T`, and
        // reading the configuration has no effect.
        Ok(unsafe { register.read_volatile() })
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<()> {
        let device = self.device.ok_or(Error::ConfigSpaceMissing)?;
        let register = device.register::<T>(offset).ok_or(Error::ConfigSpaceTooSmall)?;
        // SAFETY: as for reading; what the driver writes there is data to the device.
        unsafe { register.write_volatile(value) };
        Ok(())
    }
}

impl Drop for PciTransport {
    /// Resets the device. Whoever gave it memory waits until it has stopped, before.
    fn drop(&mut self) {
        self.set_status(DeviceStatus::empty());
    }
}
