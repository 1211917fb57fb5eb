//! The addresses of the interfaces, how long they are good, and which of them a packet gets as its source.

mod state;

pub use state::{AddressState, Origin};

use core::fmt;
use core::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use managed::ManagedSlice;

use super::selection::{self, Candidate};
use super::{InterfaceId, solicited_node};
use crate::base::deadline::Deadline;
use crate::base::holder::Holder;
use crate::base::lent::Places;
#[cfg(feature = "slaac")]
use crate::config::ipv6::{Upkeep, dad::Dad, lifetimes::REGEN_ADVANCE};
use crate::device::Mac;
use crate::error::Error;
#[cfg(feature = "slaac")]
use crate::time::Duration;
use crate::time::Instant;

/// Most addresses of one interface, so that no interface takes the places of all others.
pub const ADDRESSES_MAX: usize = 16;

/// An address and how many of its leading bits name the network.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cidr {
    pub(crate) address: IpAddr,
    /// No more than the address has bits.
    pub(crate) prefix_len: u8,
}

impl Cidr {
    /// `address/prefix_len`; refused if the prefix is longer than the address.
    ///
    /// ```
    /// use barenet::ip::addresses::Cidr;
    /// let cidr: Cidr = "10.0.0.2/24".parse().unwrap();
    /// assert!(cidr.contains("10.0.0.77".parse().unwrap()));
    /// assert!(!cidr.contains("10.0.1.77".parse().unwrap()));
    /// assert!("10.0.0.2/33".parse::<Cidr>().is_err());
    /// ```
    pub const fn new(address: IpAddr, prefix_len: u8) -> Result<Self, Error> {
        let bits = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if prefix_len > bits {
            return Err(Error::InvalidInput("the prefix is longer than the address"));
        }
        Ok(Cidr { address, prefix_len })
    }

    /// The address, host bits included.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Bits of the network's prefix: 0 to 32 of IPv4, to 128 of IPv6.
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Everything: the destination of an IPv4 default route.
    pub const ANY_V4: Cidr = Cidr { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix_len: 0 };

    /// Everything: the destination of an IPv6 default route.
    pub const ANY_V6: Cidr = Cidr { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix_len: 0 };

    /// The network: the same prefix, without host bits.
    ///
    /// ```
    /// use barenet::ip::addresses::Cidr;
    /// let cidr: Cidr = "10.0.0.2/24".parse().unwrap();
    /// assert_eq!(cidr.masked(), "10.0.0.0/24".parse().unwrap());
    /// ```
    #[must_use]
    pub fn masked(self) -> Cidr {
        let len = u32::from(self.prefix_len);
        let address = match self.address {
            IpAddr::V4(a) => {
                let host = u32::MAX.checked_shr(len).unwrap_or(0);
                Ipv4Addr::from_bits(a.to_bits() & !host).into()
            }
            IpAddr::V6(a) => {
                let host = u128::MAX.checked_shr(len).unwrap_or(0);
                Ipv6Addr::from_bits(a.to_bits() & !host).into()
            }
        };
        Cidr { address, ..self }
    }

    /// Is it in the network?
    pub fn contains(&self, address: IpAddr) -> bool {
        common_prefix(self.address, address).is_some_and(|bits| bits >= u32::from(self.prefix_len))
    }

    /// The directed broadcast address, where the network has one (not for /31 and /32, RFC 3021).
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        self.with_host_bits(u32::MAX)
    }

    /// The network's own address, an old form of broadcast, where there is one.
    pub fn network(&self) -> Option<Ipv4Addr> {
        self.with_host_bits(0)
    }

    fn with_host_bits(&self, bits: u32) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(a) if self.prefix_len <= 30 => {
                let host = u32::MAX >> self.prefix_len;
                Some(Ipv4Addr::from_bits(a.to_bits() & !host | bits & host))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        const FORM: Error = Error::InvalidInput("not of the form ADDRESS/PREFIX");
        let (address, prefix_len) = text.split_once('/').ok_or(FORM)?;
        let address: IpAddr = address.parse().map_err(|_: AddrParseError| FORM)?;
        Cidr::new(address, prefix_len.parse().map_err(|_| FORM)?)
    }
}

/// Leading bits that two addresses of one family share.
fn common_prefix(a: IpAddr, b: IpAddr) -> Option<u32> {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        (IpAddr::V6(a), IpAddr::V6(b)) if cfg!(feature = "ipv6") => {
            Some((a.to_bits() ^ b.to_bits()).leading_zeros())
        }
        _ => None,
    }
}

/// What a destination address is to an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// An address of this interface.
    Ours,
    /// A broadcast in any form (H072), or a group that we listen to.
    Group,
    /// Not for this interface.
    Other,
}

/// Until when an address is preferred, and until when it is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// [`Instant::FAR_FUTURE`]: for ever.
    pub preferred_until: Instant,
    /// [`Instant::FAR_FUTURE`]: for ever.
    pub valid_until: Instant,
}

impl Lifetimes {
    /// No end.
    pub const FOREVER: Lifetimes =
        Lifetimes { preferred_until: Instant::FAR_FUTURE, valid_until: Instant::FAR_FUTURE };

    /// Lifetimes as protocols tell them: seconds from now, all ones being for ever (H120).
    ///
    /// ```
    /// use barenet::ip::addresses::Lifetimes;
    /// use barenet::time::Instant;
    /// let day = Lifetimes::from_secs(u32::MAX, 86_400, Instant::ZERO);
    /// assert_eq!((day.preferred_until, day.valid_until.millis()), (Instant::FAR_FUTURE, 86_400_000));
    /// ```
    pub const fn from_secs(preferred: u32, valid: u32, now: Instant) -> Self {
        const fn until(seconds: u32, now: Instant) -> Instant {
            match seconds {
                u32::MAX => Instant::FAR_FUTURE,
                s => Instant::from_micros(now.micros().saturating_add(s as u64 * 1_000_000)),
            }
        }
        Lifetimes { preferred_until: until(preferred, now), valid_until: until(valid, now) }
    }
}

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The interface that has it.
    pub interface: InterfaceId,
    /// It, and how much of it is its network's prefix.
    pub cidr: Cidr,
    /// Who gave it.
    pub origin: Origin,
    /// What it may be used for now.
    pub state: AddressState,
    /// How long still.
    pub lifetimes: Lifetimes,
    #[cfg(feature = "slaac")]
    pub(crate) upkeep: Upkeep,
}

impl Address {
    /// Can packets be sent from it, and received at it?
    pub const fn is_usable(&self) -> bool {
        !matches!(self.state, AddressState::Tentative)
    }

    /// The state that its lifetimes leave to one that nobody else has.
    const fn settled(&self, now: Instant) -> AddressState {
        match self.lifetimes.preferred_until.micros() > now.micros() {
            true => AddressState::Preferred,
            false => AddressState::Deprecated,
        }
    }

    /// As far as it matters for whether it is the source of a packet.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            address: self.cidr.address,
            prefix_len: self.cidr.prefix_len,
            is_deprecated: self.state == AddressState::Deprecated,
            is_temporary: self.origin == Origin::Temporary,
        }
    }

    /// Is what shares its prefix on the link? Not because SLAAC or DHCPv6 gave it (RFC 5942 §4, H115).
    pub(crate) const fn names_its_network(&self) -> bool {
        matches!(self.origin, Origin::Manual | Origin::LinkLocal | Origin::Dhcpv4)
    }

    /// When its state changes by time alone.
    fn ages_at(&self) -> Instant {
        match self.state {
            AddressState::Preferred => self.lifetimes.preferred_until.min(self.lifetimes.valid_until),
            AddressState::Tentative | AddressState::Deprecated => self.lifetimes.valid_until,
        }
    }

    /// When a question about it is due.
    #[cfg(feature = "slaac")]
    fn dad_at(&self) -> Instant {
        if self.is_usable() { Instant::FAR_FUTURE } else { self.upkeep.dad.deadline() }
    }

    /// When the temporary address that follows it is formed.
    #[cfg(feature = "slaac")]
    fn succeeded_at(&self) -> Instant {
        let waits = self.origin == Origin::Temporary && self.state == AddressState::Preferred;
        match self.lifetimes.preferred_until {
            until if waits && !self.upkeep.has_successor && until < Instant::FAR_FUTURE => {
                until - REGEN_ADVANCE
            }
            _ => Instant::FAR_FUTURE,
        }
    }

    /// When anything is to be done about it.
    fn deadline(&self) -> Instant {
        #[cfg(feature = "slaac")]
        return self.ages_at().min(self.dad_at()).min(self.succeeded_at());
        #[cfg(not(feature = "slaac"))]
        self.ages_at()
    }
}

/// What time did to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aged {
    /// It is no address of ours any more, once it has been removed.
    Expired(InterfaceId, IpAddr),
    /// It is not to be used for new flows.
    Deprecated(InterfaceId, IpAddr),
}

/// The addresses of all interfaces, in the order in which they were added.
#[derive(Debug)]
pub struct Addresses<'a> {
    /// The first so many are used.
    slots: Places<'a, Holder<Address>>,
    len: usize,
    /// When the next of them changes by itself.
    next: Deadline,
}

impl<'a> Addresses<'a> {
    /// Without a place.
    pub(crate) const fn empty() -> Self {
        Addresses { slots: Places::none(), len: 0, next: Deadline::NEVER }
    }

    pub(crate) fn new(slots: ManagedSlice<'a, Holder<Address>>) -> Self {
        Addresses { slots: slots.into(), ..Addresses::empty() }
    }

    /// Adds an address; one that is there already gets the new prefix, origin and lifetimes, and stays in doubt
    /// if it was. True: it is new. Refused are addresses that no host can have (H222) and those beyond
    /// [`ADDRESSES_MAX`] or the memory of the stack.
    pub(crate) fn add(&mut self, new: Address, loopback: bool, now: Instant) -> Result<bool, Error> {
        check(new.cidr, loopback)?;
        let known = self.get_mut(new.interface, new.cidr.address);
        let is_new = known.is_none();
        match known {
            Some(old) => {
                *old = Address {
                    state: old.state,
                    #[cfg(feature = "slaac")]
                    upkeep: old.upkeep,
                    ..new
                };
                if old.is_usable() {
                    old.state = old.settled(now);
                }
            }
            None => self.push(new)?,
        }
        self.look_ahead();
        Ok(is_new)
    }

    fn push(&mut self, new: Address) -> Result<(), Error> {
        if self.of(new.interface).count() >= ADDRESSES_MAX {
            return Err(Error::InvalidInput("the interface has as many addresses as it can hold"));
        }
        let full = Error::InvalidInput("the stack has as many addresses as it can hold");
        *self.slots.get_mut(self.len).ok_or(full)? = Holder::Entry(new);
        self.len += 1;
        Ok(())
    }

    /// Removes the addresses that `which` names and says how many.
    pub(crate) fn remove(&mut self, which: impl Fn(&Address) -> bool) -> usize {
        let mut kept = 0;
        for at in 0..self.len {
            let goes = self.slots[at].as_ref().is_none_or(&which);
            if goes {
                self.slots[at] = Holder::Empty;
            } else {
                if kept < at {
                    self.slots[kept] = core::mem::replace(&mut self.slots[at], Holder::Empty);
                }
                kept += 1;
            }
        }
        let removed = self.len - kept;
        self.len = kept;
        self.look_ahead();
        removed
    }

    /// Nobody else has it, as far as we know: it may be used. False: it is not there, or was usable already.
    pub(crate) fn confirm(&mut self, id: InterfaceId, address: IpAddr, now: Instant) -> bool {
        let Some(entry) = self.get_mut(id, address).filter(|a| !a.is_usable()) else { return false };
        entry.state = entry.settled(now);
        self.look_ahead();
        true
    }

    /// What time has done to one of them; `None`: nothing more. One that has expired is to be removed.
    pub(crate) fn age(&mut self, now: Instant) -> Option<Aged> {
        if !self.next.is_by(now) {
            return None;
        }
        let due = self.slots[..self.len].iter_mut().flatten().find(|a| a.ages_at() <= now)?;
        let (id, address) = (due.interface, due.cidr.address);
        if due.lifetimes.valid_until <= now {
            return Some(Aged::Expired(id, address));
        }
        due.state = AddressState::Deprecated;
        self.look_ahead();
        Some(Aged::Deprecated(id, address))
    }

    /// The IPv6 addresses of an interface are in doubt (again), and so many questions are to be asked after a delay. False: it
    /// has none.
    #[cfg(feature = "slaac")]
    pub(crate) fn doubt(&mut self, id: InterfaceId, transmits: u8, delay: Duration, now: Instant) -> bool {
        let all = self.slots[..self.len].iter_mut().flatten();
        let own = all.filter(|a| a.interface == id && a.cidr.address.is_ipv6());
        let doubted = own.map(|a| {
            a.state = AddressState::Tentative;
            a.upkeep.dad = Dad::start(transmits, delay, now);
        });
        let is_any = doubted.count() > 0;
        self.look_ahead();
        is_any
    }

    /// An address about which a question is due.
    #[cfg(feature = "slaac")]
    pub(crate) fn due_dad(&self, now: Instant) -> Option<(InterfaceId, Ipv6Addr)> {
        let due = self.iter().filter(|_| self.next.is_by(now)).find(|a| a.dad_at() <= now)?;
        match due.cidr.address {
            IpAddr::V6(address) => Some((due.interface, address)),
            IpAddr::V4(_) => None,
        }
    }

    /// The prefix of a temporary address that the next one is to follow now.
    #[cfg(feature = "slaac")]
    pub(crate) fn due_temporary(&mut self, now: Instant) -> Option<(InterfaceId, Ipv6Addr)> {
        if !self.next.is_by(now) {
            return None;
        }
        let due = self.slots[..self.len].iter_mut().flatten().find(|a| a.succeeded_at() <= now)?;
        due.upkeep.has_successor = true;
        let (id, address) = (due.interface, due.cidr.address);
        self.look_ahead();
        match address {
            IpAddr::V6(address) => Some((id, address)),
            IpAddr::V4(_) => None,
        }
    }

    /// Changes what is kept with an address.
    #[cfg(feature = "slaac")]
    pub(crate) fn set_upkeep(&mut self, id: InterfaceId, address: IpAddr, change: impl FnOnce(&mut Upkeep)) {
        if let Some(entry) = self.get_mut(id, address) {
            change(&mut entry.upkeep);
        }
        self.look_ahead();
    }

    /// When [`age`](Self::age) has something next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next.at()
    }

    fn look_ahead(&mut self) {
        self.next = Deadline::new(self.iter().map(Address::deadline).min().unwrap_or(Instant::FAR_FUTURE));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Address> + Clone {
        self.slots[..self.len].iter().flatten()
    }

    /// Those of one interface.
    pub fn of(&self, id: InterfaceId) -> impl Iterator<Item = &Address> + Clone {
        self.iter().filter(move |a| a.interface == id)
    }

    /// Those that packets can be sent from, and received at.
    fn usable(&self, id: InterfaceId) -> impl Iterator<Item = &Address> + Clone {
        self.of(id).filter(|a| a.is_usable())
    }

    /// The one at a place, counted from 0.
    pub(crate) fn at(&self, index: usize) -> Option<&Address> {
        self.slots[..self.len].get(index)?.as_ref()
    }

    /// One of an interface's.
    pub fn get(&self, id: InterfaceId, address: IpAddr) -> Option<&Address> {
        self.of(id).find(|a| a.cidr.address == address)
    }

    fn get_mut(&mut self, id: InterfaceId, address: IpAddr) -> Option<&mut Address> {
        let all = self.slots[..self.len].iter_mut().flatten();
        all.filter(|a| a.interface == id).find(|a| a.cidr.address == address)
    }

    /// Is it one of an interface's, in whatever state?
    pub fn has(&self, id: InterfaceId, address: IpAddr) -> bool {
        self.get(id, address).is_some()
    }

    /// Is it one of an interface's that may be used?
    pub(crate) fn has_usable(&self, id: InterfaceId, address: IpAddr) -> bool {
        self.get(id, address).is_some_and(Address::is_usable)
    }

    /// Is it any interface's that may be used?
    pub(crate) fn is_usable(&self, address: IpAddr) -> bool {
        self.iter().any(|a| a.cidr.address == address && a.is_usable())
    }

    /// Is it the broadcast address of one of these networks, in either form?
    pub(crate) fn is_directed_broadcast(&self, on: Option<InterfaceId>, address: Ipv4Addr) -> bool {
        let all = self.iter().filter(|a| on.is_none_or(|id| a.interface == id));
        all.map(|a| a.cidr).any(|c| match c.address {
            IpAddr::V4(own) if c.prefix_len <= 30 => {
                let host = u32::MAX >> c.prefix_len;
                let (own, address) = (own.to_bits(), address.to_bits());
                let host_bits = address & host;
                (own ^ address) & !host == 0 && (host_bits == host || host_bits == 0)
            }
            _ => false,
        })
    }

    /// Has the interface one of this family that may be used?
    pub(crate) fn has_family(&self, id: InterfaceId, is_ipv4: bool) -> bool {
        self.usable(id).any(|a| a.cidr.address.is_ipv4() == is_ipv4)
    }

    /// What a destination is to an interface.
    pub(crate) fn delivery(&self, id: InterfaceId, destination: IpAddr) -> Delivery {
        if self.has_usable(id, destination) {
            return Delivery::Ours;
        }
        let group = match destination {
            IpAddr::V4(a) => a.is_broadcast() || a == ALL_SYSTEMS || self.is_directed_broadcast(Some(id), a),
            IpAddr::V6(a) => a == ALL_NODES || self.is_solicited_node(id, a),
        };
        if group { Delivery::Group } else { Delivery::Other }
    }

    /// The hardware addresses of the groups that the interface listens to, some of them twice. Those of addresses in
    /// doubt are among them: whoever else has one is heard there (RFC 4862 §5.4.2).
    pub(crate) fn groups(&self, id: InterfaceId) -> impl Iterator<Item = Mac> + '_ {
        let of = |address: IpAddr| match address {
            IpAddr::V4(_) => [Some(ALL_SYSTEMS.into()), None],
            IpAddr::V6(_) if cfg!(not(feature = "ipv6")) => [None, None],
            IpAddr::V6(a) => [Some(ALL_NODES.into()), Some(solicited_node(a).into())],
        };
        let groups = self.of(id).flat_map(move |a| of(a.cidr.address)).flatten();
        groups.filter_map(super::group_mac)
    }

    fn is_solicited_node(&self, id: InterfaceId, group: Ipv6Addr) -> bool {
        // Nearly every packet's destination is looked up here, and hardly any is a group.
        cfg!(feature = "ipv6")
            && group.is_multicast()
            && self.of(id).any(|a| matches!(a.cidr.address, IpAddr::V6(a) if solicited_node(a) == group))
    }

    /// The source for a packet to `destination` that the interface hands to `next_hop`, if it has a good
    /// one: over IPv4 the address on the next hop's network (H173), else the first, and a deprecated one only where
    /// there is no other; over IPv6 by RFC 6724 §5, and never one of a scope too small to be answered (H170).
    pub fn source_for(&self, id: InterfaceId, destination: IpAddr, next_hop: IpAddr) -> Option<IpAddr> {
        let own = self.usable(id).filter(|a| a.cidr.address.is_ipv4() == destination.is_ipv4());
        if destination.is_ipv4() {
            let is_old = |a: &Address| a.state == AddressState::Deprecated;
            return own.min_by_key(|a| (is_old(a), !a.cidr.contains(next_hop))).map(|a| a.cidr.address);
        }
        if cfg!(not(feature = "ipv6")) {
            return None;
        }
        let scope = selection::scope(destination);
        let candidates = own.filter(|a| selection::scope(a.cidr.address) >= scope).map(Address::candidate);
        selection::best_source(destination, candidates).map(|c| c.address)
    }
}

/// 224.0.0.1, the group of every host (RFC 1112 §4).
pub(crate) const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// ff02::1, the group of every node on the link (RFC 4291 §2.7.1).
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Can an interface have this address?
fn check(cidr: Cidr, loopback: bool) -> Result<(), Error> {
    let refuse = |why| Err(Error::InvalidInput(why));
    if cidr.address.is_unspecified() {
        return refuse("the unspecified address can't be an interface's");
    }
    if cidr.address.is_multicast() {
        return refuse("a multicast address can't be an interface's");
    }
    if cidr.address.is_loopback() && !loopback {
        return refuse("a loopback address on a link");
    }
    match cidr.address {
        IpAddr::V4(a) if a.octets()[0] == 0 || a.octets()[0] >= 240 => {
            refuse("an address of a reserved range (0/8 or 240/4)")
        }
        IpAddr::V4(a) if cidr.broadcast() == Some(a) || cidr.network() == Some(a) => {
            refuse("the network's own or its broadcast address")
        }
        IpAddr::V6(a) if a.to_ipv4_mapped().is_some() => {
            refuse("an IPv4-mapped address can't be an interface's")
        }
        _ => Ok(()),
    }
}
