//! The network and its clock.

use super::app::{App, Outcome, State};
use super::checker::Checker;
use super::device::Frame;
use super::host::{Host, address};
use super::link::Pipe;
use super::options::{Ending, FlowOptions, LinkOptions, Options, Script};
use super::random::Random;
use super::record::{Record, describe};
use barenet::Error;
use barenet::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Frames that set out.
    pub frames: u64,
    /// Frames that did not arrive.
    pub lost: u64,
    /// Bytes that applications read.
    pub bytes: u64,
    /// Turns of all hosts.
    pub steps: u64,
    /// Virtual time.
    pub took: Duration,
    /// From the healing of the links to the end of the last application.
    pub recovered: Duration,
    /// The longest time in which nothing crossed any link, later than `SETTLED` after the healing,
    /// while applications were at work.
    pub stalled: Duration,
}

/// A frame that will arrive.
struct Arrival {
    host: usize,
    port: usize,
    frame: Frame,
}

pub(super) struct World {
    options: Options,
    hosts: Vec<Host>,
    pipes: Vec<[Pipe; 2]>,
    /// In the order of their time, and of their number among those of one time.
    arrivals: BTreeMap<(Instant, u64), Arrival>,
    numbered: u64,
    now: Instant,
    healed: bool,
    random: Random,
    record: Option<Record>,
    checker: Checker,
    summary: Summary,
}

/// More turns than this without any time passing is a stack that spins.
const SPIN_MAX: u32 = 20_000;

/// A pool that many connections may fill.
const SMALL: usize = 64 << 10;
/// By then every timer that was backed off during the faults has fired.
const SETTLED: Duration = Duration::from_secs(70);
/// On a healthy link nothing waits longer than a delayed acknowledgment or an application's pause.
const STALL_MAX: Duration = Duration::from_secs(2);

impl World {
    pub(super) fn new(options: &Options, seed: u64, record: Option<Record>) -> World {
        let mut random = Random::new(!seed);
        let r = &mut random;
        let hosts = options.hosts.iter().map(|h| Host::new(h, r)).collect();
        let pipes = options.links.iter();
        let pipes = pipes.map(|l| [Pipe::new(l, 0, r.next_u64()), Pipe::new(l, 1, r.next_u64())]).collect();
        World {
            options: options.clone(),
            hosts,
            pipes,
            arrivals: BTreeMap::new(),
            numbered: 0,
            now: options.start,
            healed: false,
            random,
            record,
            checker: Checker::default(),
            summary: Summary::default(),
        }
    }

    /// From the start to the end of everything.
    pub(super) fn run(mut self) -> Result<Summary, String> {
        let options = self.options.clone();
        self.tell(format_args!("{options:#?}"));
        self.join().map_err(|e| format!("setting up: {e}"))?;
        for number in 0..options.flows.len() {
            self.begin(number).map_err(|e| format!("flow {number}: {e}"))?;
        }
        let heal_at = options.start + options.faulty;
        let patience = options.patience();
        let (mut spins, mut last) = (0, self.now);
        let (mut frames, mut quiet_since) = (0, self.now);
        self.turn()?;
        while !self.is_over() {
            let next = self.next(if self.healed { None } else { Some(heal_at) });
            let Some(next) = next.or_else(|| self.give_up_abandoned()) else {
                return Err(format!("nothing is due any more: {}", self.standing()));
            };
            self.now = self.now.max(next);
            spins = if self.now == last { spins + 1 } else { 0 };
            last = self.now;
            if spins > SPIN_MAX {
                return Err(format!("the stack spins: {}", self.standing()));
            }
            if self.now.since(heal_at) > patience {
                return Err(format!(
                    "not over {} s after the links healed: {}",
                    patience.millis() / 1000,
                    self.standing()
                ));
            }
            if !self.healed && self.now >= heal_at {
                self.healed = true;
                self.pipes.iter_mut().flatten().for_each(Pipe::heal);
                self.tell(format_args!("the links heal"));
            }
            self.deliver();
            self.turn()?;
            if !self.apps_are_done() {
                self.summary.recovered = self.now.since(heal_at);
                if self.summary.frames > frames {
                    (frames, quiet_since) = (self.summary.frames, self.now);
                } else if quiet_since > heal_at + SETTLED {
                    self.summary.stalled = self.summary.stalled.max(self.now.since(quiet_since));
                }
            }
        }
        self.judge()?;
        if self.summary.stalled > STALL_MAX {
            return Err(format!(
                "nothing happened for {} ms on healthy links",
                self.summary.stalled.millis()
            ));
        }
        self.summary.took = self.now.since(options.start);
        Ok(self.summary)
    }

    fn join(&mut self) -> Result<(), Error> {
        let options = self.options.clone();
        for (number, link) in options.links.iter().enumerate() {
            for end in [0, 1] {
                let (host, other) = (link.ends[end], link.ends[1 - end]);
                let whole = options.hosts[other].merged;
                let place = (number, end, link.mtu);
                self.hosts[host].join(
                    &options.hosts[host],
                    host,
                    place,
                    whole,
                    &mut self.random,
                    self.now,
                )?;
                if let Some(record) = &mut self.record {
                    record.interface(format!("link{number}-host{host}"));
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: usize) -> Result<(), Error> {
        let flow = self.options.flows[number].clone();
        let [client, server] = flow.hosts;
        let port = 1000 + number as u16;
        let salts = [self.random.next_u64(), self.random.next_u64()];
        let begins = self.options.start + flow.begins;
        if !flow.refused {
            let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            let (listener, _) = self.hosts[server].stack.tcp_listen(any, flow.backlog)?;
            let state = State::Listening(listener);
            let name = format!("flow {number} server (host {server})");
            self.hosts[server].apps.push(App::new(
                name,
                flow.scripts[1],
                state,
                [salts[1], salts[0]],
                begins,
            ));
        }
        let remote = SocketAddr::from((address(flow.link, server, flow.v6), port));
        let name = format!("flow {number} client (host {client})");
        self.hosts[client].apps.push(App::new(name, flow.scripts[0], State::Idle(remote), salts, begins));
        Ok(())
    }

    fn next(&self, heal_at: Option<Instant>) -> Option<Instant> {
        let arrival = self.arrivals.keys().next().map(|(at, _)| *at);
        let hosts = self.hosts.iter().filter_map(|h| h.deadline(self.now));
        hosts.chain(arrival).chain(heal_at).min()
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.arrivals.first_entry()
            && entry.key().0 <= self.now
        {
            let Arrival { host, port, frame } = entry.remove();
            self.hosts[host].receive(port, &frame, &mut self.random, self.now);
        }
    }

    fn turn(&mut self) -> Result<(), String> {
        self.summary.steps += 1;
        for host in 0..self.hosts.len() {
            for line in self.hosts[host].turn(self.now)? {
                self.tell(format_args!("{line}"));
            }
            for port in 0..self.hosts[host].ports.len() {
                let p = &mut self.hosts[host].ports[port];
                let (link, end) = (p.link, p.end);
                for frame in std::mem::take(&mut p.device.sent) {
                    self.send(link, end, frame)?;
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, link: usize, end: usize, mut frame: Frame) -> Result<(), String> {
        // A link pads what is short, with anything (H212).
        if frame.bytes.len() < 60 && self.random.chance(500_000) {
            frame.bytes.resize(60, self.random.next_u64() as u8);
        }
        if let Some(record) = &mut self.record {
            record.frame((2 * link + end) as u32, self.now, &frame.bytes);
        }
        self.checker.see(&frame)?;
        let text = if self.record.is_some() { describe(&frame.bytes) } else { String::new() };
        let fate = self.pipes[link][end].carry(&mut frame, self.now);
        let to = self.options.links[link].ends[1 - end];
        let from = self.options.links[link].ends[end];
        self.tell(format_args!("host {from} to {to}: {text} {}", fate.what));
        self.summary.frames += 1;
        self.summary.lost += fate.arrivals.is_empty() as u64;
        let host = &self.hosts[to];
        let Some(port) = host.ports.iter().position(|p| p.link == link) else { return Ok(()) };
        let poll = host.poll_us;
        let forged = fate.forged.map(|f| (self.now, f));
        for (at, frame) in fate.arrivals.into_iter().map(|at| (at, frame.clone())).chain(forged) {
            let at = Instant::from_micros(at.micros().div_ceil(poll) * poll);
            self.numbered += 1;
            self.arrivals.insert((at, self.numbered), Arrival { host: to, port, frame });
        }
        Ok(())
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
    /// is TCP without keep-alives. It gives up then. A stack resets a connection that its application
    /// has let go of also when it needs the memory (H019).
    fn give_up_abandoned(&mut self) -> Option<Instant> {
        let left: Vec<String> =
            self.apps().filter(|a| matches!(a.state, State::Done(_))).map(|a| a.flow()).collect();
        let now = self.now;
        let mut gave_up = None;
        for host in &mut self.hosts {
            for app in host.apps.iter_mut().filter(|a| left.contains(&a.flow())) {
                if app.give_up(&mut host.stack, now) {
                    gave_up = Some(now);
                }
            }
        }
        gave_up
    }

    fn apps(&self) -> impl Iterator<Item = &App> {
        self.hosts.iter().flat_map(|h| &h.apps)
    }

    fn apps_are_done(&self) -> bool {
        self.apps().all(|a| matches!(a.state, State::Done(_) | State::Listening(_)))
    }

    /// Where everything stands, for the report of a failure.
    fn standing(&self) -> String {
        let mut text = String::new();
        for (number, host) in self.hosts.iter().enumerate() {
            text += &format!(
                "\n  host {number}: memory {:?}, connections and time-waits {:?}",
                host.stack.memory(),
                host.stack.tcp_count()
            );
            for app in &host.apps {
                let state = match app.state {
                    State::Open(h) | State::Connecting(h) => {
                        format!("{:?} {:?}", app.state, host.stack.tcp_state(h))
                    }
                    other => format!("{other:?}"),
                };
                text += &format!("\n    {}: {state}, wrote {}, read {}", app.name, app.written, app.read);
            }
        }
        text
    }

    /// Did every application get what its script and its peer's promise?
    fn judge(&mut self) -> Result<(), String> {
        for (number, flow) in self.options.flows.iter().enumerate() {
            let of = |host: usize, role: &str| {
                let name = format!("flow {number} {role} (host {host})");
                self.hosts[host].apps.iter().find(move |a| a.name == name)
            };
            let (Some(client), server) = (of(flow.hosts[0], "client"), of(flow.hosts[1], "server")) else {
                return Err(format!("flow {number} has no client"));
            };
            let wrong = |a: &App, what: &str| {
                Err(format!("{}: {what}: {:?}, wrote {}, read {}", a.name, a.state, a.written, a.read))
            };
            let Some(server) = server else {
                match client.state {
                    State::Done(Outcome::Failed(Error::ConnectionRefused)) => continue,
                    State::Done(Outcome::Left) if !is_patient(&flow.scripts[0]) => continue,
                    _ => return wrong(client, "should have been refused"),
                }
            };
            for (app, mine, other, peer) in [
                (client, &flow.scripts[0], &flow.scripts[1], server),
                (server, &flow.scripts[1], &flow.scripts[0], client),
            ] {
                self.summary.bytes += app.read;
                if app.read > peer.written {
                    return wrong(app, "read more than was written");
                }
                // The peer's stack had to reset what the peer had let go of.
                let host = flow.hosts[usize::from(!std::ptr::eq(peer, client))];
                let memory = self.options.hosts[host].memory;
                let short = memory <= SMALL || (self.options.flows.len() > 6 && memory <= 16 * SMALL);
                let let_go = matches!(peer.state, State::Done(Outcome::Orderly | Outcome::Left));
                let given_up = short && let_go;
                let fine = match app.state {
                    State::Done(Outcome::Orderly) => {
                        !keeps_promise(other, mine) || (app.read == other.send && app.written == mine.send)
                    }
                    State::Done(Outcome::Left) => !is_patient(mine),
                    State::Listening(_) => !keeps_promise(other, mine),
                    State::Done(Outcome::Failed(Error::ConnectionReset | Error::ClosedByPeer)) => {
                        given_up || !(keeps_promise(mine, other) && keeps_promise(other, mine))
                    }
                    _ => false,
                };
                if !fine {
                    return wrong(app, "ended wrongly");
                }
            }
        }
        Ok(())
    }
}

fn is_patient(script: &Script) -> bool {
    matches!(script.ending, Ending::Orderly | Ending::AfterPeer)
}

/// Does this side stay until the other has what it wants? One that lets go does no harm to one that
/// sends nothing.
fn keeps_promise(script: &Script, other: &Script) -> bool {
    is_patient(script)
        || (script.ending == Ending::LetGo && other.send == 0 && other.ending == Ending::Orderly)
}

impl Options {
    /// How long after the faults everything must be over at the latest. Generous: what is stuck is
    /// stuck for ever, and virtual time costs nothing.
    fn patience(&self) -> Duration {
        let transfers: u64 = self.flows.iter().map(|f| self.transfer_s(f)).sum();
        // A SYN or data backed off to the longest timeout, FIN-WAIT-2 and TIME-WAIT.
        Duration::from_secs(600 + transfers)
    }

    fn transfer_s(&self, flow: &FlowOptions) -> u64 {
        let LinkOptions { bytes_per_s, delay_us, .. } = self.links[flow.link];
        let window = |from: usize, to: usize| {
            let memory = self.hosts[from].memory.min(self.hosts[to].memory) as u64 / 16;
            let (send, receive) = (self.hosts[from].tcp.send_buffer, self.hosts[to].tcp.receive_buffer);
            memory.min(send.into()).min(receive.into()).clamp(500, 10_000)
        };
        let [a, b] = flow.hosts;
        // Each window waits for its acknowledgment, which may be delayed.
        let round_ms = 2 * delay_us / 1000 + 600;
        let of = |script: &Script, window: u64| {
            script.send / bytes_per_s + script.send / window * round_ms / 1000 + 30
        };
        let all = of(&flow.scripts[0], window(a, b)) + of(&flow.scripts[1], window(b, a));
        2 * all
    }
}
