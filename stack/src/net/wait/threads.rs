//! OS threads: a blocking call parks its thread, and a thread of its own runs the daemon.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};

use super::Wait;
use crate::error::Error;
use crate::net::Net;
use crate::time::Instant;

/// The way of waiting of a program under an operating system. Some thread must be in
/// [`Net::run`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static WAKER: Waker = Waker::from(Arc::new(Parked(thread::current())));
}

impl Wait for Threads {
    fn block_on(
        &self,
        net: &Net,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> bool {
        WAKER.with(|waker| {
            let mut context = Context::from_waker(waker);
            loop {
                if poll(&mut context) {
                    return true;
                }
                match deadline.map(|d| d.since(net.now())) {
                    Some(left) if left.micros() == 0 => return false,
                    Some(left) => thread::park_timeout(left.into()),
                    None => thread::park(),
                }
            }
        })
    }

    /// The daemon's thread is woken, if it sleeps.
    fn has_output(&self, net: &Net) {
        net.wake_daemon();
    }

    /// The daemon's thread runs whatever this one does.
    fn give_way(&self, _net: &Net) {}

    fn spawn(
        &self,
        name: String,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        self.spawn_with_stack(name, None, job, on_panic)
    }

    fn spawn_with_stack(
        &self,
        name: String,
        stack_size: Option<usize>,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        let run = move || {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                on_panic();
            }
        };
        let builder = thread::Builder::new().name(name);
        let spawned = match stack_size {
            Some(bytes) => builder.stack_size(bytes).spawn(run),
            None => builder.spawn(run),
        };
        spawned.map(drop).map_err(|_| Error::OutOfMemory)
    }
}
