//! What senders may rely on: the question that finds their neighbour, the order of what waits, the header fields of
//! everything that a connection sends, and word of a way that became free.

use core::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;
use crate::ip::routes::Route;
use crate::tcp::{SynCookies, TcpOptions};
use crate::udp::{DatagramHandle, DatagramKind};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn bind(stack: &mut Stack<'_>, address: &str) -> DatagramHandle {
    stack.datagram_bind(DatagramKind::Udp, at(address, 0), false).unwrap()
}

/// H108: the question for a neighbour comes from the address that the waiting packet comes from, so the answer is
/// learnt by who needs it (RFC 4861 §7.2.2).
#[test]
fn a_question_has_the_source_of_the_packet() {
    let mut a = Host::new(1);
    for address in ["10.0.0.3/24", "fd00::3/64", "fd00::4/64"] {
        a.stack.add_address(a.id, address.parse().unwrap(), T0).unwrap();
    }
    // Announcements of new addresses are not the questions that are looked for.
    let question = |a: &mut Host, to: IpAddr| {
        let all = a.output(T0);
        let target = |f: &Vec<u8>| match to {
            IpAddr::V4(ip) => f.get(38..42) == Some(&ip.octets()),
            IpAddr::V6(ip) => f.get(54) == Some(&135) && f.get(62..78) == Some(&ip.octets()),
        };
        all.into_iter().find(target).expect("a question")
    };
    a.output(T0);
    for (own, to) in [("10.0.0.1", "10.0.0.71"), ("10.0.0.3", "10.0.0.72")] {
        let socket = bind(&mut a.stack, own);
        a.stack.datagram_send(socket, Some(at(to, 7)), b"x", None, T0).unwrap();
        let own: Ipv4Addr = own.parse().unwrap();
        assert_eq!(question(&mut a, to.parse().unwrap())[28..32], own.octets());
    }
    for (own, to) in [("fd00::3", "fd00::73"), ("fd00::4", "fd00::74")] {
        let socket = bind(&mut a.stack, own);
        a.stack.datagram_send(socket, Some(at(to, 7)), b"x", None, T0).unwrap();
        let own: core::net::Ipv6Addr = own.parse().unwrap();
        assert_eq!(question(&mut a, to.parse().unwrap())[22..38], own.octets());
    }
}

/// H109: what waited for a neighbour, what then waits for the device, and what is sent meanwhile leave in the order
/// in which they were sent.
#[test]
fn what_waits_keeps_its_order() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let client = bind(&mut a.stack, "0.0.0.0");
    let send = |a: &mut Host, n: u8| {
        a.stack.datagram_send(client, Some(at("10.0.0.2", 7)), &[n], None, T0).unwrap();
    };
    (0..4).for_each(|n| send(&mut a, n));
    let question = a.output(T0);
    question.iter().for_each(|f| b.input(f, T0));
    a.device.room = 0;
    b.output(T0).iter().for_each(|f| a.input(f, T0));
    let mut sent = Vec::new();
    for n in 4..12 {
        send(&mut a, n);
        a.device.room = 1;
        sent.extend(a.output(T0).iter().map(|f| f[42]));
    }
    a.device.room = usize::MAX;
    sent.extend(a.output(T0).iter().map(|f| f[42]));
    assert_eq!(sent, (0..12).collect::<Vec<u8>>());
}

/// H178: what a connection sends has its code point and hop limit: SYN, bare acknowledgment, text.
#[test]
fn all_of_a_connection_has_its_header_fields() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let options = TcpOptions { dscp: 46, hop_limit: 9, quick_acks: Some(8), ..TcpOptions::default() };
    ping(&mut a, v4(2));
    settle(&mut a, &mut b, T0);
    let (listener, _) = b.stack.tcp_listen(at("10.0.0.2", 80), 1).unwrap();
    let client = a.stack.tcp_connect_with(at("10.0.0.2", 80), None, Some(&options), T0).unwrap();
    let mut flags = Vec::new();
    let mut settle = |a: &mut Host, b: &mut Host| loop {
        let (to_b, to_a) = (a.output(T0), b.output(T0));
        if to_a.is_empty() && to_b.is_empty() {
            return flags.clone();
        }
        for frame in to_b.iter().filter(|f| f[23] == 6) {
            assert_eq!((frame[15] >> 2, frame[22]), (46, 9), "{frame:x?}");
            flags.push(frame[47]);
        }
        to_b.iter().for_each(|f| b.input(f, T0));
        to_a.iter().for_each(|f| a.input(f, T0));
    };
    settle(&mut a, &mut b);
    let (server, _) = b.stack.tcp_accept(listener).unwrap();
    b.stack.tcp_write(server, b"to be acknowledged", T0).unwrap();
    settle(&mut a, &mut b);
    a.stack.tcp_write(client, b"text", T0).unwrap();
    settle(&mut a, &mut b);
    let flags = settle(&mut a, &mut b);
    for (bits, what) in [(0x02, "SYN"), (0x10, "ACK"), (0x18, "text")] {
        assert!(flags.contains(&bits), "no {what}: {flags:x?}");
    }
}

/// H178: so has what a connection or listener replies that has no place for it: a cookie's SYN-ACK, the reset of one
/// that is aborted, let go of, or sent text that nobody will read. What no connection says has the stack's own.
#[cfg(feature = "syn-cookies")]
#[test]
fn replies_have_the_header_fields_of_who_replies() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    a.stack.configure_tcp(|tcp| (tcp.options.dscp, tcp.options.hop_limit) = (7, 77)).unwrap();
    b.stack.configure_tcp(|tcp| tcp.syn_cookies = SynCookies::Always).unwrap();
    ping(&mut a, v4(2));
    settle(&mut a, &mut b, T0);
    let (listener, _) = b.stack.tcp_listen(at("10.0.0.2", 80), 4).unwrap();
    let options = TcpOptions { dscp: 46, hop_limit: 9, ..TcpOptions::default() };
    b.stack.tcp_set_listener_options(listener, options).unwrap();
    // Carries frames as `settle` does, and gives what `from` sent: flags, code point and hop limit.
    fn carry(from: &mut Host, to: &mut Host) -> Vec<(u8, u8, u8)> {
        let mut seen = Vec::new();
        loop {
            let (there, back) = (from.output(T0), to.output(T0));
            if there.is_empty() && back.is_empty() {
                return seen;
            }
            seen.extend(there.iter().filter(|f| f[23] == 6).map(|f| (f[47], f[15] >> 2, f[22])));
            there.iter().for_each(|f| to.input(f, T0));
            back.iter().for_each(|f| from.input(f, T0));
        }
    }
    let open = |a: &mut Host, b: &mut Host| {
        let client = a.stack.tcp_connect(at("10.0.0.2", 80), None, T0).unwrap();
        let sent = carry(b, a);
        assert_eq!(sent[0], (0x12, 46, 9), "the cookie");
        (client, b.stack.tcp_accept(listener).unwrap().0)
    };
    let is_reset = |sent: Vec<(u8, u8, u8)>, fields: (u8, u8)| {
        // What crosses the first finds no connection any more.
        let reset = sent.iter().find(|(flags, ..)| flags & 4 != 0).expect("a reset");
        assert_eq!((reset.1, reset.2), fields, "{sent:x?}");
    };
    let (_, server) = open(&mut a, &mut b);
    b.stack.tcp_abort(server, T0);
    is_reset(carry(&mut b, &mut a), (46, 9));
    for text_first in [true, false] {
        let (client, server) = open(&mut a, &mut b);
        if text_first {
            a.stack.tcp_write(client, b"text", T0).unwrap();
            carry(&mut b, &mut a);
        }
        b.stack.tcp_close(server, T0);
        if !text_first {
            a.stack.tcp_write(client, b"text", T0).unwrap();
        }
        is_reset(carry(&mut b, &mut a), (46, 9));
    }
    b.stack.tcp_connect(at("10.0.0.1", 81), None, T0).unwrap();
    is_reset(carry(&mut a, &mut b), (7, 77));
}

/// H190: who waits for room on one interface is woken when the way to the destination leads elsewhere, and its
/// next try takes that way.
#[test]
fn a_new_route_wakes_who_waits_for_room() {
    let mut stack = Stack::new(Storage::heap(&Limits::default()), [1; 32]);
    let mut devices = [Wire::new(1), Wire::new(2)];
    let ids = [0, 1].map(|n| {
        let id = stack.add_interface(devices[n].capabilities()).unwrap();
        let address = Ipv4Addr::new(10, 0, n as u8, 1).into();
        stack.add_address(id, Cidr { address, prefix_len: 24 }, T0).unwrap();
        id
    });
    stack.set_gateway(ids[0], v4(254)).unwrap();
    let socket = bind(&mut stack, "0.0.0.0");
    stack.datagram_set_broadcast(socket, true).unwrap();
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    // Broadcasts need no neighbour: they fill the queue of the first interface, whose device takes nothing.
    while stack.datagram_send(socket, Some(at("10.0.0.255", 9)), b"x", Some(&waker), T0).is_ok() {}
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    let other = Ipv4Addr::new(10, 0, 1, 254).into();
    let destination = Cidr { address: [192, 0, 2, 0].into(), prefix_len: 24 };
    stack.add_route(Route { destination, gateway: Some(other), interface: ids[1], metric: 0 }).unwrap();
    wake(&mut stack);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    stack.datagram_send(socket, Some(at("192.0.2.9", 9)), b"x", Some(&waker), T0).unwrap();
    assert!(stack.egress(ids[1], &mut devices[1], T0));
    assert!(!devices[1].sent.is_empty());
}

/// H080: all of fe80::/10 is link-local, not just fe80::/64: it needs a zone, and its source is link-local.
#[test]
fn all_of_fe80_10_is_link_local() {
    let mut a = Host::new(1);
    a.stack.add_address(a.id, "2001:db8::1/64".parse().unwrap(), T0).unwrap();
    a.stack.set_gateway(a.id, "fe80::fe".parse().unwrap()).unwrap();
    for near in ["fe80::9", "fe80:0:0:1::9", "fe90::9", "febf:ffff::9"] {
        let path = a.stack.path(near.parse().unwrap(), None, None).unwrap();
        assert_eq!((path.next_hop, path.source), (near.parse().unwrap(), a.link_local()), "{near}");
    }
    let far = a.stack.path("fec0::9".parse().unwrap(), None, None).unwrap();
    assert_eq!(far.next_hop, "fe80::fe".parse::<IpAddr>().unwrap());
}

/// H061: who connects to the same server again, after a reset or as a machine that has started anew, does so from
/// another port and with another number, even at the same instant.
#[test]
fn a_second_connection_has_another_port_and_number() {
    let connect = |stack: &mut Stack<'_>, id, device: &mut Wire| {
        let handle = stack.tcp_connect(at("10.0.0.2", 80), None, T0).unwrap();
        stack.egress(id, device, T0);
        let syn =
            device.sent.iter().find(|f| f[12..14] == [8, 0] && f[23] == 6 && f[47] == 2).expect("a SYN");
        let seen = (syn[34..36].to_vec(), syn[38..42].to_vec());
        device.sent.clear();
        stack.tcp_abort(handle, T0);
        seen
    };
    let mut seen = Vec::new();
    for boot in 1..5 {
        let mut device = Wire::new(1);
        let mut stack = Stack::new(Storage::heap(&Limits::default()), [boot; 32]);
        let id = stack.add_interface(device.capabilities()).unwrap();
        stack.add_address(id, Cidr { address: v4(1), prefix_len: 24 }, T0).unwrap();
        let mut neighbour = Host::new(2);
        ping(&mut neighbour, v4(1));
        neighbour.output(T0).iter().for_each(|f| stack.on_frame(id, RxFrame::plain(&[f]), T0));
        for _ in 0..4 {
            seen.push(connect(&mut stack, id, &mut device));
        }
    }
    let count = seen.len();
    for part in [seen.iter().map(|s| &s.0).collect::<Vec<_>>(), seen.iter().map(|s| &s.1).collect()] {
        let mut part = part;
        part.sort();
        part.dedup();
        assert_eq!(part.len(), count, "{seen:x?}");
    }
}
