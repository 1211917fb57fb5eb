//! What the virtio drivers need of the machine: memory that devices reach, which is all of it.

use alloc::alloc::{alloc, alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::arch::asm;
use core::ptr::NonNull;

use barenet_drivers::virtio::BufferHal;
use barenet_drivers::virtio::virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use super::paging;

/// Physical is virtual, and devices see both.
pub(super) struct Identity;

fn layout(pages: usize) -> Option<Layout> {
    Layout::from_size_align(pages.checked_mul(PAGE_SIZE)?, PAGE_SIZE).ok().filter(|l| l.size() > 0)
}

/// Do all of these bytes lie where only devices are, which is mapped uncached?
pub(super) fn is_for_devices(physical: PhysAddr, size: u64) -> bool {
    let end = physical.checked_add(size);
    physical >= paging::DEVICES as PhysAddr && end.is_some_and(|end| end <= paging::LIMIT as PhysAddr)
}

/// What the allocator gave. Address 0 means "no memory" to the caller.
fn allocated(start: Option<*mut u8>) -> (PhysAddr, NonNull<u8>) {
    match start.and_then(NonNull::new) {
        Some(start) => (start.addr().get() as PhysAddr, start),
        None => (0, NonNull::dangling()),
    }
}

// SAFETY: `buffer_alloc` gives pages of the same kind as `dma_alloc`, and initializes them.
unsafe impl BufferHal for Identity {
    fn buffer_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // SAFETY: the layout is not empty.
        let start = layout(pages).map(|layout| unsafe { alloc(layout) });
        if let Some(start) = start {
            // SAFETY: it does nothing. As it may write what is behind the pointer, as far as the compiler
            // knows, those bytes are initialized after it, to what the memory held.
            unsafe { asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags)) };
        }
        allocated(start)
    }
}

// SAFETY: `dma_alloc` gives zeroed pages of the heap, aligned, which belong to nobody else until they
// are given back; virtual addresses are those that devices use, since memory is mapped one to one
// and no IOMMU is on. Registers are never memory of the program, by `is_for_devices`.
unsafe impl Hal for Identity {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // SAFETY: the layout is not empty.
        allocated(layout(pages).map(|layout| unsafe { alloc_zeroed(layout) }))
    }

    unsafe fn dma_dealloc(_: PhysAddr, start: NonNull<u8>, pages: usize) -> i32 {
        if let Some(layout) = layout(pages) {
            // SAFETY: the caller gives back what `dma_alloc` gave for as many pages.
            unsafe { dealloc(start.as_ptr(), layout) };
        }
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, size: usize) -> NonNull<u8> {
        // Checked by whoever found the device, with a sentence; no RAM may be taken for registers.
        assert!(is_for_devices(physical, size as PhysAddr), "a device has its registers elsewhere");
        NonNull::new(physical as *mut u8).expect("the range does not begin with address 0")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.addr().get() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
