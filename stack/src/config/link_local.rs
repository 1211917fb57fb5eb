//! An IPv4 address without anybody who gives one (RFC 3927): drawn at random, probed, and given up to whoever has it.

use core::net::Ipv4Addr;

use crate::base::random::Random;
use crate::device::Mac;
use crate::link::probe::{ConflictDetection, ProbeStep, Probing};
use crate::time::{Duration, Instant};

/// 169.254/16 (RFC 3927 §2.1).
pub(crate) const PREFIX_LEN: u8 = 16;
/// RFC 3927 §9: MAX_CONFLICTS and RATE_LIMIT_INTERVAL.
const MAX_CONFLICTS: u8 = 10;
const RATE_LIMIT_INTERVAL: Duration = Duration::from_secs(60);
/// A second conflict within this costs the address (RFC 3927 §9, DEFEND_INTERVAL).
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
enum State {
    Off,
    Waiting { until: Instant },
    Probing(Probing),
    Bound { conflict: Option<Instant> },
}

/// The link-local address of one interface.
#[derive(Debug)]
pub(crate) struct LinkLocal {
    /// Of the station; zero before the first start.
    mac: Mac,
    state: State,
    address: Ipv4Addr,
    /// Addresses tried so far.
    tried: u8,
    conflicts: u8,
}

/// What the stack has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LinkLocalStep {
    /// Send an ARP probe for it.
    Probe(Ipv4Addr),
    /// It is the interface's from now on.
    Bind(Ipv4Addr),
    /// It is no longer.
    Unbind(Ipv4Addr),
}

impl LinkLocal {
    pub(crate) const fn new() -> Self {
        LinkLocal {
            mac: Mac([0; 6]),
            state: State::Off,
            address: Ipv4Addr::UNSPECIFIED,
            tried: 0,
            conflicts: 0,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        !matches!(self.state, State::Off)
    }

    /// Looks for an address; nothing, if there is one already.
    pub(crate) fn start(&mut self, mac: Mac, now: Instant, random: &mut Random) {
        if !self.is_on() {
            self.mac = mac;
            self.probe(now, random);
        }
    }

    /// Another address has come, or the link is gone.
    pub(crate) fn stop(&mut self) -> Option<LinkLocalStep> {
        let bound = matches!(self.state, State::Bound { .. });
        self.state = State::Off;
        bound.then_some(LinkLocalStep::Unbind(self.address))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Off | State::Bound { .. } => None,
            State::Waiting { until } => Some(*until),
            State::Probing(probing) => Some(probing.deadline()),
        }
    }

    /// What is due now; asked until there is nothing.
    pub(crate) fn on_timer(&mut self, now: Instant, random: &mut Random) -> Option<LinkLocalStep> {
        if let State::Waiting { until } = self.state
            && until <= now
        {
            self.probe(now, random);
        }
        let State::Probing(probing) = &mut self.state else { return None };
        match probing.step(now, random)? {
            ProbeStep::Probe => Some(LinkLocalStep::Probe(self.address)),
            ProbeStep::Done => {
                self.conflicts = 0;
                self.state = State::Bound { conflict: None };
                Some(LinkLocalStep::Bind(self.address))
            }
        }
    }

    /// Somebody else has this address, or probes for it.
    //= rfc3927#2.5
    pub(crate) fn on_conflict(
        &mut self,
        address: Ipv4Addr,
        now: Instant,
        random: &mut Random,
    ) -> Option<LinkLocalStep> {
        if address != self.address {
            return None;
        }
        match &mut self.state {
            State::Off | State::Waiting { .. } => None,
            State::Probing(_) => {
                self.next(now, random);
                None
            }
            // Defended once, by who holds the address; a second time it is the other's.
            State::Bound { conflict } => {
                let before = conflict.replace(now);
                before.filter(|at| now.since(*at) < DEFEND_INTERVAL)?;
                self.next(now, random);
                Some(LinkLocalStep::Unbind(address))
            }
        }
    }

    /// Is this the address that is being probed?
    pub(crate) fn probes(&self, address: Ipv4Addr) -> bool {
        matches!(self.state, State::Probing(_)) && self.address == address
    }

    fn next(&mut self, now: Instant, random: &mut Random) {
        self.tried = self.tried.wrapping_add(1);
        self.conflicts = self.conflicts.saturating_add(1);
        if self.conflicts >= MAX_CONFLICTS {
            self.state = State::Waiting { until: now + RATE_LIMIT_INTERVAL };
        } else {
            self.probe(now, random);
        }
    }

    fn probe(&mut self, now: Instant, random: &mut Random) {
        self.address = address(self.mac, self.tried);
        self.state = State::Probing(Probing::new(ConflictDetection::Full, now, random));
    }
}

/// From 169.254.1.0 to 169.254.254.255: the same again for the same station, different for different ones.
//= rfc3927#2.1
fn address(mac: Mac, tried: u8) -> Ipv4Addr {
    // FNV-1a.
    let hash = mac
        .0
        .iter()
        .chain([&tried])
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let folded = (hash >> 16 ^ hash) % (254 * 256);
    Ipv4Addr::from_bits(0xa9fe_0100 + folded)
}
