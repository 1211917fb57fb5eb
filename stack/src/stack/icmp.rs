//! ICMP of both families: echo is answered, errors are sent and passed on.

use core::net::IpAddr;

use super::Stack;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::RxChecksum;
use crate::ip::icmp::{
    is_error_v4, is_error_v6, is_heard_v4, is_heard_v6, may_report, parse_error_v4, parse_error_v6,
};
use crate::ip::{IcmpError, PacketMeta, v6};
use crate::time::Instant;
#[cfg(feature = "multicast")]
use crate::wire::mld;
use crate::wire::{
    Checksum, ICMP_LEN, IPV6_LEN, IcmpHeader, IpHeader, icmpv4, icmpv6, protocol, pseudo_header,
};

/// An ICMPv4 error with its quote and both headers fits in what every host must take (RFC 1812
/// §4.3.2.3); an ICMPv6 error in the smallest MTU (RFC 4443 §2.4(c), H089).
const ERROR_LEN_V4: usize = 576;
const ERROR_LEN_V6: usize = 1280;

impl Stack<'_> {
    pub(super) fn icmpv4_input(
        &mut self,
        meta: &PacketMeta,
        message: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        self.counters.icmp.received.count(message.len());
        let header = IcmpHeader::parse(message.front())?;
        check(meta, Checksum::default(), message)?;
        let body = message.slice(ICMP_LEN, usize::MAX);
        match header.kind {
            // H091: no amplifier for forged pings.
            icmpv4::ECHO if meta.link_broadcast => Err(Drop::IcmpBroadcastEcho),
            icmpv4::ECHO => {
                self.echo_reply(meta, meta.destination, icmpv4::ECHO_REPLY, header, body, now);
                Ok(())
            }
            icmpv4::ECHO_REPLY if cfg!(feature = "udp") => self.echo_input(meta, &header, body, now),
            // H083: nobody here sends what an error could be about.
            kind if is_error_v4(kind) && cfg!(not(any(feature = "tcp", feature = "udp"))) => {
                Err(Drop::IcmpForeign)
            }
            kind if is_error_v4(kind) && is_heard_v4(&header) => {
                let error = parse_error_v4(&header, body.front())?;
                self.icmp_error_input(meta, error, now)
            }
            _ => Err(Drop::IcmpIgnored),
        }
    }

    pub(super) fn icmpv6_input(
        &mut self,
        meta: &PacketMeta,
        message: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        self.counters.icmp.received.count(message.len());
        let header = IcmpHeader::parse(message.front())?;
        let sum = pseudo_header(meta.source, meta.destination, protocol::ICMPV6, message.len());
        check(meta, sum, message)?;
        let body = message.slice(ICMP_LEN, usize::MAX);
        match header.kind {
            icmpv6::ECHO => {
                let source = self.own_unicast(meta)?;
                self.echo_reply(meta, source, icmpv6::ECHO_REPLY, header, body, now);
                Ok(())
            }
            icmpv6::ECHO_REPLY if cfg!(feature = "udp") => self.echo_input(meta, &header, body, now),
            #[cfg(feature = "multicast")]
            mld::QUERY..=mld::DONE | mld::REPORT_V2 => self.mld_input(meta, message, now),
            icmpv6::ROUTER_SOLICIT..=icmpv6::REDIRECT => self.ndp_input(meta, message.front(), now),
            kind if is_error_v6(kind) && cfg!(not(any(feature = "tcp", feature = "udp"))) => {
                Err(Drop::IcmpForeign)
            }
            kind if is_error_v6(kind) && is_heard_v6(&header) => {
                let error = parse_error_v6(&header, body.front())?;
                self.icmp_error_input(meta, error, now)
            }
            _ => Err(Drop::IcmpIgnored),
        }
    }

    /// The address to answer a packet from: the one it was for, or one of ours if that is a group.
    fn own_unicast(&self, meta: &PacketMeta) -> Result<IpAddr, Drop> {
        if self.is_ours(meta.destination) {
            return Ok(meta.destination);
        }
        if meta.source.is_unspecified() {
            return Err(Drop::NoRoute);
        }
        let path = self.path(meta.source, Some(meta.interface), None);
        path.map(|p| p.source).map_err(|_| Drop::NoRoute)
    }

    fn echo_reply(
        &mut self,
        meta: &PacketMeta,
        source: IpAddr,
        kind: u8,
        request: IcmpHeader,
        body: Bytes<'_>,
        now: Instant,
    ) {
        let reply = IcmpHeader { kind, code: 0, rest: request.rest };
        self.icmp_answer(meta, source, reply, body, now);
    }

    /// Sends an ICMP message back to where a packet came from.
    fn icmp_answer(
        &mut self,
        meta: &PacketMeta,
        source: IpAddr,
        header: IcmpHeader,
        body: Bytes<'_>,
        now: Instant,
    ) {
        let path = self.answer_path(meta.source, meta.interface, source);
        // The way back may lead over another interface.
        let Ok(path) = path.or_else(|_| self.path(meta.source, None, Some(source))) else {
            return self.count_drop(Drop::NoRoute, now);
        };
        #[cfg(feature = "fragments")]
        let path = self.as_learnt(path, meta.source);
        let message = icmp_message(header, source, meta.source, body);
        let transport = if source.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
        let ip = IpHeader::new(source, meta.source, transport, 0);
        self.send_answer(&path, &ip, &message, body, now);
    }

    fn icmp_error_input(&mut self, meta: &PacketMeta, error: IcmpError, now: Instant) -> Result<(), Drop> {
        // H083: we can't have sent the packet.
        if !self.is_ours_in(meta.interface, error.source) || crate::ip::is_group(error.destination) {
            return Err(Drop::IcmpForeign);
        }
        match error.protocol {
            protocol::TCP => self.tcp_icmp_error(meta, error, now),
            #[cfg(feature = "fragments")]
            protocol::UDP | protocol::ICMP | protocol::ICMPV6
                if let crate::ip::IcmpErrorKind::TooBig { mtu } = error.kind =>
            {
                return self.datagram_too_big(&error, mtu, now);
            }
            _ => self.sender_error(&error)?,
        }
        Ok(())
    }

    /// Tells the socket that sent a packet, which was none of TCP's, what became of it.
    pub(super) fn sender_error(&mut self, error: &IcmpError) -> Result<(), Drop> {
        match error.protocol {
            protocol::UDP | protocol::ICMP | protocol::ICMPV6 => self.datagram_error(error),
            #[cfg(feature = "raw")]
            _ => self.raw_icmp_error(error),
            #[cfg(not(feature = "raw"))]
            _ => Err(Drop::IcmpForeign),
        }
    }

    /// Tells the sender of a packet that nobody listens on its port.
    pub(super) fn report_port(&mut self, meta: &PacketMeta, packet: Bytes<'_>, transport: u8, now: Instant) {
        let (kind, code) = match meta.source {
            IpAddr::V4(_) => (icmpv4::UNREACHABLE, icmpv4::CODE_PORT),
            IpAddr::V6(_) => (icmpv6::UNREACHABLE, icmpv6::CODE_PORT),
        };
        let header = IcmpHeader { kind, code, rest: [0; 4] };
        self.report(meta, header, packet, (transport, &[]), false, now);
    }

    /// Tells the sender of an IPv4 packet that we don't speak its protocol.
    pub(super) fn report_protocol(&mut self, meta: &PacketMeta, packet: Bytes<'_>, now: Instant) {
        let header = IcmpHeader { kind: icmpv4::UNREACHABLE, code: icmpv4::CODE_PROTOCOL, rest: [0; 4] };
        self.report(meta, header, packet, (u8::MAX, &[]), false, now);
    }

    /// Tells the sender of an IPv6 packet which byte we did not understand.
    pub(super) fn report_parameter_problem(
        &mut self,
        meta: &PacketMeta,
        problem: v6::ParameterProblem,
        packet: Bytes<'_>,
        now: Instant,
    ) {
        let header = IcmpHeader {
            kind: icmpv6::PARAMETER_PROBLEM,
            code: problem.code,
            rest: problem.pointer.to_be_bytes(),
        };
        let transport = v6::last_transport(packet);
        self.report(meta, header, packet, transport, problem.even_to_group, now);
    }

    /// Sends an ICMP error about `packet` (IP header on), whose transport header is given as far
    /// as it matters. RFC 1122 §3.2.2, RFC 4443 §2.4(e).
    pub(super) fn report(
        &mut self,
        meta: &PacketMeta,
        header: IcmpHeader,
        packet: Bytes<'_>,
        (transport, message): (u8, &[u8]),
        even_to_group: bool,
        now: Instant,
    ) {
        if cfg!(not(feature = "icmp-errors")) {
            return;
        }
        // H085, H090
        let forbidden = meta.link_broadcast && !even_to_group;
        if forbidden || !may_report(meta.source, transport, message) {
            return;
        }
        let Ok(source) = self.own_unicast(meta) else {
            return self.count_drop(Drop::NoRoute, now);
        };
        if !self.icmp_bucket.take(now) {
            return self.count_drop(Drop::IcmpRateLimit, now);
        }
        let room = match source {
            IpAddr::V4(_) => ERROR_LEN_V4 - crate::wire::IPV4_LEN - ICMP_LEN,
            IpAddr::V6(_) => ERROR_LEN_V6 - IPV6_LEN - ICMP_LEN,
        };
        self.icmp_answer(meta, source, header, packet.slice(0, room), now);
    }
}

/// A message's header with the checksum over it and the body.
pub(super) fn icmp_message(
    header: IcmpHeader,
    source: IpAddr,
    destination: IpAddr,
    body: Bytes<'_>,
) -> [u8; ICMP_LEN] {
    let mut sum = match source {
        IpAddr::V4(_) => Checksum::default(),
        IpAddr::V6(_) => pseudo_header(source, destination, protocol::ICMPV6, ICMP_LEN + body.len()),
    };
    sum.add(&header.emit(0));
    sum.add_bytes(body);
    header.emit(sum.finish())
}

fn check(meta: &PacketMeta, mut sum: Checksum, message: Bytes<'_>) -> Result<(), Drop> {
    if meta.checksum == RxChecksum::Valid {
        return Ok(());
    }
    sum.add_bytes(message);
    if sum.is_valid() { Ok(()) } else { Err(Drop::IcmpChecksum) }
}
