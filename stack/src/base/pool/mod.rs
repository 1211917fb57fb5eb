//! The one pool of memory that every queue of the stack draws from, and what it owes to whom.
//!
//! The pool is a number of blocks of equal length. A [`Chain`] strings blocks into a byte queue:
//! what an application wrote and the peer has not acknowledged, what arrived and was not read, a
//! packet that waits for its neighbour. An idle connection holds no block. Without a heap the
//! caller hands the memory in; with `alloc` blocks are taken from the heap in slabs, up to a limit.
//! Where blocks are large, a queue of little lies in a part of one (`small`), so that a byte does
//! not hold 16 KiB. Blocks are never zeroed: only bytes that were written are ever read.
//!
//! # The account
//!
//! Every block is free, used, or promised: a receive window is a promise to a peer, which can't be
//! taken back (RFC 9293 §3.8.6.2.1, SHLD-14). A chain that receives is told how far its peer may write
//! (`Chain::promise`); what it lacks of the blocks for that counts as gone. So
//!
//! ```text
//! used + promised <= limit
//! ```
//!
//! holds always, and text inside a window finds memory. All else asks by [`Need`]: each need leaves
//! a part of the pool, its floor, to those before it. Nobody but the pool knows the floors, and nobody
//! takes memory without naming a need.

#![warn(clippy::cast_possible_truncation)]

mod chain;
mod small;

pub use chain::{Chain, Cursor};

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};
use small::{CLASSES, Class};

use super::lent::{Lent, Places};

/// No block.
const NONE: u32 = u32::MAX;
/// Of the number of a block the high bits say of which size it is.
const CLASS_SHIFT: u32 = 30;
/// Block numbers stay below the bits of sizes.
const BLOCKS_MAX: usize = 1 << CLASS_SHIFT;
/// Bytes that the number of a block takes in borrowed memory.
const LINK: usize = 4;
/// Blocks that are taken from the heap at a time.
#[cfg(feature = "alloc")]
const SLAB: u32 = 16;
/// A block has this many bytes at least and at most.
const BLOCK_LEN_MIN: usize = 64;
const BLOCK_LEN_MAX: usize = 1 << 24;

/// What memory is asked for. The later in this list, the more stays for the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// ARP and NDP, answers to echo requests, resets, SYN-ACKs of which nothing is remembered; the list of
    /// what arrived out of order.
    Control,
    /// What is sent: the first block of a queue, a datagram of our own.
    Send,
    /// The smallest window of a connection.
    Window,
    /// More than the first block of a queue for sending; datagrams that nobody has read yet; packets that
    /// wait for a neighbour.
    Bulk,
    /// A larger window, for a peer that uses it.
    Wide,
    /// A larger window before anything has come; text that the peer has no room for.
    Ahead,
}

impl Need {
    /// The part of the pool that stays free, in sixteenths; and the blocks of it at least, which count in
    /// pools of few blocks: three are enough for a connection that receives and answers, and with four a
    /// connection that idles keeps no other from receiving.
    const fn floor(self) -> (u64, u32) {
        match self {
            Need::Control => (0, 0),
            Need::Send => (1, 1),
            Need::Window => (2, 2),
            Need::Bulk => (4, 3),
            Need::Wide => (8, 3),
            Need::Ahead => (12, 3),
        }
    }
}

enum Memory<'a> {
    Borrowed(Lent<'a, u8>),
    #[cfg(feature = "alloc")]
    Heap(Vec<Box<[u8]>>),
}

/// Takes so many bytes from the heap. `None`: it has no memory for them.
#[cfg(feature = "alloc")]
type Take = fn(usize) -> Option<Box<[u8]>>;

/// Blocks of memory: used, promised and free.
pub struct Pool<'a> {
    memory: Memory<'a>,
    /// For each block the number of the next one in its chain. Apart from the blocks, so that
    /// walking a chain touches little memory.
    links: Places<'a, [u8; LINK]>,
    block_len: usize,
    /// Blocks that exist.
    blocks: u32,
    /// Blocks that may exist, as far as is known: the heap may have less than was promised.
    limit: u32,
    /// As it was promised.
    #[cfg(feature = "alloc")]
    limit_max: u32,
    #[cfg(feature = "alloc")]
    take_slab: Take,
    /// Once the heap gave less: then what was promised may have been missing.
    #[cfg(feature = "alloc")]
    was_short: bool,
    /// The first of a chain of blocks that were given back, plus one: 0 is none. Those from `fresh` on were not taken
    /// since the pool was last empty.
    free: u32,
    fresh: u32,
    used: u32,
    /// Whole blocks that chains may still take.
    promised: u32,
    classes: [Class; CLASSES],
}

/// Blocks of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cost {
    /// 0: whole blocks; else the number of the class of small ones, from 1 on.
    class: u32,
    count: u32,
}

impl Cost {
    const NOTHING: Cost = Cost { class: 0, count: 0 };
}

/// A number that a bound keeps small: the most there is if it is not.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "not below the bound; `try_from` is not const")]
pub(crate) const fn to_u32(n: usize) -> u32 {
    if n < u32::MAX as usize { n as u32 } else { u32::MAX }
}

impl<'a> Pool<'a> {
    /// A pool in the caller's memory: `memory.len() / (block_len + 4)` blocks.
    ///
    /// Blocks of several segments' length suit a system with plenty of memory; 256 to 512 bytes one
    /// with little; without the feature `alloc` a queue takes a whole one at least. `block_len` is 64 at least and 16 MiB at most.
    pub fn borrowed(memory: &'a mut [u8], block_len: usize) -> Self {
        let block_len = block_len.clamp(BLOCK_LEN_MIN, BLOCK_LEN_MAX);
        let blocks = (memory.len() / (block_len + LINK)).min(blocks_max(block_len));
        let (links, memory) = memory.split_at_mut(blocks * LINK);
        let links = Places::Lent(Lent::new(links.as_chunks_mut().0));
        let (memory, classes) = (Memory::Borrowed(Lent::new(memory)), Class::all(block_len));
        Pool { blocks: to_u32(blocks), ..Pool::new(memory, links, classes, block_len, blocks) }
    }

    /// A pool that takes blocks from the heap as it needs them, `limit` bytes of payload at most.
    #[cfg(feature = "alloc")]
    pub fn growing(limit: usize, block_len: usize) -> Pool<'static> {
        Pool::growing_by(limit, block_len, |bytes| crate::base::heap::fill(bytes, || 0))
    }

    /// The same with another heap.
    #[cfg(feature = "alloc")]
    pub(crate) fn growing_by(limit: usize, block_len: usize, take_slab: Take) -> Pool<'static> {
        let block_len = block_len.clamp(BLOCK_LEN_MIN, BLOCK_LEN_MAX);
        let limit = (limit / block_len).min(blocks_max(block_len));
        let (memory, links) = (Memory::Heap(Vec::new()), Places::Heap(Vec::new()));
        Pool { take_slab, ..Pool::new(memory, links, Class::all(block_len), block_len, limit) }
    }

    /// A pool without a block.
    pub(crate) const fn empty() -> Self {
        Pool::new(Memory::Borrowed(Lent::none()), Places::none(), [Class::NONE; CLASSES], 0, 0)
    }

    const fn new(
        memory: Memory<'a>,
        links: Places<'a, [u8; LINK]>,
        classes: [Class; CLASSES],
        block_len: usize,
        limit: usize,
    ) -> Pool<'a> {
        Pool {
            memory,
            links,
            block_len,
            blocks: 0,
            limit: to_u32(limit),
            #[cfg(feature = "alloc")]
            limit_max: to_u32(limit),
            #[cfg(feature = "alloc")]
            take_slab: |_| None,
            #[cfg(feature = "alloc")]
            was_short: false,
            free: 0,
            fresh: 0,
            used: 0,
            promised: 0,
            classes,
        }
    }

    /// Payload bytes of one block.
    pub fn block_len(&self) -> usize {
        self.block_len
    }

    /// Bytes that are neither used nor promised.
    pub fn available(&self) -> usize {
        self.left() as usize * self.block_len
    }

    /// Bytes in use, whole blocks counted.
    pub fn in_use(&self) -> usize {
        self.used as usize * self.block_len
    }

    /// Bytes that peers may still send, whole blocks counted.
    pub fn promised(&self) -> usize {
        (self.committed() - self.used) as usize * self.block_len
    }

    /// Bytes that the pool can hold in all.
    pub fn capacity(&self) -> usize {
        self.limit as usize * self.block_len
    }

    /// Is there enough for a connection that receives and answers, and for the questions of others
    /// meanwhile?
    pub fn is_enough(&self) -> bool {
        self.limit >= 3
    }

    /// Bytes that may be taken for this need.
    #[inline]
    pub fn beyond(&self, need: Need) -> usize {
        self.left().saturating_sub(self.floor(need)) as usize * self.block_len
    }

    /// Is so much there for this need that `want` bytes of any queue can be promised, whatever it holds? True at
    /// nearly every segment, and cheaper than the exact account. A queue that begins somewhere in its first
    /// block holds that one already.
    #[inline]
    pub(crate) fn has_plenty(&self, want: usize, need: Need) -> bool {
        self.beyond(need) >= want
    }

    /// Blocks that stay free when something is taken for this need.
    #[inline]
    fn floor(&self, need: Need) -> u32 {
        let (part, least) = need.floor();
        // Not more than the limit, which fits.
        u32::try_from(u64::from(self.limit) * part / 16).unwrap_or(self.limit).max(least)
    }

    /// Blocks that are used or promised. Small blocks that are free serve promises of their size first.
    #[inline]
    fn committed(&self) -> u32 {
        let small = self.classes.iter().map(Class::blocks_owed).sum::<u32>();
        self.used + self.promised + small
    }

    /// Blocks that are neither.
    #[inline]
    fn left(&self) -> u32 {
        self.limit.saturating_sub(self.committed())
    }

    /// Whole blocks for so many bytes, which a window or a queue bounds.
    #[inline]
    fn blocks_for(&self, len: usize) -> u32 {
        to_u32(len).div_ceil(to_u32(self.block_len))
    }

    fn add_promise(&mut self, Cost { class, count }: Cost) {
        match self.class_mut(class) {
            None => self.promised += count,
            Some(class) => class.promised += count,
        }
    }

    fn lift_promise(&mut self, Cost { class, count }: Cost) {
        match self.class_mut(class) {
            None => self.promised -= count,
            Some(class) => class.promised -= count,
        }
    }

    /// Did the heap give less than was promised?
    pub(crate) fn is_short(&self) -> bool {
        #[cfg(feature = "alloc")]
        return self.limit < self.limit_max;
        #[cfg(not(feature = "alloc"))]
        false
    }

    /// Did it ever?
    pub(crate) fn was_short(&self) -> bool {
        #[cfg(feature = "alloc")]
        return self.was_short;
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
        if let (Memory::Heap(slabs), Places::Heap(links)) = (&mut self.memory, &mut self.links) {
            let count = (self.limit_max - self.blocks).min(SLAB);
            let has_links = links.try_reserve(count as usize).is_ok();
            let slab = (self.take_slab)(self.block_len * count as usize).filter(|_| has_links);
            if count > 0
                && let Some(slab) = slab
                && crate::base::heap::push(slabs, slab)
            {
                links.resize((self.blocks + count) as usize, NONE.to_ne_bytes());
                self.blocks += count;
                self.limit = self.limit_max;
            } else {
                self.limit = self.blocks;
                self.was_short |= self.limit < self.limit_max;
            }
        }
    }

    /// Takes up to `count` blocks that lie side by side, and are chained.
    fn take(&mut self, count: u32) -> Option<Run> {
        let run = match self.free.wrapping_sub(1) {
            NONE => self.take_fresh(count)?,
            first => {
                let last = first + self.successors(first, count.saturating_sub(1));
                self.free = self.next(last).wrapping_add(1);
                Run { first, last, count: last - first + 1 }
            }
        };
        self.set_next(run.last, NONE);
        self.used += run.count;
        Some(run)
    }

    /// Takes one block, for which nobody asks what it is chained to.
    #[inline]
    fn take_one(&mut self) -> Option<u32> {
        let first = match self.free.wrapping_sub(1) {
            NONE => {
                let first = self.first_fresh()?;
                self.fresh = first + 1;
                first
            }
            first => {
                self.free = self.next(first).wrapping_add(1);
                first
            }
        };
        self.used += 1;
        Some(first)
    }

    /// The first block that was not taken since the pool was last empty. `None`: there is none.
    fn first_fresh(&mut self) -> Option<u32> {
        #[cfg(feature = "alloc")]
        if self.fresh == self.blocks {
            self.grow();
        }
        (self.fresh < self.blocks).then_some(self.fresh)
    }

    fn take_fresh(&mut self, count: u32) -> Option<Run> {
        let first = self.first_fresh()?;
        let end = self.slab_end(first).min(first.saturating_add(count));
        for (link, next) in self.links[first as usize..end as usize].iter_mut().zip(first + 1..) {
            *link = next.to_ne_bytes();
        }
        self.fresh = end;
        Some(Run { first, last: end - 1, count: end - first })
    }

    /// Takes blocks back. Those of an empty pool lie in order again.
    #[inline]
    fn put(&mut self, run: Run) {
        self.used -= run.count;
        if self.used == 0 {
            (self.free, self.fresh) = (0, 0);
        } else {
            self.set_next(run.last, self.free.wrapping_sub(1));
            self.free = run.first + 1;
        }
    }

    /// How many blocks follow this one both in its chain and in memory, `most` at most.
    #[inline]
    fn successors(&self, block: u32, most: u32) -> u32 {
        let links = &self.links[block as usize..self.slab_end(block) as usize - 1];
        let follows = |(link, next): &(&[u8; LINK], u32)| u32::from_ne_bytes(**link) == *next;
        let count = links.iter().take(most as usize).zip(block + 1..).take_while(follows).count();
        to_u32(count)
    }

    /// How far the memory from `at` in `block` on goes, `len` bytes at most, while the blocks of the
    /// chain lie side by side; and the last of these blocks.
    #[inline]
    fn stretch(&self, block: u32, at: usize, len: usize) -> (usize, u32) {
        let here = self.len_of(block) - at;
        if len <= here || is_small(block) {
            return (len.min(here), block);
        }
        let more = self.successors(block, to_u32((len - here).div_ceil(self.block_len)));
        (len.min(here + more as usize * self.block_len), block + more)
    }

    /// The first block whose memory does not follow that of `block` and those between.
    #[inline]
    fn slab_end(&self, block: u32) -> u32 {
        match &self.memory {
            Memory::Borrowed(_) => self.blocks.max(block),
            #[cfg(feature = "alloc")]
            Memory::Heap(_) => self.blocks.min((block / SLAB + 1) * SLAB),
        }
    }

    /// A [`stretch`](Pool::stretch) of memory.
    #[inline]
    fn bytes(&self, block: u32, at: usize, len: usize) -> &[u8] {
        let (block, at) = self.place(block, at);
        match &self.memory {
            Memory::Borrowed(m) => &m[block * self.block_len + at..][..len],
            #[cfg(feature = "alloc")]
            Memory::Heap(slabs) => {
                &slabs[block / SLAB as usize][block % SLAB as usize * self.block_len + at..][..len]
            }
        }
    }

    #[inline(always)] // at every frame
    fn bytes_mut(&mut self, block: u32, at: usize, len: usize) -> &mut [u8] {
        let (block, at) = self.place(block, at);
        match &mut self.memory {
            Memory::Borrowed(m) => &mut m[block * self.block_len + at..][..len],
            #[cfg(feature = "alloc")]
            Memory::Heap(slabs) => {
                &mut slabs[block / SLAB as usize][block % SLAB as usize * self.block_len + at..][..len]
            }
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
        if is_small(block) { NONE } else { u32::from_ne_bytes(self.links[block as usize]) }
    }

    #[inline]
    fn set_next(&mut self, block: u32, next: u32) {
        self.links[block as usize] = next.to_ne_bytes();
    }

    /// Our own invariants: what was promised is there, and is what those hold to whom it was.
    pub(crate) fn check(&self, audit: &Audit) {
        let fits = self.committed() <= self.limit || self.is_short();
        assert!(fits, "{} blocks of {} promised", self.committed(), self.limit);
        let mut promised = [self.promised; CLASSES + 1];
        promised[1..].iter_mut().zip(&self.classes).for_each(|(promised, class)| *promised = class.promised);
        assert_eq!(promised, audit.promised, "promised in all, and to whom");
    }
}

/// What all chains together were promised, for tests and the simulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Audit {
    promised: [u32; CLASSES + 1],
}

/// Is it the number of a part of a block?
#[inline]
const fn is_small(block: u32) -> bool {
    cfg!(feature = "alloc") && block >> CLASS_SHIFT != 0
}

/// How many blocks of this length can have a number.
fn blocks_max(block_len: usize) -> usize {
    let parts = Class::all(block_len).iter().map(|class| class.per_block).max();
    BLOCKS_MAX / parts.map_or(1, |parts| parts.max(1) as usize)
}

/// Blocks that are chained one to the next.
struct Run {
    first: u32,
    last: u32,
    count: u32,
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
