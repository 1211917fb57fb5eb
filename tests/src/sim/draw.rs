//! From a seed to a world. Swarm testing: each kind of fault and of oddity is in only some of the
//! worlds, so that one does not hide what another would show.

use super::options::{
    Ending, FaultOptions, FlowOptions, Hole, HostOptions, LinkOptions, Node, Options, Script,
};
use super::random::Random;
use barenet::time::{Duration, Instant};
use barenet::{Congestion, Ecn, KeepAlive};

/// What this world has.
struct Swarm(u64);

/// The oddities, each a bit of the swarm.
#[derive(Clone, Copy)]
enum Odd {
    Loss,
    Burst,
    Duplicate,
    Corrupt,
    Reorder,
    Forge,
    Jitter,
    Hole,
    Mark,
    FullDevices,
    Offloads,
    Polls,
    LittleMemory,
    Buffers,
    Acks,
    Timeouts,
    Options,
    Congestion,
    Pauses,
    Idle,
    Endings,
    SlowLink,
    Queue,
    Mtu,
    NoSack,
    Ecn,
    Late,
    Twins,
    StuckDevices,
    FastOpen,
    HeldWindows,
    Jumps,
    TinyMemory,
}

impl Swarm {
    fn has(&self, odd: Odd) -> bool {
        self.0 >> odd as u32 & 1 == 1
    }
}

impl Options {
    /// What `seed` stands for.
    pub fn draw(seed: u64) -> Options {
        let r = &mut Random::new(seed);
        let swarm = &Swarm(r.next_u64());
        let faulty = Duration::from_millis(r.scaled(100, 40_000));
        // Soon after some of these, 31 or 32 bits of milliseconds or microseconds are used up.
        let start = r.pick(&[5_000, 4_290_000_000, 2_147_480_000_000, 4_294_960_000_000, 3 << 50]);
        let start = Instant::from_micros(start + r.below(1 << 20));
        let (count, links) = topology(r);
        let hosts = (0..count).map(|_| host(r, swarm)).collect();
        let links = links.into_iter().map(|link| dress(link, r, swarm, faulty));
        let mut options = Options { start, faulty, hosts, links: links.collect(), flows: vec![] };
        one_mtu(&mut options.links);
        options.bound_queues();
        // Rarely a connection is cut for ever, and then it is enough that everything ends.
        if r.chance(20_000) {
            let at = r.below(options.links.len() as u64) as usize;
            options.links[at].cut = Some(Duration::from_micros(r.below(faulty.micros())));
        }
        let flows = r.pick(&[1, 1, 2, 3, 6, 20]);
        // Most worlds are small, for the sake of their number.
        let most = r.pick(&[1 << 16, 1 << 18, 1 << 20, 1 << 23]) / flows;
        options.flows = (0..flows).map(|_| flow(r, swarm, &options, most)).collect();
        // From chance of their own, so that without them a seed means the same.
        let r = &mut Random::new(seed.wrapping_add(1 << 63));
        options.hosts.iter_mut().for_each(|host| vary_host(host, r, swarm, faulty));
        vary_paths(&mut options, r, swarm);
        options
    }
}

/// How many hosts, and what joins them.
fn topology(r: &mut Random) -> (usize, Vec<LinkOptions>) {
    use Node::{Host, Switch};
    let star = |hosts: std::ops::Range<usize>, switch| {
        hosts.map(move |h| LinkOptions::new(0, [Host(h), Switch(switch)]))
    };
    match r.below(10) {
        0..6 => (2, vec![LinkOptions::new(0, [Host(0), Host(1)])]),
        // A link between every two.
        6..8 => {
            let pairs = [[0, 1], [0, 2], [1, 2]].into_iter().enumerate();
            (3, pairs.map(|(net, [a, b])| LinkOptions::new(net, [Host(a), Host(b)])).collect())
        }
        8 => {
            let count = r.between(2, 6) as usize;
            (count, star(0..count, 0).collect())
        }
        // A dumbbell; its bar is the last link.
        _ => {
            let (left, right) = (r.between(1, 4) as usize, r.between(1, 4) as usize);
            let bar = LinkOptions::new(0, [Switch(0), Switch(1)]);
            (left + right, star(0..left, 0).chain(star(left..left + right, 1)).chain([bar]).collect())
        }
    }
}

/// A network has one MTU.
fn one_mtu(links: &mut [LinkOptions]) {
    for at in 1..links.len() {
        if let Some(first) = links[..at].iter().find(|l| l.net == links[at].net) {
            links[at].mtu = first.mtu;
        }
    }
}

fn host(r: &mut Random, swarm: &Swarm) -> HostOptions {
    let has = |odd| swarm.has(odd);
    let mut host = HostOptions { memory: 1 << 20, ..HostOptions::default() };
    let tcp = &mut host.tcp;
    tcp.time_wait = Duration::from_secs(r.pick(&[1, 60, 60, 60]));
    if has(Odd::Buffers) {
        tcp.send_buffer = r.scaled(2_000, 600_000) as u32;
        tcp.receive_buffer = r.scaled(2_000, 1_500_000) as u32;
    }
    if has(Odd::Acks) {
        tcp.ack_delay = Duration::from_millis(r.pick(&[0, 10, 40, 200, 900]));
        tcp.quick_acks = r.pick(&[0, 8, 100]);
    }
    if has(Odd::Timeouts) {
        tcp.rto_min = Duration::from_millis(r.pick(&[50, 200, 1000]));
        // All in all longer than any fault lasts, and shorter than what is waited for the end.
        let (idle, interval) = (Duration::from_secs(60), Duration::from_secs(20));
        tcp.options.keep_alive = Some(KeepAlive { idle, interval, probes: 9 });
    }
    if has(Odd::Options) {
        tcp.timestamps = r.chance(500_000);
    }
    if has(Odd::Congestion) {
        tcp.pacing = r.chance(300_000);
        tcp.congestion = r.pick(&[Congestion::Cubic, Congestion::NewReno, Congestion::Bbr, Congestion::None]);
    }
    if has(Odd::LittleMemory) {
        host.memory = r.pick(&[64 << 10, 256 << 10, 1 << 20, 4 << 20]);
        host.block_len = r.pick(&[252, 508, 1500, 2044]);
    }
    if has(Odd::Offloads) {
        host.tso = r.chance(500_000);
        host.tx_checksum = host.tso || r.chance(300_000);
        host.merged = r.chance(500_000);
    }
    if has(Odd::FullDevices) && r.chance(500_000) {
        host.full_ppm = r.scaled(1_000, 300_000) as u32;
    }
    if has(Odd::Polls) {
        host.poll_us = r.pick(&[1, 50, 1_000, 10_000]);
    }
    host
}

fn vary_host(host: &mut HostOptions, r: &mut Random, swarm: &Swarm, faulty: Duration) {
    let has = |odd| swarm.has(odd);
    let tcp = &mut host.tcp;
    if has(Odd::NoSack) {
        tcp.sack = r.chance(500_000);
    }
    if has(Odd::Ecn) {
        tcp.ecn = r.pick(&[Ecn::Off, Ecn::WhenAsked, Ecn::On]);
    }
    if has(Odd::StuckDevices) && r.chance(500_000) {
        (host.full_ppm, host.full_us) = (r.scaled(100, 3_000) as u32, r.scaled(100_000, 20_000_000));
    }
    if has(Odd::FastOpen) {
        tcp.options.fast_open = r.chance(700_000);
        tcp.options.fast_open_backlog = r.pick(&[0, 1, 8]);
    }
    if has(Odd::TinyMemory) && r.chance(500_000) {
        host.memory = host.block_len * r.pick(&[4, 8, 16, 48]);
    }
    if has(Odd::Jumps) && r.chance(500_000) {
        let far = Duration::from_millis(r.scaled(100, 3_600_000));
        host.jump = Some((Duration::from_micros(r.below(faulty.micros())), far));
    }
    if has(Odd::Late) && r.chance(500_000) {
        host.late_ppm = r.scaled(100, 20_000) as u32;
    }
}

/// What concerns two hosts.
fn vary_paths(options: &mut Options, r: &mut Random, swarm: &Swarm) {
    // Between every two hosts there is a link: each has two, with the same address at the other end, or with its
    // own of the other link.
    let is_triangle = options.links.len() == 3 && options.hosts.len() == 3;
    let joins_hosts = |l: &LinkOptions| l.ends.iter().all(|end| end.host().is_some());
    if swarm.has(Odd::Twins) && is_triangle && options.links.iter().all(joins_hosts) {
        options.flows.iter_mut().for_each(|f| f.link_local = f.v6 && r.chance(700_000));
        let namesakes = r.chance(500_000);
        options.links.iter_mut().for_each(|l| (l.twins, l.namesakes) = (!namesakes, namesakes));
    }
    for script in options.flows.iter_mut().flat_map(|f| &mut f.scripts) {
        if swarm.has(Odd::HeldWindows) && r.chance(300_000) {
            script.read_wait = Duration::from_millis(r.scaled(10_000, 400_000));
        }
    }
}

/// Gives a link its properties.
fn dress(mut link: LinkOptions, r: &mut Random, swarm: &Swarm, faulty: Duration) -> LinkOptions {
    link.bytes_per_s = r.scaled(if swarm.has(Odd::SlowLink) { 20_000 } else { 2_000_000 }, 1_000_000_000);
    link.delay_us = r.scaled(1, 300_000);
    if swarm.has(Odd::Queue) {
        // From two frames to several times what is in flight.
        let flight = link.bytes_per_s.saturating_mul(link.delay_us) / 1_000_000;
        link.queue = r.scaled(20_000, 40_000 + 8 * flight);
    }
    if swarm.has(Odd::Mark) {
        link.mark = Some(link.queue / r.between(2, 8));
    }
    if swarm.has(Odd::Mtu) {
        link.mtu = r.pick(&[1500, 1280, 9000, 600]);
    }
    if swarm.has(Odd::Hole) && r.chance(500_000) {
        let from = Duration::from_micros(r.below(faulty.micros()));
        let until = from + Duration::from_micros(r.scaled(1_000, faulty.micros()));
        // IPv6 needs 1280 everywhere; IPv4 gets along with less.
        let above = r.pick(&[0, link.mtu.saturating_sub(200).max(576), 1280]);
        link.hole = Some(Hole { from, until: until.min(faulty), above, tells: r.chance(500_000) });
    }
    link.faults = [faults(r, swarm), faults(r, swarm)];
    link
}

fn faults(r: &mut Random, swarm: &Swarm) -> FaultOptions {
    let mut rate = |odd, most| match swarm.has(odd) && r.chance(600_000) {
        true => r.scaled(500, most) as u32,
        false => 0,
    };
    FaultOptions {
        loss: rate(Odd::Loss, 200_000),
        burst: rate(Odd::Burst, 20_000),
        duplicate: rate(Odd::Duplicate, 100_000),
        corrupt: rate(Odd::Corrupt, 50_000),
        reorder: rate(Odd::Reorder, 200_000),
        forge: rate(Odd::Forge, 200_000),
        burst_end: r.pick(&[500_000, 125_000, 30_000]),
        reorder_us: r.scaled(10, 200_000),
        text: [0, 0],
        jitter_us: if swarm.has(Odd::Jitter) { r.pick(&[10, 1_000, 20_000]) } else { 0 },
    }
}

fn flow(r: &mut Random, swarm: &Swarm, options: &Options, most: u64) -> FlowOptions {
    let link = &options.links[r.below(options.links.len() as u64) as usize];
    let net = options.links.iter().filter(|l| l.net == link.net);
    let hosts: Vec<usize> = net.flat_map(|l| l.ends).filter_map(Node::host).collect();
    let client = r.below(hosts.len() as u64) as usize;
    let server = (client + 1 + r.below(hosts.len() as u64 - 1) as usize) % hosts.len();
    // What the link carries in a few seconds.
    let most = (link.bytes_per_s * 4).min(most);
    let mut scripts = [script(r, swarm, most), script(r, swarm, most)];
    if scripts.iter().all(|s| s.ending == Ending::AfterPeer) {
        scripts[0].ending = Ending::Orderly;
    }
    FlowOptions {
        hosts: [hosts[client], hosts[server]],
        net: link.net,
        v6: link.mtu >= 1280 && r.chance(400_000),
        link_local: false,
        begins: Duration::from_micros(r.below(options.faulty.micros().min(5_000_000))),
        backlog: r.pick(&[0, 1, 8]),
        refused: r.chance(50_000),
        absent: false,
        scripts,
    }
}

fn script(r: &mut Random, swarm: &Swarm, most: u64) -> Script {
    let mut script = Script::new(if r.chance(200_000) { 0 } else { r.scaled(1, most) });
    let send = script.send;
    if swarm.has(Odd::Endings) {
        let early = |r: &mut Random| r.below(send + 1);
        script.ending = match r.below(12) {
            0 => Ending::LetGo,
            1 => Ending::Early(early(r)),
            2 => Ending::Abort(early(r)),
            3..7 => Ending::AfterPeer,
            _ => Ending::Orderly,
        };
    }
    // A call for each byte would take a while.
    let small = r.chance(300_000);
    script.write_len = if small { r.scaled(1, 1_000) } else { r.scaled(100, 65_536) }.max(send / 2_000);
    script.read_len = r.scaled(1, 65_536).max(most / 2_000);
    script.nodelay = r.chance(300_000);
    if swarm.has(Odd::Pauses) {
        // They add up to ten seconds or so.
        let mut pause = |len: u64, of: u64| {
            let most = 10_000_000 * len / of.max(len);
            Duration::from_micros(if r.chance(500_000) { r.below(most.min(1_000_000) + 1) } else { 0 })
        };
        script.write_pause = pause(script.write_len, send);
        script.read_pause = pause(script.read_len, most);
    }
    if swarm.has(Odd::Idle) {
        let mut wait = || Duration::from_millis(if r.chance(300_000) { r.scaled(100, 300_000) } else { 0 });
        (script.idle, script.read_wait) = (wait(), wait());
    }
    script
}
