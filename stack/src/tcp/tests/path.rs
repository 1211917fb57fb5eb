//! How long segments are: what routers say, and what is found out without them.

use super::*;
#[cfg(feature = "path-probing")]
use crate::tcp::config::PathProbing;

/// How many bytes of payload the segments hold.
fn lens(out: &[Out]) -> Vec<u32> {
    out.iter().map(Out::len).collect()
}

impl Bench {
    fn index(&self) -> u32 {
        self.key.unwrap().index
    }

    /// A router says so of a segment in flight.
    fn too_big(&mut self, mtu: u16) -> bool {
        let index = self.index();
        let believed = self.tcp.too_big(index, mtu, self.now, &mut self.pool);
        self.tcp.check(&self.pool);
        believed
    }

    fn in_flight(&self, seq: u32) -> bool {
        self.tcp.at(self.index()).unwrap().tcb.awaits(self.iss + seq)
    }
}

/// T17, H075: what was too long goes again at once in shorter segments, the window as it was; nothing
/// that arrives late of the first time counts as a loss.
//= rfc1191#6.4
//= rfc8201#5.4
#[test]
fn a_router_says_what_fits() {
    let mut b = Bench::server();
    b.write(&pattern(100_000)).unwrap();
    assert_eq!(lens(&b.out()), [1460; 10]);
    let cwnd = b.info().cwnd;
    assert!(b.too_big(1400));
    let out = b.out();
    assert_eq!((out[0].seq, &lens(&out)[..10], out[10].len()), (1, &[1360; 10][..], 1000));
    assert!(out[..10].iter().all(|o| o.payload == pattern(100_000)[o.seq as usize - 1..][..1360]));
    assert_eq!((b.info().cwnd, b.info().path_mtu, b.info().mss), (cwnd, 1400, 1360));
    for _ in 0..4 {
        b.get(ack(1, 1));
    }
    assert_eq!(b.info().cwnd, cwnd, "duplicates of the first time");
    b.get(ack(1, 14_601));
    assert!(lens(&b.out()).iter().all(|len| *len == 1360));
}

/// H083, H087: only a segment in flight can have been too long, or a SYN that waits for its answer.
//= rfc5927#4.1
#[test]
fn what_is_in_flight() {
    let mut b = Bench::server();
    b.write(&pattern(2000)).unwrap();
    b.out();
    b.get(ack(1, 501));
    let found = [0, 1, 500, 501, 2000, 2001, 5000].map(|seq| b.in_flight(seq));
    assert_eq!(found, [false, false, false, true, true, false, false]);
    let mut b = Bench::connecting(quiet());
    assert!(!b.in_flight(0), "not sent yet");
    b.out();
    assert!(b.in_flight(0) && !b.in_flight(1));
    assert!(b.too_big(1400));
    b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460));
    b.write(&pattern(3000)).unwrap();
    assert_eq!(lens(&b.out()), [1360, 1360, 280]);
}

/// T17, H087: a router that speaks of segments that do arrive is in doubt, and believed when the timer
/// fires.
//= rfc5927#7.2
#[test]
fn a_router_in_doubt() {
    let mut b = Bench::server();
    b.write(&pattern(10_000)).unwrap();
    b.out();
    b.get(ack(1, 2921));
    assert!(!b.too_big(1400));
    assert_eq!((b.info().mss, b.out()), (1460, vec![]));
    b.get(ack(1, 4381));
    assert!(!b.too_big(1400));
    let again = b.advance(300);
    assert_eq!((again[0].1.seq, again[0].1.len()), (4381, 1360));
    assert_eq!(b.info().path_mtu, 1400);
}

/// T17: the other connections of the path follow with what they send next; and all when what the router
/// said is forgotten.
#[test]
fn other_connections_follow() {
    let mut b = Bench::server();
    b.write(&pattern(1460)).unwrap();
    b.out();
    for (mtu, len) in [(1400, 1360), (1500, 1460)] {
        let index = b.index();
        b.tcp.follow_path(index, mtu, b.now, &mut b.pool);
        b.write(&pattern(1460)).unwrap();
        assert_eq!(lens(&b.out())[0], len);
        let sent = b.info().bytes_sent as u32;
        b.get(ack(1, 1 + sent));
        b.out();
        let sent = b.info().bytes_sent as u32;
        b.get(ack(1, 1 + sent));
    }
}

/// T17: full segments that time out three times are sent shorter; when that works, probes search for what the
/// path carries, and their loss costs nothing.
//= rfc4821#7.7
//= rfc8899#4.3
#[cfg(all(feature = "path-probing", feature = "sack"))]
#[test]
fn a_black_hole_is_found_and_measured() {
    let mut b = Bench::server();
    let data = pattern(200_000);
    let mut written = b.write(&data).unwrap();
    b.out();
    let timeouts = b.advance(1500);
    let sizes: Vec<_> = timeouts.iter().map(|(at, o)| (*at, o.len())).collect();
    assert_eq!(sizes, [(200, 1460), (600, 1460), (1400, 1024)]);
    // The path carries packets of 1300 bytes, and loses longer ones; the peer has no SACK.
    let mut held = std::collections::BTreeMap::new();
    let (mut got, mut waiting, mut probes) = (1, vec![timeouts[2].1.clone()], vec![]);
    for _ in 0..200 {
        let arrived: Vec<Out> = waiting.drain(..).filter(|o| o.len() <= 1260).collect();
        assert!(!arrived.is_empty(), "nothing arrives any more");
        for o in &arrived {
            held.insert(o.seq, o.seq + o.len());
            while let Some((_, end)) = held.range(..=got).find(|(_, end)| **end > got) {
                got = *end;
            }
            b.get(ack(1, got));
        }
        written += b.write(&data).unwrap_or(0);
        waiting = b.out();
        probes.extend(lens(&waiting).into_iter().filter(|len| *len > b.info().mss.into()));
    }
    let info = b.info();
    assert_eq!(info.timeouts, 3, "probes that get lost are repaired without the timer");
    assert!((1253..=1260).contains(&info.mss), "{} after {probes:?}", info.mss);
    assert!(info.cwnd > 50 * 1024, "no loss of a probe has reduced the window: {}", info.cwnd);
    assert!(probes.len() < 16 && written > 100_000);
}

/// T17: always probing starts short, and one probe that arrives is enough.
//= rfc4821#7.2
#[cfg(feature = "path-probing")]
#[test]
fn always_probing() {
    let config = TcpConfig { path_probing: PathProbing::Always, ..quiet() };
    let mut b = Bench::server_with(config, syn());
    b.write(&pattern(50_000)).unwrap();
    let out = b.out();
    assert_eq!(lens(&out)[..3], [1460, 1024, 1024]);
    b.get(ack(1, 1461));
    assert_eq!(b.info().mss, 1460);
    assert!(lens(&b.out()).iter().all(|len| *len == 1460));
}

/// T17: with probing off, full segments are repeated as they are.
#[cfg(feature = "path-probing")]
#[test]
fn probing_off() {
    let config = TcpConfig { path_probing: PathProbing::Off, ..quiet() };
    let mut b = Bench::server_with(config, syn());
    b.write(&pattern(50_000)).unwrap();
    b.out();
    assert!(b.advance(10_000).iter().all(|(_, o)| o.len() == 1460));
}

/// Malformed input 11: a peer that asks for absurdly small segments gets segments of 64 bytes.
#[test]
fn an_absurd_mss() {
    for mss in [0, 1, 8, 48, 63, 64] {
        let mut b = Bench::server_with(quiet(), syn().mss(mss));
        b.write(&pattern(256)).unwrap();
        assert_eq!(lens(&b.out()), [64; 4]);
    }
}
