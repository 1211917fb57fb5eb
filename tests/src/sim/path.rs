//! One link as the path between ends that are not of this world: frames and the time come in, frames come out
//! when they arrive. It is the benchmark's emulator, and has no clock either.

use super::device::Frame;
use super::ledger::{Ledger, TextCounts};
use super::link::{Pipe, PipeStats};
use super::options::LinkOptions;
use super::random::Random;
use barenet::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A path between two ends, 0 and 1. Only TCP is queued, delayed and lost: how neighbours find each other is none
/// of its business.
#[derive(Debug)]
pub struct Path {
    pipes: [Pipe; 2],
    flying: BinaryHeap<Reverse<Flying>>,
    /// How many frames took off.
    order: u64,
    text: Ledger,
    acks: u64,
    /// How long text from end 0 waited for its turn, in microseconds, frame by frame.
    waits: Vec<u32>,
    taken: u64,
    late: u64,
}

/// By the time of arrival, then by the order of take-off.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Flying {
    at: Instant,
    order: u64,
    to: usize,
    bytes: Vec<u8>,
}

/// What was seen on a path so far.
#[derive(Clone, Debug)]
pub struct PathStats {
    /// Frames and bytes from end 0 to end 1 and back.
    pub pipes: [PipeStats; 2],
    /// Text from end 0 to end 1.
    pub text: TextCounts,
    /// Segments without text from end 1 to end 0.
    pub acks: u64,
    /// Frames that were taken, and those of them a millisecond late or more: whoever turns the path slept too long.
    pub taken: u64,
    /// See `taken`.
    pub late: u64,
}

impl Path {
    /// The link's rate, delay and queue both ways, its faults in each.
    pub fn new(link: &LinkOptions, seed: u64) -> Self {
        let mut r = Random::new(seed);
        Path {
            pipes: [0, 1].map(|direction| Pipe::new(link, direction, Instant::ZERO, false, r.next_u64())),
            flying: BinaryHeap::new(),
            order: 0,
            text: Ledger::default(),
            acks: 0,
            waits: Vec::new(),
            taken: 0,
            late: 0,
        }
    }

    /// An end sends a frame.
    pub fn offer(&mut self, from: usize, bytes: Vec<u8>, now: Instant) {
        let mut frame = Frame::plain(bytes);
        let Some((seq, len)) = frame.text() else {
            return self.take_off(now, 1 - from, frame.bytes);
        };
        let wait = self.pipes[from].backlog(now);
        let fate = self.pipes[from].carry(&mut frame, now);
        let arrives = !fate.arrivals.is_empty();
        match (from, len) {
            (0, 1..) => {
                let source = frame.bytes[6..12].try_into().expect("six bytes");
                self.text.note((source, frame.ports().unwrap_or_default()), seq, len, arrives);
                self.waits.extend(arrives.then_some(wait.micros() as u32));
            }
            (1, 0) => self.acks += 1,
            _ => {}
        }
        for at in &fate.arrivals {
            self.take_off(*at, 1 - from, frame.bytes.clone());
        }
    }

    fn take_off(&mut self, at: Instant, to: usize, bytes: Vec<u8>) {
        self.order += 1;
        self.flying.push(Reverse(Flying { at, order: self.order, to, bytes }));
    }

    /// A frame that has arrived, and at which end.
    pub fn take(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        let Reverse(next) = self.flying.peek()?;
        if next.at > now {
            return None;
        }
        let Reverse(Flying { at, to, bytes, .. }) = self.flying.pop()?;
        self.taken += 1;
        self.late += u64::from(now.since(at) >= Duration::from_millis(1));
        Some((to, bytes))
    }

    /// When the next frame arrives.
    pub fn next(&self) -> Option<Instant> {
        self.flying.peek().map(|Reverse(next)| next.at)
    }

    /// How long a frame from end 0 would wait for its turn now.
    pub fn backlog(&self, now: Instant) -> Duration {
        self.pipes[0].backlog(now)
    }

    /// What was seen so far.
    pub fn stats(&self) -> PathStats {
        PathStats {
            pipes: [0, 1].map(|direction: usize| self.pipes[direction].stats),
            text: self.text.counts,
            acks: self.acks,
            taken: self.taken,
            late: self.late,
        }
    }

    /// How long text from end 0 waited in the queue: so many in a hundred segments no longer than this.
    pub fn wait_percentile(&self, percent: usize) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let at = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
        Duration::from_micros(waits.get(at).copied().unwrap_or(0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::{FaultOptions, Node};
    use super::*;

    const ENDS: [Node; 2] = [Node::Host(0), Node::Host(1)];
    /// Of headers and of text.
    const HEADERS: usize = 54;
    const TEXT: usize = 946;

    /// 1 MB/s, 10 ms, a queue of ten frames.
    fn link() -> LinkOptions {
        LinkOptions { bytes_per_s: 1_000_000, delay_us: 10_000, queue: 10_000, ..LinkOptions::new(0, ENDS) }
    }

    fn segment(seq: u32, len: usize) -> Vec<u8> {
        let mut frame = vec![0; HEADERS + len];
        frame[12] = 8;
        frame[16..18].copy_from_slice(&(40 + len as u16).to_be_bytes());
        frame[23] = 6;
        frame[38..42].copy_from_slice(&seq.to_be_bytes());
        frame[46] = 5 << 4;
        frame
    }

    /// What arrives at the other end until everything has: microseconds and sequence number.
    fn arrivals(path: &mut Path) -> Vec<(u64, u32)> {
        let mut found = Vec::new();
        while let Some(at) = path.next() {
            assert!(path.take(Instant::from_micros(at.micros() - 1)).is_none(), "too early");
            let (to, bytes) = path.take(at).expect("one is due");
            assert_eq!(to, 1);
            found.push((at.micros(), u32::from_be_bytes(bytes[38..42].try_into().expect("four bytes"))));
        }
        found
    }

    /// Frames leave at the rate of the link, arrive after its delay, and find no place in a full queue.
    #[test]
    fn a_burst_is_spread_and_its_end_dropped() {
        let mut path = Path::new(&link(), 1);
        (0..20).for_each(|n| path.offer(0, segment(n * TEXT as u32, TEXT), Instant::ZERO));
        // One is being sent while ten wait.
        let expected: Vec<_> = (0..11).map(|n| (10_000 + (n + 1) * 1_000, n as u32 * TEXT as u32)).collect();
        assert_eq!(path.backlog(Instant::ZERO).millis(), 11);
        assert_eq!(arrivals(&mut path), expected);
        let stats = path.stats();
        assert_eq!((stats.pipes[0].dropped, stats.text.segments, stats.late), (9, 20, 0));
        assert_eq!((path.wait_percentile(0).millis(), path.wait_percentile(95).millis()), (0, 10));
    }

    /// What the path dropped is sent again for a reason, what it delivers is not.
    #[test]
    fn retransmissions_are_told_apart() {
        let mut path = Path::new(&link(), 1);
        (0..12).for_each(|n| path.offer(0, segment(n * TEXT as u32, TEXT), Instant::ZERO));
        [0, 11].iter().for_each(|n| path.offer(0, segment(n * TEXT as u32, TEXT), Instant::from_millis(50)));
        path.offer(1, segment(0, 0), Instant::from_millis(60));
        let stats = path.stats();
        assert_eq!((stats.text.retransmitted, stats.text.needless, stats.acks), (2, 1, 1));
    }

    #[test]
    fn faults_are_of_one_direction() {
        let mut options = link();
        (options.queue, options.faults[0]) =
            (1 << 20, FaultOptions { loss: 1_000_000, ..FaultOptions::default() });
        let mut path = Path::new(&options, 1);
        (0..9).for_each(|_| path.offer(0, segment(0, TEXT), Instant::ZERO));
        assert_eq!(path.next(), None);
        options.faults[0] = FaultOptions { duplicate: 1_000_000, ..FaultOptions::default() };
        let mut path = Path::new(&options, 1);
        (0..9).for_each(|n| path.offer(0, segment(n, TEXT), Instant::ZERO));
        assert_eq!(arrivals(&mut path).len(), 18);
    }

    /// ARP and the like are not held up.
    #[test]
    fn what_is_not_tcp_arrives_at_once() {
        let mut path = Path::new(&link(), 1);
        path.offer(0, segment(0, TEXT), Instant::ZERO);
        path.offer(0, vec![0; 42], Instant::ZERO);
        assert_eq!(path.take(Instant::ZERO), Some((1, vec![0; 42])));
        assert_eq!(path.take(Instant::ZERO), None);
    }
}
