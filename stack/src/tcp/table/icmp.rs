//! What ICMP says of connections: errors, and how long packets of their paths may be.

use super::{ConnectionEvent, Outcome, Tcp};
use crate::base::pool::Pool;
use crate::error::Error;
use crate::seq::Seq;
use crate::tcp::connection::soft_error::SoftError;
use crate::tcp::connection::tcb::Phase;
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

impl Tcp<'_> {
    pub(in crate::tcp) fn soft_error_of(&mut self, index: u32) -> Option<Error> {
        let soft = self.connections.at_mut(index)?.tcb.soft_error()?;
        soft.map(Error::from)
    }

    /// An ICMP error quotes a segment of this connection. It ends nothing but the opening of a
    /// connection, and is believed only if it quotes a number that is under way (RFC 5927 §4, H083,
    /// H084).
    //= rfc9293#3.9.2.2 MUST-54, MUST-56, SHLD-25
    pub(crate) fn on_icmp(
        &mut self,
        index: u32,
        seq: Seq,
        error: SoftError,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let Some(c) = self.connections.at(index) else { return Outcome::default() };
        if !c.tcb.awaits(seq) {
            return Outcome::default();
        }
        if error.ends_open(&self.settings.config) && matches!(c.tcb.phase, Phase::SynSent(_)) {
            return self.fail(index, error.into(), now, pool);
        }
        self.trouble(index, error, now, pool)
    }

    /// Keeps a soft error, and tells whoever listens to events.
    pub(crate) fn trouble(
        &mut self,
        index: u32,
        error: SoftError,
        now: Instant,
        pool: &mut Pool<'_>,
    ) -> Outcome {
        let Some(c) = self.connections.at_mut(index) else { return Outcome::default() };
        let cx = self.settings.cx(c.profile, now, pool);
        let told = c.tcb.keep_soft(error, &cx);
        let event = told.then_some(ConnectionEvent::Troubled(error.into()));
        Outcome { event, ..Outcome::default() }
    }
}
