//! What of an answer is kept: its records of the type that was asked for, each by itself.

use core::net::IpAddr;

use super::{ADDRESSES_MAX, Name, RecordType, is_of_link};
use crate::wire::dns::{CLASS_IN, DnsMessage, Record};

/// Bytes of the records of one answer.
const RECORDS_LEN: usize = 512;

/// The records of an answer, all of one type; none: the name exists, and has none of that type.
#[derive(Clone)]
pub struct Records {
    kind: RecordType,
    is_cut: bool,
    len: u16,
    /// Each with its length before it, in two bytes.
    bytes: [u8; RECORDS_LEN],
}

/// Where a service is to be had (RFC 2782).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Among those of one priority: how often it is chosen beside the others.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Its host; the root: there is no such service.
    pub target: Name,
}

impl Records {
    pub(crate) const fn new(kind: RecordType) -> Self {
        Records { kind, is_cut: false, len: 0, bytes: [0; RECORDS_LEN] }
    }

    /// Forgets all, for records of this type.
    pub(crate) fn clear(&mut self, kind: RecordType) {
        (self.kind, self.is_cut, self.len) = (kind, false, 0);
    }

    /// As they are kept.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }

    /// Takes what was kept.
    pub(crate) fn fill(&mut self, kind: RecordType, bytes: &[u8]) {
        self.clear(kind);
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.len = bytes.len() as u16;
    }

    /// Adds a record in parts, if there is room.
    fn add(&mut self, parts: [&[u8]; 2]) {
        let len = parts[0].len() + parts[1].len();
        // Several hosts may answer for one name of the link.
        let is_same = |r: &[u8]| r.strip_prefix(parts[0]) == Some(parts[1]);
        if cfg!(feature = "mdns") && self.iter().any(is_same) {
            return;
        }
        let at = usize::from(self.len);
        let is_enough =
            matches!(self.kind, RecordType::A | RecordType::Aaaa) && self.iter().count() == ADDRESSES_MAX;
        let Some(room) = self.bytes.get_mut(at..at + 2 + len).filter(|_| !is_enough) else {
            self.is_cut = true;
            return;
        };
        room[..2].copy_from_slice(&(len as u16).to_be_bytes());
        room[2..2 + parts[0].len()].copy_from_slice(parts[0]);
        room[2 + parts[0].len()..].copy_from_slice(parts[1]);
        self.len += 2 + len as u16;
    }

    /// Adds the data of a record of the type. `None`: it is malformed.
    pub(crate) fn add_record(&mut self, message: &DnsMessage<'_>, record: &Record) -> Option<()> {
        let data = message.data(record);
        match self.kind {
            RecordType::A => self.add([data.first_chunk::<4>().filter(|_| data.len() == 4)?, &[]]),
            RecordType::Aaaa => self.add([data.first_chunk::<16>().filter(|_| data.len() == 16)?, &[]]),
            RecordType::Ptr | RecordType::Cname => self.add([name_in(message, record, 0)?.as_bytes(), &[]]),
            RecordType::Srv => self.add([data.first_chunk::<6>()?, name_in(message, record, 6)?.as_bytes()]),
            RecordType::Txt => self.add([data, &[]]),
        }
        Some(())
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        core::iter::from_fn(move || {
            let (len, after) = rest.split_first_chunk::<2>()?;
            let (record, after) = after.split_at_checked(u16::from_be_bytes(*len).into())?;
            rest = after;
            Some(record)
        })
    }

    /// Their type.
    pub fn kind(&self) -> RecordType {
        self.kind
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Were there more than the eight addresses or 512 bytes that are kept?
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The addresses of records of type A and AAAA.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.iter().filter_map(|data| match self.kind {
            RecordType::A => data.first_chunk::<4>().map(|a| IpAddr::from(*a)),
            RecordType::Aaaa => data.first_chunk::<16>().map(|a| IpAddr::from(*a)),
            _ => None,
        })
    }

    /// The names of records of type PTR and CNAME.
    pub fn names(&self) -> impl Iterator<Item = Name> {
        let is_name = matches!(self.kind, RecordType::Ptr | RecordType::Cname);
        self.iter().filter(move |_| is_name).filter_map(|data| Some(Name::read(data, 0)?.0))
    }

    /// The services of records of type SRV, in the order of the answer.
    pub fn services(&self) -> impl Iterator<Item = Service> {
        let is_service = self.kind == RecordType::Srv;
        self.iter().filter(move |_| is_service).filter_map(|data| {
            let (fixed, name) = data.split_first_chunk::<6>()?;
            let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
            let (priority, weight, port) = (word(0), word(2), word(4));
            Some(Service { priority, weight, port, target: Name::read(name, 0)?.0 })
        })
    }

    /// The texts of records of type TXT, those of one record after the other.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let is_text = self.kind == RecordType::Txt;
        self.iter().filter(move |_| is_text).flat_map(|data| {
            let mut rest = data;
            core::iter::from_fn(move || {
                let (&len, after) = rest.split_first()?;
                let (text, after) = after.split_at_checked(len.into())?;
                rest = after;
                Some(text)
            })
        })
    }
}

impl core::fmt::Debug for Records {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?} x {}", self.kind, self.iter().count())
    }
}

/// A name in a record's data, in small letters; but those of the link are called as they call themselves.
fn name_in(message: &DnsMessage<'_>, record: &Record, skip: usize) -> Option<Name> {
    let mut name = message.whole_name_in(record, skip)?;
    if !is_of_link(&name) {
        name.make_lower();
    }
    Some(name)
}

/// Aliases of one answer, or of all questions of a look-up, that are followed.
pub(super) const ALIASES_MAX: u8 = 8;

/// What an answer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Records, good for so many seconds.
    Records(u32),
    /// Nothing of the type; to be remembered for so many seconds, if at all.
    Nothing(Option<u32>),
    /// The end of the aliases has to be asked for by itself; they are good for so many seconds.
    Elsewhere(u32),
}

/// Reads the records for `name`, which becomes the one that the aliases lead to, from those that begin at `at`. `aliases` counts
/// down. `None`: aliases in a circle, or a record of the type that is malformed.
pub(super) fn read(
    message: &DnsMessage<'_>,
    at: usize,
    name: &mut Name,
    aliases: &mut u8,
    records: &mut Records,
) -> Option<Found> {
    let answers =
        || message.records(at).filter(|(is_answer, r)| *is_answer && r.class == CLASS_IN).map(|(_, r)| r);
    let kind = records.kind();
    let mut ttl = u32::MAX;
    let asked = *aliases;
    loop {
        for record in answers().filter(|r| r.kind == kind.number() && message.is_of(r, name)) {
            records.add_record(message, &record)?;
            ttl = ttl.min(record.ttl);
        }
        if !records.is_empty() {
            return Some(Found::Records(ttl));
        }
        //= rfc1034#3.6.2
        let alias = answers().find(|r| r.kind == RecordType::Cname.number() && message.is_of(r, name));
        let Some(alias) = alias else { break };
        *aliases = aliases.checked_sub(1)?;
        *name = message.name_in(&alias, 0)?;
        ttl = ttl.min(alias.ttl);
    }
    // Records that should be there and are not whole are no answer (H151).
    if usize::from(message.answer_count()) > message.records(at).filter(|(is_answer, _)| *is_answer).count() {
        return None;
    }
    //= rfc2308#2.2
    let zone = message.records(at).find(|(is_answer, r)| !*is_answer && r.kind == crate::wire::dns::SOA);
    let negative = zone.and_then(|(_, record)| message.negative_ttl(&record));
    Some(match negative {
        None if asked != *aliases => Found::Elsewhere(ttl),
        negative => Found::Nothing(negative.map(|negative| negative.min(ttl))),
    })
}
