//! The memory of a queue, lent to who reads or writes it.

use super::{Chain, Cursor, NONE, Need, Pool, to_u32};

/// Pieces in which bytes are shown at most: one is usual, two where a block ends.
const PIECES_MAX: usize = 16;

impl Chain {
    /// Appends what `fill` writes into the memory behind the last byte, which it is lent: as much of `most` as lies
    /// together, at least a byte. It says how much of that it wrote. `None`: there is no memory for this need.
    pub(crate) fn append_with<R>(
        &mut self,
        pool: &mut Pool<'_>,
        most: usize,
        need: Need,
        fill: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Option<R> {
        let end = self.len as usize;
        self.reserve(pool, end + most, need);
        let (block, at) = self.locate(pool, end);
        if block == NONE {
            return None;
        }
        let (len, _) = pool.stretch(block, at, most);
        let (written, result) = fill(pool.bytes_mut(block, at, len));
        self.len += to_u32(written.min(len));
        if self.spare(pool) >= pool.block_len || self.len == 0 {
            self.truncate(pool, self.len as usize);
        }
        Some(result)
    }

    /// Shows `look` the bytes from `offset` on, `len` of them at most, in the pieces in which they lie, and how many
    /// bytes these are. The cost of where they begin is that of walking there.
    pub(crate) fn lend<R>(
        &self,
        pool: &Pool<'_>,
        offset: usize,
        len: usize,
        look: impl FnOnce(&[&[u8]], usize) -> R,
    ) -> R {
        let len = len.min(self.len().saturating_sub(offset));
        if len == 0 {
            return look(&[], 0);
        }
        if let Some(piece) = self.first_block(pool).get(offset..offset + len) {
            return look(&[piece], len);
        }
        let (mut pieces, mut cursor) = (heapless::Vec::<&[u8], PIECES_MAX>::new(), Cursor::FRONT);
        let shown = self.pieces(pool, &mut cursor, offset, len, &mut pieces);
        look(&pieces, shown)
    }
}
