//! One split virtqueue (virtio 1.3, 2.7) of buffers that take a descriptor each: what is lent to
//! the device, and who has to be told when.
//!
//! A buffer has the number of its descriptor for good, so there is no list of free descriptors.
//! What the device writes, the used ring, is read once and believed only as far as it agrees with
//! `lent`, which the device can't reach. What the driver writes is never read back.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::fence;

use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use super::features::InitError;
use super::memory::Fields;
use super::transport::DmaTransport;

/// Bytes of a descriptor (2.7.5), and of an element of the used ring (2.7.8).
const DESCRIPTOR_LEN: usize = 16;
const ELEMENT_LEN: usize = 8;

// The device's area: the used ring.
const USED_FLAGS: usize = 0;
const USED_INDEX: usize = 2;
const USED_RING: usize = 4;

/// The device broke the protocol of the queues.
#[derive(Debug)]
pub(super) struct Broken;

/// A buffer as the device sees it.
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    pub(super) address: PhysAddr,
    pub(super) len: usize,
    /// The device writes it, else it reads it.
    pub(super) writable: bool,
}

/// The queue of `N` descriptors, a power of two. Each buffer is known by a number below that.
pub(super) struct Queue<H: Hal, const N: usize> {
    driver: Fields<H>,
    device: Fields<H>,
    index: u16,
    /// Is the buffer with the device?
    lent: [bool; N],
    /// Buffers made available, and taken back, since the start.
    available: u16,
    used: u16,
    /// Buffers given to the device since it was last told so.
    untold: usize,
    /// Interrupts are on.
    armed: bool,
}

impl<H: Hal, const N: usize> Queue<H, N> {
    // The driver's area: the descriptors, then the available ring (2.7.6).
    const AVAILABLE: usize = N * DESCRIPTOR_LEN;
    const AVAILABLE_INDEX: usize = Self::AVAILABLE + 2;
    const AVAILABLE_RING: usize = Self::AVAILABLE + 4;
    const DRIVER_LEN: usize = Self::AVAILABLE_RING + N * 2;
    const DEVICE_LEN: usize = USED_RING + N * ELEMENT_LEN;

    /// The memory of queue `index`, which the device does not know yet.
    pub(super) fn new(index: u16) -> Option<Self> {
        Some(Queue {
            driver: Fields::new(Self::DRIVER_LEN, BufferDirection::DriverToDevice)?,
            device: Fields::new(Self::DEVICE_LEN, BufferDirection::DeviceToDriver)?,
            index,
            lent: [false; N],
            available: 0,
            used: 0,
            untold: 0,
            armed: true,
        })
    }

    /// Tells the device where the queue is. No interrupts yet.
    pub(super) fn start<T: DmaTransport>(&mut self, transport: &mut T) -> Result<(), InitError> {
        self.interrupts(false);
        if (transport.max_queue_size(self.index) as usize) < N {
            return Err(InitError::Queue(N));
        }
        let (driver, device) = (&self.driver, &self.device);
        let addresses = [driver.address(0), driver.address(Self::AVAILABLE), device.address(0)];
        let [descriptors, available, used] = addresses;
        transport.queue_set(self.index, N as u32, descriptors, available, used);
        match transport.queue_used(self.index) {
            true => Ok(()),
            false => Err(InitError::Queue(N)),
        }
    }

    /// Lends a buffer to the device.
    ///
    /// # Safety
    ///
    /// The buffer lies in DMA memory that lives until the device has stopped. Until
    /// [`take`](Self::take) gives its number, nobody writes it, and if it is writable nobody holds
    /// a reference into it.
    pub(super) unsafe fn lend(&mut self, number: u16, buffer: Buffer) {
        const WRITE: u32 = 1 << 1;
        let lent = &mut self.lent[usize::from(number)];
        assert!(!*lent, "a buffer is lent once");
        *lent = true;
        // Address, length, flags; there is no next descriptor.
        let at = usize::from(number) * DESCRIPTOR_LEN;
        let flags = if buffer.writable { WRITE } else { 0 };
        let words = [buffer.address as u32, (buffer.address >> 32) as u32, buffer.len as u32, flags];
        for (i, word) in words.into_iter().enumerate() {
            self.driver.long(at + 4 * i).store(word.to_le(), Relaxed);
        }
        let slot = Self::AVAILABLE_RING + 2 * (usize::from(self.available) % N);
        self.driver.short(slot).store(number.to_le(), Relaxed);
        self.available = self.available.wrapping_add(1);
        // The device reads descriptor and ring only after it has seen the index.
        self.driver.short(Self::AVAILABLE_INDEX).store(self.available.to_le(), Release);
        self.untold += 1;
    }

    /// Takes the next buffer back that the device is done with: its number, and how many bytes the
    /// device says it wrote.
    pub(super) fn take(&mut self) -> Result<Option<(u16, usize)>, Broken> {
        if !self.has_next() {
            return Ok(None);
        }
        let element = USED_RING + ELEMENT_LEN * (usize::from(self.used) % N);
        let number = u32::from_le(self.device.long(element).load(Relaxed));
        let len = u32::from_le(self.device.long(element + 4).load(Relaxed));
        let lent = self.lent.get_mut(number as usize).filter(|lent| **lent).ok_or(Broken)?;
        *lent = false;
        self.used = self.used.wrapping_add(1);
        Ok(Some((number as u16, len as usize)))
    }

    fn has_next(&self) -> bool {
        // What the device wrote before it moved the index is seen after this.
        u16::from_le(self.device.short(USED_INDEX).load(Acquire)) != self.used
    }

    /// Buffers that the device was not told of yet.
    pub(super) fn untold(&self) -> usize {
        self.untold
    }

    /// Tells the device about new buffers, if there are any and it wants to know.
    pub(super) fn tell<T: DmaTransport>(&mut self, transport: &mut T) {
        const NO_NOTIFY: u16 = 1;
        if self.untold == 0 {
            return;
        }
        self.untold = 0;
        // The device sets its flag and then looks at the index; we have set the index and now look
        // at the flag. Without a full barrier between, both could see the old value.
        fence(SeqCst);
        if u16::from_le(self.device.short(USED_FLAGS).load(Relaxed)) & NO_NOTIFY == 0 {
            transport.notify(self.index);
        }
    }

    /// Switches interrupts for used buffers on or off.
    pub(super) fn interrupts(&mut self, on: bool) {
        const NO_INTERRUPT: u16 = 1;
        if self.armed != on {
            self.armed = on;
            let flags = if on { 0 } else { NO_INTERRUPT };
            self.driver.short(Self::AVAILABLE).store(flags.to_le(), Relaxed);
        }
    }

    /// Is the device done with a buffer? Certain even just after interrupts were switched on.
    pub(super) fn has_used(&self) -> bool {
        // As in `tell`: our flag first, then the device's index.
        fence(SeqCst);
        self.has_next()
    }
}
