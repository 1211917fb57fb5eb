//! The additive increase and the halving of RFC 5681, counting bytes (RFC 3465).

use super::window::Window;
use crate::tcp::codec::{Packer, Unpacker};

/// State in congestion avoidance.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct NewReno {
    /// Bytes acknowledged that did not yet count for a segment.
    acked: u32,
}

impl NewReno {
    /// See [`park`](crate::tcp::connection::idle).
    pub(super) fn park(&self, to: &mut Packer) {
        let NewReno { acked } = self;
        to.number(*acked);
    }

    /// The other way.
    pub(super) fn unpark(from: &mut Unpacker<'_>) -> Self {
        NewReno { acked: from.number() as u32 }
    }

    /// A segment for each window that was acknowledged.
    //= rfc5681#3.1: "the RECOMMENDED way to increase cwnd during congestion avoidance"
    pub(super) fn avoid(&mut self, window: &mut Window, delivered: u32) {
        self.acked = self.acked.saturating_add(delivered);
        if self.acked >= window.cwnd {
            self.acked -= window.cwnd;
            window.grow(window.mss);
        }
    }

    //= rfc5681#3.1 equation 4
    pub(super) fn on_congestion(&mut self, window: &mut Window, flight: u32) {
        window.ssthresh = (flight / 2).max(2 * window.mss);
        window.cwnd = window.ssthresh;
        self.acked = 0;
    }
}
