//! What a world is made of. `draw` makes one of these from a seed, a benchmark writes it down.

use barenet::time::{Duration, Instant};
use barenet::{Congestion, TcpConfig};

/// A world.
#[derive(Clone, Debug)]
pub struct Options {
    /// When the clock starts.
    pub start: Instant,
    /// How long the faults last.
    pub faulty: Duration,
    /// The machines.
    pub hosts: Vec<HostOptions>,
    /// What joins them. The links of one network form a tree.
    pub links: Vec<LinkOptions>,
    /// Connections, one listening port for each.
    pub flows: Vec<FlowOptions>,
}

/// Where a link ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    /// A machine, by its place in [`Options::hosts`].
    Host(usize),
    /// A switch; it belongs to one network, and sends each frame where its destination is.
    Switch(usize),
}

/// A machine.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Bytes of the stack's pool.
    pub memory: usize,
    /// Bytes of one block of it.
    pub block_len: usize,
    /// The engine's settings.
    pub tcp: TcpConfig,
    /// Its devices complete checksums.
    pub tx_checksum: bool,
    /// Its devices cut segments.
    pub tso: bool,
    /// Its devices take frames that are merged, if they come from another machine directly.
    pub merged: bool,
    /// How often a device is full, in frames of a million.
    pub full_ppm: u32,
    /// And for how many microseconds at most.
    pub full_us: u64,
    /// How often the host turns late, in turns of a million, by two seconds at most; while the links are faulty.
    pub late_ppm: u32,
    /// Its clock jumps ahead: when, counted from the start, and how far.
    pub jump: Option<(Duration, Duration)>,
    /// Frames wait until the next multiple of this many microseconds, and come together.
    pub poll_us: u64,
}

impl Default for HostOptions {
    fn default() -> Self {
        HostOptions {
            memory: 4 << 20,
            block_len: 2044,
            tcp: TcpConfig::default(),
            tx_checksum: false,
            tso: false,
            merged: false,
            full_ppm: 0,
            full_us: 20_000,
            late_ppm: 0,
            jump: None,
            poll_us: 1,
        }
    }
}

/// A link; the same both ways, but for the faults.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Its two ends.
    pub ends: [Node; 2],
    /// The network that it is part of: the third byte of its IPv4 addresses.
    pub net: usize,
    /// Bytes of the largest IP packet, the same in the whole network.
    pub mtu: u16,
    /// Bandwidth.
    pub bytes_per_s: u64,
    /// Time from one end to the other, in microseconds.
    pub delay_us: u64,
    /// Frames that wait for the link are dropped beyond so many bytes.
    pub queue: u64,
    /// Frames behind so many bytes in the queue are marked (RFC 3168), or dropped if they can't be.
    pub mark: Option<u64>,
    /// For some time it swallows frames.
    pub hole: Option<Hole>,
    /// From this time on, counted from the start, nothing crosses it any more.
    pub cut: Option<Duration>,
    /// Whatever host is at the other end meets stations of the same hardware address, and so of the same link-local
    /// address, on all of its links.
    pub twins: bool,
    /// Or meets on each of its links the hardware address that it has itself on the other one.
    pub namesakes: bool,
    /// What else happens, from the first end to the second and back.
    pub faults: [FaultOptions; 2],
}

impl LinkOptions {
    /// A link of 1 Gbit/s and 1 ms without faults, with room for whatever waits.
    pub fn new(net: usize, ends: [Node; 2]) -> Self {
        LinkOptions {
            ends,
            net,
            mtu: 1500,
            bytes_per_s: 125_000_000,
            delay_us: 1_000,
            queue: 1 << 24,
            mark: None,
            hole: None,
            cut: None,
            twins: false,
            namesakes: false,
            faults: [FaultOptions::default(); 2],
        }
    }
}

/// A link that swallows frames for a time, both ways.
#[derive(Clone, Copy, Debug)]
pub struct Hole {
    /// From when, counted from the start.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
    /// IP packets above so many bytes; 0: all.
    pub above: u16,
    /// The sender is told what would fit (ICMP "fragmentation needed", "packet too big").
    pub tells: bool,
}

/// What may happen to a frame, in frames of a million.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultOptions {
    /// Lost, each by itself.
    pub loss: u32,
    /// A run of losses begins (Gilbert's model),
    pub burst: u32,
    /// and ends, with each frame.
    pub burst_end: u32,
    /// Arrives twice.
    pub duplicate: u32,
    /// A bit is inverted.
    pub corrupt: u32,
    /// Is overtaken by others.
    pub reorder: u32,
    /// Somebody who knows addresses and ports, but no numbers, adds a segment of his own.
    pub forge: u32,
    /// A frame that is reordered comes so many microseconds later at most.
    pub reorder_us: u64,
    /// Every frame comes so many microseconds later at most, in order.
    pub jitter_us: u64,
    /// Of the frames that carry text these are lost, counted from 0: from the first number to before
    /// the second.
    pub text: [u64; 2],
}

/// A connection and the two applications at its ends.
#[derive(Clone, Debug)]
pub struct FlowOptions {
    /// The client's host and the server's.
    pub hosts: [usize; 2],
    /// The network by whose address the client names the server.
    pub net: usize,
    /// Over IPv6.
    pub v6: bool,
    /// By the link-local address of the server, which stations on other links have as well. Only where the network is
    /// one link.
    pub link_local: bool,
    /// When the client connects.
    pub begins: Duration,
    /// The listener's.
    pub backlog: u16,
    /// Nobody listens.
    pub refused: bool,
    /// Left out.
    pub absent: bool,
    /// The client's and the server's.
    pub scripts: [Script; 2],
}

impl FlowOptions {
    /// The client sends so many bytes at once and closes, the server reads them and closes then.
    pub fn bulk(net: usize, hosts: [usize; 2], bytes: u64) -> Self {
        let scripts = [Script::new(bytes), Script { ending: Ending::AfterPeer, ..Script::new(0) }];
        FlowOptions {
            hosts,
            net,
            v6: false,
            link_local: false,
            begins: Duration::ZERO,
            backlog: 1,
            refused: false,
            absent: false,
            scripts,
        }
    }
}

/// What an application does.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// How many bytes it sends.
    pub send: u64,
    /// In how large writes, at most [`WRITE_MAX`](super::WRITE_MAX),
    pub write_len: u64,
    /// and how long it waits between two.
    pub write_pause: Duration,
    /// How long it does nothing when half of it is written.
    pub idle: Duration,
    /// Without Nagle's rule.
    pub nodelay: bool,
    /// How much it reads at once,
    pub read_len: u64,
    /// how long it waits between two,
    pub read_pause: Duration,
    /// and before the first.
    pub read_wait: Duration,
    /// How it parts.
    pub ending: Ending,
}

impl Script {
    /// Sends so many bytes as fast as it can and reads likewise.
    pub fn new(send: u64) -> Self {
        Script {
            send,
            write_len: 65_536,
            write_pause: Duration::ZERO,
            idle: Duration::ZERO,
            nodelay: false,
            read_len: 65_536,
            read_pause: Duration::ZERO,
            read_wait: Duration::ZERO,
            ending: Ending::Orderly,
        }
    }

    /// Does it stay to the end of both streams?
    pub(super) fn is_patient(&self) -> bool {
        matches!(self.ending, Ending::Orderly | Ending::AfterPeer)
    }

    /// Does it stay until the other has what it wants? One that lets go does no harm to one that
    /// sends nothing.
    pub(super) fn keeps_promise(&self, other: &Script) -> bool {
        self.is_patient()
            || (self.ending == Ending::LetGo
                && other.send == 0
                && other.ending == Ending::Orderly
                && other.read_wait == Duration::ZERO)
    }
}

/// How an application parts with its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Closes its side after the last byte, reads to the end of the other, and lets go.
    Orderly,
    /// Reads to the peer's end first, and closes its side then.
    AfterPeer,
    /// Lets go when it has written everything, whatever comes.
    LetGo,
    /// Lets go after so many bytes in both directions.
    Early(u64),
    /// Resets after so many bytes in both directions.
    Abort(u64),
}

/// Two seconds of this are what all windows together may hold.
const CARELESS_BYTES_PER_S: u64 = 8 << 20;

impl Options {
    /// The links of a network.
    fn links_of(&self, net: usize) -> impl Iterator<Item = &LinkOptions> {
        self.links.iter().filter(move |l| l.net == net)
    }

    /// Is a network cut for ever?
    pub(super) fn is_cut(&self, net: usize) -> bool {
        self.links_of(net).any(|l| l.cut.is_some())
    }

    /// A queue holds what its link carries in two seconds at most, as longer ones are of no use to anybody, and a few
    /// frames at least. No congestion control is for links that don't drop what is too much: such a link is fast, so
    /// that its two seconds hold everything.
    pub(super) fn bound_queues(&mut self) {
        let careless = |h: &HostOptions| h.tcp.congestion == Congestion::None;
        let mut nets: Vec<usize> = vec![];
        for link in &self.links {
            if link.ends.iter().any(|end| matches!(end, Node::Host(h) if careless(&self.hosts[*h]))) {
                nets.push(link.net);
            }
        }
        for link in &mut self.links {
            if nets.contains(&link.net) {
                link.bytes_per_s = link.bytes_per_s.max(CARELESS_BYTES_PER_S);
                (link.queue, link.mark) = (u64::MAX, None);
            }
            link.queue = link.queue.min(2 * link.bytes_per_s).max(4 * u64::from(link.mtu));
        }
    }

    /// How long after the faults everything must be over at the latest. Generous: what is stuck is
    /// stuck for ever, and virtual time costs nothing.
    pub(super) fn patience(&self) -> Duration {
        let transfers: u64 = self.flows.iter().map(|f| self.transfer_s(f)).sum();
        // A SYN or data backed off to the longest timeout, FIN-WAIT-2 and TIME-WAIT.
        Duration::from_secs(600 + transfers)
    }

    /// How long nothing may happen on healthy links: a delayed acknowledgment, and a few timeouts where
    /// a queue may overflow.
    pub(super) fn stall_max(&self) -> Duration {
        let most_us = |of: fn(&LinkOptions) -> u64| self.links.iter().map(of).sum::<u64>();
        let round_us = most_us(|l| 2 * l.delay_us + l.queue.min(1 << 18) * 1_000_000 / l.bytes_per_s);
        Duration::from_secs(2) + Duration::from_micros(8 * round_us) + self.syn_wait()
    }

    /// A stack without memory for another connection answers no SYN, and who sends it waits twice as long
    /// each time.
    fn syn_wait(&self) -> Duration {
        let has_few_blocks = |host: &HostOptions| host.memory < 4 * self.flows.len() * host.block_len;
        Duration::from_secs(if self.hosts.iter().any(has_few_blocks) { 64 } else { 0 })
    }

    fn transfer_s(&self, flow: &FlowOptions) -> u64 {
        let bytes_per_s = self.links_of(flow.net).map(|l| l.bytes_per_s).min().unwrap_or(1);
        let delay_us: u64 = self.links_of(flow.net).map(|l| l.delay_us).sum();
        let window = |from: usize, to: usize| {
            let memory = self.hosts[from].memory.min(self.hosts[to].memory) as u64 / 16;
            let (send, receive) = (self.hosts[from].tcp.send_buffer, self.hosts[to].tcp.receive_buffer);
            memory.min(send.into()).min(receive.into()).clamp(500, 10_000)
        };
        let [a, b] = flow.hosts;
        // Each window waits for its acknowledgment, which may be delayed.
        let round_ms = 2 * delay_us / 1000 + 600;
        let of = |script: &Script, window: u64| {
            let pauses = (script.idle + script.read_wait).millis() / 1000;
            script.send / bytes_per_s + script.send / window * round_ms / 1000 + pauses + 30
        };
        let all = of(&flow.scripts[0], window(a, b)) + of(&flow.scripts[1], window(b, a));
        2 * all
    }
}
