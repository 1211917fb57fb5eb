//! Small blocks: parts of a block, for queues that hold little. A block that was divided has parts of one
//! size only; the first bytes of it say which are free. Those with a free part are in a list for each
//! size, so taking one and giving it back cost the same however many there are. One of them is open: parts are taken
//! from it, and what its first bytes would say stands in the pool, since most parts are given back soon.

use super::{CLASS_SHIFT, Cost, NONE, Pool, Run, is_small};

/// Sizes of small blocks. Without a heap memory is little, and blocks are small themselves: there are none.
pub(super) const CLASSES: usize = if cfg!(feature = "alloc") { 2 } else { 0 };
/// Their bytes, the largest first: a segment with what lies around it, and a request. Eight and
/// sixty-four of them fill 16 KiB.
const LENS: [u32; 2] = [2044, 252];
/// Where a block would have fewer parts, it is not divided.
const PER_BLOCK_MIN: u32 = 4;
/// Bytes at the front of a divided block.
const HEAD: usize = 16;
/// No part.
const NO_PART: u16 = u16::MAX;
/// Parts have smaller numbers.
const PER_BLOCK_MAX: u32 = NO_PART as u32;

/// Small blocks of one size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    pub(super) len: u32,
    /// 0: there are none of this size.
    pub(super) per_block: u32,
    /// The open block, which has a free part and is in no list, and its front.
    open: u32,
    front: Head,
    /// The first of the other blocks with a free part.
    partial: u32,
    /// Free parts of divided blocks.
    free: u32,
    pub(super) promised: u32,
}

impl Class {
    /// No parts.
    pub(super) const NONE: Class =
        Class { len: 0, per_block: 0, open: 0, front: Head::NONE, partial: 0, free: 0, promised: 0 };

    pub(super) const fn all(block_len: usize) -> [Class; CLASSES] {
        let mut classes = [Class::NONE; CLASSES];
        let mut at = 0;
        while at != CLASSES {
            classes[at] = Class::of(LENS[at], block_len);
            at += 1;
        }
        classes
    }

    const fn of(len: u32, block_len: usize) -> Class {
        let per_block = match super::to_u32(block_len.saturating_sub(HEAD)) / len {
            0..PER_BLOCK_MIN => 0,
            parts @ PER_BLOCK_MIN..PER_BLOCK_MAX => parts,
            PER_BLOCK_MAX.. => PER_BLOCK_MAX,
        };
        Class { len, per_block, open: NONE, front: Head::EMPTY, partial: NONE, ..Class::NONE }
    }

    /// Blocks that have yet to be divided for what is promised.
    pub(super) fn blocks_owed(&self) -> u32 {
        match self.promised.saturating_sub(self.free) {
            0 => 0,
            missing => missing.div_ceil(self.per_block),
        }
    }
}

/// The front of a divided block.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// Its neighbours in the list of those with a free part.
    previous: u32,
    next: u32,
    /// The first of a chain of parts that were given back; those from `fresh` on were never taken.
    free: u16,
    fresh: u16,
    used: u16,
}

impl Head {
    /// That of no block.
    const NONE: Head = Head { previous: 0, next: 0, free: 0, fresh: 0, used: 0 };

    /// No part was taken.
    const EMPTY: Head = Head { previous: NONE, next: NONE, free: NO_PART, fresh: 0, used: 0 };

    fn read(bytes: &[u8; HEAD]) -> Head {
        let [p0, p1, p2, p3, n0, n1, n2, n3, f0, f1, r0, r1, u0, u1, _, _] = *bytes;
        Head {
            previous: u32::from_ne_bytes([p0, p1, p2, p3]),
            next: u32::from_ne_bytes([n0, n1, n2, n3]),
            free: u16::from_ne_bytes([f0, f1]),
            fresh: u16::from_ne_bytes([r0, r1]),
            used: u16::from_ne_bytes([u0, u1]),
        }
    }

    fn bytes(&self) -> [u8; HEAD] {
        let [p0, p1, p2, p3] = self.previous.to_ne_bytes();
        let [n0, n1, n2, n3] = self.next.to_ne_bytes();
        let ([f0, f1], [r0, r1]) = (self.free.to_ne_bytes(), self.fresh.to_ne_bytes());
        let [u0, u1] = self.used.to_ne_bytes();
        [p0, p1, p2, p3, n0, n1, n2, n3, f0, f1, r0, r1, u0, u1, 0, 0]
    }
}

impl Pool<'_> {
    /// The class of this number; `None`: whole blocks.
    pub(super) fn class_mut(&mut self, class: u32) -> Option<&mut Class> {
        self.classes.get_mut((class as usize).checked_sub(1)?)
    }

    /// Bytes of this block.
    #[inline]
    pub(super) fn len_of(&self, block: u32) -> usize {
        match self.classes.get(((block >> CLASS_SHIFT) as usize).wrapping_sub(1)) {
            None => self.block_len,
            Some(class) => class.len as usize,
        }
    }

    /// Whole block and position in it.
    #[inline]
    pub(super) fn place(&self, block: u32, at: usize) -> (usize, usize) {
        if is_small(block) { self.place_small(block, at) } else { (block as usize, at) }
    }

    #[inline]
    fn place_small(&self, block: u32, at: usize) -> (usize, usize) {
        match self.classes.get(((block >> CLASS_SHIFT) as usize).wrapping_sub(1)) {
            None => (block as usize, at),
            Some(class) => {
                let number = block & ((1 << CLASS_SHIFT) - 1);
                let part = (number % class.per_block) as usize;
                ((number / class.per_block) as usize, HEAD + part * class.len as usize + at)
            }
        }
    }

    /// The blocks that hold `len` bytes with the least waste.
    #[inline]
    pub(super) fn cost(&self, len: usize) -> Cost {
        if len == 0 {
            return Cost::NOTHING;
        }
        let fits = |class: &Class| class.per_block > 0 && len <= class.len as usize;
        match self.classes.iter().rposition(fits) {
            Some(at) => Cost { class: super::to_u32(at) + 1, count: 1 },
            None => Cost { class: 0, count: self.blocks_for(len) },
        }
    }

    /// What the least block holds: as much as the smallest queue should.
    pub(crate) fn least_len(&self) -> usize {
        self.small_lens().last().unwrap_or(self.block_len.min(LENS[0] as usize))
    }

    /// The most that a small block holds: 0, if there are none.
    pub(crate) fn small_len(&self) -> usize {
        self.small_lens().next().unwrap_or(0)
    }

    /// What each small block holds, the largest first.
    pub(super) fn small_lens(&self) -> impl Iterator<Item = usize> {
        self.classes.iter().filter(|class| class.per_block > 0).map(|class| class.len as usize)
    }

    /// Blocks that would be left if one promise were lifted and this were taken or promised.
    pub(super) fn left_with(&self, lifted: Cost, added: Cost) -> Option<u32> {
        let (mut whole, mut classes) = (self.used + self.promised, self.classes);
        for (Cost { class, count }, lifts) in [(lifted, true), (added, false)] {
            let sum = match class.checked_sub(1) {
                None => &mut whole,
                Some(at) => &mut classes[at as usize].promised,
            };
            *sum = if lifts { sum.saturating_sub(count) } else { sum.saturating_add(count) };
        }
        let small = classes.iter().map(Class::blocks_owed).sum();
        self.limit.checked_sub(whole.saturating_add(small))
    }

    /// Takes a small block. `None`: there is no block left to divide.
    #[inline]
    pub(super) fn take_small(&mut self, class: u32) -> Option<u32> {
        if self.class_mut(class)?.open == NONE {
            self.open(class)?;
        }
        let Class { open, per_block, len, front: Head { free: part, .. }, .. } = *self.class_mut(class)?;
        let next = match part {
            NO_PART => None,
            part => Some(self.part(open, part.into(), len).first_chunk::<2>()?),
        };
        let next = next.map(|next| u16::from_ne_bytes(*next));
        let Class { front, free, .. } = self.class_mut(class)?;
        let part = match next {
            None => {
                front.fresh += 1;
                front.fresh - 1
            }
            Some(next) => core::mem::replace(&mut front.free, next),
        };
        front.used += 1;
        *free -= 1;
        if u32::from(front.used) == per_block {
            let front = *front;
            self.set_head(open, &front);
            self.set_open(class, NONE, Head::EMPTY);
        }
        Some(number(class, open * per_block + u32::from(part)))
    }

    /// A part of this block.
    #[inline]
    fn part(&mut self, host: u32, part: u32, len: u32) -> &mut [u8] {
        self.bytes_mut(host, HEAD + (part * len) as usize, len as usize)
    }

    fn set_open(&mut self, class: u32, open: u32, front: Head) {
        if let Some(class) = self.class_mut(class) {
            (class.open, class.front) = (open, front);
        }
    }

    /// Opens a block with a free part, or one that is divided now.
    fn open(&mut self, class: u32) -> Option<()> {
        let Class { partial, per_block, .. } = *self.class_mut(class)?;
        if partial != NONE {
            let head = self.head(partial);
            self.unlist(class, &head);
            self.set_open(class, partial, Head { previous: NONE, next: NONE, ..head });
            return Some(());
        }
        let host = self.take_one()?;
        self.class_mut(class)?.free += per_block;
        self.set_open(class, host, Head::EMPTY);
        Some(())
    }

    #[inline]
    pub(super) fn put_small(&mut self, id: u32) {
        debug_assert!(is_small(id), "a whole block is no small one");
        let which = id >> CLASS_SHIFT;
        let Some(class) = self.class_mut(which) else { return };
        let (per_block, len, at) = (class.per_block, class.len, id & ((1 << CLASS_SHIFT) - 1));
        let (host, part) = (at / per_block, at % per_block);
        let (is_open, is_last) = (class.open == host, class.front.used == 1);
        if !is_open {
            return self.put_aside(which, host, part);
        }
        if is_last {
            // The block is whole again.
            class.open = NONE;
            class.free -= per_block - 1;
            return self.put(Run { first: host, last: host, count: 1 });
        }
        class.free += 1;
        class.front.used -= 1;
        // Below `per_block`, which fits.
        let next = core::mem::replace(&mut class.front.free, u16::try_from(part).unwrap_or(NO_PART));
        if let Some(link) = self.part(host, part, len).first_chunk_mut::<2>() {
            *link = next.to_ne_bytes();
        }
    }

    /// Takes a part back whose block is not open.
    #[inline(never)]
    fn put_aside(&mut self, which: u32, host: u32, part: u32) {
        let Some(Class { per_block, partial, len, .. }) = self.class_mut(which).copied() else { return };
        let mut head = self.head(host);
        if head.used == 1 {
            // The block is whole again.
            self.unlist(which, &head);
            self.put(Run { first: host, last: host, count: 1 });
            if let Some(class) = self.class_mut(which) {
                class.free -= per_block - 1;
            }
            return;
        }
        if let Some(link) = self.part(host, part, len).first_chunk_mut::<2>() {
            *link = head.free.to_ne_bytes();
        }
        head.free = u16::try_from(part).unwrap_or(NO_PART);
        let was_full = u32::from(head.used) == per_block;
        if was_full {
            (head.previous, head.next) = (NONE, partial);
        }
        head.used -= 1;
        self.set_head(host, &head);
        if was_full {
            self.relink(partial, |next| next.previous = host);
            self.set_partial(which, host);
        }
        if let Some(class) = self.class_mut(which) {
            class.free += 1;
        }
    }

    /// Takes a divided block out of the list of those with a free part.
    fn unlist(&mut self, class: u32, head: &Head) {
        self.relink(head.next, |next| next.previous = head.previous);
        match head.previous {
            NONE => self.set_partial(class, head.next),
            previous => self.relink(previous, |previous| previous.next = head.next),
        }
    }

    fn relink(&mut self, host: u32, change: impl FnOnce(&mut Head)) {
        if host != NONE {
            let mut head = self.head(host);
            change(&mut head);
            self.set_head(host, &head);
        }
    }

    fn set_partial(&mut self, class: u32, host: u32) {
        if let Some(class) = self.class_mut(class) {
            class.partial = host;
        }
    }

    fn head(&self, host: u32) -> Head {
        let mut bytes = [0; HEAD];
        bytes.copy_from_slice(self.bytes(host, 0, HEAD));
        Head::read(&bytes)
    }

    fn set_head(&mut self, host: u32, head: &Head) {
        self.bytes_mut(host, 0, HEAD).copy_from_slice(&head.bytes());
    }
}

fn number(class: u32, at: u32) -> u32 {
    class << CLASS_SHIFT | at
}
