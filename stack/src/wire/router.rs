//! Router solicitations, router advertisements and redirects (RFC 4861 §4.1, §4.2, §4.5), with the options of RFC 4191 and
//! RFC 8106.

use core::net::Ipv6Addr;

use smoltcp::wire::{
    Icmpv6Message, Icmpv6Packet, NdiscOption, NdiscOptionType, NdiscPrefixInfoFlags, RawHardwareAddress,
};

use super::ndp::Options;
use crate::counters::Drop;
use crate::device::Mac;
use crate::ip::learnt::Preference;

/// Length of a router solicitation with its option.
pub(crate) const SOLICIT_LEN_MAX: usize = 16;
/// Fixed parts.
const SOLICIT_LEN: usize = 8;
const ADVERT_LEN: usize = 16;
const REDIRECT_LEN: usize = 40;
/// Where an advertisement has the flags (RFC 4191 §2.2).
const FLAGS_AT: usize = 5;
/// Option types that smoltcp does not know.
const ROUTE_INFORMATION: u8 = 24;
const RDNSS: u8 = 25;
const DNSSL: u8 = 31;

/// Two bits, which lie at 0x18 of their byte (RFC 4191 §2.1). `None`: the reserved value.
const fn preference(byte: u8) -> Option<Preference> {
    match byte >> 3 & 3 {
        0b01 => Some(Preference::High),
        0b00 => Some(Preference::Medium),
        0b11 => Some(Preference::Low),
        _ => None,
    }
}

/// A router advertisement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouterAdvert<'m> {
    /// For our packets; 0: it does not say.
    pub(crate) hop_limit: u8,
    pub(crate) preference: Preference,
    /// As a default router, in seconds.
    pub(crate) lifetime: u16,
    /// In milliseconds; 0: it does not say.
    pub(crate) reachable_ms: u32,
    pub(crate) retrans_ms: u32,
    /// DHCP gives addresses (M), and other configuration (O).
    #[cfg(feature = "dhcpv6")]
    pub(crate) managed: bool,
    #[cfg(feature = "dhcpv6")]
    pub(crate) other: bool,
    options: &'m [u8],
}

/// What an advertisement says besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RouterOption<'m> {
    Mac(Mac),
    Prefix {
        prefix: Ipv6Addr,
        len: u8,
        on_link: bool,
        autonomous: bool,
        valid: u32,
        preferred: u32,
    },
    Mtu(u32),
    Route {
        prefix: Ipv6Addr,
        len: u8,
        preference: Preference,
        lifetime: u32,
    },
    /// Addresses of 16 bytes each.
    DnsServers {
        lifetime: u32,
        servers: &'m [u8],
    },
    /// Names as DNS writes them, then zeroes.
    SearchDomains {
        lifetime: u32,
        names: &'m [u8],
    },
}

impl<'m> RouterAdvert<'m> {
    /// Reads a message whose checksum and hop limit are already checked. Options of a wrong length spoil it.
    //= rfc4861#6.1.2
    pub(crate) fn parse(message: &'m [u8]) -> Result<Self, Drop> {
        let view = Icmpv6Packet::new_checked(message).map_err(|_| Drop::NdpMalformed)?;
        let flags = *message.get(FLAGS_AT).ok_or(Drop::NdpMalformed)?;
        if message.len() < ADVERT_LEN || view.msg_code() != 0 {
            return Err(Drop::NdpMalformed);
        }
        let options = &message[ADVERT_LEN..];
        Options::check(options)?;
        Ok(RouterAdvert {
            hop_limit: view.current_hop_limit(),
            // RFC 4191 §2.2: the reserved value is as good as medium.
            preference: preference(flags).unwrap_or(Preference::Medium),
            lifetime: view.router_lifetime().secs() as u16,
            reachable_ms: view.reachable_time().total_millis() as u32,
            retrans_ms: view.retrans_time().total_millis() as u32,
            #[cfg(feature = "dhcpv6")]
            managed: flags & 0x80 != 0,
            #[cfg(feature = "dhcpv6")]
            other: flags & 0x40 != 0,
            options,
        })
    }

    /// The options that we know; an error for each whose content makes no sense, which is to be left out.
    pub(crate) fn options(&self) -> impl Iterator<Item = Result<RouterOption<'m>, Drop>> + use<'m> {
        Options(self.options).filter_map(|option| parse_option(option).transpose())
    }
}

fn parse_option(option: &[u8]) -> Result<Option<RouterOption<'_>>, Drop> {
    let view = NdiscOption::new_unchecked(option);
    let is_long = |len: usize| if option.len() >= len { Ok(()) } else { Err(Drop::NdpOption) };
    let found = match view.option_type() {
        NdiscOptionType::SourceLinkLayerAddr => {
            option[2..].first_chunk().map(|mac| RouterOption::Mac(Mac(*mac)))
        }
        NdiscOptionType::PrefixInformation => {
            is_long(32)?;
            let flags = view.prefix_flags();
            let seconds = |at: usize| be32(option, at);
            Some(RouterOption::Prefix {
                prefix: view.prefix(),
                len: view.prefix_len(),
                on_link: flags.contains(NdiscPrefixInfoFlags::ON_LINK),
                autonomous: flags.contains(NdiscPrefixInfoFlags::ADDRCONF),
                valid: seconds(4),
                preferred: seconds(8),
            })
        }
        NdiscOptionType::Mtu => Some(RouterOption::Mtu(view.mtu())),
        NdiscOptionType::Unknown(ROUTE_INFORMATION) => return route(option),
        NdiscOptionType::Unknown(RDNSS) => {
            // RFC 8106 §5.3.1: three or more units, and whole addresses.
            is_long(24)?;
            let servers = &option[8..];
            if !servers.len().is_multiple_of(16) {
                return Err(Drop::NdpOption);
            }
            Some(RouterOption::DnsServers { lifetime: be32(option, 4), servers })
        }
        NdiscOptionType::Unknown(DNSSL) => {
            is_long(16)?;
            Some(RouterOption::SearchDomains { lifetime: be32(option, 4), names: &option[8..] })
        }
        _ => None,
    };
    Ok(found)
}

/// RFC 4191 §2.3: the prefix takes no, one or two units.
fn route(option: &[u8]) -> Result<Option<RouterOption<'_>>, Drop> {
    let len = option[2];
    let given = &option[8..];
    if len > 128 || usize::from(len).div_ceil(64) * 8 > given.len() || given.len() > 16 {
        return Err(Drop::NdpOption);
    }
    // A reserved preference: the option is to be ignored.
    let Some(preference) = preference(option[3]) else { return Ok(None) };
    let mut prefix = [0; 16];
    prefix[..given.len()].copy_from_slice(given);
    Ok(Some(RouterOption::Route { prefix: prefix.into(), len, preference, lifetime: be32(option, 4) }))
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

/// A router says that another first hop is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Redirect {
    /// The better first hop; the destination itself, if that is on the link.
    pub(crate) target: Ipv6Addr,
    /// For packets to this.
    pub(crate) destination: Ipv6Addr,
    /// The target's hardware address.
    pub(crate) mac: Option<Mac>,
}

impl Redirect {
    /// Reads a message whose checksum and hop limit are already checked.
    //= rfc4861#8.1
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Drop> {
        let view = Icmpv6Packet::new_checked(message).map_err(|_| Drop::NdpMalformed)?;
        if message.len() < REDIRECT_LEN || view.msg_code() != 0 {
            return Err(Drop::NdpMalformed);
        }
        let (target, destination) = (view.target_addr(), view.dest_addr());
        let is_first_hop = target == destination || target.is_unicast_link_local();
        if destination.is_multicast() || !is_first_hop {
            return Err(Drop::NdpMalformed);
        }
        let options = &message[REDIRECT_LEN..];
        Options::check(options)?;
        let mac = Options::link_address(options, NdiscOptionType::TargetLinkLayerAddr);
        Ok(Redirect { target, destination, mac })
    }
}

/// A router solicitation with a checksum of zero, and its length. Without a source of its own it must not name our
/// hardware address.
//= rfc4861#4.1
pub(crate) fn router_solicit(mac: Option<Mac>) -> ([u8; SOLICIT_LEN_MAX], usize) {
    let mut buf = [0; SOLICIT_LEN_MAX];
    Icmpv6Packet::new_unchecked(&mut buf[..]).set_msg_type(Icmpv6Message::RouterSolicit);
    let Some(mac) = mac else { return (buf, SOLICIT_LEN) };
    let mut view = NdiscOption::new_unchecked(&mut buf[SOLICIT_LEN..]);
    view.set_option_type(NdiscOptionType::SourceLinkLayerAddr);
    view.set_data_len(1);
    view.set_link_layer_addr(RawHardwareAddress::from_bytes(&mac.0));
    (buf, SOLICIT_LEN_MAX)
}
