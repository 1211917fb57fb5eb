//! DHCP servers of both families and routers that say anything: one stack with all clients, and answers that carry the right
//! numbers and names of its last questions, with options of every kind, whole and cut. Whatever they say, the stack does not spin,
//! its tables keep their bounds, and in the end nothing is left.
//!
//! An input is a list of steps: what is done, how much follows, and what.

use super::line::{Line, MAC};
use crate::lan::packets::{frame, udp};
use barenet::config::Ipv6Config;
use barenet::device::{Device, RxFrame};
use barenet::dhcp::{ConflictDetection, DhcpClient, DhcpConfig};
use barenet::dhcpv6::{Dhcpv6Config, Dhcpv6Mode};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Origin;
use barenet::stack::{DhcpMemory, Dhcpv6Memory, Limits, Stack, Storage};
use barenet::time::{Duration, Instant};
use std::net::{Ipv4Addr, Ipv6Addr};

const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
/// Turns at one instant: more is a stack that spins.
const TURNS_MAX: usize = 200;
/// Addresses of an interface (`barenet::ip::addresses::ADDRESSES_MAX`).
const ADDRESSES_MAX: usize = 16;

/// Which clients had an address at some time.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reached {
    /// That of DHCPv4.
    pub dhcpv4: bool,
    /// That of DHCPv6.
    pub dhcpv6: bool,
    /// SLAAC.
    pub slaac: bool,
}

struct World {
    reached: Reached,
    stack: Stack<'static>,
    line: Line,
    id: InterfaceId,
    now: Instant,
    /// The last question to a server of each family.
    asked_v4: Vec<u8>,
    asked_v6: Vec<u8>,
}

impl World {
    fn new(mode: u8) -> World {
        let mut stack = Stack::new(Storage::heap(&Limits::default()), [mode; 32]);
        let line = Line::default();
        let id = stack.add_interface(line.capabilities()).expect("a place");
        let now = Instant::from_millis(1000);
        let detection = [ConflictDetection::Full, ConflictDetection::Once, ConflictDetection::Off];
        let config =
            DhcpConfig { conflict_detection: detection[usize::from(mode % 3)], ..DhcpConfig::DEFAULT };
        stack.dhcp_start(id, config, DhcpMemory::Owned(Box::new(DhcpClient::new())), now).expect("a client");
        stack.configure_ipv6(id, Ipv6Config::default(), now).expect("IPv6");
        let mode =
            [Dhcpv6Mode::ByRouter, Dhcpv6Mode::Stateful, Dhcpv6Mode::Stateless][usize::from(mode / 3 % 3)];
        let config = Dhcpv6Config { mode, ..Dhcpv6Config::DEFAULT };
        stack.dhcpv6_start(id, config, Dhcpv6Memory::Owned(Box::default()), now).expect("a client");
        World {
            reached: Reached::default(),
            stack,
            line,
            id,
            now,
            asked_v4: Vec::new(),
            asked_v6: Vec::new(),
        }
    }

    /// One turn; what was asked is remembered.
    fn turn(&mut self) {
        self.stack.on_timers(self.now);
        self.stack.egress(self.id, &mut self.line, self.now);
        while self.stack.next_woken().is_some() {}
        for frame in self.line.0.drain(..) {
            match (&frame[12..14], frame.get(23), frame.get(20)) {
                ([8, 0], Some(17), _) if frame[34..36] == [0, 68] => self.asked_v4 = frame[42..].to_vec(),
                ([0x86, 0xdd], _, Some(17)) if frame[54..56] == [2, 34] => {
                    self.asked_v6 = frame[62..].to_vec()
                }
                _ => {}
            }
        }
    }

    /// Lets so much time pass, with a turn for each deadline.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut turns = 0;
        let mut last = self.now;
        for _ in 0..2000 {
            self.turn();
            turns = if last == self.now { turns + 1 } else { 0 };
            assert!(turns < TURNS_MAX, "{TURNS_MAX} turns at {:?}", self.now);
            last = self.now;
            match self.stack.next_deadline(self.now) {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
        }
        self.now = self.now.max(until);
        self.turn();
        self.note();
    }

    fn input(&mut self, frame: &[u8]) {
        self.stack.on_frame(self.id, RxFrame::plain(&[frame]), self.now);
        self.turn();
        let addresses = self.stack.addresses().of(self.id).count();
        assert!(addresses <= ADDRESSES_MAX, "{addresses} addresses");
        assert!(self.stack.learnt_routes().count() <= 40 && self.stack.dns_servers().count() <= 256);
    }

    fn note(&mut self) {
        let has = |origin| self.stack.addresses().of(self.id).any(|a| a.origin == origin);
        let (dhcpv6, slaac) = (has(Origin::Dhcpv6), has(Origin::Stable));
        self.reached.dhcpv4 |= self.stack.dhcp(self.id).is_some_and(|client| client.lease().is_some());
        self.reached.dhcpv6 |= dhcpv6;
        self.reached.slaac |= slaac;
    }

    fn step(&mut self, what: u8, bytes: &[u8]) {
        let first = bytes.first().copied().unwrap_or(0);
        match what % 8 {
            0 => self.pass(Duration::from_millis(1 << (first % 31))),
            1 => {
                let known = if first.is_multiple_of(2) {
                    self.stack.link_down(self.id, self.now)
                } else {
                    self.stack.link_up(self.id, self.now)
                };
                known.expect("it is there");
            }
            2 => self.answer_v4(first, bytes.get(1..).unwrap_or_default()),
            3 | 4 => self.answer_v6(first, bytes.get(1..).unwrap_or_default()),
            5 => self.advertise(first, bytes.get(1..).unwrap_or_default()),
            6 => self.input(&udp(MACS, (SERVER_V4.into(), Ipv4Addr::BROADCAST.into()), (67, 68), bytes)),
            _ => {
                let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
                self.input(&udp(MACS, (SERVER_V6.into(), own.into()), (547, 546), bytes));
            }
        }
    }

    /// The fixed fields of the last question with other options.
    fn answer_v4(&mut self, kind: u8, bytes: &[u8]) {
        if self.asked_v4.len() < 240 {
            return;
        }
        let mut message = self.asked_v4[..240].to_vec();
        message[0] = 2;
        message[16..20].copy_from_slice(&[10, 0, 0, 2 + kind / 64]);
        message.extend([53, 1, [2, 5, 6, 5][usize::from(kind % 4)], 54, 4, 10, 0, 0, 1]);
        let good = [51, 4, 0, 0, kind, 60, 1, 4, 255, 255, 255, 0];
        message.extend_from_slice(if kind & 8 == 0 { &good } else { &[] });
        message.extend_from_slice(bytes);
        self.input(&udp(MACS, (SERVER_V4.into(), Ipv4Addr::BROADCAST.into()), (67, 68), &message));
    }

    /// The number and the client of the last question, a server, and options: an address where a bit says so.
    fn answer_v6(&mut self, kind: u8, bytes: &[u8]) {
        let Some(client) = self.asked_v6.get(4..18) else { return };
        let mut message = vec![if kind.is_multiple_of(2) { 2 } else { 7 }];
        message.extend_from_slice(&self.asked_v6[1..4]);
        message.extend_from_slice(client);
        message.extend_from_slice(&[0, 2, 0, 4, 0, 3, 0, kind & 2]);
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(60);
        if kind & 4 == 0 {
            let mut inner =
                vec![0, 0, 0, self.id.zone() as u8, 0, 0, byte(0), byte(1), 0, 0, byte(2), byte(3)];
            inner.extend_from_slice(&[
                0,
                5,
                0,
                24,
                0x20,
                1,
                13,
                0xb8,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                byte(4),
            ]);
            inner.extend_from_slice(&[0, 0, byte(5), byte(6), 0, 0, byte(7), byte(8)]);
            message.extend_from_slice(&[0, 3, 0, inner.len() as u8]);
            message.extend_from_slice(&inner);
        }
        if kind & 8 == 0 {
            message.extend_from_slice(&[0, 14, 0, 0]);
        }
        message.extend_from_slice(bytes.get(9..).unwrap_or_default());
        let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
        self.input(&udp(MACS, (SERVER_V6.into(), own.into()), (547, 546), &message));
    }

    /// A router advertisement with these flags, and a prefix for each sixth byte.
    fn advertise(&mut self, flags: u8, bytes: &[u8]) {
        let mut message = vec![134, 0, 0, 0, 64, flags & 0xd8, 7, flags, 0, 0, 0, 0, 0, 0, 0, 0];
        for prefix in bytes.chunks_exact(6).take(20) {
            let [kind, len, valid, preferred, a, b] = *prefix else { continue };
            match kind % 4 {
                0 | 1 => {
                    let len = if kind & 4 == 0 { 64 } else { len };
                    message.extend_from_slice(&[
                        3,
                        4,
                        len,
                        kind & 0xc0 | 0x40,
                        0,
                        0,
                        valid,
                        b,
                        0,
                        0,
                        preferred,
                        a,
                    ]);
                    message.extend_from_slice(&[
                        0, 0, 0, 0, 0x20, 1, 13, 0xb8, 0, 0, 0, a, 0, 0, 0, 0, 0, 0, 0, 0,
                    ]);
                }
                2 => {
                    message.extend_from_slice(&[25, 3, 0, 0, 0, 0, valid, b]);
                    message.extend_from_slice(&[0x20, 1, 13, 0xb8, 0, 0, 0, a, 0, 0, 0, 0, 0, 0, 0, 0x53]);
                }
                _ => message.extend_from_slice(&[len, 1, 0, 0, 0, 0, a, b]),
            }
        }
        let addresses = (SERVER_V6.into(), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into());
        self.input(&frame(MACS, addresses, 58, 2, &message));
    }
}

/// Hardware addresses: from the server, to us.
const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 9], MAC);

/// Runs what `bytes` stand for, and lets the interface go.
///
/// # Panics
///
/// When the stack breaks a promise.
pub fn servers(bytes: &[u8]) -> Reached {
    let (mode, mut bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let mut world = World::new(*mode);
    world.pass(Duration::from_secs(3));
    let mut steps = 0;
    while let [what, len, rest @ ..] = bytes {
        let (step, after) = rest.split_at(rest.len().min(usize::from(*len)));
        world.step(*what, step);
        bytes = after;
        steps += 1;
        if steps == 300 {
            break;
        }
    }
    world.pass(Duration::from_secs(5));
    world.stack.remove_interface(world.id, world.now).expect("it is there");
    assert_eq!(world.stack.addresses().iter().count() + world.stack.learnt_routes().count(), 0);
    assert_eq!(
        (world.stack.memory().0, world.stack.next_deadline(world.now)),
        (0, None),
        "something is left"
    );
    world.reached
}
