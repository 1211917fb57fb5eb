//! The search for the longest segment that arrives, left out: interface and routers say how long it is.

use super::SegmentSize;
use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::TcpConfig;
use crate::time::Instant;

/// There is to be none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing;

pub(super) const NO_PROBING: Probing = Probing;

pub(crate) const fn probing(_: &TcpConfig) -> Probing {
    Probing
}

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Search {}

pub(super) fn park(_: Probing, _: Option<&Search>, _: &mut Packer) -> Option<()> {
    Some(())
}

pub(super) fn unpark(_: &mut Unpacker<'_>) -> (Probing, Option<Search>) {
    (Probing, None)
}

impl Search {
    pub(super) fn low(&self) -> u16 {
        match *self {}
    }

    pub(super) fn is_near(&self, _: Seq) -> bool {
        match *self {}
    }

    pub(super) fn on_path(&mut self, _: u16) {
        match *self {}
    }

    pub(super) fn on_ack(&mut self, _: Seq, _: u16, _: Instant) -> bool {
        match *self {}
    }
}

impl SegmentSize {
    pub(super) fn begin(&mut self, _: Instant) {}

    pub(super) fn on_full_lost(&mut self, _: u8, _: Instant) {}

    pub(crate) fn probe(&self, _: u32, _: Instant) -> Option<u16> {
        None
    }

    pub(crate) fn on_probe_sent(&mut self, _: Seq, _: u16) {}

    pub(crate) fn on_lost(&mut self, _: Seq, _: u32, _: Instant) -> Option<u32> {
        None
    }
}
