//! Memory that driver and device share.

use core::marker::PhantomData;
use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Pages from the hardware abstraction, given back when dropped.
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
        let (physical, start) = H::dma_alloc(pages, direction);
        (physical != 0).then_some(Memory { physical, start, pages, hal: PhantomData })
    }

    /// The bytes from `start` on: initialized, aligned for bytes, valid as long as `self`. Who
    /// makes a reference of it sees to it that the device does not touch them meanwhile.
    pub(super) fn bytes(&self, start: usize, len: usize) -> NonNull<[u8]> {
        let size = self.pages * PAGE_SIZE;
        assert!(start <= size && len <= size - start);
        // SAFETY: just checked to lie within the pages.
        NonNull::slice_from_raw_parts(unsafe { self.start.add(start) }, len)
    }
}

impl<H: Hal> Drop for Memory<H> {
    fn drop(&mut self) {
        // SAFETY: these are the values of the allocation, which is not used any more: the owner
        // has reset the device before.
        unsafe { H::dma_dealloc(self.physical, self.start, self.pages) };
    }
}
