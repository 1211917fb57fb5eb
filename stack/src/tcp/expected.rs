//! The short way: text that comes in order on a connection in good order and says nothing else new.
//!
//! Nearly every segment of a transfer is one. Whatever is not goes the way of [`input`](super::input),
//! step by step, and would come to the same there: this skips checks whose outcome is known.

use super::receive::Taken;
use super::segment::{Flags, Segment};
use super::send::SendTimer;
use super::tcb::{Cx, Phase, Synchronized, Tcb};

impl Tcb {
    /// Takes the segment, if it is one that was expected. False: nothing was done.
    pub(crate) fn take_expected(&mut self, segment: &Segment<'_>, cx: &mut Cx<'_, '_>) -> bool {
        match &mut self.phase {
            Phase::Synchronized(s) if !self.orphan => s.take_expected(segment, cx),
            _ => false,
        }
    }
}

impl Synchronized {
    fn take_expected(&mut self, segment: &Segment<'_>, cx: &mut Cx<'_, '_>) -> bool {
        if !self.expects(segment) || self.receive.is_old(segment, cx.now) {
            return false;
        }
        if self.receive.text(cx.pool, segment.seq, segment.text) != Taken::InOrder {
            return false;
        }
        self.receive.take_timestamp(segment, cx.now);
        (self.send.wl1, self.send.wl2) = (segment.seq, segment.ack);
        self.receive.owe(cx.now, cx.config);
        true
    }

    /// Is it text at RCV.NXT and inside the window, without holes or an end, that neither acknowledges
    /// anything new nor changes the window?
    fn expects(&self, segment: &Segment<'_>) -> bool {
        let (send, receive) = (&self.send, &self.receive);
        let len = segment.text.len() as u32;
        segment.flags.without(Flags::PSH) == Flags::ACK
            && segment.seq == receive.nxt
            && segment.ack == send.una
            && (segment.window as u32) << send.scale == send.wnd
            && len > 0
            && len <= receive.wnd()
            && receive.fin.is_none()
            && !receive.shut
            && !receive.has_hole()
            && !matches!(send.timer, SendTimer::Persist(_))
    }
}
