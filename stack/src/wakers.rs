//! Tasks that wait for one thing.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use core::task::Waker;

#[cfg(feature = "alloc")]
type Kept = Vec<Waker>;
#[cfg(not(feature = "alloc"))]
type Kept = heapless::Vec<Waker, KEPT>;

/// Tasks that are remembered at a time. With more, the oldest is woken early and asks again: nobody
/// is forgotten, but as long as there are so many they keep each other awake. So there is room for
/// all that a program is likely to have, and a bound for wakers of tasks that have long gone.
#[cfg(feature = "alloc")]
const KEPT: usize = 1024;
/// Without a heap there are few tasks.
#[cfg(not(feature = "alloc"))]
const KEPT: usize = 4;

/// A few wakers, each task once.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Kept);

impl Wakers {
    pub(crate) const fn new() -> Self {
        Wakers(Kept::new())
    }

    /// Remembers the task until the next [`wake`](Self::wake).
    pub(crate) fn register(&mut self, waker: &Waker) {
        if self.0.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        if self.0.len() == KEPT {
            self.0.remove(0).wake();
        }
        self.0.extend([waker.clone()]);
    }

    /// Wakes and forgets all.
    pub(crate) fn wake(&mut self) {
        while let Some(waker) = self.0.pop() {
            waker.wake();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::Wake;
    #[cfg(not(feature = "alloc"))]
    use std::vec::Vec;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// H194, H220: each task is woken once, when there is something for it; one too many wakes the
    /// oldest, which asks again.
    #[test]
    fn nobody_is_forgotten_or_woken_in_vain() {
        let tasks: Vec<Arc<Task>> = (0..=KEPT).map(|_| Arc::default()).collect();
        let woken = |i: usize| tasks[i].0.load(Ordering::Relaxed);
        let mut wakers = Wakers::new();
        for _ in 0..2 {
            tasks[..KEPT].iter().for_each(|t| wakers.register(&t.clone().into()));
        }
        assert!((0..KEPT).all(|i| woken(i) == 0));
        wakers.register(&tasks[KEPT].clone().into());
        assert_eq!((woken(0), woken(1)), (1, 0));
        wakers.wake();
        assert!((0..=KEPT).all(|i| woken(i) == 1) && wakers.is_empty());
    }

    /// A hundred threads in `accept` on one listener, or in `recv` on one socket: none keeps the
    /// others awake.
    #[cfg(feature = "alloc")]
    #[test]
    fn many_tasks_sleep() {
        let tasks: Vec<Arc<Task>> = (0..100).map(|_| Arc::default()).collect();
        let mut wakers = Wakers::new();
        tasks.iter().for_each(|t| wakers.register(&t.clone().into()));
        assert!(tasks.iter().all(|t| t.0.load(Ordering::Relaxed) == 0));
    }
}
