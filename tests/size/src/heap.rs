//! A heap that only grows: what is measured is who asks, not who gives.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

const LEN: usize = 4096;

struct Heap {
    bytes: UnsafeCell<[u8; LEN]>,
    used: AtomicUsize,
}

// SAFETY: `used` gives each byte away once.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { bytes: UnsafeCell::new([0; LEN]), used: AtomicUsize::new(0) };

// SAFETY: what it gives lies inside `bytes`, is aligned, and is given once.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.bytes.get() as usize;
        let from = (start + self.used.load(Ordering::Relaxed)).next_multiple_of(layout.align()) - start;
        match from.checked_add(layout.size()) {
            Some(end) if end <= LEN => {
                self.used.store(end, Ordering::Relaxed);
                // SAFETY: `from` lies inside.
                unsafe { self.bytes.get().cast::<u8>().add(from) }
            }
            _ => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
