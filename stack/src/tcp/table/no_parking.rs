//! In place of the parking of connections that idle, where the feature `parking` is off: none ever does.

use core::ops::{Deref, DerefMut};
use core::task::Waker;

use super::Connection;
use crate::base::list::Link;
use crate::base::wheel::Node;
use crate::tcp::segment::Tuple;
use crate::time::Instant;

/// A connection that idles: there is none.
#[derive(Debug)]
pub(super) enum Idle {}

/// A copy of one.
pub(in crate::tcp) enum Copied {}

impl Deref for Copied {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match *self {}
    }
}

impl DerefMut for Copied {
    fn deref_mut(&mut self) -> &mut Connection {
        match *self {}
    }
}

impl Idle {
    pub(super) const fn of(_: &mut Connection, _: Instant) -> Option<Idle> {
        None
    }

    pub(super) fn unpark(self, _: u32) -> Connection {
        match self {}
    }

    pub(super) fn copy(&self, _: u32) -> Copied {
        match *self {}
    }

    pub(super) fn tuple(&self) -> Tuple {
        match *self {}
    }

    pub(super) fn hash(&self) -> u32 {
        match *self {}
    }

    pub(super) fn timer(&mut self) -> &mut Node {
        match *self {}
    }

    pub(super) fn reader(&mut self) -> &mut Option<Waker> {
        match *self {}
    }

    pub(super) fn orphaned(&mut self) -> &mut Link {
        match *self {}
    }

    pub(super) fn next_waiting(&mut self) -> &mut u32 {
        match *self {}
    }
}
