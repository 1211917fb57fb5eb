//! Fragments: what arrives in parts goes to reassembly, and on from there as one packet.

use core::net::IpAddr;

use super::Stack;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::RxChecksum;
use crate::ip::PacketMeta;
use crate::ip::addresses::Delivery;
use crate::ip::reassembly::{Expired, Fragment, Key};
use crate::ip::v6::{self, FRAGMENT, ParameterProblem, Upper};
use crate::time::Instant;
use crate::wire::{
    FRAGMENT_LEN, FragmentHeader, ICMP_LEN, IPV4_LEN, IPV6_LEN, IcmpHeader, Ipv4Header, Ipv6Header, TCP_LEN,
    UDP_LEN, fragment_of_v4, icmpv4, icmpv6, protocol,
};

/// Of a fragment that was waited for in vain, so much is kept for the error about it (RFC 792; RFC 4443 §3.3).
const QUOTE_MAX: usize = 1232;
/// Where IPv6's header says how long the packet is.
const PAYLOAD_LEN_AT: u32 = 4;
/// Where a fragment header says where its fragment belongs.
const OFFSET_AT: usize = 2;

/// How much of a transport's header a first fragment must hold, so that nothing behind can rewrite it.
//= rfc7112#5: the entire header chain
//= rfc1858#3
const fn transport_len(transport: u8) -> usize {
    match transport {
        protocol::TCP => TCP_LEN,
        protocol::UDP => UDP_LEN,
        protocol::ICMP | protocol::ICMPV6 => ICMP_LEN,
        _ => 0,
    }
}

impl Stack<'_> {
    /// A fragment of an IPv4 datagram for us.
    pub(super) fn ipv4_fragment(
        &mut self,
        meta: &PacketMeta,
        header: &Ipv4Header,
        packet: Bytes<'_>,
        delivery: Delivery,
        now: Instant,
    ) -> Result<(), Drop> {
        if self.reassembly.is_off() || delivery == Delivery::Other {
            return Err(Drop::Ipv4Fragment);
        }
        let fixed = packet.front().first_chunk::<IPV4_LEN>().ok_or(Drop::Ipv4Malformed)?;
        let (ident, offset, more) = fragment_of_v4(fixed);
        let part = packet.slice(header.header_len, usize::MAX);
        // RFC 3128: a second fragment of eight bytes on rewrites TCP's flags.
        let rewrites = header.protocol == protocol::TCP && (1..TCP_LEN as u32).contains(&offset);
        if rewrites || (offset == 0 && part.len() < transport_len(header.protocol)) {
            return Err(Drop::FragmentTiny);
        }
        let key = Key {
            interface: meta.interface,
            source: meta.source,
            destination: meta.destination,
            protocol: header.protocol,
            ident: ident.into(),
        };
        let fragment = Fragment {
            key,
            offset,
            more,
            head: packet.slice(0, header.header_len),
            part,
            named_at: 0,
            next_header: 0,
            ecn: header.traffic_class & 3,
            link_broadcast: meta.link_broadcast,
        };
        self.reassemble(meta, &fragment, now)
    }

    /// A fragment of an IPv6 datagram for us; `upper` is where its fragment header lies.
    pub(super) fn ipv6_fragment(
        &mut self,
        meta: &PacketMeta,
        header: &Ipv6Header,
        upper: Upper,
        packet: Bytes<'_>,
        now: Instant,
    ) -> Result<(), Drop> {
        if self.reassembly.is_off() {
            return Err(Drop::Ipv6Fragment);
        }
        let at = IPV6_LEN + upper.offset;
        let fields = FragmentHeader::parse(packet.slice(at, usize::MAX).front())?;
        if fields.offset == 0 {
            let first = v6::walk_first(header.next_header, packet.slice(IPV6_LEN, usize::MAX));
            let chain = first.map_err(|refusal| match refusal.drop {
                Drop::Ipv6Extension => Drop::FragmentTiny,
                drop => drop,
            })?;
            if packet.len() < IPV6_LEN + chain.offset + transport_len(chain.protocol)
                || chain.protocol == FRAGMENT
            {
                return Err(Drop::FragmentTiny);
            }
        }
        let PacketMeta { interface, source, destination, .. } = *meta;
        let key = Key { interface, source, destination, protocol: 0, ident: fields.ident };
        let fragment = Fragment {
            key,
            offset: fields.offset,
            more: fields.more,
            head: packet.slice(0, at + FRAGMENT_LEN),
            part: packet.slice(at + FRAGMENT_LEN, usize::MAX),
            named_at: upper.named_at as u16,
            next_header: fields.next_header,
            ecn: header.traffic_class & 3,
            link_broadcast: meta.link_broadcast,
        };
        let result = self.reassemble(meta, &fragment, now);
        //= rfc8200#4.5: a length that is no multiple of eight, or leads beyond 65,535, is told
        let pointer = match result {
            Err(Drop::FragmentMalformed) if !fragment.part.is_empty() => PAYLOAD_LEN_AT,
            Err(Drop::FragmentTooLong) if fragment.leads_beyond() => (at + OFFSET_AT) as u32,
            result => return result,
        };
        let problem = ParameterProblem { code: icmpv6::CODE_FIELD, pointer, even_to_group: false };
        self.report_parameter_problem(meta, problem, packet, now);
        result
    }

    fn reassemble(&mut self, meta: &PacketMeta, fragment: &Fragment<'_>, now: Instant) -> Result<(), Drop> {
        let taken = self.reassembly.take(fragment, &mut self.pool, now);
        for _ in 0..self.reassembly.take_gave_way() {
            self.count_drop(Drop::FragmentGaveWay, now);
        }
        let Some((len, link_broadcast)) = taken? else { return Ok(()) };
        let buffer = self.reassembly.lend();
        let parts = [buffer.get(..len).unwrap_or(&[])];
        // H217: what the device knew was about one frame.
        let checksum = RxChecksum::Unchecked;
        let meta = PacketMeta { checksum, segment_len: None, link_broadcast, ..*meta };
        let result = self.whole_input(meta, Bytes::new(&parts), now);
        self.reassembly.give_back(buffer);
        result
    }

    /// A datagram that was put together goes on like one that came whole.
    fn whole_input(&mut self, meta: PacketMeta, packet: Bytes<'_>, now: Instant) -> Result<(), Drop> {
        match meta.source {
            IpAddr::V4(_) => {
                let header = Ipv4Header::parse(packet)?;
                let meta =
                    PacketMeta { traffic_class: header.traffic_class, hop_limit: header.hop_limit, ..meta };
                // Fragments of offers of an address were not taken.
                self.ipv4_upper(&meta, &header, packet, Delivery::Ours, now)
            }
            IpAddr::V6(_) => {
                let header = Ipv6Header::parse(packet)?;
                let meta =
                    PacketMeta { traffic_class: header.traffic_class, hop_limit: header.hop_limit, ..meta };
                self.ipv6_upper(&meta, &header, packet, now)
            }
        }
    }

    /// Gives up the datagrams whose rest did not come in time, and tells their senders.
    pub(super) fn reassembly_timers(&mut self, now: Instant) {
        while let Some(expired) = self.reassembly.expire(QUOTE_MAX, &mut self.pool, now) {
            let Some(expired) = expired else { continue };
            self.count_drop(Drop::FragmentTimeout, now);
            if expired.quoted > 0 {
                self.report_reassembly_time(&expired, now);
            }
        }
    }

    /// Time Exceeded, where the first fragment has come (RFC 792, RFC 1122 §3.3.2, RFC 4443 §3.3).
    fn report_reassembly_time(&mut self, expired: &Expired, now: Instant) {
        let key = &expired.key;
        let meta = PacketMeta {
            interface: key.interface,
            source: key.source,
            destination: key.destination,
            traffic_class: 0,
            hop_limit: 0,
            checksum: RxChecksum::Unchecked,
            segment_len: None,
            link_broadcast: expired.link_broadcast || crate::ip::is_group(key.destination),
        };
        let buffer = self.reassembly.lend();
        let parts = [buffer.get(..expired.quoted).unwrap_or(&[])];
        let packet = Bytes::new(&parts);
        let (kind, transport) = match key.source {
            IpAddr::V4(_) => {
                let header = Ipv4Header::parse_quoted(packet.front()).map_or(IPV4_LEN, |(h, _)| h.header_len);
                (icmpv4::TIME_EXCEEDED, (key.protocol, packet.slice(header, usize::MAX).front()))
            }
            IpAddr::V6(_) => (icmpv6::TIME_EXCEEDED, v6::last_transport(packet)),
        };
        let header = IcmpHeader { kind, code: icmpv4::CODE_REASSEMBLY, rest: [0; 4] };
        self.report(&meta, header, packet, transport, false, now);
        self.reassembly.give_back(buffer);
    }
}
