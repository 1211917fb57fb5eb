//! Links and switches: where a frame goes.

use super::device::Frame;
use super::host::station;
use super::link::{Fate, Pipe};
use super::options::{Node, Options};
use super::random::Random;
use barenet::time::Instant;

impl Node {
    pub(super) fn host(self) -> Option<usize> {
        match self {
            Node::Host(host) => Some(host),
            Node::Switch(_) => None,
        }
    }
}

/// All links, and what the switches know.
pub(super) struct Network {
    pipes: Vec<[Pipe; 2]>,
    ends: Vec<[Node; 2]>,
    /// For each switch: by which end of which link each host is reached. They need not learn it.
    ways: Vec<Vec<Option<(usize, usize)>>>,
}

impl Network {
    pub(super) fn new(options: &Options, r: &mut Random) -> Network {
        let early = options.hosts.iter().any(|h| h.tcp.options.fast_open);
        let pipe = |link, direction, r: &mut Random| {
            Pipe::new(&options.links[link], direction, options.start, early, r.next_u64())
        };
        let pipes = (0..options.links.len()).map(|l| [pipe(l, 0, r), pipe(l, 1, r)]).collect();
        let ends: Vec<_> = options.links.iter().map(|l| l.ends).collect();
        let mut network = Network { pipes, ends, ways: vec![] };
        let switches = network.ends.iter().flatten().filter(|e| matches!(e, Node::Switch(_))).count();
        network.ways = (0..switches).map(|s| network.explore(s, options.hosts.len())).collect();
        network
    }

    /// The ends of links at a node.
    pub(super) fn ends_at(&self, node: Node) -> impl Iterator<Item = (usize, usize)> {
        let ends = self.ends.iter().enumerate();
        ends.flat_map(|(link, pair)| [(link, 0, pair[0]), (link, 1, pair[1])])
            .filter(move |(_, _, end)| *end == node)
            .map(|(link, end, _)| (link, end))
    }

    /// What is behind each link of a switch: they form a tree.
    fn explore(&self, switch: usize, hosts: usize) -> Vec<Option<(usize, usize)>> {
        let mut ways = vec![None; hosts];
        for way in self.ends_at(Node::Switch(switch)) {
            let mut open = vec![way];
            while let Some((link, end)) = open.pop() {
                match self.ends[link][1 - end] {
                    Node::Host(host) => ways[host] = Some(way),
                    far => open.extend(self.ends_at(far).filter(|(l, _)| *l != link)),
                }
            }
        }
        ways
    }

    /// By which links a switch passes on a frame that came by one.
    pub(super) fn onward(&self, switch: usize, from: usize, frame: &Frame) -> Vec<(usize, usize)> {
        match station(&frame.bytes[..6]) {
            Some(host) => self.ways[switch].get(host).copied().flatten().into_iter().collect(),
            None => self.ends_at(Node::Switch(switch)).filter(|(link, _)| *link != from).collect(),
        }
    }

    /// A frame sets out at one end of a link; says what becomes of it, and where the other end is.
    pub(super) fn carry(&mut self, link: usize, end: usize, frame: &mut Frame, now: Instant) -> (Fate, Node) {
        (self.pipes[link][end].carry(frame, now), self.ends[link][1 - end])
    }

    pub(super) fn node(&self, link: usize, end: usize) -> Node {
        self.ends[link][end]
    }

    pub(super) fn heal(&mut self) {
        self.pipes.iter_mut().flatten().for_each(Pipe::heal);
    }

    /// What crossed each link, from its first end to its second and back.
    pub(super) fn stats(&self) -> Vec<[super::link::PipeStats; 2]> {
        self.pipes.iter().map(|pair| [pair[0].stats, pair[1].stats]).collect()
    }
}
