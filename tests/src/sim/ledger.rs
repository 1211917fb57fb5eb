//! What senders send again, and what of it for nothing: seen on the path, so the same for every stack.

use std::collections::HashMap;

/// What was seen of text that goes from the first end to the second.
#[derive(Clone, Copy, Default, Debug)]
pub struct TextCounts {
    /// Segments with text.
    pub segments: u64,
    /// Those that begin with text that had been sent before.
    pub retransmitted: u64,
    /// Those of them of whose text nothing was missing: every byte of it had arrived or was under way.
    pub needless: u64,
}

/// Who sends: its hardware address and the ports.
pub(super) type Flow = ([u8; 6], [u16; 2]);

/// The text of all flows, by what became of it.
#[derive(Default, Debug)]
pub(super) struct Ledger {
    flows: HashMap<Flow, Text>,
    pub(super) counts: TextCounts,
}

/// A byte's number without its wrap-around.
type Place = u64;

#[derive(Debug)]
struct Text {
    /// Behind the last byte that was ever sent.
    next: Place,
    /// What was lost and has not gone again since.
    missing: Vec<(Place, Place)>,
}

impl Ledger {
    /// A flow sends `len` bytes from `seq` on, which arrive or not.
    pub(super) fn note(&mut self, flow: Flow, seq: u32, len: u32, arrives: bool) {
        // Far from 0, so that what lies before the first has a place too.
        let text = self.flows.entry(flow);
        let text = text.or_insert_with(|| Text { next: (1 << 32) | Place::from(seq), missing: Vec::new() });
        let offset = seq.wrapping_sub(text.next as u32) as i32;
        let start = text.next.wrapping_add_signed(offset.into());
        let end = start + Place::from(len);
        self.counts.segments += 1;
        // The parts of which no copy has arrived or is under way.
        let mut owed = Vec::new();
        if start < text.next {
            owed = text.take_missing(start, end);
            self.counts.retransmitted += 1;
            self.counts.needless += u64::from(owed.is_empty());
        }
        if end > text.next {
            owed.push((start.max(text.next), end));
            text.next = end;
        }
        if !arrives {
            text.missing.extend(owed);
        }
    }
}

impl Text {
    /// What is missing of a range; from now on it counts as sent.
    fn take_missing(&mut self, start: Place, end: Place) -> Vec<(Place, Place)> {
        let mut taken = Vec::new();
        for (s, e) in std::mem::take(&mut self.missing) {
            let (from, to) = (s.max(start), e.min(end));
            if from >= to {
                self.missing.push((s, e));
                continue;
            }
            taken.push((from, to));
            self.missing.extend([(s, from), (to, e)].into_iter().filter(|(s, e)| s < e));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays segments `(seq, len, arrives)` of one flow: how many went again, how many of them for nothing.
    fn play(segments: &[(u32, u32, bool)]) -> (u64, u64) {
        let mut ledger = Ledger::default();
        for &(seq, len, arrives) in segments {
            ledger.note(([2; 6], [1, 2]), seq, len, arrives);
        }
        (ledger.counts.retransmitted, ledger.counts.needless)
    }

    #[test]
    fn what_was_lost_goes_again_once_for_a_reason() {
        assert_eq!(play(&[(0, 10, true), (10, 10, true)]), (0, 0));
        assert_eq!(play(&[(0, 10, false), (10, 10, true), (0, 10, true)]), (1, 0));
        // The first was under way, the repetition was for nothing, lost or not.
        assert_eq!(play(&[(0, 10, true), (0, 10, false), (0, 10, true)]), (2, 2));
        // Lost twice.
        assert_eq!(play(&[(0, 10, false), (0, 10, false), (0, 10, true), (0, 10, true)]), (3, 1));
    }

    #[test]
    fn a_part_that_is_missing_is_a_reason() {
        let lost = [(0, 10, true), (10, 10, false), (20, 10, true)];
        let then = |more: &[(u32, u32, bool)]| play(&[&lost[..], more].concat());
        assert_eq!(then(&[(5, 20, true), (10, 10, true)]), (2, 1));
        assert_eq!(then(&[(12, 3, true), (10, 2, true), (15, 5, true), (10, 10, true)]), (4, 1));
    }

    /// Text behind what was sent before is new, also in a segment that repeats some.
    #[test]
    fn numbers_wrap() {
        let start = u32::MAX - 4;
        assert_eq!(play(&[(start, 10, false), (5, 10, true), (start, 10, true), (start, 10, true)]), (2, 1));
        assert_eq!(play(&[(start, 10, true), (0, 20, false), (5, 15, true)]), (2, 1));
    }
}
