//! Ethernet and IP header of the packets between two hosts: made once, and patched for each packet.

use core::net::IpAddr;

use super::{
    Checksum, ETHERNET_LEN, HEADERS_LEN_MAX, IPV4_LEN, IpHeader, LinkPath, emit_headers, pseudo_header,
};
use crate::device::Mac;

/// What is the same in all packets between two hosts.
pub(crate) struct HeaderTemplate {
    bytes: [u8; HEADERS_LEN_MAX],
    is_v6: bool,
    /// Sum of addresses and protocol: the pseudo-header without the length.
    pseudo: Checksum,
    /// Sum of the IPv4 header, all that differs taken as zero.
    sum: Checksum,
}

/// What differs from packet to packet.
#[derive(Clone, Copy)]
pub(crate) struct PacketFields {
    /// Whom the frame is for on the link.
    pub(crate) mac: Mac,
    /// DSCP and ECN.
    pub(crate) traffic_class: u8,
    pub(crate) hop_limit: u8,
    /// IPv6 flow label, 20 bits.
    pub(crate) flow_label: u32,
    /// Transport header and payload in bytes.
    pub(crate) payload_len: u16,
}

impl HeaderTemplate {
    /// For packets from one of our hardware addresses, which must not be fragmented.
    pub(crate) fn new(mac: Mac, source: IpAddr, destination: IpAddr, protocol: u8) -> Self {
        let mut bytes = [0; HEADERS_LEN_MAX];
        let ip = IpHeader { hop_limit: 0, ..IpHeader::new(source, destination, protocol, 0) };
        emit_headers(&mut bytes, &LinkPath { source: mac, destination: Mac::default() }, &ip);
        let (is_v6, mut sum) = (destination.is_ipv6(), Checksum::default());
        let pseudo = pseudo_header(source, destination, protocol, 0);
        if !is_v6 {
            bytes[16..18].fill(0);
            bytes[24..26].fill(0);
            sum.add(&bytes[ETHERNET_LEN..ETHERNET_LEN + IPV4_LEN]);
        }
        HeaderTemplate { bytes, is_v6, pseudo, sum }
    }

    /// Sum of addresses and protocol: the pseudo-header without the length.
    #[inline]
    pub(crate) fn pseudo(&self) -> Checksum {
        self.pseudo
    }

    /// Writes both headers to the front of `buf`, and returns their length. What follows there is overwritten up to
    /// [`HEADERS_LEN_MAX`].
    #[inline(always)] // at every segment
    pub(crate) fn emit<const N: usize>(&self, buf: &mut [u8; N], fields: &PacketFields) -> usize {
        let PacketFields { mac, traffic_class, hop_limit, flow_label, payload_len } = *fields;
        let Some(front) = buf.first_chunk_mut::<HEADERS_LEN_MAX>() else { return 0 };
        *front = self.bytes;
        front[..6].copy_from_slice(&mac.0);
        if self.is_v6 {
            let first = 6 << 28 | u32::from(traffic_class) << 20 | flow_label;
            front[14..18].copy_from_slice(&first.to_be_bytes());
            front[18..20].copy_from_slice(&payload_len.to_be_bytes());
            front[21] = hop_limit;
            return HEADERS_LEN_MAX;
        }
        let len = payload_len + IPV4_LEN as u16;
        front[15] = traffic_class;
        front[16..18].copy_from_slice(&len.to_be_bytes());
        front[22] = hop_limit;
        let mut sum = self.sum;
        sum.add_word(u16::from(traffic_class));
        sum.add_word(len);
        sum.add_word(u16::from(hop_limit) << 8);
        front[24..26].copy_from_slice(&sum.finish().to_be_bytes());
        ETHERNET_LEN + IPV4_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both families, and fields with every bit: the same bytes as from all fields anew.
    #[test]
    fn a_patched_template_equals_headers_made_anew() {
        let macs = [Mac([2, 0, 0, 0, 0, 1]), Mac([0xff, 0xfe, 3, 4, 5, 6])];
        for [source, destination] in [["10.0.0.1", "255.254.1.2"], ["fd00::1", "2001:db8::ffff"]] {
            let [source, destination]: [IpAddr; 2] = [source, destination].map(|a| a.parse().unwrap());
            let template = HeaderTemplate::new(macs[0], source, destination, 6);
            for (traffic_class, hop_limit, flow_label, payload_len) in
                [(0, 64, 0, 20), (0xff, 255, 0xf_ffff, 65_000), (0x12, 1, 0x1_2345, 1), (2, 0, 7, 1480)]
            {
                let ip = IpHeader {
                    hop_limit,
                    traffic_class,
                    flow_label,
                    ..IpHeader::new(source, destination, 6, payload_len.into())
                };
                let (mut anew, mut patched) = ([0; 60], [0xaa; 60]);
                let len = emit_headers(&mut anew, &LinkPath { source: macs[0], destination: macs[1] }, &ip);
                let fields = PacketFields { mac: macs[1], traffic_class, hop_limit, flow_label, payload_len };
                assert_eq!(template.emit(&mut patched, &fields), len);
                assert_eq!(patched[..len], anew[..len], "{fields:?}", fields = ip);
            }
        }
    }
}
