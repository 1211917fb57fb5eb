//! The account of one queue: what memory is promised to it, and what it lacks of that.

use super::super::Audit;
use super::{Chain, Cost, NONE, Need, Pool, to_u32};

impl Chain {
    /// Bytes of the pool that the queue holds or has been promised, whole blocks counted.
    pub(crate) fn commitment(&self, pool: &Pool<'_>) -> usize {
        let Cost { class, count } = self.owed(pool, self.reach as usize);
        self.held(pool) + if class == 0 { count as usize * pool.block_len } else { pool.small_len() }
    }

    /// What the queue lacks to hold `reach` bytes.
    #[inline]
    pub(super) fn owed(&self, pool: &Pool<'_>, reach: usize) -> Cost {
        if self.is_whole() {
            let blocks = pool.blocks_for(self.start as usize + reach);
            Cost { class: 0, count: if reach == 0 { 0 } else { blocks.saturating_sub(self.blocks) } }
        } else if self.head != NONE && reach <= pool.len_of(self.head) {
            Cost::NOTHING
        } else {
            pool.cost(reach)
        }
    }

    /// Promises memory for `reach` bytes from the front, and no more: what [`promisable`](Chain::promisable)
    /// found, or less than before.
    pub(crate) fn promise(&mut self, pool: &mut Pool<'_>, reach: usize) {
        if reach == self.reach as usize {
            return;
        }
        // Nearly always as many blocks as before.
        let (before, after) = (self.owed(pool, self.reach as usize), self.owed(pool, reach));
        self.reach = to_u32(reach);
        if before != after {
            pool.lift_promise(before);
            pool.add_promise(after);
        }
    }

    /// How many bytes from the front, `want` at most, can be promised so that what the need leaves to
    /// others stays free.
    #[inline]
    pub(crate) fn promisable(&self, pool: &Pool<'_>, want: usize, need: Need) -> usize {
        if pool.has_plenty(want, need) { want } else { self.promisable_of_little(pool, want, need) }
    }

    #[inline(never)]
    fn promisable_of_little(&self, pool: &Pool<'_>, want: usize, need: Need) -> usize {
        let (floor, owed) = (pool.floor(need), self.owed(pool, self.reach as usize));
        let left_with = |cost| pool.left_with(owed, cost).map(|left| left.saturating_sub(floor));
        let fits = |reach: usize| {
            let cost = self.owed(pool, reach);
            let left = || pool.left_with(owed, cost).is_some_and(|left| left >= floor);
            // What takes no more than before takes nothing from anybody.
            cost == owed || cost == Cost::NOTHING || left()
        };
        if fits(want) {
            return want;
        }
        let (held, start) = if self.is_whole() { (self.blocks, self.start) } else { (0, 0) };
        let blocks = held + left_with(Cost::NOTHING).unwrap_or(0);
        let whole = want.min((blocks as usize * pool.block_len).saturating_sub(start as usize));
        if whole > pool.small_len() || self.is_whole() {
            return whole;
        }
        let small = pool.small_lens().map(|len| want.min(len)).find(|len| fits(*len));
        small.unwrap_or(0)
    }

    /// Does something that changes what was promised, or what is there for it.
    #[inline]
    pub(super) fn keeping_account<R>(
        &mut self,
        pool: &mut Pool<'_>,
        work: impl FnOnce(&mut Self, &mut Pool<'_>) -> R,
    ) -> R {
        // Most queues are promised nothing.
        if self.reach > 0 {
            pool.lift_promise(self.owed(pool, self.reach as usize));
        }
        let result = work(self, pool);
        if self.reach > 0 {
            pool.add_promise(self.owed(pool, self.reach as usize));
        }
        result
    }

    /// Adds what the queue holds and was promised to the sums of an audit.
    pub(crate) fn audit(&self, pool: &Pool<'_>, audit: &mut Audit) {
        let Cost { class, count } = self.owed(pool, self.reach as usize);
        audit.promised[class as usize] += count;
    }
}
