//! BBR, left out: a law that no connection has.

use super::Ack;
use super::window::Window;
use crate::seq::Seq;
use crate::tcp::codec::Packer;
use crate::time::{Duration, Instant};

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bbr {}

impl Bbr {
    pub(super) fn park(&self, _: &mut Packer) {
        match *self {}
    }

    pub(super) fn on_ack(&mut self, _: &mut Window, _: &Ack) {
        match *self {}
    }

    pub(super) fn rate(&self, _: &Window, _: Option<u64>, _: Duration) -> Option<u64> {
        match *self {}
    }

    pub(super) fn on_resent(&mut self, _: Seq, _: u32) {
        match *self {}
    }

    pub(super) fn on_mark(&mut self, _: u32) {
        match *self {}
    }

    pub(super) fn on_dry(&mut self, _: u32, _: Instant) {
        match *self {}
    }

    pub(super) fn on_idle(&mut self, _: Instant) {
        match *self {}
    }
}
