//! Addresses come, age and go.

use super::neighbors::at;
use super::*;
use crate::ip::addresses::{AddressState, Lifetimes, Origin};
use crate::link::neighbor::Purpose;
use crate::stack::Assignment;
use crate::wire::{ArpOperation, ArpPacket};

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn lease(address: &str, preferred: u32, valid: u32, now: Instant) -> Assignment {
    let lifetimes = Lifetimes::from_secs(preferred, valid, now);
    Assignment { cidr: cidr(address), origin: Origin::Dhcpv4, lifetimes, tentative: false }
}

fn state(host: &Host, address: &str) -> Option<AddressState> {
    host.stack.addresses().get(host.id, address.parse().unwrap()).map(|a| a.state)
}

fn source(host: &Host, to: &str) -> Option<IpAddr> {
    host.stack.path(to.parse().unwrap(), None, None).ok().map(|p| p.source)
}

/// H122, RFC 4862 §5.5.4: new flows leave a deprecated address while there is another, and it still receives.
#[test]
fn address_deprecated_is_left_by_new_flows_only() {
    for (old, new, peer) in
        [("10.9.0.1/16", "10.9.0.2/16", "10.9.0.9"), ("fd00::1/64", "fd00:0:0:0:8000::1/64", "fd00::9")]
    {
        let mut host = Host::new(1);
        host.stack.remove_address(host.id, v4(1), T0).unwrap();
        let (first, second) = (cidr(old).address(), cidr(new).address());
        host.stack.assign_address(host.id, lease(old, 10, 100, T0), T0).unwrap();
        host.stack.assign_address(host.id, lease(new, 100, 100, T0), T0).unwrap();
        assert_eq!(source(&host, peer), Some(first));
        let epoch = host.stack.paths_epoch();
        host.stack.on_timers(at(10_000));
        assert_eq!(state(&host, &first.to_string()), Some(AddressState::Deprecated));
        assert_ne!(host.stack.paths_epoch(), epoch, "caches look again");
        assert_eq!(source(&host, peer), Some(second));
        assert!(host.stack.path(peer.parse().unwrap(), None, Some(first)).is_ok(), "an old flow keeps it");
        host.stack.remove_address(host.id, second, at(10_000)).unwrap();
        assert_eq!(source(&host, peer), Some(first), "better than none");
        let told = host.stack.events().recent().any(|(_, e)| e == Event::AddressDeprecated(host.id, first));
        assert!(told);
    }
}

/// The end of a lifetime is one of the stack's deadlines, the address is gone then, and what is refreshed lasts.
#[test]
fn address_past_its_lifetime_is_gone() {
    let mut host = Host::new(1);
    host.stack.assign_address(host.id, lease("10.9.0.1/16", 10, 20, T0), T0).unwrap();
    for ms in [0, 2000] {
        host.stack.on_timers(at(ms));
        host.output(at(ms));
    }
    assert_eq!(host.stack.next_deadline(at(2000)), Some(at(10_000)));
    let again = |ms| lease("10.9.0.1/16", 10, 20, at(ms));
    host.stack.assign_address(host.id, again(5000), at(5000)).unwrap();
    assert_eq!(host.stack.next_deadline(at(5000)), Some(at(15_000)));
    host.stack.on_timers(at(24_999));
    assert_eq!(state(&host, "10.9.0.1"), Some(AddressState::Deprecated));
    host.stack.assign_address(host.id, again(24_999), at(24_999)).unwrap();
    assert_eq!(state(&host, "10.9.0.1"), Some(AddressState::Preferred), "preferred again");
    host.stack.on_timers(at(44_998));
    assert_eq!(state(&host, "10.9.0.1"), Some(AddressState::Deprecated));
    host.stack.on_timers(at(44_999));
    assert_eq!(state(&host, "10.9.0.1"), None);
    assert!(!host.stack.is_ours("10.9.0.1".parse().unwrap()));
    // H120: all ones are for ever.
    host.stack.assign_address(host.id, lease("10.9.0.2/16", u32::MAX, u32::MAX, T0), T0).unwrap();
    host.stack.on_timers(at(u64::from(u32::MAX) * 2000));
    assert_eq!(state(&host, "10.9.0.2"), Some(AddressState::Preferred));
}

/// H116: the same again is no news to anybody.
#[test]
fn address_refreshed_changes_nothing_else() {
    let mut host = Host::new(1);
    host.stack.assign_address(host.id, lease("10.9.0.1/16", 10, 20, T0), T0).unwrap();
    host.stack.on_timers(T0);
    host.output(T0);
    let (epoch, told) = (host.stack.paths_epoch(), host.stack.events().recent().count());
    host.stack.assign_address(host.id, lease("10.9.0.1/16", 10, 20, at(11_000)), at(11_000)).unwrap();
    assert_eq!((host.stack.paths_epoch(), host.stack.events().recent().count()), (epoch, told));
    assert!(host.output(at(11_000)).is_empty() && host.device.groups.len() == 3);
}

/// RFC 4862 §2, RFC 5227 §2.1: an address in doubt is no source, nobody is answered for it, nothing is received at it.
#[test]
fn address_in_doubt_is_not_used() {
    let mut host = Host::new(1);
    let doubted = Assignment { tentative: true, ..lease("10.9.0.1/16", 100, 100, T0) };
    host.stack.assign_address(host.id, doubted, T0).unwrap();
    let own: IpAddr = "10.9.0.1".parse().unwrap();
    assert_eq!(source(&host, "10.9.0.9"), Some(v4(1)));
    let from = |host: &Host| host.stack.path("10.9.0.9".parse().unwrap(), None, Some(own)).map(|p| p.source);
    assert_eq!(from(&host), Err(Error::AddrNotAvailable));
    let question = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: Mac([2, 0, 0, 0, 0, 2]),
        sender: Ipv4Addr::new(10, 9, 0, 9),
        target_mac: Mac::default(),
        target: Ipv4Addr::new(10, 9, 0, 1),
    };
    host.input(&question.emit(Mac::BROADCAST), T0);
    assert!(host.output(T0).is_empty());
    let echo = input::packet_to(&host, "10.9.0.9".parse().unwrap(), own, 1, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
    host.input(&echo, T0);
    assert_eq!(host.stack.counters().drops(Drop::Ipv4NotForUs), 1);
    // A socket may be bound to it meanwhile.
    let any = |address| core::net::SocketAddr::new(address, 0);
    assert!(host.stack.datagram_bind(DatagramKind::Udp, any(own), false).is_ok());
    host.stack.confirm_address(host.id, own, at(11_000));
    assert_eq!(from(&host), Ok(own));
    host.input(&question.emit(Mac::BROADCAST), at(11_000));
    host.input(&echo, at(11_000));
    let sent = host.output(at(11_000));
    assert_eq!(sent.len(), 2, "the answer of ARP and that of the ping");
    host.stack.on_timers(at(11_000));
    assert_eq!(host.output(at(11_000)).len(), 3, "all are announced");
}

/// H112: one interface does not take the places of the others.
#[test]
fn addresses_of_one_interface_are_bounded() {
    let mut host = Host::new(1);
    let mut taken = 2u8;
    while host.stack.add_address(host.id, cidr(&std::format!("10.9.0.{taken}/16")), T0).is_ok() {
        taken += 1;
    }
    assert_eq!(usize::from(taken), ip::addresses::ADDRESSES_MAX);
    let path = host.stack.path("10.9.0.77".parse().unwrap(), None, None).unwrap();
    assert_eq!(host.stack.resolve(&path, Purpose::Own, T0), Resolution::Pending);
}
