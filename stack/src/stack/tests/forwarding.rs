//! A router between two networks: 10.0.0.0/24 with host 1, and 10.0.1.0/24 with host 2; fd00:0::/64 and fd00:1::/64.

use core::net::SocketAddr;

use super::input::packet_to;
use super::*;
use crate::bytes::Bytes;
use crate::raw::{RawHandle, RawKind};
use crate::udp::DatagramHandle;
use crate::wire::protocol;

/// The router, and a host on each side of it.
struct Router {
    stack: Stack<'static>,
    devices: [Wire; 2],
    ids: [InterfaceId; 2],
    hosts: [Host; 2],
}

fn v4_of(network: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, network, host).into()
}

fn v6_of(network: u8, host: u8) -> IpAddr {
    core::net::Ipv6Addr::new(0xfd00, network.into(), 0, 0, 0, 0, 0, host.into()).into()
}

impl Router {
    fn new(mtu: u16) -> Self {
        let devices = [Wire::new(0x10), Wire::new(0x20)];
        let mut stack = Stack::new(Storage::heap(&Limits::default()), [9; 32]);
        let capabilities = [Capabilities::new(devices[0].mac, 1500), Capabilities::new(devices[1].mac, mtu)];
        let ids = capabilities.map(|c| stack.add_interface(c).unwrap());
        let mut hosts = [Host::new(1), Host::new(2)];
        hosts[1].stack.remove_address(hosts[1].id, v4(2), T0).unwrap();
        for (n, id) in ids.into_iter().enumerate() {
            let (network, host) = (n as u8, n as u8 + 1);
            stack.set_forwarding(id, true).unwrap();
            for address in [v4_of(network, 254), v6_of(network, 254)] {
                stack
                    .add_address(id, Cidr::new(address, if address.is_ipv4() { 24 } else { 64 }).unwrap(), T0)
                    .unwrap();
            }
            let far = &mut hosts[n];
            if n == 1 {
                far.stack.add_address(far.id, Cidr::new(v4_of(1, 2), 24).unwrap(), T0).unwrap();
            }
            far.stack.add_address(far.id, Cidr::new(v6_of(network, host), 64).unwrap(), T0).unwrap();
            for gateway in [v4_of(network, 254), v6_of(network, 254)] {
                far.stack.set_gateway(far.id, gateway).unwrap();
            }
        }
        let mut router = Router { stack, devices, ids, hosts };
        router.settle(T0);
        router
    }

    /// Carries frames until nobody has more to say.
    fn settle(&mut self, now: Instant) {
        loop {
            let mut carried = 0;
            for side in 0..2 {
                for frame in self.hosts[side].output(now) {
                    self.stack.on_frame(self.ids[side], RxFrame::plain(&[&frame]), now);
                    carried += 1;
                }
                self.stack.egress(self.ids[side], &mut self.devices[side], now);
                for frame in mem::take(&mut self.devices[side].sent) {
                    self.hosts[side].input(&frame, now);
                    carried += 1;
                }
            }
            if carried == 0 {
                return;
            }
        }
    }

    fn drops(&self) -> Vec<(Drop, u64)> {
        self.stack.counters().drops_seen().filter(|(drop, _)| *drop != Drop::ArpNotForUs).collect()
    }

    fn udp(&mut self, host: usize, own: &str) -> DatagramHandle {
        self.hosts[host].stack.datagram_bind(DatagramKind::Udp, own.parse().unwrap(), false).unwrap()
    }

    fn receive(&mut self, host: usize, socket: DatagramHandle) -> Result<(usize, u8), Error> {
        let got = self.hosts[host].stack.datagram_receive(socket, &mut [0; 3000], false, None)?;
        Ok((got.datagram_len, got.hop_limit))
    }
}

/// What a raw socket for ICMP got that is an error: type, code and the last four bytes of its header.
fn report(host: &mut Host, socket: RawHandle) -> Option<(u8, u8, u32)> {
    let mut buf = [0; 1500];
    loop {
        host.stack.raw_receive(socket, &mut buf, None).ok()?;
        let is_error = if host.stack.raw_kind(socket) == Ok(RawKind::Ipv4(1)) {
            buf[0] == 3 || buf[0] == 11
        } else {
            buf[0] < 128
        };
        if is_error {
            return Some((buf[0], buf[1], u32::from_be_bytes([buf[4], buf[5], buf[6], buf[7]])));
        }
    }
}

fn icmp_sockets(host: &mut Host) -> [RawHandle; 2] {
    [RawKind::Ipv4(1), RawKind::Ipv6(58)].map(|kind| host.stack.raw_open(kind, None).unwrap())
}

/// I07: datagrams and connections of both families go through, one hop further each.
#[test]
fn router_forwards_both_families() {
    let mut world = Router::new(1500);
    for (any, to) in [("0.0.0.0:7", v4_of(1, 2)), ("[::]:8", v6_of(1, 2))] {
        let server = world.udp(1, any);
        let (client, port) = (
            world.udp(0, if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }),
            if to.is_ipv4() { 7 } else { 8 },
        );
        world.hosts[0]
            .stack
            .datagram_send(client, Some(SocketAddr::new(to, port)), b"hello", None, T0)
            .unwrap();
        world.settle(T0);
        assert_eq!(world.receive(1, server), Ok((5, 63)), "{to}");
        ping(&mut world.hosts[0], to);
        let before = world.hosts[0].stack.counters().icmp.received.packets;
        world.settle(T0);
        assert!(world.hosts[0].stack.counters().icmp.received.packets > before, "a reply from {to}");
    }
    assert_eq!(world.drops(), vec![]);
    assert_eq!(world.stack.memory().0, 0);
    let (listener, _) = world.hosts[1].stack.tcp_listen(SocketAddr::new(v4_of(1, 2), 80), 4).unwrap();
    world.hosts[0].stack.tcp_connect(SocketAddr::new(v4_of(1, 2), 80), None, T0).unwrap();
    world.settle(T0);
    assert!(world.hosts[1].stack.tcp_accept(listener).is_ok());
}

/// RFC 1812 §5.3.1, RFC 4443 §3.3: a packet whose TTL is used up is reported, and does not go on.
#[test]
fn router_hop_limit_used_up_is_reported() {
    let mut world = Router::new(1500);
    let sockets = icmp_sockets(&mut world.hosts[0]);
    for (socket, any, to, expected) in
        [(sockets[0], "0.0.0.0:0", v4_of(1, 2), 11), (sockets[1], "[::]:0", v6_of(1, 2), 3)]
    {
        let client = world.udp(0, any);
        world.hosts[0].stack.datagram_set_hop_limit(client, Some(1)).unwrap();
        world.hosts[0].stack.datagram_send(client, Some(SocketAddr::new(to, 9)), b"x", None, T0).unwrap();
        world.settle(T0);
        assert_eq!(report(&mut world.hosts[0], socket), Some((expected, 0, 0)));
    }
    assert_eq!(world.drops(), [(Drop::ForwardHopLimit, 2)]);
}

/// H070, RFC 1191 §4, RFC 8201: what is larger than the next link is reported with that link's MTU; without DF it is cut.
#[test]
fn router_packet_too_big_is_reported_or_cut() {
    let mut world = Router::new(1300);
    let sockets = icmp_sockets(&mut world.hosts[0]);
    let server = world.udp(1, "[::]:7");
    let send = |world: &mut Router, any: &str, to: IpAddr| {
        let client = world.udp(0, any);
        world.hosts[0]
            .stack
            .datagram_send(client, Some(SocketAddr::new(to, 7)), &[5; 1400], None, T0)
            .unwrap();
        world.settle(T0);
    };
    send(&mut world, "0.0.0.0:0", v4_of(1, 2));
    assert_eq!(report(&mut world.hosts[0], sockets[0]), Some((3, 4, 1300)));
    send(&mut world, "[::]:0", v6_of(1, 2));
    assert_eq!(report(&mut world.hosts[0], sockets[1]), Some((2, 0, 1300)));
    assert_eq!(world.drops(), [(Drop::ForwardTooBig, 2)]);
    assert_eq!(world.receive(1, server), Err(Error::WouldBlock));
    ping(&mut world.hosts[0], v4_of(1, 2));
    world.settle(T0);
    // Without DF, with options of which the first belongs into every fragment and the second into the first.
    let raw = world.hosts[0].stack.raw_open(RawKind::Ipv4(89), None).unwrap();
    world.hosts[0].stack.raw_set_header_included(raw, true).unwrap();
    let mut packet = vec![0x48, 0, 5, 0xb4, 0, 9, 0, 0, 64, 89, 0, 0, 10, 0, 0, 1, 10, 0, 1, 2];
    packet.extend_from_slice(&[0x82, 4, 0, 0, 0x44, 4, 5, 0, 1, 1, 1, 0]);
    packet.extend((0..1428).map(|i| (i / 8) as u8));
    let to = Some(SocketAddr::new(v4_of(1, 2), 0));
    world.hosts[0].stack.raw_send(raw, to, &packet, (None, None), T0).unwrap();
    let frames = world.hosts[0].output(T0);
    frames.iter().for_each(|f| world.stack.on_frame(world.ids[0], RxFrame::plain(&[f]), T0));
    world.stack.egress(world.ids[1], &mut world.devices[1], T0);
    let sent = mem::take(&mut world.devices[1].sent);
    let offsets: Vec<_> =
        sent.iter().map(|f| (f.len() - 14 - 32, u16::from_be_bytes([f[20], f[21]]))).collect();
    assert_eq!(offsets, [(1264, 0x2000), (164, 158)], "payload, and flags with the offset in eights");
    assert_eq!(
        (&sent[0][34..42], &sent[1][34..42]),
        (&[0x82, 4, 0, 0, 0x44, 4, 5, 0][..], &[0x82, 4, 0, 0, 1, 1, 1, 1][..])
    );
    let receiver = world.hosts[1].stack.raw_open(RawKind::Ipv4(89), None).unwrap();
    sent.iter().for_each(|f| world.hosts[1].input(f, T0));
    let mut whole = [0; 2000];
    let got = world.hosts[1].stack.raw_receive(receiver, &mut whole, None).unwrap();
    assert_eq!((got.packet_len, &whole[..1428], got.hop_limit), (1428, &packet[32..], 63));
}

/// RFC 1812 §5.2.7.1: without a route, and with a neighbour that does not answer, the sender learns why.
#[test]
fn router_unreachable_destination_is_reported() {
    let mut world = Router::new(1500);
    let sockets = icmp_sockets(&mut world.hosts[0]);
    let cases = [
        (sockets[0], "0.0.0.0:0", IpAddr::from([192, 0, 2, 1]), (3, 0, 0)),
        (sockets[1], "[::]:0", "2001:db8::1".parse().unwrap(), (1, 0, 0)),
        (sockets[0], "0.0.0.0:0", v4_of(1, 77), (3, 1, 0)),
        (sockets[1], "[::]:0", v6_of(1, 77), (1, 3, 0)),
    ];
    for (socket, any, to, expected) in cases {
        // The second packet meets a neighbour that is known not to answer.
        let mut now = T0;
        for round in 0..2 {
            let client = world.udp(0, any);
            let data = b"x";
            world.hosts[0]
                .stack
                .datagram_send(client, Some(SocketAddr::new(to, 9)), data, None, now)
                .unwrap();
            let told = (0..50).find_map(|_| {
                world.settle(now);
                let told = report(&mut world.hosts[0], socket);
                if told.is_none() {
                    now += crate::time::Duration::from_millis(100);
                    world.stack.on_timers(now);
                }
                told
            });
            assert_eq!(told, Some(expected), "{to}, round {round}");
        }
    }
}

/// RFC 1812 §5.3.4, §5.3.5, RFC 2644, RFC 4291 §2.5.6, RFC 3927 §2.7: what must not go on does not, and is not reported.
#[test]
fn router_keeps_martians_groups_and_broadcasts() {
    let mut world = Router::new(1500);
    let sockets = icmp_sockets(&mut world.hosts[0]);
    let mac = world.devices[0].mac;
    let frame = |world: &Router, source: IpAddr, to: IpAddr, destination: Mac| {
        let mut frame = packet_to(&world.hosts[0], source, to, 17, &[0; 8]);
        frame[..6].copy_from_slice(&destination.0);
        frame
    };
    let good = (v4_of(0, 1), v4_of(1, 2));
    let stay: [(IpAddr, IpAddr, Mac); 10] = [
        (good.0, good.1, Mac::BROADCAST),
        (good.0, v4_of(1, 255), mac),
        (good.0, [169, 254, 1, 1].into(), mac),
        ([169, 254, 1, 1].into(), good.1, mac),
        ([127, 0, 0, 1].into(), good.1, mac),
        ([0, 0, 0, 0].into(), good.1, mac),
        (good.0, [224, 0, 0, 9].into(), mac),
        ("fe80::1".parse().unwrap(), v6_of(1, 2), mac),
        (v6_of(0, 1), "fe80::9".parse().unwrap(), mac),
        ("::".parse().unwrap(), v6_of(1, 2), mac),
    ];
    ping(&mut world.hosts[0], good.1);
    world.settle(T0);
    let sent = |world: &mut Router| {
        world.stack.egress(world.ids[1], &mut world.devices[1], T0);
        mem::take(&mut world.devices[1].sent).len()
    };
    for (source, to, destination) in stay {
        let bytes = frame(&world, source, to, destination);
        world.stack.on_frame(world.ids[0], RxFrame::plain(&[&bytes]), T0);
        assert_eq!(sent(&mut world), 0, "{source} to {to}");
    }
    world.settle(T0);
    sockets.into_iter().for_each(|socket| assert_eq!(report(&mut world.hosts[0], socket), None));
    let bytes = frame(&world, good.0, good.1, mac);
    world.stack.on_frame(world.ids[0], RxFrame::plain(&[&bytes]), T0);
    assert_eq!(sent(&mut world), 1);
    world.stack.set_forwarding(world.ids[0], false).unwrap();
    world.stack.on_frame(world.ids[0], RxFrame::plain(&[&bytes]), T0);
    assert_eq!(sent(&mut world), 0, "a host forwards nothing");
}

/// An IPv4 or IPv6 packet from host 1 to host 2, as a device hands it over that leaves the checksum to others.
fn from_offload(is_v4: bool, next: u8, segment: &[u8], df: bool) -> Vec<u8> {
    let (source, to) = match is_v4 {
        true => (v4_of(0, 1), v4_of(1, 2)),
        false => (v6_of(0, 1), v6_of(1, 2)),
    };
    let mut segment = segment.to_vec();
    let at = if next == protocol::TCP { 16 } else { 6 };
    let sum = crate::wire::pseudo_header(source, to, next, segment.len());
    segment[at..at + 2].copy_from_slice(&sum.sum().to_be_bytes());
    let mut header = [0; crate::wire::HEADERS_LEN_MAX];
    let link =
        crate::wire::LinkPath { source: Mac([2, 0, 0, 0, 0, 1]), destination: Mac([2, 0, 0, 0, 0, 0x10]) };
    let ip = crate::wire::IpHeader::new(source, to, next, segment.len());
    let len = crate::wire::emit_headers(&mut header, &link, &ip);
    if is_v4 {
        header[20] = if df { 0x40 } else { 0 };
        crate::wire::fix_checksum_v4(&mut header[14..34]);
    }
    [&header[..len], &segment].concat()
}

/// Are the checksums of a frame right?
fn is_right(frame: &[u8]) -> bool {
    let is_v4 = frame[12] == 0x08;
    let (ends, at, next) = match is_v4 {
        true => ((v4_of(0, 1), v4_of(1, 2)), 34, frame[23]),
        false => ((v6_of(0, 1), v6_of(1, 2)), 54, frame[20]),
    };
    let mut sum = crate::wire::pseudo_header(ends.0, ends.1, next, frame.len() - at);
    sum.add(&frame[at..]);
    let mut header = crate::wire::Checksum::default();
    header.add(&frame[14..34]);
    sum.is_valid() && (!is_v4 || header.is_valid())
}

/// H210, I07: what a device merged, and whose checksum it left open, goes on as the segments that it was, each with its numbers and
/// checksums. Segments that are larger than the next link are reported, or cut smaller where their sender allows it.
#[test]
fn merged_segments_go_on_as_they_were() {
    use crate::device::RxChecksum;
    for (is_v4, next, df, mss, expected) in [
        (true, protocol::TCP, true, 1000, vec![1000, 1000, 500]),
        (false, protocol::TCP, true, 1000, vec![1000, 1000, 500]),
        (true, protocol::TCP, true, 1448, vec![]),
        (false, protocol::TCP, true, 1428, vec![]),
        (true, protocol::TCP, false, 1448, vec![1248, 1248, 4]),
        (true, protocol::UDP, true, 0, vec![1000]),
        (false, protocol::UDP, true, 0, vec![1000]),
        (true, protocol::UDP, true, 400, vec![400, 400, 200]),
        (false, protocol::UDP, true, 400, vec![400, 400, 200]),
    ] {
        let mut world = Router::new(1300);
        let is_tcp = next == protocol::TCP;
        let (transport, len) = if is_tcp { (32, 2500) } else { (8, 1000) };
        let mut segment: Vec<u8> = vec![0; transport];
        segment.extend((0..len).map(|i| (i % 253) as u8));
        if is_tcp {
            segment[4..8].copy_from_slice(&[0xff, 0xff, 0xff, 0x00]);
            (segment[12], segment[13]) = (8 << 4, 0x19); // FIN, PSH, ACK
            segment[20..32].fill(1);
        } else {
            segment[4..6].copy_from_slice(&(1008u16).to_be_bytes());
        }
        let frame = from_offload(is_v4, next, &segment, df);
        let parts = [&frame[..100], &frame[100..1000], &frame[1000..]];
        let bytes = Bytes::new(&parts);
        let segment_len = (mss > 0).then_some(mss);
        // The neighbour is known.
        ping(&mut world.hosts[0], if is_v4 { v4_of(1, 2) } else { v6_of(1, 2) });
        world.settle(T0);
        world.stack.on_frame(world.ids[0], RxFrame { bytes, checksum: RxChecksum::Valid, segment_len }, T0);
        world.stack.egress(world.ids[1], &mut world.devices[1], T0);
        let sent = mem::take(&mut world.devices[1].sent);
        let at = if is_v4 { 34 } else { 54 } + transport;
        let lens: Vec<_> = sent.iter().map(|f| f.len() - at).collect();
        assert_eq!(lens, expected, "{is_v4} {next} {mss}: {:?}", world.drops());
        assert!(sent.iter().all(|f| is_right(f)), "{is_v4} {next} {mss}");
        let text: Vec<u8> = sent.iter().flat_map(|f| f[at..].to_vec()).collect();
        assert!(text.is_empty() || text == segment[transport..]);
        let drops = if expected.is_empty() { vec![(Drop::ForwardTooBig, 1)] } else { vec![] };
        assert_eq!(world.drops(), drops);
        let mut seq = 0xffff_ff00u32;
        for (n, f) in sent.iter().enumerate().filter(|_| is_tcp) {
            let tcp = &f[at - transport..];
            let flags = if n + 1 == sent.len() { 0x19 } else { 0x10 };
            assert_eq!((&tcp[4..8], tcp[13]), (&seq.to_be_bytes()[..], flags));
            assert_eq!(f[if is_v4 { 22 } else { 21 }], 63);
            seq = seq.wrapping_add((f.len() - at) as u32);
        }
    }
}
