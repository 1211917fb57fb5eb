//! The bytes that applications send: a table over and over, each stream from another place.

use super::random::Random;
use std::sync::OnceLock;

/// A prime, so that a shift by any power of two shows.
const PERIOD: usize = 65_521;

/// The largest piece of a stream that `bytes` gives.
pub const WRITE_MAX: usize = 65_536;

/// `len` bytes at `offset` of the stream with this salt.
pub(super) fn bytes(salt: u64, offset: u64, len: usize) -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut random = Random::new(0);
        let mut table: Vec<u8> = (0..PERIOD).map(|_| random.next_u64() as u8).collect();
        table.extend_from_within(..);
        table.extend_from_within(..PERIOD);
        table
    });
    let at = (salt.wrapping_add(offset) % PERIOD as u64) as usize;
    &table[at..at + len]
}
