//! DHCP on an interface: a server on the wire, in virtual time.

use core::net::SocketAddr;

use super::input::{PEER, packet_to};
use super::*;
use crate::bytes::Bytes;
use crate::config::dhcp::{ConflictDetection, DhcpConfig, DhcpState};
use crate::ip::addresses::{Address, Origin};
use crate::ip::routes::Route;
use crate::stack::{DHCP_METRIC, DhcpMemory};
use crate::time::Duration;
use crate::wire::{self, ArpOperation, ArpPacket, protocol};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const LEASED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);

/// A server that answers at once, if it does, and gives what it was told.
struct Server {
    lease: u32,
    answers: bool,
    refuses: bool,
    options: Vec<(u8, Vec<u8>)>,
    /// By unicast to the address that it gives.
    unicast: bool,
    /// Types of the messages that came.
    heard: Vec<u8>,
}

impl Server {
    fn new(lease: u32) -> Server {
        let options = vec![(1, vec![255, 255, 255, 0]), (3, SERVER.octets().to_vec())];
        Server { lease, answers: true, refuses: false, options, unicast: false, heard: Vec::new() }
    }

    fn with(mut self, code: u8, value: &[u8]) -> Server {
        self.options.push((code, value.to_vec()));
        self
    }

    /// Answers a frame, if it is a message for a server.
    fn answer(&mut self, host: &Host, frame: &[u8]) -> Option<Vec<u8>> {
        let is_ours = frame[12..14] == [8, 0] && frame[23] == protocol::UDP && frame[36..38] == [0, 67];
        let message = frame.get(42..).filter(|_| is_ours)?;
        assert_eq!(message[236..242], [0x63, 0x82, 0x53, 0x63, 53, 1]);
        self.heard.push(message[242]);
        let kind = match message[242] {
            1 => 2,
            3 if self.refuses => 6,
            3 => 5,
            _ => return None,
        };
        if !self.answers {
            return None;
        }
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[2, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&message[4..8]);
        bytes[16..20].copy_from_slice(&LEASED.octets());
        bytes[28..34].copy_from_slice(&message[28..34]);
        bytes[236..240].copy_from_slice(&message[236..240]);
        let mut put = |code: u8, value: &[u8]| {
            bytes.extend([code, value.len() as u8]);
            bytes.extend(value);
        };
        put(53, &[kind]);
        put(54, &SERVER.octets());
        if kind != 6 {
            put(51, &self.lease.to_be_bytes());
            self.options.iter().for_each(|(code, value)| put(*code, value));
        }
        bytes.push(255);
        let to = if self.unicast { LEASED } else { Ipv4Addr::BROADCAST };
        Some(datagram(host, to, &bytes))
    }
}

fn datagram(host: &Host, to: Ipv4Addr, bytes: &[u8]) -> Vec<u8> {
    let header = wire::UdpHeader::emit((67, 68), SERVER.into(), to.into(), Bytes::new(&[bytes]));
    packet_to(host, SERVER.into(), to.into(), protocol::UDP, &[&header[..], bytes].concat())
}

/// A host without an IPv4 address.
fn bare() -> Host {
    let device = Wire::new(1);
    let mut stack = Stack::new(Storage::heap(&Limits::default()), [1; 32]);
    let id = stack.add_interface(device.capabilities()).unwrap();
    Host { stack, device, id }
}

fn start(host: &mut Host, config: DhcpConfig, now: Instant) {
    let memory = DhcpMemory::Owned(Box::default());
    host.stack.dhcp_start(host.id, config, memory, now).unwrap();
}

const QUICK: DhcpConfig = DhcpConfig { conflict_detection: ConflictDetection::Once, ..DhcpConfig::DEFAULT };

/// Turns the host by its own deadlines, its server and its neighbours answering, and gives what else it sent.
fn run(host: &mut Host, server: &mut Server, now: &mut Instant, until: Instant) -> Vec<Vec<u8>> {
    let mut others = Vec::new();
    let mut turns = 0;
    loop {
        host.stack.on_timers(*now);
        let mut frames = host.output(*now);
        while !frames.is_empty() {
            for frame in frames {
                if let Some(answer) = server.answer(host, &frame) {
                    host.input(&answer, *now);
                } else if neighbors::asked(&frame) == Some(SERVER) {
                    host.input(&arp(ArpOperation::Reply, SERVER, LEASED).emit(host.device.mac), *now);
                } else {
                    others.push(frame);
                }
            }
            frames = host.output(*now);
        }
        match host.stack.next_deadline(*now) {
            Some(next) if next <= until => {
                // What an answer brings about may be due at once, but no more than that.
                turns = if next > *now { 0 } else { turns + 1 };
                assert!(turns < 3, "a deadline that passes");
                *now = next;
            }
            _ => {
                *now = until;
                return others;
            }
        }
    }
}

fn arp(operation: ArpOperation, sender: Ipv4Addr, target: Ipv4Addr) -> ArpPacket {
    ArpPacket { operation, sender_mac: PEER, sender, target_mac: Mac::default(), target }
}

fn leased(host: &Host) -> Option<Address> {
    host.stack.addresses().get(host.id, LEASED.into()).copied()
}

fn v4_addresses(host: &Host) -> Vec<(IpAddr, Origin)> {
    let all = host.stack.addresses().of(host.id).filter(|a| a.cidr.address.is_ipv4());
    all.map(|a| (a.cidr.address, a.origin)).collect()
}

fn count(host: &Host, drop: Drop) -> u64 {
    host.stack.counters().drops(drop)
}

fn events(host: &mut Host, wanted: impl Fn(&Event) -> bool) -> Vec<Instant> {
    host.stack.events().recent().filter(|(_, e)| wanted(e)).map(|(at, _)| at).collect()
}

/// L06, M32: a server that answers at once has the host configured within a second of its link coming up, 200 ms of
/// which are the probe: address with its end, default route, MTU of IPv4 alone.
#[test]
fn server_that_answers_configures_the_host_within_a_second() {
    for unicast in [false, true] {
        let mut host = bare();
        let mut server =
            Server { unicast, ..Server::new(3600) }.with(26, &1400u16.to_be_bytes()).with(6, &[8, 8, 8, 8]);
        start(&mut host, QUICK, T0);
        assert!(!host.stack.is_configured());
        let mut now = T0;
        let sent = run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(1));
        assert_eq!(server.heard, [1, 3]);
        let probe = sent.iter().find(|f| f[12..14] == [8, 6]).unwrap();
        assert_eq!((&probe[28..32], &probe[38..42]), (&[0; 4][..], &LEASED.octets()[..]));
        let address = leased(&host).unwrap();
        assert_eq!((address.cidr.prefix_len(), address.origin), (24, Origin::Dhcpv4));
        let lease = host.stack.dhcp(host.id).unwrap().lease().unwrap();
        assert_eq!(Some(address.lifetimes.valid_until), lease.expires());
        assert!(lease.dns_servers().eq([Ipv4Addr::new(8, 8, 8, 8)]));
        assert!(host.stack.is_configured());
        let far = host.stack.path("192.0.2.1".parse().unwrap(), None, None).unwrap();
        assert_eq!((far.next_hop, far.source, far.mtu), (SERVER.into(), LEASED.into(), 1400));
        let near = host.stack.path("fe80::9".parse().unwrap(), None, None).unwrap();
        assert_eq!(near.mtu, 1500);
        assert_eq!(events(&mut host, |e| matches!(e, Event::Leased(..))).len(), 1);
        let usable = |e: &Event| matches!(e, Event::AddressAdded(_, a) if *a == IpAddr::V4(LEASED));
        assert!(events(&mut host, usable)[0].since(T0) < Duration::from_secs(1));
    }
}

/// H158: somebody has the address, or probes for it as well: declined, never used, and asked for again after ten seconds.
#[test]
fn address_of_somebody_else_is_declined() {
    let claims = [
        arp(ArpOperation::Reply, LEASED, Ipv4Addr::UNSPECIFIED),
        arp(ArpOperation::Request, LEASED, SERVER),
        arp(ArpOperation::Request, Ipv4Addr::UNSPECIFIED, LEASED),
    ];
    for claim in claims {
        let mut host = bare();
        let mut server = Server::new(3600);
        start(&mut host, QUICK, T0);
        let mut now = T0;
        while host.stack.dhcp(host.id).unwrap().state() != DhcpState::Probing {
            let next = now + Duration::from_millis(10);
            run(&mut host, &mut server, &mut now, next);
        }
        host.input(&claim.emit(Mac::BROADCAST), now);
        let declined = now;
        run(&mut host, &mut server, &mut now, declined + Duration::from_secs(9));
        assert_eq!((&server.heard[..], leased(&host)), (&[1, 3, 4][..], None));
        assert_eq!(
            events(
                &mut host,
                |e| matches!(e, Event::AddressConflict(_, a, PEER) if *a == IpAddr::V4(LEASED))
            ),
            [declined]
        );
        run(&mut host, &mut server, &mut now, declined + Duration::from_secs(12));
        assert!(leased(&host).is_some());
    }
}

/// A connection to port 80 of the server.
fn connection(host: &mut Host, server: &mut Server, now: &mut Instant) -> TcpHandle {
    let handle = host.stack.tcp_connect(SocketAddr::new(SERVER.into(), 80), None, *now).unwrap();
    let next = *now + Duration::from_millis(10);
    run(host, server, now, next);
    handle
}

/// RFC 2131 §4.4.5, H265: what ends a lease takes its address, route and MTU, and ends its connections by name, within a
/// second: it ran out, or the server refused to renew it.
#[test]
fn end_of_the_lease_takes_everything() {
    for refuses in [false, true] {
        let mut host = bare();
        let mut server = Server::new(600).with(26, &1400u16.to_be_bytes());
        start(&mut host, QUICK, T0);
        let mut now = T0;
        run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(1));
        let lease = host.stack.dhcp(host.id).unwrap().lease().unwrap();
        let (from, end) = (lease.since(), lease.expires().unwrap());
        let socket = host.stack.datagram_bind(DatagramKind::Udp, (LEASED, 9).into(), false).unwrap();
        (server.answers, server.refuses) = (refuses, refuses);
        let end = if refuses { from + Duration::from_secs(300) } else { end };
        run(&mut host, &mut server, &mut now, end - Duration::from_millis(500));
        let flow = connection(&mut host, &mut server, &mut now);
        run(&mut host, &mut server, &mut now, end - Duration::from_millis(1));
        assert!(leased(&host).is_some());
        run(&mut host, &mut server, &mut now, end + Duration::from_millis(1));
        assert_eq!(v4_addresses(&host), []);
        assert_eq!(host.stack.routes().count(), 0);
        assert_eq!(events(&mut host, |e| matches!(e, Event::LeaseEnded(..))).len(), 1);
        assert_eq!(host.stack.tcp_write(flow, b"x", now), Err(Error::AddrNotAvailable));
        let to = Some(SocketAddr::new(v4(8), 9));
        assert_eq!(host.stack.datagram_send(socket, to, b"x", None, now), Err(Error::AddrNotAvailable));
        // And it gets another.
        (server.answers, server.refuses) = (true, false);
        run(&mut host, &mut server, &mut now, end + Duration::from_secs(120));
        assert!(leased(&host).is_some() && host.stack.is_configured());
    }
}

/// The renewal: nothing but the end of the address changes, for days; ways and connections are not even looked at
/// again.
#[test]
fn renewal_changes_nothing_else() {
    let mut host = bare();
    let mut server = Server::new(3600).with(26, &1400u16.to_be_bytes());
    start(&mut host, QUICK, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(30));
    let (epoch, before) = (host.stack.paths_epoch(), leased(&host).unwrap());
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(14 * 86_400));
    assert!(
        server.heard.len() > 600 && server.heard[2..].iter().all(|kind| *kind == 3),
        "{:?}",
        server.heard
    );
    assert_eq!(host.stack.paths_epoch(), epoch);
    let after = leased(&host).unwrap();
    assert!(after.lifetimes.valid_until > before.lifetimes.valid_until + Duration::from_secs(13 * 86_400));
    assert_eq!(host.stack.routes().count(), 1);
    assert_eq!(events(&mut host, |e| matches!(e, Event::LeaseEnded(..))), []);
}

/// H174, RFC 3442: classless routes count instead of the router; what changed at a renewal changes, and the program's
/// own routes stay; a router that is not on the link has a name.
#[test]
fn routes_follow_the_lease() {
    let mut host = bare();
    let classless = [
        &[8, 172, 10, 0, 0, 5][..],
        &[24, 192, 168, 7, 0, 0, 0, 0],
        &[0, 192, 168, 7, 1],
        &[16, 9, 9, 1, 2, 3, 4],
    ];
    let mut server = Server::new(3600).with(121, &classless.concat());
    start(&mut host, QUICK, T0);
    let own = Route { destination: Cidr::ANY_V4, gateway: Some(v4(8)), interface: host.id, metric: 0 };
    host.stack.add_route(own).unwrap();
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(1));
    let routes = |host: &Host| {
        let all = host.stack.routes().filter(|r| r.metric == DHCP_METRIC);
        all.map(|r| format!("{} {:?}", r.destination, r.gateway)).collect::<Vec<_>>()
    };
    assert_eq!(
        routes(&host),
        ["172.0.0.0/8 Some(10.0.0.5)", "192.168.7.0/24 None", "0.0.0.0/0 Some(192.168.7.1)"]
    );
    assert_eq!(count(&host, Drop::DhcpRoute), 1);
    let hop = |host: &Host, to: &str| host.stack.path(to.parse().unwrap(), None, None).unwrap().next_hop;
    assert_eq!(hop(&host, "8.8.8.8"), v4(8), "the program's goes first");
    assert_eq!(hop(&host, "172.1.2.3"), v4(5));
    server.options.retain(|(code, _)| *code != 121);
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(1802));
    assert_eq!(routes(&host), ["0.0.0.0/0 Some(10.0.0.9)"]);
    assert!(host.stack.routes().any(|r| *r == own));
}

/// L06: a router outside of the lease's own network can't be reached: it is counted, and the rest of the lease holds.
#[test]
fn router_outside_the_mask_is_counted() {
    let mut host = bare();
    let mut server = Server::new(3600);
    server.options[1] = (3, vec![10, 0, 1, 1]);
    start(&mut host, QUICK, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(1));
    assert_eq!((count(&host, Drop::DhcpRoute), leased(&host).is_some()), (1, true));
    let hop = |host: &Host, to: &str| host.stack.path(to.parse().unwrap(), None, None).map(|p| p.next_hop);
    assert_eq!(hop(&host, "10.0.0.5"), Ok(v4(5)));
    assert!(hop(&host, "8.8.8.8").is_err());
    assert_eq!(host.stack.routes().filter(|r| r.metric == DHCP_METRIC).count(), 0);
}

/// L06, RFC 3396: 600 bytes of classless routes are 75 of them: the table takes what it has places for, the rest is counted, a
/// renewal leaves it so, and all go with the lease.
#[test]
fn routes_beyond_the_table_are_counted() {
    let mut host = bare();
    let all: Vec<u8> = (0..75).flat_map(|n| [24, 192, 168, n, 10, 0, 0, 9]).collect();
    let mut server = all.chunks(200).fold(Server::new(60), |server, part| server.with(121, part));
    let places = Limits::default().routes;
    start(&mut host, QUICK, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(1));
    let routes = |host: &Host| host.stack.routes().filter(|r| r.metric == DHCP_METRIC).count();
    assert_eq!((routes(&host), count(&host, Drop::DhcpRouteTableFull)), (places, 75 - places as u64));
    let hop = |host: &Host, to: &str| host.stack.path(to.parse().unwrap(), None, None).map(|p| p.next_hop);
    assert_eq!(hop(&host, "192.168.0.1"), Ok(SERVER.into()), "the first are kept");
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(40));
    assert_eq!((routes(&host), count(&host, Drop::DhcpRouteTableFull)), (places, 2 * (75 - places as u64)));
    server.answers = false;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(200));
    assert_eq!(routes(&host), 0);
}

/// H168: an address that the program gave too is the program's, and stays.
#[test]
fn address_of_the_program_outlives_the_lease() {
    let mut host = bare();
    host.stack.add_address(host.id, Cidr::new(LEASED.into(), 24).unwrap(), T0).unwrap();
    let mut server = Server::new(120);
    start(&mut host, DhcpConfig { conflict_detection: ConflictDetection::Off, ..QUICK }, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(5));
    assert_eq!(v4_addresses(&host), [(LEASED.into(), Origin::Manual)]);
    host.stack.dhcp_release(host.id, now).unwrap();
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(10));
    assert_eq!((server.heard.last(), v4_addresses(&host)), (Some(&7), vec![(LEASED.into(), Origin::Manual)]));
}

/// RFC 2131 §4.4.6: a lease is given back, by unicast, and is gone a second later.
#[test]
fn released_address_is_gone() {
    let mut host = bare();
    let mut server = Server::new(3600);
    start(&mut host, QUICK, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(5));
    host.stack.dhcp_release(host.id, now).unwrap();
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(7));
    assert_eq!((server.heard.last(), v4_addresses(&host)), (Some(&7), vec![]));
    let silence = server.heard.len();
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(7000));
    assert_eq!((server.heard.len(), v4_addresses(&host).len()), (silence, 0));
}

/// A client that is ended leaves nothing, and another one takes its place.
#[test]
fn stopped_client_leaves_room_for_another() {
    let mut host = bare();
    let mut server = Server::new(3600).with(150, &[1, 2, 3, 4]);
    start(&mut host, QUICK, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(5));
    host.stack.dhcp_stop(host.id, now).unwrap();
    assert_eq!((v4_addresses(&host), host.stack.routes().count()), (vec![], 0));
    assert_eq!(host.stack.dhcp_stop(host.id, now), Err(Error::DeviceGone));
    start(&mut host, DhcpConfig { requests: &[150], ..QUICK }, now);
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(10));
    let lease = host.stack.dhcp(host.id).unwrap().lease().unwrap();
    assert_eq!(lease.option(150), Some(&[1, 2, 3, 4][..]));
}

/// L07, RFC 3927: without a lease a link-local address after the time that was set; three probes, none of them from an
/// address; it goes when a lease comes.
#[test]
fn link_local_address_stands_in_for_a_lease() {
    let mut host = bare();
    let mut server = Server { answers: false, ..Server::new(3600) };
    start(&mut host, QUICK, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(29));
    assert_eq!(v4_addresses(&host), []);
    let sent = run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(40));
    assert_eq!(events(&mut host, |e| matches!(e, Event::NoLease(_))), [T0 + Duration::from_secs(30)]);
    let [(IpAddr::V4(own), Origin::LinkLocal)] = v4_addresses(&host)[..] else { panic!() };
    assert!(own.is_link_local() && (1..=254).contains(&own.octets()[2]), "{own}");
    let probes =
        sent.iter().filter(|f| f[12..14] == [8, 6] && f[28..32] == [0; 4] && f[38..42] == own.octets());
    assert_eq!(probes.count(), 3);
    assert!(!host.stack.is_configured(), "it is good on its link only");
    // The address is the station's: the same the next time.
    let mut again = bare();
    start(&mut again, QUICK, T0);
    let mut then = T0;
    run(&mut again, &mut server, &mut then, T0 + Duration::from_secs(40));
    assert_eq!(v4_addresses(&again), v4_addresses(&host));
    server.answers = true;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(200));
    assert_eq!(v4_addresses(&host), [(LEASED.into(), Origin::Dhcpv4)]);
}

/// RFC 3927 §2.2.1, §2.5, §9: another one is tried after a conflict while probing; one that is used is defended once,
/// and given up the second time within ten seconds; after ten conflicts there is a pause of a minute.
#[test]
fn link_local_address_of_somebody_else_is_given_up() {
    let mut host = bare();
    let mut server = Server { answers: false, ..Server::new(3600) };
    start(&mut host, DhcpConfig { link_local_after: Some(Duration::ZERO), ..QUICK }, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(10));
    let [(IpAddr::V4(first), _)] = v4_addresses(&host)[..] else { panic!() };
    let claim = arp(ArpOperation::Request, first, first).emit(Mac::BROADCAST);
    host.input(&claim, now);
    let next = now + Duration::from_secs(8);
    let defended = run(&mut host, &mut server, &mut now, next);
    assert!(
        defended
            .iter()
            .any(|f| f[12..14] == [8, 6] && f[28..32] == first.octets() && f[38..42] == first.octets())
    );
    assert_eq!(v4_addresses(&host).len(), 1);
    host.input(&claim, now);
    assert_eq!(v4_addresses(&host), []);
    let next = now + Duration::from_secs(10);
    run(&mut host, &mut server, &mut now, next);
    let [(IpAddr::V4(second), _)] = v4_addresses(&host)[..] else { panic!() };
    assert_ne!(first, second);
    // Whatever it tries is somebody's.
    host.input(&arp(ArpOperation::Request, second, second).emit(Mac::BROADCAST), now);
    host.input(&arp(ArpOperation::Request, second, second).emit(Mac::BROADCAST), now);
    let began = now;
    let mut tried = Vec::new();
    while now < began + Duration::from_secs(600) {
        let next = now + Duration::from_millis(500);
        for frame in run(&mut host, &mut server, &mut now, next) {
            if frame[12..14] == [8, 6] && frame[28..32] == [0; 4] {
                let target = Ipv4Addr::new(frame[38], frame[39], frame[40], frame[41]);
                tried.push(target);
                host.input(&arp(ArpOperation::Reply, target, target).emit(host.device.mac), now);
            }
        }
    }
    assert!((9 + 8..=9 + 11).contains(&tried.len()), "a minute apart after ten: {}", tried.len());
    assert_eq!(v4_addresses(&host), []);
}

/// U3: a program's own client on port 68 lives beside the stack's; what is for neither has a name, and is
/// not answered by ICMP.
#[test]
fn socket_on_the_port_of_the_client_hears_what_is_not_its() {
    let mut host = bare();
    let mut server = Server { answers: false, ..Server::new(3600) };
    start(&mut host, QUICK, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(1));
    let foreign = datagram(&host, Ipv4Addr::BROADCAST, &[2; 300]);
    host.input(&foreign, now);
    assert_eq!((count(&host, Drop::DhcpMalformed), host.output(now).len()), (1, 0));
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 68));
    let socket = host.stack.datagram_bind(DatagramKind::Udp, any, false).unwrap();
    host.input(&foreign, now);
    let received = host.stack.datagram_receive(socket, &mut [0; 400], false, None).unwrap();
    assert_eq!((received.len, received.from), (300, (SERVER, 67).into()));
    server.answers = true;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(10));
    assert!(leased(&host).is_some());
    assert_eq!(host.stack.datagram_receive(socket, &mut [0; 400], false, None), Err(Error::WouldBlock));
}

/// L13, H163: a link that comes back is asked whether the lease holds; its address and connections stay.
#[test]
fn link_that_comes_back_keeps_its_connections() {
    let mut host = bare();
    let mut server = Server::new(3600);
    start(&mut host, QUICK, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(2));
    let flow = connection(&mut host, &mut server, &mut now);
    host.stack.link_down(host.id, now).unwrap();
    assert!(!host.stack.interface(host.id).unwrap().is_link_up());
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(10));
    assert_eq!(server.heard, [1, 3]);
    host.stack.link_up(host.id, now).unwrap();
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(11));
    assert_eq!(server.heard, [1, 3, 3]);
    assert!(leased(&host).is_some());
    assert!(host.stack.tcp_write(flow, b"x", now).is_ok());
    let changes = events(&mut host, |e| matches!(e, Event::LinkUp(_) | Event::LinkDown(_)));
    assert_eq!(changes.len(), 2);
}

/// A lease of seconds is taken as it is, and counted; an MTU that IPv4 does not allow is not.
#[test]
fn short_lease_and_bad_mtu_are_counted() {
    let mut host = bare();
    let mut server = Server::new(10).with(26, &[0, 67]);
    start(&mut host, QUICK, T0);
    let mut now = T0;
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(2));
    assert_eq!((host.stack.counters().short_leases, count(&host, Drop::DhcpMtu)), (1, 1));
    let path = host.stack.path(v4(8), None, None).unwrap();
    assert_eq!(path.mtu, 1500);
    run(&mut host, &mut server, &mut now, T0 + Duration::from_secs(300));
    assert!(leased(&host).is_some() && host.stack.counters().short_leases > 50);
}

/// An answer in pieces is one answer (the device may split payload); one beyond what we said we take is none.
#[test]
fn answer_in_pieces_is_read() {
    let mut host = bare();
    let mut server = Server { answers: true, ..Server::new(3600) };
    start(&mut host, QUICK, T0);
    let mut now = T0;
    while server.heard.is_empty() {
        host.stack.on_timers(now);
        for frame in host.output(now) {
            if let Some(answer) = server.answer(&host, &frame) {
                let (head, tail) = answer.split_at(42 + 100);
                host.stack.on_frame(host.id, RxFrame::plain(&[head, tail]), now);
            }
        }
        now = host.stack.next_deadline(now).unwrap();
    }
    assert_eq!(host.stack.dhcp(host.id).unwrap().state(), DhcpState::Requesting);
    let long = datagram(&host, Ipv4Addr::BROADCAST, &[2; 1200]);
    let (head, tail) = long.split_at(42 + 100);
    host.stack.on_frame(host.id, RxFrame::plain(&[head, tail]), now);
    assert_eq!(count(&host, Drop::DhcpTooLong), 1);
}

/// What can't have a client, and what can't be sent, is refused; an interface that goes takes its client along.
#[test]
fn client_is_one_for_an_interface() {
    let mut host = bare();
    let memory = || DhcpMemory::Owned(Box::default());
    let loopback = host.stack.add_loopback(Capabilities::new(Mac::default(), 1500)).unwrap();
    let refused = host.stack.dhcp_start(loopback, QUICK, memory(), T0);
    assert!(matches!(refused, Err(Error::InvalidInput(_))));
    let inform = DhcpConfig { inform: true, ..QUICK };
    assert_eq!(host.stack.dhcp_start(host.id, inform, memory(), T0), Err(Error::AddrNotAvailable));
    start(&mut host, QUICK, T0);
    let refused = host.stack.dhcp_start(host.id, QUICK, memory(), T0);
    assert!(matches!(refused, Err(Error::InvalidInput(_))));
    host.stack.remove_interface(host.id, T0).unwrap();
    assert!(host.stack.dhcp(host.id).is_none());
    host.stack.on_timers(T0 + Duration::from_secs(5));
    assert_eq!(host.stack.dhcp_start(host.id, QUICK, memory(), T0), Err(Error::DeviceGone));
}
