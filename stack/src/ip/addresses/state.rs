//! Where an address is from, and what it may be used for.

use core::fmt;

/// Who gave us an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Origin {
    /// The program, or whoever configured it.
    Manual,
    /// The interface formed it for its own link (RFC 4862 §5.3, RFC 3927).
    LinkLocal,
    /// Formed from an advertised prefix, the same each time (RFC 7217).
    Stable,
    /// Formed from an advertised prefix, another each day (RFC 8981).
    Temporary,
    /// A lease of DHCPv4.
    Dhcpv4,
    /// A lease of DHCPv6.
    Dhcpv6,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Origin::Manual => "manual",
            Origin::LinkLocal => "link-local",
            Origin::Stable => "SLAAC",
            Origin::Temporary => "SLAAC, temporary",
            Origin::Dhcpv4 => "DHCP",
            Origin::Dhcpv6 => "DHCPv6",
        })
    }
}

/// What an address may be used for (RFC 4862 §2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AddressState {
    /// Nothing yet: it is being found out whether somebody else has it. It is no source, and nobody is answered for it.
    Tentative,
    /// Everything.
    Preferred,
    /// What began with it; new flows take another while there is one.
    Deprecated,
}

impl fmt::Display for AddressState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AddressState::Tentative => "tentative",
            AddressState::Preferred => "preferred",
            AddressState::Deprecated => "deprecated",
        })
    }
}
