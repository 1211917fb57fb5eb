//! The daemon under its lock, which knows who holds it, and which is given back before anybody is woken.

use crate::base::sync::atomic::{AtomicUsize, Ordering};
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::ops::{Deref, DerefMut};
use core::task::Waker;

use crate::base::sync::{self, Guard, Lock};
use crate::daemon::Daemon;
use crate::platform::Platform;

/// The holder while nobody holds the lock. No thread has this name: it is no address, and the platform's are told apart
/// from it.
const UNHELD: usize = usize::MAX;
/// Tasks that are woken before the lock is taken again for more.
const BATCH: usize = 16;

/// A daemon in its place: it is some kilobytes long, and never moved.
pub(super) enum Placed {
    Static(&'static mut Daemon<'static>),
    #[cfg(feature = "alloc")]
    Heap(Box<Daemon<'static>>),
}

impl Deref for Placed {
    type Target = Daemon<'static>;

    fn deref(&self) -> &Daemon<'static> {
        match self {
            Placed::Static(daemon) => daemon,
            #[cfg(feature = "alloc")]
            Placed::Heap(daemon) => daemon,
        }
    }
}

impl DerefMut for Placed {
    fn deref_mut(&mut self) -> &mut Daemon<'static> {
        match self {
            Placed::Static(daemon) => daemon,
            #[cfg(feature = "alloc")]
            Placed::Heap(daemon) => daemon,
        }
    }
}

/// The daemon, and who holds its lock.
pub(super) struct Shared {
    daemon: Lock<Placed>,
    /// The thread that holds it. Only that thread ever writes its own name here, so whoever reads their
    /// own holds the lock.
    holder: AtomicUsize,
}

impl Shared {
    pub(super) fn new(daemon: Placed) -> Shared {
        Shared { daemon: Lock::new(daemon), holder: AtomicUsize::new(UNHELD) }
    }

    pub(super) fn is_locked(&self) -> bool {
        self.daemon.is_locked()
    }

    /// Does the thread that calls hold the lock?
    pub(super) fn is_held_here(&self, platform: &dyn Platform) -> bool {
        self.holder.load(Ordering::Relaxed) == sync::here(platform)
    }

    /// # Panics
    ///
    /// If the caller has it already, instead of waiting for itself for ever.
    pub(super) fn lock(&self, platform: &dyn Platform) -> Locked<'_> {
        assert!(
            !self.is_held_here(platform),
            "the network was used inside a call that holds its lock (`with_stack`, `configure`, a device or \
             a sink of events): sockets can be used when it has returned"
        );
        let here = sync::here(platform);
        Locked { shared: self, here, daemon: Some(self.take(here)) }
    }

    fn take(&self, here: usize) -> Guard<'_, Placed> {
        let daemon = self.daemon.lock();
        self.holder.store(here, Ordering::Relaxed);
        daemon
    }

    fn give_back(&self, daemon: Guard<'_, Placed>) {
        self.holder.store(UNHELD, Ordering::Relaxed);
        drop(daemon);
    }
}

/// The lock, held. When it is given back, tasks that have something to do are woken.
pub(crate) struct Locked<'a> {
    shared: &'a Shared,
    here: usize,
    /// `None` only while it is being dropped.
    daemon: Option<Guard<'a, Placed>>,
}

const HELD: &str = "a lock that is held";

impl Deref for Locked<'_> {
    type Target = Daemon<'static>;

    fn deref(&self) -> &Daemon<'static> {
        self.daemon.as_deref().expect(HELD)
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Daemon<'static> {
        self.daemon.as_deref_mut().expect(HELD)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        while let Some(mut daemon) = self.daemon.take() {
            if !daemon.stack().has_woken() {
                return self.shared.give_back(daemon);
            }
            let mut batch = Batch(heapless::Deque::new());
            while !batch.0.is_full()
                && let Some(waker) = daemon.stack().next_woken()
            {
                let _ = batch.0.push_back(waker);
            }
            let more = daemon.stack().has_woken();
            self.shared.give_back(daemon);
            batch.wake();
            self.daemon = more.then(|| self.shared.take(self.here));
        }
    }
}

/// Tasks to be woken.
struct Batch(heapless::Deque<Waker, BATCH>);

impl Batch {
    fn wake(&mut self) {
        while let Some(waker) = self.0.pop_front() {
            waker.wake();
        }
    }
}

/// A waker that panics takes the wake-up from nobody else.
impl Drop for Batch {
    fn drop(&mut self) {
        self.wake();
    }
}
