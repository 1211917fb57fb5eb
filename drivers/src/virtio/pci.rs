//! The PCI transport with what that of `virtio-drivers` leaves out: MSI-X vectors for the queues,
//! and a notification that costs one write to the device instead of two and a read.

use core::fmt::{self, Debug};
use core::ptr::NonNull;

use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction, PciRoot};
use virtio_drivers::transport::pci::{PciTransport as Inner, VirtioPciError};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Hal, PhysAddr, Result};
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PciError {
    /// `virtio-drivers` refused the device.
    Refused(VirtioPciError),
    /// A structure lies outside the memory that the device has.
    BadLayout,
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PciError::Refused(why) => write!(f, "the virtio device on PCI can't be used: {why}"),
            PciError::BadLayout => f.write_str("the virtio device on PCI misplaces its registers"),
        }
    }
}

impl core::error::Error for PciError {}

/// Queues whose notification address is kept. A network device without multiqueue has two.
const QUEUES: usize = 2;

/// virtio over PCI (virtio 1.3, 4.1).
pub struct PciTransport {
    inner: Inner,
    common: Region,
    notify: Region,
    /// Bytes between the notification addresses of queues.
    notify_multiplier: u32,
    /// Where to notify each queue, once it is set up.
    doorbells: [Option<NonNull<u16>>; QUEUES],
    vectors: Option<Vectors>,
}

// SAFETY: device registers belong to no thread, and access goes through `&mut self`.
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

// Offsets in `virtio_pci_common_cfg` (4.1.4.3).
const MSIX_CONFIG: usize = 0x10;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_MSIX_VECTOR: usize = 0x1a;
const QUEUE_NOTIFY_OFF: usize = 0x1e;
const COMMON_LEN: usize = 0x38;

// The kinds of virtio_pci_cap (4.1.4).
const CAP_COMMON: u8 = 1;
const CAP_NOTIFY: u8 = 2;

impl PciTransport {
    /// The virtio device at `function`, whose BARs are assigned and enabled. With `vectors`, it
    /// sends MSI-X messages; without, it uses its interrupt line.
    ///
    /// # Errors
    ///
    /// When the function is not a virtio device or places its registers wrongly.
    pub fn new<H: Hal, C: ConfigurationAccess + Clone>(
        config: C,
        function: DeviceFunction,
        vectors: Option<Vectors>,
    ) -> core::result::Result<PciTransport, PciError> {
        let root = &mut PciRoot::new(config.clone());
        let inner = Inner::new::<H, C>(root, function).map_err(PciError::Refused)?;
        let common = find::<H, C>(root, &config, function, CAP_COMMON)?;
        if common.0.len < COMMON_LEN {
            return Err(PciError::BadLayout);
        }
        let (notify, capability) = find::<H, C>(root, &config, function, CAP_NOTIFY)?;
        Ok(PciTransport {
            inner,
            common: common.0,
            notify,
            notify_multiplier: config.read_word(function, capability + 16),
            doorbells: [None; QUEUES],
            vectors,
        })
    }

    /// A 16-bit register of the common configuration.
    fn common(&self, offset: usize) -> NonNull<u16> {
        self.common.register(offset).expect("`new` has checked the length of the structure")
    }

    fn write(&mut self, offset: usize, value: u16) {
        // SAFETY: a register of the common configuration that the driver may write.
        unsafe { self.common(offset).write_volatile(value) }
    }

    /// Selects the queue, states its vector, and learns where to notify it.
    fn prepare(&mut self, queue: u16) {
        self.write(QUEUE_SELECT, queue);
        if let Some(vectors) = self.vectors {
            self.write(MSIX_CONFIG, vectors.config);
            self.write(QUEUE_MSIX_VECTOR, vectors.queues);
        }
        // SAFETY: a register of the common configuration, read without effect.
        let unit = unsafe { self.common(QUEUE_NOTIFY_OFF).read_volatile() };
        let offset = u64::from(unit) * u64::from(self.notify_multiplier);
        if let Some(doorbell) = self.doorbells.get_mut(usize::from(queue)) {
            *doorbell = usize::try_from(offset).ok().and_then(|at| self.notify.register(at));
        }
    }
}

/// The structure of the given kind, with the offset of the capability that states it.
fn find<H: Hal, C: ConfigurationAccess>(
    root: &mut PciRoot<C>,
    config: &C,
    function: DeviceFunction,
    kind: u8,
) -> core::result::Result<(Region, u8), PciError> {
    /// Capability ID "vendor specific".
    const VENDOR: u8 = 9;
    let capability = root
        .capabilities(function)
        .find(|c| c.id == VENDOR && (c.private_header >> 8) as u8 == kind)
        .ok_or(PciError::BadLayout)?
        .offset;
    let bar = config.read_word(function, capability + 4) as u8;
    let offset = u64::from(config.read_word(function, capability + 8));
    let len = u64::from(config.read_word(function, capability + 12));
    let (address, size) = root
        .bar_info(function, bar)
        .ok()
        .flatten()
        .and_then(|info| info.memory_address_size())
        .ok_or(PciError::BadLayout)?;
    if offset + len > size {
        return Err(PciError::BadLayout);
    }
    let physical: PhysAddr = address + offset;
    // SAFETY: memory that a BAR of the device decodes, as just checked.
    let start = unsafe { H::mmio_phys_to_virt(physical, len as usize) };
    let len = len as usize;
    Ok((Region { start, len }, capability))
}

impl Transport for PciTransport {
    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.prepare(queue);
        self.inner.queue_set(queue, size, descriptors, driver_area, device_area);
    }

    fn notify(&mut self, queue: u16) {
        match self.doorbells.get(usize::from(queue)) {
            // SAFETY: the queue's notification register, inside the notification structure.
            Some(Some(doorbell)) => unsafe { doorbell.write_volatile(queue) },
            _ => self.inner.notify(queue),
        }
    }

    fn device_type(&self) -> DeviceType {
        self.inner.device_type()
    }
    fn read_device_features(&mut self) -> u64 {
        self.inner.read_device_features()
    }
    fn write_driver_features(&mut self, driver_features: u64) {
        self.inner.write_driver_features(driver_features);
    }
    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.inner.max_queue_size(queue)
    }
    fn get_status(&self) -> DeviceStatus {
        self.inner.get_status()
    }
    fn set_status(&mut self, status: DeviceStatus) {
        self.inner.set_status(status);
    }
    fn set_guest_page_size(&mut self, guest_page_size: u32) {
        self.inner.set_guest_page_size(guest_page_size);
    }
    fn requires_legacy_layout(&self) -> bool {
        self.inner.requires_legacy_layout()
    }
    fn queue_unset(&mut self, queue: u16) {
        self.inner.queue_unset(queue);
    }
    fn queue_used(&mut self, queue: u16) -> bool {
        self.inner.queue_used(queue)
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        self.inner.ack_interrupt()
    }
    fn read_config_generation(&self) -> u32 {
        self.inner.read_config_generation()
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        self.inner.read_config_space(offset)
    }
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<()> {
        self.inner.write_config_space(offset, value)
    }
}
