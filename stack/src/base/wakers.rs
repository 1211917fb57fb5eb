//! Tasks that wait for one thing, and tasks that are to be woken.
//!
//! Waking happens after the stack's lock was given back: a waker may run its task at once, and a task
//! may use or drop a socket. So what finds that a task has something to do moves its waker into
//! [`Woken`], and who holds the lock empties that when it no longer does.

#[cfg(feature = "alloc")]
use alloc::{collections::VecDeque, vec::Vec};
use core::task::Waker;

/// Tasks to be woken without a heap, at a time.
#[cfg(not(feature = "alloc"))]
const WOKEN: usize = 16;

/// Tasks to be woken, in their order.
#[derive(Debug, Default)]
pub(crate) struct Woken(
    #[cfg(feature = "alloc")] VecDeque<Waker>,
    #[cfg(not(feature = "alloc"))] heapless::Deque<Waker, WOKEN>,
);

impl Woken {
    pub(crate) const fn new() -> Self {
        #[cfg(feature = "alloc")]
        return Woken(VecDeque::new());
        #[cfg(not(feature = "alloc"))]
        Woken(heapless::Deque::new())
    }

    /// If there is no room for it the task is woken at once, under the lock, rather than forgotten.
    pub(crate) fn push(&mut self, waker: Waker) {
        #[cfg(feature = "alloc")]
        match self.0.try_reserve(1) {
            Ok(()) => self.0.push_back(waker),
            Err(_) => waker.wake(),
        }
        #[cfg(not(feature = "alloc"))]
        if let Err(waker) = self.0.push_back(waker) {
            waker.wake();
        }
    }

    /// The task that waits in this place, if one does.
    #[inline]
    pub(crate) fn take(&mut self, place: &mut Option<Waker>) {
        if let Some(waker) = place.take() {
            self.push(waker);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Waker> {
        self.0.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Tasks that wait for one thing, each once.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    /// Mostly there is only one, and it takes no memory.
    first: Option<Waker>,
    others: Others,
}

impl Wakers {
    pub(crate) const fn new() -> Self {
        Wakers { first: None, others: Others::new() }
    }

    /// Remembers the task until the next [`wake`](Self::wake).
    pub(crate) fn register(&mut self, waker: &Waker, woken: &mut Woken) {
        register(&mut self.first, &mut self.others, waker, woken);
    }

    /// All are to be woken, and forgotten here.
    pub(crate) fn wake(&mut self, woken: &mut Woken) {
        woken.take(&mut self.first);
        self.others.wake(woken);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.is_empty()
    }
}

/// The waker of a caller that looks once. In one place: `will_wake` compares addresses, and each call of
/// `Waker::noop` may be compiled to another one.
pub(crate) static NOBODY: &Waker = Waker::noop();

/// Remembers a task in `place`, or, if another one waits there, among the `others`.
pub(crate) fn register(place: &mut Option<Waker>, others: &mut Others, waker: &Waker, woken: &mut Woken) {
    match place {
        // Of a caller that looks once, or spins: there is nobody to wake.
        _ if waker.will_wake(NOBODY) => {}
        Some(known) if known.will_wake(waker) => {}
        Some(_) => others.register(waker, woken),
        None => *place = Some(waker.clone()),
    }
}

/// Tasks that are remembered at a time, besides the first. With more, all are woken and ask again:
/// nobody is forgotten, but as long as there are so many they keep each other awake. So there is room
/// for all that a program is likely to have, and a bound for wakers of tasks that have long gone.
#[cfg(feature = "alloc")]
const KEPT: usize = 4096;
/// Without a heap there are few tasks.
#[cfg(not(feature = "alloc"))]
const KEPT: usize = 3;

/// Tasks that wait for what another one waits for too. It costs the same to add one, however many
/// there are.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// A hash table with open addressing, never more than half full.
    #[cfg(feature = "alloc")]
    table: Vec<Option<Waker>>,
    #[cfg(not(feature = "alloc"))]
    table: heapless::Vec<Option<Waker>, KEPT>,
    len: usize,
}

impl Others {
    pub(crate) const fn new() -> Self {
        #[cfg(feature = "alloc")]
        return Others { table: Vec::new(), len: 0 };
        #[cfg(not(feature = "alloc"))]
        Others { table: heapless::Vec::new(), len: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn register(&mut self, waker: &Waker, woken: &mut Woken) {
        if self.place(waker).is_some_and(|place| place.is_some()) {
            return;
        }
        if !self.has_room() {
            self.wake(woken);
        }
        let has_room = self.has_room();
        match self.place(waker) {
            Some(place) if has_room => {
                *place = Some(waker.clone());
                self.len += 1;
            }
            // Without memory it asks again.
            _ => woken.push(waker.clone()),
        }
    }

    #[inline]
    pub(crate) fn wake(&mut self, woken: &mut Woken) {
        if self.len > 0 {
            let others = core::mem::take(self);
            others.table.into_iter().flatten().for_each(|waker| woken.push(waker));
        }
    }

    /// Where this waker is, or would be.
    fn place(&mut self, waker: &Waker) -> Option<&mut Option<Waker>> {
        let at = self.find(waker)?;
        self.table.get_mut(at)
    }

    fn find(&self, waker: &Waker) -> Option<usize> {
        let len = self.table.len();
        let fits = |at: &usize| self.table[*at].as_ref().is_none_or(|known| known.will_wake(waker));
        let first = home(waker).checked_rem(len)?;
        (first..len).chain(0..first).find(fits)
    }

    /// Is there room for one more? If not, makes some.
    #[cfg(feature = "alloc")]
    fn has_room(&mut self) -> bool {
        if 2 * (self.len + 1) <= self.table.len() {
            return true;
        }
        let places = (4 * self.len).max(8);
        let mut table = Vec::new();
        if self.len >= KEPT || table.try_reserve_exact(places).is_err() {
            return false;
        }
        table.resize_with(places, || None);
        for waker in core::mem::replace(&mut self.table, table).into_iter().flatten() {
            if let Some(place) = self.place(&waker) {
                *place = Some(waker);
            }
        }
        true
    }

    #[cfg(not(feature = "alloc"))]
    fn has_room(&mut self) -> bool {
        while self.table.push(None).is_ok() {}
        self.len < KEPT
    }
}

/// Where in a table to look for a waker first: a number made of its address.
fn home(waker: &Waker) -> usize {
    // Fibonacci hashing: 2^64 divided by the golden ratio.
    let mixed = (waker.data().addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as usize
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

    /// Tasks in wait for one thing.
    struct Room {
        tasks: Vec<Arc<Task>>,
        wakers: Wakers,
        woken: Woken,
    }

    impl Room {
        fn new(tasks: usize) -> Room {
            let tasks = (0..tasks).map(|_| Arc::default()).collect();
            Room { tasks, wakers: Wakers::new(), woken: Woken::new() }
        }
        fn register(&mut self, i: usize) {
            self.wakers.register(&self.tasks[i].clone().into(), &mut self.woken);
        }
        fn wake(&mut self) {
            self.wakers.wake(&mut self.woken);
            while let Some(waker) = self.woken.pop() {
                waker.wake();
            }
        }
        fn woken(&self, i: usize) -> usize {
            self.tasks[i].0.load(Ordering::Relaxed)
        }
    }

    /// H194, H220: each task is woken once, when there is something for it; with one too many the
    /// others are woken, and ask again.
    #[test]
    fn nobody_is_forgotten_or_woken_in_vain() {
        let all = KEPT + 2;
        let mut room = Room::new(all);
        for _ in 0..2 {
            (0..all - 1).for_each(|i| room.register(i));
        }
        assert!(room.woken.is_empty());
        room.register(all - 1);
        room.wake();
        assert!((0..all).all(|i| room.woken(i) == 1) && room.wakers.is_empty());
        room.wake();
        assert!((0..all).all(|i| room.woken(i) == 1));
    }

    /// A thousand threads in `accept` on one listener, or in `recv` on one socket: none keeps the
    /// others awake, and each costs a few steps, however many there are.
    #[cfg(feature = "alloc")]
    #[test]
    fn many_tasks_sleep() {
        let mut room = Room::new(1000);
        (0..1000).for_each(|i| room.register(i));
        assert!(room.woken.is_empty());
        let others = &room.wakers.others;
        let steps = |(at, waker): (usize, &Option<Waker>)| {
            let len = others.table.len();
            waker.as_ref().map(|waker| (at + len - home(waker) % len) % len + 1)
        };
        let steps: usize = others.table.iter().enumerate().filter_map(steps).sum();
        assert!(steps < 4 * 999, "{steps} steps to find 999 tasks");
    }

    /// Who looks without waiting takes no place.
    #[test]
    fn nobody_waits_with_a_waker_that_does_nothing() {
        let mut room = Room::new(0);
        room.wakers.register(NOBODY, &mut room.woken);
        assert!(room.wakers.is_empty());
    }
}
