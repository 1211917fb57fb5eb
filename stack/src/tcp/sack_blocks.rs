//! The blocks of selective acknowledgments.

use crate::seq::Range;

/// SACK blocks that a header has room for without other options.
pub(crate) const SACK_BLOCKS: usize = 4;

/// The blocks of a SACK option (RFC 2018 §3), in their order there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sack {
    len: u8,
    blocks: [Range; SACK_BLOCKS],
}

impl Sack {
    /// Adds a block; one too many is left out.
    pub(crate) fn push(&mut self, block: Range) {
        if let Some(place) = self.blocks.get_mut(self.len as usize) {
            *place = block;
            self.len += 1;
        }
    }

    pub(crate) fn blocks(&self) -> &[Range] {
        &self.blocks[..self.len as usize]
    }

    /// The first of them, as many as an option of `len` bytes holds.
    pub(crate) fn within(mut self, len: usize) -> Sack {
        while self.option_len() > len {
            self.len -= 1;
        }
        self
    }

    /// Bytes that the option takes in a header, with padding.
    pub(crate) const fn option_len(&self) -> usize {
        if self.len == 0 { 0 } else { 4 + 8 * self.len as usize }
    }
}
