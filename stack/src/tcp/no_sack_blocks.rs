//! The blocks of selective acknowledgments, left out: none is told, and none heard.

use crate::seq::Range;

/// A header has no such option.
pub(crate) const SACK_BLOCKS: usize = 0;

/// No blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sack(());

impl Sack {
    pub(crate) fn push(&mut self, _: Range) {}

    pub(crate) fn blocks(&self) -> &[Range] {
        &[]
    }

    pub(crate) fn within(self, _: usize) -> Sack {
        self
    }

    pub(crate) const fn option_len(&self) -> usize {
        0
    }
}
