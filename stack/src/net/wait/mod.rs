//! The ways of waiting: the same socket operations for a program that spins, for fibers, for OS
//! threads. (Async needs none of them: its executor waits.)
//!
//! Wakers are woken and dropped when the stack's lock was given back: a waker may run its task at once,
//! use sockets and drop them. (Without a heap 32 tasks are woken so at a time, and the rest of a crowd
//! under the lock.) They are cloned under the lock.

mod spin;
#[cfg(feature = "std")]
mod threads;

pub use self::spin::Spin;
#[cfg(feature = "std")]
pub use threads::Threads;

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, string::String};
use core::task::Context;

use crate::net::Net;
use crate::time::Instant;

/// How a blocking call waits and how work runs side by side.
pub trait Wait: Send + Sync {
    /// Calls `poll` until it returns true, and lets the daemon and other tasks run meanwhile.
    /// `poll` has arranged for the context's waker to be woken when calling it again makes sense.
    /// False: `deadline` passed first.
    fn block_on(
        &self,
        net: &Net,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> bool;

    /// A socket operation has left something to send. Unless this runs the daemon, the program
    /// must do so soon.
    fn has_output(&self, net: &Net) {
        net.turn();
    }

    /// A call that does not wait found nothing, and will look once more: lets the daemon, and whoever else
    /// runs on this thread, have their turn, so that a program that asks in a loop gets what there is.
    fn give_way(&self, net: &Net) {
        net.turn();
    }

    /// Runs `job` beside the caller, in a fiber or thread of this name; one that has none runs it
    /// before it returns. `on_panic` is called there if the job panics, where the target can tell; it may
    /// wait, and if it panics too only the fiber or thread ends.
    #[cfg(feature = "alloc")]
    fn spawn(
        &self,
        name: String,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), crate::Error>;

    /// The same with a stack of so many bytes, where there are stacks; `None`: of the usual size.
    #[cfg(feature = "alloc")]
    fn spawn_with_stack(
        &self,
        name: String,
        stack_size: Option<usize>,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), crate::Error> {
        let _ = stack_size;
        self.spawn(name, job, on_panic)
    }
}
