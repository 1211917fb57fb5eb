//! Messages about group memberships: IGMP (RFC 1112, RFC 2236, RFC 3376) and MLD (RFC 2710, RFC 3810).
//!
//! Both families have the same messages with addresses of another length: a query, a report of each version, a leave.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;

use super::{Checksum, ETHERNET_LEN, HEADERS_LEN_MAX, IpHeader, LinkPath};
use crate::counters::Drop;
use crate::time::Duration;

/// Types of IGMP messages.
pub(crate) mod igmp {
    /// A query of any version.
    pub(crate) const QUERY: u8 = 0x11;
    /// A report of version 1.
    pub(crate) const REPORT_V1: u8 = 0x12;
    /// A report of version 2.
    pub(crate) const REPORT_V2: u8 = 0x16;
    /// Leave, of version 2.
    pub(crate) const LEAVE: u8 = 0x17;
    /// A report of version 3.
    pub(crate) const REPORT_V3: u8 = 0x22;
}

/// Types of MLD messages, which are ICMPv6's.
pub(crate) mod mld {
    /// A query of any version.
    pub(crate) const QUERY: u8 = 130;
    /// A report of version 1.
    pub(crate) const REPORT_V1: u8 = 131;
    /// Done, of version 1.
    pub(crate) const DONE: u8 = 132;
    /// A report of version 2.
    pub(crate) const REPORT_V2: u8 = 143;
}

/// Routers that listen to reports and leaves.
const REPORTS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
const REPORTS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const ROUTERS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
const ROUTERS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Options that ask routers to look at a packet: of IPv4 (RFC 2113), and in a hop-by-hop header (RFC 2711) before ICMPv6.
const ROUTER_ALERT_V4: [u8; 4] = [0x94, 4, 0, 0];
const ROUTER_ALERT_V6: [u8; 8] = [super::protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0];

/// Longest headers of a message with a router alert.
pub(crate) const ALERT_HEADERS_MAX: usize = HEADERS_LEN_MAX + ROUTER_ALERT_V6.len();

/// Writes Ethernet and IP header with a router alert, and returns their length.
pub(crate) fn emit_alert_headers(buf: &mut [u8; ALERT_HEADERS_MAX], link: &LinkPath, ip: &IpHeader) -> usize {
    /// Version, and a header of six words.
    const VERSION_AND_LEN: u8 = 0x46;
    const HOP_BY_HOP: u8 = 0;
    match ip.destination {
        IpAddr::V4(_) => {
            let alert = ROUTER_ALERT_V4.len();
            let outer = IpHeader { payload_len: alert + ip.payload_len, ..*ip };
            let len = super::emit_headers(buf, link, &outer);
            buf[len..len + alert].copy_from_slice(&ROUTER_ALERT_V4);
            let header = &mut buf[ETHERNET_LEN..len + alert];
            header[0] = VERSION_AND_LEN;
            header[10..12].fill(0);
            let mut sum = Checksum::default();
            sum.add(header);
            header[10..12].copy_from_slice(&sum.finish().to_be_bytes());
            len + alert
        }
        IpAddr::V6(_) => {
            let alert = ROUTER_ALERT_V6.len();
            let outer = IpHeader { protocol: HOP_BY_HOP, payload_len: alert + ip.payload_len, ..*ip };
            let len = super::emit_headers(buf, link, &outer);
            buf[len..len + alert].copy_from_slice(&ROUTER_ALERT_V6);
            len + alert
        }
    }
}

/// The kinds of group records (RFC 3376 §4.2.12, RFC 3810 §5.2.12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RecordKind {
    IsInclude = 1,
    IsExclude = 2,
    ToInclude = 3,
    ToExclude = 4,
    Allow = 5,
    Block = 6,
}

/// Lengths of a message's fixed part, of a query of the newest version, and of the start of a record of each family.
const SHORT_V4: usize = 8;
const SHORT_V6: usize = 24;
const QUERY_V3: usize = 12;
const QUERY_V2: usize = 28;

/// A query. Versions are those of IGMP: MLDv1 is 2, MLDv2 is 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Query<'p> {
    pub(crate) version: u8,
    /// `None`: about all groups.
    pub(crate) group: Option<IpAddr>,
    /// Answers are to come within this time.
    pub(crate) answer_within: Duration,
    /// How often changes are to be told; 0 if it does not say.
    pub(crate) robustness: u8,
    /// The sources in question, one after the other; none: all.
    sources: &'p [u8],
}

impl<'p> Query<'p> {
    /// Reads a query of IGMP, whose checksum was checked.
    pub(crate) fn parse_v4(message: &'p [u8]) -> Result<Self, Drop> {
        let [_, code, _, _, a, b, c, d, rest @ ..] = message else { return Err(Drop::GroupMalformed) };
        let tenth = |n: u32| Duration::from_millis(u64::from(n) * 100);
        let group = Ipv4Addr::new(*a, *b, *c, *d);
        let group = (!group.is_unspecified()).then_some(group.into());
        let short =
            |version, answer_within| Query { version, group, answer_within, robustness: 0, sources: &[] };
        //= rfc3376#7.1: the version is told by length and code
        match (message.len(), *code) {
            (SHORT_V4, 0) => Ok(short(1, tenth(100))),
            // H126: linear in version 2.
            (SHORT_V4, code) => Ok(short(2, tenth(code.into()))),
            (QUERY_V3.., code) => {
                let code = match code {
                    ..128 => code.into(),
                    _ => (u32::from(code & 15) | 16) << ((code >> 4 & 7) + 3),
                };
                Ok(Query { sources: sources(rest, 4)?, robustness: rest[0] & 7, ..short(3, tenth(code)) })
            }
            _ => Err(Drop::GroupMalformed),
        }
    }

    /// The same for MLD.
    pub(crate) fn parse_v6(message: &'p [u8]) -> Result<Self, Drop> {
        let group = message.get(8..SHORT_V6).and_then(|bytes| bytes.first_chunk::<16>());
        let group = Ipv6Addr::from(*group.ok_or(Drop::GroupMalformed)?);
        let group = (!group.is_unspecified()).then_some(group.into());
        let code = u32::from(u16::from_be_bytes([message[4], message[5]]));
        let ms = |n: u32| Duration::from_millis(n.into());
        let short =
            |version, answer_within| Query { version, group, answer_within, robustness: 0, sources: &[] };
        //= rfc3810#8.1
        match message.len() {
            SHORT_V6 => Ok(short(2, ms(code))),
            QUERY_V2.. => {
                let code = match code {
                    ..32_768 => code,
                    _ => ((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3),
                };
                let rest = &message[SHORT_V6..];
                Ok(Query { sources: sources(rest, 16)?, robustness: rest[0] & 7, ..short(3, ms(code)) })
            }
            _ => Err(Drop::GroupMalformed),
        }
    }

    pub(crate) const fn names_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Is the source among those in question?
    pub(crate) fn asks_for(&self, source: IpAddr) -> bool {
        match source {
            IpAddr::V4(a) => self.sources.chunks_exact(4).any(|s| s == a.octets()),
            IpAddr::V6(a) => self.sources.chunks_exact(16).any(|s| s == a.octets()),
        }
    }
}

/// The sources of a query, behind four bytes of which two say how many they are.
fn sources(rest: &[u8], len: usize) -> Result<&[u8], Drop> {
    let count = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
    rest.get(4..4 + count * len).ok_or(Drop::GroupMalformed)
}

/// Room for a report with two records and 64 sources of IPv6.
pub(crate) const REPORT_MAX: usize = 8 + 2 * 20 + 64 * 16;

/// A message in the making, without its checksum.
#[derive(Debug)]
pub(crate) struct GroupMessage {
    pub(crate) destination: IpAddr,
    pub(crate) bytes: Vec<u8, REPORT_MAX>,
}

impl GroupMessage {
    fn start(destination: IpAddr, fixed: &[u8]) -> Self {
        let mut bytes = Vec::new();
        // There is room: see `REPORT_MAX`.
        let _ = bytes.extend_from_slice(fixed);
        GroupMessage { destination, bytes }
    }

    /// A report of the newest version, without records.
    pub(crate) fn report(is_v4: bool) -> Self {
        match is_v4 {
            true => Self::start(REPORTS_V4.into(), &[igmp::REPORT_V3, 0, 0, 0, 0, 0, 0, 0]),
            false => Self::start(REPORTS_V6.into(), &[mld::REPORT_V2, 0, 0, 0, 0, 0, 0, 0]),
        }
    }

    /// A report of an older version, to the group itself.
    pub(crate) fn old_report(version: u8, group: IpAddr) -> Self {
        let kind = match (group, version) {
            (IpAddr::V4(_), 1) => igmp::REPORT_V1,
            (IpAddr::V4(_), _) => igmp::REPORT_V2,
            (IpAddr::V6(_), _) => mld::REPORT_V1,
        };
        Self::about(kind, group, group)
    }

    /// A leave of an older version.
    pub(crate) fn leave(group: IpAddr) -> Self {
        match group {
            IpAddr::V4(_) => Self::about(igmp::LEAVE, group, ROUTERS_V4.into()),
            IpAddr::V6(_) => Self::about(mld::DONE, group, ROUTERS_V6.into()),
        }
    }

    fn about(kind: u8, group: IpAddr, destination: IpAddr) -> Self {
        let fixed = if group.is_ipv4() { 4 } else { 8 };
        let mut message = Self::start(destination, &[kind, 0, 0, 0, 0, 0, 0, 0][..fixed]);
        message.push_address(group);
        message
    }

    fn push_address(&mut self, address: IpAddr) {
        // The caller keeps within what there is room for.
        let _ = match address {
            IpAddr::V4(a) => self.bytes.extend_from_slice(&a.octets()),
            IpAddr::V6(a) => self.bytes.extend_from_slice(&a.octets()),
        };
    }

    /// Appends a record to a report.
    pub(crate) fn push_record(
        &mut self,
        kind: RecordKind,
        group: IpAddr,
        sources: impl Iterator<Item = IpAddr>,
    ) {
        let at = self.bytes.len();
        let _ = self.bytes.extend_from_slice(&[kind as u8, 0, 0, 0]);
        self.push_address(group);
        let mut count = 0u16;
        for source in sources {
            self.push_address(source);
            count += 1;
        }
        self.bytes[at + 2..at + 4].copy_from_slice(&count.to_be_bytes());
        let records = u16::from_be_bytes([self.bytes[6], self.bytes[7]]) + 1;
        self.bytes[6..8].copy_from_slice(&records.to_be_bytes());
    }

    /// Sets the checksum, which stands at the same place in both families.
    pub(crate) fn set_checksum(&mut self, checksum: u16) {
        self.bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
}
