//! What the daemon needs from the machine: a clock, and a way to sleep and be woken.

use crate::time::Instant;

/// The machine under the daemon. A board implements it; the simulation does not need it, since
/// the core takes the time as an argument.
pub trait Platform: Send + Sync {
    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// Sleeps until `until` (for ever if `None`), a device that was armed has something, or
    /// [`wake`](Platform::wake) was called. May return early. An event or a wake that came
    /// between arming and this call must not be lost: then it returns at once.
    fn idle(&self, until: Option<Instant>);

    /// Makes the current or the next [`idle`](Platform::idle) return, from any context.
    fn wake(&self);

    /// Names the thread of control that calls: a different number for each CPU, or task of a preemptive
    /// kernel, that uses the network; any but `usize::MAX`. It tells a call inside
    /// [`with_stack`](crate::Net::with_stack), which would wait for itself for ever, from one that waits
    /// for another thread. With `std` it is not asked. Default: there is one thread only.
    fn thread(&self) -> usize {
        0
    }
}
