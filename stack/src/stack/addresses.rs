//! Addresses of our interfaces: how they come, age and go.
//!
//! Whoever configures an interface (the program, DHCP, SLAAC) says what it wants by [`Stack::assign_address`], as often
//! as it hears of it, and takes it back by [`Stack::remove_address`]; lifetimes end here.

use core::net::IpAddr;

use super::Holder;
use super::{Interface, Stack, paths};
#[cfg(feature = "slaac")]
use crate::config::ipv6::Upkeep;
use crate::error::Error;
use crate::events::Event;
use crate::ip::InterfaceId;
use crate::ip::addresses::{Address, AddressState, Aged, Cidr, Lifetimes, Origin};
use crate::ip::selection;
use crate::time::Instant;

/// What is asked for an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// It, with its network's prefix.
    pub cidr: Cidr,
    /// Who asks.
    pub origin: Origin,
    /// How long it is good.
    pub lifetimes: Lifetimes,
    /// A new one is not to be used before [`Stack::confirm_address`]: it has to be found out whether somebody else
    /// has it.
    pub tentative: bool,
}

impl Assignment {
    /// One that can be used at once and never ends.
    pub const fn forever(cidr: Cidr, origin: Origin) -> Self {
        Assignment { cidr, origin, lifetimes: Lifetimes::FOREVER, tentative: false }
    }
}

impl Stack<'_> {
    /// Gives an interface an address for ever; its network is reachable from then on, and neighbours are told of
    /// the address (RFC 5227 §2.3, RFC 4861 §7.2.6). Refused are addresses that no host can have.
    pub fn add_address(&mut self, id: InterfaceId, cidr: Cidr, now: Instant) -> Result<(), Error> {
        self.assign_address(id, Assignment::forever(cidr, Origin::Manual), now)
    }

    /// Gives an interface an address, or one that it has already another prefix, origin and lifetimes; that
    /// stays in doubt if it was. The same again changes nothing and wakes nobody (H116).
    ///
    /// [`Error::DeviceGone`]: there is no such interface. [`Error::InvalidInput`]: no host can have the address, or
    /// there is no place for it.
    pub fn assign_address(&mut self, id: InterfaceId, wanted: Assignment, now: Instant) -> Result<(), Error> {
        let interface = self.interface(id).ok_or(Error::DeviceGone)?;
        let (cidr, is_loopback) = (wanted.cidr, interface.is_loopback);
        if cidr.address.is_ipv6() && !interface.carries_ipv6() {
            return Err(Error::InvalidInput("IPv6 needs an MTU of 1280 bytes, and the feature `ipv6`"));
        }
        let Assignment { origin, lifetimes, mut tentative, .. } = wanted;
        let before = self.addresses.get(id, cidr.address).map(|a| (a.cidr, a.state));
        #[cfg(feature = "slaac")]
        let upkeep = match self.dad_for(id, cidr, origin, now).filter(|_| before.is_none()) {
            Some(dad) => {
                tentative = true;
                Upkeep { dad, ..Upkeep::NONE }
            }
            None => Upkeep::NONE,
        };
        #[cfg(not(feature = "slaac"))]
        let _ = &mut tentative;
        let address = Address {
            interface: id,
            cidr,
            origin,
            state: AddressState::Tentative,
            lifetimes,
            #[cfg(feature = "slaac")]
            upkeep,
        };
        let is_new = self.addresses.add(address, is_loopback, now)?;
        if is_new && !tentative {
            self.addresses.confirm(id, cidr.address, now);
        }
        if before != self.addresses.get(id, cidr.address).map(|a| (a.cidr, a.state)) {
            self.addresses_changed(id);
        }
        if is_new && !tentative {
            self.address_usable(id, cidr.address, now);
        }
        Ok(())
    }

    /// Nobody else on the link has this address: it may be used from now on. Nothing happens if it could be already.
    pub fn confirm_address(&mut self, id: InterfaceId, address: IpAddr, now: Instant) {
        if self.addresses.confirm(id, address, now) {
            self.addresses_changed(id);
            self.address_usable(id, address, now);
        }
    }

    fn address_usable(&mut self, id: InterfaceId, address: IpAddr, now: Instant) {
        let interface = self.interfaces.get_mut(id.0).filter(|i| !i.is_loopback);
        interface.into_iter().for_each(|i| i.announcements.start(now));
        self.events.emit(now, Event::AddressAdded(id, address));
    }

    /// Takes an address away, with the neighbours that were learnt for its family (H110). Connections from it end with
    /// [`Error::AddrNotAvailable`], and so do calls of sockets that are bound to it (H265).
    pub fn remove_address(&mut self, id: InterfaceId, address: IpAddr, now: Instant) -> Result<(), Error> {
        self.interface(id).ok_or(Error::DeviceGone)?;
        if self.addresses.remove(|a| a.interface == id && a.cidr.address == address) == 0 {
            return Err(Error::AddrNotAvailable);
        }
        self.forget_neighbors(now, |key| key.interface == id && key.address.is_ipv4() == address.is_ipv4());
        self.addresses_changed(id);
        self.tcp_address_gone(address, now);
        self.wake_bound();
        self.events.emit(now, Event::AddressRemoved(id, address));
        Ok(())
    }

    /// Lifetimes that are over.
    //= rfc4862#5.5.4
    pub(super) fn address_timers(&mut self, now: Instant) {
        while let Some(aged) = self.addresses.age(now) {
            match aged {
                Aged::Expired(id, address) => {
                    // It exists: the table named it.
                    let _ = self.remove_address(id, address, now);
                }
                Aged::Deprecated(id, address) => {
                    self.addresses_changed(id);
                    self.events.emit(now, Event::AddressDeprecated(id, address));
                }
            }
        }
    }

    /// Puts destinations into the order in which they are to be tried: those that can be reached first, then by what their
    /// sources would be (RFC 6724 §6). Equals keep their order.
    ///
    /// ```
    /// # use barenet::stack::Stack;
    /// # use core::net::IpAddr;
    /// # fn order(stack: &Stack<'_>, mut found: [IpAddr; 2]) {
    /// stack.sort_destinations(&mut found);
    /// # }
    /// ```
    pub fn sort_destinations(&self, destinations: &mut [IpAddr]) {
        selection::sort_destinations(destinations, |to| {
            let path = self.path(to, None, None).ok()?;
            let own = self.addresses.iter().find(|a| a.cidr.address == path.source)?;
            Some(own.candidate())
        });
    }

    /// What was derived from the addresses is so no more.
    pub(super) fn addresses_changed(&mut self, id: InterfaceId) {
        self.routes_changed();
        self.configuration_changed();
        self.admitted = Holder::Empty;
        self.flow = Holder::Empty;
        self.datagram_flow = Holder::Empty;
        self.own_addresses =
            self.addresses.iter().fold(0, |bits, a| bits | paths::address_bit(a.cidr.address));
        self.interfaces.get_mut(id.0).into_iter().for_each(|i: &mut Interface| i.filter_is_old = true);
    }
}
