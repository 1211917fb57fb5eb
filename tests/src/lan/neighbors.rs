//! What the hosts stand against: a DHCP server, three routers, and who has what others want.

use super::super::sim::Random;
use super::hosts::{GATEWAY, OUTSIDE, OUTSIDE_MAC};
use super::packets::{frame, neighbor_advert, udp};
use barenet::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER_MAC: [u8; 6] = [2, 0, 0, 2, 0, 1];
const SQUATTER_MAC: [u8; 6] = [2, 0, 0, 2, 0, 2];
const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 2, 0, 3];
/// The first address that the server gives; the unlucky host's is this one's.
const SQUATTED: Ipv4Addr = Ipv4Addr::new(10, 0, 255, 1);
const ROUTERS: usize = 3;
/// Between two advertisements to all (RFC 4861 §6.2.6), and how often one is sent unasked.
const PAUSE: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_secs(8);

struct Router {
    is_alive: bool,
    /// When it advertises next, and when it did last.
    next: Instant,
    last: Option<Instant>,
}

pub(super) struct Neighbors {
    routers: [Router; ROUTERS],
    /// The hosts whose addresses are somebody's.
    unlucky: [[u8; 6]; 2],
    squatted_v6: Option<Ipv6Addr>,
    leases: BTreeMap<[u8; 6], Ipv4Addr>,
    given: u16,
    pub(super) declined: usize,
    /// The hardware addresses of who sent to the outside.
    seen: BTreeMap<Ipv6Addr, [u8; 6]>,
}

fn router_mac(n: usize) -> [u8; 6] {
    [2, 0, 0, 1, 0, n as u8]
}

fn router(n: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, n as u16)
}

/// The 16 bytes from there on.
fn address(bytes: &[u8], at: usize) -> Ipv6Addr {
    bytes[at..at + 16].first_chunk::<16>().map(|a| Ipv6Addr::from(*a)).expect("16 bytes")
}

/// The value of an option of DHCP.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [code, len, rest @ ..] = options {
        if *code == 0 {
            options = &options[1..];
            continue;
        }
        let (value, after) = rest.split_at_checked(usize::from(*len))?;
        if *code == wanted {
            return Some(value);
        }
        options = after;
    }
    None
}

/// What is said, and whether to the outside.
type Said = Vec<(bool, Vec<u8>)>;

impl Neighbors {
    pub(super) fn new(unlucky: [[u8; 6]; 2], start: Instant) -> Neighbors {
        let routers = std::array::from_fn(|n| Router {
            is_alive: true,
            next: start + Duration::from_millis(400 * n as u64),
            last: None,
        });
        let (leases, seen) = (BTreeMap::new(), BTreeMap::new());
        Neighbors { routers, unlucky, squatted_v6: None, leases, given: 0, declined: 0, seen }
    }

    /// The addresses that are somebody's.
    pub(super) fn taken(&self) -> (IpAddr, Option<IpAddr>) {
        (SQUATTED.into(), self.squatted_v6.map(Into::into))
    }

    /// The router that all prefer says and does no more.
    pub(super) fn kill(&mut self) {
        self.routers[0].is_alive = false;
    }

    pub(super) fn deadline(&self) -> Instant {
        let alive = self.routers.iter().filter(|r| r.is_alive);
        alive.map(|r| r.next).min().expect("some are alive")
    }

    pub(super) fn on_timer(&mut self, now: Instant, random: &mut Random) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        for (n, r) in self.routers.iter_mut().enumerate().filter(|(_, r)| r.is_alive && r.next <= now) {
            (r.last, r.next) = (Some(now), now + INTERVAL + Duration::from_millis(random.below(1000)));
            // High, medium, low (RFC 4191 §2.1).
            let preference = [0x08, 0x00, 0x18][n];
            let mut message = vec![134, 0, 0, 0, 64, preference, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
            message.extend_from_slice(&router_mac(n));
            message.extend_from_slice(&[3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0]);
            message.extend_from_slice(&Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).octets());
            let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            said.push(frame(
                (router_mac(n), [0x33, 0x33, 0, 0, 0, 1]),
                (router(n).into(), to.into()),
                58,
                2,
                &message,
            ));
        }
        said
    }

    /// A frame crosses the link: what is said to it.
    pub(super) fn on_frame(&mut self, bytes: &[u8], now: Instant, random: &mut Random) -> Said {
        match bytes[12..14] {
            [8, 6] => self.arp(bytes),
            [8, 0] if bytes[23] == 17 && bytes[36..38] == [0, 67] => self.dhcp(bytes),
            [0x86, 0xdd] if bytes[20] == 58 && bytes[54] == 133 => {
                for r in &mut self.routers {
                    let soonest = r.last.map_or(now, |last| last + PAUSE);
                    r.next = r.next.min(now.max(soonest) + Duration::from_millis(random.below(500)));
                }
                Vec::new()
            }
            [0x86, 0xdd] if bytes[20] == 58 && bytes[54] == 135 => self.solicited(bytes),
            [0x86, 0xdd] => self.forward(bytes),
            _ => Vec::new(),
        }
    }

    /// Who has the address that the unlucky host gets says so.
    fn arp(&self, bytes: &[u8]) -> Said {
        let is_asked =
            bytes[20..22] == [0, 1] && bytes[38..42] == SQUATTED.octets() && bytes[6..12] != SQUATTER_MAC;
        if !is_asked {
            return Vec::new();
        }
        let fixed = [0, 1, 8, 0, 6, 4, 0, 2];
        let reply = [
            &bytes[6..12],
            &SQUATTER_MAC,
            &[8, 6],
            &fixed,
            &SQUATTER_MAC,
            &SQUATTED.octets(),
            &bytes[22..32],
        ];
        vec![(false, reply.concat())]
    }

    //= rfc2131#4.3
    fn dhcp(&mut self, bytes: &[u8]) -> Said {
        let message = &bytes[42..];
        let mac: [u8; 6] = *message[28..34].first_chunk().expect("a hardware address");
        let kind = option(&message[240..], 53).and_then(|kind| kind.first().copied());
        if kind == Some(4) {
            self.declined += 1;
            self.leases.remove(&mac);
            return Vec::new();
        }
        let answer = match kind {
            Some(1) => 2,
            Some(3) => 5,
            _ => return Vec::new(),
        };
        let is_first = mac == self.unlucky[0] && self.declined == 0;
        let given = &mut self.given;
        let lease = *self.leases.entry(mac).or_insert_with(|| {
            *given += 1;
            let [high, low] = given.to_be_bytes();
            if is_first { SQUATTED } else { Ipv4Addr::new(10, 0, 1 + high, low) }
        });
        let mut reply = message[..240].to_vec();
        reply[0] = 2;
        reply[16..20].copy_from_slice(&lease.octets());
        reply.extend_from_slice(&[
            53, 1, answer, 54, 4, 10, 0, 0, 1, 51, 4, 0, 1, 0x51, 0x80, 1, 4, 255, 255, 0, 0, 255,
        ]);
        reply.resize(300.max(reply.len()), 0);
        let addresses = (SERVER.into(), Ipv4Addr::BROADCAST.into());
        vec![(false, udp((SERVER_MAC, mac), addresses, (67, 68), &reply))]
    }

    /// Routers answer for themselves; and somebody for what the unlucky host wants.
    fn solicited(&mut self, bytes: &[u8]) -> Said {
        let (source, target) = (address(bytes, 22), address(bytes, 62));
        let mac: [u8; 6] = *bytes[6..12].first_chunk().expect("a hardware address");
        let is_global = target.segments()[0] == 0x2001;
        if source.is_unspecified() && is_global && mac == self.unlucky[1] && self.squatted_v6.is_none() {
            self.squatted_v6 = Some(target);
        }
        let of_router = (0..ROUTERS).find(|n| router(*n) == target && self.routers[*n].is_alive);
        match of_router {
            Some(n) => vec![(false, neighbor_advert(router_mac(n), target, (mac, source), true))],
            None if self.squatted_v6 == Some(target) && mac != SQUATTER_MAC => {
                vec![(false, neighbor_advert(SQUATTER_MAC, target, (mac, source), false))]
            }
            None => Vec::new(),
        }
    }

    /// Routers that are alive carry packets to the outside.
    fn forward(&mut self, bytes: &[u8]) -> Said {
        let is_to = |n: &usize| bytes[..6] == router_mac(*n) && self.routers[*n].is_alive;
        if (0..ROUTERS).find(is_to).is_none() || address(bytes, 38) != OUTSIDE {
            return Vec::new();
        }
        let mac = *bytes[6..12].first_chunk().expect("a hardware address");
        self.seen.insert(address(bytes, 22), mac);
        let mut out = bytes.to_vec();
        out[..6].copy_from_slice(&OUTSIDE_MAC);
        out[6..12].copy_from_slice(&GATEWAY_MAC);
        out[21] -= 1;
        vec![(true, out)]
    }

    /// The outside says something: its gateway answers for itself, and carries the rest to the hosts.
    pub(super) fn by_outside(&self, bytes: &[u8]) -> Said {
        if bytes[12..14] != [0x86, 0xdd] {
            return Vec::new();
        }
        if bytes[20] == 58 && bytes[54] == 135 {
            let (source, target) = (address(bytes, 22), address(bytes, 62));
            let is_asked = target == GATEWAY && !source.is_unspecified();
            let advert = neighbor_advert(GATEWAY_MAC, target, (OUTSIDE_MAC, source), true);
            return if is_asked { vec![(true, advert)] } else { Vec::new() };
        }
        let (Some(mac), Some(n)) =
            (self.seen.get(&address(bytes, 38)), self.routers.iter().position(|r| r.is_alive))
        else {
            return Vec::new();
        };
        let mut carried = bytes.to_vec();
        carried[..6].copy_from_slice(mac);
        carried[6..12].copy_from_slice(&router_mac(n));
        carried[21] -= 1;
        vec![(false, carried)]
    }
}
