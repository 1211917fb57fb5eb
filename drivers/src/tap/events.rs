//! Waiting for a TAP with poll(2), from the driver and from the platform that sleeps for it.

use barenet::device::LinkState;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A transmit found no room, and none has succeeded since.
const FULL: u8 = 1;
/// A transmit found the interface down, and it has not come up since.
const DOWN: u8 = 2;
/// The interface was removed.
const GONE: u8 = 4;

/// The descriptor of a [`Tap`](super::Tap) and what is worth waiting for on it. A clone serves the
/// platform that polls it while the stack owns the TAP.
#[derive(Clone, Debug)]
pub struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    fd: OwnedFd,
    /// FULL | DOWN | GONE, written by the TAP, read by whoever polls. Relaxed, since it guards no
    /// other memory.
    state: AtomicU8,
}

impl Events {
    pub(super) fn new(fd: OwnedFd) -> Self {
        let state = AtomicU8::new(0);
        Events(Arc::new(Shared { fd, state }))
    }

    /// The entry for poll(2); `None` when the interface is gone, since poll would return at once
    /// for ever.
    pub fn poll_fd(&self) -> Option<PollFd<'_>> {
        let state = self.0.state.load(Relaxed);
        if state & GONE != 0 {
            return None;
        }
        // POLLOUT tells that room appeared and also that the interface came up.
        let room = match state & (FULL | DOWN) {
            0 => PollFlags::empty(),
            _ => PollFlags::OUT,
        };
        Some(PollFd::new(&self.0.fd, PollFlags::IN | room))
    }

    /// True when there is nothing to read and no room that a sender waits for. Also true once
    /// the interface is gone and that was told once.
    pub(super) fn quiet(&self) -> bool {
        self.poll_now().is_empty()
    }

    /// Is the interface usable? Asks the kernel only while it was down.
    pub(super) fn link(&self) -> LinkState {
        if self.0.state.load(Relaxed) & DOWN != 0 {
            self.poll_now();
        }
        match self.0.state.load(Relaxed) {
            state if state & GONE != 0 => LinkState::Gone,
            state if state & DOWN != 0 => LinkState::Down,
            _ => LinkState::Up,
        }
    }

    /// What poll(2) says now, noted in the state.
    fn poll_now(&self) -> PollFlags {
        let Some(entry) = self.poll_fd() else {
            return PollFlags::empty();
        };
        let mut entries = [entry];
        let found = match poll(&mut entries, Some(&Timespec::default())) {
            Ok(_) => entries[0].revents(),
            // No memory: as good as an early wake-up.
            Err(_) => return PollFlags::IN,
        };
        if found.intersects(PollFlags::ERR | PollFlags::NVAL | PollFlags::HUP) {
            self.set_gone();
        }
        if found.contains(PollFlags::OUT) {
            self.0.state.fetch_and(!(FULL | DOWN), Relaxed);
        }
        found
    }

    /// A frame went out: there is room and the interface is up.
    pub(super) fn set_sent(&self) {
        if self.0.state.load(Relaxed) & (FULL | DOWN) != 0 {
            self.0.state.fetch_and(!(FULL | DOWN), Relaxed);
        }
    }

    pub(super) fn set_full(&self) {
        self.0.state.fetch_or(FULL, Relaxed);
    }

    pub(super) fn set_down(&self) {
        self.0.state.fetch_or(DOWN, Relaxed);
    }

    pub(super) fn set_gone(&self) {
        self.0.state.fetch_or(GONE, Relaxed);
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}
