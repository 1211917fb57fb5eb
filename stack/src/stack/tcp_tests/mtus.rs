//! Links of every kind of MTU, and paths whose routers say what fits: every law of congestion and every option.

use super::*;
use crate::tcp::{Congestion, TcpConfig};

/// The least of IPv4, of IPv6, those of links that there are, powers of two, and what lies beside them.
const MTUS: [u16; 22] = [
    68, 69, 100, 296, 552, 576, 1023, 1279, 1280, 1281, 1500, 4352, 8192, 9000, 16_384, 32_767, 32_768,
    32_820, 33_000, 49_152, 65_534, 65_535,
];

const LAWS: &[Congestion] = &[
    #[cfg(feature = "cubic")]
    Congestion::Cubic,
    Congestion::NewReno,
    #[cfg(feature = "bbr")]
    Congestion::Bbr,
    Congestion::None,
];

/// One set of options: a change of the defaults.
type Change = fn(&mut TcpConfig);

const SETS: &[Change] = &[
    |_| {},
    |c| (c.timestamps, c.sack, c.dsack, c.tail_probes) = (false, false, false, false),
    |c| c.pacing = true,
    #[cfg(feature = "ecn")]
    |c| (c.ecn, c.pacing) = (crate::tcp::Ecn::On, true),
    #[cfg(feature = "path-probing")]
    |c| c.path_probing = crate::tcp::PathProbing::Always,
    |c| c.options.max_segment = Some(64),
    |c| c.initial_window = 1,
    |c| c.initial_window = u8::MAX,
    |c| (c.send_buffer, c.receive_buffer, c.tune_buffers) = (3_000, 5_000, false),
    |c| (c.options.window_clamp, c.options.unsent_max) = (Some(700), Some(500)),
    |c| (c.options.nodelay, c.quick_acks, c.options.quick_acks) = (true, 0, Some(255)),
    |c| (c.options.cork, c.options.hop_limit, c.options.dscp) = (true, 255, 63),
];

/// Moves some segments' worth of text, a few of which get lost. Whatever panics, stalls or arrives
/// otherwise names its case.
fn transfer(mtus: [u16; 2], to: IpAddr, law: Congestion, change: Change) {
    let mut world = World::with_mtus(mtus);
    for host in &mut world.hosts {
        let change = |config: &mut TcpConfig| {
            change(config);
            config.congestion = law;
        };
        host.stack.configure_tcp(change).unwrap();
    }
    let (client, server) = world.connect_to(to, 7);
    world.lose = |n| n % 17 == 9;
    let data = pattern((usize::from(mtus[0].min(mtus[1])) * 12).min(140_000));
    assert_eq!(world.transfer(client, server, &data).len(), data.len());
}

fn run(mtus: [u16; 2], law: Congestion, set: usize) {
    let v6 = mtus.iter().all(|mtu| *mtu >= 1280).then(|| "fd00::2".parse().unwrap());
    for to in [Some(IpAddr::from([10, 0, 0, 2])), v6].into_iter().flatten() {
        let case = std::panic::AssertUnwindSafe(|| transfer(mtus, to, law, SETS[set]));
        if let Err(why) = std::panic::catch_unwind(case) {
            std::eprintln!("MTUs {mtus:?}, {law:?}, options {set}, to {to}");
            std::panic::resume_unwind(why);
        }
    }
}

/// H273, H209: no MTU from 68 to 65,535 and no law of congestion panics or stalls.
#[test]
fn every_law_at_every_mtu() {
    for mtu in MTUS {
        LAWS.iter().for_each(|law| run([mtu, mtu], *law, 0));
    }
}

/// H273: nor does any option beside the defaults, where MTUs are extreme or differ.
#[test]
fn every_option_at_extreme_mtus() {
    for mtus in [[68, 68], [68, 65_535], [65_535, 1280], [65_535, 65_535]] {
        for law in LAWS {
            (1..SETS.len()).for_each(|set| run(mtus, *law, set));
        }
    }
}

/// What a router answers to a packet that does not fit its next link: RFC 1191 §4, RFC 4443 §3.2.
pub(super) fn too_big(frame: &[u8], mtu: u16) -> Vec<u8> {
    use crate::wire::{Checksum, protocol, pseudo_header};
    let v6 = frame[12..14] == [0x86, 0xdd];
    let quote = &frame[14..14 + if v6 { 48 } else { 28 }];
    let mut icmp = if v6 { vec![2, 0, 0, 0, 0, 0] } else { vec![3, 4, 0, 0, 0, 0] };
    icmp.extend(mtu.to_be_bytes());
    icmp.extend(quote);
    let len = icmp.len() as u8;
    let mut answer: Vec<u8> = [&frame[6..12], &frame[..6], &frame[12..14]].concat();
    let mut sum = Checksum::default();
    if v6 {
        answer.extend([0x60, 0, 0, 0, 0, len, protocol::ICMPV6, 64]);
        answer.extend_from_slice(&frame[38..54]);
        answer.extend_from_slice(&frame[22..38]);
        let address = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
        sum = pseudo_header(address(38), address(22), protocol::ICMPV6, icmp.len());
    } else {
        answer.extend([0x45, 0, 0, 20 + len, 0, 0, 0, 0, 64, protocol::ICMP, 0, 0]);
        answer.extend_from_slice(&frame[30..34]);
        answer.extend_from_slice(&frame[26..30]);
        let mut header = Checksum::default();
        header.add(&answer[14..]);
        answer[24..26].copy_from_slice(&header.finish().to_be_bytes());
    }
    sum.add(&icmp);
    icmp[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    answer.extend(icmp);
    answer
}

/// T17, H075: a router that says what fits costs one flight, without a timeout; new connections know it
/// from the start; it is forgotten after ten minutes.
//= rfc1191#3
//= rfc8201#4
#[test]
fn a_router_says_what_fits() {
    let link_local = crate::ip::link_local_from(Mac([2, 0, 0, 0, 0, 2]));
    for (address, mtu) in [([10, 0, 0, 2].into(), 1000), (IpAddr::from(link_local), 1300)] {
        let mut world = World::new();
        world.router = Router::Mtu { mtu, says: Some(mtu as u16) };
        let data = pattern(300_000);
        for (port, sent_twice) in [(1, true), (2, false)] {
            let (client, server) = world.connect_to(address, port);
            assert!(world.transfer(client, server, &data) == data);
            let info = world.hosts[0].stack.tcp_info(client, world.now).unwrap();
            assert_eq!((info.path_mtu, info.timeouts), (mtu as u16, 0));
            assert_eq!(info.segments_retransmitted > 0, sent_twice);
            world.hosts[1].stack.tcp_close(server, world.now);
        }
        world.now += Duration::from_secs(600);
        world.turn();
        let (client, _) = world.connect_to(address, 3);
        let info = world.hosts[0].stack.tcp_info(client, world.now).unwrap();
        assert_eq!(info.path_mtu, 1500);
    }
}

/// T17: a path that loses long packets without a word, and one that carries less than anybody may say.
//= rfc4821#7.7
//= rfc1191#3
#[test]
fn a_path_that_says_nothing_or_nonsense() {
    let mut world = World::new();
    world.router = Router::Mtu { mtu: 1200, says: None };
    let (client, server) = world.connect(1);
    let data = pattern(300_000);
    assert!(world.transfer(client, server, &data) == data);
    let info = world.hosts[0].stack.tcp_info(client, world.now).unwrap();
    assert!((1140..=1148).contains(&info.mss) && info.timeouts <= 4, "{info:?}");
    for says in [0, 67, 68, 552, 1000, 1500, 65_535] {
        let mut world = World::new();
        world.router = Router::Mtu { mtu: 1000, says: Some(says) };
        let (client, server) = world.connect(1);
        assert!(world.transfer(client, server, &data[..50_000]) == data[..50_000], "{says}");
        let info = world.hosts[0].stack.tcp_info(client, world.now).unwrap();
        assert!((500..=960).contains(&info.mss), "{says}: {info:?}");
    }
}

/// H087: forged messages change nothing: of a segment that is not in flight, or of
/// no connection.
//= rfc5927#4.1
#[test]
fn forged_messages() {
    let mut world = World::new();
    let (client, _) = world.connect(1);
    world.hosts[0].stack.tcp_write(client, b"text", world.now).unwrap();
    let Host { stack, id, out } = &mut world.hosts[0];
    stack.egress(*id, out, world.now);
    let frame = out.frames.pop_front().unwrap();
    let mut deliver = |at: usize, change: u8| {
        let mut forged = frame.clone();
        forged[at] ^= change;
        let answer = too_big(&forged, 1000);
        stack.on_frame(*id, RxFrame::plain(&[&answer]), world.now);
        (stack.tcp_info(client, world.now).unwrap().path_mtu, stack.counters().drops(Drop::IcmpForeign))
    };
    // The sequence number's highest byte, its lowest, and each port.
    for (n, at) in [38, 41, 35, 37].into_iter().enumerate() {
        assert_eq!(deliver(at, 0x40), (1500, n as u64 + 1));
    }
    assert_eq!(deliver(41, 0).0, 1000, "the true one");
}

/// T17: below the least that is believed, routers may fragment; above it they may
/// not.
//= rfc1191#3
#[test]
fn a_path_below_the_floor_may_fragment() {
    for (says, fragments) in [(1000, false), (552, true), (100, true)] {
        let mut world = World::new();
        world.router = Router::Mtu { mtu: 1400, says: Some(says) };
        let (client, server) = world.connect(1);
        let data = pattern(3000);
        assert!(world.transfer(client, server, &data) == data);
        let (client, _) = world.connect(2);
        world.hosts[0].stack.tcp_write(client, &data, world.now).unwrap();
        let Host { stack, id, out } = &mut world.hosts[0];
        stack.egress(*id, out, world.now);
        assert!(out.frames.len() > 2);
        assert!(out.frames.iter().all(|f| (f[20] & 0x40 == 0) == fragments), "{says}");
        assert!(out.frames.iter().all(|f| f.len() <= 14 + usize::from(says).max(552)));
    }
}
