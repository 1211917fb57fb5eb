//! The timer wheel: arm, cancel and expire in O(1), whatever the number of timers.
//!
//! Four levels of 64 slots (16 without a heap), a millisecond to the finest tick: level 0 holds what is due within
//! 64 ms to the tick, level 3 what is due within hours; a timer moves down as its time comes
//! nearer. The links live in the timed things themselves ([`Node`]), so the wheel has no memory
//! of its own to run out of.

use crate::time::Instant;

const NONE: u32 = u32::MAX;
const LEVELS: usize = 4;
/// A bit for each slot of a level.
#[cfg(feature = "alloc")]
type Slots = u64;
/// Without a heap there are few timers, and a kilobyte of heads would be more than what they belong to: levels are shorter,
/// and what is due in more than a minute is looked at once a minute.
#[cfg(not(feature = "alloc"))]
type Slots = u16;
const SLOTS: usize = Slots::BITS as usize;
const SLOT_BITS: u32 = Slots::BITS.ilog2();
/// Timers further away than the wheel turns wait in the slot that comes last and are sorted in
/// again then.
const SPAN: u64 = (SLOTS as u64 - 1) << (SLOT_BITS * (LEVELS as u32 - 1));
/// Timers further away than a node can say (24 days) fire early; their owner arms them again.
const FARTHEST: u64 = i32::MAX as u64;

/// The links of one timed thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    prev: u32,
    next: u32,
    /// Due time in ticks, modulo 2^32.
    at: u32,
    /// Level and slot.
    place: u16,
    armed: bool,
}

impl Default for Node {
    fn default() -> Self {
        Node { prev: NONE, next: NONE, at: 0, place: 0, armed: false }
    }
}

impl Node {
    /// Is there nothing to wait for, or does the timer run, and fire by `at`? Then arming it for that time changes nothing.
    #[inline]
    pub(crate) fn fires_by(&self, at: Instant) -> bool {
        at == Instant::FAR_FUTURE || self.armed && (self.at.wrapping_sub(tick(at) as u32) as i32) <= 0
    }
}

/// The first tick that is not before `at`.
#[inline]
fn tick(at: Instant) -> u64 {
    at.millis_up()
}

/// Where the wheel finds the node of a timed thing.
pub(crate) trait Nodes {
    fn node(&mut self, index: u32) -> &mut Node;
}

/// The wheel itself: heads of lists, and a bit for each list that is not empty.
pub(crate) struct Wheel {
    /// Plus one: so an empty wheel is all zero.
    heads: [[u32; SLOTS]; LEVELS],
    occupied: [Slots; LEVELS],
    /// Everything due before this tick has been handed out.
    now: u64,
    /// The list that is looked at first has this tick, or is being looked at; plus one, 0: all are empty.
    early: u64,
}

impl Wheel {
    pub(crate) const fn new() -> Self {
        Wheel { heads: [[0; SLOTS]; LEVELS], occupied: [0; LEVELS], now: 0, early: 0 }
    }

    /// Sets the timer of `index` to `at`, rounded up to the next tick. Arming a timer that is
    /// armed for an earlier time already does nothing: its owner looks at its deadlines when it
    /// fires and arms it again, which is cheaper than moving it with every packet.
    pub(crate) fn arm(&mut self, nodes: &mut impl Nodes, index: u32, at: Instant) {
        let tick = tick(at).clamp(self.now, self.now + FARTHEST);
        let node = nodes.node(index);
        if node.armed {
            if (node.at.wrapping_sub(tick as u32) as i32) <= 0 {
                return;
            }
            self.cancel(nodes, index);
        }
        self.link(nodes, index, tick);
    }

    fn link(&mut self, nodes: &mut impl Nodes, index: u32, tick: u64) {
        let seen = tick.min(self.now + SPAN);
        let level = ((63 - ((seen ^ self.now) | (SLOTS as u64 - 1)).leading_zeros()) / SLOT_BITS)
            .min(LEVELS as u32 - 1) as usize;
        let slot = (seen >> (SLOT_BITS * level as u32)) as usize % SLOTS;
        let head = core::mem::replace(&mut self.heads[level][slot], index + 1).wrapping_sub(1);
        let place = (level * SLOTS + slot) as u16;
        *nodes.node(index) = Node { prev: NONE, next: head, at: tick as u32, place, armed: true };
        if head != NONE {
            nodes.node(head).prev = index;
        }
        self.occupied[level] |= 1 << slot;
        self.set_early(self.early().min(seen >> (SLOT_BITS * level as u32) << (SLOT_BITS * level as u32)));
    }

    /// Takes the timer of `index` off the wheel, if it is on it.
    pub(crate) fn cancel(&mut self, nodes: &mut impl Nodes, index: u32) {
        let Node { prev, next, place, armed, .. } = core::mem::take(nodes.node(index));
        if !armed {
            return;
        }
        if next != NONE {
            nodes.node(next).prev = prev;
        }
        if prev != NONE {
            nodes.node(prev).next = next;
            return;
        }
        let (level, slot) = (place as usize / SLOTS, place as usize % SLOTS);
        self.heads[level][slot] = next.wrapping_add(1);
        if next == NONE {
            self.occupied[level] &= !(1 << slot);
            self.set_early(self.first().map_or(u64::MAX, |(_, _, tick)| tick));
        }
    }

    /// The tick of the list that is looked at first; `u64::MAX`: all are empty.
    #[inline]
    fn early(&self) -> u64 {
        self.early.wrapping_sub(1)
    }

    #[inline]
    fn set_early(&mut self, tick: u64) {
        self.early = tick.wrapping_add(1);
    }

    /// The list that is looked at first: its level, slot and tick. While a list of a higher level
    /// is being sorted in, it comes before what was sorted in already.
    fn first(&self) -> Option<(usize, usize, u64)> {
        let occupied = (0..LEVELS).filter(|level| self.occupied[*level] != 0);
        occupied.map(|level| self.first_of(level)).min_by_key(|(_, _, tick)| *tick)
    }

    fn first_of(&self, level: usize) -> (usize, usize, u64) {
        let now = self.now >> (SLOT_BITS * level as u32);
        let ahead = self.occupied[level].rotate_right((now % SLOTS as u64) as u32).trailing_zeros() as u64;
        let slot = (now + ahead) % SLOTS as u64;
        let tick = (now + ahead) << (SLOT_BITS * level as u32);
        (level, slot as usize, tick.max(self.now))
    }

    /// When [`expire`](Wheel::expire) wants to be called next: exactly the first timer's time if
    /// that is near, else somewhat earlier, to sort distant timers in.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.early.checked_sub(1).map(|early| Instant::from_millis(early.max(self.now)))
    }

    /// Time passes. False: no timer is due, and [`expire`](Wheel::expire) would give `None`.
    #[inline]
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.early() <= now.millis();
        if !is_due {
            self.now = self.now.max(now.millis());
        }
        is_due
    }

    /// Takes one timer that is due off the wheel. Call until it gives `None`.
    pub(crate) fn expire(&mut self, nodes: &mut impl Nodes, now: Instant) -> Option<u32> {
        while self.early() <= now.millis()
            && let Some((level, slot, tick)) = self.first()
        {
            self.set_early(tick);
            if tick > now.millis() {
                break;
            }
            self.now = tick;
            let index = self.heads[level][slot].wrapping_sub(1);
            let at = nodes.node(index).at;
            self.cancel(nodes, index);
            let left = at.wrapping_sub(tick as u32) as i32;
            if left <= 0 {
                return Some(index);
            }
            self.link(nodes, index, tick + left as u64);
        }
        self.now = self.now.max(now.millis());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Nodes for Vec<Node> {
        fn node(&mut self, index: u32) -> &mut Node {
            &mut self[index as usize]
        }
    }

    /// H192: every timer fires at its own tick, not before and not a tick later, near or far.
    #[test]
    fn timers_fire_at_their_tick() {
        let mut x = 7u64;
        let mut random = move |n: u64| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 33) % n
        };
        let mut nodes = vec![Node::default(); 500];
        let mut due = vec![None; 500];
        let mut wheel = Wheel::new();
        let mut now = 5_000_000_000u64;
        wheel.expire(&mut nodes, Instant::from_micros(now));
        for _ in 0..20_000 {
            let index = random(500) as usize;
            if due[index].is_some() && random(3) == 0 {
                wheel.cancel(&mut nodes, index as u32);
                due[index] = None;
            } else if due[index].is_none() {
                let span = [50_000, 5_000_000, 900_000_000, 40_000_000_000][random(4) as usize];
                let at = now + random(span);
                wheel.arm(&mut nodes, index as u32, Instant::from_micros(at));
                due[index] = Some(at.div_ceil(1000));
            }
            let next = wheel.next().map_or(now, |t| t.micros());
            assert!(due.iter().flatten().all(|t| next <= (*t).max(now / 1000) * 1000 + 1000));
            now = match random(3) {
                0 => now + random(100_000),
                1 => next.max(now),
                _ => now + random(1_000),
            };
            while let Some(i) = wheel.expire(&mut nodes, Instant::from_micros(now)) {
                let at: u64 = due[i as usize].take().unwrap();
                assert!(at <= now / 1000, "early");
            }
            assert!(due.iter().flatten().all(|t| *t > now / 1000), "late");
        }
    }

    /// Timers beyond the wheel's span, where slots come round again, fire on time too.
    #[test]
    fn distant_timers_come_round() {
        for start in [0, 1, 77, 262_143, 262_144, 16_777_215] {
            for away in [16_515_071, 16_515_072, 16_777_215, 16_777_216, 40_000_000] {
                let (mut nodes, mut wheel) = (vec![Node::default(); 1], Wheel::new());
                wheel.expire(&mut nodes, Instant::from_millis(start));
                let at = Instant::from_millis(start + away);
                wheel.arm(&mut nodes, 0, at);
                let mut wakes = 0;
                while let Some(next) = wheel.next().filter(|next| *next < at) {
                    assert_eq!(wheel.expire(&mut nodes, next), None);
                    wakes += 1;
                }
                assert!(wakes < 8.max(2 * away / SPAN), "{wakes} turns for nothing");
                assert_eq!(wheel.expire(&mut nodes, at), Some(0));
            }
        }
    }

    /// A running timer is not moved to a later time, only to an earlier one.
    #[test]
    fn arming_again_keeps_the_earlier_time() {
        let mut nodes = vec![Node::default(); 1];
        let mut wheel = Wheel::new();
        wheel.arm(&mut nodes, 0, Instant::from_millis(14));
        wheel.arm(&mut nodes, 0, Instant::from_millis(15));
        assert_eq!(wheel.next(), Some(Instant::from_millis(14)));
        wheel.arm(&mut nodes, 0, Instant::from_millis(12));
        assert_eq!(wheel.next(), Some(Instant::from_millis(12)));
        assert_eq!(wheel.expire(&mut nodes, Instant::from_millis(11)), None);
        assert_eq!(wheel.expire(&mut nodes, Instant::from_millis(12)), Some(0));
        assert_eq!(wheel.next(), None);
    }
}
