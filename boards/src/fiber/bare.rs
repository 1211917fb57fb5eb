//! Fibers without an operating system: stacks from the heap with a page unmapped below, a fixed
//! place for the running fiber, no unwinding.

use alloc::alloc::{Layout, alloc, dealloc};
use alloc::boxed::Box;
use core::num::NonZeroUsize;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use corosensei::stack::StackPointer;

use super::{Ended, Task};
use crate::x86_64::paging;

/// Bytes below a stack that can't be touched.
const GUARD_SIZE: usize = paging::SIZE_4K;

/// The same.
pub(super) fn guard_size() -> usize {
    GUARD_SIZE
}

static RUNNING: AtomicPtr<Task> = AtomicPtr::new(ptr::null_mut());

pub(super) fn running() -> *const Task {
    RUNNING.load(Ordering::Relaxed)
}

pub(super) fn set_running(task: *const Task) {
    RUNNING.store(task.cast_mut(), Ordering::Relaxed);
}

/// Faults are reported by the board in any case.
pub(super) fn watch_guards() {}

/// A panic does not come back here: it goes to the panic handler and from there to `abandon`.
pub(super) fn catch(job: Box<dyn FnOnce() + Send>) -> Ended {
    job();
    Ended::Returned
}

/// A stack. The scheduler keeps it for ever, since its guard page stays unmapped.
pub(super) struct Stack {
    /// Of the guard page.
    start: NonZeroUsize,
    /// Without the guard page.
    size: usize,
}

// SAFETY: a guard page lies below, and `stack` makes none smaller than corosensei's minimum.
unsafe impl corosensei::stack::Stack for Stack {
    fn base(&self) -> StackPointer {
        self.start.saturating_add(GUARD_SIZE + self.size)
    }

    fn limit(&self) -> StackPointer {
        self.start
    }
}

/// A new stack of `size` bytes; `None` if there is no memory.
pub(super) fn stack(size: usize) -> Option<Stack> {
    let size = size.checked_next_multiple_of(GUARD_SIZE)?;
    let layout = Layout::from_size_align(size.checked_add(GUARD_SIZE)?, GUARD_SIZE).ok()?;
    // SAFETY: the layout is not empty.
    let start = unsafe { alloc(layout) };
    let address = NonZeroUsize::new(start.expose_provenance())?;
    // SAFETY: the page is the stack's own, at its low end, and the stack lives for ever.
    if unsafe { paging::unmap(address.get()) }.is_err() {
        // SAFETY: just allocated with this layout.
        unsafe { dealloc(start, layout) };
        return None;
    }
    Some(Stack { start: address, size })
}
