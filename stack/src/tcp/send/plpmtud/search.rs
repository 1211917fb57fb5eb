//! The search for the longest segment that arrives, where routers say nothing (RFC 4821, RFC 8899).

use super::{HEADERS_V4, HEADERS_V6, SegmentSize};
use crate::seq::Seq;
use crate::tcp::codec::{Packer, Unpacker};
use crate::tcp::config::{PathProbing, TcpConfig};
use crate::time::{Duration, Instant};
use core::num::NonZeroU16;

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
pub(super) const GRANULARITY: u16 = 8;
/// How long what was found holds before longer segments are tried again.
//= rfc8899#5.1.1: PMTU_RAISE_TIMER
pub(super) const RAISE_AFTER: Duration = Duration::from_secs(600);

/// Whether there is to be a search.
pub(crate) type Probing = PathProbing;

pub(super) const NO_PROBING: Probing = PathProbing::Off;

/// What the settings say of it.
pub(crate) const fn probing(config: &TcpConfig) -> Probing {
    config.path_probing
}

/// The search for the longest segment that arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
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

/// See [`SegmentSize::park`]: no probe is under way.
pub(super) fn park(probing: Probing, search: Option<&Search>, to: &mut Packer) -> Option<()> {
    let [never, always] = [PathProbing::Off, PathProbing::Always].map(|p| p == probing);
    to.bits([never, always, search.is_some(), search.is_some_and(|s| s.was_tried)]);
    let Some(search) = search else { return Some(()) };
    let Search { low, high, probe, probe_at: _, was_tried: _, misses, rest_until_s } = search;
    [*low, *high, u16::from(*misses)].iter().for_each(|n| to.number(*n));
    to.number(*rest_until_s);
    probe.is_none().then_some(())
}

/// The other way.
pub(super) fn unpark(from: &mut Unpacker<'_>) -> (Probing, Option<Search>) {
    let [never, always, searches, was_tried] = from.bits();
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
    (probing, search)
}

impl SegmentSize {
    /// Of a new connection: does it begin with a search?
    pub(super) fn begin(&mut self, now: Instant) {
        if self.probing == PathProbing::Always {
            self.start_search(self.base(), now);
        }
    }

    fn base(&self) -> u16 {
        if self.is_v6() { BASE_V6 } else { BASE_V4 }
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

    /// The timer fired for a full segment, so often in a row.
    pub(super) fn on_full_lost(&mut self, in_row: u8, now: Instant) {
        // Where timeouts do not back off, none counts as one in a row.
        let is_hole = in_row > 0 && in_row.is_multiple_of(BLACK_HOLE);
        if self.probing != PathProbing::Off && is_hole {
            self.on_black_hole(now);
        }
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
    /// Segments so long arrive.
    pub(super) fn low(&self) -> u16 {
        self.low
    }

    pub(super) fn is_near(&self, una: Seq) -> bool {
        self.probe.is_none() || self.probe_at.is_near(una)
    }

    /// Interface and routers say that the path takes so much.
    pub(super) fn on_path(&mut self, path: u16) {
        self.high = self.high.min(path);
        self.low = self.low.min(self.high);
        self.probe = None;
    }

    /// Everything before `una` is acknowledged, segments having so many bytes of options. True: the probe has
    /// arrived.
    pub(super) fn on_ack(&mut self, una: Seq, options: u16, now: Instant) -> bool {
        let start = self.probe_at;
        let Some(size) = self.probe.take_if(|_| start.before(una)).map(NonZeroU16::get) else {
            return false;
        };
        if una.before(start + u32::from(size - options)) {
            // A part of it: it was sent again in shorter segments.
            return false;
        }
        self.low = size;
        self.misses = 0;
        self.settle(now);
        true
    }

    fn is_settled(&self) -> bool {
        self.high - self.low < GRANULARITY
    }

    fn settle(&mut self, now: Instant) {
        if self.is_settled() {
            self.rest_until_s = seconds(now + RAISE_AFTER);
        }
    }
}
