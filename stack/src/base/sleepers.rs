//! Tasks that wait for a point in time, on a wheel of their own: a thousand cost what one costs.

use alloc::vec::Vec;
use core::task::Waker;

use super::wakers::{NOBODY, Woken};
use super::wheel::{Node, Nodes, Wheel};
use crate::time::Instant;

/// The place of one sleeper, as long as it has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(u32);

#[derive(Default)]
struct Sleeper {
    node: Node,
    waker: Option<Waker>,
}

struct Sleeping(Vec<Sleeper>);

impl Nodes for Sleeping {
    fn node(&mut self, index: u32) -> &mut Node {
        &mut self.0[index as usize].node
    }
}

/// All sleepers. Their table grows with the futures that the program holds.
pub(crate) struct Sleepers {
    wheel: Wheel,
    all: Sleeping,
    free: Vec<u32>,
}

impl Sleepers {
    pub(crate) const fn new() -> Self {
        Sleepers { wheel: Wheel::new(), all: Sleeping(Vec::new()), free: Vec::new() }
    }

    /// A place, until it is given [back](Self::give_back); `None`: there is no memory for one.
    pub(crate) fn place(&mut self) -> Option<Place> {
        if let Some(index) = self.free.pop() {
            return Some(Place(index));
        }
        // So that giving it back needs no memory.
        let index = self.all.0.len();
        self.free.try_reserve(index + 1).ok()?;
        self.all.0.try_reserve(1).ok()?;
        self.all.0.push(Sleeper::default());
        u32::try_from(index).ok().map(Place)
    }

    /// `waker` is woken at `at`, once.
    pub(crate) fn sleep(&mut self, place: Place, at: Instant, waker: &Waker) {
        if waker.will_wake(NOBODY) {
            return;
        }
        self.wheel.arm(&mut self.all, place.0, at);
        let kept = &mut self.all.0[place.0 as usize].waker;
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }

    /// Gives the waker too, which is not to be dropped under the lock.
    pub(crate) fn give_back(&mut self, place: Place) -> Option<Waker> {
        self.wheel.cancel(&mut self.all, place.0);
        self.free.push(place.0);
        self.all.0[place.0 as usize].waker.take()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// Those whose time has come are to be woken.
    pub(crate) fn expire(&mut self, now: Instant, woken: &mut Woken) {
        while let Some(index) = self.wheel.expire(&mut self.all, now) {
            woken.take(&mut self.all.0[index as usize].waker);
        }
    }

    /// So are all.
    pub(crate) fn wake(&mut self, woken: &mut Woken) {
        self.all.0.iter_mut().for_each(|sleeper| woken.take(&mut sleeper.waker));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::Wake;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// H192: each of a thousand is woken once, at its time, and none that was given up; places are used again.
    #[test]
    fn a_thousand_sleepers_wake_at_their_times() {
        let (mut sleepers, mut woken) = (Sleepers::new(), Woken::new());
        let tasks: Vec<Arc<Task>> = (0..1000).map(|_| Arc::default()).collect();
        let mut places = Vec::new();
        for (i, task) in tasks.iter().enumerate() {
            let place = sleepers.place().unwrap();
            sleepers.sleep(place, Instant::from_millis(i as u64 * 7), &task.clone().into());
            places.push(place);
        }
        places.iter().step_by(2).for_each(|place| drop(sleepers.give_back(*place)));
        for ms in 0..7000 {
            sleepers.expire(Instant::from_millis(ms), &mut woken);
            while let Some(waker) = woken.pop() {
                waker.wake();
            }
            let at = ms as usize / 7;
            let is_due = |i: usize| i % 2 == 1 && i <= at;
            let count = tasks[at].0.load(Ordering::Relaxed);
            assert_eq!(count, usize::from(is_due(at)), "the one of {ms} ms");
        }
        assert_eq!(
            (sleepers.deadline(), tasks.iter().map(|t| t.0.load(Ordering::Relaxed)).sum()),
            (None, 500)
        );
        let again: Vec<_> = (0..500).filter_map(|_| sleepers.place()).collect();
        assert!((again.len(), sleepers.all.0.len()) == (500, 1000));
    }
}
