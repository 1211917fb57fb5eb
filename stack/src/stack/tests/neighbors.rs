//! Strangers pay for their own: floods of invented neighbours, and many real ones at once.

use core::net::SocketAddr;

use super::input::{PEER, fix_ipv4, icmp, packet_to};
use super::*;
use crate::ip::addresses::Cidr;
use crate::time::Duration;
use crate::udp::{DatagramHandle, DatagramKind};
use crate::wire::{ArpOperation, ArpPacket, icmpv4, protocol};

pub(super) fn at(ms: u64) -> Instant {
    T0 + Duration::from_millis(ms)
}

/// 10.9.0.1/16 on a stack with so many places for neighbours.
pub(super) fn host_with(neighbors: usize) -> Host {
    let device = Wire::new(1);
    let limits = Limits { neighbors, ..Limits::default() };
    let mut stack = Stack::new(Storage::heap(&limits), [7; 32]);
    let id = stack.add_interface(device.capabilities()).unwrap();
    stack.add_address(id, Cidr { address: own().into(), prefix_len: 16 }, Instant::ZERO).unwrap();
    Host { stack, device, id }
}

fn own() -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, 1)
}

fn neighbor(high: u8, low: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, high, low)
}

fn socket(host: &mut Host) -> DatagramHandle {
    host.stack.datagram_bind(DatagramKind::Udp, (own(), 0).into(), false).unwrap()
}

fn send(host: &mut Host, socket: DatagramHandle, to: Ipv4Addr, now: Instant) -> Result<usize, Error> {
    host.stack.datagram_send(socket, Some(SocketAddr::from((to, 9))), b"data", None, now)
}

/// Whom a frame asks for, if it is an ARP request.
pub(super) fn asked(frame: &[u8]) -> Option<Ipv4Addr> {
    let is_request = frame[12..14] == [8, 6] && frame[20..22] == [0, 1];
    is_request.then(|| Ipv4Addr::from(<[u8; 4]>::try_from(&frame[38..42]).unwrap()))
}

/// Where a frame with a datagram goes.
fn datagram_to(frame: &[u8]) -> Option<Ipv4Addr> {
    let is_udp = frame[12..14] == [8, 0] && frame[23] == protocol::UDP;
    is_udp.then(|| Ipv4Addr::from(<[u8; 4]>::try_from(&frame[30..34]).unwrap()))
}

pub(super) fn answer(host: &mut Host, from: Ipv4Addr, now: Instant) {
    let reply = ArpPacket {
        operation: ArpOperation::Reply,
        sender_mac: PEER,
        sender: from,
        target_mac: host.device.mac,
        target: own(),
    };
    host.input(&reply.emit(host.device.mac), now);
}

/// An echo request from an address that changes with `n`, and that no station has.
fn spoofed(frame: &mut [u8], n: u32) {
    let [_, _, high, low] = n.to_be_bytes();
    frame[28..30].copy_from_slice(&[128 | high, low]);
    fix_ipv4(frame);
}

/// 10,000 spoofed pings a second, meanwhile an active neighbour that gets a datagram every 100 ms, and
/// a new one each second. Strangers ask for us as well, half of the time.
fn flood(neighbors: usize, seconds: u64) {
    let mut host = host_with(neighbors);
    let socket = socket(&mut host);
    let active = neighbor(1, 1);
    let ping = icmp(neighbor(128, 0).into(), own().into(), icmpv4::ECHO, b"ping");
    let mut ping = packet_to(&host, neighbor(128, 0).into(), own().into(), protocol::ICMP, &ping);
    let (mut n, mut sent, mut arrived, mut news) = (0, 0, 0, Vec::new());
    for ms in 0..seconds * 1000 {
        let now = at(ms);
        for _ in 0..10 {
            n += 1;
            spoofed(&mut ping, n);
            host.input(&ping, now);
        }
        if ms / 500 % 2 == 1 {
            let from = neighbor(128 | (ms >> 8) as u8, ms as u8);
            let question = ArpPacket {
                operation: ArpOperation::Request,
                sender_mac: PEER,
                sender: from,
                target_mac: Mac::default(),
                target: own(),
            };
            host.input(&question.emit(Mac::BROADCAST), now);
        }
        if ms % 100 == 50 {
            send(&mut host, socket, active, now).unwrap();
            sent += 1;
        }
        let new = neighbor(2, (ms / 1000) as u8);
        if ms % 1000 == 777 {
            send(&mut host, socket, new, now).unwrap();
            news.push((new, ms));
        }
        host.stack.on_timers(now);
        for frame in host.output(now) {
            let who = asked(&frame);
            if let Some(who) = who.filter(|who| who.octets()[2] < 128) {
                answer(&mut host, who, now);
            }
            let to = datagram_to(&frame);
            arrived += usize::from(to == Some(active));
            news.retain(|(new, since)| to != Some(*new) || ms - since > 10);
        }
    }
    assert_eq!((arrived, news), (sent, Vec::new()));
    let counters = host.stack.counters();
    assert_eq!(counters.drops(Drop::NeighborQueueFull), 0);
    assert!(counters.drops(Drop::NeighborDenied) > n as u64 / 2);
}

/// H240, H242, H195, RFC 6583 §3: a new neighbour is asked at once and an active one loses nothing, however many
/// strangers are invented.
#[test]
fn a_flood_of_spoofed_pings_costs_nobody_else() {
    flood(Limits::default().neighbors, 60);
}

/// The same with the few places of a stack without a heap.
#[test]
fn a_flood_of_spoofed_pings_costs_nobody_else_in_a_small_table() {
    flood(8, 5);
    flood(16, 5);
}

/// H241, RFC 4861 §7.2.2, RFC 1122 §2.3.2.1 and §2.3.2.2: the limit of questions is each neighbour's own, and
/// the first packet of each waits.
#[test]
fn many_neighbors_at_once_are_all_reached() {
    let mut host = host_with(256);
    let socket = socket(&mut host);
    for low in 0..250 {
        send(&mut host, socket, neighbor(3, low), T0).unwrap();
    }
    let asked: Vec<Ipv4Addr> = host.output(T0).iter().filter_map(|f| asked(f)).collect();
    assert_eq!(asked.len(), 250);
    asked.iter().for_each(|who| answer(&mut host, *who, at(20)));
    let reached: Vec<Ipv4Addr> = host.output(at(20)).iter().filter_map(|f| datagram_to(f)).collect();
    assert_eq!(reached, asked);
    assert_eq!(host.stack.counters().drops_seen().count(), 0);
}

/// H100: one silent neighbour's packets leave room for the others', and answers wait behind both.
#[test]
fn a_silent_neighbor_takes_only_its_own() {
    let mut host = host_with(64);
    let socket = socket(&mut host);
    for _ in 0..1000 {
        send(&mut host, socket, neighbor(3, 0), T0).unwrap();
    }
    for low in 1..40 {
        send(&mut host, socket, neighbor(3, low), T0).unwrap();
    }
    host.output(T0);
    (1..40).for_each(|low| answer(&mut host, neighbor(3, low), at(1)));
    assert_eq!(host.output(at(1)).iter().filter_map(|f| datagram_to(f)).count(), 39);
}
