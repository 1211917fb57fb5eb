//! Neighbour solicitations and advertisements (RFC 4861 §4.3, §4.4), and the options of all NDP messages (§4.6).

use core::net::Ipv6Addr;

use smoltcp::wire::{
    Icmpv6Message, Icmpv6Packet, NdiscNeighborFlags, NdiscOption, NdiscOptionType, RawHardwareAddress,
};

use crate::counters::Drop;
use crate::device::Mac;

/// Longest message that the stack emits: 24 bytes and one link-layer address option.
pub(crate) const NDP_LEN_MAX: usize = 32;

/// Question or answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NeighborMessageKind {
    /// Who has the target address?
    Solicit,
    /// The sender has it.
    Advert {
        /// The sender is a router.
        router: bool,
        /// It answers a solicitation.
        solicited: bool,
        /// It replaces what is known.
        override_known: bool,
    },
}

/// A neighbour solicitation or advertisement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NeighborMessage {
    /// Question or answer.
    pub kind: NeighborMessageKind,
    /// The address in question.
    pub target: Ipv6Addr,
    /// The sender's (in a solicitation) or the target's (in an advertisement) hardware address.
    pub mac: Option<Mac>,
    /// By which the sender of a solicitation knows it again when it is looped back (RFC 7527 §4); in one without a
    /// hardware address.
    pub nonce: Option<[u8; 6]>,
}

/// The option that RFC 3971 §5.3.2 has for it.
const NONCE: NdiscOptionType = NdiscOptionType::Unknown(14);

/// Fixed part of both messages.
const FIXED_LEN: usize = 24;

impl NeighborMessage {
    /// Reads a message whose checksum and hop limit are already checked. RFC 4861 §7.1.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Drop> {
        let view = Icmpv6Packet::new_checked(message).map_err(|_| Drop::NdpMalformed)?;
        if message.len() < FIXED_LEN || view.msg_code() != 0 {
            return Err(Drop::NdpMalformed);
        }
        let (kind, wanted) = match view.msg_type() {
            Icmpv6Message::NeighborSolicit => {
                (NeighborMessageKind::Solicit, NdiscOptionType::SourceLinkLayerAddr)
            }
            Icmpv6Message::NeighborAdvert => {
                let flags = view.neighbor_flags();
                let kind = NeighborMessageKind::Advert {
                    router: flags.contains(NdiscNeighborFlags::ROUTER),
                    solicited: flags.contains(NdiscNeighborFlags::SOLICITED),
                    override_known: flags.contains(NdiscNeighborFlags::OVERRIDE),
                };
                (kind, NdiscOptionType::TargetLinkLayerAddr)
            }
            _ => return Err(Drop::NdpIgnored),
        };
        let target = view.target_addr();
        if target.is_multicast() {
            return Err(Drop::NdpMalformed);
        }
        let options = &message[FIXED_LEN..];
        Options::check(options)?;
        let mac = Options::link_address(options, wanted);
        let nonce = Options::link_address(options, NONCE).map(|nonce| nonce.0);
        Ok(NeighborMessage { kind, target, mac, nonce })
    }

    /// Writes the message with a checksum of zero to the front of `buf` and returns its length.
    pub(crate) fn emit(&self, buf: &mut [u8; NDP_LEN_MAX]) -> usize {
        buf.fill(0);
        let mut view = Icmpv6Packet::new_unchecked(&mut buf[..]);
        let option = match self.kind {
            NeighborMessageKind::Solicit => {
                view.set_msg_type(Icmpv6Message::NeighborSolicit);
                NdiscOptionType::SourceLinkLayerAddr
            }
            NeighborMessageKind::Advert { router, solicited, override_known } => {
                view.set_msg_type(Icmpv6Message::NeighborAdvert);
                let mut flags = NdiscNeighborFlags::empty();
                flags.set(NdiscNeighborFlags::ROUTER, router);
                flags.set(NdiscNeighborFlags::SOLICITED, solicited);
                flags.set(NdiscNeighborFlags::OVERRIDE, override_known);
                view.set_neighbor_flags(flags);
                NdiscOptionType::TargetLinkLayerAddr
            }
        };
        view.set_target_addr(self.target);
        let (option, content) = match (self.mac, self.nonce) {
            (Some(mac), _) => (option, mac.0),
            (None, Some(nonce)) => (NONCE, nonce),
            (None, None) => return FIXED_LEN,
        };
        let mut view = NdiscOption::new_unchecked(&mut buf[FIXED_LEN..]);
        view.set_option_type(option);
        view.set_data_len(1);
        view.set_link_layer_addr(RawHardwareAddress::from_bytes(&content));
        NDP_LEN_MAX
    }
}

/// The options of a message, each counted in units of 8 bytes, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Options<'m>(pub(super) &'m [u8]);

impl Options<'_> {
    /// An option of length zero or past the end spoils the message (H105).
    pub(super) fn check(options: &[u8]) -> Result<(), Drop> {
        let walked = Options(options).map(<[u8]>::len).sum::<usize>();
        if walked == options.len() { Ok(()) } else { Err(Drop::NdpMalformed) }
    }

    /// The hardware address in the last option of this type; others are skipped (H106).
    pub(super) fn link_address(options: &[u8], wanted: NdiscOptionType) -> Option<Mac> {
        let fit = Options(options).filter(|option| NdiscOptionType::from(option[0]) == wanted);
        fit.last().and_then(|option| option[2..].first_chunk().map(|mac| Mac(*mac)))
    }
}

impl<'m> Iterator for Options<'m> {
    type Item = &'m [u8];

    fn next(&mut self) -> Option<&'m [u8]> {
        let [_, units, ..] = *self.0 else { return None };
        let len = usize::from(units) * 8;
        if len == 0 || len > self.0.len() {
            return None;
        }
        let (option, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(option)
    }
}
