//! A network for the sockets' tests: its loopback, and nobody else who turns it.

use std::boxed::Box;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::net::Net;
use crate::net::wait::Spin;
use crate::platform::Platform;
use crate::stack::{Limits, Stack, Storage};
use crate::time::Instant;

/// A machine whose clock moves when it sleeps.
#[derive(Default)]
struct Machine(AtomicU64);

impl Platform for Machine {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::Relaxed))
    }
    fn idle(&self, until: Option<Instant>) {
        let until = until.expect("nothing would ever wake it");
        self.0.store(until.micros(), Ordering::Relaxed);
    }
    fn wake(&self) {}
}

pub(crate) fn net() -> Net {
    let machine: &'static Machine = Box::leak(Box::default());
    let stack = Stack::new(Storage::heap(&Limits::default()), [3; 32]);
    Net::new(stack, machine, &Spin).unwrap()
}
