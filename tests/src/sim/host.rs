//! A host: a stack, its devices, its applications.

use super::app::App;
use super::device::{Frame, SimDevice};
use super::options::HostOptions;
use super::random::Random;
use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Mac, RxFrame};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::Instant;
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
    pub(super) stack: Stack<'static>,
    pub(super) ports: Vec<Port>,
    pub(super) apps: Vec<App>,
    pub(super) poll_us: u64,
}

/// The address of a host on a link.
pub(super) fn address(link: usize, host: usize, v6: bool) -> IpAddr {
    match v6 {
        false => IpAddr::from([10, link as u8, 0, host as u8 + 1]),
        true => Ipv6Addr::new(0xfd00, link as u16, 0, 0, 0, 0, 0, host as u16 + 1).into(),
    }
}

/// The headers of a frame lie in one piece: Ethernet, IPv6, TCP with all options.
const HEADERS: usize = 14 + 40 + 60;

impl Host {
    pub(super) fn new(options: &HostOptions, r: &mut Random) -> Host {
        let limits = Limits {
            memory: options.memory,
            block_len: options.block_len,
            neighbors: 16,
            connections: 32,
            // So that most of them are parked whenever they rest.
            active: 2,
            ..Limits::default()
        };
        let mut storage = Storage::heap(&limits);
        storage.tcp_config = options.tcp;
        let mut seed = [0; 32];
        seed.chunks_mut(8).for_each(|c| c.copy_from_slice(&r.next_u64().to_le_bytes()));
        let stack = Stack::new(storage, seed);
        Host { stack, ports: vec![], apps: vec![], poll_us: options.poll_us }
    }

    /// Joins the host, which has this number, to an end of a link.
    pub(super) fn join(
        &mut self,
        options: &HostOptions,
        number: usize,
        (link, end, mtu): (usize, usize, u16),
        passes_whole: bool,
        r: &mut Random,
        now: Instant,
    ) -> Result<(), barenet::Error> {
        let mut capabilities = Capabilities::new(Mac([2, 0, 0, link as u8, 0, number as u8 + 1]), mtu);
        if options.tx_checksum {
            capabilities = capabilities.with_tx_checksum();
        }
        if options.tso {
            let most = r.pick(&[65_535, 65_535, 20_000]);
            capabilities = capabilities.with_tso(most, most);
        }
        let id = self.stack.add_interface(capabilities)?;
        self.stack.add_address(id, Cidr::new(address(link, number, false), 24)?, now)?;
        if mtu >= 1280 {
            self.stack.add_address(id, Cidr::new(address(link, number, true), 64)?, now)?;
        }
        let device = SimDevice {
            capabilities,
            passes_whole,
            full_ppm: options.full_ppm,
            random: Random::new(r.next_u64()),
            now,
            full_until: None,
            sent: vec![],
        };
        self.ports.push(Port { id, device, link, end });
        Ok(())
    }

    /// A frame has arrived on a port, in pieces that the generator chooses.
    pub(super) fn receive(&mut self, port: usize, frame: &Frame, r: &mut Random, now: Instant) {
        let front = frame.bytes.len().min(HEADERS);
        let rest = frame.bytes.len() - front;
        let (a, b) = frame.bytes.split_at(front + r.below(rest as u64 + 1) as usize);
        let (b, c) = b.split_at(r.below(b.len() as u64 + 1) as usize);
        let parts = [a, b, c];
        let (checksum, segment_len) = (frame.checksum, frame.segment_len);
        let id = self.ports[port].id;
        self.stack.on_frame(id, RxFrame { bytes: Bytes::new(&parts), checksum, segment_len }, now);
        self.stack.check();
    }

    /// Timers, applications, output.
    pub(super) fn turn(&mut self, now: Instant) -> Result<Vec<String>, String> {
        self.stack.on_timers(now);
        self.stack.check();
        let mut told = vec![];
        for app in &mut self.apps {
            told.append(&mut app.step(&mut self.stack, now)?);
            self.stack.check();
        }
        for port in &mut self.ports {
            port.device.turn(now);
            self.stack.egress(port.id, &mut port.device, now);
            self.stack.check();
        }
        Ok(told)
    }

    /// When the host wants a turn.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let apps = self.apps.iter().filter_map(App::deadline);
        let room = self.ports.iter().filter_map(|p| p.device.full_until);
        self.stack.next_deadline(now).into_iter().chain(apps).chain(room).min()
    }

    /// Does the stack hold nothing any more?
    pub(super) fn is_empty(&self) -> bool {
        self.stack.memory().0 == 0 && self.stack.tcp_count() == (0, 0)
    }
}
