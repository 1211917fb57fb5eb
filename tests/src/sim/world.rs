//! Everything there is, and its clock.

use super::app::{App, Outcome, State};
use super::checker::Checker;
use super::device::Frame;
use super::host::{Host, address};
use super::link::Fate;
use super::network::Network;
use super::options::{Node, Options};
use super::random::Random;
use super::record::{Record, describe};
use super::trace::{Lost, Trace};
use barenet::Error;
use barenet::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Frames that set out.
    pub frames: u64,
    /// Frames that did not arrive.
    pub lost: u64,
    /// Bytes that applications read.
    pub bytes: u64,
    /// Steps of the clock.
    pub steps: u64,
    /// Virtual time.
    pub took: Duration,
    /// From the healing of the links to the end of the last application.
    pub recovered: Duration,
    /// The longest time in which nothing crossed any link, later than `SETTLED` after the healing,
    /// while applications were at work.
    pub stalled: Duration,
}

/// A frame that will arrive, by a link.
struct Arrival {
    node: Node,
    link: usize,
    frame: Frame,
}

pub(super) struct World {
    pub(super) options: Options,
    seed: u64,
    pub(super) hosts: Vec<Host>,
    network: Network,
    /// In the order of their time, and of their number among those of one time.
    arrivals: BTreeMap<(Instant, u64), Arrival>,
    numbered: u64,
    pub(super) now: Instant,
    healed: bool,
    /// Steps since the clock moved.
    spins: u32,
    random: Random,
    record: Option<Record>,
    pub(super) trace: Option<Trace>,
    checker: Checker,
    pub(super) summary: Summary,
    /// How many frames had set out when the last quiet time began.
    quiet: (u64, Instant),
}

/// More steps than this without any time passing is a stack that spins.
const SPIN_MAX: u32 = 20_000;
/// Of the first flow's server; the others follow.
const PORT: u16 = 1000;
/// By then every timer that was backed off during the faults has fired.
const SETTLED: Duration = Duration::from_secs(70);
impl World {
    /// A world with all its connections before their beginning.
    pub(super) fn new(
        options: Options,
        seed: u64,
        record: Option<Record>,
        trace: Option<Duration>,
    ) -> Result<World, String> {
        let mut random = Random::new(!seed);
        let r = &mut random;
        let start = options.start;
        let hosts = options.hosts.iter().enumerate().map(|(n, h)| Host::new(n, h, start, r)).collect();
        let network = Network::new(&options, r);
        let trace = trace.map(|every| Trace::new(every, start, options.flows.len()));
        let mut world = World {
            seed,
            hosts,
            network,
            arrivals: BTreeMap::new(),
            numbered: 0,
            now: start,
            healed: false,
            spins: 0,
            random,
            record,
            trace,
            checker: Checker::default(),
            summary: Summary::default(),
            quiet: (0, start),
            options,
        };
        if let Some(record) = &mut world.record {
            record.line(start, format_args!("{:#?}", world.options));
        }
        world.join().map_err(|e| format!("setting up: {e}"))?;
        for flow in 0..world.options.flows.len() {
            if world.options.flows[flow].absent {
                continue;
            }
            world.begin(flow).map_err(|e| format!("flow {flow}: {e}"))?;
        }
        Ok(world)
    }

    /// From the start to the end of everything.
    pub(super) fn run(&mut self) -> Result<Summary, String> {
        let patience = self.options.patience();
        let heal_at = self.options.start + self.options.faulty;
        self.turn()?;
        while !self.is_over() {
            if self.now.since(heal_at) > patience {
                let s = patience.millis() / 1000;
                return Err(format!("not over {s} s after the links healed: {}", self.standing()));
            }
            let pausing = self.is_pausing();
            self.step()?;
            self.watch_for_stalls(heal_at, pausing);
        }
        self.judge()?;
        let cut = self.options.links.iter().any(|l| l.cut.is_some());
        if self.summary.stalled > self.options.stall_max() && !cut {
            let ms = self.summary.stalled.millis();
            return Err(format!("nothing happened for {ms} ms on healthy links"));
        }
        self.summary.took = self.now.since(self.options.start);
        Ok(self.summary)
    }

    /// Runs for so long, or to the end of everything, and gives what was seen.
    pub(super) fn watch(mut self, span: Duration) -> Result<Trace, String> {
        self.turn()?;
        while !self.apps_are_done() && self.now < self.options.start + span {
            self.step()?;
        }
        Ok(self.seen())
    }

    /// What was seen so far.
    pub(super) fn seen(&mut self) -> Trace {
        self.trace.iter_mut().for_each(Trace::look_now);
        self.look();
        let mut trace = self.trace.take().unwrap_or_default();
        trace.pipes = self.network.stats();
        trace
    }

    /// On to the next event.
    fn step(&mut self) -> Result<(), String> {
        let Some(next) = self.next().or_else(|| self.give_up_abandoned()) else {
            return Err(format!("nothing is due any more: {}", self.standing()));
        };
        self.spins = if self.now < next { 0 } else { self.spins + 1 };
        if self.spins > SPIN_MAX {
            return Err(format!("the stack spins: {}", self.standing()));
        }
        self.now = self.now.max(next);
        if !self.healed && self.now >= self.options.start + self.options.faulty {
            self.healed = true;
            self.network.heal();
            self.hosts.iter_mut().for_each(Host::heal);
            self.tell(format_args!("the links heal"));
        }
        self.deliver();
        self.turn()?;
        self.look();
        Ok(())
    }

    fn watch_for_stalls(&mut self, heal_at: Instant, pausing: bool) {
        if !self.apps().any(|a| self.is_at_work(a)) {
            return;
        }
        self.summary.recovered = self.now.since(heal_at);
        if self.summary.frames > self.quiet.0 || pausing {
            self.quiet = (self.summary.frames, self.now);
        } else if self.quiet.1 > heal_at + SETTLED {
            self.summary.stalled = self.summary.stalled.max(self.now.since(self.quiet.1));
        }
    }

    fn join(&mut self) -> Result<(), Error> {
        for (number, link) in self.options.links.iter().enumerate() {
            for end in [0, 1] {
                if let Some(record) = &mut self.record {
                    record.interface(format!("link{number}-{:?}", link.ends[end]));
                }
                let Node::Host(host) = link.ends[end] else { continue };
                let passes_whole = link.ends[1 - end].host().is_some_and(|h| self.options.hosts[h].merged);
                let r = &mut self.random;
                self.hosts[host].join((number, end), link, passes_whole, r, self.now)?;
            }
        }
        Ok(())
    }

    /// Sets up the applications of a flow. What it needs of chance does not depend on other flows.
    fn begin(&mut self, number: usize) -> Result<(), Error> {
        let flow = &self.options.flows[number];
        let [client, server] = flow.hosts;
        let mut r = Random::new(self.seed.rotate_left(32) ^ number as u64);
        let salts = [r.next_u64(), r.next_u64()];
        let begins = self.options.start + flow.begins;
        let port = PORT + number as u16;
        if !flow.refused {
            let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            let (listener, _) = self.hosts[server].stack.tcp_listen(any, flow.backlog)?;
            let state = State::Listening(listener);
            let salts = [salts[1], salts[0]];
            let app = App::new((number, 1), server, flow.scripts[1], state, salts, begins);
            self.hosts[server].apps.push(app);
        }
        let remote = match flow.link_local.then(|| self.link_local(flow.net, [client, server])).flatten() {
            Some((address, zone)) => SocketAddrV6::new(address, port, 0, zone).into(),
            None => SocketAddr::from((address(flow.net, server, flow.v6), port)),
        };
        let state = State::Idle(remote);
        let app = App::new((number, 0), client, flow.scripts[0], state, salts, begins);
        self.hosts[client].apps.push(app);
        Ok(())
    }

    /// The server's link-local address on a network that is one link, and the client's zone there.
    fn link_local(&self, net: usize, [client, server]: [usize; 2]) -> Option<(Ipv6Addr, u32)> {
        let link = self.options.links.iter().position(|l| l.net == net)?;
        let port = |host: usize| self.hosts[host].ports.iter().find(|p| p.link == link);
        let (near, far) = (port(client)?, port(server)?);
        Some((barenet::ip::link_local_from(far.device.capabilities.mac), near.id.zone()))
    }

    fn next(&self) -> Option<Instant> {
        let arrival = self.arrivals.keys().next().map(|(at, _)| *at);
        let heal_at = Some(self.options.start + self.options.faulty).filter(|_| !self.healed);
        let hosts = self.hosts.iter().filter_map(|h| h.due);
        hosts.chain(arrival).chain(heal_at).min()
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.arrivals.first_entry()
            && entry.key().0 <= self.now
        {
            let Arrival { node, link, frame } = entry.remove();
            // A host that stands still looks later.
            if let Some(until) = node.host().and_then(|host| self.hosts[host].sleeps(self.now)) {
                self.numbered += 1;
                self.arrivals.insert((until, self.numbered), Arrival { node, link, frame });
                continue;
            }
            match node {
                Node::Host(host) => self.hosts[host].receive(link, &frame, &mut self.random, self.now),
                Node::Switch(switch) => {
                    for (link, end) in self.network.onward(switch, link, &frame) {
                        self.carry(link, end, frame.clone());
                    }
                }
            }
        }
    }

    fn turn(&mut self) -> Result<(), String> {
        self.summary.steps += 1;
        for host in 0..self.hosts.len() {
            if self.hosts[host].due.is_none_or(|at| at > self.now) {
                continue;
            }
            self.hosts[host].turn(self.now, self.record.as_mut())?;
            for port in 0..self.hosts[host].ports.len() {
                let p = &mut self.hosts[host].ports[port];
                let (link, end) = (p.link, p.end);
                for frame in std::mem::take(&mut p.device.sent) {
                    self.set_out(link, end, frame)?;
                }
            }
        }
        Ok(())
    }

    /// A host has sent a frame.
    fn set_out(&mut self, link: usize, end: usize, mut frame: Frame) -> Result<(), String> {
        // A link pads what is short, with anything (H212).
        if frame.bytes.len() < 60 && self.random.chance(500_000) {
            frame.bytes.resize(60, self.random.next_u64() as u8);
        }
        if let Some(record) = &mut self.record {
            record.frame((2 * link + end) as u32, self.now, &frame.bytes);
        }
        self.checker.see(&frame)?;
        self.summary.frames += 1;
        self.carry(link, end, frame);
        Ok(())
    }

    /// A frame sets out on one link of its way.
    fn carry(&mut self, link: usize, end: usize, mut frame: Frame) {
        let (has_text, flow) = (frame.has_text(), self.flow_of(&frame));
        let text = if self.record.is_some() { describe(&frame.bytes) } else { String::new() };
        let (fate, to) = self.network.carry(link, end, &mut frame, self.now);
        let from = self.network.node(link, end);
        self.tell(format_args!("{from:?} to {to:?}: {text} {}", fate.what));
        let Fate { arrivals, forged, answer, .. } = fate;
        if arrivals.is_empty() {
            self.summary.lost += 1;
            if let Some(trace) = &mut self.trace {
                trace.drops.push(Lost { at: self.now, flow, has_text });
            }
        }
        if let [first, rest @ ..] = &arrivals[..] {
            rest.iter().for_each(|at| self.arrive(*at, to, link, frame.clone()));
            self.arrive(*first, to, link, frame);
        }
        if let Some(forged) = forged {
            self.arrive(self.now, to, link, forged);
        }
        if let Some(answer) = answer {
            self.arrive(self.now, from, link, answer);
        }
    }

    fn flow_of(&self, frame: &Frame) -> Option<usize> {
        let servers = PORT..PORT + self.options.flows.len() as u16;
        frame.ports()?.into_iter().find(|p| servers.contains(p)).map(|p| usize::from(p - PORT))
    }

    fn arrive(&mut self, at: Instant, node: Node, link: usize, frame: Frame) {
        let at = node.host().map_or(at, |host| self.hosts[host].looks_at(at));
        self.numbered += 1;
        self.arrivals.insert((at, self.numbered), Arrival { node, link, frame });
    }

    fn tell(&mut self, text: std::fmt::Arguments<'_>) {
        if let Some(record) = &mut self.record {
            record.line(self.now, text);
        }
    }

    /// Has every application ended, and does no stack hold anything any more? A server whose client
    /// was too quick in parting waits for ever.
    fn is_over(&self) -> bool {
        self.apps_are_done() && self.arrivals.is_empty() && self.hosts.iter().all(Host::is_empty)
    }

    /// An application that has nothing to send, and whose peer's reset was lost, waits for ever: that
    /// is TCP without keep-alives, and without them it gives up then. A stack resets a connection that its application
    /// has let go of also when it needs the memory (H019).
    fn give_up_abandoned(&mut self) -> Option<Instant> {
        // Nor does a server that a cut link kept from ever hearing of it.
        let is_cut = |flow: usize| self.options.is_cut(self.options.flows[flow].net);
        let left = |a: &&App| match a.state {
            State::Done(_) => true,
            State::Listening(_) => is_cut(a.flow),
            _ => false,
        };
        let left: Vec<usize> = self.apps().filter(left).map(|a| a.flow).collect();
        let now = self.now;
        let mut gave_up = None;
        for (host, options) in self.hosts.iter_mut().zip(&self.options.hosts) {
            let clock = host.clock(now);
            // A connection with keep-alives ends by itself.
            let asks = options.tcp.options.keep_alive.is_some();
            let waits = |a: &App| !asks || matches!(a.state, State::Listening(_));
            for app in host.apps.iter_mut().filter(|a| left.contains(&a.flow) && waits(a)) {
                if app.give_up(&mut host.stack, clock) {
                    (gave_up, host.due) = (Some(now), Some(now));
                }
            }
        }
        gave_up
    }

    /// Has the application still to do, and its peer not left? What the peer's reset, if it was lost,
    /// would have ended is no stall.
    fn is_at_work(&self, app: &App) -> bool {
        let peer = self.app(app.flow, 1 - app.end).map(|a| a.state);
        let left = matches!(peer, Some(State::Done(Outcome::Left | Outcome::Failed(_))));
        !left && !matches!(app.state, State::Done(_) | State::Listening(_))
    }

    /// Does an application pause, so that nothing need happen?
    fn is_pausing(&self) -> bool {
        let pauses = |h: &Host| h.apps.iter().any(|a| a.is_pausing(h.clock(self.now)));
        self.hosts.iter().any(pauses)
    }

    fn apps(&self) -> impl Iterator<Item = &App> {
        self.hosts.iter().flat_map(|h| &h.apps)
    }

    fn apps_are_done(&self) -> bool {
        self.apps().all(|a| matches!(a.state, State::Done(_) | State::Listening(_)))
    }
}
