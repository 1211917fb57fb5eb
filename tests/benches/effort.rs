//! How long a benchmark may take.

use std::time::Duration;

/// How often and how long each transfer is timed.
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
}

impl Effort {
    /// Seven rounds, the fewest that a median is quoted from.
    pub(crate) const FULL: Effort = Effort { rounds: 7, time: Duration::from_millis(300) };

    /// To see that everything runs.
    pub(crate) const QUICK: Effort = Effort { rounds: 3, time: Duration::from_millis(100) };
}
