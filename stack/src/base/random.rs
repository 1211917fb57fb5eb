//! Numbers that an outsider can't foresee, from a seed that the caller hands in.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;

/// Counter mode over SipHash-2-4: unpredictable without the seed, and the same for the same seed,
/// so that a run can be replayed. Not for keys that must outlive the program.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    key: [u8; 16],
    /// The other half of the seed goes into each block.
    tweak: [u8; 16],
    counter: u64,
}

impl Random {
    /// A generator from 32 bytes of entropy.
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        let (mut key, mut tweak) = ([0; 16], [0; 16]);
        let (first, second) = seed.split_at(16);
        key.copy_from_slice(first);
        tweak.copy_from_slice(second);
        Random { key, tweak, counter: 0 }
    }

    /// 64 random bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        let mut hash = SipHasher24::new_with_key(&self.key);
        hash.write(&self.tweak);
        hash.write_u64(self.counter);
        self.counter = self.counter.wrapping_add(1);
        hash.finish()
    }

    /// 32 random bits.
    pub(crate) fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A number below `limit`; 0 for a limit of 0. Its bias is less than `limit` in 2^32.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(limit)) >> 32) as u32
    }

    /// A key for a keyed hash: each call gives another, and none tells about the others.
    pub(crate) fn key(&mut self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        key[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_and_numbers_spread() {
        let mut seed = [0; 32];
        let first = Random::new(seed).next_u64();
        seed[31] = 1;
        assert_ne!(first, Random::new(seed).next_u64());
        let mut random = Random::new(seed);
        let mut seen = [0u32; 16];
        for _ in 0..16_000 {
            seen[random.below(16) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_ne!(random.key(), random.key());
    }
}
