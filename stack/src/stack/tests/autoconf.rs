//! IPv6 that configures itself: duplicate address detection, routers, prefixes, redirects.

use core::net::Ipv6Addr;

use super::input::{PEER, ndp_to, packet_to};
use super::neighbors::at;
use super::*;
use crate::config::Ipv6Config;
use crate::ip::addresses::{AddressState, Origin};
use crate::ip::learnt::LearntFrom;
use crate::time::Duration;
use crate::wire::{self, NeighborMessage, NeighborMessageKind, protocol};

const ROUTER: &str = "fe80::9";
const ALL_NODES: &str = "ff02::1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn v6(address: IpAddr) -> Ipv6Addr {
    let IpAddr::V6(address) = address else { panic!("{address}") };
    address
}

/// A router advertisement, and the options that it is to have.
pub(super) struct Advert(Vec<u8>);

impl Advert {
    pub(super) fn new(lifetime: u16) -> Advert {
        let [a, b] = lifetime.to_be_bytes();
        Advert(std::vec![134, 0, 0, 0, 64, 0, a, b, 0, 0, 0, 0, 0, 0, 0, 0])
    }
    fn with(mut self, option: &[u8]) -> Advert {
        self.0.extend_from_slice(option);
        self
    }
    pub(super) fn flags(mut self, flags: u8) -> Advert {
        self.0[5] = flags;
        self
    }
    fn mac(self, last: u8) -> Advert {
        self.with(&[1, 1, 2, 0, 0, 0, 0, last])
    }
    /// L and A are 0x80 and 0x40.
    fn prefix(self, prefix: &str, len: u8, flags: u8, preferred: u32, valid: u32) -> Advert {
        let mut option = std::vec![3, 4, len, flags];
        option.extend(valid.to_be_bytes());
        option.extend(preferred.to_be_bytes());
        option.extend([0; 4]);
        option.extend(v6(ip(prefix)).octets());
        self.with(&option)
    }
    fn mtu(self, mtu: u32) -> Advert {
        self.with(&[[5, 1, 0, 0], mtu.to_be_bytes()].concat())
    }
    pub(super) fn frame(&self, host: &Host, from: &str) -> Vec<u8> {
        frame(host, ip(from), ip(ALL_NODES), self.0.clone())
    }
}

fn frame(host: &Host, from: IpAddr, to: IpAddr, mut message: Vec<u8>) -> Vec<u8> {
    message[2..4].fill(0);
    let mut sum = wire::pseudo_header(from, to, protocol::ICMPV6, message.len());
    sum.add(&message);
    message[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    packet_to(host, from, to, protocol::ICMPV6, &message)
}

/// Turns the host by its own deadlines until `until`; gives what it sent, with the time.
pub(super) fn run(host: &mut Host, from: u64, until: u64) -> Vec<(u64, Vec<u8>)> {
    let (mut sent, mut ms) = (Vec::new(), from);
    loop {
        host.stack.on_timers(at(ms));
        sent.extend(host.output(at(ms)).into_iter().map(|f| (ms, f)));
        let next =
            host.stack.next_deadline(at(ms)).map_or(u64::MAX, |at| at.since(T0).micros().div_ceil(1000));
        if next > until {
            return sent;
        }
        ms = next.max(ms);
    }
}

fn configured(config: Ipv6Config) -> Host {
    let mut host = Host::new(1);
    host.stack.configure_ipv6(host.id, config, T0).unwrap();
    host
}

/// A host whose link-local address is its own, two seconds on.
fn settled(config: Ipv6Config) -> Host {
    let mut host = configured(config);
    run(&mut host, 0, 2000);
    host
}

fn plain() -> Ipv6Config {
    Ipv6Config { temporary: false, ..Ipv6Config::default() }
}

pub(super) fn of(host: &Host, origin: Origin) -> Vec<(Ipv6Addr, AddressState)> {
    let all = host.stack.addresses().of(host.id).filter(|a| a.origin == origin && a.cidr.address().is_ipv6());
    all.map(|a| (v6(a.cidr.address()), a.state)).collect()
}

fn hop(host: &Host, to: &str) -> Result<IpAddr, Error> {
    host.stack.path(ip(to), None, None).map(|p| p.next_hop)
}

fn kind(frame: &[u8]) -> Option<u8> {
    (frame[12..14] == [0x86, 0xdd] && frame[20] == 58).then(|| frame[54])
}

fn solicitation(target: Ipv6Addr, nonce: Option<[u8; 6]>) -> NeighborMessage {
    NeighborMessage { kind: NeighborMessageKind::Solicit, target, mac: None, nonce }
}

fn claim(host: &mut Host, target: Ipv6Addr, now: Instant) {
    let kind = NeighborMessageKind::Advert { router: false, solicited: false, override_known: true };
    let advert = NeighborMessage { kind, target, mac: Some(PEER), nonce: None };
    let claim = ndp_to(host, target.into(), ip(ALL_NODES), &advert);
    host.input(&claim, now);
}

/// H097, H118, RFC 4862 §5.4: after a random delay an address in doubt is asked for from `::`, to its own group, and used a second
/// later. Meanwhile routers are asked for from `::` (RFC 4861 §4.1: without an option), and then from it.
#[test]
fn link_local_passes_detection_while_routers_are_asked_for() {
    let mut host = configured(plain());
    let own = v6(host.link_local());
    assert_eq!(of(&host, Origin::LinkLocal), [(own, AddressState::Tentative)]);
    let sent = run(&mut host, 0, 30_000);
    let asked = &sent[0];
    assert!(asked.0 < 1000 && kind(&asked.1) == Some(135), "{sent:?}");
    assert_eq!((&asked.1[22..38], &asked.1[38..54]), (&[0; 16][..], &ip::solicited_node(own).octets()[..]));
    assert_eq!(asked.1[62..78], own.octets());
    assert_eq!((asked.1[21], asked.1[78], asked.1.len()), (255, 14, 86), "hop limit, and a nonce alone");
    assert_eq!(of(&host, Origin::LinkLocal), [(own, AddressState::Preferred)]);
    let routers: Vec<_> = sent.iter().filter(|(_, f)| kind(f) == Some(133)).collect();
    let said = |at: usize| (routers[at].0, &routers[at].1[22..38], &routers[at].1[62..]);
    assert_eq!(said(0), (asked.0, &[0; 16][..], &[][..]));
    assert_eq!(said(1), (asked.0 + 1000, &own.octets()[..], &[1, 1, 2, 0, 0, 0, 0, 1][..]));
    // RFC 7559: 4 s, 8 s, 16 s, a tenth more or less.
    let gaps: Vec<u64> = routers[1..].windows(2).map(|w| w[1].0 - w[0].0).collect();
    assert!((3600..=4401).contains(&gaps[0]) && (6480..=9700).contains(&gaps[1]), "{gaps:?}");
}

/// H095, H098, RFC 4862 §5.4.3, §5.4.4: only a message for exactly this address is a conflict; the address is gone then, and that
/// is told.
#[test]
fn duplicate_found_while_in_doubt_takes_the_address() {
    for from_solicit in [false, true] {
        let mut host = settled(plain());
        let own: Ipv6Addr = "fd00::1".parse().unwrap();
        host.stack.add_address(host.id, Cidr { address: own.into(), prefix_len: 64 }, at(2000)).unwrap();
        run(&mut host, 2000, 2100);
        assert_eq!(of(&host, Origin::Manual).last(), Some(&(own, AddressState::Tentative)));
        claim(&mut host, "fd00::2".parse().unwrap(), at(2100));
        // Who looks for it does not want it.
        let lookup = NeighborMessage { mac: Some(PEER), ..solicitation(own, None) };
        let lookup = ndp_to(&host, ip("fe80::5"), ip::solicited_node(own).into(), &lookup);
        host.input(&lookup, at(2100));
        assert!(host.output(at(2100)).is_empty(), "nobody is answered for it");
        assert!(host.stack.is_ours(own.into()));
        if from_solicit {
            let other =
                ndp_to(&host, ip("::"), ip::solicited_node(own).into(), &solicitation(own, Some([9; 6])));
            host.input(&other, at(2200));
        } else {
            claim(&mut host, own, at(2200));
        }
        assert!(!host.stack.is_ours(own.into()));
        let told = |(_, e): (Instant, Event)| matches!(e, Event::AddressConflict(_, a, _) if a == own);
        assert!(host.stack.events().recent().any(told));
        run(&mut host, 2200, 9000);
        assert!(!host.stack.is_ours(own.into()));
    }
}

/// RFC 7527 §4.2: our own question that the link loops back is no conflict.
#[test]
fn question_looped_back_is_no_duplicate() {
    let mut host = configured(plain());
    let sent = run(&mut host, 0, 1000);
    let looped = sent.iter().find(|(_, f)| kind(f) == Some(135)).unwrap();
    let mut looped = looped.1.clone();
    looped[6..12].copy_from_slice(&PEER.0);
    host.input(&looped, at(1000));
    assert_eq!(host.stack.counters().drops(Drop::NdpLooped), 1);
    run(&mut host, 1000, 3000);
    assert_eq!(of(&host, Origin::LinkLocal)[0].1, AddressState::Preferred);
}

/// RFC 4862 §5.4.5: with the hardware address, it seems, a duplicate: nothing is configured here any more.
#[test]
fn duplicate_link_local_ends_configuration() {
    let mut host = configured(plain());
    run(&mut host, 0, 500);
    let own = v6(host.link_local());
    claim(&mut host, own, at(500));
    let sent = run(&mut host, 500, 60_000);
    assert!(sent.iter().all(|(_, f)| kind(f).is_none()), "{sent:?}");
    let advert = Advert::new(1800).prefix("2001:db8::", 64, 0xc0, 100, 100).frame(&host, ROUTER);
    host.input(&advert, at(60_000));
    assert_eq!(of(&host, Origin::Stable), []);
}

/// RFC 4862 §5.5.3, RFC 4861 §6.3.4, RFC 7217, RFC 8981: an advertisement makes a stable and a temporary address, a way to
/// everywhere and one to the link. Questions end.
#[test]
fn advertisement_makes_addresses_and_routes() {
    let mut host = settled(Ipv6Config::default());
    let advert = Advert::new(1800).mac(9).prefix("2001:db8:0:1::", 64, 0xc0, 3600, 7200).mtu(1400);
    let advert = advert.frame(&host, ROUTER);
    host.input(&advert, at(2000));
    let (stable, temporary) = (of(&host, Origin::Stable), of(&host, Origin::Temporary));
    assert_eq!((stable.len(), temporary.len(), stable[0].1), (1, 1, AddressState::Tentative));
    assert!(host.stack.path(ip("2001:db8:9::1"), None, None).is_err(), "no source yet");
    let sent = run(&mut host, 2000, 5000);
    assert!(sent.iter().all(|(_, f)| kind(f) != Some(133)), "no more questions for routers");
    let (stable, temporary) = (of(&host, Origin::Stable)[0], of(&host, Origin::Temporary)[0]);
    assert_eq!((stable.1, temporary.1), (AddressState::Preferred, AddressState::Preferred));
    assert_eq!(stable.0.segments()[..4], [0x2001, 0xdb8, 0, 1]);
    let far = host.stack.path(ip("2001:db8:9::1"), None, None).unwrap();
    assert_eq!((far.next_hop, far.source, far.mtu), (ip(ROUTER), temporary.0.into(), 1400));
    assert_eq!(hop(&host, "2001:db8:0:1::77"), Ok(ip("2001:db8:0:1::77")), "on the link");
    assert_eq!(host.stack.path(v4(9), None, None).unwrap().mtu, 1500, "the option is for IPv6");
    // H116: the same again is no news.
    let (epoch, told) = (host.stack.paths_epoch(), host.stack.events().recent().count());
    host.input(&advert, at(5000));
    assert_eq!((host.stack.paths_epoch(), host.stack.events().recent().count()), (epoch, told));
    assert_eq!((of(&host, Origin::Stable).len(), of(&host, Origin::Temporary).len()), (1, 1));
    // RFC 7217 §5: the same network gives the same address; with a secret, at the next start as well.
    let again = |secret, seed| {
        let device = Wire::new(1);
        let mut stack = Stack::new(Storage::heap(&Limits::default()), [seed; 32]);
        let id = stack.add_interface(device.capabilities()).unwrap();
        let mut host = Host { stack, device, id };
        host.stack.configure_ipv6(id, Ipv6Config { secret, ..plain() }, T0).unwrap();
        host.input(&advert, at(2000));
        of(&host, Origin::Stable)[0].0
    };
    assert_eq!(again(Some([7; 16]), 1), again(Some([7; 16]), 2));
    assert_ne!(again(None, 1), again(None, 2));
}

/// H115, RFC 5942 §4: what an address was formed from is not on the link for that reason.
#[test]
fn prefix_off_link_goes_through_the_router() {
    let mut host = settled(plain());
    let advert = Advert::new(1800).prefix("2001:db8::", 64, 0x40, 3600, 7200).frame(&host, ROUTER);
    host.input(&advert, at(2000));
    run(&mut host, 2000, 5000);
    assert_eq!(hop(&host, "2001:db8::77"), Ok(ip(ROUTER)));
    let on_link = Advert::new(1800).prefix("2001:db8:1::", 64, 0x80, 3600, 7200).frame(&host, ROUTER);
    host.input(&on_link, at(5000));
    assert_eq!(hop(&host, "2001:db8:1::77"), Ok(ip("2001:db8:1::77")));
    assert_eq!(of(&host, Origin::Stable).len(), 1);
}

/// RFC 7217 §6: after a duplicate another address is formed, three times.
#[test]
fn duplicate_stable_address_is_formed_anew() {
    let mut host = settled(plain());
    let advert = Advert::new(1800).prefix("2001:db8::", 64, 0xc0, 3600, 7200).frame(&host, ROUTER);
    host.input(&advert, at(2000));
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..4 {
        let own = of(&host, Origin::Stable)[0].0;
        assert!(seen.insert(own));
        claim(&mut host, own, at(2000 + round));
    }
    assert_eq!(of(&host, Origin::Stable), []);
    host.input(&advert, at(3000));
    assert_eq!(of(&host, Origin::Stable), []);
    // H121: somewhere else it is tried again.
    host.stack.link_up(host.id, at(4000)).unwrap();
    host.input(&advert, at(4000));
    assert!(seen.contains(&of(&host, Origin::Stable)[0].0));
}

/// RFC 4862 §5.5.3 (e), §5.5.4: nobody ends an address at once by an advertisement; its own time does, and its connections with it.
#[test]
fn prefix_that_dies_takes_address_and_connections() {
    let mut host = settled(plain());
    let advert = |preferred, valid| Advert::new(1800).prefix("2001:db8::", 64, 0xc0, preferred, valid);
    let first = advert(60, 90).frame(&host, ROUTER);
    host.input(&first, at(2000));
    run(&mut host, 2000, 5000);
    let (own, _) = of(&host, Origin::Stable)[0];
    let to = core::net::SocketAddr::new(ip("2001:db8:9::1"), 80);
    let connection = host.stack.tcp_connect(to, None, at(5000)).unwrap();
    let dead = advert(0, 0).frame(&host, ROUTER);
    host.input(&dead, at(6000));
    assert_eq!(of(&host, Origin::Stable), [(own, AddressState::Deprecated)]);
    assert_eq!(hop(&host, "2001:db8::77"), Ok(ip(ROUTER)), "the prefix is off the link at once");
    host.stack.on_timers(at(91_999));
    assert!(host.stack.is_ours(own.into()));
    host.stack.on_timers(at(92_000));
    assert!(!host.stack.is_ours(own.into()));
    assert_eq!(host.stack.tcp_connected(connection), Err(Error::AddrNotAvailable));
}

/// RFC 8981 §3.4, §3.5: each day another, formed before the last is deprecated, which ends after two days.
#[test]
fn temporary_addresses_follow_one_another() {
    let mut host = settled(Ipv6Config::default());
    let mut seen = std::collections::BTreeSet::new();
    let (mut most, mut preferred) = (0, usize::MAX);
    for hour in 0..24 * 14 {
        let now = 2000 + hour * 3_600_000;
        let advert = Advert::new(9000).prefix("2001:db8::", 64, 0xc0, 86_400, 172_800).frame(&host, ROUTER);
        host.input(&advert, at(now));
        run(&mut host, now, now + 3_599_000);
        let all = of(&host, Origin::Temporary);
        seen.extend(all.iter().map(|(a, _)| *a));
        most = most.max(all.len());
        preferred = preferred.min(all.iter().filter(|(_, s)| *s == AddressState::Preferred).count());
        assert_eq!(of(&host, Origin::Stable).len(), 1);
    }
    assert!((14..=25).contains(&seen.len()), "{}", seen.len());
    assert!(preferred >= 1 && most <= 4, "{preferred} {most}");
}

/// Bad input of issue 10: dropped and counted by name, and what is good beside it taken.
#[test]
fn advertisement_malformed_is_counted() {
    let good = || Advert::new(1800).prefix("2001:db8::", 64, 0xc0, 3600, 7200);
    let state = |host: &Host| (of(host, Origin::Stable).len(), host.stack.learnt_routes().count());
    let bad: [(Advert, &str, Drop, (usize, usize)); 14] = [
        (good(), "2001:db8::9", Drop::NdpRouterSource, (0, 0)),
        (Advert(good().0[..12].to_vec()), ROUTER, Drop::NdpMalformed, (0, 0)),
        (good().with(&[25, 0, 0, 0, 0, 0, 0, 0]), ROUTER, Drop::NdpMalformed, (0, 0)),
        (good().with(&[3, 9, 0, 0]), ROUTER, Drop::NdpMalformed, (0, 0)),
        (good().prefix("2001:db8:1::", 129, 0xc0, 60, 60), ROUTER, Drop::NdpOption, (1, 2)),
        (good().prefix("2001:db8:1::", 63, 0x40, 60, 60), ROUTER, Drop::NdpOption, (1, 2)),
        (good().prefix("2001:db8:1::", 64, 0xc0, 61, 60), ROUTER, Drop::NdpOption, (1, 2)),
        (good().prefix("fe80::", 64, 0xc0, 60, 60), ROUTER, Drop::NdpOption, (1, 2)),
        (good().mtu(0), ROUTER, Drop::NdpOption, (1, 2)),
        (good().mtu(1279), ROUTER, Drop::NdpOption, (1, 2)),
        (good().mtu(1501), ROUTER, Drop::NdpOption, (1, 2)),
        (good().with(&[25, 2, 0, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0]), ROUTER, Drop::NdpOption, (1, 2)),
        (good().with(&[24, 1, 64, 0, 0, 0, 0, 60]), ROUTER, Drop::NdpOption, (1, 2)),
        (
            good().with(&[31, 2, 0, 0, 0, 0, 0, 60, 3, b'a', 27, b'b', 0, 0, 0, 0]),
            ROUTER,
            Drop::NdpOption,
            (1, 2),
        ),
    ];
    for (number, (advert, from, drop, left)) in bad.into_iter().enumerate() {
        let mut host = settled(plain());
        let frame = advert.frame(&host, from);
        host.input(&frame, at(2000));
        assert_eq!(drops(&host), [(drop, 1)], "{number}");
        assert_eq!(state(&host), left, "{number}");
        assert_eq!(host.stack.path(ip(ROUTER), None, None).unwrap().mtu, 1500);
    }
    // One that crossed a router, and one with a low hop limit for us.
    let mut host = settled(plain());
    let mut frame = good().frame(&host, ROUTER);
    frame[21] = 254;
    host.input(&frame, at(2000));
    assert_eq!((drops(&host), state(&host)), (std::vec![(Drop::NdpHopLimit, 1)], (0, 0)));
    // Unless it was asked to, a stack hears no router.
    let mut host = Host::new(1);
    let frame = good().frame(&host, ROUTER);
    host.input(&frame, T0);
    assert_eq!((drops(&host), state(&host)), (std::vec![(Drop::NdpIgnored, 1)], (0, 0)));
}

/// H112: 500 prefixes and 200 routers: bounded and counted by name, and addresses of others have their places.
#[test]
fn flood_of_prefixes_and_routers_is_bounded() {
    let mut host = settled(Ipv6Config::default());
    for n in 0..500 {
        let router = std::format!("fe80::{:x}", n % 200 + 1);
        let prefix = std::format!("2001:db8:{n:x}::");
        let advert = Advert::new(1800).prefix(&prefix, 64, 0xc0, 3600, 7200).frame(&host, &router);
        host.input(&advert, at(2000));
    }
    let routers = host.stack.learnt_routes().filter(|r| r.from == LearntFrom::Router).count();
    let prefixes = host.stack.learnt_routes().filter(|r| r.from == LearntFrom::Prefix).count();
    assert_eq!((routers, prefixes), (8, 16));
    assert_eq!(of(&host, Origin::Stable).len() + of(&host, Origin::Temporary).len(), 12);
    assert!(host.stack.counters().drops(Drop::NdpTableFull) > 900);
    assert!(host.stack.add_address(host.id, "10.9.0.1/16".parse().unwrap(), at(2000)).is_ok());
    run(&mut host, 2000, 10_000);
    assert_eq!(hop(&host, "2001:db8::77"), Ok(ip("2001:db8::77")), "the first are kept");
}

/// RFC 4861 §6.3.4, §7.2.5, RFC 4191 §3: the preferred router is used while it is one.
#[test]
fn router_that_resigns_is_left() {
    let mut host = settled(plain());
    let advert =
        |lifetime, flags| Advert::new(lifetime).flags(flags).prefix("2001:db8::", 64, 0x40, 3600, 7200);
    for (from, flags) in [("fe80::7", 0x18), ("fe80::8", 0), ("fe80::9", 8)] {
        let advert = advert(1800, flags).frame(&host, from);
        host.input(&advert, at(2000));
    }
    run(&mut host, 2000, 5000);
    let used = |host: &Host| hop(host, "2001:db8:9::1");
    assert_eq!(used(&host), Ok(ip("fe80::9")), "high");
    let resigns = advert(0, 8).frame(&host, "fe80::9");
    host.input(&resigns, at(5000));
    assert_eq!(used(&host), Ok(ip("fe80::8")), "medium");
    claim(&mut host, "fe80::8".parse().unwrap(), at(5000)); // without the router flag
    assert_eq!(used(&host), Ok(ip("fe80::7")), "low");
    host.stack.on_timers(at(1_802_000));
    assert_eq!(used(&host), Err(Error::NetUnreachable), "its time is over");
    // H117: and routers are asked for again.
    let sent = run(&mut host, 1_802_000, 1_803_000);
    assert!(sent.iter().any(|(_, f)| kind(f) == Some(133)));
}

/// H117: one that is no default router does not end the questions; its prefixes count.
#[test]
fn advertisement_with_lifetime_0_does_not_end_questions() {
    let mut host = settled(plain());
    let advert = Advert::new(0).prefix("2001:db8::", 64, 0xc0, 3600, 7200).frame(&host, ROUTER);
    host.input(&advert, at(2000));
    assert!(run(&mut host, 2000, 20_000).iter().any(|(_, f)| kind(f) == Some(133)));
    assert_eq!(of(&host, Origin::Stable).len(), 1);
}

/// H172, RFC 4861 §7.3.3: who does not answer is replaced by another router.
#[test]
fn router_that_dies_is_replaced() {
    let mut host = settled(plain());
    for last in [7, 8] {
        let advert = Advert::new(1800).mac(last).prefix("2001:db8::", 64, 0x40, 3600, 7200);
        let advert = advert.frame(&host, &std::format!("fe80::{last}"));
        host.input(&advert, at(2000));
    }
    run(&mut host, 2000, 5000);
    let first = hop(&host, "2001:db8:9::1").unwrap();
    let socket =
        host.stack.datagram_bind(DatagramKind::Udp, (Ipv6Addr::UNSPECIFIED, 0).into(), false).unwrap();
    let to = core::net::SocketAddr::new(ip("2001:db8:9::1"), 9);
    host.stack.datagram_send(socket, Some(to), b"x", None, at(5000)).unwrap();
    // STALE, so 5 s in DELAY and three probes of a second.
    run(&mut host, 5000, 12_900);
    assert_eq!(hop(&host, "2001:db8:9::1"), Ok(first));
    run(&mut host, 12_900, 13_100);
    let second = hop(&host, "2001:db8:9::1").unwrap();
    assert_ne!(second, first);
    // It is heard again: it may be used again.
    let last = first.to_string().chars().last().unwrap().to_digit(16).unwrap() as u8;
    let advert = Advert::new(1800).mac(last).frame(&host, &first.to_string());
    host.input(&advert, at(14_000));
    let dead = host.stack.learnt_routes().filter(|r| r.failures > 0).count();
    assert_eq!(dead, 0);
}

/// RFC 4191 §2.3: a router for a part of the world only.
#[test]
fn route_information_is_followed() {
    let mut host = settled(plain());
    let advert = Advert::new(1800).prefix("2001:db8::", 64, 0xc0, 3600, 7200).frame(&host, ROUTER);
    host.input(&advert, at(2000));
    let part = [24, 2, 48, 8, 0, 0, 0, 60, 0x20, 1, 0x0d, 0xb8, 0, 7, 0, 0];
    let reserved = [24, 2, 48, 0x10, 0, 0, 0, 60, 0x20, 1, 0x0d, 0xb8, 0, 8, 0, 0];
    let other = Advert::new(0).with(&part).with(&reserved).frame(&host, "fe80::7");
    host.input(&other, at(2000));
    run(&mut host, 2000, 5000);
    assert_eq!(hop(&host, "2001:db8:7::1"), Ok(ip("fe80::7")));
    assert_eq!(hop(&host, "2001:db8:8::1"), Ok(ip(ROUTER)));
    host.stack.on_timers(at(62_000));
    assert_eq!(hop(&host, "2001:db8:7::1"), Ok(ip(ROUTER)));
}

fn redirect(host: &Host, from: &str, target: &str, destination: &str) -> Vec<u8> {
    let mut message = std::vec![137, 0, 0, 0, 0, 0, 0, 0];
    message.extend(v6(ip(target)).octets());
    message.extend(v6(ip(destination)).octets());
    message.extend([2, 1, 2, 0, 0, 0, 0, 7]);
    frame(host, ip(from), host.link_local(), message)
}

/// RFC 4861 §8.1, §8.3: the router that we use may name a better one, or say that a host is on the link; nobody else may.
#[test]
fn redirect_counts_from_the_first_hop_only() {
    let mut host = settled(plain());
    let advert = Advert::new(1800).prefix("2001:db8::", 64, 0x40, 3600, 7200).frame(&host, ROUTER);
    host.input(&advert, at(2000));
    run(&mut host, 2000, 5000);
    for (from, target, to, drop) in [
        ("fe80::8", "fe80::7", "2001:db8:9::1", Drop::NdpRedirect),
        ("2001:db8::9", "fe80::7", "2001:db8:9::1", Drop::NdpRouterSource),
        (ROUTER, "2001:db8::7", "2001:db8:9::1", Drop::NdpMalformed),
        (ROUTER, "fe80::7", "ff02::9", Drop::NdpMalformed),
    ] {
        let before = host.stack.counters().drops(drop);
        let bad = redirect(&host, from, target, to);
        host.input(&bad, at(5000));
        assert_eq!(host.stack.counters().drops(drop), before + 1, "{from} {target} {to}");
        assert_eq!(hop(&host, "2001:db8:9::1"), Ok(ip(ROUTER)));
    }
    let better = redirect(&host, ROUTER, "fe80::7", "2001:db8:9::1");
    host.input(&better, at(5000));
    assert_eq!(hop(&host, "2001:db8:9::1"), Ok(ip("fe80::7")));
    assert_eq!(hop(&host, "2001:db8:9::2"), Ok(ip(ROUTER)), "for this host alone");
    let on_link = redirect(&host, "fe80::7", "2001:db8:9::1", "2001:db8:9::1");
    host.input(&on_link, at(5000));
    assert_eq!(hop(&host, "2001:db8:9::1"), Ok(ip("2001:db8:9::1")));
    host.stack.on_timers(at(605_000));
    assert_eq!(hop(&host, "2001:db8:9::1"), Ok(ip(ROUTER)));
}

/// H121, RFC 4861 §6.3.7: a link that comes back may be another: addresses are in doubt, routers are asked for. What is connected
/// waits, and goes on.
#[test]
fn link_that_comes_back_is_asked_anew() {
    let mut host = settled(plain());
    let advert = Advert::new(1800).prefix("2001:db8::", 64, 0xc0, 3600, 7200).frame(&host, ROUTER);
    host.input(&advert, at(2000));
    run(&mut host, 2000, 5000);
    let (own, _) = of(&host, Origin::Stable)[0];
    for flap in 0..5 {
        host.stack.link_up(host.id, at(5000 + flap)).unwrap();
    }
    assert_eq!(of(&host, Origin::Stable), [(own, AddressState::Tentative)]);
    let sent = run(&mut host, 5004, 8000);
    let count = |wanted| sent.iter().filter(|(_, f)| kind(f) == Some(wanted)).count();
    assert_eq!(
        (count(135), count(133)),
        (2, 2),
        "one question for each address; two for routers, as no one answers"
    );
    assert_eq!(of(&host, Origin::Stable), [(own, AddressState::Preferred)]);
    assert_eq!(host.stack.path(ip("2001:db8:9::1"), None, None).unwrap().source, own);
}

/// RFC 4862 §4: a router that answers the first question is not asked again, and its prefix makes an address while the
/// link-local one is still in doubt: with a short delay there is one within 1.5 s.
#[test]
fn router_answering_nobody_saves_the_wait_for_link_local() {
    let config = Ipv6Config { start_delay_max: Duration::from_millis(100), ..plain() };
    let mut host = configured(config);
    let asked = run(&mut host, 0, 150).into_iter().find(|(_, f)| kind(f) == Some(133)).unwrap().0;
    assert!(asked <= 100, "{asked}");
    let advert = Advert::new(1800).prefix("2001:db8::", 64, 0xc0, 3600, 7200).frame(&host, ROUTER);
    host.input(&advert, at(150));
    let sent = run(&mut host, 150, 1300);
    assert!(sent.iter().all(|(_, f)| kind(f) != Some(133)), "{sent:?}");
    assert_eq!(of(&host, Origin::Stable)[0].1, AddressState::Preferred);
}

/// H114, RFC 4861 §6.3.4: hop limit and times of the link, within sane limits.
#[test]
fn parameters_of_the_link_are_taken_over() {
    let mut host = settled(plain());
    let mut advert = Advert::new(1800).mac(9).prefix("2001:db8::", 64, 0x40, 3600, 7200);
    advert.0[4] = 200;
    advert.0[8..16].copy_from_slice(&[0, 0, 0x27, 0x10, 0, 0, 1, 0xf4]);
    let frame = advert.frame(&host, ROUTER);
    host.input(&frame, at(2000));
    run(&mut host, 2000, 5000);
    let key = crate::link::neighbor::NeighborKey { interface: host.id, address: ip(ROUTER) };
    let times = host.stack.neighbors.times(&key);
    assert_eq!((times.reachable, times.retrans), (Duration::from_secs(10), Duration::from_millis(500)));
    let socket =
        host.stack.datagram_bind(DatagramKind::Udp, (Ipv6Addr::UNSPECIFIED, 0).into(), false).unwrap();
    let to = core::net::SocketAddr::new(ip("2001:db8:9::1"), 9);
    let sent = |host: &mut Host, now| {
        host.stack.datagram_send(socket, Some(to), b"x", None, at(now)).unwrap();
        host.output(at(now)).pop().unwrap()[21]
    };
    assert_eq!(sent(&mut host, 5000), 200);
    // A connection that nobody set another for.
    host.stack.tcp_connect(to, None, at(5000)).unwrap();
    assert_eq!(host.output(at(5000))[0][21], 200);
    advert.0[4] = 1;
    let frame = advert.frame(&host, ROUTER);
    host.input(&frame, at(5000));
    assert_eq!((sent(&mut host, 5001), host.stack.counters().drops(Drop::NdpOption)), (200, 1));
}

/// What belongs to an interface goes with it.
#[test]
fn interface_removed_takes_what_its_routers_told() {
    let mut host = settled(plain());
    let advert = Advert::new(1800).prefix("2001:db8::", 64, 0xc0, 3600, 7200).frame(&host, ROUTER);
    host.input(&advert, at(2000));
    host.stack.remove_interface(host.id, at(3000)).unwrap();
    assert_eq!((host.stack.learnt_routes().count(), host.stack.addresses().iter().count()), (0, 0));
    let loopback = host.stack.add_loopback(Capabilities::new(Mac([2, 0, 0, 0, 0, 8]), 65_535)).unwrap();
    let refused = host.stack.configure_ipv6(loopback, plain(), at(3000));
    assert!(matches!(refused, Err(Error::InvalidInput(_))));
    assert_eq!(host.stack.configure_ipv6(host.id, plain(), at(3000)), Err(Error::DeviceGone));
}

mod told;
