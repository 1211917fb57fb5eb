//! Stacks joined in memory.

use core::mem;
use core::net::{IpAddr, Ipv4Addr};
use std::vec::Vec;

use super::*;
use crate::counters::{Counters, Traffic};
use crate::device::{Capabilities, ChecksumRequest, Device, Mac, RxFrame, TxError, TxFrame};
use crate::error::Error;
use crate::ip;
use crate::ip::addresses::Cidr;
use crate::udp::DatagramKind;

/// A device that keeps what is sent.
struct Wire {
    mac: Mac,
    sent: Vec<Vec<u8>>,
    room: usize,
    refuses: bool,
    /// It completes checksums.
    sums: bool,
    groups: Vec<Mac>,
}

impl Wire {
    fn new(last: u8) -> Self {
        Wire {
            mac: Mac([2, 0, 0, 0, 0, last]),
            sent: Vec::new(),
            room: usize::MAX,
            refuses: false,
            sums: false,
            groups: Vec::new(),
        }
    }
}

impl Device for Wire {
    fn capabilities(&self) -> Capabilities {
        let plain = Capabilities::new(self.mac, 1500);
        if self.sums { plain.with_tx_checksum() } else { plain }
    }
    fn receive(&mut self, _sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.groups.retain(|g| *g != group);
        if join {
            self.groups.push(group);
        }
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        if self.refuses {
            return Err(TxError::Refused);
        }
        if self.sent.len() >= self.room {
            return Err(TxError::Full);
        }
        let mut bytes = frame.header.to_vec();
        frame.payload.iter().for_each(|p| bytes.extend_from_slice(p));
        if let Some(ChecksumRequest { start, offset }) = frame.offload.checksum {
            let mut sum = crate::wire::Checksum::default();
            sum.add(&bytes[start.into()..]);
            let sum = if sum.finish() == 0 { 0xffff } else { sum.finish() };
            let at = usize::from(start + offset);
            bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        self.sent.push(bytes);
        Ok(())
    }
}

/// A stack with one interface, 10.0.0.`last`/24 and a link-local address.
struct Host {
    stack: Stack<'static>,
    device: Wire,
    id: InterfaceId,
}

impl Host {
    /// One that has been there for a while: its addresses were announced.
    fn new(last: u8) -> Self {
        let mut host = Host::fresh(last);
        for announced in [Instant::ZERO, Instant::from_millis(2000)] {
            host.stack.on_timers(announced);
            assert_eq!(host.output(announced).len(), 2);
        }
        // Reports of memberships are repeated.
        for ms in (3000..10_000).step_by(1000) {
            host.stack.on_timers(Instant::from_millis(ms));
            assert!(host.output(Instant::from_millis(ms)).is_empty());
        }
        host
    }

    fn fresh(last: u8) -> Self {
        Host::with(Wire::new(last), last)
    }

    fn with(device: Wire, last: u8) -> Self {
        let mut stack = Stack::new(Storage::heap(&Limits::default()), [last; 32]);
        let id = stack.add_interface(device.capabilities()).unwrap();
        let address = Ipv4Addr::new(10, 0, 0, last).into();
        stack.add_address(id, Cidr { address, prefix_len: 24 }, Instant::ZERO).unwrap();
        Host { stack, device, id }
    }

    fn input(&mut self, frame: &[u8], now: Instant) {
        self.stack.on_frame(self.id, RxFrame::plain(&[frame]), now);
    }

    /// What it sends now, its reports of memberships aside.
    fn output(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut frames = self.output_with_reports(now);
        frames.retain(|frame| !is_report(frame));
        frames
    }

    fn output_with_reports(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.stack.egress(self.id, &mut self.device, now);
        wake(&mut self.stack);
        mem::take(&mut self.device.sent)
    }

    fn link_local(&self) -> IpAddr {
        ip::link_local_from(self.device.mac).into()
    }
}

/// Does a frame report memberships, by IGMP or MLD?
pub(super) fn is_report(frame: &[u8]) -> bool {
    match (frame[12], frame[13]) {
        (0x08, 0x00) => frame[23] == 2,
        // MLD's router alert makes a header of hop-by-hop options.
        (0x86, 0xdd) => frame[20] == 0 && frame[54] == 58 && matches!(frame[62], 131 | 132 | 143),
        _ => false,
    }
}

/// Wakes whoever is to be woken.
pub(super) fn wake(stack: &mut Stack<'_>) {
    while let Some(waker) = stack.next_woken() {
        waker.wake();
    }
}

/// Carries frames both ways until nobody has more to say.
fn settle(a: &mut Host, b: &mut Host, now: Instant) -> usize {
    let mut carried = 0;
    loop {
        let (to_b, to_a) = (a.output(now), b.output(now));
        carried += to_a.len() + to_b.len();
        if to_a.is_empty() && to_b.is_empty() {
            return carried;
        }
        to_b.iter().for_each(|f| b.input(f, now));
        to_a.iter().for_each(|f| a.input(f, now));
    }
}

const T0: Instant = Instant::from_millis(10_000);

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn drops(host: &Host) -> Vec<(Drop, u64)> {
    host.stack.counters().drops_seen().collect()
}

mod addresses;
mod announce;
mod at_once;
#[cfg(feature = "slaac")]
mod autoconf;
mod device;
#[cfg(feature = "dhcpv4")]
mod dhcp;
#[cfg(feature = "dhcpv6")]
mod dhcpv6;
#[cfg(all(feature = "forwarding", feature = "raw"))]
mod forwarding;
#[cfg(feature = "fragments")]
mod fragments;
mod input;
#[cfg(feature = "mdns")]
mod mdns;
#[cfg(feature = "multicast")]
mod memberships;
mod memory;
mod neighbors;
#[cfg(feature = "raw")]
mod raw;
mod routing;
mod senders;
mod sharing;
mod tcp;
mod udp;
mod udp_errors;
mod udp_plain;
mod unreachable;
#[cfg(feature = "uso")]
mod uso;
mod views;

fn ping(from: &mut Host, to: IpAddr) {
    use crate::base::pool::Need;
    use crate::bytes::Bytes;
    use crate::link::neighbor::Purpose;
    use crate::wire::{IcmpHeader, IpHeader, icmpv4, icmpv6, protocol};
    let path = from.stack.path(to, None, None).unwrap();
    let (kind, transport) = match to {
        IpAddr::V4(_) => (icmpv4::ECHO, protocol::ICMP),
        IpAddr::V6(_) => (icmpv6::ECHO, protocol::ICMPV6),
    };
    let body: [&[u8]; 2] = [b"some", b" bytes"];
    let header = IcmpHeader { kind, code: 0, rest: [1, 2, 3, 4] };
    let message = icmp::icmp_message(header, path.source, to, Bytes::new(&body));
    let ip = IpHeader::new(path.source, to, transport, 0);
    let packet = (&message[..], Bytes::new(&body));
    from.stack.try_send(&path, (Purpose::Own, Need::Send), &ip, packet, None, T0).unwrap();
}

/// H101: the first packet to a new neighbour waits for its address and is not lost.
#[test]
fn the_first_ping_is_answered() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let before = b.stack.counters().icmp.sent.packets;
    for to in [Ipv4Addr::new(10, 0, 0, 2).into(), b.link_local()] {
        ping(&mut a, to);
        assert_eq!(settle(&mut a, &mut b, T0), 4, "question, answer, request, reply");
        ping(&mut a, to);
        assert_eq!(settle(&mut a, &mut b, T0), 2);
    }
    assert_eq!(a.stack.memory().0 + b.stack.memory().0, 0);
    assert_eq!(b.stack.counters().drops_seen().count(), 0);
    assert_eq!(b.stack.counters().icmp.sent.packets - before, 5, "four replies, and NDP's");
}

/// Packets and bytes by protocol, Ethernet frames first, as a capture shows them.
fn traffic(frames: &[Vec<u8>]) -> [Traffic; 7] {
    let mut all = [Traffic::default(); 7];
    let [ethernet, arp, v4, v6, icmp, udp, tcp] = &mut all;
    for frame in frames {
        ethernet.count(frame.len());
        let word = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
        let (number, len) = match word(12) {
            0x0806 => {
                arp.count(28);
                continue;
            }
            0x0800 => {
                v4.count(word(16));
                (frame[23], word(16) - 20)
            }
            _ => {
                v6.count(40 + word(18));
                (frame[20], word(18))
            }
        };
        match number {
            1 | 58 => icmp.count(len),
            17 => udp.count(len),
            6 => tcp.count(len),
            _ => panic!("protocol {number}"),
        }
    }
    all
}

/// Every frame, packet and message is counted, with its bytes, at both ends.
#[test]
fn counters_are_what_a_capture_shows() {
    let (mut a, mut b) = (Host::fresh(1), Host::fresh(2));
    let (listener, _) = b.stack.tcp_listen("[::]:80".parse().unwrap(), 8).unwrap();
    let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    for to in [v4(2), b.link_local()] {
        ping(&mut a, to);
        let address = |port| core::net::SocketAddr::new(to, port);
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = a.stack.datagram_bind(DatagramKind::Udp, any.parse().unwrap(), false).unwrap();
        a.stack.datagram_send(socket, Some(address(9)), &[7; 300], None, T0).unwrap();
        let client = a.stack.tcp_connect(address(80), None, T0).unwrap();
        for _ in 0..8 {
            let (to_b, to_a) = (a.output(T0), b.output(T0));
            to_b.iter().for_each(|f| b.input(f, T0));
            to_a.iter().for_each(|f| a.input(f, T0));
            from_a.extend(to_b);
            from_b.extend(to_a);
            if let Ok((server, _)) = b.stack.tcp_accept(listener) {
                a.stack.tcp_write(client, &[7; 1000], T0).unwrap();
                b.stack.tcp_write(server, b"answer", T0).unwrap();
            }
        }
    }
    for (sent, received, seen) in [(&a, &b, traffic(&from_a)), (&b, &a, traffic(&from_b))] {
        let protocols = |c: &Counters| [c.frames, c.arp, c.ipv4, c.ipv6, c.icmp, c.udp, c.tcp];
        assert_eq!(protocols(sent.stack.counters()).map(|p| p.sent), seen);
        assert_eq!(protocols(received.stack.counters()).map(|p| p.received), seen);
    }
}
