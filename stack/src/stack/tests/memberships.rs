//! Memberships of sockets: what they hear, what routers hear of them, and what the device lets through.

use core::net::SocketAddr;

use super::*;
use crate::bytes::Bytes;
use crate::device::RxFrame;
use crate::time::Duration;
use crate::udp::DatagramHandle;
use crate::wire::{self, Checksum, HEADERS_LEN_MAX, IpHeader, LinkPath, UdpHeader, igmp, mld, protocol};

const GROUP: &str = "239.1.2.3";
const GROUP_V6: &str = "ff15::1234";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A host whose addresses were announced and whose own groups were told of.
fn host(last: u8) -> Host {
    let mut host = Host::fresh(last);
    for ms in (0..4000).step_by(100) {
        host.stack.on_timers(Instant::from_millis(ms));
        host.output_with_reports(Instant::from_millis(ms));
    }
    host
}

fn bind(host: &mut Host, port: u16) -> DatagramHandle {
    let any = SocketAddr::new(ip("::"), port);
    host.stack.datagram_bind(DatagramKind::Udp, any, false).unwrap()
}

fn join(host: &mut Host, socket: DatagramHandle, group: &str, what: Membership) -> Result<(), Error> {
    let id = host.id;
    host.stack.datagram_join(socket, ip(group), Some(id), what, T0)
}

fn leave(host: &mut Host, socket: DatagramHandle, group: &str, what: Membership) -> Result<(), Error> {
    let id = host.id;
    host.stack.datagram_leave(socket, ip(group), Some(id), what, T0)
}

/// A frame to a group: the payload in an IP packet of that hop limit.
fn to_group(source: &str, group: &str, number: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = (ip(source), ip(group));
    let mac = ip::group_mac(destination).unwrap();
    let link = LinkPath { source: Mac([2, 0, 0, 0, 0, 9]), destination: mac };
    let header = IpHeader { hop_limit, ..IpHeader::new(source, destination, number, payload.len()) };
    let mut headers = [0; HEADERS_LEN_MAX];
    let len = wire::emit_headers(&mut headers, &link, &header);
    [&headers[..len], payload].concat()
}

fn datagram(source: &str, group: &str) -> Vec<u8> {
    let header = UdpHeader::emit((5, 7), ip(source), ip(group), Bytes::new(&[&b"news"[..]]));
    to_group(source, group, protocol::UDP, 1, &[&header[..], b"news"].concat())
}

fn heard(host: &mut Host, socket: DatagramHandle) -> usize {
    let mut count = 0;
    while host.stack.datagram_receive(socket, &mut [0; 100], false, None).is_ok() {
        count += 1;
    }
    count
}

/// D04, U13: a socket hears the groups that it joined, from the sources that it wants, and no other socket's.
#[test]
fn socket_hears_the_groups_that_it_joined() {
    for (group, [one, two]) in [(GROUP, ["10.0.0.8", "10.0.0.9"]), (GROUP_V6, ["fe80::8", "fe80::9"])] {
        let mut host = host(1);
        let any = bind(&mut host, 7);
        host.input(&datagram(one, group), T0);
        assert_eq!(heard(&mut host, any), 0, "not joined");
        join(&mut host, any, group, Membership::AnySource).unwrap();
        host.input(&datagram(one, group), T0);
        assert_eq!(heard(&mut host, any), 1);
        join(&mut host, any, group, Membership::Blocked(ip(one))).unwrap();
        host.input(&datagram(one, group), T0);
        host.input(&datagram(two, group), T0);
        assert_eq!(heard(&mut host, any), 1);
        leave(&mut host, any, group, Membership::AnySource).unwrap();
        join(&mut host, any, group, Membership::Source(ip(one))).unwrap();
        host.input(&datagram(one, group), T0);
        host.input(&datagram(two, group), T0);
        assert_eq!(heard(&mut host, any), 1);
        leave(&mut host, any, group, Membership::Source(ip(one))).unwrap();
        host.input(&datagram(one, group), T0);
        assert_eq!(heard(&mut host, any), 0);
    }
}

/// H124: reports go to all routers that speak the version, with hop limit 1 and a router alert, over IPv6 from a
/// link-local address; their checksums are right.
//= rfc3376#4
//= rfc3810#5
#[test]
fn report_has_its_hop_limit_and_router_alert() {
    let mut host = host(1);
    let socket = bind(&mut host, 7);
    for group in [GROUP, GROUP_V6] {
        join(&mut host, socket, group, Membership::AnySource).unwrap();
        host.stack.on_timers(T0);
        let report = host.output_with_reports(T0).remove(0);
        if group == GROUP {
            assert_eq!(report[..6], [1, 0, 0x5e, 0, 0, 22]);
            assert_eq!((report[14], report[22], &report[34..38]), (0x46, 1, &[0x94, 4, 0, 0][..]));
            let mut sum = Checksum::default();
            sum.add(&report[14..38]);
            assert!(sum.is_valid() && wire_sum(&report[38..], Checksum::default()));
            assert_eq!((report[38], &report[46..]), (igmp::REPORT_V3, &[4, 0, 0, 0, 239, 1, 2, 3][..]));
        } else {
            assert_eq!(report[..6], [0x33, 0x33, 0, 0, 0, 0x16]);
            assert_eq!((report[20], report[21], &report[54..62]), (0, 1, &[58, 0, 5, 2, 0, 0, 1, 0][..]));
            let source = host.link_local();
            let sum = wire::pseudo_header(source, ip("ff02::16"), protocol::ICMPV6, report.len() - 62);
            assert!(wire_sum(&report[62..], sum));
            assert_eq!((report[62], report[70]), (mld::REPORT_V2, 4));
        }
    }
}

fn wire_sum(bytes: &[u8], mut sum: Checksum) -> bool {
    sum.add(bytes);
    sum.is_valid()
}

/// H205: the device lets the groups through that were joined, and no longer than that.
#[test]
fn device_filter_follows_memberships() {
    let mut host = host(1);
    let socket = bind(&mut host, 7);
    let before = host.device.groups.clone();
    let mac = ip::group_mac(ip(GROUP)).unwrap();
    join(&mut host, socket, GROUP, Membership::AnySource).unwrap();
    assert_eq!(host.stack.next_deadline(T0), Some(T0));
    host.output_with_reports(T0);
    assert!(host.device.groups.contains(&mac) && host.device.groups.len() == before.len() + 1);
    host.stack.datagram_close(socket);
    host.output_with_reports(T0);
    assert_eq!(host.device.groups, before);
}

/// H128: the groups of our own addresses are reported, so that switches that snoop let solicitations through.
#[test]
fn groups_of_own_addresses_are_reported() {
    let mut host = Host::fresh(1);
    host.output_with_reports(Instant::ZERO);
    host.stack.on_timers(Instant::ZERO);
    let out = host.output_with_reports(Instant::ZERO);
    let solicited = ip::solicited_node(ip::link_local_from(host.device.mac)).octets();
    let is_report = |f: &&Vec<u8>| f[12] == 0x86 && f[20] == 0 && f[62] == mld::REPORT_V2;
    let reports: Vec<_> = out.iter().filter(is_report).collect();
    assert_eq!(reports.len(), 1);
    assert!(reports[0].ends_with(&solicited));
}

/// Contract D5, D6, D7, D8, D9, D10, U13, U14, U15: misuse is refused by name.
#[test]
fn misuse_of_memberships_is_refused() {
    let mut host = host(1);
    let (socket, id) = (bind(&mut host, 7), host.id);
    let v4_only = host.stack.datagram_bind(DatagramKind::Udp, "0.0.0.0:8".parse().unwrap(), false).unwrap();
    let invalid = |result: Result<(), Error>| matches!(result, Err(Error::InvalidInput(_)));
    for group in ["10.0.0.9", "255.255.255.255", "fe80::1", "0.0.0.0"] {
        assert!(invalid(join(&mut host, socket, group, Membership::AnySource)), "{group}");
    }
    assert_eq!(join(&mut host, v4_only, GROUP_V6, Membership::AnySource), Err(Error::AddrInvalid));
    for source in ["fe80::1", "224.0.0.9", "0.0.0.0", "255.255.255.255"] {
        assert!(invalid(join(&mut host, socket, GROUP, Membership::Source(ip(source)))), "{source}");
    }
    assert!(invalid(leave(&mut host, socket, GROUP, Membership::AnySource)), "a leave without a join");
    for last in 1..=64 {
        join(&mut host, socket, GROUP, Membership::Source(v4(last))).unwrap();
    }
    assert!(invalid(join(&mut host, socket, GROUP, Membership::Source(v4(65)))), "a 65th source");
    for ttl in [0, 256, u32::MAX] {
        assert!(invalid(host.stack.datagram_set_multicast_ttl(socket, ttl)));
    }
    host.stack.remove_interface(id, T0).unwrap();
    assert_eq!(join(&mut host, socket, GROUP, Membership::AnySource), Err(Error::DeviceGone));
    assert_eq!(leave(&mut host, socket, GROUP, Membership::AnySource), Err(Error::DeviceGone));
    assert_eq!(host.stack.datagram_set_multicast_interface(socket, Some(id)), Err(Error::DeviceGone));
}

/// D8-D10, U11, U14, U15, H134: TTL 1 unless another is set, which unicast does not have; what is sent to a group
/// that was joined is heard here too, unless that is switched off.
#[test]
fn multicast_options_hold_for_groups_alone() {
    let mut host = host(1);
    let socket = bind(&mut host, 7);
    let to = |a: &str| Some(SocketAddr::new(ip(a), 7));
    let ttl = |host: &mut Host, address: &str| {
        host.stack.datagram_send(socket, to(address), b"news", None, T0).unwrap();
        host.output_with_reports(T0)
            .iter()
            .find(|f| f[12] == 8 && f[13] == 0 && f[23] == protocol::UDP)
            .map(|f| f[22])
    };
    assert_eq!((ttl(&mut host, GROUP), heard(&mut host, socket)), (Some(1), 0));
    join(&mut host, socket, GROUP, Membership::AnySource).unwrap();
    host.stack.datagram_set_multicast_ttl(socket, 255).unwrap();
    host.stack.datagram_set_hop_limit(socket, Some(9)).unwrap();
    assert_eq!((ttl(&mut host, GROUP), heard(&mut host, socket)), (Some(255), 1));
    host.stack.datagram_set_multicast_loop(socket, false).unwrap();
    assert_eq!((ttl(&mut host, GROUP), heard(&mut host, socket)), (Some(255), 0));
}

/// A query of IGMPv3 and of MLDv2 about all groups.
fn queries(source_v4: &str, source_v6: &str, hop_limit: u8) -> [Vec<u8>; 2] {
    let mut v4 = [igmp::QUERY, 10, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0];
    let mut sum = Checksum::default();
    sum.add(&v4);
    v4[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    let mut v6 = [0; 28];
    (v6[0], v6[4]) = (mld::QUERY, 4);
    let mut sum = wire::pseudo_header(ip(source_v6), ip("ff02::1"), protocol::ICMPV6, v6.len());
    sum.add(&v6);
    v6[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    [
        to_group(source_v4, "224.0.0.1", protocol::IGMP, hop_limit, &v4),
        to_group(source_v6, "ff02::1", protocol::ICMPV6, hop_limit, &v6),
    ]
}

/// I09: queries from nobody, or that crossed a router, are counted and change nothing; good ones are answered.
//= rfc3810#6.2
#[test]
fn query_from_nowhere_is_dropped() {
    let mut host = host(1);
    let socket = bind(&mut host, 7);
    for group in [GROUP, GROUP_V6] {
        join(&mut host, socket, group, Membership::AnySource).unwrap();
    }
    let later = T0 + Duration::from_secs(60);
    host.stack.on_timers(T0);
    host.stack.on_timers(later);
    host.output_with_reports(later);
    let frames = |parts: [Vec<u8>; 2]| parts.into_iter();
    // That of IGMP is a switch's.
    let unanswered =
        frames(queries("10.0.0.9", "fe80::9", 2)).chain(frames(queries("10.0.0.9", "::", 1)).skip(1));
    unanswered.for_each(|f| host.input(&f, later));
    assert_eq!(drops(&host), [(Drop::GroupHopLimit, 2), (Drop::GroupSource, 1)]);
    assert_eq!(host.stack.groups_deadline(), None);
    for query in queries("10.0.0.9", "fe80::9", 1) {
        host.stack.on_frame(host.id, RxFrame::plain(&[&query]), later);
    }
    let due = later + Duration::from_secs(10);
    host.stack.on_timers(due);
    let reports = host.output_with_reports(due);
    let count = |v6: bool| {
        reports.iter().filter(|f| (f[12] == 0x86) == v6 && f[if v6 { 62 } else { 38 }] > 30).count()
    };
    assert_eq!((count(false), count(true)), (1, 2), "that of our own address as well");
}

/// H127: a group that was joined before there is an address is told of from the unspecified one, and once more, over IPv6, when the
/// link-local address has turned out to be nobody else's.
//= rfc3810#5.2.13
#[cfg(feature = "slaac")]
#[test]
fn group_joined_without_address_is_told_again_with_one() {
    let device = Wire::new(1);
    let mut stack = Stack::new(Storage::heap(&Limits::default()), [1; 32]);
    let id = stack.add_interface(device.capabilities()).unwrap();
    let mut host = Host { stack, device, id };
    host.stack.configure_ipv6(id, crate::config::Ipv6Config::default(), Instant::ZERO).unwrap();
    let socket = bind(&mut host, 7);
    for group in [GROUP, GROUP_V6] {
        host.stack.datagram_join(socket, ip(group), Some(id), Membership::AnySource, Instant::ZERO).unwrap();
    }
    let (mut sources_v4, mut sources_v6) = (Vec::new(), Vec::new());
    for ms in (0..10_000).step_by(50) {
        let now = Instant::from_millis(ms);
        host.stack.on_timers(now);
        for frame in host.output_with_reports(now).iter().filter(|f| is_report(f)) {
            match frame[12] {
                0x08 => sources_v4.push(frame[26..30].to_vec()),
                _ if frame.ends_with(&match ip(GROUP_V6) {
                    IpAddr::V6(a) => a.octets(),
                    IpAddr::V4(_) => unreachable!(),
                }) =>
                {
                    sources_v6.push(frame[22..38].to_vec());
                }
                _ => {}
            }
        }
    }
    assert_eq!(sources_v4, [[0; 4]; 2], "RFC 3376 §4.2.13");
    let IpAddr::V6(own) = host.link_local() else { unreachable!() };
    assert_eq!(sources_v6.first(), Some(&[0; 16].to_vec()));
    assert_eq!(sources_v6.iter().filter(|s| **s == own.octets()).count(), 2, "{sources_v6:?}");
}

/// H133, contract D5: each of two sockets in a group gets a copy, and the one stays when the other leaves.
#[test]
fn two_members_of_a_group_are_independent() {
    use crate::udp::{BindOptions, Sharing};
    let mut host = host(1);
    let options = BindOptions { sharing: Sharing::Address, ..BindOptions::default() };
    for (group, source) in [(GROUP, "10.0.0.9"), (GROUP_V6, "fe80::9")] {
        let [one, two] = [(); 2].map(|()| {
            let any = SocketAddr::new(ip("::"), 7);
            let socket = host.stack.datagram_bind_with(DatagramKind::Udp, any, &options).unwrap();
            join(&mut host, socket, group, Membership::AnySource).unwrap();
            socket
        });
        let mac = ip::group_mac(ip(group)).unwrap();
        host.input(&datagram(source, group), T0);
        assert_eq!([one, two].map(|s| heard(&mut host, s)), [1, 1]);
        leave(&mut host, one, group, Membership::AnySource).unwrap();
        host.output_with_reports(T0);
        assert!(host.device.groups.contains(&mac), "the device lets it through still");
        host.input(&datagram(source, group), T0);
        assert_eq!([one, two].map(|s| heard(&mut host, s)), [0, 1]);
        host.stack.datagram_close(two);
        host.output_with_reports(T0);
        assert!(!host.device.groups.contains(&mac));
        host.stack.datagram_close(one);
    }
}

/// I09, RFC 4541 §2.1.1: a switch that has no address asks from 0.0.0.0, and is answered.
#[test]
fn query_of_a_switch_without_address_is_answered() {
    let mut host = host(1);
    let socket = bind(&mut host, 7);
    join(&mut host, socket, GROUP, Membership::AnySource).unwrap();
    let later = T0 + Duration::from_secs(60);
    host.stack.on_timers(T0);
    host.stack.on_timers(later);
    host.output_with_reports(later);
    let [query, _] = queries("0.0.0.0", "fe80::9", 1);
    host.input(&query, later);
    let due = later + Duration::from_secs(10);
    host.stack.on_timers(due);
    let reports = host.output_with_reports(due);
    assert_eq!((drops(&host), reports.len()), (vec![], 1));
    assert_eq!((reports[0][38], &reports[0][50..54]), (igmp::REPORT_V3, &[239, 1, 2, 3][..]));
}

/// A message of the older versions, with its group: IGMPv2 and MLDv1.
fn old_message(kinds: (u8, u8), sources: (&str, &str), groups: (&str, &str)) -> [Vec<u8>; 2] {
    let (IpAddr::V4(v4), IpAddr::V6(v6)) = (ip(groups.0), ip(groups.1)) else { unreachable!() };
    let mut igmp = [&[kinds.0, 10, 0, 0][..], &v4.octets()].concat();
    let mut sum = Checksum::default();
    sum.add(&igmp);
    igmp[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    let mut mld = [&[kinds.1, 0, 0, 0, 0, 100, 0, 0][..], &v6.octets()].concat();
    let is_query = kinds.1 == mld::QUERY;
    let to = if is_query { ("224.0.0.1", "ff02::1") } else { groups };
    let mut sum = wire::pseudo_header(ip(sources.1), ip(to.1), protocol::ICMPV6, mld.len());
    sum.add(&mld);
    mld[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    [
        to_group(sources.0, to.0, protocol::IGMP, 1, &igmp),
        to_group(sources.1, to.1, protocol::ICMPV6, 1, &mld),
    ]
}

/// H131: in the older versions somebody else's report saves ours; our own that comes back, as by a switch that has no address, does
/// not, and is counted.
#[test]
fn report_reflected_is_not_somebody_elses() {
    let reports = (igmp::REPORT_V2, mld::REPORT_V1);
    let own = |host: &Host| host.link_local().to_string();
    for (from, expected) in [(None, 1), (Some(("0.0.0.0", "::")), 1), (Some(("10.0.0.9", "fe80::9")), 0)] {
        let mut host = host(1);
        for query in old_message((igmp::QUERY, mld::QUERY), ("10.0.0.8", "fe80::8"), ("0.0.0.0", "::")) {
            host.input(&query, T0);
        }
        let answered = T0 + Duration::from_secs(20);
        host.stack.on_timers(answered);
        host.output_with_reports(answered);
        let socket = bind(&mut host, 7);
        for group in [GROUP, GROUP_V6] {
            host.stack
                .datagram_join(socket, ip(group), Some(host.id), Membership::AnySource, answered)
                .unwrap();
        }
        host.stack.on_timers(answered);
        assert_eq!(host.output_with_reports(answered).len(), 2, "told at once");
        let link_local = own(&host);
        let sources = from.unwrap_or(("10.0.0.1", &link_local));
        for report in old_message(reports, sources, (GROUP, GROUP_V6)) {
            host.input(&report, answered);
        }
        let counted = match from {
            None => vec![(Drop::Land, 2)],
            Some(("0.0.0.0", _)) => vec![(Drop::GroupSource, 2)],
            Some(_) => vec![],
        };
        assert_eq!(drops(&host), counted, "{from:?}");
        let due = answered + Duration::from_secs(11);
        host.stack.on_timers(due);
        assert_eq!(host.output_with_reports(due).len(), 2 * expected, "told again, {from:?}");
    }
}
