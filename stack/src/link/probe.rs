//! Whether an IPv4 address is somebody else's, before it is used (RFC 5227 §2.1).

use crate::base::random::Random;
use crate::time::{Duration, Instant};

/// How an address is looked for on the link before it is used.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ConflictDetection {
    /// As RFC 5227 §2.1.1 has it: three probes after up to a second, one to two seconds apart, and two more seconds
    /// in which somebody may answer. Four to seven seconds in all.
    #[default]
    Full,
    /// One probe, and 200 ms for an answer: where starting quickly counts for more.
    Once,
    /// None: where somebody else sees to it that there are no two, such as a hypervisor.
    Off,
}

/// RFC 5227 §1.1: PROBE_WAIT, PROBE_NUM, PROBE_MIN, PROBE_MAX, ANNOUNCE_WAIT.
const PROBE_WAIT_MS: u32 = 1000;
const PROBE_NUM: u8 = 3;
const PROBE_MIN_MS: u32 = 1000;
const PROBE_MAX_MS: u32 = 2000;
const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);
/// How long the answer to a single probe may take.
const ONCE_WAIT: Duration = Duration::from_millis(200);

/// The probing of one address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing {
    left: u8,
    last_wait: Duration,
    next: Instant,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProbeStep {
    /// Send a probe.
    Probe,
    /// Nobody has answered: the address is ours.
    Done,
}

impl Probing {
    pub(crate) fn new(how: ConflictDetection, now: Instant, random: &mut Random) -> Self {
        let (left, last_wait, wait) = match how {
            ConflictDetection::Full => (PROBE_NUM, ANNOUNCE_WAIT, random.below(PROBE_WAIT_MS)),
            ConflictDetection::Once => (1, ONCE_WAIT, 0),
            ConflictDetection::Off => (0, Duration::ZERO, 0),
        };
        Probing { left, last_wait, next: now + Duration::from_millis(wait.into()) }
    }

    /// When [`step`](Self::step) has something.
    pub(crate) fn deadline(&self) -> Instant {
        self.next
    }

    /// What is due now, if something is.
    //= rfc5227#2.1.1
    pub(crate) fn step(&mut self, now: Instant, random: &mut Random) -> Option<ProbeStep> {
        if now < self.next {
            return None;
        }
        if self.left == 0 {
            return Some(ProbeStep::Done);
        }
        self.left -= 1;
        let apart = PROBE_MIN_MS + random.below(PROBE_MAX_MS - PROBE_MIN_MS);
        let apart = if self.left == 0 { self.last_wait } else { Duration::from_millis(apart.into()) };
        self.next = now + apart;
        Some(ProbeStep::Probe)
    }
}
