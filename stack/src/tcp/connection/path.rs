//! What routers say about the path of one connection.

use super::tcb::{Phase, Tcb};
use crate::tcp::context::Context;

impl Tcb {
    /// The path takes packets of `mtu` bytes, and no longer ones.
    pub(in crate::tcp) fn follow_path(&mut self, mtu: u16, cx: &Context<'_, '_>) {
        match &mut self.phase {
            Phase::SynSent(h) | Phase::SynReceived(h) => {
                h.mss.path = mtu.saturating_sub(h.mss.headers.into())
            }
            Phase::Synchronized(s) => {
                s.send.size.on_path(mtu);
                s.send.set_size();
                s.send.update_timer(cx.now, cx.config);
            }
            Phase::Over(_) => {}
        }
    }

    /// A segment in flight was longer than the path takes, which is `mtu` bytes, says a router. False:
    /// that is in doubt, because segments of this size do arrive.
    pub(in crate::tcp) fn too_big(&mut self, mtu: u16, cx: &mut Context<'_, '_>) -> bool {
        if let Phase::Synchronized(s) = &mut self.phase
            && s.send.size.doubts(mtu)
        {
            return false;
        }
        self.follow_path(mtu, cx);
        if let Phase::Synchronized(s) = &mut self.phase {
            //= rfc1191#6.4
            //= rfc8201#5.4
            s.send.on_too_long(cx);
        }
        true
    }
}
