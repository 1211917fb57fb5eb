//! Packets that wait, in blocks of the pool: for room in a device, for a neighbour's address, for
//! a reader. A queue without packets owns no memory.

#![warn(clippy::cast_possible_truncation)]

use crate::base::pool::{Chain, Cursor, Need, Pool};
use crate::bytes::Bytes;

/// A packet on its way into a queue: headers, then a payload that may lie in pieces.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'p> {
    pub(crate) heads: [&'p [u8]; 2],
    pub(crate) body: Bytes<'p>,
}

impl<'p> Frame<'p> {
    pub(crate) const fn new(heads: [&'p [u8]; 2], body: Bytes<'p>) -> Self {
        Frame { heads, body }
    }

    pub(crate) const fn len(&self) -> usize {
        self.heads[0].len() + self.heads[1].len() + self.body.len()
    }

    fn chunks(&self) -> impl Iterator<Item = &'p [u8]> {
        self.heads.into_iter().chain(self.body.chunks())
    }

    /// Copies all of it into `to`, which is as long as the frame.
    fn copy_to(&self, to: &mut [u8]) {
        let [first, second] = self.heads;
        let (to_first, rest) = to.split_at_mut(first.len());
        let (to_second, rest) = rest.split_at_mut(second.len());
        to_first.copy_from_slice(first);
        to_second.copy_from_slice(second);
        self.body.copy_to(rest);
    }
}

/// Bytes of the pool that the unread packets of one socket may hold: an eighth of it, and 128 KiB at most (H196).
pub(crate) fn receive_max(pool: &Pool<'_>) -> usize {
    (pool.capacity() / 8).min(128 * 1024)
}

/// Each packet has its length before it.
const LEN: usize = 4;

/// A packet fits in memory, whose length fits in 32 bits where a queue's does.
fn length(len: usize) -> [u8; LEN] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

/// A queue of packets over one byte queue. Its owner bounds it, and clears it in the end.
#[derive(Debug, Default)]
pub(crate) struct PacketQueue {
    chain: Chain,
    packets: u32,
}

impl PacketQueue {
    pub(crate) const fn new() -> Self {
        PacketQueue { chain: Chain::new(), packets: 0 }
    }

    pub(crate) const fn packets(&self) -> usize {
        self.packets as usize
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Bytes of the pool that the queue holds.
    pub(crate) fn held(&self, pool: &Pool<'_>) -> usize {
        self.chain.held(pool)
    }

    /// Appends a packet, whole or not at all. False: there is no memory for this need.
    pub(crate) fn push(&mut self, pool: &mut Pool<'_>, frame: &Frame<'_>, need: Need) -> bool {
        // An empty queue has no block.
        (self.packets > 0 && self.push_in_place(pool, frame)) || self.push_anywhere(pool, frame, need)
    }

    /// Appends a packet where the last block has room for it.
    fn push_in_place(&mut self, pool: &mut Pool<'_>, frame: &Frame<'_>) -> bool {
        let len = frame.len();
        let Some((before, room)) =
            self.chain.extend_in_place(pool, LEN + len).and_then(|room| room.split_first_chunk_mut::<LEN>())
        else {
            return false;
        };
        *before = length(len);
        frame.copy_to(room);
        self.packets += 1;
        true
    }

    fn push_anywhere(&mut self, pool: &mut Pool<'_>, frame: &Frame<'_>, need: Need) -> bool {
        let end = self.chain.len();
        if !self.chain.reserve(pool, end + LEN + frame.len(), need) {
            self.chain.truncate(pool, end);
            return false;
        }
        if self.push_in_place(pool, frame) {
            return true;
        }
        self.chain.append(pool, &length(frame.len()), need);
        for piece in frame.chunks() {
            self.chain.append(pool, piece, need);
        }
        self.packets += 1;
        true
    }

    /// Appends the oldest packet of `from`, which is `len` long, with `front` in place of its
    /// first bytes. False: the pool is used up. The packet stays in `from`, whose owner is about to give
    /// it up: so it may take what is left.
    pub(crate) fn push_from(
        &mut self,
        pool: &mut Pool<'_>,
        from: &PacketQueue,
        len: usize,
        front: &[u8],
    ) -> bool {
        let end = self.chain.len();
        if !self.chain.reserve(pool, end + LEN + len, Need::Control) {
            self.chain.truncate(pool, end);
            return false;
        }
        self.chain.append(pool, &length(len), Need::Control);
        self.chain.append(pool, front, Need::Control);
        let mut at = front.len();
        let mut bounce = [0; 256];
        while at < len {
            let n = from.copy_front(pool, at, &mut bounce);
            self.chain.append(pool, &bounce[..n], Need::Control);
            at += n.max(1);
        }
        self.packets += 1;
        true
    }

    /// The oldest packet, if it lies in one piece.
    #[inline]
    pub(crate) fn front<'p>(&self, pool: &'p Pool<'_>) -> Option<&'p [u8]> {
        let (len, rest) = self.chain.first_block(pool).split_first_chunk::<LEN>()?;
        let len = u32::from_le_bytes(*len) as usize;
        match rest.get(..len) {
            None => self.chain.first_bytes(pool, LEN + len)?.get(LEN..),
            whole => whole,
        }
    }

    /// Length of the oldest packet.
    pub(crate) fn front_len(&self, pool: &Pool<'_>) -> Option<usize> {
        if self.packets == 0 {
            return None;
        }
        let mut len = [0; LEN];
        match self.chain.first_block(pool).first_chunk::<LEN>() {
            Some(first) => len = *first,
            None => _ = self.chain.copy_out(pool, 0, &mut len),
        }
        Some(u32::from_le_bytes(len) as usize)
    }

    /// Copies from `offset` in the oldest packet as much as fits, and returns how much.
    pub(crate) fn copy_front(&self, pool: &Pool<'_>, offset: usize, to: &mut [u8]) -> usize {
        let left = self.front_len(pool).unwrap_or(0).saturating_sub(offset);
        let want = to.len().min(left);
        self.chain.copy_out(pool, LEN + offset, &mut to[..want])
    }

    /// The oldest packet from `offset` on, in the pieces in which it lies. Returns how many bytes
    /// they are, which is less than the rest if there is not room for all.
    pub(crate) fn front_pieces<'p, const N: usize>(
        &self,
        pool: &'p Pool<'_>,
        offset: usize,
        pieces: &mut heapless::Vec<&'p [u8], N>,
    ) -> usize {
        let left = self.front_len(pool).unwrap_or(0).saturating_sub(offset);
        let mut cursor = Cursor::FRONT;
        self.chain.pieces(pool, &mut cursor, LEN + offset, left, pieces)
    }

    /// Shows `look` the oldest packet from `offset` on, in the pieces in which it lies, and how many bytes these are.
    pub(crate) fn lend_front<R>(
        &self,
        pool: &Pool<'_>,
        offset: usize,
        look: impl FnOnce(&[&[u8]], usize) -> R,
    ) -> R {
        let left = self.front_len(pool).unwrap_or(0).saturating_sub(offset);
        self.chain.lend(pool, LEN + offset, left, look)
    }

    /// Gives the oldest packet up. False: there is none.
    pub(crate) fn pop(&mut self, pool: &mut Pool<'_>) -> bool {
        let Some(len) = self.front_len(pool) else {
            return false;
        };
        self.pop_one(pool, len);
        true
    }

    /// Gives the oldest packet up, whose length is known.
    pub(crate) fn pop_one(&mut self, pool: &mut Pool<'_>, len: usize) {
        self.chain.consume(pool, LEN + len);
        self.packets -= 1;
    }

    /// Gives all packets up and says how many they were.
    pub(crate) fn clear(&mut self, pool: &mut Pool<'_>) -> usize {
        self.chain.clear(pool);
        core::mem::take(&mut self.packets) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_bounds() {
        let mut memory = [0; 4 * 68];
        let mut pool = Pool::borrowed(&mut memory, 64);
        let mut queue = PacketQueue::new();
        assert!(queue.push(&mut pool, &Frame::new([b"one", b" two"], Bytes::empty()), Need::Control));
        assert!(queue.push(&mut pool, &Frame::new([b"", b""], Bytes::empty()), Need::Control));
        assert!(queue.push(&mut pool, &Frame::new([&[7; 100], b""], Bytes::empty()), Need::Control));
        assert!(
            !queue.push(&mut pool, &Frame::new([&[8; 200], b""], Bytes::empty()), Need::Control),
            "no memory"
        );
        assert_eq!((queue.packets(), queue.front_len(&pool)), (3, Some(7)));
        let mut buf = [0; 9];
        assert_eq!(queue.copy_front(&pool, 4, &mut buf), 3);
        assert_eq!(&buf[..3], b"two");
        assert!(queue.pop(&mut pool));
        assert_eq!(queue.front_len(&pool), Some(0));
        assert!(queue.pop(&mut pool));
        let mut pieces = heapless::Vec::<&[u8], 4>::new();
        let bytes = queue.front_pieces(&pool, 1, &mut pieces);
        assert_eq!((bytes, pieces.concat()), (99, vec![7; 99]));
        drop(pieces);
        assert!(queue.pop(&mut pool) && !queue.pop(&mut pool));
        assert_eq!(pool.in_use(), 0);
    }
}
