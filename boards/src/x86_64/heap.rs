//! The heap: all RAM from the end of the program's image to the end of the region it lies in,
//! as the loader's memory map states it, below 4 GiB. [`size`] says how much that is.

use core::sync::atomic::{AtomicUsize, Ordering};

use pvh::start_info::MemmapType;
use pvh::start_info::reader::{IdentityMap, StartInfoReader};
use talc::{DefaultBinning, source::Manual, sync::TalcLock};

use super::{boot, paging};

/// Fibers are cooperative and interrupt handlers do not allocate, so the lock is never waited for.
#[global_allocator]
static HEAP: TalcLock<spin::mutex::SpinMutex<()>, Manual, DefaultBinning> = TalcLock::new(Manual);

static SIZE: AtomicUsize = AtomicUsize::new(0);

/// Less than this can't hold the NIC's rings and the stack's pool.
const SIZE_MIN: usize = 4 << 20;

/// Bytes of heap.
pub(super) fn size() -> usize {
    SIZE.load(Ordering::Relaxed)
}

/// Finds the memory and gives it to the allocator.
///
/// # Errors
///
/// A sentence for the console, if there is no usable memory map or too little memory.
pub(super) fn init(info: &StartInfoReader<'_, IdentityMap>) -> Result<(), &'static str> {
    let from = boot::image_end().next_multiple_of(paging::SIZE_4K);
    let region = info.memmap().iter().find(|e| {
        let (start, end) = (e.addr, e.addr.saturating_add(e.size));
        e.ty() == MemmapType::Ram && (start..end).contains(&(from as u64))
    });
    let Some(region) = region else {
        return Err("the loader's memory map has no RAM behind the program");
    };
    let end = region.addr.saturating_add(region.size).min(paging::LIMIT as u64) as usize;
    let size = end - from;
    if size < SIZE_MIN {
        return Err("too little memory: give the machine at least 16 MiB");
    }
    // SAFETY: the map says that this is RAM; the image ends before it, the page tables map it,
    // and loaders keep the start information, which we read from, below the image.
    let claimed = unsafe { HEAP.lock().claim(from as *mut u8, size) };
    SIZE.store(size, Ordering::Relaxed);
    claimed.map(|_| ()).ok_or("the heap can't be set up")
}
