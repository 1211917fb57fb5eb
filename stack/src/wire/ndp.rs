//! Neighbour solicitations and advertisements (RFC 4861 §4.3, §4.4).

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
}

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
        let mac = link_address(&message[FIXED_LEN..], wanted)?;
        Ok(NeighborMessage { kind, target, mac })
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
        let Some(mac) = self.mac else {
            return FIXED_LEN;
        };
        let mut view = NdiscOption::new_unchecked(&mut buf[FIXED_LEN..]);
        view.set_option_type(option);
        view.set_data_len(1);
        view.set_link_layer_addr(RawHardwareAddress::from_bytes(&mac.0));
        NDP_LEN_MAX
    }
}

/// Walks the options (each counted in units of 8 bytes) for the wanted address. An option of
/// length zero or past the end spoils the message; others are skipped.
fn link_address(mut options: &[u8], wanted: NdiscOptionType) -> Result<Option<Mac>, Drop> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        let len = usize::from(units) * 8;
        if len == 0 || len > options.len() {
            return Err(Drop::NdpMalformed);
        }
        if NdiscOptionType::from(kind) == wanted {
            found = options[2..].first_chunk().map(|mac| Mac(*mac));
        }
        options = &options[len..];
    }
    match options {
        [] => Ok(found),
        _ => Err(Drop::NdpMalformed),
    }
}
