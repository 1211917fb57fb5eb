//! Duplicate address detection: addresses in doubt are asked for, and nobody's answer makes them ours (RFC 4862 §5.4).

use core::net::{IpAddr, Ipv6Addr};

use super::Stack;
use crate::config::ipv6::dad::{Dad, DadStep};
use crate::counters::Drop;
use crate::device::Mac;
use crate::events::Event;
use crate::ip::addresses::{Cidr, Origin};
use crate::ip::{InterfaceId, PacketMeta, solicited_node};
use crate::link::neighbor::NeighborKey;
use crate::time::{Duration, Instant};
use crate::wire::{NeighborMessage, NeighborMessageKind};

impl Stack<'_> {
    /// How a new address of this interface is to be checked; `None`: it is not.
    pub(super) fn dad_for(
        &mut self,
        id: InterfaceId,
        cidr: Cidr,
        origin: Origin,
        now: Instant,
    ) -> Option<Dad> {
        let config = self.interface(id)?.autoconf.config?;
        if cidr.address().is_ipv4() || config.dad_transmits == 0 {
            return None;
        }
        // Many hosts may have heard what it was formed from.
        let is_formed = matches!(origin, Origin::Stable | Origin::Temporary);
        let delay = if is_formed { config.start_delay(&mut self.random) } else { Duration::ZERO };
        Some(Dad::start(config.dad_transmits, delay, now))
    }

    pub(super) fn dad_timers(&mut self, now: Instant) {
        while let Some((id, target)) = self.addresses.due_dad(now) {
            let nonce = self.random.next_u64();
            let retrans =
                self.neighbors.times(&NeighborKey { interface: id, address: target.into() }).retrans;
            let mut step = None;
            self.addresses.set_upkeep(id, target.into(), |upkeep| {
                step = upkeep.dad.on_timer(nonce, retrans, now);
            });
            match step {
                Some(DadStep::Ask(nonce)) => {
                    let kind = NeighborMessageKind::Solicit;
                    let question = NeighborMessage { kind, target, mac: None, nonce: Some(nonce) };
                    let addresses = (Ipv6Addr::UNSPECIFIED, solicited_node(target));
                    self.ndp_send(id, &question, addresses, None, now);
                }
                Some(DadStep::Unique) => {
                    self.confirm_address(id, target.into(), now);
                    if target.is_unicast_link_local() {
                        self.autoconf_ask_again(id, now);
                        //= rfc3810#5.2.13: what was told from the unspecified address routers have ignored
                        #[cfg(feature = "multicast")]
                        self.tell_groups_anew(id, false, now);
                        #[cfg(feature = "dhcpv6")]
                        self.dhcpv6_ready(id, now);
                    }
                }
                None => return,
            }
        }
    }

    /// A solicitation or advertisement for an address of ours that is in doubt.
    //= rfc4862#5.4.3
    //= rfc4862#5.4.4
    pub(super) fn dad_input(
        &mut self,
        meta: &PacketMeta,
        message: &NeighborMessage,
        now: Instant,
    ) -> Result<(), Drop> {
        let id = meta.interface;
        let dad = self.addresses.get(id, message.target.into()).map_or(Dad::NONE, |a| a.upkeep.dad);
        if message.kind == NeighborMessageKind::Solicit {
            if !meta.source.is_unspecified() {
                return Err(Drop::NdpNotForUs); // somebody looks for it, and does not want it
            }
            if dad.is_own(message.nonce) {
                return Err(Drop::NdpLooped);
            }
        }
        self.address_duplicate(id, message.target, message.mac, now);
        Err(Drop::AddressConflict)
    }

    /// Somebody else has an address that we were about to use: it is not ours. Another is formed, where it was formed.
    //= rfc4862#5.4.5
    fn address_duplicate(&mut self, id: InterfaceId, target: Ipv6Addr, mac: Option<Mac>, now: Instant) {
        let address = IpAddr::V6(target);
        let Some(known) = self.addresses.get(id, address).copied() else { return };
        self.events.emit(now, Event::AddressConflict(id, address, mac.unwrap_or_default()));
        // It is there.
        let _ = self.remove_address(id, address, now);
        let Some(autoconf) = self.interfaces.get_mut(id.0).map(|i| &mut i.autoconf) else { return };
        match known.origin {
            Origin::Stable => {
                autoconf.duplicates = autoconf.duplicates.saturating_add(1);
                if let Err(drop) = self.form_stable(id, target, known.lifetimes, now) {
                    self.count_drop(drop, now);
                }
            }
            Origin::Temporary => {
                autoconf.temporary_duplicates = autoconf.temporary_duplicates.saturating_add(1);
                self.form_temporary(id, target, now);
            }
            // It has our hardware address, it seems: nothing that we say would be heard as ours.
            Origin::LinkLocal => {
                autoconf.solicitation.stop();
                autoconf.config = None;
            }
            #[cfg(feature = "dhcpv6")]
            Origin::Dhcpv6 => self.dhcpv6_duplicate(id, target, now),
            #[cfg(not(feature = "dhcpv6"))]
            Origin::Dhcpv6 => {}
            Origin::Manual | Origin::Dhcpv4 => {}
        }
    }
}
