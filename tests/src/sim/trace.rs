//! What a run looked like over time.

use super::link::PipeStats;
use super::world::World;
use barenet::TcpInfo;
use barenet::time::{Duration, Instant};

/// A run, watched.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// How often a look was taken, at least.
    every: Duration,
    next: Instant,
    /// When the clock started.
    pub start: Instant,
    /// For each flow, how the end that sends more fared.
    pub flows: Vec<Vec<Point>>,
    /// Frames that did not arrive.
    pub drops: Vec<Lost>,
    /// What crossed each link until the end, from its first end to its second and back.
    pub pipes: Vec<[PipeStats; 2]>,
}

/// A frame that did not arrive.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// When it set out on the link where it was lost.
    pub at: Instant,
    /// The flow that it belongs to, if any.
    pub flow: Option<usize>,
    /// Does it carry text?
    pub has_text: bool,
}

/// One look at a flow.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// When.
    pub at: Instant,
    /// Bytes that the sending application has written,
    pub written: u64,
    /// and the other has read.
    pub read: u64,
    /// What the sender's stack knows.
    pub info: Option<TcpInfo>,
}

impl Trace {
    pub(super) fn new(every: Duration, start: Instant, flows: usize) -> Trace {
        Trace { every, next: start, start, flows: vec![vec![]; flows], ..Trace::default() }
    }

    /// The flow of which most was read.
    pub fn largest(&self) -> usize {
        let read = |flow: &usize| self.flows[*flow].last().map_or(0, |p| p.read);
        (0..self.flows.len()).max_by_key(read).unwrap_or(0)
    }

    /// The next look is not to wait.
    pub(super) fn look_now(&mut self) {
        self.next = self.start;
    }
}

impl World {
    /// Takes a look, if it is time for one.
    pub(super) fn look(&mut self) {
        let now = self.now;
        let Some(mut trace) = self.trace.take_if(|t| t.next <= now) else { return };
        for (flow, points) in trace.flows.iter_mut().enumerate() {
            let [client, server] = self.options.flows[flow].scripts;
            let sender = usize::from(server.send > client.send);
            let (Some(from), Some(to)) = (self.app(flow, sender), self.app(flow, 1 - sender)) else {
                continue;
            };
            let host = &self.hosts[self.options.flows[flow].hosts[sender]];
            let info = from.info(&host.stack, now);
            points.push(Point { at: now, written: from.written, read: to.read, info });
        }
        trace.next = now + trace.every;
        self.trace = Some(trace);
    }
}
