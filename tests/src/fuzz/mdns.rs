//! Neighbours that say anything by multicast DNS: a host that has a name and a service, and questions, answers, claims of the same names, its
//! own messages reflected, whole and cut. Whatever they say, nothing panics or spins, a message is answered by a bounded number of
//! others, the host always has a name, and in the end nothing is left.
//!
//! An input is a list of steps: what is done, how much follows, and what.

use super::line::{Line, MAC};
use crate::lan::packets::udp;
use barenet::device::{Device, RxFrame};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::Cidr;
use barenet::names::{Announcement, AnnouncementId, DnsConfig, MdnsStorage, NamesStorage};
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::{Duration, Instant};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const PEER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// Turns at one instant: more is a stack that spins.
const TURNS_MAX: usize = 200;
/// Messages in a turn: more is an amplifier.
const SENT_MAX: usize = 32;

/// The service.
const PAGE: Announcement<'static> =
    Announcement { instance: "Attic", service: "_http._tcp", port: 80, texts: &["path=/"] };

/// Names that messages are about, as they lie in one.
const NAMES: [&[u8]; 7] = [
    b"\x06sensor\x05local\0",
    b"\x08sensor-2\x05local\0",
    b"\x05Attic\x05_http\x04_tcp\x05local\0",
    b"\x05_http\x04_tcp\x05local\0",
    b"\x09_services\x07_dns-sd\x04_udp\x05local\0",
    b"\x012\x010\x010\x0210\x07in-addr\x04arpa\0",
    b"\0",
];

struct World {
    stack: Stack<'static>,
    line: Line,
    id: InterfaceId,
    service: AnnouncementId,
    now: Instant,
    /// The last message of ours.
    said: Vec<u8>,
    answers: usize,
}

impl World {
    fn new() -> World {
        let mut stack = Stack::new(Storage::heap(&Limits::default()), [6; 32]);
        let line = Line::default();
        let id = stack.add_interface(line.capabilities()).expect("a place");
        let now = Instant::from_millis(1000);
        stack.add_address(id, Cidr::new(OWN.into(), 24).expect("a network"), now).expect("a place");
        stack.start_names(DnsConfig::DEFAULT, NamesStorage::heap());
        stack.start_mdns(MdnsStorage::heap());
        stack.announce_host("sensor", now).expect("a name");
        let service = stack.announce_service(PAGE, now).expect("a service");
        let mut world = World { stack, line, id, service, now, said: Vec::new(), answers: 0 };
        world.pass(Duration::from_secs(5));
        world
    }

    /// One turn; messages of ours are counted, and the last is kept.
    fn turn(&mut self) {
        self.stack.on_timers(self.now);
        self.stack.egress(self.id, &mut self.line, self.now);
        while self.stack.next_woken().is_some() {}
        let mut sent = 0;
        for frame in self.line.0.drain(..) {
            let at = if frame[12..14] == [8, 0] { 34 } else { 54 };
            if frame.len() > at + 8
                && frame[at - if at == 34 { 11 } else { 34 }] == 17
                && frame[at..at + 2] == [0x14, 0xe9]
            {
                self.said = frame[at + 8..].to_vec();
                sent += 1;
                self.answers += usize::from(self.said[2] & 0x80 != 0);
            }
        }
        assert!(sent <= SENT_MAX, "{sent} messages at once");
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let (mut turns, mut last) = (0, self.now);
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
    }

    /// A message comes: to the group or to us, from the port of mDNS or another, over both families.
    fn hear(&mut self, how: u8, message: &[u8]) {
        let port = if how & 1 == 0 { 5353 } else { 40_000 };
        let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
        let (from, group, alone): (IpAddr, IpAddr, IpAddr) = match how & 2 {
            0 => (Ipv4Addr::new(10, 0, 0, 9).into(), GROUP_V4.into(), OWN.into()),
            _ => (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9).into(), GROUP_V6.into(), own.into()),
        };
        let (mac, to) = match (how & 4, group) {
            (0, IpAddr::V4(_)) => ([1, 0, 0x5e, 0, 0, 0xfb], group),
            (0, IpAddr::V6(_)) => ([0x33, 0x33, 0, 0, 0, 0xfb], group),
            _ => (MAC, alone),
        };
        let frame = udp((PEER, mac), (from, to), (port, 5353), message);
        self.stack.on_frame(self.id, RxFrame::plain(&[&frame]), self.now);
        self.turn();
    }

    fn step(&mut self, what: u8, bytes: &[u8]) {
        let (first, rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
        match what % 8 {
            0 => self.pass(Duration::from_millis(1 << (first % 24))),
            1 => {
                let known = match first % 2 {
                    0 => self.stack.link_down(self.id, self.now),
                    _ => self.stack.link_up(self.id, self.now),
                };
                known.expect("it is there");
            }
            2 => self.hear(first, &message(0, rest)),
            3 | 4 => self.hear(first, &message(0x84, rest)),
            5 => self.hear(first, rest),
            6 => {
                let mut said = self.said.clone();
                said.iter_mut().zip(rest.chunks(2)).for_each(|(byte, flip)| *byte ^= flip[0]);
                self.hear(first, &said);
            }
            _ => {
                self.stack.withdraw_service(self.service, self.now).expect("it is announced");
                self.turn();
                self.service = self.stack.announce_service(PAGE, self.now).expect("a place again");
            }
        }
    }
}

/// A message: each two bytes are a question or a record, by name, type and what it says.
fn message(flags: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![0, 0, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut counts = [0u8; 4];
    for pair in bytes.chunks_exact(2).take(40) {
        let [which, what] = *pair else { continue };
        match NAMES.get(usize::from(which % 9)) {
            Some(name) => all.extend_from_slice(name),
            None => all.extend([0xc0, which]),
        }
        let kind = [1, 28, 12, 33, 16, 255, 47, 5][usize::from(what % 8)];
        let class = if what & 8 == 0 { 0 } else { 0x80 };
        all.extend([0, kind, class, 1]);
        // Questions come first; what comes later in another section does not fit, which nobody may mind.
        if flags == 0 && what & 0x10 == 0 {
            counts[0] += 1;
            continue;
        }
        counts[usize::from(1 + what / 32 % 3)] += 1;
        let data: Vec<u8> = match kind {
            1 => vec![10, 0, 0, which],
            28 => vec![which; 16],
            12 | 5 => NAMES[usize::from(what / 16) % 7].to_vec(),
            33 => [&[0, 0, 0, 0, 0, which][..], NAMES[0]].concat(),
            _ => vec![which; usize::from(what / 16)],
        };
        all.extend([0, 0, 0, which, 0, data.len() as u8]);
        all.extend(data);
    }
    for (n, count) in counts.into_iter().enumerate() {
        all[5 + 2 * n] = count;
    }
    all
}

/// Runs what `bytes` stand for, and says how many answers and announcements the host sent.
///
/// # Panics
///
/// When the stack breaks a promise.
pub fn mdns(mut bytes: &[u8]) -> usize {
    let mut world = World::new();
    let mut steps = 0;
    while let [what, len, rest @ ..] = bytes {
        let (step, after) = rest.split_at(rest.len().min(usize::from(*len)));
        world.step(*what, step);
        bytes = after;
        steps += 1;
        if steps == 200 {
            break;
        }
    }
    world.stack.link_up(world.id, world.now).expect("it is there");
    world.pass(Duration::from_secs(30));
    assert!(world.stack.announced_host().is_some(), "it has no name any more");
    world.stack.remove_interface(world.id, world.now).expect("it is there");
    assert_eq!(world.stack.memory().0, 0, "something is left");
    world.answers
}
