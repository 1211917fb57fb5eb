//! Packets as bytes, written and read without the stack's own code: it is what is tested.

use super::script::{AccEcnField, Segment, TcpOption};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Protocol numbers.
pub mod protocol {
    #![allow(missing_docs, reason = "the names of IANA")]
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
}

/// An IP packet.
#[derive(Clone, PartialEq, Debug)]
pub struct IpPacket {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// Type of service, traffic class.
    pub tos: u8,
    /// Time to live, hop limit.
    pub ttl: u8,
    /// Flow label of IPv6; 0 in IPv4.
    pub flow_label: u32,
    /// The rest.
    pub payload: Payload,
}

/// What an IP packet carries.
#[derive(Clone, PartialEq, Debug)]
pub enum Payload {
    /// Source port, destination port, header and text. The segment's `len` is that of the text.
    Tcp(u16, u16, Segment, Vec<u8>),
    /// Source port, destination port, data.
    Udp(u16, u16, Vec<u8>),
    /// Type, code, the four bytes behind the checksum, the body.
    Icmp(u8, u8, [u8; 4], Vec<u8>),
    /// Anything else, by its protocol.
    Other(u8),
}

const TTL: u8 = 64;

impl IpPacket {
    /// A packet with ordinary header fields.
    pub fn new(source: IpAddr, destination: IpAddr, payload: Payload) -> Self {
        IpPacket { source, destination, tos: 0, ttl: TTL, flow_label: 0, payload }
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let (protocol, mut transport, checksum_at) = match &self.payload {
            Payload::Tcp(source, destination, segment, text) => {
                (protocol::TCP, emit_tcp(*source, *destination, segment, text), 16)
            }
            Payload::Udp(source, destination, data) => {
                let len = (8 + data.len()) as u16;
                let mut bytes = [source.to_be_bytes(), destination.to_be_bytes(), len.to_be_bytes()].concat();
                bytes.extend([0, 0]);
                bytes.extend(data);
                (protocol::UDP, bytes, 6)
            }
            Payload::Icmp(kind, code, rest, body) => {
                let protocol = if self.source.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
                (protocol, [&[*kind, *code, 0, 0], &rest[..], body].concat(), 2)
            }
            Payload::Other(protocol) => (*protocol, Vec::new(), 0),
        };
        if checksum_at > 0 {
            let mut sum = Sum::default();
            // ICMPv4 has no pseudo-header.
            if protocol != protocol::ICMP {
                sum.pseudo_header(self.source, self.destination, protocol, transport.len());
            }
            sum.add(&transport);
            transport[checksum_at..checksum_at + 2].copy_from_slice(&sum.finish().to_be_bytes());
        }
        let mut packet = self.emit_header(protocol, transport.len());
        packet.extend(transport);
        packet
    }

    fn emit_header(&self, protocol: u8, len: usize) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let total = ((20 + len) as u16).to_be_bytes();
                let mut header =
                    vec![0x45, self.tos, total[0], total[1], 0, 0, 0x40, 0, self.ttl, protocol, 0, 0];
                header.extend(source.octets());
                header.extend(destination.octets());
                let mut sum = Sum::default();
                sum.add(&header);
                header[10..12].copy_from_slice(&sum.finish().to_be_bytes());
                header
            }
            (source, destination) => {
                let first = 6 << 28 | u32::from(self.tos) << 20 | self.flow_label;
                let mut header = first.to_be_bytes().to_vec();
                header.extend((len as u16).to_be_bytes());
                header.extend([protocol, self.ttl]);
                header.extend(v6(source).octets());
                header.extend(v6(destination).octets());
                header
            }
        }
    }

    /// The first bytes of it, as an ICMP error quotes a packet whose payload has `len` bytes: headers
    /// without options, none of the payload.
    pub fn quoted(&self, len: u16) -> Vec<u8> {
        let mut bytes = self.emit();
        let field = if self.source.is_ipv4() { 2 } else { 4 };
        let whole = u16::from_be_bytes([bytes[field], bytes[field + 1]]).saturating_add(len);
        bytes[field..field + 2].copy_from_slice(&whole.to_be_bytes());
        if self.source.is_ipv4() {
            bytes[10..12].fill(0);
            let mut sum = Sum::default();
            sum.add(&bytes[..20]);
            bytes[10..12].copy_from_slice(&sum.finish().to_be_bytes());
        }
        bytes
    }

    /// Reads a packet. `Err` says what is wrong with it: the stack should not have sent it.
    pub fn parse(bytes: &[u8]) -> Result<IpPacket, String> {
        match bytes.first().map(|b| b >> 4) {
            Some(4) if bytes.len() >= 20 => Self::parse_v4(bytes),
            Some(6) if bytes.len() >= 40 => Self::parse_v6(bytes),
            _ => Err("it is neither IPv4 nor IPv6".into()),
        }
    }

    fn parse_v4(bytes: &[u8]) -> Result<IpPacket, String> {
        let header_len = usize::from(bytes[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&bytes[at..at + 4]).unwrap_or_default());
        let mut sum = Sum::default();
        sum.add(bytes.get(..header_len).ok_or("its header is cut off")?);
        if sum.finish() != 0 {
            return Err("its header checksum is wrong".into());
        }
        let payload = bytes.get(header_len..total).ok_or("its total length is wrong")?;
        let (source, destination) = (address(12).into(), address(16).into());
        let payload = parse_payload(bytes[9], payload, source, destination)?;
        Ok(IpPacket { tos: bytes[1], ttl: bytes[8], ..IpPacket::new(source, destination, payload) })
    }

    fn parse_v6(bytes: &[u8]) -> Result<IpPacket, String> {
        let first = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let len = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        let address =
            |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[at..at + 16]).unwrap_or_default());
        let (source, destination) = (address(8).into(), address(24).into());
        let payload = bytes.get(40..40 + len).ok_or("its payload length is wrong")?;
        Ok(IpPacket {
            source,
            destination,
            tos: (first >> 20) as u8,
            ttl: bytes[7],
            flow_label: first & 0xf_ffff,
            payload: parse_payload(bytes[6], payload, source, destination)?,
        })
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(a) => a.to_ipv6_mapped(),
        IpAddr::V6(a) => a,
    }
}

fn parse_payload(kind: u8, bytes: &[u8], source: IpAddr, destination: IpAddr) -> Result<Payload, String> {
    let mut sum = Sum::default();
    match kind {
        protocol::TCP | protocol::UDP | protocol::ICMPV6 => {
            sum.pseudo_header(source, destination, kind, bytes.len());
        }
        protocol::ICMP => {}
        _ => return Ok(Payload::Other(kind)),
    }
    sum.add(bytes);
    // A datagram of IPv4 need not have one.
    let none = kind == protocol::UDP && source.is_ipv4() && bytes.get(6..8) == Some(&[0, 0]);
    if sum.finish() != 0 && !none {
        return Err("its checksum is wrong".into());
    }
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    match kind {
        protocol::TCP => parse_tcp(bytes),
        protocol::UDP if bytes.len() >= 8 => Ok(Payload::Udp(port(0), port(2), bytes[8..].to_vec())),
        protocol::ICMP | protocol::ICMPV6 if bytes.len() >= 8 => {
            let rest = [bytes[4], bytes[5], bytes[6], bytes[7]];
            Ok(Payload::Icmp(bytes[0], bytes[1], rest, bytes[8..].to_vec()))
        }
        _ => Err("its transport header is cut off".into()),
    }
}

fn emit_tcp(source: u16, destination: u16, segment: &Segment, text: &[u8]) -> Vec<u8> {
    let mut options = Vec::new();
    segment.options.iter().flatten().for_each(|o| emit_option(o, &mut options));
    options.resize(options.len().next_multiple_of(4), 0);
    let mut bytes = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    bytes.extend(segment.seq.to_be_bytes());
    bytes.extend(segment.ack.to_be_bytes());
    let words = (20 + options.len()) as u16 / 4;
    bytes.extend((words << 12 | segment.flags).to_be_bytes());
    bytes.extend(segment.window.unwrap_or(0).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(segment.urgent.to_be_bytes());
    bytes.extend(options);
    bytes.extend(text);
    bytes
}

/// Kinds of options.
mod kind {
    pub(super) const EOL: u8 = 0;
    pub(super) const NOP: u8 = 1;
    pub(super) const MSS: u8 = 2;
    pub(super) const WINDOW_SCALE: u8 = 3;
    pub(super) const SACK_OK: u8 = 4;
    pub(super) const SACK: u8 = 5;
    pub(super) const TIMESTAMPS: u8 = 8;
    pub(super) const FAST_OPEN: u8 = 34;
    pub(super) const ACC_ECN_0: u8 = 172;
    pub(super) const ACC_ECN_1: u8 = 174;
    pub(super) const EXPERIMENT: u8 = 254;
}

/// Fast Open before it had a number of its own (RFC 7413 appendix).
const FAST_OPEN_MAGIC: [u8; 2] = [0xf9, 0x89];

fn emit_option(option: &TcpOption, to: &mut Vec<u8>) {
    let (kind, data): (u8, Vec<u8>) = match option {
        TcpOption::Nop => return to.push(kind::NOP),
        TcpOption::Eol => return to.push(kind::EOL),
        TcpOption::Mss(mss) => (kind::MSS, mss.to_be_bytes().to_vec()),
        TcpOption::WindowScale(shift) => (kind::WINDOW_SCALE, vec![*shift]),
        TcpOption::SackOk => (kind::SACK_OK, Vec::new()),
        TcpOption::Sack(blocks) => (
            kind::SACK,
            blocks.iter().flat_map(|(l, r)| [l.to_be_bytes(), r.to_be_bytes()].concat()).collect(),
        ),
        TcpOption::Timestamps(value, echo) => {
            (kind::TIMESTAMPS, [value.to_be_bytes(), echo.to_be_bytes()].concat())
        }
        TcpOption::FastOpen(cookie, false) => (kind::FAST_OPEN, cookie.clone()),
        TcpOption::FastOpen(cookie, true) => (kind::EXPERIMENT, [&FAST_OPEN_MAGIC[..], cookie].concat()),
        TcpOption::AccEcn(fields) => {
            let first = fields.first().map(|f| f.0);
            let kind = if first == Some(AccEcnField::E1b) { kind::ACC_ECN_1 } else { kind::ACC_ECN_0 };
            (kind, fields.iter().flat_map(|(_, n)| n.to_be_bytes()[1..].to_vec()).collect())
        }
        TcpOption::Raw(kind, data) => (*kind, data.clone()),
    };
    to.extend([kind, data.len() as u8 + 2]);
    to.extend(data);
}

fn parse_tcp(bytes: &[u8]) -> Result<Payload, String> {
    if bytes.len() < 20 {
        return Err("its TCP header is cut off".into());
    }
    let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let u32_at = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let header_len = usize::from(bytes[12] >> 4) * 4;
    let options = bytes.get(20..header_len).ok_or("its TCP data offset is wrong")?;
    let text = bytes[header_len..].to_vec();
    let segment = Segment {
        flags: u16_at(12) & 0x1ff,
        seq: u32_at(4),
        any_seq: false,
        len: text.len() as u32,
        ack: u32_at(8),
        window: Some(u16_at(14)),
        urgent: u16_at(18),
        options: Some(parse_options(options)?),
    };
    Ok(Payload::Tcp(u16_at(0), u16_at(2), segment, text))
}

fn parse_options(mut bytes: &[u8]) -> Result<Vec<TcpOption>, String> {
    let mut options = Vec::new();
    while let Some(&kind) = bytes.first() {
        if matches!(kind, kind::EOL | kind::NOP) {
            options.push(if kind == kind::NOP { TcpOption::Nop } else { TcpOption::Eol });
            bytes = &bytes[1..];
            continue;
        }
        let len = bytes.get(1).copied().map_or(0, usize::from);
        let data = bytes.get(2..len.max(2)).filter(|_| len >= 2).ok_or("an option has a wrong length")?;
        options.push(parse_option(kind, data));
        bytes = &bytes[len..];
    }
    Ok(options)
}

fn parse_option(kind: u8, data: &[u8]) -> TcpOption {
    let u32_at = |at: usize| u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
    match (kind, data.len()) {
        (kind::MSS, 2) => TcpOption::Mss(u16::from_be_bytes([data[0], data[1]])),
        (kind::WINDOW_SCALE, 1) => TcpOption::WindowScale(data[0]),
        (kind::SACK_OK, 0) => TcpOption::SackOk,
        (kind::SACK, len) if len > 0 && len.is_multiple_of(8) => {
            TcpOption::Sack((0..len).step_by(8).map(|at| (u32_at(at), u32_at(at + 4))).collect())
        }
        (kind::TIMESTAMPS, 8) => TcpOption::Timestamps(u32_at(0), u32_at(4)),
        (kind::FAST_OPEN, _) => TcpOption::FastOpen(data.to_vec(), false),
        (kind::EXPERIMENT, 2..) if data[..2] == FAST_OPEN_MAGIC => {
            TcpOption::FastOpen(data[2..].to_vec(), true)
        }
        (kind::ACC_ECN_0 | kind::ACC_ECN_1, len) if len <= 9 && len.is_multiple_of(3) => {
            use AccEcnField::{Ceb, E0b, E1b};
            let order = if kind == kind::ACC_ECN_0 { [E0b, Ceb, E1b] } else { [E1b, Ceb, E0b] };
            let counter = |d: &[u8]| u32::from_be_bytes([0, d[0], d[1], d[2]]);
            TcpOption::AccEcn(order.into_iter().zip(data.chunks(3).map(counter)).collect())
        }
        _ => TcpOption::Raw(kind, data.to_vec()),
    }
}

/// The Internet checksum (RFC 1071).
#[derive(Default)]
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks(2) {
            self.0 += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }

    fn pseudo_header(&mut self, source: IpAddr, destination: IpAddr, protocol: u8, len: usize) {
        for address in [source, destination] {
            match address {
                IpAddr::V4(a) => self.add(&a.octets()),
                IpAddr::V6(a) => self.add(&a.octets()),
            }
        }
        self.0 += len as u64 + u64::from(protocol);
    }

    fn finish(&self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        use TcpOption as O;
        let options = vec![
            O::Mss(1460),
            O::Nop,
            O::WindowScale(7),
            O::SackOk,
            O::Sack(vec![(1, 2)]),
            O::FastOpen(vec![1, 2], true),
            O::AccEcn(vec![(AccEcnField::E1b, 1), (AccEcnField::Ceb, 70_000)]),
            O::Raw(99, vec![1]),
        ];
        let segment = Segment {
            flags: 0x1ff,
            seq: 7,
            any_seq: false,
            len: 3,
            ack: 9,
            window: Some(5),
            urgent: 1,
            options: Some(options.clone()),
        };
        let v4 = ["192.0.2.1", "192.168.0.1"].map(|a| a.parse::<IpAddr>().unwrap());
        let v6 = ["2001:db8::1", "2001:db8::2"].map(|a| a.parse::<IpAddr>().unwrap());
        for [source, destination] in [v4, v6] {
            let tcp = Payload::Tcp(80, 8080, segment.clone(), vec![1, 2, 3]);
            for payload in
                [tcp, Payload::Udp(1, 2, vec![3; 5]), Payload::Icmp(3, 1, [1, 2, 3, 4], vec![9; 8])]
            {
                let mut packet = IpPacket::new(source, destination, payload);
                packet.tos = 3;
                let read = IpPacket::parse(&packet.emit()).unwrap();
                let mut expected = packet.clone();
                if let Payload::Tcp(_, _, s, _) = &mut expected.payload {
                    s.options.as_mut().unwrap().extend(vec![O::Eol; 3]);
                }
                assert_eq!(read, expected);
                let mut bad = packet.emit();
                let last = bad.len() - 1;
                bad[last] ^= 1;
                assert_eq!(IpPacket::parse(&bad).unwrap_err(), "its checksum is wrong");
            }
        }
    }
}
