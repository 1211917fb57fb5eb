//! The routing table: longest prefix, then lowest metric, then the order of entry (H181).

use core::net::IpAddr;

use managed::ManagedSlice;

use super::InterfaceId;
use super::addresses::Cidr;
use crate::base::holder::Holder;
use crate::base::lent::Places;
use crate::error::Error;

/// A way to a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// Which destinations it is for.
    pub destination: Cidr,
    /// The router on the link; `None`: the destinations themselves are on the link.
    pub gateway: Option<IpAddr>,
    /// The link.
    pub interface: InterfaceId,
    /// The lower of two routes with equal prefixes wins.
    pub metric: u16,
}

/// The table. Networks of the interfaces' own addresses are not in it.
pub struct Routes<'a> {
    slots: Places<'a, Holder<Route>>,
}

impl<'a> Routes<'a> {
    /// Without a place.
    pub(crate) const fn empty() -> Self {
        Routes { slots: Places::none() }
    }

    pub(crate) fn new(slots: ManagedSlice<'a, Holder<Route>>) -> Self {
        Routes { slots: slots.into() }
    }

    /// Adds a route; one with the same destination network, gateway and interface is replaced.
    pub(crate) fn add(&mut self, route: Route) -> Result<(), Error> {
        let route = Self::check(route)?;
        let same = |old: &Route| {
            (old.destination, old.gateway, old.interface)
                == (route.destination, route.gateway, route.interface)
        };
        let at = self.slots.iter().position(|s| s.as_ref().is_some_and(same));
        let at = at.or_else(|| self.slots.iter().position(Holder::is_empty));
        let full = Error::InvalidInput("the routing table is full");
        self.slots[at.ok_or(full)?] = Holder::Entry(route);
        Ok(())
    }

    /// The route as the table has it, if there can be such a route.
    pub(crate) fn check(mut route: Route) -> Result<Route, Error> {
        let Cidr { address, prefix_len } = route.destination;
        route.destination = Cidr::new(address, prefix_len)?.masked();
        if route.gateway.is_some_and(|g| g.is_ipv4() != route.destination.address.is_ipv4()) {
            return Err(Error::InvalidInput("gateway and destination are of different families"));
        }
        let usable = |g: IpAddr| !g.is_unspecified() && !super::is_group(g) && !g.is_loopback();
        if !route.gateway.is_none_or(usable) {
            return Err(Error::InvalidInput("the gateway is not a host's address"));
        }
        Ok(route)
    }

    /// Removes the routes that `which` names and says how many.
    pub(crate) fn remove(&mut self, mut which: impl FnMut(&Route) -> bool) -> usize {
        let hit = self.slots.iter_mut().filter(|s| s.as_ref().is_some_and(&mut which));
        hit.map(|slot| *slot = Holder::Empty).count()
    }

    /// Every route.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.slots.iter().flatten()
    }

    /// The route for `destination` among those that `usable` allows.
    pub(crate) fn lookup(
        &self,
        destination: IpAddr,
        mut usable: impl FnMut(&Route) -> bool,
    ) -> Option<&Route> {
        let fits = self.iter().filter(|r| r.destination.contains(destination));
        // `min_by_key` keeps the first of equals.
        fits.filter(|r| usable(r)).min_by_key(|r| (128 - r.destination.prefix_len, r.metric))
    }
}
