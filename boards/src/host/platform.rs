//! The process as a machine: its clock, and sleep on the descriptors of its TAPs.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use barenet::Platform;
use barenet::time::{Duration, Instant};
use barenet_drivers::tap::Events;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;

/// A Linux process: CLOCK_MONOTONIC, and poll(2) over TAPs and an eventfd. One thread at a time may
/// sleep in it: the daemon.
///
/// ```no_run
/// use barenet::device::Mac;
/// use barenet_boards::host::Host;
/// use barenet_drivers::tap::{Options, Tap};
///
/// let tap = Tap::open(Mac([2, 0, 0, 0, 0, 2]), Options::new().existing("tap0"))?;
/// let platform = Host::new([tap.events()])?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Host {
    origin: std::time::Instant,
    taps: Vec<Events>,
    /// Written to interrupt a poll.
    interrupt: OwnedFd,
    woken: AtomicBool,
    sleeping: AtomicBool,
}

impl Host {
    /// The platform of a program whose devices are these TAPs. Its clock starts now.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn new(taps: impl IntoIterator<Item = Events>) -> std::io::Result<Self> {
        Ok(Host {
            origin: std::time::Instant::now(),
            taps: taps.into_iter().collect(),
            interrupt: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            woken: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
        })
    }

    /// Polls until `until`.
    fn poll(&self, until: Option<Instant>) {
        let timeout = until.map(|until| timespec(until.since(self.now())));
        let interrupt = PollFd::new(&self.interrupt, PollFlags::IN);
        let taps = self.taps.iter().filter_map(Events::poll_fd);
        let mut entries: Vec<PollFd<'_>> = core::iter::once(interrupt).chain(taps).collect();
        // An error (a signal, no memory) is an early return, which the caller allows for.
        let _ = poll(&mut entries, timeout.as_ref());
        if entries[0].revents().contains(PollFlags::IN) {
            let _ = rustix::io::read(&self.interrupt, &mut [0; 8]);
        }
    }
}

/// Of microseconds; longer than any wait for what does not fit.
fn timespec(span: Duration) -> Timespec {
    let span = core::time::Duration::from(span);
    Timespec { tv_sec: span.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: span.subsec_nanos().into() }
}

impl Platform for Host {
    fn now(&self) -> Instant {
        Instant::ZERO + Duration::from(self.origin.elapsed())
    }

    /// `wake` writes `woken` and then reads `sleeping`, here it is the other way round: so
    /// either this side sees the wake and does not sleep, or the other sees the sleeper and
    /// interrupts it.
    fn idle(&self, until: Option<Instant>) {
        self.sleeping.store(true, SeqCst);
        if !self.woken.load(SeqCst) {
            self.poll(until);
        }
        self.sleeping.store(false, SeqCst);
        // Read, not only written: what the waker did before is then seen after this.
        self.woken.swap(false, SeqCst);
    }

    fn wake(&self) {
        self.woken.store(true, SeqCst);
        // Without a sleeper there is nobody to interrupt, and the system call is saved.
        if self.sleeping.load(SeqCst) {
            let _ = rustix::io::write(&self.interrupt, &1u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_until_the_deadline_and_not_much_less() {
        let host = Host::new([]).unwrap();
        let until = host.now() + Duration::from_micros(300);
        while host.now() < until {
            host.idle(Some(until));
        }
        host.idle(Some(Instant::ZERO));
    }

    #[test]
    fn a_wake_before_the_sleep_is_not_lost() {
        let host = Host::new([]).unwrap();
        host.wake();
        host.idle(None);
    }

    #[test]
    fn a_wake_ends_a_sleep() {
        let host = Host::new([]).unwrap();
        let (asleep, wait) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..1000 {
                    asleep.send(()).unwrap();
                    host.idle(None);
                }
            });
            for () in wait.iter().take(1000) {
                host.wake();
            }
        });
    }

    #[test]
    fn far_deadlines_are_no_overflow() {
        let far = timespec(Instant::FAR_FUTURE.since(Instant::ZERO));
        assert_eq!(far.tv_sec, (u64::MAX / 1_000_000) as i64);
    }
}
