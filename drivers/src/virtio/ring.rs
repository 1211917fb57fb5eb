//! Where in the transmit memory each frame lies: a ring of bytes, handed out in order, each frame
//! in one piece. Only the book-keeping: no memory, no queue.

use super::features::QUEUE_SIZE;

/// Frames in flight at most: the descriptors of the queue.
pub(super) const FRAMES: usize = QUEUE_SIZE;

/// A frame's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) len: usize,
}

/// What is kept of a frame, small since there are many: the device is built on a stack.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    len: u32,
    /// Bytes skipped at the ring's end to keep the frame whole.
    skipped: u32,
    done: bool,
}

/// The ring. Frames may be given back in any order; bytes are free again in the order of taking.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: usize,
    /// Where the next frame goes.
    head: usize,
    /// Bytes taken, up to `head`.
    used: usize,
    frames: [Frame; FRAMES],
    /// Index of the oldest frame, and how many there are.
    oldest: usize,
    count: usize,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Ring {
        Ring { capacity, head: 0, used: 0, frames: [Frame::default(); FRAMES], oldest: 0, count: 0 }
    }

    /// Frames in flight, or done behind one that is.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Room for `len` bytes, with a number to give back; `None` if the ring is full.
    pub(super) fn take(&mut self, len: usize) -> Option<(usize, Place)> {
        if self.count == FRAMES || len > self.capacity {
            return None;
        }
        if self.count == 0 {
            (self.head, self.used) = (0, 0);
        }
        let to_end = self.capacity - self.head;
        let skip = if len > to_end { to_end } else { 0 };
        if self.used + skip + len > self.capacity {
            return None;
        }
        let place = Place { start: (self.head + skip) % self.capacity, len };
        let id = (self.oldest + self.count) % FRAMES;
        self.frames[id] = Frame { len: len as u32, skipped: skip as u32, done: false };
        self.count += 1;
        self.used += skip + len;
        self.head = (place.start + len) % self.capacity;
        Some((id, place))
    }

    /// Gives a frame back that was taken and not yet given back.
    pub(super) fn give(&mut self, id: usize) {
        self.frames[id].done = true;
        while self.count > 0 && self.frames[self.oldest].done {
            let Frame { len, skipped, .. } = self.frames[self.oldest];
            self.used -= (len + skipped) as usize;
            self.oldest = (self.oldest + 1) % FRAMES;
            self.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_never_split_at_the_end() {
        let mut ring = Ring::new(100);
        let (a, _) = ring.take(60).unwrap();
        let (b, place) = ring.take(30).unwrap();
        assert_eq!(place.start, 60);
        assert_eq!(ring.take(20), None);
        ring.give(a);
        // Ten bytes are left at the end and skipped.
        let (c, place) = ring.take(20).unwrap();
        assert_eq!(place, Place { start: 0, len: 20 });
        assert_eq!(ring.take(41), None);
        let (d, place) = ring.take(40).unwrap();
        assert_eq!((place.start, ring.take(1)), (20, None));
        for id in [b, c, d] {
            ring.give(id);
        }
        assert_eq!((ring.count(), ring.take(100).unwrap().1.start), (0, 0));
    }

    #[test]
    fn frames_may_come_back_in_any_order() {
        let mut ring = Ring::new(30);
        let ids = [(); 3].map(|()| ring.take(10).unwrap().0);
        ring.give(ids[1]);
        ring.give(ids[2]);
        assert_eq!((ring.count(), ring.take(1)), (3, None));
        ring.give(ids[0]);
        assert_eq!(ring.count(), 0);
    }

    /// Random sizes, given back in random order: places never overlap, and all comes back.
    #[test]
    fn places_never_overlap() {
        let mut seed = 1u32;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as usize % below
        };
        let mut ring = Ring::new(1000);
        let mut live: Vec<(usize, Place)> = Vec::new();
        for _ in 0..20_000 {
            if random(2) == 0 && !live.is_empty() {
                let (id, _) = live.swap_remove(random(live.len()));
                ring.give(id);
            } else if let Some((id, place)) = ring.take(1 + random(400)) {
                assert!(place.start + place.len <= 1000);
                let apart = |other: &Place| {
                    place.start + place.len <= other.start || other.start + other.len <= place.start
                };
                assert!(live.iter().all(|(_, other)| apart(other)));
                live.push((id, place));
            }
        }
        live.drain(..).for_each(|(id, _)| ring.give(id));
        assert_eq!((ring.count(), ring.take(1000).is_some()), (0, true));
    }

    #[test]
    fn descriptors_run_out_before_bytes() {
        let mut ring = Ring::new(1 << 20);
        assert!((0..FRAMES).all(|_| ring.take(1).is_some()));
        assert_eq!(ring.take(1), None);
    }
}
