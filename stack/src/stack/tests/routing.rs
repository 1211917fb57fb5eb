//! Which way a packet goes, and with which source.

use super::*;
use crate::device::loopback::Loopback;
use crate::ip::routes::Route;
use crate::link::neighbor::Purpose;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// A stack with two links: 10.0.0.1/24 and 10.0.1.1/24, fd00::1/64 and fd01::1/64.
pub(super) fn two_links() -> (Stack<'static>, InterfaceId, InterfaceId) {
    let mut stack = Stack::new(Storage::heap(&Limits::default()), [1; 32]);
    let mut link = |last, addresses: [&str; 2]| {
        let id = stack.add_interface(Wire::new(last).capabilities()).unwrap();
        addresses.iter().for_each(|a| stack.add_address(id, cidr(a), T0).unwrap());
        id
    };
    let first = link(1, ["10.0.0.1/24", "fd00::1/64"]);
    let second = link(2, ["10.0.1.1/24", "fd01::1/64"]);
    (stack, first, second)
}

fn next(stack: &Stack<'_>, to: &str) -> Result<(InterfaceId, IpAddr, IpAddr), Error> {
    stack.path(ip(to), None, None).map(|p| (p.interface, p.source, p.next_hop))
}

#[test]
fn the_longest_prefix_wins() {
    let (mut stack, a, b) = two_links();
    assert_eq!(next(&stack, "10.0.1.9"), Ok((b, ip("10.0.1.1"), ip("10.0.1.9"))));
    assert_eq!(next(&stack, "192.0.2.1"), Err(Error::NetUnreachable));
    let epoch = stack.paths_epoch();
    stack.set_gateway(a, ip("10.0.0.254")).unwrap();
    assert_ne!(stack.paths_epoch(), epoch);
    assert_eq!(next(&stack, "192.0.2.1"), Ok((a, ip("10.0.0.1"), ip("10.0.0.254"))));
    let to = |destination: &str, gateway: &str, interface, metric| Route {
        destination: cidr(destination),
        gateway: Some(ip(gateway)),
        interface,
        metric,
    };
    stack.add_route(to("192.0.2.0/24", "10.0.1.254", b, 9)).unwrap();
    assert_eq!(next(&stack, "192.0.2.1").unwrap().2, ip("10.0.1.254"));
    stack.add_route(to("10.0.1.64/26", "10.0.0.77", a, 0)).unwrap();
    assert_eq!(next(&stack, "10.0.1.65").unwrap().2, ip("10.0.0.77"));
    assert_eq!(next(&stack, "10.0.1.9").unwrap().2, ip("10.0.1.9"));
    // H181: the lower metric, then the older route.
    stack.add_route(to("192.0.2.0/24", "10.0.0.3", a, 3)).unwrap();
    stack.add_route(to("192.0.2.0/24", "10.0.0.4", a, 3)).unwrap();
    assert_eq!(next(&stack, "192.0.2.1").unwrap().2, ip("10.0.0.3"));
    assert!(stack.remove_route(to("192.0.2.0/24", "10.0.0.3", a, 3)));
    assert!(!stack.remove_route(to("192.0.2.0/24", "10.0.0.3", a, 3)));
    assert_eq!(next(&stack, "192.0.2.1").unwrap().2, ip("10.0.0.4"));
}

/// H174: another interface's default route stays.
#[test]
fn a_gateway_belongs_to_its_interface() {
    let (mut stack, a, b) = two_links();
    stack.set_gateway(a, ip("10.0.0.254")).unwrap();
    stack.set_gateway(b, ip("10.0.1.254")).unwrap();
    stack.set_gateway(b, ip("10.0.1.253")).unwrap();
    let gateways: Vec<_> = stack.routes().map(|r| (r.interface, r.gateway)).collect();
    assert_eq!(gateways, [(a, Some(ip("10.0.0.254"))), (b, Some(ip("10.0.1.253")))]);
    for bad in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "ff02::1"] {
        assert!(matches!(stack.set_gateway(a, ip(bad)), Err(Error::InvalidInput(_))), "{bad}");
    }
}

/// H173: the source is the address on the gateway's network.
#[test]
fn the_source_is_on_the_gateways_network() {
    let (mut stack, a, _) = two_links();
    stack.add_address(a, cidr("10.9.0.1/16"), T0).unwrap();
    stack.set_gateway(a, ip("10.9.0.254")).unwrap();
    assert_eq!(next(&stack, "192.0.2.1").unwrap().1, ip("10.9.0.1"));
    assert_eq!(next(&stack, "10.0.0.7").unwrap().1, ip("10.0.0.1"));
}

/// H170, H180: RFC 6724 §5: never a scope too small, then the longest common prefix.
#[test]
fn ipv6_sources_have_the_scope() {
    let mut stack = Stack::new(Storage::heap(&Limits::default()), [1; 32]);
    let id = stack.add_interface(Wire::new(1).capabilities()).unwrap();
    stack.set_gateway(id, ip("fe80::fe")).unwrap();
    assert_eq!(next(&stack, "2001:db8::9"), Err(Error::NetUnreachable));
    let own: IpAddr = ip::link_local_from(Wire::new(1).mac).into();
    assert_eq!(next(&stack, "fe80::9").unwrap().1, own);
    assert_eq!(next(&stack, "ff02::9").unwrap().1, own);
    stack.add_address(id, cidr("fd00::1/64"), T0).unwrap();
    stack.add_address(id, cidr("2001:db8:1::1/64"), T0).unwrap();
    assert_eq!(next(&stack, "2001:db8::9").unwrap().1, ip("2001:db8:1::1"));
    assert_eq!(next(&stack, "fd77::9").unwrap().1, ip("fd00::1"));
    assert_eq!(next(&stack, "fe80::9").unwrap().1, own);
    // Rule 1: to one of our own from itself.
    for ours in [own, ip("fd00::1"), ip("2001:db8:1::1")] {
        assert_eq!(stack.addresses.source_for(id, ours, ours), Some(ours));
    }
}

/// H171: with two links a link-local address needs its zone.
#[test]
fn a_zone_is_part_of_the_address() {
    let (stack, a, b) = two_links();
    assert!(matches!(next(&stack, "fe80::9"), Err(Error::InvalidInput(_))));
    for id in [a, b] {
        assert_eq!(stack.path(ip("fe80::9"), Some(id), None).unwrap().interface, id);
        assert_eq!(stack.path(ip("ff02::9"), Some(id), None).unwrap().interface, id);
    }
    let own = stack.path(ip("fe80::9"), Some(b), None).unwrap().source;
    assert_eq!(stack.path(ip("fe80::9"), None, Some(own)).unwrap().interface, b);
}

/// H171: a zone that is named holds for every destination: neither the networks nor the routes of another link
/// count.
#[test]
fn a_zone_names_the_link() {
    let (mut stack, a, b) = two_links();
    let next = |stack: &Stack<'_>, to: &str, zone| stack.path(ip(to), Some(zone), None).map(|p| p.next_hop);
    for to in ["10.0.1.9", "fd01::9", "192.0.2.1"] {
        assert_eq!(next(&stack, to, a), Err(Error::NetUnreachable), "{to}");
    }
    assert_eq!(next(&stack, "10.0.1.9", b), Ok(ip("10.0.1.9")));
    stack.set_gateway(a, ip("10.0.0.254")).unwrap();
    assert_eq!(next(&stack, "10.0.1.9", a), Ok(ip("10.0.0.254")));
    assert_eq!(next(&stack, "192.0.2.1", a), Ok(ip("10.0.0.254")));
    assert_eq!(next(&stack, "192.0.2.1", b), Err(Error::NetUnreachable));
}

/// H171, RFC 4007 §6: a link-local address is one of its link. A neighbour may have the one that we have on another
/// link: it can be reached, and what it sends is taken.
#[test]
fn a_namesake_on_another_link() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    // The hardware address of the neighbour on the first link.
    let second = a.stack.add_interface(b.device.capabilities()).unwrap();
    let (own, namesake) = (a.link_local(), b.link_local());
    assert!(a.stack.is_ours(namesake));
    let path = |source| a.stack.path(namesake, Some(a.id), source).map(|p| (p.interface, p.source));
    assert_eq!(path(None), Ok((a.id, own)));
    assert_eq!(path(Some(namesake)), Err(Error::AddrNotAvailable), "no source of this link");
    assert_eq!(a.stack.path(own, Some(second), None).unwrap().interface, second);
    let (listener, _) = b.stack.tcp_listen("[::]:80".parse().unwrap(), 1).unwrap();
    let IpAddr::V6(address) = namesake else { unreachable!() };
    let remote = core::net::SocketAddrV6::new(address, 80, 0, a.id.zone());
    let client = a.stack.tcp_connect(remote.into(), None, T0).unwrap();
    settle(&mut a, &mut b, T0);
    let (server, _) = b.stack.tcp_accept(listener).unwrap();
    b.stack.tcp_write(server, b"from a namesake", T0).unwrap();
    settle(&mut a, &mut b, T0);
    let mut text = [0; 20];
    assert_eq!(a.stack.tcp_read(client, &mut text, T0), Ok(15));
    assert_eq!(drops(&a), []);
    // Named by our own link, the address is ours and leads inside.
    let inside = a.stack.add_loopback(Loopback::heap(65_535).unwrap().capabilities()).unwrap();
    assert_eq!(a.stack.path(namesake, Some(second), None).unwrap().interface, inside);
    assert_eq!(a.stack.path(own, Some(inside), Some(namesake)).unwrap().interface, inside);
}

#[test]
fn a_source_must_be_ours() {
    let (stack, a, _) = two_links();
    let from = |source| stack.path(ip("10.0.0.9"), None, Some(ip(source)));
    assert_eq!(from("10.0.0.8"), Err(Error::AddrNotAvailable));
    assert_eq!(from("fd00::1"), Err(Error::AddrNotAvailable));
    // H179: the weak host model.
    assert_eq!(from("10.0.1.1").unwrap().interface, a);
}

/// H175, H077: our own addresses lead inside, and 127/8 never out.
#[test]
fn loopback_stays_inside() {
    let (mut stack, a, b) = two_links();
    for to in ["127.0.0.1", "::1", "10.0.0.1"] {
        assert_eq!(next(&stack, to), Err(Error::NetUnreachable), "without a loopback interface");
    }
    let inside = stack.add_loopback(Loopback::heap(1 << 18).unwrap().capabilities()).unwrap();
    for to in ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "fd01::1"] {
        assert_eq!(next(&stack, to), Ok((inside, ip(to), ip(to))));
    }
    assert_eq!(stack.path(ip("10.0.0.9"), None, Some(ip("127.0.0.1"))), Err(Error::NetUnreachable));
    assert!(stack.add_loopback(Loopback::heap(1 << 18).unwrap().capabilities()).is_err());
    assert!(next(&stack, "10.0.0.9").is_ok_and(|(id, ..)| id == a));
    assert!(next(&stack, "10.0.1.9").is_ok_and(|(id, ..)| id == b));
}

/// H176, H177: what names a removed interface fails; nothing moves to the next one in its place.
#[test]
fn a_removed_interface_is_an_error() {
    let (mut stack, a, b) = two_links();
    stack.set_gateway(a, ip("10.0.0.254")).unwrap();
    let path = stack.path(ip("192.0.2.1"), None, None).unwrap();
    stack.resolve(&path, Purpose::Own, T0);
    stack.remove_interface(a, T0).unwrap();
    assert_eq!(stack.routes().count(), 0);
    assert_eq!(next(&stack, "192.0.2.1"), Err(Error::NetUnreachable));
    assert_eq!(stack.resolve(&path, Purpose::Own, T0), Resolution::Failed);
    let again = stack.add_interface(Wire::new(3).capabilities()).unwrap();
    assert_ne!(a, again);
    assert!(stack.interface(a).is_none() && stack.interface(b).is_some());
    assert_eq!(stack.add_address(a, cidr("10.0.0.1/24"), T0), Err(Error::DeviceGone));
    assert_eq!(stack.set_gateway(a, ip("10.0.0.254")), Err(Error::DeviceGone));
    assert_eq!(stack.remove_interface(a, T0), Err(Error::DeviceGone));
    stack.on_frame(a, RxFrame::plain(&[&[0; 60]]), T0);
    assert_eq!(stack.counters().drops(Drop::InterfaceGone), 2, "the question that waited, and this");
    assert!(stack.egress(a, &mut Wire::new(1), T0));
}

/// H222: addresses that no host can have are refused; /31 and /32 are fine.
#[test]
fn bad_addresses_are_refused() {
    let (mut stack, a, _) = two_links();
    let refused = [
        "0.0.0.0/8",
        "127.0.0.1/8",
        "::1/128",
        "::/64",
        "224.0.0.1/24",
        "ff02::1/64",
        "255.255.255.255/32",
        "240.0.0.1/8",
        "10.5.0.0/24",
        "10.5.0.255/24",
        "10.5.0.3/30",
        "::ffff:10.0.0.1/120",
    ];
    for bad in refused {
        assert!(matches!(stack.add_address(a, cidr(bad), T0), Err(Error::InvalidInput(_))), "{bad}");
    }
    for good in ["10.5.0.0/31", "10.5.0.1/31", "10.6.0.0/32", "10.5.0.2/30", "fd02::/64"] {
        stack.add_address(a, cidr(good), T0).unwrap();
    }
    for text in ["10.0.0.1", "10.0.0.1/33", "fd00::1/129", "x/24", "10.0.0.1/", "10.0.0.1/-1"] {
        assert!(matches!(text.parse::<Cidr>(), Err(Error::InvalidInput(_))), "{text}");
    }
}

/// H209, H215: devices whose words make no sense are refused; a small MTU carries IPv4 only.
#[test]
fn bad_devices_are_refused() {
    let mut stack = Stack::new(Storage::heap(&Limits::default()), [1; 32]);
    for mac in [Mac::BROADCAST, Mac::default(), Mac([1, 0, 0x5e, 0, 0, 1])] {
        assert!(stack.add_interface(Capabilities::new(mac, 1500)).is_err());
    }
    let mac = Wire::new(1).mac;
    for mtu in [0, 67] {
        assert!(stack.add_interface(Capabilities::new(mac, mtu)).is_err());
    }
    let small = stack.add_interface(Capabilities::new(mac, 576)).unwrap();
    assert_eq!(stack.addresses().of(small).count(), 0);
    assert!(stack.add_address(small, cidr("fd00::1/64"), T0).is_err());
    let huge = stack.add_interface(Capabilities::new(mac, u16::MAX)).unwrap();
    assert!(stack.interface(huge).unwrap().mtu() > 60_000);
}

/// H110: taking an address away forgets the neighbours of its family only.
#[test]
fn removing_an_address_forgets_its_family() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    ping(&mut a, v4(2));
    ping(&mut a, b.link_local());
    settle(&mut a, &mut b, T0);
    let paths = [v4(2), b.link_local()].map(|to| a.stack.path(to, None, None).unwrap());
    a.stack.remove_address(a.id, v4(1), T0).unwrap();
    assert_eq!(a.stack.remove_address(a.id, v4(1), T0), Err(Error::AddrNotAvailable));
    let known = paths.map(|p| matches!(a.stack.resolve(&p, Purpose::Own, T0), Resolution::Known(_)));
    assert_eq!(known, [false, true]);
    // H119: what waited for a neighbour goes with the address that it was to come from.
    let third = a.stack.path("fe80::33".parse().unwrap(), None, None).unwrap();
    assert_eq!(a.stack.resolve(&third, Purpose::Own, T0), Resolution::Pending);
    ping(&mut a, third.next_hop);
    a.stack.remove_address(a.id, third.source, T0).unwrap();
    assert_eq!(a.stack.counters().drops(Drop::NeighborForgotten), 1);
    a.stack.add_address(a.id, Cidr { address: third.source, prefix_len: 64 }, T0).unwrap();
    let known = paths.map(|p| matches!(a.stack.resolve(&p, Purpose::Own, T0), Resolution::Known(_)));
    assert_eq!(known, [false, false]);
}

/// H078: groups of the node never leave it.
#[test]
fn node_local_groups_stay() {
    let (stack, a, _) = two_links();
    for to in ["ff01::1", "ff00::1"] {
        assert_eq!(stack.path(ip(to), Some(a), None), Err(Error::NetUnreachable));
    }
}

#[test]
fn unspecified_is_no_destination() {
    let (stack, ..) = two_links();
    assert_eq!(next(&stack, "0.0.0.0"), Err(Error::AddrInvalid));
    assert_eq!(next(&stack, "::"), Err(Error::AddrInvalid));
}

/// H205: the device's filter lets the groups through that the addresses need, and no others.
#[test]
fn the_filter_follows_the_addresses() {
    let mut host = Host::new(1);
    let groups = |host: &mut Host| {
        host.output(T0);
        let mut groups: Vec<String> = host.device.groups.iter().map(Mac::to_string).collect();
        groups.sort();
        groups
    };
    let (all_systems, all_nodes) = ("01:00:5e:00:00:01", "33:33:00:00:00:01");
    assert_eq!(groups(&mut host), [all_systems, all_nodes, "33:33:ff:00:00:01"]);
    for address in ["fd00::1", "fd00::77:1234"] {
        host.stack.add_address(host.id, cidr(&std::format!("{address}/64")), T0).unwrap();
    }
    assert_eq!(groups(&mut host), [all_systems, all_nodes, "33:33:ff:00:00:01", "33:33:ff:77:12:34"]);
    host.stack.remove_address(host.id, v4(1), T0).unwrap();
    host.stack.remove_address(host.id, ip("fd00::77:1234"), T0).unwrap();
    host.stack.remove_address(host.id, ip("fd00::1"), T0).unwrap();
    assert_eq!(groups(&mut host), [all_nodes, "33:33:ff:00:00:01"]);
}

/// H263: a route is to a network, whatever host bits it is written with.
#[test]
fn routes_are_masked() {
    let (mut stack, a, _) = two_links();
    let to = |destination, gateway| Route {
        destination: cidr(destination),
        gateway: Some(ip(gateway)),
        interface: a,
        metric: 0,
    };
    for destination in ["10.0.0.0/0", "0.0.0.0/0", "192.168.3.4/0"] {
        stack.add_route(to(destination, "10.0.0.254")).unwrap();
        assert_eq!(next(&stack, "192.0.2.1").unwrap().2, ip("10.0.0.254"), "{destination}");
    }
    stack.add_route(to("2001:db8::77/32", "fe80::1")).unwrap();
    stack.add_route(to("2001:db8:0:9::/32", "fe80::1")).unwrap();
    let routes: Vec<_> = stack.routes().map(|r| r.destination).collect();
    assert_eq!(routes, [cidr("0.0.0.0/0"), cidr("2001:db8::/32")]);
    stack.set_gateway(a, ip("10.0.0.253")).unwrap();
    assert_eq!(next(&stack, "192.0.2.1").unwrap().2, ip("10.0.0.253"));
    assert!(stack.remove_route(to("10.9.9.9/0", "10.0.0.253")));
    assert_eq!(stack.routes().count(), 1);
    let long = Cidr { address: ip("10.0.0.0"), prefix_len: 200 };
    let long = Route { destination: long, ..to("0.0.0.0/0", "10.0.0.254") };
    assert!(matches!(stack.add_route(long), Err(Error::InvalidInput(_))));
}

/// H264: broadcast and multicast leave by an interface that has an address of the family.
#[test]
fn groups_leave_where_there_is_an_address() {
    let mut stack = Stack::new(Storage::heap(&Limits::default()), [1; 32]);
    let bare = stack.add_interface(Capabilities::new(Wire::new(1).mac, 1500)).unwrap();
    for group in ["255.255.255.255", "224.0.0.251"] {
        assert_eq!(next(&stack, group), Err(Error::NetUnreachable), "no source");
        let asks = stack.path(ip(group), None, Some(ip("0.0.0.0"))).unwrap();
        assert_eq!(asks.interface, bare, "where an address is asked for");
    }
    // One without IPv6, by its MTU.
    let used = stack.add_interface(Capabilities::new(Wire::new(2).mac, 576)).unwrap();
    stack.add_address(used, cidr("10.0.0.1/24"), T0).unwrap();
    for group in ["255.255.255.255", "224.0.0.251"] {
        assert_eq!(next(&stack, group), Ok((used, ip("10.0.0.1"), ip(group))));
    }
    assert_eq!(next(&stack, "ff02::fb").unwrap().0, bare);
}
