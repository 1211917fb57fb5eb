//! Ethernet headers.

use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol};

use crate::counters::Drop;
use crate::device::Mac;

/// Length of an Ethernet header in bytes.
pub(crate) const ETHERNET_LEN: usize = 14;
/// The type of a frame with a tag (IEEE 802.1Q §9.6), and the tag's length.
const TAGGED: u16 = 0x8100;
const TAG_LEN: usize = 4;
/// The bits of a tag that name a VLAN; 0: none, the tag gives a priority only.
const VLAN_MASK: u16 = 0x0fff;

/// What a frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EtherType {
    /// 0x0806
    Arp,
    /// 0x0800
    Ipv4,
    /// 0x86dd
    Ipv6,
    /// A length (802.3 with LLC) rather than a type.
    Llc,
    /// Anything else.
    Other(u16),
}

#[cfg(feature = "raw")]
impl EtherType {
    /// The number in the header; `None`: it has a length there.
    pub(crate) const fn number(self) -> Option<u16> {
        match self {
            EtherType::Arp => Some(0x0806),
            EtherType::Ipv4 => Some(0x0800),
            EtherType::Ipv6 => Some(0x86dd),
            EtherType::Llc => None,
            EtherType::Other(number) => Some(number),
        }
    }
}

/// The two hardware addresses of a frame that we send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LinkPath {
    /// The interface's own.
    pub source: Mac,
    /// The next hop's.
    pub destination: Mac,
}

/// A received Ethernet header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EthernetHeader {
    /// Whom it is for.
    pub destination: Mac,
    /// Who sent it.
    pub source: Mac,
    /// What follows.
    pub kind: EtherType,
    /// Bytes before that: 14, and 4 more for a tag.
    pub len: usize,
}

impl EthernetHeader {
    /// Reads the header at the front of `frame`, which may have a tag of this VLAN; 0: of none.
    #[inline]
    pub(crate) fn parse(frame: &[u8], vlan: u16) -> Result<Self, Drop> {
        let fixed = frame.first_chunk::<ETHERNET_LEN>().ok_or(Drop::EthernetShort)?;
        let view = EthernetFrame::new_unchecked(fixed);
        let (mut kind, mut len) = (view.ethertype(), ETHERNET_LEN);
        if kind == EthernetProtocol::Unknown(TAGGED) {
            let tag = frame[ETHERNET_LEN..].first_chunk::<TAG_LEN>().ok_or(Drop::EthernetShort)?;
            let [control, inner] = [[tag[0], tag[1]], [tag[2], tag[3]]].map(u16::from_be_bytes);
            if [0, vlan].contains(&(control & VLAN_MASK)) {
                (kind, len) = (inner.into(), ETHERNET_LEN + TAG_LEN);
            }
        }
        Ok(EthernetHeader {
            destination: Mac(view.dst_addr().0),
            source: Mac(view.src_addr().0),
            len,
            kind: match kind {
                EthernetProtocol::Arp => EtherType::Arp,
                EthernetProtocol::Ipv4 => EtherType::Ipv4,
                EthernetProtocol::Ipv6 => EtherType::Ipv6,
                // IEEE 802.3 §3.2.6: up to 1500 it is a length.
                EthernetProtocol::Unknown(0..=1500) => EtherType::Llc,
                EthernetProtocol::Unknown(other) => EtherType::Other(other),
            },
        })
    }
}

/// Writes the header into the first 14 bytes of `buf`.
pub(crate) fn emit(buf: &mut [u8], link: &LinkPath, kind: EtherType) -> usize {
    let mut view = EthernetFrame::new_unchecked(buf);
    view.set_src_addr(EthernetAddress(link.source.0));
    view.set_dst_addr(EthernetAddress(link.destination.0));
    view.set_ethertype(match kind {
        EtherType::Arp => EthernetProtocol::Arp,
        EtherType::Ipv4 => EthernetProtocol::Ipv4,
        EtherType::Ipv6 => EthernetProtocol::Ipv6,
        EtherType::Llc => EthernetProtocol::Unknown(0),
        EtherType::Other(other) => EthernetProtocol::Unknown(other),
    });
    ETHERNET_LEN
}
