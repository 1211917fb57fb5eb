//! Our addresses are announced and defended.

use super::input::{PEER, ndp_to};
use super::neighbors::at;
use super::*;
use crate::wire::{ArpOperation, ArpPacket, NeighborMessage, NeighborMessageKind};

/// ARP announcements and unsolicited advertisements among the frames, and all others.
fn sorted(frames: &[Vec<u8>]) -> (usize, usize, usize) {
    let is_arp = |f: &Vec<u8>| {
        f[..14] == [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6]
            && f[20..22] == [0, 1]
            && f[28..32] == [10, 0, 0, 1]
            && f[28..32] == f[38..42]
    };
    let is_advert = |f: &Vec<u8>| f[..6] == [0x33, 0x33, 0, 0, 0, 1] && f[54] == 136 && f[58] == 0x20;
    let arps = frames.iter().filter(|f| is_arp(f)).count();
    let adverts = frames.iter().filter(|f| is_advert(f)).count();
    (arps, adverts, frames.len() - arps - adverts)
}

/// What `host` says when it is turned by its own deadlines between two times.
fn heard(host: &mut Host, from: u64, until: u64) -> Vec<(u64, (usize, usize, usize))> {
    let (mut all, mut ms, mut turns) = (Vec::new(), from, 0);
    while ms < until {
        host.stack.on_timers(at(ms));
        let frames = host.output(at(ms));
        if !frames.is_empty() {
            all.push((ms, sorted(&frames)));
        }
        let next = host.stack.next_deadline(at(ms)).map_or(until, |next| next.since(T0).millis());
        // Reports of memberships may follow at once, but no more than that.
        turns = if next > ms { 0 } else { turns + 1 };
        assert!(turns < 3, "a deadline that passes");
        ms = next;
    }
    all
}

/// H266, RFC 5227 §2.3, RFC 4861 §7.2.6: neighbours that knew an address elsewhere are told, twice, and again
/// when the link comes up.
#[test]
fn new_addresses_are_announced() {
    let mut host = Host::fresh(1);
    assert_eq!(heard(&mut host, 0, 60_000), [(0, (1, 1, 0)), (2000, (1, 1, 0))]);
    host.stack.link_up(host.id, at(60_000)).unwrap();
    assert_eq!(heard(&mut host, 60_000, 120_000), [(60_000, (1, 1, 0)), (62_000, (1, 1, 0))]);
    // The same again with another prefix is no news, nor is one that goes.
    let address = Cidr { address: v4(1), prefix_len: 16 };
    host.stack.add_address(host.id, address, at(120_000)).unwrap();
    assert_eq!(heard(&mut host, 120_000, 130_000), []);
    // The neighbours believe it.
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    ping(&mut b, v4(1));
    settle(&mut a, &mut b, T0);
    a.device.mac = Mac([2, 0, 0, 0, 0, 0x77]);
    let mut again = Stack::new(Storage::heap(&Limits::default()), [3; 32]);
    let id = again.add_interface(a.device.capabilities()).unwrap();
    again.add_address(id, Cidr { address: v4(1), prefix_len: 24 }, at(10)).unwrap();
    again.on_timers(at(10));
    again.egress(id, &mut a.device, at(10));
    mem::take(&mut a.device.sent).iter().for_each(|frame| b.input(frame, at(10)));
    ping(&mut b, v4(1));
    assert_eq!(b.output(at(10))[0][..6], a.device.mac.0);
}

/// H266, RFC 5227 §2.4(c): a conflict has its name, is told, and our address defended, every ten seconds.
#[test]
fn a_conflict_is_told_and_defended() {
    let mut host = Host::new(1);
    let arp = |operation, sender_mac| ArpPacket {
        operation,
        sender_mac,
        sender: Ipv4Addr::new(10, 0, 0, 1),
        target_mac: Mac::default(),
        target: Ipv4Addr::new(10, 0, 0, 1),
    };
    let IpAddr::V6(own) = host.link_local() else { panic!() };
    let kind = NeighborMessageKind::Advert { router: false, solicited: false, override_known: true };
    let advert = |mac| NeighborMessage { kind, target: own, mac: Some(mac), nonce: None };
    let all_nodes = "ff02::1".parse().unwrap();
    let claims = [
        arp(ArpOperation::Request, PEER).emit(Mac::BROADCAST).to_vec(),
        arp(ArpOperation::Reply, PEER).emit(host.device.mac).to_vec(),
        ndp_to(&host, own.into(), all_nodes, &advert(PEER)),
    ];
    for (round, claim) in [&claims[0], &claims[1], &claims[2]].into_iter().enumerate() {
        // One of the family, and no more for ten seconds.
        let expected = if round == 2 { (0, 1, 0) } else { (1, 0, 0) };
        let start = 10_000 * (round as u64 + 1);
        for ms in [0, 1, 5000, 9999] {
            host.input(claim, at(start + ms));
            let defended = sorted(&host.output(at(start + ms)));
            assert_eq!(defended, if ms == 0 { expected } else { (0, 0, 0) });
        }
    }
    let counted: u64 = host.stack.counters().drops(Drop::AddressConflict);
    assert_eq!((counted, drops(&host).len()), (12, 1));
    let told = host.stack.events().recent().filter(|(_, e)| {
        matches!(e, Event::AddressConflict(id, a, PEER) if *id == host.id && (*a == v4(1) || *a == own))
    });
    assert_eq!(told.count(), 3);
    // Our own frames that come back are no conflict.
    host.input(&arp(ArpOperation::Request, host.device.mac).emit(Mac::BROADCAST), at(90_000));
    assert!(host.output(at(90_000)).is_empty());
    assert_eq!(host.stack.counters().drops(Drop::ArpAddress), 1);
}
