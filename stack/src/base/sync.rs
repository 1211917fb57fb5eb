//! The one lock, around the daemon: OS mutex with `std`, a spin lock without.
//!
//! Without an operating system nothing but the program's own tasks takes it, interrupt handlers
//! never do, and no task waits while holding it; so on one core it is always free.

/// What is shared without the lock. Where the processor has no compare-and-swap the feature `critical-section` brings it.
pub(crate) mod atomic {
    #[cfg(not(feature = "critical-section"))]
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
    #[cfg(feature = "critical-section")]
    pub(crate) use portable_atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
}

#[cfg(feature = "std")]
mod imp {
    use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

    pub(crate) type Guard<'a, T> = MutexGuard<'a, T>;

    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Lock(Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            // A panic under the lock is a bug of ours; the others may still close their connections.
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        #[cfg(feature = "alloc")]
        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }

        pub(crate) fn is_locked(&self) -> bool {
            matches!(self.0.try_lock(), Err(TryLockError::WouldBlock))
        }
    }
}

#[cfg(not(feature = "std"))]
mod imp {
    use spin::mutex::{SpinMutex, SpinMutexGuard};

    pub(crate) type Guard<'a, T> = SpinMutexGuard<'a, T>;

    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(SpinMutex<T>);

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Lock(SpinMutex::new(value))
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            self.0.lock()
        }

        #[cfg(feature = "alloc")]
        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.0.try_lock()
        }

        pub(crate) fn is_locked(&self) -> bool {
            self.0.is_locked()
        }
    }
}

pub(crate) use imp::{Guard, Lock};

/// Names the thread of control that calls, among those that there are.
#[cfg(feature = "std")]
pub(crate) fn here(_platform: &dyn crate::platform::Platform) -> usize {
    // No two threads have it at the same address.
    std::thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| core::ptr::from_ref(here).addr())
}

#[cfg(not(feature = "std"))]
pub(crate) fn here(platform: &dyn crate::platform::Platform) -> usize {
    platform.thread()
}
