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
        let gained = now.since(self.filled).micros().checked_div(self.refill.micros()).unwrap_or(0);
        if gained >= u64::from(self.burst - self.tokens) {
            (self.tokens, self.filled) = (self.burst, now);
        } else {
            self.tokens += gained as u32;
            self.filled += Duration::from_micros(gained * self.refill.micros());
        }
        let has = self.tokens > 0;
        self.tokens -= u32::from(has);
        has
    }
}
