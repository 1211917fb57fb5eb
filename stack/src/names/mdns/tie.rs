//! Who wins when two hosts probe for one name at a time (RFC 6762 §8.2.1).

use core::cmp::Ordering;

use super::Name;
use super::records::{DATA_MAX, Records, Set, Who, members, own_data, their_data};
use crate::ip::InterfaceId;
use crate::wire::dns::{DnsMessage, RecordType};

/// Records of a name that are compared, and bytes of them. Those beyond are as if they were not there.
const RECORDS_MAX: usize = 16;
const BYTES_MAX: usize = 1024;

/// Records in their order: by type, then by data; the class of all is that of the Internet.
struct Sorted {
    bytes: heapless::Vec<u8, BYTES_MAX>,
    /// Type, place of the data.
    records: heapless::Vec<(u16, u16, u16), RECORDS_MAX>,
}

impl Sorted {
    fn new() -> Self {
        Sorted { bytes: heapless::Vec::new(), records: heapless::Vec::new() }
    }

    fn data(&self, record: &(u16, u16, u16)) -> &[u8] {
        &self.bytes[record.1.into()..record.2.into()]
    }

    fn add(&mut self, kind: u16, data: &[u8]) {
        let start = self.bytes.len();
        if self.bytes.extend_from_slice(data).is_err() {
            return;
        }
        let new = (kind, start as u16, self.bytes.len() as u16);
        let is_after = |other: &(u16, u16, u16)| (other.0, self.data(other)) > (kind, data);
        let at = self.records.iter().position(is_after).unwrap_or(self.records.len());
        let _ = self.records.insert(at, new);
    }

    fn cmp(&self, other: &Sorted) -> Ordering {
        let all = |of: &Sorted| of.records.len();
        for (a, b) in self.records.iter().zip(&other.records) {
            let order = (a.0, self.data(a)).cmp(&(b.0, other.data(b)));
            if order != Ordering::Equal {
                return order;
            }
        }
        all(self).cmp(&all(other))
    }
}

/// Our records for the name that `who` probes for, beside those that a probe of somebody else proposes for it.
//= rfc6762#8.2.1
pub(super) fn compare(
    records: &Records<'_, '_>,
    (who, name): (Who, &Name),
    interface: InterfaceId,
    (message, at): (&DnsMessage<'_>, usize),
) -> Ordering {
    let (mut ours, mut theirs) = (Sorted::new(), Sorted::new());
    let mut buf = [0; DATA_MAX];
    for one in members(proposed(who)) {
        let mut visit = |_: &Name, kind: u16, data: super::records::Data<'_>| {
            ours.add(kind, own_data(&data, &mut buf));
        };
        let _ = records.each(one, Some(interface), &mut visit);
    }
    let mut buf = [0; DATA_MAX];
    let is_proposed = |kind: u16| kind != RecordType::Cname.number();
    for (is_answer, record) in message.records(at) {
        if !is_answer && is_proposed(record.kind) && message.is_of(&record, name) {
            theirs.add(record.kind, their_data(message, &record, &mut buf));
        }
    }
    ours.cmp(&theirs)
}

/// What a probe proposes.
pub(super) fn proposed(who: Who) -> Set {
    Records::unique(who)
}
