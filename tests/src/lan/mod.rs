//! Many hosts on one Ethernet in virtual time, all configuring themselves: a DHCP server, three routers with a network behind them,
//! and somebody who has addresses that others want.
//!
//! A run is replayed from its seed. Hosts are whole stacks; what they stand against is `neighbors`, in a few lines each.

mod hosts;
mod neighbors;
pub(crate) mod packets;

use super::sim::Random;
use barenet::ip::addresses::Origin;
use barenet::time::{Duration, Instant};
use hosts::{Host, OUTSIDE};
use neighbors::Neighbors;
use std::collections::{BTreeMap, BTreeSet};

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Hosts on the link.
    pub hosts: usize,
    /// Until a minute has passed frames are lost and overtake each other, and links of some hosts flap.
    pub faults: bool,
}

/// A frame that will arrive; which host it is from, or none.
struct Arrival {
    from: Option<usize>,
    frame: Vec<u8>,
}

struct World {
    options: Options,
    now: Instant,
    random: Random,
    hosts: Vec<Host>,
    neighbors: Neighbors,
    arrivals: BTreeMap<(Instant, u64), Arrival>,
    numbered: u64,
    /// When each host wants a turn.
    turns: BTreeSet<(Instant, usize)>,
    /// When each host was configured first, by both families.
    configured: Vec<Option<Instant>>,
}

const START: Instant = Instant::from_millis(1000);

/// A moment of the run, in seconds.
const fn at(secs: u64) -> Instant {
    Instant::from_millis(1000 + secs * 1000)
}

/// Questions by ARP, each of which every host hears: what the check that everyone reaches everyone may cost.
const BROADCASTS: usize = 2000;

/// The host whose first lease is somebody's, the one whose stable address is, the idle one, and the one with a connection.
const UNLUCKY_V4: usize = 3;
const UNLUCKY_V6: usize = 5;
const IDLE: usize = 7;
const BUSY: usize = 8;

/// Runs it.
///
/// # Panics
///
/// When something does not come about in its time.
pub fn run(options: Options, seed: u64) {
    let mut world = World::new(options, seed);
    if options.faults {
        world.flap();
        world.pass(at(160));
    } else {
        world.pass(at(30));
        world.check_times();
    }
    world.check_duplicates();
    let from = world.now;
    world.check_everyone_reaches_everyone();
    if !options.faults {
        world.check_dead_router(from);
    }
}

impl World {
    fn new(options: Options, seed: u64) -> World {
        let mut random = Random::new(seed);
        let mut hosts: Vec<_> = (0..options.hosts).map(|n| Host::new(n, &mut random, START)).collect();
        // The last one is behind the routers.
        hosts.push(Host::outside(&mut random));
        let unlucky = [UNLUCKY_V4, UNLUCKY_V6].map(|n| hosts[n].mac);
        let turns = (0..hosts.len()).map(|n| (START, n)).collect();
        let configured = vec![None; options.hosts];
        let neighbors = Neighbors::new(unlucky, START);
        let arrivals = BTreeMap::new();
        World { options, now: START, random, hosts, neighbors, arrivals, numbered: 0, turns, configured }
    }

    /// Lets time pass.
    fn pass(&mut self, until: Instant) {
        loop {
            let arrival = self.arrivals.first_key_value().map(|((at, _), _)| *at);
            let turn = self.turns.first().map(|(at, _)| *at);
            let own = Some(self.neighbors.deadline());
            let Some(next) = [arrival, turn, own].into_iter().flatten().min().filter(|at| *at <= until)
            else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            if turn == Some(next) {
                let (_, n) = self.turns.pop_first().expect("it was looked at");
                self.turn(n);
            } else if arrival == Some(next) {
                let (_, arrival) = self.arrivals.pop_first().expect("it was looked at");
                self.arrive(arrival);
            } else {
                let said = self.neighbors.on_timer(self.now, &mut self.random);
                said.into_iter().for_each(|frame| self.send(None, frame));
            }
        }
    }

    /// One turn of a host, and what it says.
    fn turn(&mut self, n: usize) {
        let before = self.hosts[n].next;
        let said = self.hosts[n].turn(self.now);
        if let Some(at) = before {
            self.turns.remove(&(at, n));
        }
        if let Some(at) = self.hosts[n].next {
            self.turns.insert((at, n));
        }
        if n < self.options.hosts && self.configured[n].is_none() && self.hosts[n].is_configured() {
            self.configured[n] = Some(self.now);
        }
        for frame in said {
            if n == self.options.hosts {
                let said = self.neighbors.by_outside(&frame);
                said.into_iter().for_each(|(to_outside, frame)| match to_outside {
                    true => self.input(n, &frame),
                    false => self.send(None, frame),
                });
            } else {
                self.send(Some(n), frame);
            }
        }
    }

    fn input(&mut self, n: usize, frame: &[u8]) {
        self.hosts[n].input(frame, self.now);
        self.turn(n);
    }

    /// A frame sets out.
    fn send(&mut self, from: Option<usize>, frame: Vec<u8>) {
        let is_bad = self.options.faults && self.now < at(60);
        if is_bad && self.random.below(100) < 3 {
            return;
        }
        let most = if is_bad { 20_000 } else { 200 };
        let delay = Duration::from_micros(20 + self.random.below(most));
        self.arrivals.insert((self.now + delay, self.numbered), Arrival { from, frame });
        self.numbered += 1;
    }

    fn arrive(&mut self, Arrival { from, frame }: Arrival) {
        let to: [u8; 6] = frame[..6].try_into().expect("a frame");
        let said = self.neighbors.on_frame(&frame, self.now, &mut self.random);
        for (is_outside, frame) in said {
            match is_outside {
                true => self.input(self.options.hosts, &frame),
                false => self.send(None, frame),
            }
        }
        for n in 0..self.options.hosts {
            if Some(n) != from && self.hosts[n].hears(to) {
                self.input(n, &frame);
            }
        }
    }

    /// Links of a tenth of the hosts go down and come up, twice each.
    fn flap(&mut self) {
        let mut flaps = BTreeMap::new();
        for round in 0..self.options.hosts / 5 {
            let n = self.random.below(self.options.hosts as u64) as usize;
            let down = Duration::from_millis(500 + self.random.below(40_000));
            let up = down + Duration::from_millis(100 + self.random.below(2_000));
            flaps.insert((START + down, 2 * round), (n, false));
            flaps.insert((START + up, 2 * round + 1), (n, true));
        }
        for ((when, _), (n, is_up)) in flaps {
            self.pass(when);
            self.hosts[n].link(is_up, self.now);
            self.turn(n);
        }
    }

    /// RFC 2131 §3.1(5): who has to decline waits ten seconds.
    fn check_times(&self) {
        for (n, configured) in self.configured.iter().enumerate() {
            let limit = if n == UNLUCKY_V4 { at(25) } else { at(10) };
            let when = configured
                .unwrap_or_else(|| panic!("host {n} is not configured: {}", self.hosts[n].describe()));
            assert!(when <= limit, "host {n} was configured at {when:?}");
        }
    }

    /// Who has an address that is somebody else's has found out. Where frames are lost a single question may be one of them
    /// (RFC 4862 §5.4).
    fn check_duplicates(&self) {
        if !self.options.faults {
            let (v4, v6) = self.neighbors.taken();
            assert!(self.hosts[UNLUCKY_V4].has(v4).is_none(), "the lease is somebody's");
            let v6 = v6.expect("an address that the other wanted");
            assert!(self.hosts[UNLUCKY_V6].has(v6).is_none(), "the stable address is somebody's");
            assert!(self.neighbors.declined > 0);
        }
        for (n, host) in self.hosts.iter().take(self.options.hosts).enumerate() {
            assert!(host.is_configured(), "host {n} is not configured: {}", host.describe());
        }
    }

    /// Each sends to each other over IPv6, and over IPv4 to as many as questions to all can be had for; all of it arrives. Where frames
    /// were lost those may not have noticed whose addresses are somebody's.
    fn check_everyone_reaches_everyone(&mut self) {
        let count = self.options.hosts;
        let asked = (BROADCASTS / count).min(count - 1);
        let (mut expected, mut received) = (vec![0; count], vec![0; count]);
        for n in 0..count {
            for step in 1..count {
                let to = (n + step) % count;
                if self.options.faults && [UNLUCKY_V4, UNLUCKY_V6].contains(&to) {
                    continue;
                }
                let v4 = (step <= asked).then_some(Origin::Dhcpv4);
                for origin in v4.into_iter().chain([Origin::Stable]) {
                    let address = self.hosts[to].address(origin);
                    self.hosts[n].send(address, hosts::PORT, self.now);
                    expected[to] += 1;
                }
                self.turn(n);
                self.pass(self.now + Duration::from_millis(1));
            }
            // Nobody's queue takes what all the others have to say.
            (0..count).for_each(|to| received[to] += self.hosts[to].received());
        }
        self.pass(self.now + Duration::from_secs(5));
        for (n, expected) in expected.into_iter().enumerate() {
            let received = received[n] + self.hosts[n].received();
            assert_eq!(received, expected, "host {n}: {}", self.hosts[n].describe());
        }
    }

    /// RFC 4861 §7.3.3: the router that all prefer dies; who only sends now and then finds another within a minute, and who has a
    /// connection within 5 s: three retransmissions and three questions.
    fn check_dead_router(&mut self, from: Instant) {
        let outside = self.options.hosts;
        let connection = self.hosts[BUSY].connect(self.now);
        self.turn(BUSY);
        self.hosts[IDLE].send(OUTSIDE.into(), hosts::PORT, self.now);
        self.turn(IDLE);
        self.pass(self.now + Duration::from_secs(5));
        assert!(self.hosts[outside].received() > 0, "nothing gets out");
        self.neighbors.kill();
        let died = self.now;
        let (mut idle, mut busy) = (None, None);
        let begun = self.hosts[outside].read(self.now);
        for tenth in 1..600 {
            self.pass(died + Duration::from_millis(tenth * 100));
            self.hosts[BUSY].write(connection, self.now);
            self.turn(BUSY);
            if tenth % 10 == 0 {
                self.hosts[IDLE].send(OUTSIDE.into(), hosts::PORT, self.now);
                self.turn(IDLE);
            }
            let (datagrams, text) = (self.hosts[outside].received(), self.hosts[outside].read(self.now));
            self.turn(outside);
            idle = idle.or((datagrams > 0).then_some(self.now));
            busy = busy.or((text > 0).then_some(self.now));
        }
        let took = |when: Option<Instant>| when.expect("another router is found").since(died);
        assert!(took(busy) <= Duration::from_secs(5), "{:?} with a connection, {begun} before", took(busy));
        assert!(took(idle) <= Duration::from_secs(60), "{:?} without", took(idle));
        assert!(died > from);
    }
}
