//! Memory that driver and device share. Nothing here makes a reference to bytes that a device may
//! write: they are copied, or read as atomics.

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32};

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// What the driver needs of a machine beside [`Hal`]: memory for frames, which nobody reads before it was
/// written.
///
/// # Safety
///
/// As for [`Hal::dma_alloc`], except for the contents: they are initialized, to anything.
pub unsafe trait BufferHal: Hal {
    /// Pages that driver and device share, given back by [`Hal::dma_dealloc`]. Zeroing half a mebibyte takes
    /// a guest longer than the rest of its start, so whoever can spare it does.
    fn buffer_alloc(pages: usize, direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        Self::dma_alloc(pages, direction)
    }
}

/// Pages from the hardware abstraction, given back when dropped. Whoever has told a device of them
/// drops them only after the device has stopped.
pub(super) struct Memory<H: Hal> {
    physical: PhysAddr,
    start: NonNull<u8>,
    pages: usize,
    hal: PhantomData<H>,
}

// SAFETY: it owns the pages that `start` points to; nothing about them belongs to a thread.
unsafe impl<H: Hal> Send for Memory<H> {}

impl<H: Hal> Memory<H> {
    /// At least `len` zeroed bytes; `None` if there is no memory.
    pub(super) fn new(len: usize, direction: BufferDirection) -> Option<Memory<H>> {
        let pages = len.div_ceil(PAGE_SIZE);
        Self::of(pages, H::dma_alloc(pages, direction))
    }

    /// At least `len` bytes that hold anything.
    pub(super) fn buffers(len: usize, direction: BufferDirection) -> Option<Memory<H>>
    where
        H: BufferHal,
    {
        let pages = len.div_ceil(PAGE_SIZE);
        Self::of(pages, H::buffer_alloc(pages, direction))
    }

    fn of(pages: usize, (physical, start): (PhysAddr, NonNull<u8>)) -> Option<Memory<H>> {
        // Nothing that would be given back is made of an allocation that failed.
        match physical {
            0 => None,
            _ => Some(Memory { physical, start, pages, hal: PhantomData }),
        }
    }

    /// Where `len` bytes from `at` on lie: initialized, valid as long as `self`.
    pub(super) fn bytes(&self, at: usize, len: usize) -> NonNull<u8> {
        let size = self.pages * PAGE_SIZE;
        assert!(at <= size && len <= size - at);
        // SAFETY: just checked to lie within the pages, which are one allocation.
        unsafe { self.start.add(at) }
    }

    /// The address of byte `at` for the device.
    pub(super) fn address(&self, at: usize) -> PhysAddr {
        self.physical + at as PhysAddr
    }
}

impl<H: Hal> Drop for Memory<H> {
    fn drop(&mut self) {
        // SAFETY: these are the values of the allocation, and nothing uses it any more: what points
        // into it borrows `self`, and a device that knew of it has stopped (see above).
        unsafe { H::dma_dealloc(self.physical, self.start, self.pages) };
    }
}

/// Memory that both sides read and write a field at a time, in little endian.
pub(super) struct Fields<H: Hal>(Memory<H>);

impl<H: Hal> Fields<H> {
    pub(super) fn new(len: usize, direction: BufferDirection) -> Option<Fields<H>> {
        Memory::new(len, direction).map(Fields)
    }

    /// The field of two bytes at `at`.
    pub(super) fn short(&self, at: usize) -> &AtomicU16 {
        assert!(at.is_multiple_of(2));
        let field = self.0.bytes(at, 2).cast::<u16>();
        // SAFETY: inside the pages, which live as long as `self` and are aligned to more than two
        // bytes; this type gives no other access to them than by atomics.
        unsafe { AtomicU16::from_ptr(field.as_ptr()) }
    }

    /// The field of four bytes at `at`.
    pub(super) fn long(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(4));
        let field = self.0.bytes(at, 4).cast::<u32>();
        // SAFETY: as for `short`.
        unsafe { AtomicU32::from_ptr(field.as_ptr()) }
    }

    pub(super) fn address(&self, at: usize) -> PhysAddr {
        self.0.address(at)
    }
}
