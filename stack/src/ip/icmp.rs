//! ICMP of both families as far as it is pure: when an error may be sent, how often, and what a
//! received one says.

use core::net::IpAddr;

use super::v6;
use super::{IcmpError, IcmpErrorKind};
use crate::base::rate::TokenBucket;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::time::Duration;
use crate::wire::{IPV6_LEN, IcmpHeader, Ipv4Header, Ipv6Header, icmpv4, icmpv6, protocol};

/// The rate of our own errors (H086): 50 at once after a pause, then 100 a second (RFC 4443 §2.4(f),
/// RFC 1812 §4.3.2.8).
pub(crate) const fn error_bucket() -> TokenBucket {
    TokenBucket::new(50, Duration::from_millis(10))
}

/// Is an ICMPv4 message of this type an error? Unknown types count as such, so that nothing is
/// ever sent about them (RFC 1122 §3.2.2).
pub(crate) const fn is_error_v4(kind: u8) -> bool {
    !matches!(kind, icmpv4::ECHO | icmpv4::ECHO_REPLY | 9 | 10 | 13..=18)
}

/// Is an ICMPv6 message of this type an error (RFC 4443 §2.1)?
pub(crate) const fn is_error_v6(kind: u8) -> bool {
    kind < 128
}

/// Is an ICMPv4 error listened to? Without the feature `icmp-errors` only routers are that say how long packets may be.
pub(crate) fn is_heard_v4(header: &IcmpHeader) -> bool {
    cfg!(feature = "icmp-errors") || (header.kind, header.code) == (icmpv4::UNREACHABLE, icmpv4::CODE_TOO_BIG)
}

/// The same for ICMPv6.
pub(crate) fn is_heard_v6(header: &IcmpHeader) -> bool {
    cfg!(feature = "icmp-errors") || header.kind == icmpv6::TOO_BIG
}

/// May an error be sent about a packet with this source, transport and payload? Never about
/// errors (H090) and to senders that are no single host.
pub(crate) fn may_report(source: IpAddr, transport: u8, payload: &[u8]) -> bool {
    let about_error = match (transport, payload.first()) {
        (protocol::ICMP, Some(kind)) => is_error_v4(*kind),
        (protocol::ICMPV6, Some(kind)) => is_error_v6(*kind) || *kind == icmpv6::REDIRECT,
        (protocol::ICMP | protocol::ICMPV6, None) => true,
        _ => false,
    };
    !about_error && !source.is_unspecified() && !super::is_group(source)
}

/// What a received ICMPv4 error says about which packet. One level deep (H092).
pub(crate) fn parse_error_v4(header: &IcmpHeader, quote: &[u8]) -> Result<IcmpError, Drop> {
    use IcmpErrorKind as K;
    let [_, _, a, b] = header.rest;
    let kind = match (header.kind, header.code) {
        // RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1
        (icmpv4::UNREACHABLE, 9 | 10 | 13) => K::Prohibited,
        (icmpv4::UNREACHABLE, 1 | 7 | 8 | 12) => K::HostUnreachable,
        (icmpv4::UNREACHABLE, icmpv4::CODE_PROTOCOL) => K::ProtocolUnreachable,
        (icmpv4::UNREACHABLE, icmpv4::CODE_PORT) => K::PortUnreachable,
        (icmpv4::UNREACHABLE, icmpv4::CODE_TOO_BIG) => {
            K::TooBig { mtu: u32::from(u16::from_be_bytes([a, b])) }
        }
        (icmpv4::UNREACHABLE, _) => K::NetUnreachable,
        (icmpv4::TIME_EXCEEDED, _) => K::TimeExceeded,
        (icmpv4::PARAMETER_PROBLEM, _) => K::ParameterProblem,
        _ => return Err(Drop::IcmpIgnored),
    };
    let (packet, _) = Ipv4Header::parse_quoted(quote).map_err(|_| Drop::IcmpMalformed)?;
    if packet.is_later_fragment {
        return Err(Drop::IcmpForeign);
    }
    let quoted = first_bytes(packet.protocol, &quote[packet.header_len..])?;
    Ok(IcmpError {
        kind,
        protocol: packet.protocol,
        source: packet.source.into(),
        destination: packet.destination.into(),
        quoted,
    })
}

/// The same for ICMPv6 (RFC 4443 §3). Unknown errors go to the upper layer too (H088).
pub(crate) fn parse_error_v6(header: &IcmpHeader, quote: &[u8]) -> Result<IcmpError, Drop> {
    use IcmpErrorKind as K;
    let kind = match (header.kind, header.code) {
        (icmpv6::UNREACHABLE, icmpv6::CODE_PORT) => K::PortUnreachable,
        (icmpv6::UNREACHABLE, 1 | 5 | 6) => K::Prohibited,
        (icmpv6::UNREACHABLE, 2 | 3) => K::HostUnreachable,
        (icmpv6::UNREACHABLE, _) => K::NetUnreachable,
        (icmpv6::TOO_BIG, _) => K::TooBig { mtu: u32::from_be_bytes(header.rest) },
        (icmpv6::TIME_EXCEEDED, _) => K::TimeExceeded,
        (icmpv6::PARAMETER_PROBLEM, icmpv6::CODE_NEXT_HEADER) => K::ProtocolUnreachable,
        (icmpv6::PARAMETER_PROBLEM, _) => K::ParameterProblem,
        _ => K::Unknown,
    };
    let packet = Ipv6Header::parse_quoted(quote).map_err(|_| Drop::IcmpMalformed)?;
    let parts = [&quote[IPV6_LEN..]];
    let payload = Bytes::new(&parts);
    let upper = v6::walk_first(packet.next_header, payload).map_err(|_| Drop::IcmpMalformed)?;
    let transport = payload.slice(upper.offset, usize::MAX).front();
    Ok(IcmpError {
        kind,
        protocol: upper.protocol,
        source: packet.source.into(),
        destination: packet.destination.into(),
        quoted: first_bytes(upper.protocol, transport)?,
    })
}

/// The first eight bytes of a quoted packet's transport (RFC 792). A protocol of a program's own may have packets
/// that are shorter.
fn first_bytes(transport: u8, quoted: &[u8]) -> Result<[u8; 8], Drop> {
    let is_known = matches!(transport, protocol::TCP | protocol::UDP | protocol::ICMP | protocol::ICMPV6);
    match quoted.first_chunk() {
        Some(first) => Ok(*first),
        None if is_known => Err(Drop::IcmpMalformed),
        None => {
            let mut first = [0; 8];
            first[..quoted.len()].copy_from_slice(quoted);
            Ok(first)
        }
    }
}

/// What a router would say about a packet of ours whose destination it can't reach.
pub(crate) fn host_unreachable(packet: &[u8]) -> Result<IcmpError, Drop> {
    let header = |kind, code| IcmpHeader { kind, code, rest: [0; 4] };
    match packet.first().map(|first| first >> 4) {
        Some(4) => parse_error_v4(&header(icmpv4::UNREACHABLE, 1), packet),
        _ => parse_error_v6(&header(icmpv6::UNREACHABLE, 3), packet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a packet of ours, as an error quotes it.
    fn quote(ours: IpAddr, theirs: IpAddr, transport: u8) -> heapless::Vec<u8, 80> {
        let ip = crate::wire::IpHeader::new(ours, theirs, transport, 8);
        let mut headers = [0; crate::wire::HEADERS_LEN_MAX];
        let link = crate::wire::LinkPath { source: Default::default(), destination: Default::default() };
        let len = crate::wire::emit_headers(&mut headers, &link, &ip);
        headers[crate::wire::ETHERNET_LEN..len].iter().copied().chain([7; 8]).collect()
    }

    /// B04: every code of "unreachable" has the meaning that RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1 and RFC 4443
    /// §3.1 give it, and what else is an error has its own.
    #[test]
    fn every_code_has_its_meaning() {
        use IcmpErrorKind as K;
        let v4 = quote("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), protocol::UDP);
        let v6 = quote("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), protocol::UDP);
        let rest = [0, 0, 5, 0xdc];
        let kind_v4 = |kind, code| parse_error_v4(&IcmpHeader { kind, code, rest }, &v4).map(|e| e.kind);
        let kind_v6 = |kind, code| parse_error_v6(&IcmpHeader { kind, code, rest }, &v6).map(|e| e.kind);
        for code in 0..=16 {
            let expected = match code {
                1 | 7 | 8 | 12 => K::HostUnreachable,
                2 => K::ProtocolUnreachable,
                3 => K::PortUnreachable,
                4 => K::TooBig { mtu: 1500 },
                9 | 10 | 13 => K::Prohibited,
                _ => K::NetUnreachable,
            };
            assert_eq!(kind_v4(icmpv4::UNREACHABLE, code), Ok(expected), "code {code}");
            let expected = match code {
                1 | 5 | 6 => K::Prohibited,
                2 | 3 => K::HostUnreachable,
                4 => K::PortUnreachable,
                _ => K::NetUnreachable,
            };
            assert_eq!(kind_v6(icmpv6::UNREACHABLE, code), Ok(expected), "code {code}");
            assert_eq!(kind_v4(icmpv4::TIME_EXCEEDED, code), Ok(K::TimeExceeded));
            assert_eq!(kind_v6(icmpv6::TIME_EXCEEDED, code), Ok(K::TimeExceeded));
            assert_eq!(kind_v4(icmpv4::PARAMETER_PROBLEM, code), Ok(K::ParameterProblem));
            let expected = if code == 1 { K::ProtocolUnreachable } else { K::ParameterProblem };
            assert_eq!(kind_v6(icmpv6::PARAMETER_PROBLEM, code), Ok(expected));
        }
        assert_eq!(kind_v6(icmpv6::TOO_BIG, 0), Ok(K::TooBig { mtu: 1500 }));
        // Source quench and redirect (RFC 6633, RFC 1122 §3.2.2.2).
        assert_eq!([4, 5].map(|kind| kind_v4(kind, 0)), [Err(Drop::IcmpIgnored); 2]);
    }

    /// Whatever is left out, routers that say how long packets may be are heard; others only with `icmp-errors`.
    #[test]
    fn errors_that_are_heard_without_the_feature() {
        let header = |kind, code| IcmpHeader { kind, code, rest: [0; 4] };
        assert!(is_heard_v4(&header(icmpv4::UNREACHABLE, icmpv4::CODE_TOO_BIG)));
        assert!(is_heard_v6(&header(icmpv6::TOO_BIG, 0)));
        let others = [
            is_heard_v4(&header(icmpv4::UNREACHABLE, icmpv4::CODE_PORT)),
            is_heard_v4(&header(icmpv4::TIME_EXCEEDED, icmpv4::CODE_TOO_BIG)),
            is_heard_v6(&header(icmpv6::UNREACHABLE, 0)),
        ];
        assert_eq!(others, [cfg!(feature = "icmp-errors"); 3]);
    }

    /// H085, H090: no error about an error, about what can't be told not to be one, or to who is no single host.
    #[test]
    fn what_may_be_reported() {
        let [v4, v6] = ["10.0.0.2", "fd00::2"].map(|a| a.parse::<IpAddr>().unwrap());
        assert!(may_report(v4, protocol::UDP, &[]) && may_report(v6, protocol::UDP, &[3]));
        assert!(may_report(v4, protocol::ICMP, &[icmpv4::ECHO]));
        assert!(may_report(v6, protocol::ICMPV6, &[icmpv6::ECHO]));
        for (kind, is_error) in
            [(3, true), (4, true), (5, true), (11, true), (12, true), (13, false), (42, true)]
        {
            assert_eq!(may_report(v4, protocol::ICMP, &[kind]), !is_error, "type {kind}");
        }
        for (kind, is_error) in [(1, true), (100, true), (127, true), (133, false), (icmpv6::REDIRECT, true)]
        {
            assert_eq!(may_report(v6, protocol::ICMPV6, &[kind]), !is_error, "type {kind}");
        }
        assert!(!may_report(v4, protocol::ICMP, &[]) && !may_report(v6, protocol::ICMPV6, &[]));
        for nobody in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"] {
            assert!(!may_report(nobody.parse().unwrap(), protocol::UDP, &[]), "{nobody}");
        }
    }

    /// H088: an ICMPv6 error of a type that nobody knows still names the packet that it is about, for the upper
    /// layer; what is no error is not taken for one.
    #[test]
    fn unknown_errors_name_their_packet() {
        let (ours, theirs) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
        let quote = quote(ours, theirs, protocol::UDP);
        let error = parse_error_v6(&IcmpHeader { kind: 100, code: 3, rest: [0; 4] }, &quote).unwrap();
        assert_eq!(
            (error.kind, error.protocol, error.quoted),
            (IcmpErrorKind::Unknown, protocol::UDP, [7; 8])
        );
        assert_eq!((error.source, error.destination), (ours, theirs));
        assert!(is_error_v6(127) && !is_error_v6(128) && !is_error_v6(200));
    }
}
