//! Congestion control behind one small interface: what happened goes in, a window comes out.

mod newreno;

use super::config::Congestion;
use newreno::NewReno;

/// The controller of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Controller {
    NewReno(NewReno),
    None,
}

impl Controller {
    /// A controller for segments of `mss` bytes, after a handshake that did or did not lose a SYN.
    pub(crate) fn new(which: Congestion, mss: u16, syn_lost: bool) -> Self {
        match which {
            Congestion::NewReno => Controller::NewReno(NewReno::new(mss, syn_lost)),
            Congestion::None => Controller::None,
        }
    }

    /// Bytes that may be in flight.
    pub(crate) fn window(&self) -> u32 {
        match self {
            Controller::NewReno(c) => c.window(),
            Controller::None => u32::MAX,
        }
    }

    /// Where slow start ends.
    pub(crate) fn ssthresh(&self) -> u32 {
        match self {
            Controller::NewReno(c) => c.ssthresh(),
            Controller::None => u32::MAX,
        }
    }

    /// `acked` bytes of new data were acknowledged outside recovery, when `flight` were out.
    pub(crate) fn on_ack(&mut self, acked: u32, flight: u32) {
        if let Controller::NewReno(c) = self {
            c.on_ack(acked, flight);
        }
    }

    /// A loss was detected by duplicate acknowledgments: recovery begins.
    pub(crate) fn on_loss(&mut self, flight: u32) {
        if let Controller::NewReno(c) = self {
            c.on_loss(flight);
        }
    }

    /// A further duplicate: a segment has left the network.
    pub(crate) fn on_duplicate(&mut self) {
        if let Controller::NewReno(c) = self {
            c.inflate();
        }
    }

    /// A partial acknowledgment of `acked` bytes in recovery (RFC 6582 §3.2 step 3).
    pub(crate) fn on_partial_ack(&mut self, acked: u32) {
        if let Controller::NewReno(c) = self {
            c.on_partial_ack(acked);
        }
    }

    /// Recovery is over, with `flight` bytes out.
    pub(crate) fn on_recovered(&mut self, flight: u32) {
        if let Controller::NewReno(c) = self {
            c.on_recovered(flight);
        }
    }

    /// The retransmission timer fired; `again` if for data that it fired for before.
    pub(crate) fn on_timeout(&mut self, flight: u32, again: bool) {
        if let Controller::NewReno(c) = self {
            c.on_timeout(flight, again);
        }
    }

    /// Nothing was sent for a timeout or longer (RFC 5681 §4.1).
    pub(crate) fn on_idle(&mut self) {
        if let Controller::NewReno(c) = self {
            c.on_idle();
        }
    }
}
