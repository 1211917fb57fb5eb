//! Pacing, left out: what the window allows goes out at once.

use crate::tcp::codec::{Packer, Unpacker};
use crate::time::Instant;

/// The gate of one connection: it is always open.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Pacer;

impl Pacer {
    pub(crate) const OPEN: Pacer = Pacer;

    pub(in crate::tcp) fn park(&self, _: &mut Packer) -> Option<()> {
        Some(())
    }

    pub(in crate::tcp) fn unpark(_: &mut Unpacker<'_>) -> Self {
        Pacer
    }

    pub(crate) fn set_rate(&mut self, _: u64, _: u32) {}

    pub(crate) fn rate(&self) -> Option<u64> {
        None
    }

    pub(crate) fn open(&mut self) {}

    pub(crate) fn is_open(&self) -> bool {
        true
    }

    pub(crate) fn most(&self) -> u32 {
        u32::MAX
    }

    pub(crate) fn on_sent(&mut self, _: u32, _: Instant) {}

    pub(crate) fn deadline(&self) -> Option<Instant> {
        None
    }

    pub(crate) fn on_timer(&mut self, _: Instant) {}
}
