#![allow(clippy::cast_possible_truncation)] // of numbers that the tests draw

use super::*;
use crate::base::random::Random;
use crate::bytes::Bytes;
use std::collections::VecDeque;

const BLOCK: usize = 64;

fn fill(n: usize, seed: u8) -> Vec<u8> {
    (0..n).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

fn contents(chain: &Chain, pool: &Pool<'_>) -> Vec<u8> {
    let mut out = vec![0; chain.len()];
    assert_eq!(chain.copy_out(pool, 0, &mut out), out.len());
    out
}

/// H199: a pool that is used up says so; what is given back can be taken again.
#[test]
fn exhaustion_is_a_short_count() {
    let mut memory = vec![0; 4 * (BLOCK + 4)];
    let mut pool = Pool::borrowed(&mut memory, BLOCK);
    assert_eq!(pool.capacity(), 4 * BLOCK);
    let (mut a, mut b) = (Chain::new(), Chain::new());
    assert_eq!(a.append(&mut pool, &fill(100, 1), Need::Control), 100);
    assert_eq!(b.append(&mut pool, &fill(500, 2), Need::Control), 2 * BLOCK);
    assert_eq!(pool.available(), 0);
    assert_eq!(contents(&a, &pool), fill(100, 1));
    assert_eq!(contents(&b, &pool), &fill(500, 2)[..2 * BLOCK]);
    assert!(!a.append_whole(&mut pool, Bytes::new(&[&fill(60, 3)]), Need::Control));
    a.clear(&mut pool);
    assert_eq!(pool.available(), 2 * BLOCK);
    assert_eq!(b.append(&mut pool, &[7], Need::Control), 1);
    b.clear(&mut pool);
    assert_eq!(pool.in_use(), 0);
}

/// A model of a queue and the chain agree under random use, and no block is lost.
#[test]
fn a_chain_is_a_byte_queue() {
    let mut pool = Pool::growing(100 * BLOCK, BLOCK);
    let (mut chain, mut model) = (Chain::new(), VecDeque::<u8>::new());
    let mut cursor = Cursor::FRONT;
    let mut x = 12345u32;
    for step in 0..20_000 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let n = (x >> 16) as usize % 300;
        match x >> 30 {
            0 | 1 => {
                let data = fill(n, step as u8);
                let done = chain.append(&mut pool, &data, Need::Control);
                model.extend(&data[..done]);
            }
            2 => {
                chain.consume(&mut pool, n);
                model.drain(..n.min(model.len()));
            }
            _ => {
                let offset = n.min(model.len());
                let mut pieces = heapless::Vec::<&[u8], 3>::new();
                let len = chain.pieces(&pool, &mut cursor, offset, 150, &mut pieces);
                let got: Vec<u8> = pieces.concat();
                assert_eq!(got.len(), len);
                assert!(len >= 128.min(model.len() - offset), "{len} of {}", model.len() - offset);
                assert!(got.iter().eq(model.range(offset..offset + len)));
            }
        }
        assert_eq!(chain.len(), model.len());
        assert!(chain.held(&pool) <= model.len() + 2 * BLOCK);
        if step % 64 == 0 {
            assert!(contents(&chain, &pool).iter().eq(model.iter()));
            assert!(chain.front(&pool).iter().eq(model.iter().take(chain.front(&pool).len())));
        }
    }
    chain.clear(&mut pool);
    assert_eq!(pool.in_use(), 0);
}

/// Out-of-order bytes are written ahead of the ones that are missing.
#[test]
fn writing_ahead_leaves_a_hole_to_fill() {
    let mut pool = Pool::growing(100 * BLOCK, BLOCK);
    let mut chain = Chain::new();
    let data = fill(1000, 9);
    assert!(chain.reserve(&mut pool, 1000, Need::Control));
    assert_eq!(chain.write(&mut pool, 500, &data[500..]), 500);
    assert_eq!(chain.write(&mut pool, 0, &data[..500]), 500);
    assert_eq!(contents(&chain, &pool), data);
    chain.truncate(&mut pool, 100);
    assert_eq!(pool.in_use(), 2 * BLOCK);
    assert_eq!(chain.append(&mut pool, &data[100..400], Need::Control), 300);
    assert_eq!(contents(&chain, &pool), &data[..400]);
    assert!(chain.reserve(&mut pool, 700, Need::Control));
    assert_eq!(chain.append(&mut pool, &data[400..700], Need::Control), 300);
    assert_eq!(contents(&chain, &pool), &data[..700]);
    chain.truncate(&mut pool, 0);
    assert_eq!(pool.in_use(), 0);
}

/// A queue beside its model.
struct Pair {
    chain: Chain,
    model: VecDeque<u8>,
    cursor: Cursor,
}

/// Several queues over one pool: some as a receiver's, with promises; others as a sender's, without.
struct World {
    pool: Pool<'static>,
    pairs: Vec<Pair>,
    random: Random,
}

const NEEDS: [Need; 6] = [Need::Control, Need::Send, Need::Window, Need::Bulk, Need::Wide, Need::Ahead];

impl World {
    fn below(&mut self, n: usize) -> usize {
        self.random.next_u32() as usize % n.max(1)
    }

    /// Now little, now much.
    fn amount(&mut self) -> usize {
        let most = [10, 300, 3_000, 40_000][self.below(4)];
        self.below(most)
    }

    /// Appends without a promise: as much as the floor leaves.
    fn append(&mut self, at: usize) {
        let data = fill(self.amount(), at as u8);
        let need = NEEDS[self.below(6)];
        let pair = &mut self.pairs[at];
        let beyond = self.pool.left() > self.pool.floor(need);
        let done = pair.chain.append(&mut self.pool, &data, need);
        assert!(!beyond || done > 0 || data.is_empty(), "memory beyond the floor, and none for {need:?}");
        pair.model.extend(&data[..done]);
    }

    /// The window opens as far as the pool allows.
    fn open(&mut self, at: usize) {
        let (more, need) = (self.amount(), NEEDS[self.below(6)]);
        let chain = &mut self.pairs[at].chain;
        let reach = chain.reach() as usize;
        let possible = chain.promisable(&self.pool, reach + more, need);
        assert!(possible <= reach + more);
        if possible > reach {
            let floor = self.pool.floor(need).min(self.pool.left());
            chain.promise(&mut self.pool, possible);
            assert!(self.pool.left() >= floor, "the floor of {need:?} is promised away");
        }
    }

    /// Text inside the window, in order or written ahead, finds memory.
    fn receive(&mut self, at: usize) {
        let pair = &self.pairs[at];
        let open = (pair.chain.reach() as usize).saturating_sub(pair.chain.len());
        let n = self.amount().min(open);
        let (data, ahead) = (fill(n, at as u8), self.below(3) == 0);
        let Pair { chain, model, .. } = &mut self.pairs[at];
        if ahead {
            let len = chain.len();
            assert!(chain.reserve(&mut self.pool, len + n, Need::Ahead), "promised, and not there");
            assert_eq!(chain.write(&mut self.pool, len, &data), n);
        } else if !chain.append_there(&mut self.pool, &data) {
            assert_eq!(chain.append(&mut self.pool, &data, Need::Ahead), n, "promised, and not there");
        }
        model.extend(&data);
    }

    fn consume(&mut self, at: usize) {
        let n = self.amount();
        let Pair { chain, model, .. } = &mut self.pairs[at];
        chain.consume(&mut self.pool, n);
        model.drain(..n.min(model.len()));
    }

    fn truncate(&mut self, at: usize) {
        let n = self.amount();
        let Pair { chain, model, .. } = &mut self.pairs[at];
        chain.truncate(&mut self.pool, n);
        model.truncate(n);
    }

    fn look(&mut self, at: usize) {
        let offset = self.amount();
        let Pair { chain, model, cursor } = &mut self.pairs[at];
        let offset = offset.min(model.len());
        let mut pieces = heapless::Vec::<&[u8], 3>::new();
        let len = chain.pieces(&self.pool, cursor, offset, 10_000, &mut pieces);
        assert!(pieces.concat().iter().eq(model.range(offset..offset + len)));
        assert!(len > 0 || offset == model.len());
    }

    fn step(&mut self) {
        let at = self.below(self.pairs.len());
        let receives = at.is_multiple_of(2);
        match self.below(8) {
            0 | 1 if receives => self.open(at),
            2 | 3 if receives => self.receive(at),
            0..=3 => self.append(at),
            4 | 5 => self.consume(at),
            6 => self.look(at),
            _ if self.below(4) == 0 => self.truncate(at),
            _ if self.below(8) == 0 => {
                self.pairs[at].chain.clear(&mut self.pool);
                self.pairs[at].model.clear();
            }
            _ => {}
        }
    }

    fn check(&self, all: bool) {
        let mut audit = Audit::default();
        for Pair { chain, model, .. } in &self.pairs {
            chain.audit(&self.pool, &mut audit);
            assert_eq!(chain.len(), model.len());
            assert!(!all || contents(chain, &self.pool).iter().eq(model.iter()));
        }
        self.pool.check(&audit);
    }
}

/// H237: what was promised is there, whatever others take, and floors hold: with blocks of every kind, also
/// when memory is used up. The queues hold what was written to them.
#[test]
fn promises_are_kept() {
    for (seed, blocks, block_len) in [
        (1, 40, 16_384),
        (2, 6, 16_384),
        (3, 100, 512),
        (4, 30, 1_500),
        (5, 3, 512),
        (6, 60, 64),
        (7, 9, 9_000),
    ] {
        let pool = Pool::growing(blocks * block_len, block_len);
        let new = || Pair { chain: Chain::new(), model: VecDeque::new(), cursor: Cursor::FRONT };
        let pairs = (0..150).map(|_| new()).collect();
        let mut world = World { pool, pairs, random: Random::new([seed; 32]) };
        for step in 0..10_000 {
            world.step();
            world.check(step % 500 == 0);
        }
        for Pair { chain, .. } in &mut world.pairs {
            chain.clear(&mut world.pool);
        }
        assert_eq!((world.pool.in_use(), world.pool.promised()), (0, 0));
        assert_eq!(world.pool.available(), world.pool.capacity());
    }
}

/// Little takes little: eight queues of a segment, or sixty-four of a request, share a block of 16 KiB.
#[test]
fn small_queues_share_a_block() {
    let mut pool = Pool::growing(1 << 20, 16_384);
    let mut queues: Vec<_> = (0..640).map(|_| Chain::new()).collect();
    for queue in &mut queues[..64] {
        assert_eq!(queue.append(&mut pool, &fill(2_000, 1), Need::Control), 2_000);
    }
    assert_eq!(pool.in_use(), 8 * 16_384);
    for queue in &mut queues[64..] {
        assert_eq!(queue.append(&mut pool, &fill(250, 1), Need::Control), 250);
    }
    assert_eq!(pool.in_use(), (8 + 9) * 16_384);
    queues.iter_mut().for_each(|queue| queue.clear(&mut pool));
    assert_eq!(pool.in_use(), 0);
}

/// What is left of a long queue moves to a small block where memory is short, and nowhere else.
#[test]
fn a_tail_is_compacted() {
    let mut pool = Pool::growing(16 * 16_384, 16_384);
    let (mut tail, mut hog) = (Chain::new(), Chain::new());
    for (short, in_use) in [(false, 1), (true, 5)] {
        tail.append(&mut pool, &fill(20_000, 1), Need::Control);
        let mut cursor = Cursor::FRONT;
        tail.pieces(&pool, &mut cursor, 19_000, 1, &mut heapless::Vec::<_, 4>::new());
        if short {
            hog.reserve(&mut pool, 3 * 16_384, Need::Control);
        }
        tail.consume(&mut pool, 19_900);
        assert_eq!(pool.in_use(), (in_use - usize::from(short)) * 16_384);
        assert_eq!(tail.held(&pool), if short { 252 } else { 16_384 });
        let mut pieces = heapless::Vec::<&[u8], 4>::new();
        tail.pieces(&pool, &mut cursor, 50, 50, &mut pieces);
        assert_eq!(pieces.concat(), &fill(20_000, 1)[19_950..]);
        drop(pieces);
        tail.clear(&mut pool);
    }
}

/// The quick answer that memory is plenty is never wrong: what is promised on its word leaves the need's floor
/// free, wherever the queue begins in its first block and whatever was promised to it before.
#[test]
fn plenty_leaves_the_floor_free() {
    for need in NEEDS {
        for (held, consumed) in [(0, 0), (1, 0), (BLOCK, BLOCK - 1), (3 * BLOCK, BLOCK + 1)] {
            let mut pool = Pool::growing(64 * BLOCK, BLOCK);
            let mut queue = Chain::new();
            queue.append(&mut pool, &fill(held, 1), Need::Control);
            queue.consume(&mut pool, consumed);
            let wants = 0..pool.capacity();
            let most =
                wants.rev().find(|want| pool.has_plenty(*want, need)).expect("an empty pool has plenty");
            queue.promise(&mut pool, most);
            assert!(pool.left() >= pool.floor(need), "{need:?}, {held} held, {consumed} consumed");
            assert_eq!(queue.reach() as usize, most);
            queue.clear(&mut pool);
        }
    }
}

/// H267: sizes around each power of two, and lengths of blocks beyond all sense: nothing is cut on the way.
/// Memory is taken from the heap when it is used, so these pools take none.
#[test]
fn the_arithmetic_has_no_edge() {
    for bits in 12..45 {
        for memory in [(1usize << bits) - 1, 1 << bits, (1 << bits) + 1, 3 << (bits - 1)] {
            for block_len in [64, 512, 1_500, 16_384, 65_536] {
                let pool = Pool::growing(memory, block_len);
                let all = pool.capacity();
                assert_eq!(all, (memory / block_len).min(blocks_max(block_len)) * block_len);
                assert_eq!((pool.available(), pool.in_use(), pool.beyond(Need::Control)), (all, 0, all));
                for need in NEEDS {
                    let (part, least) = need.floor();
                    let floor = (pool.limit as usize * part as usize / 16).max(least as usize) * block_len;
                    assert_eq!(pool.beyond(need), all.saturating_sub(floor), "{need:?} of {memory}");
                    let (queue, want) = (Chain::new(), all.min(1 << 30));
                    let possible = queue.promisable(&pool, want, need);
                    assert!(possible >= want.min(all.saturating_sub(floor)), "{possible} of {want}");
                }
            }
        }
    }
    for block_len in [0, 1, usize::MAX / 2, usize::MAX - 3, usize::MAX] {
        assert!(Pool::growing(1 << 30, block_len).block_len().is_multiple_of(64));
        assert_eq!(Pool::borrowed(&mut [0; 100], block_len).capacity(), if block_len < 64 { 64 } else { 0 });
    }
}
