//! Routes that routers told us of: default routers, prefixes on the link, routes and redirects (RFC 4861 §5.1, RFC 4191).
//!
//! All are ways to a prefix: a default router one to `::/0`, a prefix on the link one without a router, a redirect one to a
//! single host. So one look-up by the longest prefix finds the next hop.

use core::net::Ipv6Addr;

use super::InterfaceId;
#[cfg(feature = "slaac")]
use crate::base::{deadline::Deadline, holder::Holder, lent::Places};
use crate::time::Instant;
#[cfg(feature = "slaac")]
use managed::ManagedSlice;

/// Which of several routers is to be used (RFC 4191 §2.1): the order is that of worth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Preference {
    /// While there is no other.
    Low,
    /// The usual.
    Medium,
    /// Before the others.
    High,
}

/// What told us of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LearntFrom {
    /// A router that is one for everything (RFC 4861 §6.3.4).
    Router,
    /// A prefix that is on the link.
    Prefix,
    /// A route information option (RFC 4191 §2.3).
    Route,
    /// A redirect (RFC 4861 §8).
    Redirect,
}

/// A way to an IPv6 prefix that a router told us of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearntRoute {
    /// The link.
    pub interface: InterfaceId,
    /// Which destinations it is for, without host bits.
    pub prefix: Ipv6Addr,
    /// How many of its bits count.
    pub prefix_len: u8,
    /// The router; `None`: the destinations are on the link.
    pub gateway: Option<Ipv6Addr>,
    /// Of several with equal prefixes the highest is used.
    pub preference: Preference,
    /// How long it is good; [`Instant::FAR_FUTURE`]: for ever.
    pub until: Instant,
    /// What told us.
    pub from: LearntFrom,
    /// How often the router did not answer since it was last heard.
    pub failures: u8,
}

impl LearntRoute {
    /// How many places there are for them, where so many are asked for.
    pub(crate) const fn places(asked: usize) -> usize {
        if cfg!(feature = "slaac") { asked } else { 0 }
    }
}

/// Most of a kind on all interfaces together, so that none drives out another: default routers, prefixes, routes, redirects.
#[cfg(feature = "slaac")]
const fn most(from: LearntFrom) -> usize {
    match from {
        LearntFrom::Router | LearntFrom::Route | LearntFrom::Redirect => 8,
        LearntFrom::Prefix => 16,
    }
}

/// What came of a route that a router told.
#[cfg(feature = "slaac")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Learned {
    /// Packets may go another way than before.
    Changed,
    /// Only its time is another (H116), or it was not there and has no time.
    Same,
    /// There is no place for it.
    Full,
}

/// The table.
#[cfg(feature = "slaac")]
pub struct LearntRoutes<'a> {
    slots: Places<'a, Holder<LearntRoute>>,
    /// When the next of them ends.
    next: Deadline,
}

#[cfg(feature = "slaac")]
impl<'a> LearntRoutes<'a> {
    /// No place for a route.
    pub(crate) const fn empty() -> Self {
        LearntRoutes { slots: Places::none(), next: Deadline::NEVER }
    }

    pub(crate) fn new(slots: ManagedSlice<'a, Holder<LearntRoute>>) -> Self {
        LearntRoutes { slots: slots.into(), ..Self::empty() }
    }

    /// Every route.
    pub fn iter(&self) -> impl Iterator<Item = &LearntRoute> {
        self.slots.iter().flatten()
    }

    /// Takes in a route, or takes it away if it ends now. When the table is full a router that does not answer gives its
    /// place, and of redirects the oldest (H112).
    pub(crate) fn learn(&mut self, mut route: LearntRoute, now: Instant) -> Learned {
        let host = u128::MAX.checked_shr(route.prefix_len.into()).unwrap_or(0);
        route.prefix = Ipv6Addr::from_bits(route.prefix.to_bits() & !host);
        let key = |r: &LearntRoute| (r.interface, r.from, r.prefix, r.prefix_len, r.gateway);
        // A redirect takes the place of the one before for its destination, whatever the router.
        let same = |r: &LearntRoute| match route.from {
            LearntFrom::Redirect => {
                (r.interface, r.from, r.prefix) == (route.interface, route.from, route.prefix)
            }
            _ => key(r) == key(&route),
        };
        let known = self.slots.iter().position(|s| s.as_ref().is_some_and(same));
        let at = match known {
            Some(at) if route.until <= now => {
                self.slots[at] = Holder::Empty;
                self.look_ahead();
                return Learned::Changed;
            }
            Some(at) => at,
            None if route.until <= now => return Learned::Same,
            None => match self.place(route.from) {
                Some(at) => at,
                None => return Learned::Full,
            },
        };
        let old = self.slots[at].as_ref().copied().filter(same);
        self.slots[at] = Holder::Entry(route);
        self.look_ahead();
        let what = |r: LearntRoute| (r.gateway, r.preference, r.failures);
        if old.map(what) == Some(what(route)) { Learned::Same } else { Learned::Changed }
    }

    fn place(&self, from: LearntFrom) -> Option<usize> {
        let of_kind =
            || self.slots.iter().enumerate().filter(move |(_, s)| s.as_ref().is_some_and(|r| r.from == from));
        let free = self.slots.iter().position(Holder::is_empty);
        if free.is_some() && of_kind().count() < most(from) {
            return free;
        }
        let gives_way = of_kind().filter_map(|(at, s)| Some((at, *s.as_ref()?)));
        let gives_way = gives_way.filter(|(_, r)| r.failures > 0 || from == LearntFrom::Redirect);
        gives_way.min_by_key(|(_, r)| (r.failures == 0, r.until)).map(|(at, _)| at)
    }

    /// Removes the routes that `which` names; false: there are none.
    pub(crate) fn remove(&mut self, which: impl Fn(&LearntRoute) -> bool) -> bool {
        let hit = self.slots.iter_mut().filter(|s| s.as_ref().is_some_and(&which));
        let removed = hit.map(|slot| *slot = Holder::Empty).count();
        self.look_ahead();
        removed > 0
    }

    /// Those of an interface whose time is over are gone; `None`: there is no such interface (any more).
    pub(crate) fn expire(&mut self, now: Instant) -> Option<InterfaceId> {
        if !self.next.is_by(now) {
            return None;
        }
        let id = self.iter().find(|route| route.until <= now)?.interface;
        self.remove(|route| route.interface == id && route.until <= now);
        Some(id)
    }

    /// When [`expire`](Self::expire) has something next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next.at()
    }

    fn look_ahead(&mut self) {
        self.next = Deadline::new(self.iter().map(|r| r.until).min().unwrap_or(Instant::FAR_FUTURE));
    }

    /// A router did not answer, or was heard again. True: another may be used now.
    pub(crate) fn judge(&mut self, interface: InterfaceId, router: Ipv6Addr, answers: bool) -> bool {
        let mut changed = false;
        for route in self.slots.iter_mut().flatten() {
            if route.interface == interface && route.gateway == Some(router) {
                let failures = if answers { 0 } else { route.failures.saturating_add(1) };
                changed |= failures != route.failures;
                route.failures = failures;
            }
        }
        // Whoever a redirect named and does not answer is not asked again (RFC 4861 §7.3.3).
        changed | (!answers && self.remove(|r| r.from == LearntFrom::Redirect && r.failures > 0))
    }

    /// Has the interface a default router?
    pub(crate) fn has_router(&self, interface: InterfaceId) -> bool {
        self.iter().any(|r| r.interface == interface && r.from == LearntFrom::Router)
    }

    /// The route for a destination among those that `usable` allows: by the longest prefix that a router which answers is
    /// for, then by preference. Of routers that don't answer each has its turn (RFC 4861 §6.3.6, RFC 4191 §3.2).
    pub(crate) fn lookup(
        &self,
        destination: Ipv6Addr,
        usable: impl Fn(&LearntRoute) -> bool,
    ) -> Option<&LearntRoute> {
        let common = |r: &LearntRoute| (r.prefix.to_bits() ^ destination.to_bits()).leading_zeros();
        let fits = self.iter().filter(|r| common(r) >= u32::from(r.prefix_len) && usable(r));
        fits.min_by_key(|r| (r.failures, 128 - r.prefix_len.min(128), core::cmp::Reverse(r.preference)))
    }
}

#[cfg(all(test, feature = "slaac", feature = "alloc"))]
mod tests;
