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
use alloc::{boxed::Box, vec, vec::Vec};

/// No block.
const NONE: u32 = u32::MAX;
/// Bytes that the number of a block takes in borrowed memory.
const LINK: usize = 4;
/// Blocks that are taken from the heap at a time.
#[cfg(feature = "alloc")]
const SLAB: usize = 64;

enum Memory<'a> {
    Borrowed(&'a mut [u8]),
    #[cfg(feature = "alloc")]
    Heap(Vec<Box<[u8]>>),
}

/// For each block the number of the next one in its chain. Apart from the blocks, so that walking
/// a chain touches little memory.
enum Links<'a> {
    Borrowed(&'a mut [u8]),
    #[cfg(feature = "alloc")]
    Heap(Vec<u32>),
}

/// Blocks of memory, used and free.
pub struct Pool<'a> {
    memory: Memory<'a>,
    links: Links<'a>,
    block_len: usize,
    /// Blocks that exist: the free list holds all that are not in a chain.
    blocks: u32,
    /// Blocks that may exist.
    limit: u32,
    free: u32,
    used: u32,
}

impl<'a> Pool<'a> {
    /// A pool in the caller's memory: `memory.len() / (block_len + 4)` blocks.
    ///
    /// Blocks of several segments' length suit a system with plenty of memory; 256 to 512 bytes one
    /// with little. `block_len` is at least 64.
    pub fn borrowed(memory: &'a mut [u8], block_len: usize) -> Self {
        let block_len = block_len.max(64);
        let blocks = (memory.len() / (block_len + LINK)).min(NONE as usize);
        let (links, memory) = memory.split_at_mut(blocks * LINK);
        let mut pool = Pool {
            memory: Memory::Borrowed(memory),
            links: Links::Borrowed(links),
            block_len,
            blocks: 0,
            limit: blocks as u32,
            free: NONE,
            used: 0,
        };
        pool.adopt(blocks as u32);
        pool
    }

    /// A pool that takes blocks from the heap as it needs them, `limit` bytes of payload at most.
    #[cfg(feature = "alloc")]
    pub fn growing(limit: usize, block_len: usize) -> Pool<'static> {
        let block_len = block_len.max(64);
        Pool {
            memory: Memory::Heap(Vec::new()),
            links: Links::Heap(Vec::new()),
            block_len,
            blocks: 0,
            limit: (limit / block_len).min(NONE as usize) as u32,
            free: NONE,
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

    /// Puts `count` new blocks on the free list.
    fn adopt(&mut self, count: u32) {
        for block in (self.blocks..self.blocks + count).rev() {
            self.set_next(block, self.free);
            self.free = block;
        }
        self.blocks += count;
    }

    #[cfg(feature = "alloc")]
    fn grow(&mut self) {
        if let (Memory::Heap(slabs), Links::Heap(links)) = (&mut self.memory, &mut self.links) {
            let count = (self.limit - self.blocks).min(SLAB as u32);
            if count > 0 {
                slabs.push(vec![0; self.block_len * count as usize].into_boxed_slice());
                links.resize((self.blocks + count) as usize, NONE);
                self.adopt(count);
            }
        }
    }

    fn take(&mut self) -> Option<u32> {
        #[cfg(feature = "alloc")]
        if self.free == NONE {
            self.grow();
        }
        let block = self.free;
        if block == NONE {
            return None;
        }
        self.free = self.next(block);
        self.set_next(block, NONE);
        self.used += 1;
        Some(block)
    }

    fn put(&mut self, block: u32) {
        self.set_next(block, self.free);
        self.free = block;
        self.used -= 1;
    }

    #[inline]
    fn bytes(&self, block: u32) -> &[u8] {
        let (block, len) = (block as usize, self.block_len);
        match &self.memory {
            Memory::Borrowed(m) => &m[block * len..][..len],
            #[cfg(feature = "alloc")]
            Memory::Heap(slabs) => &slabs[block / SLAB][block % SLAB * len..][..len],
        }
    }

    #[inline]
    fn bytes_mut(&mut self, block: u32) -> &mut [u8] {
        let (block, len) = (block as usize, self.block_len);
        match &mut self.memory {
            Memory::Borrowed(m) => &mut m[block * len..][..len],
            #[cfg(feature = "alloc")]
            Memory::Heap(slabs) => &mut slabs[block / SLAB][block % SLAB * len..][..len],
        }
    }

    #[inline]
    fn next(&self, block: u32) -> u32 {
        match &self.links {
            Links::Borrowed(links) => match links[block as usize * LINK..] {
                [a, b, c, d, ..] => u32::from_le_bytes([a, b, c, d]),
                _ => NONE,
            },
            #[cfg(feature = "alloc")]
            Links::Heap(links) => links[block as usize],
        }
    }

    #[inline]
    fn set_next(&mut self, block: u32, next: u32) {
        match &mut self.links {
            Links::Borrowed(links) => {
                links[block as usize * LINK..][..LINK].copy_from_slice(&next.to_le_bytes());
            }
            #[cfg(feature = "alloc")]
            Links::Heap(links) => links[block as usize] = next,
        }
    }
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

    fn extend(&mut self, pool: &mut Pool<'_>) -> bool {
        let Some(block) = pool.take() else {
            return false;
        };
        if self.head == NONE {
            self.head = block;
        } else {
            pool.set_next(self.tail, block);
        }
        self.tail = block;
        self.blocks += 1;
        true
    }

    /// Makes room for `len` bytes counted from the front. False: the pool is used up (what it
    /// gave is kept for later).
    pub fn reserve(&mut self, pool: &mut Pool<'_>, len: usize) -> bool {
        while self.room(pool) < len {
            if !self.extend(pool) {
                return false;
            }
        }
        true
    }

    /// Appends as much of `data` as the pool has memory for and returns how much.
    pub fn append(&mut self, pool: &mut Pool<'_>, data: &[u8]) -> usize {
        let mut done = 0;
        while done < data.len() {
            let mut spare = self.room(pool) - self.len as usize;
            if spare == 0 {
                if !self.extend(pool) {
                    break;
                }
                spare = pool.block_len;
            }
            let n = spare.min(data.len() - done);
            if spare > pool.block_len {
                // After a `reserve`: the queue ends before its last block.
                self.write(pool, self.len as usize, &data[done..done + n]);
            } else {
                let at = pool.block_len - spare;
                pool.bytes_mut(self.tail)[at..at + n].copy_from_slice(&data[done..done + n]);
                self.len += n as u32;
            }
            done += n;
        }
        done
    }

    /// Writes `data` at `offset` from the front, within what [`reserve`](Chain::reserve) made room
    /// for; extends the length if it ends beyond it. Returns how much was written.
    pub fn write(&mut self, pool: &mut Pool<'_>, offset: usize, data: &[u8]) -> usize {
        let mut block_and_at = self.locate(pool, offset);
        let mut done = 0;
        while let Some((block, at)) = block_and_at {
            let to = &mut pool.bytes_mut(block)[at..];
            let n = to.len().min(data.len() - done);
            to[..n].copy_from_slice(&data[done..done + n]);
            done += n;
            if done == data.len() {
                break;
            }
            let next = pool.next(block);
            block_and_at = (next != NONE).then_some((next, 0));
        }
        self.len = self.len.max((offset + done) as u32);
        done
    }

    /// Block and position in it of the byte `offset` from the front, if the chain reaches it.
    fn locate(&self, pool: &Pool<'_>, offset: usize) -> Option<(u32, usize)> {
        let from_head = self.start as usize + offset;
        let index = from_head / pool.block_len;
        if index >= self.blocks as usize {
            return None;
        }
        if index + 1 == self.blocks as usize {
            return Some((self.tail, from_head % pool.block_len));
        }
        let mut block = self.head;
        for _ in 0..index {
            block = pool.next(block);
        }
        Some((block, from_head % pool.block_len))
    }

    /// Frees `n` bytes at the front, or all if there are fewer.
    pub fn consume(&mut self, pool: &mut Pool<'_>, n: usize) {
        let n = n.min(self.len as usize);
        self.origin = self.origin.wrapping_add(n as u32);
        self.len -= n as u32;
        self.start += n as u32;
        while self.start as usize >= pool.block_len {
            let next = pool.next(self.head);
            pool.put(self.head);
            self.head = next;
            self.start -= pool.block_len as u32;
            self.blocks -= 1;
        }
        if self.len == 0 {
            self.release(pool);
        }
    }

    /// Cuts the queue to `len` bytes and frees the blocks behind.
    pub fn truncate(&mut self, pool: &mut Pool<'_>, len: usize) {
        if len == 0 {
            self.len = 0;
            return self.release(pool);
        }
        self.len = self.len.min(len as u32);
        if let Some((block, _)) = self.locate(pool, self.len as usize - 1) {
            let mut rest = pool.next(block);
            pool.set_next(block, NONE);
            self.tail = block;
            while rest != NONE {
                let next = pool.next(rest);
                pool.put(rest);
                self.blocks -= 1;
                rest = next;
            }
        }
    }

    /// Frees everything.
    pub fn clear(&mut self, pool: &mut Pool<'_>) {
        self.origin = self.origin.wrapping_add(self.len);
        self.len = 0;
        self.release(pool);
    }

    fn release(&mut self, pool: &mut Pool<'_>) {
        while self.head != NONE {
            let next = pool.next(self.head);
            pool.put(self.head);
            self.head = next;
        }
        (self.tail, self.start, self.blocks) = (NONE, 0, 0);
    }

    /// The bytes from `offset` on, `len` of them at most, in the pieces in which they lie; at most
    /// `pieces.len()` pieces. Returns how many pieces and how many bytes. The cursor makes the
    /// next call with a later offset cheap.
    pub fn pieces<'p>(
        &self,
        pool: &'p Pool<'_>,
        cursor: &mut Cursor,
        offset: usize,
        len: usize,
        pieces: &mut [&'p [u8]],
    ) -> (usize, usize) {
        let len = len.min((self.len as usize).saturating_sub(offset));
        let (mut block, mut at) = self.seek(pool, cursor, offset);
        let (mut count, mut done) = (0, 0);
        while done < len && count < pieces.len() && block != NONE {
            let n = (pool.block_len - at).min(len - done);
            pieces[count] = &pool.bytes(block)[at..at + n];
            count += 1;
            done += n;
            if at + n == pool.block_len && done < len {
                block = pool.next(block);
                cursor.block = block;
                cursor.first = cursor.first.wrapping_add(pool.block_len as u32);
            }
            at = 0;
        }
        (count, done)
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
        let end = pool.block_len.min(start + self.len as usize);
        &pool.bytes(self.head)[start..end]
    }

    /// Copies from `offset` into `to` as much as there is and returns how much.
    pub fn copy_out(&self, pool: &Pool<'_>, offset: usize, to: &mut [u8]) -> usize {
        let want = to.len().min((self.len as usize).saturating_sub(offset));
        let mut at = self.locate(pool, offset);
        let mut done = 0;
        while let (Some((block, from)), true) = (at, done < want) {
            let n = (pool.block_len - from).min(want - done);
            to[done..done + n].copy_from_slice(&pool.bytes(block)[from..from + n]);
            done += n;
            at = Some((pool.next(block), 0)).filter(|_| done < want);
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

#[cfg(test)]
mod tests;
