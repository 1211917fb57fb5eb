//! A host: a stack, its devices, its applications.

use super::app::App;
use super::device::{Frame, SimDevice};
use super::options::{HostOptions, LinkOptions};
use super::random::Random;
use super::record::Record;
use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Mac, RxFrame};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::{Duration, Instant};
use std::net::{IpAddr, Ipv6Addr};

/// An interface and what it is joined to.
pub(super) struct Port {
    pub(super) id: InterfaceId,
    pub(super) device: SimDevice,
    pub(super) link: usize,
    /// Which end of the link this is.
    pub(super) end: usize,
}

pub(super) struct Host {
    number: usize,
    options: HostOptions,
    pub(super) stack: Stack<'static>,
    pub(super) ports: Vec<Port>,
    pub(super) apps: Vec<App>,
    /// When it wants its next turn, by the world's clock.
    pub(super) due: Option<Instant>,
    /// How far its clock is ahead of the world's.
    ahead: Duration,
    /// When its clock jumps, and how far.
    jump: Option<(Instant, Duration)>,
    /// It stands still until then.
    asleep_until: Instant,
    random: Random,
}

/// The address of a host in a network.
pub(super) fn address(net: usize, host: usize, v6: bool) -> IpAddr {
    match v6 {
        false => IpAddr::from([10, net as u8, 0, host as u8 + 1]),
        true => Ipv6Addr::new(0xfd00, net as u16, 0, 0, 0, 0, 0, host as u16 + 1).into(),
    }
}

fn mac(net: usize, host: usize) -> Mac {
    Mac([2, 0, 0, net as u8, 0, host as u8 + 1])
}

/// Whose hardware address this is; `None`: a group's.
pub(super) fn station(mac: &[u8]) -> Option<usize> {
    if mac[0] & 1 == 1 { None } else { Some(usize::from(mac[5]).wrapping_sub(1)) }
}

/// The headers of a frame lie in one piece: Ethernet, IPv6, TCP with all options.
const HEADERS: usize = 14 + 40 + 60;

/// How long an ordinary device is full at most.
const FULL_US: u64 = 20_000;

impl Host {
    pub(super) fn new(number: usize, options: &HostOptions, start: Instant, r: &mut Random) -> Host {
        let limits = Limits {
            memory: options.memory,
            block_len: options.block_len,
            neighbors: 16,
            connections: 32,
            // So that most of them are parked whenever they rest.
            active: 2,
            ..Limits::default()
        };
        let mut seed = [0; 32];
        seed.chunks_mut(8).for_each(|c| c.copy_from_slice(&r.next_u64().to_le_bytes()));
        let mut stack = Stack::new(Storage::heap(&limits), seed);
        stack.configure_tcp(|c| *c = options.tcp).expect("settings within their ranges");
        Host {
            number,
            options: options.clone(),
            stack,
            ports: vec![],
            apps: vec![],
            due: Some(start),
            ahead: Duration::ZERO,
            jump: options.jump.map(|(at, by)| (start + at, by)),
            asleep_until: Instant::ZERO,
            random: Random::new(u64::from_le_bytes([seed[0], seed[1], seed[2], seed[3], 0, 0, 0, 1])),
        }
    }

    /// The host's clock, when the world's shows `now`.
    pub(super) fn clock(&self, now: Instant) -> Instant {
        now + self.ahead
    }

    /// The world's clock, when the host's shows `at`.
    fn world_clock(&self, at: Instant) -> Instant {
        Instant::from_micros(at.micros().saturating_sub(self.ahead.micros()))
    }

    /// Until when the host stands still, if it does.
    pub(super) fn sleeps(&self, now: Instant) -> Option<Instant> {
        Some(self.asleep_until).filter(|until| now < *until)
    }

    /// The clock jumps, or the host falls asleep, if it is to.
    fn fare(&mut self, now: Instant) {
        if let Some((_, by)) = self.jump.take_if(|(at, _)| *at <= now) {
            self.ahead = self.ahead + by;
        }
        if self.random.chance(self.options.late_ppm) {
            self.asleep_until = now + Duration::from_micros(self.random.scaled(1_000, 2_000_000));
        }
    }

    /// The links heal, and so does the host: its devices are stuck no more.
    pub(super) fn heal(&mut self) {
        self.options.late_ppm = 0;
        for port in &mut self.ports {
            port.device.full_us = port.device.full_us.min(FULL_US);
            port.device.full_until =
                port.device.full_until.min(Some(port.device.now + Duration::from_micros(FULL_US)));
        }
    }

    /// Joins the host to one end of a link, each named by its number.
    pub(super) fn join(
        &mut self,
        (link, end): (usize, usize),
        properties: &LinkOptions,
        passes_whole: bool,
        r: &mut Random,
        now: Instant,
    ) -> Result<(), barenet::Error> {
        let (net, mtu) = (properties.net, properties.mtu);
        let (number, options) = (self.number, &self.options);
        // The same for all that this host's peer meets.
        let peer = properties.ends[1 - end].host().filter(|_| properties.twins);
        let station = match peer {
            Some(peer) => mac(0, 100 + peer),
            // Two addresses for the three links: each host has both, and meets both.
            None if properties.namesakes => mac(0, 100 + (end + net) % 2),
            None => mac(net, number),
        };
        let mut capabilities = Capabilities::new(station, mtu);
        if options.tx_checksum {
            capabilities = capabilities.with_tx_checksum();
        }
        if options.tso {
            let most = r.pick(&[65_535, 65_535, 20_000]);
            capabilities = capabilities.with_tso(most, most);
        }
        let id = self.stack.add_interface(capabilities)?;
        self.stack.add_address(id, Cidr::new(address(net, number, false), 24)?, now)?;
        if mtu >= 1280 {
            self.stack.add_address(id, Cidr::new(address(net, number, true), 64)?, now)?;
        }
        let now = self.clock(now);
        let device = SimDevice {
            capabilities,
            passes_whole,
            full_ppm: options.full_ppm,
            full_us: options.full_us,
            random: Random::new(r.next_u64()),
            now,
            full_until: None,
            sent: vec![],
        };
        self.ports.push(Port { id, device, link, end });
        Ok(())
    }

    /// When the host looks at what arrives at `at`.
    pub(super) fn looks_at(&self, at: Instant) -> Instant {
        let poll_us = self.options.poll_us;
        Instant::from_micros(at.micros().div_ceil(poll_us) * poll_us).max(self.asleep_until)
    }

    /// A frame has arrived by a link, in pieces that the generator chooses.
    pub(super) fn receive(&mut self, link: usize, frame: &Frame, r: &mut Random, now: Instant) {
        let Some(port) = self.ports.iter().find(|p| p.link == link) else { return };
        let front = frame.bytes.len().min(HEADERS);
        let rest = frame.bytes.len() - front;
        let (a, b) = frame.bytes.split_at(front + r.below(rest as u64 + 1) as usize);
        let (b, c) = b.split_at(r.below(b.len() as u64 + 1) as usize);
        let parts = [a, b, c];
        let (checksum, segment_len) = (frame.checksum, frame.segment_len);
        let clock = self.clock(now);
        self.stack.on_frame(port.id, RxFrame { bytes: Bytes::new(&parts), checksum, segment_len }, clock);
        self.stack.check();
        self.due = Some(now);
    }

    /// Timers, applications, output.
    pub(super) fn turn(&mut self, now: Instant, mut record: Option<&mut Record>) -> Result<(), String> {
        let world_clock = now;
        self.fare(world_clock);
        let now = self.clock(world_clock);
        self.stack.on_timers(now);
        self.stack.check();
        self.wake();
        for app in &mut self.apps {
            let before = app.stands();
            app.step(&mut self.stack, now)?;
            if app.stands() != before {
                self.stack.check();
                if let Some(record) = &mut record {
                    record.line(world_clock, format_args!("{}: {before:?} -> {:?}", app.name, app.stands()));
                }
            }
        }
        for port in &mut self.ports {
            port.device.turn(now);
            self.stack.egress(port.id, &mut port.device, now);
            self.stack.check();
        }
        self.wake();
        self.due = self.deadline(now).map(|at| self.world_clock(at));
        if let Some(until) = self.sleeps(world_clock) {
            self.due = Some(until);
        }
        let jump = self.jump.map(|(at, _)| at.max(world_clock));
        self.due = self.due.into_iter().chain(jump).min();
        Ok(())
    }

    fn wake(&mut self) {
        while let Some(waker) = self.stack.next_woken() {
            waker.wake();
        }
    }

    /// When the host wants a turn.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let apps = self.apps.iter().filter_map(App::deadline);
        let room = self.ports.iter().filter_map(|p| p.device.full_until);
        self.stack.next_deadline(now).into_iter().chain(apps).chain(room).min()
    }

    /// Does the stack hold nothing any more?
    pub(super) fn is_empty(&self) -> bool {
        self.stack.memory().0 == 0 && self.stack.tcp_count() == (0, 0)
    }
}
