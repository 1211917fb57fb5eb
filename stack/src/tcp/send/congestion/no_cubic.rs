//! CUBIC, left out: a law that no connection has.

use super::Ack;
use super::window::Window;
use crate::tcp::codec::Packer;
use crate::time::Instant;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cubic {}

impl Cubic {
    pub(super) fn park(&self, _: &mut Packer) {
        match *self {}
    }

    pub(super) fn avoid(&mut self, _: &mut Window, _: &Ack) {
        match *self {}
    }

    pub(super) fn pause(&mut self, _: Instant) {
        match *self {}
    }

    pub(super) fn on_idle(&mut self) {
        match *self {}
    }

    pub(super) fn on_congestion(&mut self, _: &mut Window, _: u32) {
        match *self {}
    }

    pub(super) fn on_timeout(&mut self, _: &mut Window, _: u32) {
        match *self {}
    }
}
