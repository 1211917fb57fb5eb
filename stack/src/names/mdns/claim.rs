//! A name that this host claims: how far that is, and what it is called after conflicts.

use super::Announcement;
use crate::base::random::Random;
use crate::time::{Duration, Instant};

/// Probes before a name is ours, and the time between them (RFC 6762 §8.1).
pub(super) const PROBES: u8 = 3;
pub(super) const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// Announcements, and the time between them (RFC 6762 §8.3).
pub(super) const ANNOUNCEMENTS: u8 = 2;
pub(super) const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(1);

/// How far a claim is. A free place is all zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Nothing is claimed.
    Free,
    /// So many probes were sent.
    Probing(u8),
    /// The name is ours; so many announcements were sent.
    Announcing(u8),
    /// The name is ours.
    Settled,
    /// It is given up, which is to be told; true: was told.
    Leaving(bool),
}

/// A claim: of the host's name, or of a service's instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    /// As the program has it.
    pub(super) text: &'a str,
    /// Which one of those that have the name this is; below 2: the only one.
    number: u16,
    pub(super) phase: Phase,
    /// When the phase goes on.
    pub(super) due: Instant,
}

impl<'a> Claim<'a> {
    pub(super) const FREE: Claim<'a> = Claim { text: "", number: 0, phase: Phase::Free, due: Instant::ZERO };

    pub(super) fn new(text: &'a str) -> Self {
        Claim { text, ..Claim::FREE }
    }

    /// Begins to probe: at a random time within 250 ms, so that hosts that start together don't do so in step.
    //= rfc6762#8.1
    pub(super) fn probe(&mut self, random: &mut Random, now: Instant) {
        let wait = random.below(PROBE_INTERVAL.millis() as u32).into();
        (self.phase, self.due) = (Phase::Probing(0), now + Duration::from_millis(wait));
    }

    pub(super) fn announce(&mut self, now: Instant) {
        (self.phase, self.due) = (Phase::Announcing(0), now);
    }

    /// Is the name ours?
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.phase, Phase::Announcing(_) | Phase::Settled)
    }

    pub(super) fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::Probing(_))
    }

    /// Is it claimed, or about to be?
    pub(super) fn is_wanted(&self) -> bool {
        self.is_ours() || self.is_probing()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Free | Phase::Settled => None,
            _ => Some(self.due),
        }
    }

    /// The next name, since somebody has this one.
    //= rfc6762#9
    pub(super) fn rename(&mut self) {
        self.number = self.number.max(1).saturating_add(1);
    }

    /// The label: `before` and `after` stand around a number.
    pub(super) fn label(&self, before: &str, after: &str) -> heapless::Vec<u8, 63> {
        let mut digits = heapless::Vec::<u8, 5>::new();
        let mut rest = if self.number > 1 { self.number } else { 0 };
        while rest > 0 {
            // A number of 16 bits has five digits.
            let _ = digits.push(b'0' + (rest % 10) as u8);
            rest /= 10;
        }
        let more = if digits.is_empty() { 0 } else { before.len() + digits.len() + after.len() };
        let mut len = self.text.len().min(63 - more);
        while !self.text.is_char_boundary(len) {
            len -= 1;
        }
        let mut label = heapless::Vec::new();
        let number = digits.iter().rev().copied();
        let suffix = before.bytes().chain(number).chain(after.bytes());
        label.extend(self.text.bytes().take(len).chain(suffix.take(more)));
        label
    }
}

/// A service that is announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service<'a> {
    pub(super) claim: Claim<'a>,
    pub(super) what: Announcement<'a>,
}

/// A place for a service: some 70 bytes.
#[derive(Clone, Copy, Debug)]
pub struct ServiceSlot<'a> {
    pub(super) service: Option<Service<'a>>,
    pub(super) serial: u16,
}

impl ServiceSlot<'_> {
    /// A free place.
    pub const EMPTY: Self = ServiceSlot { service: None, serial: 0 };
}
