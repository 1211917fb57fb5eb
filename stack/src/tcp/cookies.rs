//! SYN cookies (RFC 4987 §3.6): what a SYN said, kept in the number and the timestamp of our
//! SYN-ACK instead of in memory, and read back from the segment that completes the handshake.
//!
//! ```text
//! number     | tick: 5 | MSS: 3 | MAC: 24            |
//! timestamp  | our clock, less its low bits  | SACK: 1 | scale: 4 |
//! ```
//!
//! The MAC covers the addresses, the client's number, the tick and everything that is kept. So a
//! cookie is good for one client's one SYN, and for a minute or two. Two limits are inherent: an
//! option that does not fit is not negotiated, and the acknowledgment that brings a cookie back may
//! come twice: the second, if the connection is over by then, opens it again until the client's
//! reset. That is why listeners look at cookies only while they hand them out.

use super::Tuple;
use super::segment::{Flags, Mark, Options, Segment};
use crate::bytes::Bytes;
use crate::demux::HashKey;
use crate::seq::Seq;
use crate::time::{Duration, Instant};

/// How long a tick lasts. A cookie is good in its own tick and in the next. The tick is in the
/// high bits, so the numbers of one tuple grow as RFC 9293 §3.4.1 wants it.
const TICK: Duration = Duration::from_secs(64);
/// How long after the last cookie one may come back.
pub(super) const LIFETIME: Duration = Duration::from_secs(128);

const TICK_SHIFT: u32 = 27;
const MSS_SHIFT: u32 = 24;
const MAC_MASK: u32 = (1 << MSS_SHIFT) - 1;

/// The segment sizes that a cookie can hold: what clients say (nearly always 1460 or 1440 less some
/// tunnel), what those mean who say nothing, jumbo frames, and the least that we use.
const SIZES: [u16; 8] = [64, 536, 1220, 1360, 1400, 1440, 1460, 8960];

/// Low bits of the timestamp that hold options.
const STAMP_BITS: u32 = 5;
const STAMP_MASK: u32 = (1 << STAMP_BITS) - 1;
const SCALE_MASK: u32 = 15;
/// A window scale that was not offered.
const NO_SCALE: u32 = 15;
/// SACK is permitted.
const STAMP_SACK: u32 = 16;

/// `syn` as its cookie remembers it, which is what the SYN-ACK must answer. Without timestamps,
/// of which `timestamps` says whether we use them, there is room for the segment size alone.
pub(super) fn remembered(syn: &Segment<'_>, tuple: &Tuple, timestamps: bool) -> Segment<'static> {
    let timestamps = syn.options.timestamps.filter(|_| timestamps);
    let size = SIZES[size_index(syn.options.mss, tuple)];
    Segment {
        seq: syn.seq,
        ack: Seq(0),
        flags: Flags::SYN,
        window: syn.window,
        options: Options {
            mss: Some(size),
            timestamps,
            window_scale: syn.options.window_scale.filter(|_| timestamps.is_some()).map(|s| s.min(14)),
            sack_permitted: syn.options.sack_permitted && timestamps.is_some(),
            ..Options::default()
        },
        mark: Mark::NotEct,
        packets: 1,
        text: Bytes::empty(),
    }
}

/// The number of the SYN-ACK that answers `syn`, as it is remembered.
pub(super) fn number(key: &HashKey, tuple: &Tuple, syn: &Segment<'_>, now: Instant) -> Seq {
    let (tick, size) = (tick(now), size_index(syn.options.mss, tuple));
    let stamp = syn.options.timestamps.map(|_| stamp_of(&syn.options));
    let mac = mac(key, tuple, syn.seq, tick, size, stamp);
    Seq(tick << TICK_SHIFT | (size as u32) << MSS_SHIFT | mac)
}

/// Our timestamp in that SYN-ACK: not later than `clock`, so that the next is not earlier.
pub(super) fn timestamp(clock: u32, syn: &Segment<'_>) -> u32 {
    let stamp = stamp_of(&syn.options);
    let behind = (clock & STAMP_MASK).wrapping_sub(stamp) & STAMP_MASK;
    clock.wrapping_sub(behind)
}

/// The SYN that a client sent whose `segment` acknowledges a cookie of ours; `None` if it does not.
pub(super) fn recall(
    key: &HashKey,
    tuple: &Tuple,
    segment: &Segment<'_>,
    now: Instant,
) -> Option<Segment<'static>> {
    let (cookie, seq) = ((segment.ack - 1).0, segment.seq - 1);
    let age = tick(now).wrapping_sub(cookie >> TICK_SHIFT) & (u32::MAX >> TICK_SHIFT);
    let size = (cookie >> MSS_SHIFT & 7) as usize;
    let stamp = segment.options.timestamps.map(|t| t.echo & STAMP_MASK);
    if age > 1 || mac(key, tuple, seq, tick(now).wrapping_sub(age), size, stamp) != cookie & MAC_MASK {
        return None;
    }
    let scale = stamp.map(|s| s & SCALE_MASK).filter(|s| *s != NO_SCALE);
    Some(Segment {
        seq,
        ack: Seq(0),
        flags: Flags::SYN,
        window: segment.window,
        options: Options {
            mss: Some(SIZES[size]),
            timestamps: segment.options.timestamps,
            window_scale: scale.map(|s| s as u8),
            sack_permitted: stamp.is_some_and(|s| s & STAMP_SACK != 0),
            ..Options::default()
        },
        mark: Mark::NotEct,
        packets: 1,
        text: Bytes::empty(),
    })
}

fn tick(now: Instant) -> u32 {
    (now.micros() / TICK.micros()) as u32
}

/// The largest size that is not more than what the client can take.
fn size_index(mss: Option<u16>, tuple: &Tuple) -> usize {
    //= rfc9293#3.7.1 MUST-15
    let unsaid = if tuple.remote.is_ipv6() { 1220 } else { 536 };
    let mss = mss.unwrap_or(unsaid);
    SIZES.iter().rposition(|size| *size <= mss).unwrap_or(0)
}

/// What the low bits of the timestamp keep.
fn stamp_of(options: &Options) -> u32 {
    let sack = if options.sack_permitted { STAMP_SACK } else { 0 };
    options.window_scale.map_or(NO_SCALE, u32::from) | sack
}

fn mac(key: &HashKey, tuple: &Tuple, seq: Seq, tick: u32, size: usize, stamp: Option<u32>) -> u32 {
    key.hash(&(tuple, seq, tick, size as u8, stamp, 3u8)) & MAC_MASK
}
