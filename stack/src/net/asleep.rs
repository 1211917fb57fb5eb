//! Sleeping without missing a wake-up, by one thread at a time.
//!
//! Who sleeps says so first, then looks once more whether there is something to do, under the lock that
//! whoever makes work takes; who makes work does so first, then looks whether anybody sleeps. So one of
//! the two sees the other. What is no work for the daemon but news for a thread that spins is counted,
//! so that a thread sees what came since it looked, whoever brought it.

use crate::base::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A bit and a number that threads share: those of the machine, or of a model that tries all orders.
pub(super) trait Cells {
    fn is_set(&self) -> bool;
    /// What it was.
    fn set(&self, value: bool) -> bool;
    fn count(&self) -> usize;
    /// What it was.
    fn add(&self, n: usize) -> usize;
}

#[derive(Default)]
pub(super) struct Atomics(AtomicBool, AtomicUsize);

impl Cells for Atomics {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn set(&self, value: bool) -> bool {
        self.0.swap(value, Ordering::SeqCst)
    }

    fn count(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }

    fn add(&self, n: usize) -> usize {
        self.1.fetch_add(n, Ordering::SeqCst)
    }
}

/// How much news there was when a thread looked.
#[derive(Clone, Copy)]
pub(crate) struct Seen(usize);

/// Does somebody sleep, or is about to? And how much news was there?
#[derive(Default)]
pub(super) struct Asleep<C = Atomics>(C);

impl<C: Cells> Asleep<C> {
    /// To be asked before looking whether there is what a thread waits for.
    pub(super) fn seen(&self) -> Seen {
        Seen(self.0.count())
    }

    /// Sleeps, by `idle`, unless there is news since `seen`, or `has_work` says that there is something to
    /// do.
    ///
    /// A machine has one sleeper. If another thread is that already, this one returns at once, to go on
    /// turning the daemon.
    pub(super) fn sleep(&self, seen: Seen, has_work: impl FnOnce() -> bool, idle: impl FnOnce()) {
        if self.0.set(true) {
            return;
        }
        // Adding nothing, instead of reading, puts this before or after what `tell` adds: in the first case
        // `tell` sees that somebody sleeps.
        if !has_work() && self.0.add(0) == seen.0 {
            idle();
        }
        self.0.set(false);
    }

    /// There is work, or there may be: `wake` ends the sleep, if somebody sleeps.
    pub(super) fn wake(&self, wake: impl FnOnce()) {
        if self.0.is_set() {
            wake();
        }
    }

    /// There is news for a thread that spins.
    #[cfg(feature = "alloc")]
    pub(super) fn tell(&self, wake: impl FnOnce()) {
        self.0.add(1);
        self.wake(wake);
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use loom::sync::{Arc, Condvar, Mutex, atomic};
    use loom::thread;

    use super::*;

    struct Modelled(atomic::AtomicBool, atomic::AtomicUsize);

    impl Cells for Modelled {
        fn is_set(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }
        fn set(&self, value: bool) -> bool {
            self.0.swap(value, Ordering::SeqCst)
        }
        fn count(&self) -> usize {
            self.1.load(Ordering::SeqCst)
        }
        fn add(&self, n: usize) -> usize {
            self.1.fetch_add(n, Ordering::SeqCst)
        }
    }

    /// What the lock is around: what has arrived at the device, and for each of two sockets whether it can
    /// be read, and whether somebody waits for that.
    #[derive(Default)]
    struct Daemon {
        arrived: bool,
        readable: [bool; 2],
        waiting: [bool; 2],
    }

    /// A network with the daemon and the machine in little. A machine's `wake` ends the present sleep or
    /// the next.
    struct Model {
        asleep: Asleep<Modelled>,
        daemon: Mutex<Daemon>,
        woken: Mutex<bool>,
        wakes: Condvar,
    }

    impl Model {
        fn new() -> Arc<Model> {
            let cells = Modelled(atomic::AtomicBool::new(false), atomic::AtomicUsize::new(0));
            Arc::new(Model {
                asleep: Asleep(cells),
                daemon: Mutex::new(Daemon::default()),
                woken: Mutex::new(false),
                wakes: Condvar::new(),
            })
        }

        fn wake(&self) {
            *self.woken.lock().unwrap() = true;
            self.wakes.notify_one();
        }

        fn idle(&self) {
            let mut woken = self.woken.lock().unwrap();
            while !*woken {
                woken = self.wakes.wait(woken).unwrap();
            }
            *woken = false;
        }

        /// What a device has goes to the sockets, and who waits for them is told, after the lock.
        fn turn(&self) {
            let mut daemon = self.daemon.lock().unwrap();
            if core::mem::take(&mut daemon.arrived) {
                daemon.readable = [true; 2];
                let waiting = core::mem::take(&mut daemon.waiting);
                drop(daemon);
                waiting.iter().filter(|waits| **waits).for_each(|_| self.asleep.tell(|| self.wake()));
            }
        }

        /// As `Spin` waits for a socket.
        fn wait_for(&self, socket: usize) {
            loop {
                self.turn();
                let seen = self.asleep.seen();
                let mut daemon = self.daemon.lock().unwrap();
                if daemon.readable[socket] {
                    return;
                }
                daemon.waiting[socket] = true;
                drop(daemon);
                let has_work = || self.daemon.lock().unwrap().arrived;
                self.asleep.sleep(seen, has_work, || self.idle());
                thread::yield_now();
            }
        }

        /// Something arrives: by a call of a thread.
        fn arrive(&self) {
            self.daemon.lock().unwrap().arrived = true;
            self.asleep.wake(|| self.wake());
        }
    }

    /// Tries the orders in which threads can run, with so many switches between them at awkward moments.
    /// A thread that sleeps for ever fails it.
    fn try_all(switches: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(switches);
        builder.check(model);
    }

    /// H194: one thread sleeps, another makes work.
    #[test]
    fn no_wake_up_is_lost() {
        try_all(4, || {
            let model = Model::new();
            let other = model.clone();
            let sleeper = thread::spawn(move || other.wait_for(0));
            model.arrive();
            sleeper.join().unwrap();
        });
    }

    /// H194: while one thread sleeps, or is about to, another one turns the daemon, and what it takes in is
    /// for both.
    #[test]
    fn another_ones_turn_ends_the_sleep() {
        try_all(3, || {
            let model = Model::new();
            let other = model.clone();
            let sleeper = thread::spawn(move || other.wait_for(0));
            model.daemon.lock().unwrap().arrived = true;
            model.wait_for(1);
            sleeper.join().unwrap();
        });
    }
}
