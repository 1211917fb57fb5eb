//! Fibers in a process: stacks with a guard page from the kernel, a signal handler that names the
//! fiber whose stack overflowed, panics caught by unwinding.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use corosensei::stack::DefaultStack;

use super::{Ended, Task, overflowed};

/// Bytes below a stack that can't be touched: a page, of 4, 16 or 64 KiB.
pub(super) fn guard_size() -> usize {
    rustix::param::page_size()
}

pub(super) type Stack = DefaultStack;

thread_local! {
    static RUNNING: Cell<*const Task> = const { Cell::new(ptr::null()) };
}

pub(super) fn running() -> *const Task {
    RUNNING.get()
}

pub(super) fn set_running(task: *const Task) {
    RUNNING.set(task);
}

pub(super) fn catch(job: Box<dyn FnOnce() + Send>) -> Ended {
    match catch_unwind(AssertUnwindSafe(job)) {
        Ok(()) => Ended::Returned,
        Err(_) => Ended::Panicked,
    }
}

pub(super) fn stack(size: usize) -> Option<Stack> {
    DefaultStack::new(size).ok()
}

/// Sets up the signal handler. It runs on the stack for signals that the standard library gives
/// every thread, since the fiber's own is used up.
pub(super) fn watch_guards() {
    let handler: extern "C" fn(i32, *const libc::siginfo_t, *const libc::c_void) = on_fault;
    // SAFETY: all zero is an empty mask without flags; the handler has the signature that
    // SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut());
    }
}

/// Says whose stack it was and ends the process; any other fault takes its usual course.
extern "C" fn on_fault(signal: i32, info: *const libc::siginfo_t, _: *const libc::c_void) {
    // SAFETY: the kernel passes a valid structure, and for this signal it holds an address.
    let address = unsafe { (*info).si_addr() }.addr();
    // SAFETY: `write`, `_exit` and `signal` are safe to call in a handler. Returning with the
    // default action set repeats the faulting instruction, which then ends the process.
    unsafe {
        match overflowed(address) {
            Some(name) => {
                for part in ["\nfiber `", name, "` overflowed its stack\n"] {
                    libc::write(libc::STDERR_FILENO, part.as_ptr().cast(), part.len());
                }
                libc::_exit(STATUS)
            }
            None => libc::signal(signal, libc::SIG_DFL),
        };
    }
}

/// The exit status of a Rust program that panicked.
const STATUS: i32 = 101;
