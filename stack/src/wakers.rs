//! Tasks that wait for one thing.

use core::task::Waker;

use heapless::Vec;

/// Tasks that are remembered at a time. With more, the oldest is woken early and asks again, so
/// nobody is forgotten.
const KEPT: usize = 4;

/// A few wakers, each task once.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Vec<Waker, KEPT>);

impl Wakers {
    pub(crate) const fn new() -> Self {
        Wakers(Vec::new())
    }

    /// Remembers the task until the next [`wake`](Self::wake).
    pub(crate) fn register(&mut self, waker: &Waker) {
        if self.0.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        if self.0.is_full() {
            self.0.remove(0).wake();
        }
        // There is room now.
        let _ = self.0.push(waker.clone());
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
