//! Frames judged by a parser that shares nothing with ours: lengths, headers, checksums.

use etherparse::{NetHeaders, PacketHeaders, TransportHeader};

/// What the frame of at most 1514 bytes is, or what is wrong with it. Checksums must be complete.
///
/// # Errors
///
/// What is wrong, or what the judge does not know.
pub fn judge(frame: &[u8]) -> Result<&'static str, String> {
    if !(14..=1514).contains(&frame.len()) {
        return Err(format!("{} bytes", frame.len()));
    }
    let packet = PacketHeaders::from_ethernet_slice(frame).map_err(|why| why.to_string())?;
    let payload = packet.payload.slice();
    let (given, right, name) = match (&packet.net, &packet.transport) {
        (Some(NetHeaders::Arp(_)), None) => return Ok("arp"),
        (Some(NetHeaders::Ipv4(ip, _)), Some(transport)) => {
            if ip.header_checksum != ip.calc_header_checksum() {
                return Err("IPv4's header checksum".into());
            }
            match transport {
                TransportHeader::Tcp(h) => (h.checksum, h.calc_checksum_ipv4(ip, payload), "tcp4"),
                TransportHeader::Udp(h) => (h.checksum, h.calc_checksum_ipv4(ip, payload), "udp4"),
                TransportHeader::Icmpv4(h) => (h.checksum, Ok(h.icmp_type.calc_checksum(payload)), "icmp4"),
                other => return Err(format!("not of IPv4: {other:?}")),
            }
        }
        (Some(NetHeaders::Ipv6(ip, _)), Some(transport)) => match transport {
            TransportHeader::Tcp(h) => (h.checksum, h.calc_checksum_ipv6(ip, payload), "tcp6"),
            TransportHeader::Udp(h) => (h.checksum, h.calc_checksum_ipv6(ip, payload), "udp6"),
            TransportHeader::Icmpv6(h) => {
                (h.checksum, h.icmp_type.calc_checksum(ip.source, ip.destination, payload), "icmp6")
            }
            other => return Err(format!("not of IPv6: {other:?}")),
        },
        other => return Err(format!("unknown: {other:?}")),
    };
    match right {
        Ok(right) if right == given => Ok(name),
        right => Err(format!("the checksum of {name} is {given:#06x}, right is {right:x?}")),
    }
}
