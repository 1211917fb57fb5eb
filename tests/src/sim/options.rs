//! What a seed stands for.

use super::random::Random;
use barenet::time::{Duration, Instant};
use barenet::{Congestion, TcpConfig};

/// A world, drawn from a seed.
#[derive(Clone, Debug)]
pub struct Options {
    /// When the clock starts.
    pub start: Instant,
    /// How long the faults last.
    pub faulty: Duration,
    /// One for each host.
    pub hosts: Vec<HostOptions>,
    /// Every two hosts have a link: (0, 1), (0, 2), (1, 2).
    pub links: Vec<LinkOptions>,
    /// Connections, one listening port for each.
    pub flows: Vec<FlowOptions>,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Bytes of the stack's pool, and of one block of it.
    pub memory: usize,
    pub block_len: usize,
    pub tcp: TcpConfig,
    /// What its devices do: complete checksums, cut segments, take frames that are merged.
    pub tx_checksum: bool,
    pub tso: bool,
    pub merged: bool,
    /// How often a device is full, in frames of a million.
    pub full_ppm: u32,
    /// Frames wait until the next multiple of this many microseconds, and come together.
    pub poll_us: u64,
}

/// A link between two hosts; the same both ways, but for the faults.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    pub ends: [usize; 2],
    pub mtu: u16,
    pub bytes_per_s: u64,
    pub delay_us: u64,
    /// Frames that wait for the link are dropped beyond so many bytes.
    pub queue: u64,
    pub faults: [FaultOptions; 2],
}

/// What may happen to a frame, in frames of a million.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultOptions {
    pub loss: u32,
    /// A run of losses begins; it ends with each frame one time in eight.
    pub burst: u32,
    pub duplicate: u32,
    pub corrupt: u32,
    pub reorder: u32,
    /// Somebody who knows addresses and ports, but no numbers, adds a segment of his own.
    pub forge: u32,
    /// A frame that is reordered comes so many microseconds later at most.
    pub reorder_us: u64,
    pub jitter_us: u64,
}

/// A connection and the two applications at its ends.
#[derive(Clone, Debug)]
pub struct FlowOptions {
    /// The client's host, the server's, and the link by which the client names the server.
    pub hosts: [usize; 2],
    pub link: usize,
    pub v6: bool,
    /// When the client connects.
    pub begins: Duration,
    pub backlog: u16,
    /// Nobody listens.
    pub refused: bool,
    pub scripts: [Script; 2],
}

/// What an application does.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// What it sends, in how large writes, and how long it waits between two.
    pub send: u64,
    pub write_len: u64,
    pub write_pause: Duration,
    pub nodelay: bool,
    /// How much it reads at once, and how long it waits between two.
    pub read_len: u64,
    pub read_pause: Duration,
    pub ending: Ending,
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

impl Options {
    /// What `seed` stands for.
    pub fn draw(seed: u64) -> Options {
        let r = &mut Random::new(seed);
        let count = r.pick(&[2, 2, 2, 3]);
        let faulty = Duration::from_millis(r.scaled(100, 40_000));
        // Soon after some of these, 31 or 32 bits of milliseconds or microseconds are used up.
        let start = r.pick(&[5_000, 4_290_000_000, 2_147_480_000_000, 4_294_960_000_000, 3 << 50]);
        let start = Instant::from_micros(start + r.below(1 << 20));
        let hosts: Vec<_> = (0..count).map(|_| HostOptions::draw(r)).collect();
        let pairs = (0..count).flat_map(|b| (0..b).map(move |a| [a, b]));
        let mut links: Vec<_> = pairs.map(|ends| LinkOptions::draw(r, ends)).collect();
        for link in &mut links {
            // No congestion control is for links that don't drop what is too much.
            if link.ends.iter().any(|end| hosts[*end].tcp.congestion == Congestion::None) {
                link.queue = 1 << 24;
            }
        }
        let flows = r.pick(&[1, 1, 2, 3, 6, 15]);
        let flows = (0..flows).map(|_| FlowOptions::draw(r, &links, faulty)).collect();
        Options { start, faulty, hosts, links, flows }
    }
}

impl HostOptions {
    fn draw(r: &mut Random) -> HostOptions {
        let mut tcp = TcpConfig::default();
        tcp.send_buffer = r.scaled(2_000, 600_000) as u32;
        tcp.receive_buffer = r.scaled(2_000, 1_500_000) as u32;
        tcp.ack_delay = Duration::from_millis(r.pick(&[0, 10, 40, 40, 200, 900]));
        tcp.quick_acks = r.pick(&[0, 8, 8, 100]);
        tcp.rto_min = Duration::from_millis(r.pick(&[50, 200, 200, 1000]));
        tcp.timestamps = r.chance(700_000);
        tcp.congestion = r.pick(&[Congestion::Cubic, Congestion::NewReno, Congestion::None]);
        tcp.time_wait = Duration::from_secs(r.pick(&[1, 60]));
        let tso = r.chance(300_000);
        HostOptions {
            memory: r.pick(&[64 << 10, 256 << 10, 1 << 20, 4 << 20]),
            block_len: r.pick(&[252, 508, 1500, 2044]),
            tcp,
            tx_checksum: tso || r.chance(300_000),
            tso,
            merged: r.chance(500_000),
            full_ppm: if r.chance(250_000) { r.scaled(1_000, 300_000) as u32 } else { 0 },
            poll_us: r.pick(&[1, 1, 1, 50, 1_000, 10_000]),
        }
    }
}

impl LinkOptions {
    fn draw(r: &mut Random, ends: [usize; 2]) -> LinkOptions {
        let bytes_per_s = r.scaled(20_000, 1_000_000_000);
        let delay_us = r.scaled(1, 300_000);
        // From two frames to several times what is in flight.
        let flight = bytes_per_s.saturating_mul(delay_us) / 1_000_000;
        LinkOptions {
            ends,
            mtu: r.pick(&[1500, 1500, 1500, 1280, 9000, 600]),
            bytes_per_s,
            delay_us,
            queue: r.scaled(20_000, 40_000 + 8 * flight),
            faults: [FaultOptions::draw(r), FaultOptions::draw(r)],
        }
    }
}

impl FaultOptions {
    fn draw(r: &mut Random) -> FaultOptions {
        let mut rate = |most| if r.chance(400_000) { r.scaled(500, most) as u32 } else { 0 };
        FaultOptions {
            loss: rate(200_000),
            burst: rate(20_000),
            duplicate: rate(100_000),
            corrupt: rate(50_000),
            reorder: rate(200_000),
            forge: rate(200_000),
            reorder_us: r.scaled(10, 200_000),
            jitter_us: r.pick(&[0, 0, 10, 1_000]),
        }
    }
}

impl FlowOptions {
    fn draw(r: &mut Random, links: &[LinkOptions], faulty: Duration) -> FlowOptions {
        let link = r.below(links.len() as u64) as usize;
        let mut hosts = links[link].ends;
        if r.chance(500_000) {
            hosts.reverse();
        }
        // What the link carries in a few seconds.
        let most = (links[link].bytes_per_s * 4).min(1 << 20);
        let mut scripts = [Script::draw(r, most), Script::draw(r, most)];
        if scripts.iter().all(|s| s.ending == Ending::AfterPeer) {
            scripts[0].ending = Ending::Orderly;
        }
        FlowOptions {
            hosts,
            link,
            v6: links[link].mtu >= 1280 && r.chance(400_000),
            begins: Duration::from_micros(r.below(faulty.micros().min(5_000_000))),
            backlog: r.pick(&[0, 1, 8]),
            refused: r.chance(50_000),
            scripts,
        }
    }
}

impl Script {
    fn draw(r: &mut Random, most: u64) -> Script {
        let send = if r.chance(200_000) { 0 } else { r.scaled(1, most) };
        let early = |r: &mut Random| r.below(send + 1);
        let ending = match r.below(20) {
            0 => Ending::LetGo,
            1 => Ending::Early(early(r)),
            2 => Ending::Abort(early(r)),
            3..8 => Ending::AfterPeer,
            _ => Ending::Orderly,
        };
        // Pauses add up to ten seconds or so.
        let write_len = if r.chance(300_000) { r.scaled(1, 1_000) } else { r.scaled(100, 100_000) };
        let write_len = write_len.max(send / 5_000);
        let read_len = r.scaled(1, 65_536).max(most / 5_000);
        let mut pause = |len: u64, of: u64| {
            let most = 10_000_000 * len / of.max(len);
            Duration::from_micros(if r.chance(300_000) { r.below(most.min(1_000_000) + 1) } else { 0 })
        };
        Script {
            send,
            write_len,
            write_pause: pause(write_len, send),
            read_pause: pause(read_len, most),
            nodelay: r.chance(300_000),
            read_len,
            ending,
        }
    }
}
