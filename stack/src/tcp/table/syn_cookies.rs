//! SYN cookies (RFC 4987 §3.6): what a SYN said, kept in the number and the timestamp of our
//! SYN-ACK instead of in memory, and read back from the segment that completes the handshake.
//!
//! ```text
//! number     | tick: 5 | MSS: 3 | MAC: 24            |
//! timestamp  | our clock | ECN: 1 | SACK: 1 | scale: 4 |
//! ```
//!
//! The MAC covers the addresses, the client's number, the tick and everything that is kept. So a
//! cookie is good for one client's one SYN, and for a minute or two. Two limits are inherent: an
//! option that does not fit is not negotiated, and the acknowledgment that brings a cookie back may
//! come twice: the second, if the connection is over by then, opens it again until the client's
//! reset. That is why listeners look at cookies only while they hand them out.

use crate::base::demux::HashKey;
use crate::bytes::Bytes;
use crate::seq::Seq;
use crate::tcp::Tuple;
use crate::tcp::segment::{EcnCodepoint, Flags, Options, Segment, Timestamps};
use crate::time::{Duration, Instant};

/// How long a tick lasts. A cookie is good in its own tick and in the next. The tick is in the
/// high bits, so the numbers of one tuple grow as RFC 9293 §3.4.1 wants it.
const TICK: Duration = Duration::from_secs(64);
/// How long after the last cookie one may come back.
pub(in crate::tcp) const LIFETIME: Duration = Duration::from_secs(128);

/// A SYN that asks for ECN (RFC 3168 §6.1.1).
const ECN: Flags = Flags(Flags::ECE.0 | Flags::CWR.0);

const TICK_SHIFT: u32 = 27;
const MSS_SHIFT: u32 = 24;
const MAC_MASK: u32 = (1 << MSS_SHIFT) - 1;

/// The segment sizes that a cookie can hold: what clients say (nearly always 1460 or 1440 less some
/// tunnel), what those mean who say nothing, jumbo frames, and the least that we use.
const SIZES: [u16; 8] = [64, 536, 1220, 1360, 1400, 1440, 1460, 8960];

/// Low bits of the timestamp that hold options.
const STAMP_BITS: u32 = 6;
const STAMP_MASK: u32 = (1 << STAMP_BITS) - 1;
const SCALE_MASK: u32 = 15;
/// A window scale that was not offered.
const NO_SCALE: u32 = 15;
/// SACK is permitted.
const STAMP_SACK: u32 = 16;
/// ECN is asked for, as RFC 3168 has it; for AccECN there is no room.
const STAMP_ECN: u32 = 32;

/// `syn` as its cookie remembers it, which is what the SYN-ACK must answer. Without timestamps,
/// of which `timestamps` says whether we use them, there is room for the segment size alone.
pub(in crate::tcp) fn remembered(syn: &Segment<'_>, tuple: &Tuple, timestamps: bool) -> Segment<'static> {
    let timestamps = syn.options.timestamps.filter(|_| timestamps);
    rebuilt(syn.seq, syn.window, size_index(syn, tuple), timestamps, stamp_of(syn))
}

/// The number of the SYN-ACK that answers `syn`, as it is remembered.
pub(in crate::tcp) fn number(key: &HashKey, tuple: &Tuple, syn: &Segment<'_>, now: Instant) -> Seq {
    let (tick, size) = (tick(now), size_index(syn, tuple));
    let stamp = syn.options.timestamps.map(|_| stamp_of(syn));
    let mac = mac(key, tuple, syn.seq, tick, size, stamp);
    Seq(tick << TICK_SHIFT | (size as u32) << MSS_SHIFT | mac)
}

/// Our timestamp in that SYN-ACK: not later than `clock`, so that the next is not earlier.
pub(in crate::tcp) fn timestamp(clock: u32, syn: &Segment<'_>) -> u32 {
    let behind = (clock & STAMP_MASK).wrapping_sub(stamp_of(syn)) & STAMP_MASK;
    clock.wrapping_sub(behind)
}

/// The SYN that a client sent whose `segment` acknowledges a cookie of ours; `None` if it does not.
pub(in crate::tcp) fn recall(
    key: &HashKey,
    tuple: &Tuple,
    segment: &Segment<'_>,
    now: Instant,
) -> Option<Segment<'static>> {
    let (cookie, seq) = ((segment.ack - 1).0, segment.seq - 1);
    let age = tick(now).wrapping_sub(cookie >> TICK_SHIFT) & (u32::MAX >> TICK_SHIFT);
    let size = (cookie >> MSS_SHIFT & 7) as usize;
    let timestamps = segment.options.timestamps;
    let stamp = timestamps.map(|t| t.echo & STAMP_MASK);
    if age > 1 || mac(key, tuple, seq, tick(now).wrapping_sub(age), size, stamp) != cookie & MAC_MASK {
        return None;
    }
    Some(rebuilt(seq, segment.window, size, timestamps, stamp.unwrap_or_default()))
}

/// The SYN of which a cookie has kept `size` and `stamp`; the latter counts with timestamps only.
fn rebuilt(
    seq: Seq,
    window: u16,
    size: usize,
    timestamps: Option<Timestamps>,
    stamp: u32,
) -> Segment<'static> {
    let stamp = timestamps.map_or(NO_SCALE, |_| stamp);
    let scale = Some(stamp & SCALE_MASK).filter(|s| *s != NO_SCALE);
    let asks = if stamp & STAMP_ECN != 0 { ECN } else { Flags::default() };
    Segment {
        seq,
        ack: Seq(0),
        flags: Flags::SYN | asks,
        window,
        urgent: 0,
        options: Options {
            mss: Some(SIZES[size]),
            timestamps,
            window_scale: scale.map(|s| s as u8),
            sack_permitted: stamp & STAMP_SACK != 0,
            ..Options::default()
        },
        mark: EcnCodepoint::NotEct,
        packets: 1,
        payload: Bytes::empty(),
    }
}

fn tick(now: Instant) -> u32 {
    (now.micros() / TICK.micros()) as u32
}

/// The largest size that is not more than what the client can take.
fn size_index(syn: &Segment<'_>, tuple: &Tuple) -> usize {
    //= rfc9293#3.7.1 MUST-15
    let default_mss = if tuple.remote.is_ipv6() { 1220 } else { 536 };
    let mss = syn.options.mss.unwrap_or(default_mss);
    SIZES.iter().rposition(|size| *size <= mss).unwrap_or(0)
}

/// What the low bits of the timestamp keep.
fn stamp_of(syn: &Segment<'_>) -> u32 {
    let sack = if syn.options.sack_permitted { STAMP_SACK } else { 0 };
    let ecn = if syn.flags.has(ECN) { STAMP_ECN } else { 0 };
    syn.options.window_scale.map_or(NO_SCALE, |s| s.min(14).into()) | sack | ecn
}

fn mac(key: &HashKey, tuple: &Tuple, seq: Seq, tick: u32, size: usize, stamp: Option<u32>) -> u32 {
    // Without timestamps the last word says so.
    let rest = (size as u32) << 16 | u32::from(stamp.is_some()) << 8 | 3;
    key.hash(&(*tuple, seq.0, tick, stamp.unwrap_or_default(), rest)) & MAC_MASK
}
