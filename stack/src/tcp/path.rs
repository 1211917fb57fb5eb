//! What routers say about the path of one connection.

use super::Tcp;
use super::tcb::{Cx, Phase, Tcb};
use crate::pool::Pool;
use crate::time::Instant;

impl Tcp<'_> {
    /// The path of a connection takes packets of `mtu` bytes, and no longer ones.
    pub(crate) fn follow_path(&mut self, index: u32, mtu: u16, now: Instant, pool: &mut Pool<'_>) {
        if let Some(key) = self.connections.key(index) {
            // It exists.
            let _ = self.with(key, now, pool, |c, cx| c.tcb.follow_path(mtu, cx));
        }
    }

    /// A router says that the path of a connection takes no packets longer than `mtu` bytes, and that
    /// one in flight was. False: that is in doubt.
    pub(crate) fn too_big(&mut self, index: u32, mtu: u16, now: Instant, pool: &mut Pool<'_>) -> bool {
        let Some(key) = self.connections.key(index) else { return false };
        self.with(key, now, pool, |c, cx| c.tcb.too_big(mtu, cx)).unwrap_or(false)
    }
}

impl Tcb {
    /// The path takes packets of `mtu` bytes, and no longer ones.
    pub(super) fn follow_path(&mut self, mtu: u16, cx: &Cx<'_, '_>) {
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
    pub(super) fn too_big(&mut self, mtu: u16, cx: &mut Cx<'_, '_>) -> bool {
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
