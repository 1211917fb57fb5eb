//! The congestion window and the slow-start threshold, and what every law does with them.

use crate::tcp::codec::{Packer, Unpacker};

/// No window that a peer can offer is larger (65535 << 14).
pub(super) const LARGEST: u32 = 1 << 30;

/// In bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    pub(super) cwnd: u32,
    pub(super) ssthresh: u32,
    /// Payload of a full segment.
    pub(super) mss: u32,
    /// What it began with, and begins with again after an idle time.
    pub(super) initial: u32,
}

impl Window {
    /// Nothing may be sent.
    pub(super) const NONE: Window = Window { cwnd: 0, ssthresh: LARGEST, mss: 0, initial: 0 };

    /// See [`park`](crate::tcp::connection::idle).
    pub(super) fn park(&self, to: &mut Packer) {
        let Window { cwnd, ssthresh, mss, initial } = self;
        // Before the first loss it is the largest.
        let below = LARGEST.wrapping_sub(*ssthresh);
        [*cwnd, below, *mss, *initial].iter().for_each(|n| to.number(*n));
    }

    /// The other way.
    pub(super) fn unpark(from: &mut Unpacker<'_>) -> Self {
        let [cwnd, below, mss, initial] = core::array::from_fn(|_| from.number() as u32);
        Window { cwnd, ssthresh: LARGEST.wrapping_sub(below), mss, initial }
    }

    /// The window begins with `segments`.
    //= rfc5681#3.1: ssthresh is arbitrarily high
    pub(super) fn new(mss: u16, segments: u8) -> Self {
        let mss = u32::from(mss);
        let initial = initial(mss, segments);
        Window { cwnd: initial, ssthresh: LARGEST, mss, initial }
    }

    pub(super) fn is_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Is the threshold where it was at first, because no congestion has set it?
    pub(super) fn is_unbounded(&self) -> bool {
        self.ssthresh == LARGEST
    }

    /// Is it the window that keeps more than `flight` bytes from being sent? In slow start, which
    /// doubles the window in a round, half of it counts as used.
    //= rfc7661#4.3
    pub(super) fn is_used_by(&self, flight: u32) -> bool {
        let used =
            if self.is_slow_start() { flight.saturating_mul(2) } else { flight.saturating_add(self.mss) };
        used > self.cwnd
    }

    pub(super) fn grow(&mut self, bytes: u32) {
        self.cwnd = self.cwnd.saturating_add(bytes).min(LARGEST);
    }

    /// The path was not used for so long that nobody knows what it takes.
    //= rfc5681#4.1
    // What it took is worth a threshold (RFC 7661 §4.4.3): slow start finds back quickly.
    pub(super) fn restart(&mut self) {
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
        self.cwnd = self.cwnd.min(self.initial); // H048
    }

    /// The window was not filled for so long that it is not known to fit the path.
    //= rfc7661#4.4.3
    pub(super) fn halve_unused(&mut self) {
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
        self.cwnd = (self.cwnd / 2).max(self.cwnd.min(self.initial));
    }
}

/// The initial window, of `segments` unless they are longer than usual.
//= rfc6928#2: IW = min(10 * MSS, max(2 * MSS, 14600))
fn initial(mss: u32, segments: u8) -> u32 {
    let segments = u32::from(segments.max(1));
    (segments * mss).min((segments * 1460).max(2 * mss))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H045: the initial window follows from the segment size.
    //= rfc6928#2
    #[test]
    fn initial_window_by_segment_size() {
        let iw = |mss| Window::new(mss, 10).cwnd;
        assert_eq!((iw(536), iw(1460), iw(9000)), (5360, 14_600, 18_000));
        assert_eq!((Window::new(1460, 4).cwnd, Window::new(9000, 1).cwnd), (5840, 9000));
        assert_eq!(Window::new(1460, 0).cwnd, 1460, "with nothing, nothing would ever be sent");
    }

    /// H048: after an idle time the window is what it was at first, and slow start leads back.
    //= rfc5681#4.1
    #[test]
    fn restart_after_idle() {
        let mut w = Window { cwnd: 100_000, ssthresh: 40_000, ..Window::new(1000, 10) };
        w.restart();
        assert_eq!((w.cwnd, w.ssthresh), (10_000, 75_000));
        let mut w = Window { cwnd: 5_000, ..w };
        w.restart();
        assert_eq!((w.cwnd, w.ssthresh), (5_000, 75_000), "it never grows by that");
    }

    /// H048: what is limited by the application, or by the peer's window, does not use the window.
    //= rfc7661#4.3
    #[test]
    fn used_or_not() {
        let slow = Window { ssthresh: 20_000, ..Window::new(1000, 10) };
        assert!(slow.is_used_by(5_001) && !slow.is_used_by(5_000));
        let avoiding = Window { ssthresh: 10_000, ..slow };
        assert!(avoiding.is_used_by(9_001) && !avoiding.is_used_by(9_000));
    }
}
