//! Numbers that nobody else can guess: initial sequence numbers, timestamp offsets, ports.

use crate::base::demux::HashKey;
use crate::seq::Seq;
use crate::tcp::segment::Tuple;
use crate::time::Instant;
use core::hash::Hash;

/// ISN = M + F(tuple, secret), with a clock M that ticks every 4 µs.
///
//= rfc9293#3.4.1 MUST-8, SHLD-1
//= rfc6528#3
pub(crate) fn initial_sequence_number(key: &HashKey, tuple: &(impl Hash + Copy), now: Instant) -> Seq {
    Seq(key.hash(&(*tuple, 0u8))) + (now.micros() / 4) as u32
}

/// What follows from a connection's addresses and ports, and nobody else can guess.
#[derive(Clone, Copy)]
pub(in crate::tcp) struct TupleHash {
    /// Under which it is looked up.
    pub(in crate::tcp) place: u32,
    /// Where its timestamp clock starts (RFC 7323 §5.4).
    pub(in crate::tcp) ts_offset: u32,
}

impl TupleHash {
    pub(in crate::tcp) fn of(key: &HashKey, tuple: &Tuple) -> TupleHash {
        let [place, ts_offset] = key.hash_pair(tuple);
        TupleHash { place, ts_offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H056, MUST-8: the number moves with the clock, by 1 in 4 µs, and differs between tuples
    /// and between secrets.
    #[test]
    fn the_number_moves_with_the_clock() {
        let isn = |key, tuple: u32, us| {
            initial_sequence_number(&HashKey([key; 16]), &tuple, Instant::from_micros(us))
        };
        assert_eq!(isn(1, 7, 4_000_000).since(isn(1, 7, 0)), 1_000_000);
        assert_ne!(isn(1, 7, 0), isn(1, 8, 0));
        assert_ne!(isn(1, 7, 0), isn(2, 7, 0));
    }
}
