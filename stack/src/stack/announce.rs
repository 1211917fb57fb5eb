//! Our addresses on the links: announced, and defended when somebody else claims one.

use core::net::{IpAddr, Ipv6Addr};

use super::Stack;
use crate::counters::Drop;
use crate::device::Mac;
use crate::events::Event;
use crate::ip::InterfaceId;
use crate::ip::addresses::ALL_NODES;
use crate::time::Instant;
use crate::wire::{ArpOperation, NeighborMessage, NeighborMessageKind};

impl Stack<'_> {
    /// The announcements that are due.
    pub(super) fn announce(&mut self, now: Instant) {
        let is_due = |stack: &Self| {
            let mut all = stack.interfaces.iter();
            let due = all.find(|(_, i)| i.announcements.deadline().is_some_and(|at| at <= now));
            due.and_then(|(index, _)| stack.interfaces.key(index)).map(InterfaceId)
        };
        while let Some(id) = is_due(self) {
            let Some(interface) = self.interfaces.get_mut(id.0) else { return };
            interface.announcements.take(now);
            let mut index = 0;
            while let Some(address) = self.addresses.at(index).copied() {
                if address.interface == id && address.is_usable() {
                    self.announce_address(id, address.cidr.address, now);
                }
                index += 1;
            }
        }
    }

    fn announce_address(&mut self, id: InterfaceId, address: IpAddr, now: Instant) {
        match address {
            //= rfc5227#2.3
            IpAddr::V4(own) => self.arp_send(id, ArpOperation::Request, (own, own), None, now),
            IpAddr::V6(own) => self.advertise(id, own, now),
        }
    }

    /// An advertisement that nobody asked for.
    //= rfc4861#7.2.6
    fn advertise(&mut self, id: InterfaceId, target: Ipv6Addr, now: Instant) {
        let Some(interface) = self.interface(id) else { return };
        let mac = Some(interface.capabilities.mac);
        let kind = NeighborMessageKind::Advert { router: false, solicited: false, override_known: true };
        self.ndp_send(
            id,
            &NeighborMessage { kind, target, mac, nonce: None },
            (target, ALL_NODES),
            None,
            now,
        );
    }

    /// Another station claims an address of ours.
    //= rfc5227#2.4
    pub(super) fn address_conflict(
        &mut self,
        id: InterfaceId,
        address: IpAddr,
        mac: Mac,
        now: Instant,
    ) -> Result<(), Drop> {
        let interface = self.interfaces.get_mut(id.0).ok_or(Drop::InterfaceGone)?;
        if interface.announcements.defend(now) {
            self.events.emit(now, Event::AddressConflict(id, address, mac));
            self.announce_address(id, address, now);
        }
        Err(Drop::AddressConflict)
    }
}
