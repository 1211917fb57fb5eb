//! Where the lists and the wheel find their links in a connection.

use super::connections::Connections;
use crate::base::list::{Link, Links};
use crate::base::wheel::{Node, Nodes};

pub(super) struct Timers<'t, 'a>(pub(super) &'t mut Connections<'a>);

pub(super) struct Ready<'t, 'a>(pub(super) &'t mut Connections<'a>);

pub(super) struct Starved<'t, 'a>(pub(super) &'t mut Connections<'a>);

pub(super) struct Narrow<'t, 'a>(pub(super) &'t mut Connections<'a>);

pub(super) struct Stalled<'t, 'a>(pub(super) &'t mut Connections<'a>);

pub(super) struct HalfOpen<'t, 'a>(pub(super) &'t mut Connections<'a>);

pub(super) struct Orphaned<'t, 'a>(pub(super) &'t mut Connections<'a>);

/// The tables only ever name entries that exist.
const EXISTS: &str = "a table names a connection that does not exist";

impl Nodes for Timers<'_, '_> {
    fn node(&mut self, index: u32) -> &mut Node {
        self.0.timer(index).expect(EXISTS)
    }
}

impl Links for Ready<'_, '_> {
    #[inline]
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).ready
    }
}

impl Links for Starved<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).starved
    }
}

impl Links for Narrow<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).narrow
    }
}

impl Links for Stalled<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).stalled
    }
}

impl Links for HalfOpen<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0.at_mut(index).expect(EXISTS).half_open
    }
}

impl Links for Orphaned<'_, '_> {
    fn link(&mut self, index: u32) -> &mut Link {
        self.0.orphaned(index).expect(EXISTS)
    }
}
