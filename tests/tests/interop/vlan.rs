//! VLANs beside the kernel's end of a TAP. This kernel may have no VLAN interfaces, so a packet socket (AF_PACKET) sends frames with
//! tags, and tshark(1) reads what both sides have said.

use crate::tools::{Capture, needs};
use barenet::device::vlan::VlanId;
use barenet::ip::addresses::Cidr;
use barenet::{TcpListener, UdpSocket};
use barenet_tests::kernel::beside;
use barenet_tests::netns::MAC;
use smoltcp::phy::{Device, Medium, RawSocket, TxToken};
use smoltcp::time::Instant;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

/// The number of the VLAN, the host that speaks there, and our stack.
const VLAN: u16 = 77;
const PEER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

fn sum(parts: &[&[u8]]) -> [u8; 2] {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    let mut total: u32 = words.sum();
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    (!(total as u16)).to_be_bytes()
}

/// A frame with a tag.
fn tagged(to: [u8; 6], tag: u16, kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&to[..], &PEER_MAC, &[0x81, 0], &tag.to_be_bytes(), &kind, payload].concat()
}

/// An IPv4 packet whose payload has its checksum at `at`, over a pseudo-header where it is no ICMP.
fn packet(protocol: u8, at: usize, payload: &[u8]) -> Vec<u8> {
    let ends = [PEER.octets(), OURS.octets()].concat();
    let mut payload = payload.to_vec();
    let pseudo = [&ends[..], &[0, protocol], &(payload.len() as u16).to_be_bytes()].concat();
    let check = sum(&[if protocol == 1 { &[] } else { &pseudo }, &payload]);
    payload[at..at + 2].copy_from_slice(&check);
    let len = (20 + payload.len() as u16).to_be_bytes();
    let mut header = [&[0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, protocol, 0, 0][..], &ends].concat();
    let check = sum(&[&header]);
    header[10..12].copy_from_slice(&check);
    [header, payload].concat()
}

fn send(socket: &mut RawSocket, frame: &[u8]) {
    let token = socket.transmit(Instant::ZERO).expect("room");
    token.consume(frame.len(), |buf| buf.copy_from_slice(frame));
}

/// I11, L01: ARP, ping, UDP and a SYN with a VLAN's tag are answered with that tag, by that VLAN's address; with another VLAN's tag by
/// nobody. A tag of priority alone is none. tshark finds each frame well-formed, and its checksums right.
#[test]
fn tagged_frames_are_answered_with_their_tag() {
    needs(&["tcpdump", "tshark"]);
    beside(false, |net| {
        let parent = net.with_stack(|s| s.interfaces().find(|(_, i)| !i.is_loopback()).unwrap().0);
        let own = Cidr::new(IpAddr::V4(OURS), 24).unwrap();
        net.add_vlan(parent, VlanId::new(VLAN).unwrap(), &[own], &[]).unwrap();
        let udp = UdpSocket::bind(net, 7000).unwrap();
        let _listener = TcpListener::bind(net, 7001).unwrap();
        let capture = Capture::start("tap0");
        let mut socket = RawSocket::new("tap0", Medium::Ethernet).expect("a packet socket");
        let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
        let question = [&fixed[..], &PEER_MAC, &PEER.octets(), &[0; 6], &OURS.octets()].concat();
        let ping = |number: u8| packet(1, 2, &[8, 0, 0, 0, 0, number, 0, 1, 1, 2, 3, 4]);
        let to_udp = packet(17, 6, &[&[0x1f, 0x40, 0x1b, 0x58, 0, 13, 0, 0][..], b"hello"].concat());
        let syn = [0x1f, 0x40, 0x1b, 0x59, 0, 0, 0, 9, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];
        for tag in [VLAN, VLAN + 1, 0x6000 | VLAN] {
            send(&mut socket, &tagged([0xff; 6], tag, [8, 6], &question));
        }
        send(&mut socket, &tagged(MAC.0, VLAN, [8, 0], &ping(1)));
        send(&mut socket, &tagged(MAC.0, VLAN + 1, [8, 0], &ping(2)));
        send(&mut socket, &tagged(MAC.0, VLAN, [8, 0], &to_udp));
        send(&mut socket, &tagged(MAC.0, VLAN, [8, 0], &packet(6, 16, &syn)));
        let mut buf = [0; 10];
        let (len, from) = udp.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..len], from.ip()), (&b"hello"[..], IpAddr::V4(PEER)));
        udp.send_to(b"answer", from).unwrap();
        // Priority alone: the question is that of the untagged network.
        let plain = [&fixed[..], &PEER_MAC, &[10, 0, 0, 9], &[0; 6], &[10, 0, 0, 2]].concat();
        send(&mut socket, &tagged([0xff; 6], 0xa000, [8, 6], &plain));
        thread::sleep(Duration::from_millis(300));
        let capture = capture.stop();
        let ours = format!("eth.src == {MAC} && eth.dst == 02:00:00:00:00:77");
        let fields = ["vlan.id", "arp.opcode", "icmp.type", "icmp.ident", "udp.dstport", "tcp.flags"];
        let said = capture.fields(&ours, &fields);
        for expected in ["77,2,,,,", "77,,0,1,,", "77,,,,8000,", "77,,,,,0x0012", ",2,,,,"].map(str::to_owned)
        {
            assert!(said.contains(&expected), "{expected} is not in {said:#?}");
        }
        assert!(!said.iter().any(|line| line.starts_with("78") || line.contains(",0,2,")), "{said:#?}");
        capture.expect_no_fault(&format!("eth.src == {MAC}"));
    });
}
