//! The size of segments, and the search for it.

use super::search::{GRANULARITY, RAISE_AFTER};
use super::*;
use crate::tcp::config::PathProbing;
use crate::time::Duration;

/// So late that milliseconds don't fit 32 bits.
const NOW: Instant = Instant::from_millis((1 << 33) + 4_000_000);
const MUCH: u32 = 100_000;

fn size(probing: PathProbing) -> SegmentSize {
    SegmentSize::new(1460, 1460, 40, 12, probing, NOW)
}

/// The sizes of payload that are found to arrive over a path that takes `limit` bytes, and the probes
/// that were sent.
fn search(size: &mut SegmentSize, limit: u16) -> (u16, Vec<u16>) {
    let (mut at, mut probes) = (Seq(7), vec![]);
    while let Some(payload) = size.probe(MUCH, NOW) {
        size.on_probe_sent(at, payload);
        probes.push(payload);
        if payload + 52 <= limit {
            at += u32::from(payload);
            assert!(size.on_ack(at, payload.into(), NOW));
        } else {
            assert_eq!(size.on_lost(at, 1, NOW), Some(payload.into()));
        }
        assert!(probes.len() < 50);
    }
    (size.mss(), probes)
}

/// T17: the smallest of what the peer and the path take, less the options.
//= rfc9293#3.7.1 MUST-16
#[test]
fn the_size_of_a_segment() {
    let of = |peer, path| SegmentSize::new(peer, path, 40, 12, PathProbing::OnBlackHole, NOW).mss();
    assert_eq!((of(1460, 1460), of(536, 1460), of(8960, 1452), of(64, 1460)), (1448, 524, 1440, 52));
    let mut s = size(PathProbing::OnBlackHole);
    s.on_path(1400);
    assert_eq!(s.mss(), 1348);
    s.on_path(1500);
    assert_eq!(s.mss(), 1448, "what a router said is forgotten after a while");
    assert_eq!(s.probe(MUCH, NOW), None);
}

/// T17: always probing starts low and tries the largest first; what is lost is searched for by
/// halves, each size twice.
//= rfc4821#7.2
//= rfc4821#7.5.1
#[test]
fn a_search() {
    let mut s = size(PathProbing::Always);
    assert_eq!(s.mss(), 1012);
    assert_eq!(search(&mut s, 1500), (1448, vec![1448]));
    for limit in [1064, 1100, 1280, 1400, 1492, 1499] {
        let mut s = size(PathProbing::Always);
        let (mss, probes) = search(&mut s, limit);
        assert!(mss + 52 <= limit && mss + 52 + GRANULARITY > limit.min(1500), "{mss} of {limit}");
        assert_eq!(probes[..2], [1448, 1448], "a single loss may have been any");
        assert!(probes.len() <= 14, "{probes:?}");
        assert_eq!(s.probe(MUCH, NOW + Duration::from_secs(599)), None);
        assert_eq!(s.probe(MUCH, NOW + RAISE_AFTER), Some(1448), "the path may be another now");
    }
}

/// T17: a probe needs what shows its loss behind it.
//= rfc4821#7.4
#[test]
fn a_probe_is_followed() {
    let s = size(PathProbing::Always);
    let needed = 1448 + 3 * 1012;
    assert_eq!((s.probe(needed - 1, NOW), s.probe(needed, NOW)), (None, Some(1448)));
}

/// T17: three timeouts in a row for full segments are a black hole; six, a deep one. Short segments
/// say nothing about length, nor does anything when probing is off.
//= rfc4821#7.7
//= rfc8899#4.3
#[test]
fn a_black_hole() {
    let mut s = size(PathProbing::OnBlackHole);
    let sizes = [1, 2, 3, 4, 5, 6].map(|n| {
        assert_eq!(s.on_timeout(Seq(1), n, 1448, NOW), None);
        s.mss()
    });
    assert_eq!(sizes, [1448, 1448, 1012, 1012, 1012, 500]);
    let mut least = size(PathProbing::OnBlackHole);
    assert_eq!([3, 6].map(|n| least.on_timeout(Seq(1), n, 1448, NOW)), [None; 2]);
    assert_eq!(search(&mut least, 552).0, 500);
    assert_eq!(least.on_timeout(Seq(1), 9, 500, NOW), None);
    assert_eq!(
        (least.mss(), least.probe(MUCH, NOW)),
        (500, None),
        "nothing is smaller, so nothing begins anew"
    );
    let found = search(&mut s, 1400).0 + 52;
    assert!((1393..=1400).contains(&found), "{found}");
    for (probing, front) in [(PathProbing::Off, 1448), (PathProbing::OnBlackHole, 1447)] {
        let mut s = size(probing);
        assert_eq!((s.on_timeout(Seq(1), 3, front, NOW), s.mss()), (None, 1448));
    }
    let mut s = SegmentSize::new(1440, 1440, 60, 12, PathProbing::OnBlackHole, NOW);
    let sizes = [3, 6].map(|n| {
        s.on_timeout(Seq(1), n, 1448, NOW);
        s.mss()
    });
    assert_eq!(sizes, [1208, 1208], "IPv6 carries 1280 everywhere");
}

/// T17: a router's word against what arrives counts only once nothing arrives any more.
//= rfc5927#7.2
#[test]
fn a_router_in_doubt() {
    let mut s = size(PathProbing::Off);
    assert!(!s.doubts(1400), "nothing is known yet");
    s.on_ack(Seq(9), 1448, NOW);
    assert!(s.doubts(1400));
    s.on_ack(Seq(10), 1, NOW);
    assert_eq!((s.on_timeout(Seq(1), 1, 1448, NOW), s.mss()), (None, 1448), "it was wrong");
    assert!(s.doubts(1400));
    assert_eq!((s.on_timeout(Seq(1), 1, 1448, NOW), s.mss()), (Some(1400), 1348));
    assert!(!s.doubts(1300), "of the new size nothing is known");
}

/// T17: a probe that is not the first loss, or that the timer takes with it, says nothing.
#[test]
fn a_probe_among_other_losses() {
    let mut s = size(PathProbing::Always);
    s.on_probe_sent(Seq(2000), 1448);
    assert_eq!(s.on_lost(Seq(1000), 1, NOW), None);
    s.on_probe_sent(Seq(2000), 1448);
    s.on_timeout(Seq(1000), 1, 1012, NOW);
    assert_eq!(s.on_lost(Seq(2000), 1, NOW), None);
    s.on_probe_sent(Seq(2000), 1448);
    assert!(!s.on_ack(Seq(2500), 500, NOW), "sent again in shorter segments");
    assert_eq!((s.mss(), s.probe(MUCH, NOW)), (1012, Some(1448)));
}
