//! What the stack keeps for one interface.

use core::net::IpAddr;

use heapless::Vec;

use crate::base::packet_queue::PacketQueue;
use crate::base::wakers::Wakers;
#[cfg(feature = "slaac")]
use crate::config::ipv6::Autoconf;
#[cfg(feature = "vlan")]
use crate::device::vlan::VlanId;
use crate::device::{Capabilities, Device, Mac, TX_PIECES};
use crate::error::Error;
use crate::ip::addresses::ADDRESSES_MAX;
use crate::link::announce::Announcements;
use crate::time::Instant;
#[cfg(feature = "slaac")]
use crate::time::earlier;

/// Packets that wait for room in one device.
pub(crate) const QUEUE_MAX: usize = 256;
/// All hosts of each family, and one group for each address.
#[cfg(not(feature = "multicast"))]
const GROUPS_MAX: usize = ADDRESSES_MAX + 2;
/// And those that sockets joined.
#[cfg(feature = "multicast")]
const GROUPS_MAX: usize = ADDRESSES_MAX + 2 + 2 * crate::ip::groups::GROUPS_MAX;
/// Smallest MTU that IPv4 allows (RFC 791 §3.2).
const MTU_MIN: u16 = 68;

/// One interface of a stack.
#[derive(Debug)]
pub struct Interface {
    pub(crate) capabilities: Capabilities,
    /// Largest IP packet that is sent.
    pub(crate) mtu: u16,
    pub(crate) is_loopback: bool,
    /// Its frames bear this tag on the way over another interface's device.
    #[cfg(feature = "vlan")]
    pub(crate) vlan: Option<VlanId>,
    /// Its link is up, as far as its device knows.
    pub(crate) is_up: bool,
    /// What comes by it and is for others goes on.
    #[cfg(feature = "forwarding")]
    pub(crate) forwards: bool,
    /// What a lease says of IPv4 packets.
    #[cfg(feature = "dhcpv4")]
    pub(crate) lease_mtu: u16,
    /// Frames that wait for the device.
    pub(crate) queue: PacketQueue,
    /// Senders that wait for room in the queue.
    pub(crate) writers: Wakers,
    /// Groups that the device was told to let through.
    filter: Vec<Mac, GROUPS_MAX>,
    /// The addresses have changed since.
    pub(crate) filter_is_old: bool,
    /// The device was full when it was last asked.
    pub(crate) device_full: bool,
    /// When its addresses are announced.
    pub(crate) announcements: Announcements,
    /// What asks for groups of IPv6 and of IPv4.
    #[cfg(feature = "multicast")]
    pub(crate) queriers: [crate::ip::groups::Querier; 2],
    #[cfg(feature = "slaac")]
    pub(crate) autoconf: Autoconf,
}

impl Interface {
    /// Smallest MTU that IPv6 asks for (RFC 8200 §5).
    pub(crate) const MTU_MIN_V6: u16 = 1280;

    pub(crate) fn new(
        capabilities: Capabilities,
        is_loopback: bool,
        block_len: usize,
    ) -> Result<Self, Error> {
        if capabilities.mtu < MTU_MIN {
            return Err(Error::InvalidInput("the device's MTU is below 68 bytes"));
        }
        // A queued packet lies in blocks, and one frame takes so many pieces (its length and the
        // headers use up the first).
        let carried = (TX_PIECES - 2) * block_len;
        Ok(Interface {
            capabilities,
            mtu: capabilities.mtu.min(u16::try_from(carried).unwrap_or(u16::MAX)),
            is_loopback,
            #[cfg(feature = "vlan")]
            vlan: None,
            is_up: true,
            #[cfg(feature = "forwarding")]
            forwards: false,
            #[cfg(feature = "dhcpv4")]
            lease_mtu: u16::MAX,
            queue: PacketQueue::new(),
            writers: Wakers::new(),
            filter: Vec::new(),
            filter_is_old: false,
            device_full: false,
            announcements: Announcements::default(),
            #[cfg(feature = "multicast")]
            queriers: Default::default(),
            #[cfg(feature = "slaac")]
            autoconf: Autoconf::OFF,
        })
    }

    /// What its device can do.
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Largest IP packet in bytes, without the Ethernet header.
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Largest IPv4 packet in bytes: a lease may say less than the device.
    pub fn mtu_v4(&self) -> u16 {
        self.mtu_to(IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED))
    }

    /// Largest IPv6 packet in bytes: routers may say less than the device.
    pub fn mtu_v6(&self) -> u16 {
        self.mtu_to(IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED))
    }

    /// Largest packet to a destination in bytes: a lease or a router may say less than the device (RFC 4861 §6.3.4).
    pub(crate) fn mtu_to(&self, destination: IpAddr) -> u16 {
        #[cfg(feature = "dhcpv4")]
        if destination.is_ipv4() {
            return self.mtu.min(self.lease_mtu);
        }
        #[cfg(feature = "slaac")]
        if destination.is_ipv6() {
            return self.mtu.min(self.autoconf.mtu);
        }
        let _ = destination;
        self.mtu
    }

    /// When its addresses are announced next, or routers asked for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let announced = self.announcements.deadline();
        #[cfg(feature = "slaac")]
        let announced = {
            let asks = self.autoconf.solicitation.deadline();
            earlier(announced, (asks < Instant::FAR_FUTURE).then_some(asks))
        };
        announced
    }

    /// Is its link up, as far as its device knows?
    pub const fn is_link_up(&self) -> bool {
        self.is_up
    }

    /// The VLAN that it is an interface of.
    #[cfg(feature = "vlan")]
    pub const fn vlan(&self) -> Option<VlanId> {
        self.vlan
    }

    /// The number of its VLAN, or 0.
    pub(crate) fn vlan_number(&self) -> u16 {
        #[cfg(feature = "vlan")]
        return self.vlan.map_or(0, VlanId::get);
        #[cfg(not(feature = "vlan"))]
        0
    }

    /// Do packets that come by it for others go on?
    pub(crate) fn forwards(&self) -> bool {
        #[cfg(feature = "forwarding")]
        return self.forwards;
        #[cfg(not(feature = "forwarding"))]
        false
    }

    /// Does it lead back into the stack?
    pub const fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Tells the device which groups to let through (H205).
    pub(crate) fn program_filter(&mut self, device: &mut dyn Device, groups: impl Iterator<Item = Mac>) {
        let mut wanted: Vec<Mac, GROUPS_MAX> = Vec::new();
        for group in groups {
            if !wanted.contains(&group) {
                // There is a place for each: see `GROUPS_MAX`.
                let _ = wanted.push(group);
            }
        }
        self.filter.iter().filter(|g| !wanted.contains(g)).for_each(|g| device.set_multicast(*g, false));
        wanted.iter().filter(|g| !self.filter.contains(g)).for_each(|g| device.set_multicast(*g, true));
        self.filter = wanted;
    }

    pub(crate) const fn carries_ipv6(&self) -> bool {
        cfg!(feature = "ipv6") && self.mtu >= Self::MTU_MIN_V6
    }
}
