//! The records of this host: which there are, what is in each, and which of them a question asks for.

use core::net::IpAddr;

use managed::ManagedSlice;

use super::claim::{Claim, Service};
use super::{Name, OwnAddresses, SERVICES_MAX, ServiceSlot};
use crate::ip::InterfaceId;
use crate::names::RecordType;
use crate::wire::dns::{ANY, CLASS_IN, DnsMessage, NAME_MAX, NSEC, Question, Record};
use crate::wire::dns_writer::{MessageWriter, Section};

/// Sets of records: a bit for each kind of the host's, then five for each service.
pub(super) type Set = u64;
pub(super) const A: Set = 1;
pub(super) const AAAA: Set = 1 << 1;
const REVERSE: Set = 1 << 2;
const HOST_TYPES: Set = 1 << 3;
/// The host's addresses, and the names for them.
pub(super) const HOST: Set = A | AAAA | REVERSE;
const OF_HOST: u32 = 4;
const OF_SERVICE: u32 = 5;
const PTR: Set = 1;
const SRV: Set = 1 << 1;
const TXT: Set = 1 << 2;
/// That there is a service of the type (RFC 6763 §9).
const META: Set = 1 << 3;
const TYPES: Set = 1 << 4;
const _: () = assert!(OF_HOST + SERVICES_MAX as u32 * OF_SERVICE <= Set::BITS);

/// Records with a host's name in them, or about a host: good for two minutes, all others for 75 (RFC 6762 §10).
const TTL_HOST: u32 = 120;
const TTL_OTHER: u32 = 4500;
/// In the class of a record: it replaces all others of its name and type (RFC 6762 §10.2).
pub(super) const CACHE_FLUSH: u16 = 1 << 15;

/// The records of service `index`.
pub(super) const fn of_service(index: usize) -> Set {
    (PTR | SRV | TXT | META) << shift(index)
}

const fn shift(index: usize) -> u32 {
    OF_HOST + OF_SERVICE * index as u32
}

/// A set's members, each as a set.
pub(super) fn members(mut set: Set) -> impl Iterator<Item = Set> {
    core::iter::from_fn(move || {
        let one = set & set.wrapping_neg();
        set &= !one;
        (one != 0).then_some(one)
    })
}

/// Those of a set that several hosts may have: they are answered after a moment, and replace no others.
pub(super) fn shared(set: Set) -> Set {
    (0..SERVICES_MAX).fold(0, |all, index| all | (PTR | META) << shift(index)) & set
}

/// What is in a record.
pub(super) enum Data<'r> {
    Address(IpAddr),
    Name(&'r Name),
    /// Port and host, priority and weight being 0.
    Server(u16, &'r Name),
    Texts(&'r [&'r str]),
    /// Types that the name has.
    Types(&'r Name, &'r [RecordType]),
}

impl Data<'_> {
    pub(super) fn write(&self, w: &mut MessageWriter<'_>) -> Option<()> {
        match self {
            Data::Address(IpAddr::V4(a)) => w.put(&a.octets()),
            Data::Address(IpAddr::V6(a)) => w.put(&a.octets()),
            Data::Name(name) => w.put_name(name),
            Data::Server(port, host) => {
                w.put(&[0; 4])?;
                w.put(&port.to_be_bytes())?;
                w.put_name(host)
            }
            Data::Texts([]) => w.put(&[0]),
            Data::Texts(texts) => texts.iter().try_for_each(|text| {
                w.put(&[text.len() as u8])?;
                w.put(text.as_bytes())
            }),
            //= rfc6762#6.1
            Data::Types(name, types) => {
                let mut bits = [0; 5];
                types.iter().map(|t| usize::from(t.number())).for_each(|n| bits[n / 8] |= 0x80 >> (n % 8));
                w.put_name(name)?;
                w.put(&[0, bits.len() as u8])?;
                w.put(&bits)
            }
        }
    }
}

/// Room for the data of one record, its names in full.
pub(super) const DATA_MAX: usize = crate::wire::dns::DNS_HEADER_LEN + 6 + NAME_MAX + super::TEXT_MAX;

/// The data of a record of ours as it is without compression.
pub(super) fn own_data<'b>(data: &Data<'_>, buf: &'b mut [u8; DATA_MAX]) -> &'b [u8] {
    let mut w = MessageWriter::new(buf, 0, 0);
    // There is room for all that may be announced.
    let _ = data.write(&mut w);
    let len = w.len();
    &buf[crate::wire::dns::DNS_HEADER_LEN..len]
}

/// The data of a record of somebody's, as it is without compression; of one that is too long, or malformed, as much as there is.
pub(super) fn their_data<'b>(
    message: &DnsMessage<'_>,
    record: &Record,
    buf: &'b mut [u8; DATA_MAX],
) -> &'b [u8] {
    let data = message.data(record);
    let mut w = MessageWriter::new(buf, 0, 0);
    let fixed = names_at(record.kind).unwrap_or(data.len()).min(data.len());
    let _ = w.put(&data[..fixed]);
    if names_at(record.kind).is_some()
        && let Some(name) = message.whole_name_in(record, fixed)
    {
        let _ = w.put_name(&name);
    }
    let len = w.len();
    &buf[crate::wire::dns::DNS_HEADER_LEN..len]
}

/// Where the name begins in data of this type, if they have one.
fn names_at(kind: u16) -> Option<usize> {
    match kind {
        _ if kind == RecordType::Ptr.number() => Some(0),
        _ if kind == RecordType::Srv.number() => Some(6),
        _ => None,
    }
}

/// Are the data the same? Names are without regard to case.
pub(super) fn is_same(kind: u16, a: &[u8], b: &[u8]) -> bool {
    let fixed = names_at(kind).unwrap_or(a.len()).min(a.len());
    a.len() == b.len() && a[..fixed] == b[..fixed] && a[fixed..].eq_ignore_ascii_case(&b[fixed..])
}

/// What the records are made from.
pub(super) struct Records<'r, 'a> {
    pub(super) host: &'r Claim<'a>,
    pub(super) services: &'r ManagedSlice<'a, ServiceSlot<'a>>,
    pub(super) own: &'r OwnAddresses,
}

/// Who has a name: the host (`None`) or a service.
pub(super) type Who = Option<usize>;

impl<'r, 'a> Records<'r, 'a> {
    pub(super) fn service(&self, index: usize) -> Option<&'r Service<'a>> {
        self.services.get(index)?.service.as_ref()
    }

    pub(super) fn claim(&self, who: Who) -> Option<&'r Claim<'a>> {
        match who {
            None => Some(self.host),
            Some(index) => self.service(index).map(|s| &s.claim),
        }
    }

    /// Everybody who may have a name.
    pub(super) fn everybody(&self) -> impl Iterator<Item = Who> + use<> {
        core::iter::once(None).chain((0..self.services.len()).map(Some))
    }

    /// The name that is claimed.
    pub(super) fn name(&self, who: Who) -> Option<Name> {
        let mut name = Name::ROOT;
        match who {
            None => name.push(&self.host.label("-", ""))?,
            Some(index) => {
                let service = self.service(index)?;
                name.push(&service.claim.label(" (", ")"))?;
                service.what.service.split('.').try_for_each(|label| name.push(label.as_bytes()))?;
            }
        }
        name.push(b"local")?;
        Some(name)
    }

    /// The types of records that only who has the name may have.
    pub(super) fn types(&self, who: Who) -> &'static [RecordType] {
        match who {
            None => &[RecordType::A, RecordType::Aaaa],
            Some(_) => &[RecordType::Txt, RecordType::Srv],
        }
    }

    /// The records of `who` that are to be unique, and were asked for before.
    pub(super) fn unique(who: Who) -> Set {
        match who {
            None => A | AAAA,
            Some(index) => (SRV | TXT) << shift(index),
        }
    }

    fn addresses(&self, interface: Option<InterfaceId>) -> impl Iterator<Item = IpAddr> {
        let of = move |(of, _): &&(InterfaceId, IpAddr)| interface.is_none_or(|interface| interface == *of);
        self.own.iter().filter(of).map(|(_, address)| *address)
    }

    /// Hands the records of a kind to `visit`: name, type, data; those of addresses as they are on that interface, or on all.
    pub(super) fn each(
        &self,
        one: Set,
        interface: Option<InterfaceId>,
        visit: &mut dyn FnMut(&Name, u16, Data<'_>),
    ) -> Option<()> {
        let host = self.name(None)?;
        if one < 1 << OF_HOST {
            let (a, aaaa) = (RecordType::A, RecordType::Aaaa);
            for address in self.addresses(interface) {
                let kind = if address.is_ipv4() { a } else { aaaa };
                match one {
                    REVERSE => visit(&Name::reverse(address), RecordType::Ptr.number(), Data::Name(&host)),
                    A if kind == a => visit(&host, a.number(), Data::Address(address)),
                    AAAA if kind == aaaa => visit(&host, aaaa.number(), Data::Address(address)),
                    _ => {}
                }
            }
            if one == HOST_TYPES {
                let has = |v4: bool| self.addresses(interface).any(|address| address.is_ipv4() == v4);
                let types = [a, aaaa];
                let types = &types[usize::from(!has(true))..1 + usize::from(has(false))];
                visit(&host, NSEC, Data::Types(&host, types));
            }
            return Some(());
        }
        let index = (one.trailing_zeros() - OF_HOST) / OF_SERVICE;
        let (of, instance) = (self.service(index as usize)?, self.name(Some(index as usize))?);
        let mut kind = Name::ROOT;
        // The name that they are the last labels of is shorter than a name may be.
        instance.labels().skip(1).for_each(|label| kind.push(label).unwrap_or(()));
        match one >> shift(index as usize) {
            PTR => visit(&kind, RecordType::Ptr.number(), Data::Name(&instance)),
            SRV => visit(&instance, RecordType::Srv.number(), Data::Server(of.what.port, &host)),
            TXT => visit(&instance, RecordType::Txt.number(), Data::Texts(of.what.texts)),
            META => visit(&meta()?, RecordType::Ptr.number(), Data::Name(&kind)),
            _ => visit(&instance, NSEC, Data::Types(&instance, self.types(Some(0)))),
        }
        Some(())
    }

    /// The records that a question on an interface asks for, of names that are ours; that there is none of the type is told by the types
    /// that there are.
    //= rfc6762#6.1
    pub(super) fn asked(&self, message: &DnsMessage<'_>, question: &Question, interface: InterfaceId) -> Set {
        let class = question.class & !CACHE_FLUSH;
        if class != CLASS_IN && class != ANY || !self.host.is_ours() {
            return 0;
        }
        let services = (0..self.services.len().min(SERVICES_MAX))
            .filter(|index| self.claim(Some(*index)).is_some_and(Claim::is_ours));
        let all = services.fold(HOST, |all, index| all | of_service(index));
        let mut asked = 0;
        for one in members(all) {
            let mut is_asked = false;
            let mut visit = |name: &Name, kind: u16, _: Data<'_>| {
                is_asked |= (question.kind == ANY || question.kind == kind)
                    && message.has_name(question.name_at, name);
            };
            let _ = self.each(one, Some(interface), &mut visit);
            asked |= if is_asked { one } else { 0 };
        }
        if asked == 0 {
            let who = self.everybody().find(|who| {
                self.claim(*who).is_some_and(Claim::is_ours)
                    && self.name(*who).is_some_and(|name| message.has_name(question.name_at, &name))
            });
            asked = who.map_or(0, |who| who.map_or(HOST_TYPES, |index| TYPES << shift(index)));
        }
        asked
    }

    /// What whoever gets these records will ask for next.
    //= rfc6763#12
    pub(super) fn additional(&self, set: Set) -> Set {
        let mut more = set;
        for index in 0..SERVICES_MAX {
            if set >> shift(index) & PTR != 0 {
                more |= (SRV | TXT) << shift(index);
            }
            if more >> shift(index) & SRV != 0 {
                more |= A | AAAA;
            }
        }
        //= rfc6762#6.2
        if set & (A | AAAA) != 0 {
            more |= A | AAAA | HOST_TYPES;
        }
        more & !set
    }

    /// Writes the records of a set into a section, as many kinds as fit; says which. `ttl_max`: for how long at most; `flags`: what is
    /// added to the class of unique ones.
    pub(super) fn write(
        &self,
        w: &mut MessageWriter<'_>,
        (section, set): (Section, Set),
        interface: InterfaceId,
        (ttl_max, flag): (u32, u16),
    ) -> Set {
        let mut written = 0;
        for one in members(set) {
            let mut all = Some(());
            let class = if shared(one) == 0 { CLASS_IN | flag } else { CLASS_IN };
            let mut visit = |name: &Name, kind: u16, data: Data<'_>| {
                let ttl = ttl_of(one).min(ttl_max);
                all = all.and_then(|()| w.record(section, (name, kind, class, ttl), |w| data.write(w)));
            };
            let _ = self.each(one, Some(interface), &mut visit);
            if all.is_none() {
                break;
            }
            written |= one;
        }
        written
    }

    /// Those of a set that a message has as well, for at least half as long.
    //= rfc6762#7.1
    pub(super) fn known(&self, message: &DnsMessage<'_>, at: usize, set: Set, interface: InterfaceId) -> Set {
        let mut known = 0;
        for one in members(set) {
            let (mut some, mut all) = (false, true);
            let mut visit = |name: &Name, kind: u16, data: Data<'_>| {
                let mut buf = [0; DATA_MAX];
                let ours = own_data(&data, &mut buf);
                let is_it = |record: &Record| {
                    let mut buf = [0; DATA_MAX];
                    record.kind == kind
                        && record.class & !CACHE_FLUSH == CLASS_IN
                        && record.ttl >= ttl_of(one) / 2
                        && message.is_of(record, name)
                        && is_same(kind, ours, their_data(message, record, &mut buf))
                };
                some = true;
                all &= message.records(at).any(|(is_answer, record)| is_answer && is_it(&record));
            };
            let _ = self.each(one, Some(interface), &mut visit);
            known |= if some && all { one } else { 0 };
        }
        known
    }
}

const fn ttl_of(one: Set) -> u32 {
    if one < 1 << OF_HOST {
        return TTL_HOST;
    }
    let of = (one.trailing_zeros() - OF_HOST) % OF_SERVICE;
    if 1 << of & (SRV | TYPES) != 0 { TTL_HOST } else { TTL_OTHER }
}

/// The name whose pointers tell the types of all services.
fn meta() -> Option<Name> {
    let mut name = Name::ROOT;
    [&b"_services"[..], b"_dns-sd", b"_udp", b"local"].into_iter().try_for_each(|label| name.push(label))?;
    Some(name)
}
