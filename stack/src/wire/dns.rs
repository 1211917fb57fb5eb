//! Messages of DNS (RFC 1035 §4): names, questions and resource records.

use core::fmt;
use core::ops::Range;

use crate::counters::Drop;
use crate::error::Error;

/// Bytes of the longest name as a message has it, the root's zero included (RFC 1035 §2.3.4).
pub(crate) const NAME_MAX: usize = 255;
/// Bytes of a label (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;
/// Bytes of a message's header (RFC 1035 §4.1.1).
pub(crate) const DNS_HEADER_LEN: usize = 12;
/// Bytes of the longest query: header, name, type and class, and the OPT record of EDNS.
pub(crate) const DNS_QUERY_MAX: usize = DNS_HEADER_LEN + NAME_MAX + 4 + OPT_LEN;
/// Bytes of an OPT record without options (RFC 6891 §6.1.2).
const OPT_LEN: usize = 11;
/// The type of the OPT record.
const OPT: u16 = 41;
/// The class of the Internet.
pub(crate) const CLASS_IN: u16 = 1;
/// In a question: any class, or any type (RFC 1035 §3.2.3, §3.2.5).
#[cfg(feature = "mdns")]
pub(crate) const ANY: u16 = 255;
/// The type of the record that says which types a name has (RFC 4034 §4).
#[cfg(feature = "mdns")]
pub(crate) const NSEC: u16 = 47;
/// The type of the record that begins a zone, and says how long there is nothing else (RFC 2308 §3).
pub(crate) const SOA: u16 = 6;

/// Types of records that can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[non_exhaustive]
pub enum RecordType {
    /// An IPv4 address.
    #[default]
    A,
    /// The name that this one is an alias of.
    Cname,
    /// A name for an address, or whatever a name points to.
    Ptr,
    /// Texts.
    Txt,
    /// An IPv6 address (RFC 3596).
    Aaaa,
    /// A host and port of a service (RFC 2782).
    Srv,
}

impl RecordType {
    /// Its number in messages.
    pub const fn number(self) -> u16 {
        match self {
            RecordType::A => 1,
            RecordType::Cname => 5,
            RecordType::Ptr => 12,
            RecordType::Txt => 16,
            RecordType::Aaaa => 28,
            RecordType::Srv => 33,
        }
    }
}

/// A domain name, without compression. Names are equal without regard to the case of ASCII letters (RFC 4343); printed, they
/// have dots between the labels and none at the end.
#[derive(Clone, Copy)]
pub struct Name {
    /// Without the zero of the root: so the root is all zero, and takes no flash in a static.
    len: u8,
    bytes: [u8; NAME_MAX],
}

impl Name {
    /// The root.
    pub(crate) const ROOT: Name = Name { len: 0, bytes: [0; NAME_MAX] };

    /// A name from text, such as `example.org`; a dot at the end stands for the root, where every name ends.
    ///
    /// [`Error::InvalidInput`]: more than 253 characters, a label that is empty or longer than 63, or a character that is not
    /// printable ASCII (internationalised names have an ASCII form, RFC 5890).
    pub fn new(text: &str) -> Result<Name, Error> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut name = Name::ROOT;
        for label in text.split('.') {
            if label.is_empty() {
                return Err(Error::InvalidInput("a name with an empty label"));
            }
            if !label.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                return Err(Error::InvalidInput("a name with characters beyond ASCII"));
            }
            if label.len() > LABEL_MAX {
                return Err(Error::InvalidInput("a label of more than 63 characters"));
            }
            name.push(label.as_bytes()).ok_or(Error::InvalidInput("a name of more than 253 characters"))?;
        }
        Ok(name)
    }

    /// Adds a label before the root. `None`: it does not fit.
    pub(crate) fn push(&mut self, label: &[u8]) -> Option<()> {
        let at = usize::from(self.len);
        let end = at + 1 + label.len();
        if label.len() > LABEL_MAX || end >= NAME_MAX {
            return None;
        }
        self.bytes[at] = label.len() as u8;
        self.bytes[at + 1..end].copy_from_slice(label);
        self.bytes[end] = 0;
        self.len = end as u8;
        Some(())
    }

    /// This name with the labels of another behind it. `None`: it would be too long.
    pub(crate) fn join(&self, suffix: &Name) -> Option<Name> {
        let mut whole = *self;
        suffix.labels().try_for_each(|label| whole.push(label))?;
        Some(whole)
    }

    /// The first labels, whose bytes are so many.
    pub(crate) fn front(&self, len: usize) -> Name {
        let mut front = Name::ROOT;
        for label in self.labels() {
            if usize::from(front.len) >= len {
                break;
            }
            // It was part of a whole name.
            let _ = front.push(label);
        }
        front
    }

    /// The labels.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        core::iter::from_fn(move || {
            let (&len, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(len.into())?;
            rest = after;
            (len > 0).then_some(label)
        })
    }

    /// As a message has it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..=self.len.into()]
    }

    /// Passes over the letters: each is given, and becomes what is returned.
    pub(crate) fn map_letters(&mut self, mut to: impl FnMut(u8) -> u8) {
        let mut at = 0;
        while let Some(&len @ 1..) = self.bytes.get(at) {
            let end = at + 1 + usize::from(len);
            for byte in self.bytes[at + 1..end].iter_mut().filter(|b| b.is_ascii_alphabetic()) {
                *byte = to(*byte);
            }
            at = end;
        }
    }

    /// In small letters. Servers repeat the letters of our question, which are of random case, also in other names.
    pub(crate) fn make_lower(&mut self) {
        self.map_letters(|letter| letter.to_ascii_lowercase());
    }

    /// Are the labels of `domain` its last ones?
    pub(crate) fn is_in(&self, domain: &Name) -> bool {
        let (all, of) = (self.labels().count(), domain.labels().count());
        let mut ends = self.labels().skip(all.saturating_sub(of)).zip(domain.labels());
        all >= of && ends.all(|(label, of)| label.eq_ignore_ascii_case(of))
    }

    /// The name at `at` of a message, and where what follows it begins. Pointers lead to what stood earlier, each further back
    /// than the one before, so a chain of them ends (RFC 1035 §4.1.4, RFC 9267 §2).
    pub(crate) fn read(message: &[u8], at: usize) -> Option<(Name, usize)> {
        let mut name = Name::ROOT;
        let end = walk(message, at, |label| name.push(label))?;
        Some((name, end))
    }

    /// The name by which an address is looked up backwards (RFC 1035 §3.5, RFC 3596 §2.5).
    pub fn reverse(address: core::net::IpAddr) -> Name {
        const HEX: [u8; 16] = *b"0123456789abcdef";
        let mut name = Name::ROOT;
        // All of them are shorter than a name may be.
        let mut push = |label: &[u8]| name.push(label).unwrap_or(());
        match address.to_canonical() {
            core::net::IpAddr::V4(address) => {
                for byte in address.octets().into_iter().rev() {
                    let digits = [byte / 100, byte / 10 % 10, byte % 10].map(|d| b'0' + d);
                    let zeros = if byte >= 100 { 0 } else { 1 + usize::from(byte < 10) };
                    push(&digits[zeros..]);
                }
                push(b"in-addr");
            }
            core::net::IpAddr::V6(address) => {
                for byte in address.octets().into_iter().rev() {
                    push(&[HEX[usize::from(byte & 15)]]);
                    push(&[HEX[usize::from(byte >> 4)]]);
                }
                push(b"ip6");
            }
        }
        push(b"arpa");
        name
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        // Lengths of labels are no letters.
        self.as_bytes().eq_ignore_ascii_case(other.as_bytes())
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.len == 0 {
            return f.write_char('.');
        }
        let mut dot = "";
        for label in self.labels() {
            f.write_str(dot)?;
            dot = ".";
            for &byte in label {
                match byte {
                    // RFC 1035 §5.1
                    b'.' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                    b' '..=b'~' => f.write_char(byte.into())?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hands out the labels of the name at `at`, and says where what follows it begins. `None`: it is none, longer than a name may be,
/// or `label` says so.
fn walk<'m>(
    message: &'m [u8],
    mut at: usize,
    mut label: impl FnMut(&'m [u8]) -> Option<()>,
) -> Option<usize> {
    let (mut end, mut earliest, mut len) = (None, at, 1);
    loop {
        match *message.get(at)? {
            0 => return Some(end.unwrap_or(at + 1)),
            of @ 1..=63 => {
                let next = at + 1 + usize::from(of);
                len += next - at;
                if len > NAME_MAX {
                    return None;
                }
                label(message.get(at + 1..next)?)?;
                at = next;
            }
            high @ 0xc0.. => {
                let to = usize::from(high & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                end = end.or(Some(at + 2));
                if to >= earliest {
                    return None;
                }
                (at, earliest) = (to, to);
            }
            _ => return None,
        }
    }
}

/// What a server says of the question (RFC 1035 §4.1.1).
pub(crate) mod rcode {
    pub(crate) const OK: u8 = 0;
    pub(crate) const FORMAT_ERROR: u8 = 1;
    pub(crate) const NAME_ERROR: u8 = 3;
    pub(crate) const NOT_IMPLEMENTED: u8 = 4;
}

/// A message as it came.
#[derive(Clone, Copy)]
pub(crate) struct DnsMessage<'a>(&'a [u8]);

/// A record of a message, its data by their place.
pub(crate) struct Record {
    pub name_at: usize,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    data: Range<usize>,
}

/// A question of a message, its name by its place.
#[cfg(feature = "mdns")]
pub(crate) struct Question {
    pub name_at: usize,
    pub kind: u16,
    pub class: u16,
    /// Where what follows it begins.
    pub end: usize,
}

impl<'a> DnsMessage<'a> {
    /// A message with a whole header.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Drop> {
        if bytes.len() < DNS_HEADER_LEN { Err(Drop::DnsMalformed) } else { Ok(DnsMessage(bytes)) }
    }

    fn word(&self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    fn field(&self, at: usize) -> u16 {
        self.word(at).unwrap_or(0)
    }

    /// The number that the answer has in common with its question.
    pub(crate) fn id(&self) -> u16 {
        self.field(0)
    }

    /// Is it an answer to an ordinary question?
    pub(crate) fn is_response(&self) -> bool {
        self.0[2] & 0xf8 == 0x80
    }

    /// Is there more than fits?
    pub(crate) fn is_truncated(&self) -> bool {
        self.0[2] & 2 != 0
    }

    /// See [`rcode`].
    pub(crate) fn rcode(&self) -> u8 {
        self.0[3] & 15
    }

    /// Is it a question, and an ordinary one (RFC 6762 §18.2 to 18.4)?
    #[cfg(feature = "mdns")]
    pub(crate) fn is_query(&self) -> bool {
        self.0[2] & 0xf8 == 0
    }

    /// The questions, and where what follows them begins; they end where one is not whole.
    #[cfg(feature = "mdns")]
    pub(crate) fn questions(&self) -> impl Iterator<Item = Question> {
        let (message, mut at) = (*self, DNS_HEADER_LEN);
        (0..self.field(4)).map_while(move |_| {
            let end = walk(message.0, at, |_| Some(()))?;
            let question = Question {
                name_at: at,
                kind: message.word(end)?,
                class: message.word(end + 2)?,
                end: end + 4,
            };
            at = question.end;
            Some(question)
        })
    }

    /// How many questions it says that it has.
    #[cfg(feature = "mdns")]
    pub(crate) fn question_count(&self) -> u16 {
        self.field(4)
    }

    /// All of it.
    #[cfg(feature = "mdns")]
    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Is this its only question, letter by letter? Where what follows it begins.
    pub(crate) fn asks(&self, name: &Name, kind: RecordType) -> Option<usize> {
        let end = DNS_HEADER_LEN + name.as_bytes().len();
        let is_so = self.field(4) == 1
            && self.0.get(DNS_HEADER_LEN..end) == Some(name.as_bytes())
            && self.word(end) == Some(kind.number())
            && self.word(end + 2) == Some(CLASS_IN);
        is_so.then_some(end + 4)
    }

    /// How many records it says that its answer has.
    pub(crate) fn answer_count(&self) -> u16 {
        self.field(6)
    }

    /// The records of the answer and of the authority, which begin at `at`: true for those of the answer. They end where one is not
    /// whole.
    pub(crate) fn records(&self, mut at: usize) -> impl Iterator<Item = (bool, Record)> {
        let (answers, all) = (self.field(6), u32::from(self.field(6)) + u32::from(self.field(8)));
        let message = *self;
        (0..all).map_while(move |n| {
            let record = message.record(at)?;
            at = record.data.end;
            Some((n < u32::from(answers), record))
        })
    }

    /// The records of all three sections, the additional ones too.
    #[cfg(feature = "mdns")]
    pub(crate) fn all_records(&self, mut at: usize) -> impl Iterator<Item = Record> {
        let message = *self;
        let count: u32 = [6, 8, 10].into_iter().map(|at| u32::from(self.field(at))).sum();
        (0..count).map_while(move |_| {
            let record = message.record(at)?;
            at = record.data.end;
            Some(record)
        })
    }

    fn record(&self, name_at: usize) -> Option<Record> {
        let at = walk(self.0, name_at, |_| Some(()))?;
        let fixed = self.0.get(at..)?.first_chunk::<10>()?;
        let [k0, k1, c0, c1, t0, t1, t2, t3, l0, l1] = *fixed;
        let data = at + 10..at + 10 + usize::from(u16::from_be_bytes([l0, l1]));
        self.0.get(data.clone())?;
        let ttl = u32::from_be_bytes([t0, t1, t2, t3]);
        Some(Record {
            name_at,
            kind: u16::from_be_bytes([k0, k1]),
            class: u16::from_be_bytes([c0, c1]),
            // RFC 2181 §8
            ttl: if ttl > i32::MAX as u32 { 0 } else { ttl },
            data,
        })
    }

    /// Is the record one of this name?
    pub(crate) fn is_of(&self, record: &Record, name: &Name) -> bool {
        self.has_name(record.name_at, name)
    }

    /// Is this the name that begins at `at`?
    pub(crate) fn has_name(&self, at: usize, name: &Name) -> bool {
        let mut labels = name.labels();
        let same = |label: &[u8]| labels.next().filter(|l| l.eq_ignore_ascii_case(label)).map(|_| ());
        walk(self.0, at, same).is_some() && labels.next().is_none()
    }

    /// The bytes of the record's data.
    pub(crate) fn data(&self, record: &Record) -> &'a [u8] {
        self.0.get(record.data.clone()).unwrap_or(&[])
    }

    /// The name that so many bytes into the record's data begins, and ends with it, in small letters.
    pub(crate) fn name_in(&self, record: &Record, skip: usize) -> Option<Name> {
        let mut name = self.whole_name_in(record, skip)?;
        name.make_lower();
        Some(name)
    }

    /// The same in the letters that it came in.
    pub(crate) fn whole_name_in(&self, record: &Record, skip: usize) -> Option<Name> {
        let (name, end) = Name::read(self.0, record.data.start + skip)?;
        (end == record.data.end).then_some(name)
    }

    /// How long a record of the zone's start says that there is nothing: the least of its TTL and its last field (RFC 2308 §5).
    pub(crate) fn negative_ttl(&self, record: &Record) -> Option<u32> {
        let minimum = u32::from_be_bytes(*self.data(record).last_chunk()?);
        Some(record.ttl.min(minimum))
    }
}

/// Writes a question that asks for recursion, with the size of answers that we take if there is one to say (RFC 6891).
pub(crate) fn write_query(
    buf: &mut [u8; DNS_QUERY_MAX],
    id: u16,
    (name, kind): (&Name, RecordType),
    edns: Option<u16>,
) -> usize {
    *buf = [0; DNS_QUERY_MAX];
    let name = name.as_bytes();
    let end = DNS_HEADER_LEN + name.len();
    buf[..2].copy_from_slice(&id.to_be_bytes());
    buf[2] = 1; // recursion desired
    buf[5] = 1; // one question
    buf[DNS_HEADER_LEN..end].copy_from_slice(name);
    buf[end..end + 2].copy_from_slice(&(kind.number()).to_be_bytes());
    buf[end + 2..end + 4].copy_from_slice(&CLASS_IN.to_be_bytes());
    let Some(size) = edns else { return end + 4 };
    buf[11] = 1; // one additional record: root, OPT, size, nothing else
    let opt = end + 4;
    buf[opt + 1..opt + 3].copy_from_slice(&OPT.to_be_bytes());
    buf[opt + 3..opt + 5].copy_from_slice(&size.to_be_bytes());
    opt + OPT_LEN
}

#[cfg(all(test, feature = "std"))]
#[path = "dns_tests.rs"]
mod tests;
