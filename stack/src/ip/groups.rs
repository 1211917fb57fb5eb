//! Memberships of multicast groups: what sockets want to hear, and what routers are told of it by IGMPv3 (RFC 3376)
//! and MLDv2 (RFC 3810), or by the older versions where a querier speaks those.
//!
//! One table of records says who wants what: a socket has a record for a group of which it hears every source, one for
//! each source that it blocks there, or one for each source that it wants alone. What an interface wants is not
//! stored: a source passes if it passes for some socket. A change is what passes after and did not before, or the other
//! way round, and is told as often as the querier's robustness says; a record that is gone stays until that is done.
//!
//! The state machine knows no packets: it is given queries and the time, and says which messages are due.

mod querier;
mod tell;

use core::net::IpAddr;

use managed::ManagedSlice;

pub(crate) use querier::Querier;

use super::InterfaceId;
use crate::base::holder::Holder;
use crate::base::lent::Places;
use crate::device::Mac;
use crate::error::Error;
use crate::time::Instant;
use crate::udp::DatagramHandle;

/// Sources of a group on an interface that all its members together name.
pub(crate) const SOURCES_MAX: usize = 64;
/// Groups of an interface that members joined; each takes a place of the device's filter.
pub(crate) const GROUPS_MAX: usize = 16;

/// Who wants to hear a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    Socket(DatagramHandle),
    /// The stack itself: the groups of its addresses (RFC 4861 §7.2.1).
    Own,
}

/// What of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    AnySource,
    Source(IpAddr),
    /// Beside `AnySource`: not this one.
    NotSource(IpAddr),
}

impl Wish {
    const fn source(self) -> Option<IpAddr> {
        match self {
            Wish::AnySource => None,
            Wish::Source(a) | Wish::NotSource(a) => Some(a),
        }
    }
}

/// A group on an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) interface: InterfaceId,
    pub(crate) group: IpAddr,
}

impl Place {
    /// Nobody is told of the groups that every host is in, nor of those that stay in the host.
    //= rfc3376#6
    //= rfc3810#6
    fn is_silent(&self) -> bool {
        self.is_everybodys() || matches!(self.group, IpAddr::V6(a) if a.octets()[1] & 15 < 2)
    }

    /// Is every host in the group?
    pub(crate) fn is_everybodys(&self) -> bool {
        match self.group {
            IpAddr::V4(a) => a == super::addresses::ALL_SYSTEMS,
            IpAddr::V6(a) => a == super::addresses::ALL_NODES,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Record {
    owner: Owner,
    place: Place,
    wish: Wish,
    /// Did its source pass before the change that is under way?
    passed: bool,
    /// It was taken back, and stays until that was told.
    gone: bool,
    /// How often the change of its source is still to be told.
    changes: u8,
    /// A router has asked for its source.
    asked: bool,
}

/// The place of a record of a membership; in a [`Storage`](crate::stack::Storage).
#[derive(Clone, Copy, Default, Debug)]
pub struct MembershipSlot(Holder<Record>);

impl MembershipSlot {
    /// A free place.
    pub const EMPTY: MembershipSlot = MembershipSlot(Holder::Empty);
}

/// What is to be told of a group.
#[derive(Clone, Copy, Debug)]
struct Telling {
    place: Place,
    /// How often the change of the filter's mode is still to be told; of the older versions, that we joined or left.
    mode_changes: u8,
    change_at: Option<Instant>,
    /// When a query is answered, and whether that asked for sources alone.
    answer_at: Option<Instant>,
    asked_sources: bool,
    /// We were the last to report it in an older version: so we owe a leave.
    last_reporter: bool,
}

/// The place of a group; in a [`Storage`](crate::stack::Storage).
#[derive(Clone, Copy, Default, Debug)]
pub struct GroupSlot(Holder<Telling>);

impl GroupSlot {
    /// A free place.
    pub const EMPTY: GroupSlot = GroupSlot(Holder::Empty);
}

/// All memberships.
pub(crate) struct Groups<'a> {
    records: Places<'a, MembershipSlot>,
    tellings: Places<'a, GroupSlot>,
    /// Places of records in use: most stacks have none.
    used: usize,
}

const NOT_MEMBER: Error = Error::InvalidInput("the socket is not a member of this group, or of this source");
const MEMBER: Error = Error::InvalidInput("the socket is a member of this group, or of this source, already");
const OTHER_MODE: Error =
    Error::InvalidInput("the socket hears every source of the group, or only those it named");
const TOO_MANY_SOURCES: Error = Error::InvalidInput("the group has as many sources as it can have");
const TOO_MANY_GROUPS: Error = Error::InvalidInput("the interface has as many groups as it can have");

impl<'a> Groups<'a> {
    pub(crate) const fn empty() -> Self {
        Groups { records: Places::none(), tellings: Places::none(), used: 0 }
    }

    pub(crate) fn start(
        &mut self,
        records: ManagedSlice<'a, MembershipSlot>,
        tellings: ManagedSlice<'a, GroupSlot>,
    ) {
        (self.records, self.tellings) = (records.into(), tellings.into());
    }

    fn all(&self) -> impl Iterator<Item = &Record> + Clone {
        let used = if self.used == 0 { 0 } else { self.records.len() };
        self.records[..used].iter().filter_map(|slot| slot.0.as_ref())
    }

    /// What is wanted of a place.
    fn at(&self, place: Place) -> impl Iterator<Item = &Record> + Clone {
        self.all().filter(move |r| r.place == place && !r.gone)
    }

    fn tellings(&self) -> impl Iterator<Item = &Telling> {
        self.tellings.iter().filter_map(|slot| slot.0.as_ref())
    }

    /// Does somebody want to hear the group on the interface?
    pub(crate) fn is_joined(&self, place: Place) -> bool {
        self.at(place).next().is_some()
    }

    /// Does this socket want a datagram of `source` to the group?
    pub(crate) fn hears(&self, socket: DatagramHandle, place: Place, source: IpAddr) -> bool {
        let owner = Owner::Socket(socket);
        passes(self.at(place).filter(|r| r.owner == owner), source)
    }

    /// The hardware addresses of all groups of an interface, some of them twice.
    pub(crate) fn macs(&self, interface: InterfaceId) -> impl Iterator<Item = Mac> + '_ {
        let groups = self.all().filter(move |r| r.place.interface == interface && !r.gone);
        groups.filter_map(|r| super::group_mac(r.place.group))
    }

    /// Does the interface hear all sources of the group but some, or some alone?
    fn is_exclude(&self, place: Place) -> bool {
        self.at(place).any(|r| r.wish == Wish::AnySource)
    }

    /// Adds a wish. The change is told at once, and again later.
    ///
    /// [`Error::InvalidInput`]: the member has it already, or hears every source, or none but those it named; or there
    /// are too many groups or sources. [`Error::OutOfMemory`]: the table is full.
    pub(crate) fn join(
        &mut self,
        owner: Owner,
        place: Place,
        wish: Wish,
        querier: &Querier,
        now: Instant,
    ) -> Result<(), Error> {
        let mine = || self.at(place).filter(|r| r.owner == owner);
        if mine().any(|r| r.wish == wish) {
            return Err(MEMBER);
        }
        let hears_all = mine().any(|r| r.wish == Wish::AnySource);
        match wish {
            Wish::AnySource | Wish::Source(_)
                if mine().next().is_some_and(|_| hears_all || wish == Wish::AnySource) =>
            {
                return Err(OTHER_MODE);
            }
            Wish::NotSource(_) if !hears_all => return Err(NOT_MEMBER),
            _ => {}
        }
        if let Some(source) = wish.source() {
            let named = |r: &&Record| r.wish.source().is_some_and(|s| s != source);
            if self.at(place).filter(named).count() >= SOURCES_MAX {
                return Err(TOO_MANY_SOURCES);
            }
        }
        self.reserve(place)?;
        let before = self.before(place);
        let passed = wish.source().is_some_and(|source| passes(self.at(place), source));
        let record = Record { owner, place, wish, passed, gone: false, changes: 0, asked: false };
        // A source that was just given up, and is wanted again, is told once: by the new record.
        let gone = |r: &Record| r.place == place && r.gone && r.wish.source() == wish.source();
        self.drop_records(gone);
        let slot = self.records.iter_mut().find(|slot| slot.0.is_empty()).ok_or(Error::OutOfMemory)?;
        slot.0 = Holder::Entry(record);
        self.used += 1;
        self.after(place, before, querier, now);
        Ok(())
    }

    /// Takes a wish back; with `AnySource`, all that the member wants of the group.
    pub(crate) fn leave(
        &mut self,
        owner: Owner,
        place: Place,
        wish: Wish,
        querier: &Querier,
        now: Instant,
    ) -> Result<(), Error> {
        let is_meant = |r: &Record| {
            let all = wish == Wish::AnySource;
            r.owner == owner && r.place == place && !r.gone && (all || r.wish == wish)
        };
        if !self.all().any(is_meant) {
            return Err(NOT_MEMBER);
        }
        let before = self.before(place);
        self.records
            .iter_mut()
            .filter_map(|slot| slot.0.as_mut())
            .filter(|r| is_meant(r))
            .for_each(|r| r.gone = true);
        self.after(place, before, querier, now);
        Ok(())
    }

    /// Some place that a member has joined.
    pub(crate) fn place_of(&self, owner: Owner) -> Option<Place> {
        self.all().find(|r| r.owner == owner && !r.gone).map(|r| r.place)
    }

    /// The groups that the stack itself is in on an interface.
    pub(crate) fn own(&self, interface: InterfaceId) -> impl Iterator<Item = IpAddr> + '_ {
        let mine =
            self.all().filter(move |r| r.owner == Owner::Own && r.place.interface == interface && !r.gone);
        mine.map(|r| r.place.group)
    }

    /// Forgets an interface that is gone; nobody is there to be told.
    pub(crate) fn forget(&mut self, interface: InterfaceId) {
        self.drop_records(|r| r.place.interface == interface);
        for slot in self.tellings.iter_mut() {
            if slot.0.as_ref().is_some_and(|t| t.place.interface == interface) {
                slot.0 = Holder::Empty;
            }
        }
    }

    fn drop_records(&mut self, which: impl Fn(&Record) -> bool) {
        for slot in self.records.iter_mut() {
            if slot.0.as_ref().is_some_and(&which) {
                slot.0 = Holder::Empty;
                self.used -= 1;
            }
        }
    }

    /// A place for a record, and one for what is told of the group. Changes that were not told often enough give way.
    fn reserve(&mut self, place: Place) -> Result<(), Error> {
        if self.used >= self.records.len() {
            self.drop_records(|r| r.gone);
        }
        if self.used >= self.records.len() {
            return Err(Error::OutOfMemory);
        }
        if self.tellings().any(|t| t.place == place) {
            return Ok(());
        }
        let groups =
            self.tellings().filter(|t| t.place.interface == place.interface && self.is_joined(t.place));
        if groups.filter(|t| t.place.group.is_ipv4() == place.group.is_ipv4()).count() >= GROUPS_MAX {
            return Err(TOO_MANY_GROUPS);
        }
        let left = self.tellings.iter().position(|s| s.0.as_ref().is_none_or(|t| !self.is_joined(t.place)));
        let free = self.tellings.iter().position(|s| s.0.is_empty()).or(left).ok_or(Error::OutOfMemory)?;
        self.tellings[free].0 = Holder::Entry(Telling {
            place,
            mode_changes: 0,
            change_at: None,
            answer_at: None,
            asked_sources: false,
            last_reporter: false,
        });
        Ok(())
    }

    /// Notes what passes now, before a change: and returns the mode, and whether there is a member at all.
    fn before(&mut self, place: Place) -> (bool, bool) {
        for at in 0..self.records.len() {
            if let Some(r) = self.records[at].0.as_ref().copied().filter(|r| r.place == place)
                && let Some(source) = r.wish.source()
            {
                let passed = passes(self.at(place), source);
                self.records[at].0 = Holder::Entry(Record { passed, ..r });
            }
        }
        (self.is_exclude(place), self.is_joined(place))
    }

    /// Notes what is to be told of a change.
    //= rfc3376#5.1
    //= rfc3810#6.1
    fn after(
        &mut self,
        place: Place,
        (was_exclude, was_joined): (bool, bool),
        querier: &Querier,
        now: Instant,
    ) {
        let (is_exclude, is_joined) = (self.is_exclude(place), self.is_joined(place));
        let changes = if place.is_silent() { 0 } else { querier.robustness() };
        let is_old = querier.version(now) < 3;
        let mode_changed = if is_old { was_joined != is_joined } else { was_exclude != is_exclude };
        let mut something = mode_changed;
        for at in 0..self.records.len() {
            let Some(r) = self.records[at].0.as_ref().copied().filter(|r| r.place == place) else { continue };
            let changed = r.wish.source().is_some_and(|source| passes(self.at(place), source) != r.passed);
            let changes = match () {
                // A change of the mode tells all sources; the older versions tell none.
                () if mode_changed || is_old => 0,
                () if changed => changes,
                () => r.changes,
            };
            something |= changes > 0;
            self.records[at].0 = Holder::Entry(Record { changes, ..r });
        }
        self.drop_records(|r| r.place == place && r.gone && r.changes == 0);
        let telling = self.tellings.iter_mut().filter_map(|slot| slot.0.as_mut()).find(|t| t.place == place);
        if let Some(telling) = telling {
            if mode_changed {
                // A leave of the older versions is said once.
                telling.mode_changes = if is_old && !is_joined { changes.min(1) } else { changes };
            }
            if something && changes > 0 {
                telling.change_at = Some(now);
            }
        }
        self.tidy(place);
    }

    /// A group that nobody is in any more, and of which all was told, is forgotten.
    fn tidy(&mut self, place: Place) {
        let is_needed = self.all().any(|r| r.place == place);
        for slot in self.tellings.iter_mut() {
            let is_done = |t: &Telling| t.place == place && t.mode_changes == 0 && !is_needed;
            if slot.0.as_ref().is_some_and(is_done) {
                slot.0 = Holder::Empty;
            }
        }
    }
}

/// Does a source pass for somebody of these records?
fn passes<'r>(records: impl Iterator<Item = &'r Record> + Clone, source: IpAddr) -> bool {
    let blocks = |owner| records.clone().any(|r| r.owner == owner && r.wish == Wish::NotSource(source));
    records.clone().any(|r| match r.wish {
        Wish::AnySource => !blocks(r.owner),
        Wish::Source(wanted) => wanted == source,
        Wish::NotSource(_) => false,
    })
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
