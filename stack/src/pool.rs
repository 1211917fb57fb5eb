//! The one pool of memory that every queue of the stack draws from.
//!
//! The pool is a number of blocks of equal length. A [`Chain`] strings blocks into a byte queue:
//! what an application wrote and the peer has not acknowledged, what arrived and was not read, a
//! packet that waits for its neighbour. An idle connection holds no block. Without a heap the
//! caller hands the memory in; with `alloc` blocks are taken from the heap in slabs, up to a limit.
//!
//! Blocks are never zeroed: only bytes that were written are ever read.

use crate::bytes::Bytes;
#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};
use managed::ManagedSlice;

/// No block.
const NONE: u32 = u32::MAX;
/// `NONE` is not even the number after a block's.
const BLOCKS_MAX: usize = NONE as usize - 1;
/// Bytes that the number of a block takes in borrowed memory.
const LINK: usize = 4;
/// Blocks that are taken from the heap at a time.
#[cfg(feature = "alloc")]
const SLAB: usize = 16;

enum Memory<'a> {
    Borrowed(&'a mut [u8]),
    #[cfg(feature = "alloc")]
    Heap(Vec<Box<[u8]>>),
}

/// Blocks of memory, used and free.
pub struct Pool<'a> {
    memory: Memory<'a>,
    /// For each block the number of the next one in its chain. Apart from the blocks, so that
    /// walking a chain touches little memory.
    links: ManagedSlice<'a, [u8; LINK]>,
    block_len: usize,
    /// Blocks that exist.
    blocks: u32,
    /// Blocks that may exist, as far as is known: the heap may have less than was promised.
    limit: u32,
    /// As it was promised.
    #[cfg(feature = "alloc")]
    limit_max: u32,
    /// The first of a chain of blocks that were given back. Those from `fresh` on were not taken
    /// since the pool was last empty.
    free: u32,
    fresh: u32,
    used: u32,
}

impl<'a> Pool<'a> {
    /// A pool in the caller's memory: `memory.len() / (block_len + 4)` blocks.
    ///
    /// Blocks of several segments' length suit a system with plenty of memory; 256 to 512 bytes one
    /// with little. `block_len` is at least 64.
    pub fn borrowed(memory: &'a mut [u8], block_len: usize) -> Self {
        let block_len = block_len.max(64);
        let blocks = (memory.len() / (block_len + LINK)).min(BLOCKS_MAX);
        let (links, memory) = memory.split_at_mut(blocks * LINK);
        Pool {
            memory: Memory::Borrowed(memory),
            links: ManagedSlice::Borrowed(links.as_chunks_mut().0),
            block_len,
            blocks: blocks as u32,
            limit: blocks as u32,
            #[cfg(feature = "alloc")]
            limit_max: blocks as u32,
            free: NONE,
            fresh: 0,
            used: 0,
        }
    }

    /// A pool that takes blocks from the heap as it needs them, `limit` bytes of payload at most.
    #[cfg(feature = "alloc")]
    pub fn growing(limit: usize, block_len: usize) -> Pool<'static> {
        let block_len = block_len.max(64);
        let limit = (limit / block_len).min(BLOCKS_MAX) as u32;
        Pool {
            memory: Memory::Heap(Vec::new()),
            links: ManagedSlice::Owned(Vec::new()),
            block_len,
            blocks: 0,
            limit,
            limit_max: limit,
            free: NONE,
            fresh: 0,
            used: 0,
        }
    }

    /// Payload bytes of one block.
    pub fn block_len(&self) -> usize {
        self.block_len
    }

    /// Bytes that can still be taken.
    pub fn available(&self) -> usize {
        (self.limit - self.used) as usize * self.block_len
    }

    /// Bytes in use, whole blocks counted.
    pub fn in_use(&self) -> usize {
        self.used as usize * self.block_len
    }

    /// Bytes that the pool can hold in all.
    pub fn capacity(&self) -> usize {
        self.limit as usize * self.block_len
    }

    /// Did the heap give less than was promised?
    pub(crate) fn is_short(&self) -> bool {
        #[cfg(feature = "alloc")]
        return self.limit < self.limit_max;
        #[cfg(not(feature = "alloc"))]
        false
    }

    /// If so, asks again: there may be memory by now.
    pub(crate) fn ask_again(&mut self) {
        #[cfg(feature = "alloc")]
        if self.is_short() {
            self.grow();
        }
    }

    /// Takes another slab from the heap. Where that has none, the pool promises no more than it has.
    #[cfg(feature = "alloc")]
    fn grow(&mut self) {
        if let (Memory::Heap(slabs), ManagedSlice::Owned(links)) = (&mut self.memory, &mut self.links) {
            let count = (self.limit_max - self.blocks).min(SLAB as u32);
            let has_links = links.try_reserve(count as usize).is_ok();
            let slab = crate::heap::fill(self.block_len * count as usize, || 0).filter(|_| has_links);
            if count > 0
                && let Some(slab) = slab
                && crate::heap::push(slabs, slab)
            {
                links.resize((self.blocks + count) as usize, NONE.to_ne_bytes());
                self.blocks += count;
                self.limit = self.limit_max;
            } else {
                self.limit = self.blocks;
            }
        }
    }

    /// Takes up to `count` blocks that lie side by side, and are chained.
    fn take(&mut self, count: u32) -> Option<Run> {
        let run = match self.free {
            NONE => self.take_fresh(count)?,
            first => {
                let last = first + self.successors(first, count as usize - 1);
                self.free = self.next(last);
                Run { first, last, count: last - first + 1 }
            }
        };
        self.set_next(run.last, NONE);
        self.used += run.count;
        Some(run)
    }

    fn take_fresh(&mut self, count: u32) -> Option<Run> {
        #[cfg(feature = "alloc")]
        if self.fresh == self.blocks {
            self.grow();
        }
        if self.fresh == self.blocks {
            return None;
        }
        let first = self.fresh;
        let end = self.slab_end(first).min(first.saturating_add(count));
        for (link, next) in self.links[first as usize..end as usize].iter_mut().zip(first + 1..) {
            *link = next.to_ne_bytes();
        }
        self.fresh = end;
        Some(Run { first, last: end - 1, count: end - first })
    }

    /// Takes blocks back. Those of an empty pool lie in order again.
    fn put(&mut self, run: Run) {
        self.used -= run.count;
        if self.used == 0 {
            (self.free, self.fresh) = (NONE, 0);
        } else {
            self.set_next(run.last, self.free);
            self.free = run.first;
        }
    }

    /// How many blocks follow this one both in its chain and in memory, `most` at most.
    #[inline]
    fn successors(&self, block: u32, most: usize) -> u32 {
        let links = &self.links[block as usize..self.slab_end(block) as usize - 1];
        let follows = |(link, next): &(&[u8; LINK], u32)| u32::from_ne_bytes(**link) == *next;
        links.iter().take(most).zip(block + 1..).take_while(follows).count() as u32
    }

    /// How far the memory from `at` in `block` on goes, `len` bytes at most, while the blocks of the
    /// chain lie side by side; and the last of these blocks.
    #[inline]
    fn stretch(&self, block: u32, at: usize, len: usize) -> (usize, u32) {
        let here = self.block_len - at;
        if len <= here {
            return (len, block);
        }
        let more = self.successors(block, (len - here).div_ceil(self.block_len));
        (len.min(here + more as usize * self.block_len), block + more)
    }

    /// The first block whose memory does not follow that of `block` and those between.
    #[inline]
    fn slab_end(&self, block: u32) -> u32 {
        match &self.memory {
            Memory::Borrowed(_) => self.blocks.max(block),
            #[cfg(feature = "alloc")]
            Memory::Heap(_) => self.blocks.min((block / SLAB as u32 + 1) * SLAB as u32),
        }
    }

    /// A [`stretch`](Pool::stretch) of memory.
    #[inline]
    fn bytes(&self, block: u32, at: usize, len: usize) -> &[u8] {
        let block = block as usize;
        match &self.memory {
            Memory::Borrowed(m) => &m[block * self.block_len + at..][..len],
            #[cfg(feature = "alloc")]
            Memory::Heap(slabs) => &slabs[block / SLAB][block % SLAB * self.block_len + at..][..len],
        }
    }

    #[inline(always)] // at every frame
    fn bytes_mut(&mut self, block: u32, at: usize, len: usize) -> &mut [u8] {
        let block = block as usize;
        match &mut self.memory {
            Memory::Borrowed(m) => &mut m[block * self.block_len + at..][..len],
            #[cfg(feature = "alloc")]
            Memory::Heap(slabs) => &mut slabs[block / SLAB][block % SLAB * self.block_len + at..][..len],
        }
    }

    /// Copies `data` to `at` in `block` and what follows in its chain; returns how much there was
    /// room for.
    fn fill(&mut self, mut block: u32, mut at: usize, data: &[u8]) -> usize {
        let mut done = 0;
        while done < data.len() && block != NONE {
            let (n, last) = self.stretch(block, at, data.len() - done);
            self.bytes_mut(block, at, n).copy_from_slice(&data[done..done + n]);
            done += n;
            (block, at) = (self.next(last), 0);
        }
        done
    }

    #[inline]
    fn next(&self, block: u32) -> u32 {
        following(&self.links, block)
    }

    #[inline]
    fn set_next(&mut self, block: u32, next: u32) {
        self.links[block as usize] = next.to_ne_bytes();
    }
}

#[inline]
fn following(links: &[[u8; LINK]], block: u32) -> u32 {
    u32::from_ne_bytes(links[block as usize])
}

/// Blocks that are chained one to the next.
struct Run {
    first: u32,
    last: u32,
    count: u32,
}

/// A queue of bytes in blocks of a [`Pool`]. The owner gives the blocks back with
/// [`clear`](Chain::clear): a chain that is dropped with bytes in it leaks its blocks.
#[derive(Debug)]
pub struct Chain {
    head: u32,
    tail: u32,
    /// Bytes of the head block that were consumed.
    start: u32,
    /// Bytes in the queue.
    len: u32,
    /// Blocks in the chain.
    blocks: u32,
    /// Bytes consumed ever, modulo 2^32: gives each byte a name that lasts, for cursors.
    origin: u32,
}

/// Where a reader of a [`Chain`] was last, so that it need not walk from the front.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    block: u32,
    /// Name of the block's first byte.
    first: u32,
}

impl Cursor {
    /// At the front.
    pub const FRONT: Cursor = Cursor { block: NONE, first: 0 };
}

impl Default for Chain {
    fn default() -> Self {
        Chain::new()
    }
}

impl Chain {
    /// An empty queue, without memory.
    pub const fn new() -> Self {
        Chain { head: NONE, tail: NONE, start: 0, len: 0, blocks: 0, origin: 0 }
    }

    /// Bytes in the queue.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Is the queue empty?
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the pool that the queue holds.
    pub const fn held(&self, pool: &Pool<'_>) -> usize {
        self.blocks as usize * pool.block_len
    }

    /// Bytes from the front that the blocks of the chain have room for.
    const fn room(&self, pool: &Pool<'_>) -> usize {
        self.held(pool) - self.start as usize
    }

    /// Adds `count` blocks, or what is left.
    fn extend(&mut self, pool: &mut Pool<'_>, count: usize) {
        let mut missing = count.min(NONE as usize) as u32;
        while missing > 0
            && let Some(run) = pool.take(missing)
        {
            if self.head == NONE {
                self.head = run.first;
            } else {
                pool.set_next(self.tail, run.first);
            }
            self.tail = run.last;
            self.blocks += run.count;
            missing -= run.count;
        }
    }

    /// Makes room for `len` bytes counted from the front. False: the pool is used up (what it
    /// gave is kept for later).
    pub fn reserve(&mut self, pool: &mut Pool<'_>, len: usize) -> bool {
        if let Some(missing @ 1..) = len.checked_sub(self.room(pool)) {
            self.extend(pool, missing.div_ceil(pool.block_len));
        }
        len <= self.room(pool)
    }

    /// Appends `data` if it lies in one piece and the last block has room for it: most segments are
    /// shorter than a block. False: nothing was done.
    #[inline(always)] // at every frame
    pub fn append_in_place(&mut self, pool: &mut Pool<'_>, data: Bytes<'_>) -> bool {
        let (data, whole) = (data.front(), data.len());
        let (block_len, used) = (pool.block_len, self.start as usize + self.len as usize);
        let Some(before) = (self.blocks as usize).checked_sub(1).map(|n| n * block_len) else { return false };
        // Behind a `reserve` the queue may end before its last block.
        let Some(at) = used.checked_sub(before) else { return false };
        if data.len() != whole || block_len - at < whole {
            return false;
        }
        pool.bytes_mut(self.tail, at, whole).copy_from_slice(data);
        self.len += whole as u32;
        true
    }

    /// Appends as much of `data` as the pool has memory for and returns how much.
    pub fn append(&mut self, pool: &mut Pool<'_>, data: &[u8]) -> usize {
        let (tail, spare) = (self.tail, self.room(pool) - self.len as usize);
        self.reserve(pool, self.len as usize + data.len());
        let (block, at) = match spare {
            0 if tail == NONE => (self.head, 0),
            0 => (pool.next(tail), 0),
            _ if spare <= pool.block_len => (tail, pool.block_len - spare),
            // After a `reserve`: the queue ends before its last block.
            _ => return self.write(pool, self.len as usize, data),
        };
        let done = pool.fill(block, at, data);
        self.len += done as u32;
        done
    }

    /// Writes `data` at `offset` from the front, within what [`reserve`](Chain::reserve) made room
    /// for; extends the length if it ends beyond it. Returns how much was written.
    pub fn write(&mut self, pool: &mut Pool<'_>, offset: usize, data: &[u8]) -> usize {
        let (block, at) = self.locate(pool, offset);
        let done = pool.fill(block, at, data);
        self.len = self.len.max((offset + done) as u32);
        done
    }

    /// Block and position in it of the byte `offset` from the front; no block, if the chain does not
    /// reach it.
    fn locate(&self, pool: &Pool<'_>, offset: usize) -> (u32, usize) {
        let from_head = self.start as usize + offset;
        if from_head < pool.block_len {
            return (self.head, from_head);
        }
        let (index, at) = (from_head / pool.block_len, from_head % pool.block_len);
        if index >= self.blocks as usize {
            return (NONE, 0);
        }
        if index + 1 == self.blocks as usize {
            return (self.tail, at);
        }
        ((0..index).fold(self.head, |block, _| pool.next(block)), at)
    }

    /// Frees `n` bytes at the front, or all if there are fewer.
    pub fn consume(&mut self, pool: &mut Pool<'_>, n: usize) {
        let n = n.min(self.len as usize);
        self.origin = self.origin.wrapping_add(n as u32);
        self.len -= n as u32;
        if self.len == 0 {
            return self.release(pool);
        }
        self.start += n as u32;
        let (first, mut last, mut count) = (self.head, NONE, 0);
        while self.start as usize >= pool.block_len {
            last = self.head;
            self.head = pool.next(last);
            self.start -= pool.block_len as u32;
            count += 1;
        }
        if count > 0 {
            self.blocks -= count;
            pool.put(Run { first, last, count });
        }
    }

    /// Cuts the queue to `len` bytes and frees the blocks behind.
    pub fn truncate(&mut self, pool: &mut Pool<'_>, len: usize) {
        self.len = self.len.min(len as u32);
        if self.len == 0 {
            return self.release(pool);
        }
        let kept = (self.start + self.len).div_ceil(pool.block_len as u32);
        if kept < self.blocks {
            let (block, _) = self.locate(pool, self.len as usize - 1);
            let run = Run { first: pool.next(block), last: self.tail, count: self.blocks - kept };
            pool.set_next(block, NONE);
            (self.tail, self.blocks) = (block, kept);
            pool.put(run);
        }
    }

    /// Frees everything.
    pub fn clear(&mut self, pool: &mut Pool<'_>) {
        self.origin = self.origin.wrapping_add(self.len);
        self.len = 0;
        self.release(pool);
    }

    fn release(&mut self, pool: &mut Pool<'_>) {
        if self.head != NONE {
            pool.put(Run { first: self.head, last: self.tail, count: self.blocks });
        }
        (self.head, self.tail, self.start, self.blocks) = (NONE, NONE, 0, 0);
    }

    /// The bytes from `offset` on, `len` of them at most, in the pieces in which they lie, added to
    /// `pieces` as long as that has room. Returns how many bytes. The cursor makes the next call
    /// with a later offset cheap.
    pub fn pieces<'p, const N: usize>(
        &self,
        pool: &'p Pool<'_>,
        cursor: &mut Cursor,
        offset: usize,
        len: usize,
        pieces: &mut heapless::Vec<&'p [u8], N>,
    ) -> usize {
        let len = len.min((self.len as usize).saturating_sub(offset));
        let (mut block, mut at) = self.seek(pool, cursor, offset);
        let mut done = 0;
        while done < len && block != NONE {
            let (n, last) = pool.stretch(block, at, len - done);
            if pieces.push(pool.bytes(block, at, n)).is_err() {
                break;
            }
            done += n;
            cursor.first = cursor.first.wrapping_add((last - block) * pool.block_len as u32);
            cursor.block = last;
            if done < len {
                cursor.block = pool.next(last);
                cursor.first = cursor.first.wrapping_add(pool.block_len as u32);
            }
            (block, at) = (cursor.block, 0);
        }
        done
    }

    /// Moves the cursor to the block of `offset`, from where it stands if that is not behind.
    fn seek(&self, pool: &Pool<'_>, cursor: &mut Cursor, offset: usize) -> (u32, usize) {
        let head_first = self.origin.wrapping_sub(self.start);
        let mut distance = self.start as usize + offset;
        let ahead = cursor.first.wrapping_sub(head_first) as usize;
        if cursor.block != NONE && ahead <= distance && self.blocks > 0 {
            distance -= ahead;
        } else {
            *cursor = Cursor { block: self.head, first: head_first };
        }
        while distance >= pool.block_len && cursor.block != NONE {
            let next = pool.next(cursor.block);
            if next == NONE {
                break;
            }
            cursor.block = next;
            cursor.first = cursor.first.wrapping_add(pool.block_len as u32);
            distance -= pool.block_len;
        }
        (cursor.block, distance.min(pool.block_len))
    }

    /// The bytes at the front that lie together; empty if the queue is.
    pub fn front<'p>(&self, pool: &'p Pool<'_>) -> &'p [u8] {
        if self.len == 0 {
            return &[];
        }
        let start = self.start as usize;
        let (len, _) = pool.stretch(self.head, start, self.len as usize);
        pool.bytes(self.head, start, len)
    }

    /// Copies from `offset` into `to` as much as there is and returns how much.
    pub fn copy_out(&self, pool: &Pool<'_>, offset: usize, to: &mut [u8]) -> usize {
        let want = to.len().min((self.len as usize).saturating_sub(offset));
        let (mut block, mut at) = self.locate(pool, offset);
        let mut done = 0;
        while done < want {
            let (n, last) = pool.stretch(block, at, want - done);
            to[done..done + n].copy_from_slice(pool.bytes(block, at, n));
            done += n;
            (block, at) = (pool.next(last), 0);
        }
        done
    }

    /// Appends all of `data`, or nothing if the pool has not enough memory.
    pub fn append_whole(&mut self, pool: &mut Pool<'_>, data: Bytes<'_>) -> bool {
        if !self.reserve(pool, self.len as usize + data.len()) {
            self.truncate(pool, self.len as usize);
            return false;
        }
        let mut at = self.len as usize;
        for piece in data.chunks() {
            at += self.write(pool, at, piece);
        }
        true
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
