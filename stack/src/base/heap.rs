//! Growth that may fail: what a program has left of the heap is nobody's promise, so nothing here ends
//! it when there is no more.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// So many values of `make`'s. `None`: the heap has no memory for them.
pub(crate) fn fill<T>(count: usize, make: impl FnMut() -> T) -> Option<Box<[T]>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).ok()?;
    values.extend(core::iter::repeat_with(make).take(count));
    // As long as its capacity: nothing is moved.
    Some(values.into_boxed_slice())
}

/// Has the heap so many bytes in one piece, now? For what is about to be allocated where that can't fail.
pub(crate) fn has(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

/// Appends `value`. False: the heap has no memory for that.
pub(crate) fn push<T>(to: &mut Vec<T>, value: T) -> bool {
    let has_room = to.try_reserve(1).is_ok();
    if has_room {
        to.push(value);
    }
    has_room
}
