//! Queues of table entries whose links live in the entries: no memory, O(1), in either direction.

/// No entry.
pub(crate) const NONE: u32 = u32::MAX;

/// In place of the number before: the entry is in no queue.
const UNQUEUED: u32 = NONE - 1;

/// The links of one entry in one queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    prev: u32,
    next: u32,
}

impl Default for Link {
    fn default() -> Self {
        Link { prev: UNQUEUED, next: NONE }
    }
}

impl Link {
    pub(crate) fn is_queued(&self) -> bool {
        self.prev != UNQUEUED
    }
}

/// Where a queue finds the links of its entries.
pub(crate) trait Links {
    fn link(&mut self, index: u32) -> &mut Link;
}

/// A queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    /// Plus one, as the last one: so an empty queue is all zero.
    head: u32,
    tail: u32,
}

impl Default for List {
    fn default() -> Self {
        List::EMPTY
    }
}

impl List {
    pub(crate) const EMPTY: List = List { head: 0, tail: 0 };

    pub(crate) fn is_empty(&self) -> bool {
        self.head == 0
    }

    /// The entry at the front.
    pub(crate) fn front(&self) -> Option<u32> {
        self.head.checked_sub(1)
    }

    /// Appends an entry, unless it is queued already.
    pub(crate) fn push(&mut self, links: &mut impl Links, index: u32) {
        let link = links.link(index);
        if link.is_queued() {
            return;
        }
        let last = self.tail.wrapping_sub(1);
        *link = Link { prev: last, next: NONE };
        if last == NONE {
            self.head = index + 1;
        } else {
            links.link(last).next = index;
        }
        self.tail = index + 1;
    }

    /// Takes the first entry.
    pub(crate) fn pop(&mut self, links: &mut impl Links) -> Option<u32> {
        let index = self.front()?;
        let next = core::mem::take(links.link(index)).next;
        self.head = next.wrapping_add(1);
        match next {
            NONE => self.tail = 0,
            next => links.link(next).prev = NONE,
        }
        Some(index)
    }

    /// Takes an entry out, wherever it stands, if it is queued.
    pub(crate) fn remove(&mut self, links: &mut impl Links, index: u32) {
        let Link { prev, next } = core::mem::take(links.link(index));
        if prev == UNQUEUED {
            return;
        }
        if prev == NONE {
            self.head = next.wrapping_add(1);
        } else {
            links.link(prev).next = next;
        }
        if next == NONE {
            self.tail = prev.wrapping_add(1);
        } else {
            links.link(next).prev = prev;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Links for Vec<Link> {
        fn link(&mut self, index: u32) -> &mut Link {
            &mut self[index as usize]
        }
    }

    #[test]
    fn first_in_first_out_and_out_of_the_middle() {
        let mut links = vec![Link::default(); 5];
        let mut list = List::default();
        for i in [3, 1, 4, 1, 0] {
            list.push(&mut links, i);
        }
        list.remove(&mut links, 4);
        list.remove(&mut links, 2);
        assert_eq!(list.pop(&mut links), Some(3));
        list.remove(&mut links, 0);
        list.push(&mut links, 3);
        let rest: Vec<_> = core::iter::from_fn(|| list.pop(&mut links)).collect();
        assert_eq!(rest, [1, 3]);
        assert!(list.is_empty() && links.iter().all(|l| !l.is_queued()));
    }
}
