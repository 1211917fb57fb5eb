//! A stack on a link that only knows IP packets, in virtual time. The link answers ARP and neighbour
//! solicitations itself, for every address.

use super::script::Script;
use super::wire::{IpPacket, Payload, protocol};
use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Device, Mac, RxChecksum, RxFrame, TxError, TxFrame};
use barenet::ip::addresses::Cidr;
use barenet::stack::{Limits, Stack, Storage};
use barenet::time::Instant;
use barenet::wait::Wait;
use barenet::{Net, Platform, TcpConfig};
use barenet_drivers::middleware::Capture;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];
const NEIGHBOR_SOLICIT: u8 = 135;
const NEIGHBOR_ADVERT: u8 = 136;
/// Messages of the link itself: router and neighbour discovery, MLD.
const LINK_LOCAL_ICMPV6: std::ops::RangeInclusive<u8> = 130..=143;

/// Where the clock starts: timestamps of before the start must exist.
const EPOCH: u64 = 1_000_000_000;
/// At one instant a stack comes to rest in a few turns.
const TURNS_MAX: usize = 10_000;

/// The clock of one world.
struct Clock(AtomicU64);

impl Platform for Clock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::SeqCst))
    }
    fn idle(&self, _: Option<Instant>) {}
    fn wake(&self) {}
}

/// Nobody blocks in the stack: whoever waits asks again.
struct Asking;

impl Wait for Asking {
    fn block_on(&self, _: &Net, _: Option<Instant>, poll: &mut dyn FnMut(&mut Context<'_>) -> bool) -> bool {
        poll(&mut Context::from_waker(std::task::Waker::noop()))
    }

    fn spawn(
        &self,
        _: String,
        job: Box<dyn FnOnce() + Send>,
        _: Box<dyn FnOnce() + Send>,
    ) -> Result<(), barenet::Error> {
        job();
        Ok(())
    }
}

#[derive(Default)]
struct Queues {
    to_stack: VecDeque<Vec<u8>>,
    from_stack: VecDeque<(u64, Vec<u8>)>,
}

#[derive(Clone)]
struct Link {
    queues: Arc<Mutex<Queues>>,
    clock: &'static Clock,
    mtu: u16,
}

impl Link {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for Link {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(OURS, self.mtu)
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let Some(frame) = self.queues().to_stack.pop_front() else { return false };
        let parts: [&[u8]; 1] = [&frame];
        sink(RxFrame { bytes: Bytes::new(&parts), checksum: RxChecksum::Unchecked, segment_len: None });
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let bytes = [&[frame.header], frame.payload].concat().concat();
        let now = self.clock.now().micros();
        let (header, packet) = bytes.split_at(ETHERNET);
        let kind = &header[12..14];
        let mut queues = self.queues();
        if kind == ARP {
            queues.to_stack.extend(arp_answer(packet));
        } else if kind == IPV6 && is_of_the_link(packet) {
            queues.to_stack.extend(neighbor_answer(packet));
        } else {
            queues.from_stack.push_back((now, packet.to_vec()));
        }
        Ok(())
    }
}

fn frame(kind: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [&OURS.0[..], &PEER, &kind, packet].concat()
}

/// "It is me", whoever is asked for. Who asks for its own address announces it.
fn arp_answer(question: &[u8]) -> Option<Vec<u8>> {
    if question.len() < 28 || question[6..8] != [0, 1] || question[14..18] == question[24..28] {
        return None;
    }
    let mut answer = question[..28].to_vec();
    answer[7] = 2;
    answer[8..14].copy_from_slice(&PEER);
    answer[14..18].copy_from_slice(&question[24..28]);
    answer[18..28].copy_from_slice(&question[8..18]);
    Some(frame(ARP, &answer))
}

fn is_of_the_link(packet: &[u8]) -> bool {
    // MLD comes behind a hop-by-hop header.
    packet.get(6) == Some(&0)
        || (packet.get(6) == Some(&protocol::ICMPV6)
            && packet.get(40).is_some_and(|kind| LINK_LOCAL_ICMPV6.contains(kind)))
}

/// The same for IPv6. Solicitations without a source ask whether an address is free: it is.
fn neighbor_answer(packet: &[u8]) -> Option<Vec<u8>> {
    let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
    let target: [u8; 16] = packet.get(48..64)?.try_into().ok()?;
    if packet.get(40) != Some(&NEIGHBOR_SOLICIT) || source == [0; 16] {
        return None;
    }
    let body = [&target[..], &[2, 1], &PEER].concat();
    // Router, solicited, override.
    let payload = Payload::Icmp(NEIGHBOR_ADVERT, 0, [0xe0, 0, 0, 0], body);
    let mut answer = IpPacket::new(IpAddr::from(target), IpAddr::from(source), payload);
    answer.ttl = 255;
    Some(frame(IPV6, &answer.emit()))
}

/// A stack with its link and its clock.
pub struct World {
    net: Net,
    link: Link,
}

/// The addresses of a world.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The stack's own.
    pub local: IpAddr,
    /// Bits of its network.
    pub prefix: u8,
    /// The router.
    pub gateway: IpAddr,
    /// The peer.
    pub remote: IpAddr,
    /// The largest IP packet of the link.
    pub mtu: u16,
}

impl Addresses {
    /// Those that packetdrill has by default.
    pub fn usual(v6: bool) -> Addresses {
        let parts = match v6 {
            false => ([192, 168, 0, 1].into(), 16, [192, 168, 0, 2].into(), [192, 0, 2, 1].into()),
            true => {
                let net = |rest: [u16; 2]| [0xfd3d, 0xa0b, 0x17d6, 0, 0, 0, rest[0], rest[1]].into();
                (net([0, 1]), 64, net([0, 0x8888]), [0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 1].into())
            }
        };
        let (local, prefix, gateway, remote) = parts;
        Addresses { local, prefix, gateway, remote, mtu: 1500 }
    }

    /// Those of a script: packetdrill's own defaults, or what its options say.
    pub(super) fn of(script: &Script) -> Result<Addresses, String> {
        let v6 = match script.option("ip_version") {
            None | Some("ipv4" | "ipv4-mapped-ipv6" | "ipv4_mapped_ipv6") => false,
            Some("ipv6") => true,
            Some(other) => return Err(format!("--ip_version={other} is not supported")),
        };
        let mut addresses = Addresses::usual(v6);
        for (name, place) in [
            ("local_ip", &mut addresses.local),
            ("gateway_ip", &mut addresses.gateway),
            ("remote_ip", &mut addresses.remote),
        ] {
            let Some(text) = script.option(name) else { continue };
            // A remote address may be a network.
            let address = text.split('/').next().and_then(|a| a.parse::<IpAddr>().ok());
            *place = address.ok_or_else(|| format!("--{name}={text} is no address"))?;
        }
        // packetdrill's tunnel has no other end: the link answers for any router.
        if addresses.gateway == addresses.local {
            addresses.gateway = Addresses::usual(v6).gateway;
        }
        addresses.mtu = script.option("mtu").and_then(|m| m.parse().ok()).unwrap_or(addresses.mtu);
        Ok(addresses)
    }
}

impl World {
    /// A stack with these addresses and settings. `seed` decides all that is random in it.
    ///
    /// # Errors
    ///
    /// What is wrong with the addresses or the settings.
    pub fn new(addresses: &Addresses, config: TcpConfig, seed: u8) -> Result<World, String> {
        World::captured(addresses, config, seed, None)
    }

    /// The same; what crosses the link goes into that file, too, in pcapng's format.
    ///
    /// # Errors
    ///
    /// Also when there can be no such file.
    pub fn captured(
        addresses: &Addresses,
        config: TcpConfig,
        seed: u8,
        file: Option<&Path>,
    ) -> Result<World, String> {
        let refuses = |error: barenet::Error| format!("the stack refuses: {error}");
        // The stack wants to hold its clock for ever, and it is eight bytes.
        let clock: &'static Clock = Box::leak(Box::new(Clock(AtomicU64::new(EPOCH))));
        let limits = Limits { memory: 4 << 20, connections: 64, ..Limits::default() };
        let mut stack = Stack::new(Storage::heap(&limits), [seed; 32]);
        stack.configure_tcp(|c| *c = config).map_err(refuses)?;
        let net = Net::new(stack, clock, &Asking).map_err(refuses)?;
        let link = Link { queues: Arc::default(), clock, mtu: addresses.mtu };
        let own = Cidr::new(addresses.local, addresses.prefix).map_err(refuses)?;
        let device: Box<dyn Device + Send> = match file {
            None => Box::new(link.clone()),
            Some(path) => {
                let failed = |error: std::io::Error| format!("{}: {error}", path.display());
                let file = std::fs::File::create(path).map_err(failed)?;
                let time = || core::time::Duration::from_micros(clock.now().micros() - EPOCH);
                Box::new(Capture::new(link.clone(), file, time).map_err(failed)?)
            }
        };
        net.add_interface(device, &[own], &[addresses.gateway]).map_err(refuses)?;
        let world = World { net, link };
        world.settle();
        Ok(world)
    }

    /// What sockets are opened on.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The time in microseconds.
    pub fn now(&self) -> u64 {
        self.net.now().micros()
    }

    /// Lets the stack do all that it wants to do at this instant.
    pub fn settle(&self) {
        for _ in 0..TURNS_MAX {
            self.net.turn();
            let busy = !self.link.queues().to_stack.is_empty();
            if !busy && self.deadline().is_none_or(|at| at > self.now()) {
                self.net.with_stack(|stack| stack.check());
                return;
            }
        }
        panic!("the stack does not come to rest");
    }

    /// When the stack wants its next turn although nothing arrives.
    pub fn deadline(&self) -> Option<u64> {
        let now = self.net.now();
        self.net.with_stack(|stack| stack.next_deadline(now)).map(Instant::micros)
    }

    /// Hands the stack an IP packet.
    pub fn inject(&self, packet: &[u8]) {
        let kind = if packet.first().is_some_and(|b| b >> 4 == 6) { IPV6 } else { IPV4 };
        self.link.queues().to_stack.push_back(frame(kind, packet));
        self.settle();
    }

    /// The oldest packet that the stack has sent, and when.
    pub fn sent(&self) -> Option<(u64, Vec<u8>)> {
        self.link.queues().from_stack.pop_front()
    }

    /// Is there one?
    pub fn has_sent(&self) -> bool {
        !self.link.queues().from_stack.is_empty()
    }

    /// Lets time pass up to the stack's next deadline, but not beyond `until`. False: it is `until`.
    pub fn step(&self, until: u64) -> bool {
        let next = self.deadline().filter(|at| *at < until);
        let at = next.unwrap_or(until).max(self.now());
        self.link.clock.0.store(at, Ordering::SeqCst);
        self.settle();
        next.is_some()
    }

    /// Lets time pass.
    pub fn advance(&self, until: u64) {
        while self.step(until) {}
    }
}
