//! How often something may happen.

use crate::time::{Duration, Instant};

/// A token bucket: `burst` at once after a pause, then one in each interval of `refill`.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    burst: u32,
    refill: Duration,
    tokens: u32,
    filled: Instant,
}

impl TokenBucket {
    /// Nothing may happen: all zero.
    pub(crate) const NONE: TokenBucket = TokenBucket::new(0, Duration::ZERO);

    pub(crate) const fn new(burst: u32, refill: Duration) -> Self {
        TokenBucket { burst, refill, tokens: burst, filled: Instant::ZERO }
    }

    /// Takes a token. False: there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        // One after the other: a division of 64 bits is long on small processors, and each token pays for its own.
        while self.tokens < self.burst && now >= self.filled + self.refill {
            self.tokens += 1;
            self.filled += self.refill;
        }
        if self.tokens == self.burst {
            self.filled = now;
        }
        let has = self.tokens > 0;
        self.tokens -= u32::from(has);
        has
    }
}
