//! A byte queue in blocks of the pool.

use super::{CLASS_SHIFT, Cost, NONE, Need, Pool, Run, is_small, to_u32};
use crate::bytes::Bytes;

mod account;
mod in_place;

/// A queue of bytes in blocks of a [`Pool`]: one small one, or any number of whole ones. The owner gives
/// them back with [`clear`](Chain::clear): a chain that is dropped with bytes in it, or with a promise,
/// leaks its blocks.
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
    /// Names the first byte: each has a name that lasts, modulo 2^32, for cursors. Those of a queue that
    /// moved to other blocks are new.
    origin: u32,
    /// For so many bytes from the front memory is promised. Consuming takes from it, appending does not.
    reach: u32,
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
        Chain::with_promise(0)
    }

    /// An empty queue for which so many bytes were promised before.
    pub(crate) const fn with_promise(reach: u32) -> Self {
        Chain { head: NONE, tail: NONE, start: 0, len: 0, blocks: 0, origin: 0, reach }
    }

    /// Bytes in the queue.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Is the queue empty?
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// For how many bytes from the front memory is promised.
    pub(crate) const fn reach(&self) -> u32 {
        self.reach
    }

    /// Bytes of the pool that the queue holds.
    pub fn held(&self, pool: &Pool<'_>) -> usize {
        self.blocks as usize * pool.len_of(self.head)
    }

    /// Bytes from the front that the blocks of the chain have room for.
    fn room(&self, pool: &Pool<'_>) -> usize {
        self.held(pool) - self.start as usize
    }

    /// How many more bytes the blocks of the chain have room for.
    pub(crate) fn spare(&self, pool: &Pool<'_>) -> usize {
        self.room(pool) - self.len as usize
    }

    /// Does the queue lie in whole blocks?
    const fn is_whole(&self) -> bool {
        self.head != NONE && !is_small(self.head)
    }

    /// Makes room for `len` bytes counted from the front. False: there is no memory for this need
    /// (what the pool gave is kept for later). What is promised is there for any.
    pub fn reserve(&mut self, pool: &mut Pool<'_>, len: usize, need: Need) -> bool {
        if len > self.room(pool) {
            let floor = if len <= self.reach as usize { 0 } else { pool.floor(need) };
            self.keeping_account(pool, |chain, pool| chain.extend(pool, len, floor));
        }
        len <= self.room(pool)
    }

    fn extend(&mut self, pool: &mut Pool<'_>, len: usize, floor: u32) {
        if self.is_whole() {
            let missing = (len - self.room(pool)).div_ceil(pool.block_len);
            return self.add_blocks(pool, to_u32(missing), floor);
        }
        let mut cost = pool.cost(len.max(self.reach as usize));
        if cost.class == 0 {
            cost.count = to_u32(len.div_ceil(pool.block_len));
        }
        if cost.class != 0 && cost.class == self.head >> CLASS_SHIFT {
            return self.shift(pool);
        }
        if cost.class == 0 && self.head == NONE {
            // Nothing has to move.
            return self.add_blocks(pool, cost.count, floor);
        }
        if self.head == NONE {
            return self.begin_small(pool, cost, floor);
        }
        let mut other = Chain { origin: self.origin.wrapping_add(self.len + 1), ..Chain::new() };
        if cost.class == 0 {
            other.add_blocks(pool, cost.count, floor);
        } else {
            other.begin_small(pool, cost, floor);
        }
        self.move_to(pool, other);
    }

    /// Gives a queue without memory the blocks for its first `len` bytes. False: there are none for this need.
    #[inline]
    fn begin(&mut self, pool: &mut Pool<'_>, len: usize, need: Need) -> bool {
        if self.reach == 0 {
            let cost = pool.cost(len);
            if cost.class != 0 {
                self.begin_small(pool, cost, pool.floor(need));
                return self.head != NONE;
            }
        }
        self.begin_promised(pool, len) || self.reserve(pool, len, need)
    }

    /// Gives a queue without memory the first of the whole blocks that it was promised, if that holds `len` bytes.
    /// False: nothing was done.
    #[inline]
    fn begin_promised(&mut self, pool: &mut Pool<'_>, len: usize) -> bool {
        let reach = self.reach as usize;
        let is_promised = reach > pool.small_len() && len <= reach.min(pool.block_len) && !pool.is_short();
        if self.head != NONE || !is_promised {
            return false;
        }
        let Some(block) = pool.take_one() else { return false };
        pool.set_next(block, NONE);
        // One block less is owed, since the queue begins with its block.
        pool.lift_promise(Cost { class: 0, count: 1 });
        (self.head, self.tail, self.blocks) = (block, block, 1);
        true
    }

    /// Gives a queue without memory a small block, if what is above `floor` has it.
    #[inline]
    fn begin_small(&mut self, pool: &mut Pool<'_>, cost: Cost, floor: u32) {
        // It takes a block at most.
        let is_left = || pool.left_with(Cost::NOTHING, cost).is_some_and(|left| left >= floor);
        if pool.left() > floor || is_left() {
            self.head = pool.take_small(cost.class).unwrap_or(NONE);
            (self.tail, self.blocks) = (self.head, u32::from(self.head != NONE));
        }
    }

    /// Adds `count` blocks, or what is left above `floor`.
    fn add_blocks(&mut self, pool: &mut Pool<'_>, count: u32, floor: u32) {
        let mut missing = count.min(pool.left().saturating_sub(floor));
        if missing == 1
            && self.head == NONE
            && let Some(block) = pool.take_one()
        {
            pool.set_next(block, NONE);
            (self.head, self.tail, self.blocks) = (block, block, 1);
            return;
        }
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

    /// Moves what lies in one block to the front of it.
    fn shift(&mut self, pool: &mut Pool<'_>) {
        let (start, end) = (self.start as usize, (self.start + self.len) as usize);
        pool.bytes_mut(self.head, 0, end).copy_within(start.., 0);
        self.start = 0;
    }

    /// Moves what lies in one block to `other`, which is empty, if that has room for it.
    fn move_to(&mut self, pool: &mut Pool<'_>, mut other: Chain) {
        if other.held(pool) < self.len as usize || other.head == NONE {
            return other.release(pool);
        }
        let mut bounce = [0; 256];
        while other.len < self.len {
            let n = self.copy_out(pool, other.len as usize, &mut bounce);
            other.write(pool, other.len as usize, &bounce[..n]);
        }
        self.release(pool);
        *self = Chain { reach: self.reach, ..other };
    }

    /// What is left of a long queue, and is little, moves to a small block where memory is short.
    fn compact(&mut self, pool: &mut Pool<'_>) {
        let len = self.len as usize;
        let is_little = self.blocks == 1 && self.reach == 0 && len <= pool.small_len();
        if is_little && pool.beyond(Need::Ahead) == 0 {
            let cost = pool.cost(len);
            let mut other = Chain { origin: self.origin.wrapping_add(self.len + 1), ..Chain::new() };
            other.begin_small(pool, cost, 0);
            self.move_to(pool, other);
        }
    }

    /// Appends `data` if the last block has room for it: most segments are shorter than a block. False: nothing was done.
    #[inline(always)] // at every frame
    pub(super) fn append_there(&mut self, pool: &mut Pool<'_>, data: &[u8]) -> bool {
        self.extend_in_place(pool, data.len()).map(|room| room.copy_from_slice(data)).is_some()
    }

    /// Appends `len` bytes, which the caller writes, if the last block has room for them. `None`: nothing was
    /// done.
    #[inline(always)] // at every frame
    pub(crate) fn extend_in_place<'p>(&mut self, pool: &'p mut Pool<'_>, len: usize) -> Option<&'p mut [u8]> {
        let (block_len, used) = (pool.len_of(self.tail), self.start as usize + self.len as usize);
        let before = (self.blocks as usize).checked_sub(1)? * block_len;
        // Behind a `reserve` the queue may end before its last block.
        let at = used.checked_sub(before)?;
        if block_len - at < len {
            return None;
        }
        self.len += to_u32(len);
        Some(pool.bytes_mut(self.tail, at, len))
    }

    /// Appends as much of `data` as there is memory for and returns how much.
    #[inline]
    pub fn append(&mut self, pool: &mut Pool<'_>, data: &[u8], need: Need) -> usize {
        match self.head == NONE {
            true => self.append_first(pool, data, need),
            false if self.append_there(pool, data) => data.len(),
            false => self.append_behind(pool, data, need),
        }
    }

    /// The same for a queue without memory.
    #[inline(never)]
    fn append_first(&mut self, pool: &mut Pool<'_>, data: &[u8], need: Need) -> usize {
        if data.is_empty() {
            return 0;
        }
        if !self.begin(pool, data.len(), need) || self.head == NONE || data.len() > pool.len_of(self.head) {
            return self.append_behind(pool, data, need);
        }
        pool.bytes_mut(self.head, 0, data.len()).copy_from_slice(data);
        self.len = to_u32(data.len());
        self.len as usize
    }

    /// Appends as much of `data` as there is memory for, behind the last block as well.
    #[inline(never)]
    fn append_behind(&mut self, pool: &mut Pool<'_>, data: &[u8], need: Need) -> usize {
        let (head, tail, spare) = (self.head, self.tail, self.room(pool) - self.len as usize);
        self.reserve(pool, self.len as usize + data.len(), need);
        let (block, at) = match spare {
            0 if tail != NONE && head == self.head && self.is_whole() => (pool.next(tail), 0),
            _ => self.locate(pool, self.len as usize),
        };
        let done = pool.fill(block, at, data);
        self.len += to_u32(done);
        done
    }

    /// Writes `data` at `offset` from the front, within what [`reserve`](Chain::reserve) made room
    /// for; extends the length if it ends beyond it. Returns how much was written.
    pub fn write(&mut self, pool: &mut Pool<'_>, offset: usize, data: &[u8]) -> usize {
        let (block, at) = self.locate(pool, offset);
        let done = pool.fill(block, at, data);
        self.len = self.len.max(to_u32(offset + done));
        done
    }

    /// Moves the bytes from `from` on so that they lie from `to` on, within what [`reserve`](Chain::reserve)
    /// made room for.
    pub(crate) fn slide(&mut self, pool: &mut Pool<'_>, from: usize, to: usize) {
        let mut bounce = [0; 256];
        let (len, mut done) = (self.len().saturating_sub(from), 0);
        while done < len {
            let n = (len - done).min(bounce.len());
            // Towards the end the last goes first, or it would be overwritten.
            let at = if from < to { len - done - n } else { done };
            self.copy_out(pool, from + at, &mut bounce[..n]);
            self.write(pool, to + at, &bounce[..n]);
            done += n;
        }
    }

    /// Block and position in it of the byte `offset` from the front; no block, if the chain does not
    /// reach it.
    fn locate(&self, pool: &Pool<'_>, offset: usize) -> (u32, usize) {
        let (unit, from_head) = (pool.len_of(self.head), self.start as usize + offset);
        if from_head < unit {
            return (self.head, from_head);
        }
        let (index, at) = (from_head / unit, from_head % unit);
        if index >= self.blocks as usize {
            return (NONE, 0);
        }
        if index + 1 == self.blocks as usize {
            return (self.tail, at);
        }
        ((0..index).fold(self.head, |block, _| pool.next(block)), at)
    }

    /// Frees `n` bytes at the front, or all if there are fewer.
    #[inline]
    pub fn consume(&mut self, pool: &mut Pool<'_>, n: usize) {
        let n = to_u32(n.min(self.len as usize));
        // What is taken from whole blocks leaves their promise as it is.
        if self.reach > 0 && (n == self.len || !self.is_whole()) {
            self.keeping_account(pool, |chain, pool| chain.take_front(pool, n));
        } else {
            self.take_front(pool, n);
            if self.is_whole() {
                self.compact(pool);
            }
        }
    }

    #[inline]
    fn take_front(&mut self, pool: &mut Pool<'_>, n: u32) {
        self.origin = self.origin.wrapping_add(n);
        self.reach = self.reach.saturating_sub(n);
        self.len -= n;
        if self.len == 0 {
            return self.release(pool);
        }
        self.start += n;
        if self.start as usize >= pool.len_of(self.head) {
            self.free_front(pool);
        }
    }

    fn free_front(&mut self, pool: &mut Pool<'_>) {
        let (first, mut last, mut count) = (self.head, NONE, 0);
        while self.start as usize >= pool.len_of(self.head) {
            last = self.head;
            self.start -= to_u32(pool.len_of(last));
            self.head = pool.next(last);
            count += 1;
        }
        self.blocks -= count;
        pool.put(Run { first, last, count });
    }

    /// Cuts the queue to `len` bytes and frees the blocks behind.
    pub fn truncate(&mut self, pool: &mut Pool<'_>, len: usize) {
        self.len = self.len.min(to_u32(len));
        self.keeping_account(pool, |chain, pool| chain.free_back(pool));
    }

    fn free_back(&mut self, pool: &mut Pool<'_>) {
        if self.len == 0 {
            return self.release(pool);
        }
        let kept = to_u32((self.start as usize + self.len as usize).div_ceil(pool.len_of(self.head)));
        if kept < self.blocks {
            let (block, _) = self.locate(pool, self.len as usize - 1);
            let run = Run { first: pool.next(block), last: self.tail, count: self.blocks - kept };
            pool.set_next(block, NONE);
            (self.tail, self.blocks) = (block, kept);
            pool.put(run);
        }
    }

    /// Frees everything; nothing is promised any more.
    pub fn clear(&mut self, pool: &mut Pool<'_>) {
        if self.head == NONE && self.reach == 0 {
            return; // as most queues are that are cleared
        }
        pool.lift_promise(self.owed(pool, self.reach as usize));
        self.origin = self.origin.wrapping_add(self.len);
        (self.len, self.reach) = (0, 0);
        self.release(pool);
    }

    #[inline]
    fn release(&mut self, pool: &mut Pool<'_>) {
        if is_small(self.head) && self.head != NONE {
            pool.put_small(self.head);
        } else if self.head != NONE {
            pool.put(Run { first: self.head, last: self.tail, count: self.blocks });
        }
        (self.head, self.tail, self.start, self.blocks) = (NONE, NONE, 0, 0);
    }

    /// The bytes from `offset` on, `len` of them at most, in the pieces in which they lie, added to
    /// `pieces` as long as that has room. Returns how many bytes. The cursor makes the next call
    /// with a later offset cheap.
    #[inline]
    pub fn pieces<'p, const N: usize>(
        &self,
        pool: &'p Pool<'_>,
        cursor: &mut Cursor,
        offset: usize,
        len: usize,
        pieces: &mut heapless::Vec<&'p [u8], N>,
    ) -> usize {
        let len = len.min((self.len as usize).saturating_sub(offset));
        if self.blocks == 1 && len > 0 {
            let piece = pool.bytes(self.head, self.start as usize + offset, len);
            return if pieces.push(piece).is_ok() { len } else { 0 };
        }
        self.pieces_of_many(pool, cursor, offset, len, pieces)
    }

    #[inline(never)]
    fn pieces_of_many<'p, const N: usize>(
        &self,
        pool: &'p Pool<'_>,
        cursor: &mut Cursor,
        offset: usize,
        len: usize,
        pieces: &mut heapless::Vec<&'p [u8], N>,
    ) -> usize {
        let block_len = to_u32(pool.block_len);
        let (mut block, mut at) = self.seek(pool, cursor, offset);
        let mut done = 0;
        while done < len && block != NONE {
            let (n, last) = pool.stretch(block, at, len - done);
            if pieces.push(pool.bytes(block, at, n)).is_err() {
                break;
            }
            done += n;
            cursor.first = cursor.first.wrapping_add((last - block) * block_len);
            cursor.block = last;
            if done < len {
                cursor.block = pool.next(last);
                cursor.first = cursor.first.wrapping_add(block_len);
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
        let unit = pool.len_of(self.head);
        while distance >= unit && cursor.block != NONE {
            let next = pool.next(cursor.block);
            if next == NONE {
                break;
            }
            cursor.block = next;
            cursor.first = cursor.first.wrapping_add(to_u32(unit));
            distance -= unit;
        }
        (cursor.block, distance.min(unit))
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

    /// The bytes of the first block; empty if there is none.
    #[inline]
    pub(crate) fn first_block<'p>(&self, pool: &'p Pool<'_>) -> &'p [u8] {
        if self.len == 0 {
            return &[];
        }
        let here = pool.len_of(self.head) - self.start as usize;
        pool.bytes(self.head, self.start as usize, here.min(self.len as usize))
    }

    /// The first `len` bytes, if they lie together.
    pub(crate) fn first_bytes<'p>(&self, pool: &'p Pool<'_>, len: usize) -> Option<&'p [u8]> {
        if len > self.len as usize {
            return None;
        }
        let (found, _) = pool.stretch(self.head, self.start as usize, len);
        (found == len).then(|| pool.bytes(self.head, self.start as usize, len))
    }

    /// The last `len` bytes, if they lie in the last block.
    #[inline]
    pub(crate) fn last_bytes<'p>(&self, pool: &'p Pool<'_>, len: usize) -> Option<&'p [u8]> {
        let before = (self.blocks as usize).checked_sub(1)? * pool.len_of(self.tail);
        // Behind a `reserve` the queue may end before its last block.
        let end = (self.start as usize + self.len as usize).checked_sub(before)?;
        Some(pool.bytes(self.tail, end.checked_sub(len)?, len))
    }

    /// Copies from `offset` into `to` as much as there is and returns how much.
    #[inline]
    pub fn copy_out(&self, pool: &Pool<'_>, offset: usize, to: &mut [u8]) -> usize {
        let want = to.len().min((self.len as usize).saturating_sub(offset));
        if self.blocks == 1 {
            to[..want].copy_from_slice(pool.bytes(
                self.head,
                self.start as usize + offset.min(self.len as usize),
                want,
            ));
            return want;
        }
        self.copy_out_of_many(pool, offset, &mut to[..want])
    }

    #[inline(never)]
    fn copy_out_of_many(&self, pool: &Pool<'_>, offset: usize, to: &mut [u8]) -> usize {
        let (want, mut done) = (to.len(), 0);
        let (mut block, mut at) = self.locate(pool, offset);
        while done < want {
            let (n, last) = pool.stretch(block, at, want - done);
            to[done..done + n].copy_from_slice(pool.bytes(block, at, n));
            done += n;
            (block, at) = (pool.next(last), 0);
        }
        done
    }

    /// Appends all of `data`, or nothing if there is not enough memory for it.
    pub fn append_whole(&mut self, pool: &mut Pool<'_>, data: Bytes<'_>, need: Need) -> bool {
        if !self.reserve(pool, self.len as usize + data.len(), need) {
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
