//! How long a segment may be: what the peer takes, what the path takes by the word of interface and
//! routers, and the search for the latter where routers say nothing (RFC 4821, RFC 8899).
//!
//! Sizes are counted as the MSS is: payload and options of TCP, without its fixed header and that of IP.

use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::PathProbing;
use crate::time::{Duration, Instant};
use core::num::NonZeroU16;

/// Bytes of the headers of IP and TCP.
pub(crate) const HEADERS_V4: u8 = 40;
/// See [`HEADERS_V4`].
pub(crate) const HEADERS_V6: u8 = 60;
/// What a path that loses long segments is likely to carry, by family: the search starts here.
//= rfc4821#7.2
const BASE_V4: u16 = 1024;
const BASE_V6: u16 = 1280 - HEADERS_V6 as u16;
/// And if not even that: what every IPv4 path carries that anybody has.
const LEAST_V4: u16 = 552 - HEADERS_V4 as u16;
/// Timeouts in a row, for segments of full size, that a path stands for which loses those.
const BLACK_HOLE: u8 = 3;
/// Segments that follow a probe, so that its loss shows by what arrives behind it.
const FOLLOWERS: u32 = 3;
/// A probe that is lost this often was too long; before, it may have been any loss.
const MISSES: u8 = 2;
/// The search ends when there is no more than this to gain.
const GRANULARITY: u16 = 8;
/// How long what was found holds before longer segments are tried again.
//= rfc8899#5.1.1: PMTU_RAISE_TIMER
const RAISE_AFTER: Duration = Duration::from_secs(600);

/// The size of a connection's segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentSize {
    /// What the peer takes.
    peer: u16,
    /// What the path takes, as interface and routers say.
    path: u16,
    /// Bytes of IP's and TCP's headers.
    headers: u8,
    /// Bytes of options in each segment.
    options: u8,
    /// A full segment has arrived since the size last changed.
    is_proven: bool,
    /// What a router says against that: believed if the timer fires before anything is acknowledged.
    doubted: Option<NonZeroU16>,
    probing: PathProbing,
    search: Option<Search>,
}

/// The search for the longest segment that arrives.
#[derive(Clone, Copy, Debug)]
struct Search {
    /// Segments so long arrive; longer ones than `high` do not.
    low: u16,
    high: u16,
    /// The size of the probe that is under way, and where it lies.
    probe: Option<NonZeroU16>,
    probe_at: Seq,
    /// `high` itself was tried.
    was_tried: bool,
    /// Probes of this size that were lost.
    misses: u8,
    /// No probe before this second.
    rest_until_s: u32,
}

impl SegmentSize {
    /// For a peer and a path that take so much, each segment with so many bytes of options.
    pub(crate) fn new(
        peer: u16,
        path: u16,
        headers: u8,
        options: u8,
        probing: PathProbing,
        now: Instant,
    ) -> Self {
        let mut size = SegmentSize {
            peer,
            path,
            headers,
            options,
            is_proven: false,
            doubted: None,
            probing,
            search: None,
        };
        if probing == PathProbing::Always {
            size.start_search(size.base(), now);
        }
        size
    }

    /// See [`park`](crate::tcp::connection::idle): no probe is under way, and no router in doubt.
    pub(in crate::tcp) fn park(&self, to: &mut Packer) -> Option<()> {
        let SegmentSize { peer, path, headers: _, options, is_proven, doubted, probing, search } = self;
        let is_still = doubted.is_none() && search.is_none_or(|s| s.probe.is_none());
        let [never, always] = [PathProbing::Off, PathProbing::Always].map(|p| p == *probing);
        let was_tried = search.is_some_and(|s| s.was_tried);
        to.bits([self.is_v6(), *is_proven, never, always, search.is_some(), was_tried]);
        [*peer, *path, u16::from(*options)].iter().for_each(|n| to.number(*n));
        if let Some(Search { low, high, probe: _, probe_at: _, was_tried: _, misses, rest_until_s }) = search
        {
            [*low, *high, u16::from(*misses)].iter().for_each(|n| to.number(*n));
            to.number(*rest_until_s);
        }
        is_still.then_some(())
    }

    /// The other way.
    pub(in crate::tcp) fn unpark(from: &mut Unpacker<'_>) -> Self {
        let [v6, is_proven, never, always, searches, was_tried] = from.bits();
        let [peer, path, options] = core::array::from_fn(|_| from.number() as u16);
        let search = searches.then(|| {
            let [low, high, misses] = core::array::from_fn(|_| from.number() as u16);
            let (misses, rest_until_s) = (misses as u8, from.number() as u32);
            Search { low, high, probe: None, probe_at: Seq(0), was_tried, misses, rest_until_s }
        });
        let probing = match (never, always) {
            (true, _) => PathProbing::Off,
            (_, true) => PathProbing::Always,
            _ => PathProbing::OnBlackHole,
        };
        let (headers, options) = (if v6 { HEADERS_V6 } else { HEADERS_V4 }, options as u8);
        SegmentSize { peer, path, headers, options, is_proven, doubted: None, probing, search }
    }

    /// Our own invariants, for tests and the simulation.
    pub(in crate::tcp) fn check(&self, una: Seq) {
        let probe = self.search.filter(|s| s.probe.is_some());
        assert!(probe.is_none_or(|s| s.probe_at.is_near(una)), "a probe of the path was left behind");
    }

    /// The largest packet of the path.
    pub(crate) fn path_mtu(&self) -> u16 {
        self.path + u16::from(self.headers)
    }

    /// Is there a search going on?
    pub(crate) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Bytes of payload in a full segment.
    pub(crate) fn mss(&self) -> u16 {
        self.whole() - u16::from(self.options)
    }

    /// Bytes of options and payload in a full packet.
    pub(crate) fn whole(&self) -> u16 {
        let size = self.peer.min(self.path);
        self.search.map_or(size, |s| size.min(s.low))
    }

    fn base(&self) -> u16 {
        if self.is_v6() { BASE_V6 } else { BASE_V4 }
    }

    fn is_v6(&self) -> bool {
        self.headers == HEADERS_V6
    }

    fn start_search(&mut self, low: u16, now: Instant) {
        let high = self.peer.min(self.path);
        if low < high {
            let search = Search {
                low,
                high,
                probe: None,
                probe_at: Seq(0),
                was_tried: false,
                misses: 0,
                rest_until_s: seconds(now),
            };
            self.search = Some(search);
        }
    }

    /// The path takes packets of `mtu` bytes, say interface and routers.
    pub(crate) fn on_path(&mut self, mtu: u16) {
        self.path = mtu.saturating_sub(self.headers.into()).max(u16::from(self.options) + 1);
        self.is_proven = false;
        self.doubted = None;
        if let Some(search) = &mut self.search {
            search.high = search.high.min(self.path);
            search.low = search.low.min(search.high);
            search.probe = None;
        }
    }

    /// A router says that the path takes no more than `mtu` bytes. True: but longer segments have
    /// arrived, so that is believed only if they do not any more.
    //= rfc5927#7.2
    pub(crate) fn doubts(&mut self, mtu: u16) -> bool {
        if self.is_proven {
            self.doubted = NonZeroU16::new(mtu);
        }
        self.is_proven
    }

    /// `acked` bytes were acknowledged, up to `una`. True: segments may be longer now.
    pub(crate) fn on_ack(&mut self, una: Seq, acked: u32, now: Instant) -> bool {
        self.doubted = None;
        self.is_proven |= acked >= u32::from(self.mss());
        let Some(search) = &mut self.search else { return false };
        let start = search.probe_at;
        let Some(size) = search.probe.take_if(|_| start.before(una)).map(NonZeroU16::get) else {
            return false;
        };
        if una.before(start + u32::from(size - u16::from(self.options))) {
            // A part of it: it was sent again in shorter segments.
            return false;
        }
        search.low = size;
        search.misses = 0;
        search.settle(now);
        true
    }

    /// The timer fired, so often in a row, with `front` bytes of payload in flight from `una` on.
    /// Returns the path MTU if a router's word is believed now.
    pub(crate) fn on_timeout(&mut self, una: Seq, in_row: u8, front: u32, now: Instant) -> Option<u16> {
        self.on_lost(una, 0, now);
        if let Some(mtu) = self.doubted.map(NonZeroU16::get) {
            self.on_path(mtu);
            return Some(mtu);
        }
        let is_full = front >= u32::from(self.mss());
        // Where timeouts do not back off, none counts as one in a row.
        let is_hole = in_row > 0 && in_row.is_multiple_of(BLACK_HOLE);
        if self.probing != PathProbing::Off && is_full && is_hole {
            self.on_black_hole(now);
        }
        None
    }

    /// Long segments get lost, and no router says so.
    //= rfc4821#7.7
    //= rfc8899#4.3
    fn on_black_hole(&mut self, now: Instant) {
        let (size, base) = (self.whole(), self.base());
        let next = match size {
            _ if size > base => base,
            _ if size > LEAST_V4 && !self.is_v6() => LEAST_V4,
            _ => return,
        };
        self.search = None;
        self.is_proven = false;
        self.start_search(next, now);
    }

    /// The size of payload of a probe, if one is due. `sendable` bytes may go out now.
    //= rfc4821#7.5
    pub(crate) fn probe(&self, sendable: u32, now: Instant) -> Option<u16> {
        let search = self.search.as_ref()?;
        if search.probe.is_some() || seconds(now) < search.rest_until_s {
            return None;
        }
        let high = if search.is_settled() { self.peer.min(self.path) } else { search.high };
        let middle = search.low + (high - search.low).div_ceil(2);
        let size = if search.was_tried && !search.is_settled() { middle } else { high };
        let payload = size - u16::from(self.options);
        let needed = u32::from(payload) + FOLLOWERS * u32::from(self.mss());
        (size > search.low && sendable >= needed).then_some(payload)
    }

    /// A probe with `payload` bytes from `start` on went out.
    pub(crate) fn on_probe_sent(&mut self, start: Seq, payload: u16) {
        let highest = self.peer.min(self.path);
        let Some(search) = &mut self.search else { return };
        let size = payload + u16::from(self.options);
        if search.is_settled() {
            // Ten minutes are over: the search starts anew.
            (search.high, search.was_tried, search.misses) = (highest, false, 0);
        }
        (search.probe, search.probe_at) = (NonZeroU16::new(size), start);
    }

    /// `len` bytes are lost, the first of them at `start`. The length of the probe, if that is what is
    /// lost, which is no sign of congestion.
    //= rfc4821#7.6.2
    //= rfc8899#3: item 7
    pub(crate) fn on_lost(&mut self, at: Seq, len: u32, now: Instant) -> Option<u32> {
        let search = self.search.as_mut()?;
        let size = search.probe.take()?.get();
        let payload = u32::from(size) - u32::from(self.options);
        if search.probe_at != at || len > payload {
            // Something else is lost too, or alone: the probe says nothing.
            return None;
        }
        search.misses += 1;
        if search.misses >= MISSES {
            search.misses = 0;
            search.was_tried = true;
            search.high = (size - 1).max(search.low);
            search.settle(now);
        }
        Some(payload)
    }
}

/// Time in seconds: so finely the search counts it.
fn seconds(at: Instant) -> u32 {
    (at.millis() / 1000) as u32
}

impl Search {
    fn is_settled(&self) -> bool {
        self.high - self.low < GRANULARITY
    }

    fn settle(&mut self, now: Instant) {
        if self.is_settled() {
            self.rest_until_s = seconds(now + RAISE_AFTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
