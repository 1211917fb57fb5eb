//! Happy eyeballs (RFC 8305): addresses of both families are tried in turns, each a little after the one before, until one connects.

use core::net::IpAddr;

use super::ADDRESSES_MAX;
use crate::error::Error;
use crate::time::{Duration, Instant, earlier};

/// How connections by name are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EyeballsConfig {
    /// How long addresses of IPv4 wait for those of IPv6 to be told. Default 50 ms (RFC 8305 §3).
    pub aaaa_wait: Duration,
    /// How long one attempt goes on alone. Default 250 ms (RFC 8305 §5).
    pub attempt_delay: Duration,
    /// How long an attempt may take. Default 10 s.
    pub attempt_timeout: Duration,
}

impl EyeballsConfig {
    /// The defaults.
    pub const DEFAULT: EyeballsConfig = EyeballsConfig {
        aaaa_wait: Duration::from_millis(50),
        attempt_delay: Duration::from_millis(250),
        attempt_timeout: Duration::from_secs(10),
    };
}

/// Addresses of both families.
pub(crate) type Candidates = heapless::Vec<IpAddr, { 2 * ADDRESSES_MAX }>;

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// An attempt begins, for this address.
    Start(IpAddr),
    /// Nothing until then, or until something happens.
    Wait(Option<Instant>),
    /// Nothing is left to be tried.
    Over(Error),
}

/// Which addresses are to be tried, and when. Who runs it tells what the look-ups and attempts have come to.
#[derive(Debug)]
pub(crate) struct Race {
    config: EyeballsConfig,
    /// What has not been tried, in its order.
    candidates: Candidates,
    /// What is known of each family: IPv6, IPv4.
    told: [bool; 2],
    /// When addresses of IPv4 need wait no more.
    v4_from: Option<Instant>,
    /// When the next attempt may begin beside others.
    next_at: Instant,
    /// Attempts under way.
    running: usize,
    was_v6: Option<bool>,
    /// Of the attempts, or else of the look-ups.
    error: Option<Error>,
    unknown: Option<Error>,
}

impl Race {
    pub(crate) fn new(config: EyeballsConfig) -> Self {
        Race {
            config,
            candidates: Candidates::new(),
            told: [false; 2],
            v4_from: None,
            next_at: Instant::ZERO,
            running: 0,
            was_v6: None,
            error: None,
            unknown: None,
        }
    }

    /// The look-up for one family is over. `sort` puts destinations into the order of RFC 6724.
    pub(crate) fn on_addresses(
        &mut self,
        is_v6: bool,
        addresses: Result<&[IpAddr], Error>,
        sort: impl FnOnce(&mut [IpAddr]),
        now: Instant,
    ) {
        self.told[usize::from(!is_v6)] = true;
        match addresses {
            Ok([]) => self.unknown = self.unknown.or(Some(Error::NoMatchingAddresses)),
            Ok(some) => self.candidates.extend(some.iter().copied().take(ADDRESSES_MAX)),
            // That a server fails, or there is no such name, says more than that there is no address.
            Err(error) => {
                self.unknown = match self.unknown {
                    Some(known) if known != Error::NoMatchingAddresses => Some(known),
                    _ => Some(error),
                }
            }
        }
        if !is_v6 {
            self.v4_from = Some(now + self.config.aaaa_wait);
        }
        sort(&mut self.candidates);
        self.interleave();
    }

    /// The families take turns, the first address keeping its place (RFC 8305 §4); after an attempt the other one is next.
    //= rfc8305#4
    fn interleave(&mut self) {
        let Some(first) = self.candidates.first().map(IpAddr::is_ipv6) else { return };
        let mut wanted = self.was_v6.map_or(first, |was| !was);
        for at in 0..self.candidates.len() {
            let next = self.candidates[at..].iter().position(|a| a.is_ipv6() == wanted);
            let Some(next) = next else { return };
            self.candidates[at..=at + next].rotate_right(1);
            wanted = !wanted;
        }
    }

    /// An attempt has failed: the next begins at once.
    pub(crate) fn on_failure(&mut self, error: Error, now: Instant) {
        self.running -= 1;
        self.error = Some(error);
        self.next_at = now;
    }

    /// The attempt could not begin for want of a place: it has to wait for others to end, if there are any.
    pub(crate) fn on_no_place(&mut self, address: IpAddr, error: Error, now: Instant) {
        self.on_failure(error, now);
        if self.running > 0 && self.candidates.insert(0, address).is_ok() {
            self.next_at = Instant::FAR_FUTURE;
        }
    }

    /// What is to be done at `now`.
    pub(crate) fn next(&mut self, now: Instant) -> Step {
        let all_told = self.told == [true; 2];
        // Addresses of IPv6 may follow: IPv4 waits a moment.
        let waits =
            if self.told[0] || self.was_v6.is_some() { None } else { self.v4_from.filter(|at| *at > now) };
        let gate = if self.running == 0 { None } else { Some(self.next_at) };
        match self.candidates.first() {
            Some(&address) if waits.is_none() && gate.is_none_or(|at| at <= now) => {
                self.candidates.remove(0);
                self.running += 1;
                self.was_v6 = Some(address.is_ipv6());
                self.next_at = now + self.config.attempt_delay;
                Step::Start(address)
            }
            Some(_) => Step::Wait(earlier(waits, gate.filter(|at| *at > now && *at < Instant::FAR_FUTURE))),
            None if all_told && self.running == 0 => {
                Step::Over(self.error.or(self.unknown).unwrap_or(Error::NoMatchingAddresses))
            }
            None => Step::Wait(None),
        }
    }
}

#[cfg(all(test, feature = "std"))]
#[path = "tests/eyeballs.rs"]
mod tests;
