//! Random bytes: from the CPU's RDRAND, else from a virtio-rng device; never from a constant.

use core::arch::x86_64::{__cpuid, _rdrand64_step};

/// 32 bytes from RDRAND; `None` when the CPU has none or it does not work.
pub(super) fn from_cpu() -> Option<[u8; 32]> {
    const RDRAND: u32 = 1 << 30;
    if __cpuid(1).ecx & RDRAND == 0 {
        return None;
    }
    let mut seed = [0; 32];
    let mut words = [0; 4];
    for (to, word) in seed.chunks_exact_mut(8).zip(&mut words) {
        *word = random_word()?;
        to.copy_from_slice(&word.to_le_bytes());
    }
    // Some CPUs "succeed" with the same word for ever after a resume (AMD family 15h and 16h).
    let stuck = words.iter().all(|w| *w == words[0]);
    (!stuck).then_some(seed)
}

fn random_word() -> Option<u64> {
    /// Intel's advice: ten failures in a row mean that it is broken.
    const TRIES: usize = 10;
    #[target_feature(enable = "rdrand")]
    fn step(word: &mut u64) -> bool {
        _rdrand64_step(word) == 1
    }
    let mut word = 0;
    // SAFETY: the caller has seen in CPUID that the CPU has the instruction.
    (0..TRIES).any(|_| unsafe { step(&mut word) }).then_some(word)
}
