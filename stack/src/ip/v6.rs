//! The chain of IPv6 extension headers (RFC 8200 §4).

use crate::bytes::Bytes;
use crate::counters::Drop;
#[cfg(feature = "fragments")]
use crate::wire::{FRAGMENT_LEN, FragmentHeader, protocol};
use crate::wire::{OptionVerdict, check_options, extension, icmpv6};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT: u8 = 59;
const DESTINATION: u8 = 60;

/// More headers than this in one packet are a nuisance, not a need.
const HEADERS_MAX: usize = 8;

/// The transport header that a chain ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Upper {
    pub(crate) protocol: u8,
    /// Where it starts, counted from the end of the IPv6 header.
    pub(crate) offset: usize,
    /// Where the field lies that names the protocol, counted from the IPv6 header's first byte.
    pub(crate) named_at: usize,
}

/// A chain that ends before a transport header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    pub(crate) drop: Drop,
    /// What to tell the sender.
    pub(crate) report: Option<ParameterProblem>,
}

/// ICMPv6 Parameter Problem (RFC 4443 §3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ParameterProblem {
    pub(crate) code: u8,
    /// Which byte of the packet is the problem.
    pub(crate) pointer: u32,
    /// To be sent even if the packet went to a group (RFC 4443 §2.4(e.3)).
    pub(crate) even_to_group: bool,
}

impl From<Drop> for Refusal {
    fn from(drop: Drop) -> Self {
        Refusal { drop, report: None }
    }
}

const IPV6_LEN: usize = crate::wire::IPV6_LEN;
/// Where the IPv6 header names the next one.
const NEXT_HEADER_AT: usize = 6;

/// Walks the chain that starts with a header of kind `next` at the front of `payload`. It ends before a fragment
/// header as before a transport's, unless that is atomic.
pub(crate) fn walk(next: u8, payload: Bytes<'_>) -> Result<Upper, Refusal> {
    walk_to(next, payload, false)
}

/// Without fragments nothing is looked into.
#[cfg(not(feature = "fragments"))]
pub(crate) use self::walk as walk_first;

/// The same for a first fragment, whose chain goes on behind the fragment header.
#[cfg(feature = "fragments")]
pub(crate) fn walk_first(next: u8, payload: Bytes<'_>) -> Result<Upper, Refusal> {
    walk_to(next, payload, true)
}

#[cfg_attr(not(feature = "fragments"), expect(unused_variables, reason = "no fragment is looked into"))]
#[inline]
fn walk_to(mut next: u8, payload: Bytes<'_>, into_first: bool) -> Result<Upper, Refusal> {
    let (mut offset, mut named_at) = (0, NEXT_HEADER_AT);
    #[cfg(feature = "fragments")]
    let mut is_fragment = false;
    for index in 0..HEADERS_MAX {
        match next {
            HOP_BY_HOP if index > 0 => {
                // RFC 8200 §4.3: only right after the IPv6 header; elsewhere it is unrecognised.
                let report = problem(icmpv6::CODE_NEXT_HEADER, named_at);
                return Err(Refusal { drop: Drop::Ipv6Extension, report: Some(report) });
            }
            HOP_BY_HOP | DESTINATION | ROUTING => {}
            #[cfg(feature = "fragments")]
            FRAGMENT => {
                let fragment = FragmentHeader::parse(payload.slice(offset, usize::MAX).front())?;
                //= rfc6946#4: an atomic fragment is a packet by itself, whatever else is under way
                if fragment.offset > 0 || (fragment.more && !into_first) {
                    return Ok(Upper { protocol: FRAGMENT, offset, named_at });
                }
                named_at = IPV6_LEN + offset;
                next = fragment.next_header;
                offset += FRAGMENT_LEN;
                is_fragment = true;
                continue;
            }
            #[cfg(not(feature = "fragments"))]
            FRAGMENT => return Err(Drop::Ipv6Fragment.into()),
            NO_NEXT => return Err(Drop::Ipv6NoNext.into()),
            AUTHENTICATION => return Err(Drop::ProtocolUnknown.into()),
            #[cfg(feature = "fragments")]
            protocol::ICMPV6 if is_fragment && is_ndp(payload.slice(offset, 1)) => {
                return Err(Drop::NdpFragmented.into());
            }
            protocol => return Ok(Upper { protocol, offset, named_at }),
        }
        let header = extension(payload.slice(offset, usize::MAX).front())?;
        if next == ROUTING {
            check_routing(header.content, offset)?;
        } else {
            check_option_header(header.content, offset)?;
        }
        named_at = IPV6_LEN + offset;
        next = header.next_header;
        offset += header.len;
    }
    Err(Drop::Ipv6Extension.into())
}

/// Is it a message of neighbour discovery? None is heard behind a fragment header, an atomic one included: who filters
/// them on the way may not see that it is one.
//= rfc6980#5
#[cfg(feature = "fragments")]
fn is_ndp(message: Bytes<'_>) -> bool {
    let is_kind = |kind: &u8| (icmpv6::ROUTER_SOLICIT..=icmpv6::REDIRECT).contains(kind);
    message.front().first().is_some_and(is_kind)
}

const fn problem(code: u8, pointer: usize) -> ParameterProblem {
    ParameterProblem { code, pointer: pointer as u32, even_to_group: false }
}

fn check_option_header(content: &[u8], offset: usize) -> Result<(), Refusal> {
    match check_options(content)? {
        OptionVerdict::Proceed => Ok(()),
        OptionVerdict::Discard => Err(Drop::Ipv6Option.into()),
        OptionVerdict::Report { at, even_to_group } => {
            let pointer = IPV6_LEN + offset + 2 + at;
            let report = ParameterProblem { even_to_group, ..problem(icmpv6::CODE_OPTION, pointer) };
            Err(Refusal { drop: Drop::Ipv6Option, report: Some(report) })
        }
    }
}

/// A routing header of any type is skipped when no segments are left; else it is refused
/// (RFC 8200 §4.4; type 0: RFC 5095 §3).
fn check_routing(content: &[u8], offset: usize) -> Result<(), Refusal> {
    match content {
        [_kind, 0, ..] => Ok(()),
        _ => {
            let report = problem(icmpv6::CODE_FIELD, IPV6_LEN + offset + 2);
            Err(Refusal { drop: Drop::Ipv6Routing, report: Some(report) })
        }
    }
}

/// The transport of a packet (IPv6 header on) whatever its options say, to find out whether it
/// is an ICMP error itself (H090). No protocol's number if it can't be told.
pub(crate) fn last_transport(packet: Bytes<'_>) -> (u8, &[u8]) {
    const NONE: u8 = u8::MAX;
    let Some(mut next) = packet.front().get(NEXT_HEADER_AT).copied() else {
        return (NONE, &[]);
    };
    let mut offset = IPV6_LEN;
    for _ in 0..HEADERS_MAX {
        let rest = packet.slice(offset, usize::MAX).front();
        #[cfg(feature = "fragments")]
        if next == FRAGMENT
            && let Ok(fragment) = FragmentHeader::parse(rest)
            && fragment.offset == 0
        {
            next = fragment.next_header;
            offset += FRAGMENT_LEN;
            continue;
        }
        if !matches!(next, HOP_BY_HOP | DESTINATION | ROUTING) {
            return (next, rest);
        }
        let Ok(header) = extension(rest) else { break };
        next = header.next_header;
        offset += header.len;
    }
    (NONE, &[])
}
