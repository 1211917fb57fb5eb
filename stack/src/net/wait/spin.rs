//! Spin and idle: no executor at all. A blocking call turns the daemon itself, and lets the
//! processor sleep when there is nothing to do.

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, string::String};
use core::task::Context;

use super::Wait;
use crate::net::Net;
use crate::time::Instant;

/// The way of waiting of a program with one thread of control. `serve` handles one connection
/// after the other. Several threads may wait so, but only one sleeps at a time, and the others spin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spin;

impl Wait for Spin {
    fn block_on(
        &self,
        net: &Net,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> bool {
        let bell = net.bell();
        let mut context = Context::from_waker(&bell);
        loop {
            let next = net.turn();
            let seen = net.seen();
            if poll(&mut context) {
                return true;
            }
            let now = net.now();
            if deadline.is_some_and(|d| d <= now) {
                return false;
            }
            if next.is_none_or(|next| next > now) {
                net.idle_since(seen, [next, deadline].into_iter().flatten().min());
            }
        }
    }

    #[cfg(feature = "alloc")]
    fn spawn(
        &self,
        _name: String,
        job: Box<dyn FnOnce() + Send>,
        _on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), crate::Error> {
        job();
        Ok(())
    }
}
