//! TCP at the level of packets: what a peer with a packet generator sees.

use super::input::{fix_ipv4, host, icmp, packet_to, v6};
use super::*;
use crate::wire::{self, protocol};
use core::net::SocketAddr;

/// The TCP segment of a frame over IPv4.
fn segment_of(frame: &[u8]) -> &[u8] {
    assert_eq!((frame[12], frame[14], frame[23]), (8, 0x45, protocol::TCP));
    &frame[34..]
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// A segment from port 5000 with a right checksum; `ports` and numbers, flags, options, text.
pub(super) fn segment(
    source: IpAddr,
    destination: IpAddr,
    numbers: (u32, u32),
    flags: u8,
    options: &[u8],
    text: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    bytes[0..2].copy_from_slice(&5000u16.to_be_bytes());
    bytes[2..4].copy_from_slice(&80u16.to_be_bytes());
    bytes[4..8].copy_from_slice(&numbers.0.to_be_bytes());
    bytes[8..12].copy_from_slice(&numbers.1.to_be_bytes());
    bytes[12] = ((20 + options.len()) as u8 / 4) << 4;
    bytes[13] = flags;
    bytes[14..16].copy_from_slice(&0xffffu16.to_be_bytes());
    bytes.extend_from_slice(options);
    bytes.extend_from_slice(text);
    let mut sum = wire::pseudo_header(source, destination, protocol::TCP, bytes.len());
    sum.add(&bytes);
    bytes[16..18].copy_from_slice(&sum.finish().to_be_bytes());
    bytes
}

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// An ICMP error of the peer's about `packet`.
fn error_about(to: &Host, kind: (u8, u8), packet: &[u8]) -> Vec<u8> {
    let mut message = icmp(v4(9), v4(1), kind.0, packet);
    message[1] = kind.1;
    message[2..4].fill(0);
    let mut sum = wire::Checksum::default();
    sum.add(&message);
    message[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    packet_to(to, v4(9), v4(1), protocol::ICMP, &message)
}

struct Server {
    host: Host,
    listener: ListenerHandle,
}

impl Server {
    fn new() -> Server {
        let mut host = host();
        let any = SocketAddr::from(([0; 16], 80));
        let (listener, _) = host.stack.tcp_listen(any, 8).unwrap();
        Server { host, listener }
    }

    fn get(&mut self, numbers: (u32, u32), flags: u8, options: &[u8], text: &[u8]) -> Vec<Vec<u8>> {
        let bytes = segment(v4(9), v4(1), numbers, flags, options, text);
        let frame = packet_to(&self.host, v4(9), v4(1), protocol::TCP, &bytes);
        self.host.input(&frame, T0);
        self.host.output(T0)
    }

    /// A connection with peer number 100, and our initial number.
    fn connected() -> (Server, u32, TcpHandle) {
        let mut s = Server::new();
        let out = s.get((100, 0), SYN, &[2, 4, 5, 180], b"");
        let iss = number(segment_of(&out[0]), 4);
        s.get((101, iss + 1), ACK, &[], b"");
        let (handle, _) = s.host.stack.tcp_accept(s.listener).unwrap();
        (s, iss, handle)
    }
}

/// The flow of the last segment is that of its own connection: a SYN from another port is not taken for the one
/// before, nor what follows on that port, even with the first one's numbers.
#[test]
fn a_new_port_is_another_flow() {
    let (mut s, iss, handle) = Server::connected();
    s.get((101, iss + 1), ACK, &[], b"text");
    assert_eq!(s.host.stack.tcp_read(handle, &mut [0; 9], T0), Ok(4));
    let mut get = |numbers, flags, text: &[u8]| {
        let mut bytes = segment(v4(9), v4(1), numbers, flags, &[], text);
        bytes[0..2].copy_from_slice(&5001u16.to_be_bytes());
        bytes[16..18].fill(0);
        let mut sum = wire::pseudo_header(v4(9), v4(1), protocol::TCP, bytes.len());
        sum.add(&bytes);
        bytes[16..18].copy_from_slice(&sum.finish().to_be_bytes());
        let frame = packet_to(&s.host, v4(9), v4(1), protocol::TCP, &bytes);
        s.host.input(&frame, T0);
    };
    get((7000, 0), SYN, b"");
    get((105, iss + 1), ACK, b"forged");
    assert_eq!(s.host.stack.tcp_read(handle, &mut [0; 9], T0), Err(Error::WouldBlock));
}

/// Is it a segment that its connection expects? Then that has taken it.
fn takes_short_way(host: &mut Host, frame: &RxFrame<'_>) -> bool {
    let known = host.stack.flow.as_ref().and_then(|flow| flow.payload_in(host.id, frame));
    known.is_some_and(|(bytes, is_same)| host.stack.take_expected(bytes, is_same, frame, T0))
}

/// The frames of a transfer take the short way, from the second on.
#[test]
fn a_transfer_takes_the_short_way() {
    let (mut s, iss, handle) = Server::connected();
    let mut takes = |seq, ack, text: &[u8]| {
        let bytes = segment(v4(9), v4(1), (seq, ack), ACK, &[], text);
        let frame = packet_to(&s.host, v4(9), v4(1), protocol::TCP, &bytes);
        let short = takes_short_way(&mut s.host, &RxFrame::plain(&[&frame]));
        if !short {
            s.host.input(&frame, T0);
        }
        s.host.stack.tcp_write(handle, b"answer", T0).unwrap();
        s.host.output(T0);
        short
    };
    assert!(takes(101, iss + 1, b"text"), "the handshake's last segment began it");
    assert!(takes(105, iss + 7, b""), "an acknowledgment");
    assert!(!takes(105, iss + 7, b""), "one that says nothing new");
}

/// SHLD-19: a device's word that it merged two segments counts on the short way, too.
//= rfc9293#3.8.6.3 SHLD-19
#[test]
fn merged_frames_on_the_short_way() {
    let (mut s, iss, handle) = Server::connected();
    let mut options = s.host.stack.tcp_options(handle).unwrap();
    options.quick_acks = Some(0);
    s.host.stack.tcp_set_options(handle, options, T0).unwrap();
    let mut acknowledgments = |seq, text: &[u8], segment_len| {
        let bytes = segment(v4(9), v4(1), (seq, iss + 1), ACK, &[], text);
        let frame = packet_to(&s.host, v4(9), v4(1), protocol::TCP, &bytes);
        let parts = [&frame[..]];
        let frame = RxFrame { segment_len, ..RxFrame::plain(&parts) };
        assert!(takes_short_way(&mut s.host, &frame));
        s.host.output(T0).len()
    };
    assert_eq!([acknowledgments(101, b"a", None), acknowledgments(102, b"b", None)], [0, 1]);
    assert_eq!(acknowledgments(103, b"cd", Some(1)), 1);
    assert_eq!(acknowledgments(105, b"e", Some(1)), 0, "it is one");
}

/// Every segment that leaves has a right checksum, options with lengths, and zeros as padding.
//= rfc9293#3.1 MUST-2, MUST-4, MUST-68, MUST-69
#[test]
fn what_we_send_is_well_formed() {
    let (mut s, iss, handle) = Server::connected();
    s.host.stack.tcp_write(handle, &[7; 4001], T0).unwrap();
    let mut frames = s.host.output(T0);
    frames.extend(Server::new().get(
        (100, 0),
        SYN,
        &[2, 4, 5, 180, 1, 3, 3, 2, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0],
        b"",
    ));
    frames.extend(s.get((100, iss), RST | ACK, &[], b"")); // challenged, or not
    assert!(frames.len() >= 4);
    for frame in &frames {
        let bytes = segment_of(frame);
        let mut sum = wire::pseudo_header(v4(1), v4(9), protocol::TCP, bytes.len());
        sum.add(bytes);
        assert_eq!(sum.finish(), 0, "the checksum");
        let mut options = &bytes[20..usize::from(bytes[12] >> 4) * 4];
        while let [kind, rest @ ..] = options {
            options = match kind {
                0 => {
                    assert!(rest.iter().all(|b| *b == 0), "padding");
                    &[]
                }
                1 => rest,
                _ => &options[usize::from(rest[0])..],
            };
        }
    }
}

/// MUST-3: a segment with a wrong checksum is dropped without an answer, and counted.
//= rfc9293#3.1 MUST-3
#[test]
fn wrong_checksums_are_dropped() {
    let mut s = Server::new();
    let mut bytes = segment(v4(9), v4(1), (100, 0), SYN, &[], b"");
    bytes[17] ^= 1;
    let frame = packet_to(&s.host, v4(9), v4(1), protocol::TCP, &bytes);
    s.host.input(&frame, T0);
    assert!(s.host.output(T0).is_empty());
    assert_eq!(drops(&s.host), [(Drop::TcpChecksum, 1)]);
}

/// T02, F06: options stand where they like.
//= rfc9293#3.2 MUST-64
//= rfc9293#3.1 MUST-4, MUST-6
#[test]
fn options_need_no_alignment() {
    let mut s = Server::new();
    // NOP, an unknown one of three bytes, MSS 100 at an odd place, end, padding.
    let out = s.get((100, 0), SYN, &[1, 253, 3, 9, 2, 4, 0, 100, 0, 0, 0, 0], b"");
    let iss = number(segment_of(&out[0]), 4);
    s.get((101, iss + 1), ACK, &[], b"");
    let (handle, _) = s.host.stack.tcp_accept(s.listener).unwrap();
    s.host.stack.tcp_write(handle, &[7; 1000], T0).unwrap();
    assert_eq!(segment_of(&s.host.output(T0)[0]).len(), 20 + 100);
}

/// T02: IP options that TCP does not know are no hindrance.
//= rfc9293#3.9.2 MUST-50
#[test]
fn ip_options_are_ignored() {
    let mut s = Server::new();
    let bytes = segment(v4(9), v4(1), (100, 0), SYN, &[], b"");
    let plain = packet_to(&s.host, v4(9), v4(1), protocol::TCP, &bytes);
    // Four bytes of an unknown option: NOP, kind 30 of length 3.
    let mut frame = [&plain[..34], &[1, 30, 3, 0], &plain[34..]].concat();
    frame[14] = 0x46;
    let total = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    fix_ipv4(&mut frame);
    s.host.input(&frame, T0);
    assert_eq!(s.host.output(T0).len(), 1, "a SYN-ACK; {:?}", drops(&s.host));
}

/// H007, H065, F13: SYNs from or to an address that is no single host's, and our own.
//= rfc9293#3.9.2.3 MUST-57, MUST-63
#[test]
fn syns_with_invalid_addresses() {
    let cases = [
        (v4(9), v6("255.255.255.255")),
        (v4(9), v4(255)),
        (v4(9), v6("224.0.0.1")),
        (v6("0.0.0.0"), v4(1)),
        (v4(255), v4(1)),
        (v6("224.0.0.5"), v4(1)),
        (v6("127.0.0.1"), v4(1)),
        (v4(1), v4(1)),
    ];
    for (source, destination) in cases {
        let mut s = Server::new();
        let bytes = segment(source, destination, (100, 0), SYN, &[], b"");
        let frame = packet_to(&s.host, source, destination, protocol::TCP, &bytes);
        s.host.input(&frame, T0);
        assert!(s.host.output(T0).is_empty(), "{source} to {destination}");
        assert_eq!((drops(&s.host).len(), s.host.stack.tcp_count()), (1, (0, 0)));
    }
}

/// T16, H008: no connection to what is no single host.
//= rfc9293#3.9.1.1 MUST-46
#[test]
fn invalid_destinations_are_refused() {
    let mut host = host();
    for to in [
        "224.0.0.1:80",
        "255.255.255.255:80",
        "10.0.0.255:80",
        "0.0.0.0:80",
        "10.0.0.9:0",
        "[ff02::1]:80",
        "[::]:80",
    ] {
        let error = host.stack.tcp_connect(to.parse().unwrap(), None, T0);
        assert!(error.is_err(), "{to}");
    }
    assert!(host.output(T0).is_empty(), "and nothing was sent");
}

/// H009: the local address is the caller's choice, of those that are ours; else that of the path. It
/// stays the same.
//= rfc9293#3.9.1.1 MUST-43, MUST-44, MUST-45
#[test]
fn the_local_address() {
    let mut host = host();
    let extra = Cidr { address: v4(77), prefix_len: 24 };
    host.stack.add_address(host.id, extra, T0).unwrap();
    let to = SocketAddr::new(v4(9), 80);
    let source = |frame: &[u8]| IpAddr::from(<[u8; 4]>::try_from(&frame[26..30]).unwrap());
    host.stack.tcp_connect(to, None, T0).unwrap();
    assert_eq!(source(&host.output(T0)[0]), v4(1));
    let local = SocketAddr::new(v4(77), 0);
    host.stack.tcp_connect(to, Some(local), T0).unwrap();
    assert_eq!(source(&host.output(T0)[0]), v4(77));
    let later = T0 + crate::time::Duration::from_secs(2);
    host.stack.on_timers(later);
    let mut sources: Vec<IpAddr> =
        host.output(later).iter().filter(|f| f[12..14] == [8, 0]).map(|f| source(f)).collect();
    sources.sort();
    assert_eq!(sources, [v4(1), v4(77)], "each SYN again from where it came");
    for wrong in ["10.0.0.78:0", "[fe80::1]:0"] {
        assert!(host.stack.tcp_connect(to, Some(wrong.parse().unwrap()), T0).is_err(), "{wrong}");
    }
}

/// T16, H083, F17, B04: an ICMP error reaches the connection that it quotes, and no other. A soft one ends
/// nothing that stands; source quench is nothing at all.
//= rfc9293#3.9.2.2 MUST-54, MUST-55, MUST-56, SHLD-25, SHLD-26
//= rfc5927#4
#[test]
fn icmp_errors() {
    let unreachable = |code: u8| (3u8, code);
    // While it opens, what can't be reached is told at once.
    for (code, error) in
        [(0, Error::NetUnreachable), (1, Error::HostUnreachable), (3, Error::ConnectionRefused)]
    {
        let mut host = host();
        let to = SocketAddr::new(v4(9), 80);
        let handle = host.stack.tcp_connect(to, None, T0).unwrap();
        let syn = host.output(T0).remove(0);
        let mut forged = syn.clone();
        forged[39] ^= 1; // another sequence number
        host.input(&error_about(&host, unreachable(code), &forged[14..]), T0);
        assert_eq!(host.stack.tcp_connected(handle), Err(Error::WouldBlock), "forged");
        host.input(&error_about(&host, unreachable(code), &syn[14..]), T0);
        assert_eq!(host.stack.tcp_connected(handle), Err(error));
    }
    // A connection that stands stays: every code of unreachable, source quench, time exceeded, parameter problem.
    let (mut s, _, handle) = Server::connected();
    s.host.stack.tcp_write(handle, b"in flight", T0).unwrap();
    let sent = s.host.output(T0).remove(0);
    let kinds = (0..16).filter(|code| *code != 4).map(unreachable).chain([(4, 0), (11, 0), (11, 1), (12, 0)]);
    for kind in kinds {
        s.host.input(&error_about(&s.host, kind, &sent[14..]), T0);
        assert_eq!(s.host.stack.tcp_state(handle), Ok(crate::tcp::State::Established), "{kind:?}");
    }
}

/// F07: data offsets before the end of the header and behind the end of the segment.
#[test]
fn data_offsets_that_point_outside() {
    let mut s = Server::new();
    for offset in (0..5).chain(6..16) {
        let mut bytes = segment(v4(9), v4(1), (100, 0), SYN, &[], b"");
        bytes[12] = offset << 4;
        bytes[16..18].fill(0);
        let mut sum = wire::pseudo_header(v4(9), v4(1), protocol::TCP, bytes.len());
        sum.add(&bytes);
        bytes[16..18].copy_from_slice(&sum.finish().to_be_bytes());
        let frame = packet_to(&s.host, v4(9), v4(1), protocol::TCP, &bytes);
        s.host.input(&frame, T0);
        assert!(s.host.output(T0).is_empty(), "offset {offset}");
    }
    assert_eq!(drops(&s.host), [(Drop::TcpMalformed, 15)]);
}

/// T12: code point and TTL of what a connection sends, from its SYN-ACK on, and changed later.
//= rfc9293#3.9.1.9 MUST-48, SHLD-21, SHLD-22
//= rfc9293#3.9.2 MUST-49
#[test]
fn code_point_and_ttl() {
    let class = |frame: &[u8]| (frame[15] >> 2, frame[22]);
    let mut s = Server::new();
    let mut options = s.host.stack.tcp_listener_options(s.listener).unwrap();
    (options.dscp, options.hop_limit, options.nodelay) = (46, 9, true);
    s.host.stack.tcp_set_listener_options(s.listener, options).unwrap();
    let out = s.get((100, 0), SYN, &[2, 4, 5, 180], b"");
    let iss = number(segment_of(&out[0]), 4);
    assert_eq!(class(&out[0]), (46, 9));
    s.get((101, iss + 1), ACK, &[], b"");
    let (handle, _) = s.host.stack.tcp_accept(s.listener).unwrap();
    s.host.stack.tcp_write(handle, b"one", T0).unwrap();
    assert_eq!(class(&s.host.output(T0)[0]), (46, 9));
    options.dscp = 10;
    s.host.stack.tcp_set_options(handle, options, T0).unwrap();
    s.host.stack.tcp_write(handle, b"two", T0).unwrap();
    s.get((101, iss + 4), ACK, &[], b"");
    s.host.stack.tcp_write(handle, b"three", T0).unwrap();
    assert_eq!(class(&s.host.output(T0)[0]), (10, 9));
}

/// T16, H084: what ICMP says of a connection that stands can be asked for, once; it names the cause when the
/// connection fails, unless the peer has answered since; and none of it for who wants none of it.
//= rfc9293#3.9.1.8 MUST-47, SHLD-20
//= rfc9293#3.9.2.2 MUST-54, MUST-56, SHLD-25
#[test]
fn soft_errors() {
    use crate::events::Event;
    let cases = [
        ((3, 0), Error::NetUnreachable),
        ((3, 1), Error::HostUnreachable),
        ((3, 3), Error::ConnectionRefused),
        ((11, 0), Error::HostUnreachable),
        ((12, 0), Error::PacketRejected),
    ];
    for (kind, error) in cases {
        let (mut s, iss, handle) = Server::connected();
        s.host.stack.tcp_write(handle, b"in flight", T0).unwrap();
        let sent = s.host.output(T0).remove(0);
        let mut forged = sent.clone();
        forged[38] ^= 0x80; // a number far away
        s.host.input(&error_about(&s.host, kind, &forged[14..]), T0);
        assert_eq!(s.host.stack.tcp_take_error(handle, T0), Ok(None));
        s.host.input(&error_about(&s.host, kind, &sent[14..]), T0);
        let told = Event::ConnectionTroubled(80, SocketAddr::new(v4(9), 5000), error);
        assert!(s.host.stack.events().recent().any(|(_, e)| e == told));
        assert_eq!(s.host.stack.tcp_take_error(handle, T0), Ok(Some(error)));
        assert_eq!(s.host.stack.tcp_take_error(handle, T0), Ok(None), "once");

        for answered in [false, true] {
            s.host.input(&error_about(&s.host, kind, &sent[14..]), T0);
            if answered {
                s.get((101, iss + 10), ACK, &[], b"");
                s.host.stack.tcp_write(handle, b"again", T0).unwrap();
                s.host.output(T0);
            }
            let wanted = !answered;
            assert_eq!(s.host.stack.tcp_info(handle, T0).unwrap().soft_error.is_some(), wanted);
        }
    }
}

/// T16, H005: a connection that fails says why, if that is known.
#[test]
fn why_a_connection_failed() {
    for (soft_errors, error) in [(true, Error::HostUnreachable), (false, Error::TimedOut)] {
        let (mut s, _, handle) = Server::connected();
        let mut options = s.host.stack.tcp_options(handle).unwrap();
        (options.soft_errors, options.user_timeout) =
            (soft_errors, Some(crate::time::Duration::from_secs(1)));
        s.host.stack.tcp_set_options(handle, options, T0).unwrap();
        s.host.stack.tcp_write(handle, b"in flight", T0).unwrap();
        let sent = s.host.output(T0).remove(0);
        s.host.input(&error_about(&s.host, (3, 1), &sent[14..]), T0);
        let mut now = T0;
        while let Some(at) = s.host.stack.next_deadline(now)
            && at < T0 + crate::time::Duration::from_secs(9)
        {
            now = at;
            s.host.stack.on_timers(now);
            s.host.output(now);
        }
        assert_eq!(s.host.stack.tcp_read(handle, &mut [0], now), Err(error));
        assert_eq!(s.host.stack.tcp_take_error(handle, T0), Ok(Some(error)));
    }
}

/// T12: after three retransmissions the next hop is suspected, and asked for, and the application can
/// learn of it.
//= rfc9293#3.8.3 MUST-20, SHLD-9, SHLD-10
#[test]
fn a_silent_way_is_suspected() {
    use crate::counters::TcpCount;
    let (mut s, _, handle) = Server::connected();
    s.host.stack.tcp_write(handle, b"in flight", T0).unwrap();
    let (mut now, mut sent, mut asked, mut told) = (T0, 0, 0, false);
    while now < T0 + crate::time::Duration::from_secs(15) {
        for frame in s.host.output(now) {
            (sent, asked) = if frame[12..14] == [8, 6] { (sent, asked + 1) } else { (sent + 1, asked) };
        }
        assert_eq!(s.host.stack.tcp_counts().get(TcpCount::Suspicions), u64::from(sent > 3));
        now = s.host.stack.next_deadline(now).unwrap().max(now);
        s.host.stack.on_timers(now);
        told |= s.host.stack.tcp_info(handle, now).unwrap().soft_error == Some(Error::TimedOut);
    }
    assert!(asked > 0 && sent > 5 && told, "{asked} {sent} {told}");
    assert_eq!(s.host.stack.tcp_state(handle), Ok(crate::tcp::State::Established));
}
