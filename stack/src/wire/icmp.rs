//! ICMP headers of both families (RFC 792, RFC 4443): they share one form.

use crate::counters::Drop;

/// Length of an ICMP header: type, code, checksum and four bytes that depend on the type.
pub(crate) const ICMP_LEN: usize = 8;

/// ICMP for IPv4: types and codes.
pub(crate) mod icmpv4 {
    /// Echo reply.
    pub(crate) const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub(crate) const UNREACHABLE: u8 = 3;
    /// Echo request.
    pub(crate) const ECHO: u8 = 8;
    /// Time exceeded.
    pub(crate) const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub(crate) const PARAMETER_PROBLEM: u8 = 12;
    /// Code of unreachable: protocol.
    pub(crate) const CODE_PROTOCOL: u8 = 2;
    /// Code of unreachable: port.
    pub(crate) const CODE_PORT: u8 = 3;
    /// Code of time exceeded: reassembly took too long (RFC 4443 §3.3 has the same).
    #[cfg(feature = "fragments")]
    pub(crate) const CODE_REASSEMBLY: u8 = 1;
    /// Code of unreachable: fragmentation needed (RFC 1191).
    pub(crate) const CODE_TOO_BIG: u8 = 4;
}

/// ICMP for IPv6: types and codes.
pub(crate) mod icmpv6 {
    /// Destination unreachable.
    pub(crate) const UNREACHABLE: u8 = 1;
    /// Packet too big.
    pub(crate) const TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub(crate) const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub(crate) const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub(crate) const ECHO: u8 = 128;
    /// Echo reply.
    pub(crate) const ECHO_REPLY: u8 = 129;
    /// Router solicitation.
    pub(crate) const ROUTER_SOLICIT: u8 = 133;
    /// Neighbour advertisement.
    /// Router advertisement.
    #[cfg(feature = "slaac")]
    pub(crate) const ROUTER_ADVERT: u8 = 134;
    /// Neighbour advertisement.
    pub(crate) const NEIGHBOR_ADVERT: u8 = 136;
    /// Redirect.
    pub(crate) const REDIRECT: u8 = 137;
    /// Code of unreachable: port.
    pub(crate) const CODE_PORT: u8 = 4;
    /// Code of parameter problem: erroneous header field.
    pub(crate) const CODE_FIELD: u8 = 0;
    /// Code of parameter problem: unrecognised next header.
    pub(crate) const CODE_NEXT_HEADER: u8 = 1;
    /// Code of parameter problem: unrecognised option.
    pub(crate) const CODE_OPTION: u8 = 2;
}

/// An ICMP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IcmpHeader {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier and sequence number of an echo; pointer, MTU or nothing in an error.
    pub rest: [u8; 4],
}

impl IcmpHeader {
    /// Reads the header at the front of a message. Its checksum is the caller's, who has all of it.
    pub(crate) fn parse(front: &[u8]) -> Result<Self, Drop> {
        match front {
            [kind, code, _, _, a, b, c, d, ..] => {
                Ok(IcmpHeader { kind: *kind, code: *code, rest: [*a, *b, *c, *d] })
            }
            _ => Err(Drop::IcmpMalformed),
        }
    }

    /// The header with `checksum` (0 before it is known).
    pub(crate) fn emit(&self, checksum: u16) -> [u8; ICMP_LEN] {
        let [high, low] = checksum.to_be_bytes();
        let [a, b, c, d] = self.rest;
        [self.kind, self.code, high, low, a, b, c, d]
    }

    /// An echo's identifier and sequence number.
    pub(crate) const fn echo(&self) -> (u16, u16) {
        let [a, b, c, d] = self.rest;
        (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    }
}
