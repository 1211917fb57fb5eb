//! Slow start, congestion avoidance, fast recovery: RFC 5681, 6582, 6928, counting bytes (3465).

/// State in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewReno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged in congestion avoidance that did not yet count for a segment.
    acked: u32,
    mss: u32,
}

/// No window that a peer can offer is larger (65535 << 14).
const LARGEST: u32 = 1 << 30;

impl NewReno {
    //= rfc6928#2: IW = min(10 * MSS, max(2 * MSS, 14600))
    //= rfc5681#3.1: one segment if the SYN or SYN-ACK was lost; ssthresh stays high (H051)
    pub(crate) fn new(mss: u16, syn_lost: bool) -> Self {
        let mss = mss as u32;
        let cwnd = if syn_lost { mss } else { initial(mss) };
        NewReno { cwnd, ssthresh: LARGEST, acked: 0, mss }
    }

    pub(crate) fn window(&self) -> u32 {
        self.cwnd
    }

    pub(crate) fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    pub(crate) fn on_ack(&mut self, acked: u32, flight: u32) {
        // H048: a window that was not used is not grown. In slow start half of it counts as used.
        let used = if self.cwnd < self.ssthresh { flight.saturating_mul(2) } else { flight + self.mss };
        if used < self.cwnd {
            return;
        }
        if self.cwnd < self.ssthresh {
            // RFC 3465 with L = 2 would stretch less; what arrives here in one call may stand for
            // many ACKs that a device merged, so each byte counts.
            self.cwnd = self.cwnd.saturating_add(acked).min(LARGEST);
        } else {
            self.acked += acked;
            if self.acked >= self.cwnd {
                self.acked -= self.cwnd;
                self.cwnd = (self.cwnd + self.mss).min(LARGEST);
            }
        }
    }

    fn halve(&mut self, flight: u32) {
        self.ssthresh = (flight / 2).max(2 * self.mss);
        self.acked = 0;
    }

    pub(crate) fn on_loss(&mut self, flight: u32) {
        self.halve(flight);
        self.cwnd = self.ssthresh + 3 * self.mss;
    }

    pub(crate) fn inflate(&mut self) {
        self.cwnd = (self.cwnd + self.mss).min(LARGEST);
    }

    pub(crate) fn on_partial_ack(&mut self, acked: u32) {
        self.cwnd = self.cwnd.saturating_sub(acked).max(self.mss);
        if acked >= self.mss {
            self.cwnd += self.mss;
        }
    }

    pub(crate) fn on_recovered(&mut self, flight: u32) {
        self.cwnd = self.ssthresh.min(flight.max(self.mss) + self.mss);
    }

    //= rfc5681#3.1 equation 4, and "no more than 1 full-sized segment"; H053
    pub(crate) fn on_timeout(&mut self, flight: u32, again: bool) {
        if !again {
            self.halve(flight);
        }
        self.cwnd = self.mss;
    }

    //= rfc5681#4.1
    pub(crate) fn on_idle(&mut self) {
        self.cwnd = self.cwnd.min(initial(self.mss));
    }
}

fn initial(mss: u32) -> u32 {
    (10 * mss).min(14_600.max(2 * mss))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H045: the initial window follows from the segment size.
    #[test]
    fn initial_window_by_segment_size() {
        let iw = |mss| NewReno::new(mss, false).window();
        assert_eq!((iw(536), iw(1460), iw(9000)), (5360, 14_600, 18_000));
        assert_eq!(NewReno::new(1460, true).window(), 1460);
        assert_eq!(NewReno::new(1460, true).ssthresh, LARGEST, "H051");
    }

    #[test]
    fn slow_start_doubles_and_avoidance_adds_a_segment_per_window() {
        let mut c = NewReno::new(1000, false);
        c.on_ack(10_000, 10_000);
        assert_eq!(c.window(), 20_000);
        c.on_ack(1000, 2000);
        assert_eq!(c.window(), 20_000, "H048: not used, not grown");
        c.on_loss(20_000);
        c.on_recovered(20_000);
        assert_eq!(c.window(), 10_000);
        c.on_ack(10_000, 10_000);
        assert_eq!(c.window(), 11_000);
        c.on_timeout(11_000, false);
        assert_eq!((c.window(), c.ssthresh), (1000, 5500), "H053");
        c.on_timeout(1000, true);
        assert_eq!(c.ssthresh, 5500);
    }
}
