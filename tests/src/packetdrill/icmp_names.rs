//! Types and codes of ICMP by the names that scripts use.

use super::script::{Body, Icmp, Packet, Quote};

/// The type and code of a message, for IPv4 or IPv6. `Err` names what is unknown.
pub(super) fn numbers(icmp: &Icmp, v6: bool) -> Result<(u8, u8), String> {
    let types = if v6 { TYPES_V6 } else { TYPES_V4 };
    let kind = find(types, &icmp.kind).ok_or_else(|| format!("no type of ICMP is named {:?}", icmp.kind))?;
    let Some(code) = &icmp.code else { return Ok((kind, 0)) };
    let codes = match (v6, kind) {
        (false, 3) => UNREACHABLE_V4,
        (false, 11) | (true, 3) => TIME_EXCEEDED,
        (false, 5) => REDIRECT,
        (true, 1) => UNREACHABLE_V6,
        (true, 4) => PARAMETER_PROBLEM_V6,
        _ => &[],
    };
    let unknown = || format!("no code of ICMP {} is named {code:?}", icmp.kind);
    Ok((kind, find(codes, code).or_else(|| by_meaning(v6, kind, code)).ok_or_else(unknown)?))
}

/// A live message (type, code, the four bytes behind the checksum, body) in the words of a script that expects
/// `expected`. What the script leaves out is as it likes.
pub(super) fn in_script(live: (u8, u8, [u8; 4], &[u8]), expected: &Packet, v6: bool) -> Icmp {
    let (kind, code, rest, body) = live;
    let wanted = match &expected.body {
        Body::Icmp(icmp) if numbers(icmp, v6) == Ok((kind, code)) => icmp,
        _ => {
            let (kind, code) = (format!("type {kind}"), Some(format!("code {code}")));
            return Icmp { kind, code, mtu: None, id: None, quote: quote(body) };
        }
    };
    let [_, _, a, b] = rest;
    let mtu = if v6 { u32::from_be_bytes(rest) } else { u16::from_be_bytes([a, b]).into() };
    let id = u16::from_be_bytes([rest[0], rest[1]]);
    let is_echo = matches!((v6, kind), (false, 0 | 8) | (true, 128 | 129));
    // Without brackets a script's message quotes this.
    let anything = is_echo || wanted.quote == Quote::Tcp(0, 0);
    Icmp {
        mtu: wanted.mtu.map(|_| mtu),
        id: wanted.id.map(|_| id),
        quote: if anything { wanted.quote } else { quote(body) },
        ..wanted.clone()
    }
}

/// The packet that an error quotes.
fn quote(body: &[u8]) -> Quote {
    let word = |at: usize| body.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    let (protocol, header, whole) = match body.first().map(|b| b >> 4) {
        Some(4) => (body.get(9), usize::from(body[0] & 15) * 4, word(2)),
        Some(6) => (body.get(6), 40, word(4).saturating_add(40)),
        _ => return Quote::Raw(body.len() as u16),
    };
    let len = whole.saturating_sub(header as u16);
    match protocol {
        Some(&super::wire::protocol::TCP) => {
            let seq = u32::from(word(header + 4)) << 16 | u32::from(word(header + 6));
            let offset = body.get(header + 12).map_or(20, |b| u16::from(b >> 4) * 4);
            Quote::Tcp(seq, len.saturating_sub(offset))
        }
        Some(&super::wire::protocol::UDP) => Quote::Udp(len.saturating_sub(8)),
        _ => Quote::Raw(len),
    }
}

/// Codes that TCP does not tell apart have many names: one word is enough.
fn by_meaning(v6: bool, kind: u8, code: &str) -> Option<u8> {
    match (v6, kind) {
        (false, 11) | (true, 3) => Some(u8::from(code.contains("reass") || code.contains("frag"))),
        (false, 12) => Some(0),
        (false, 5) => Some(u8::from(code.contains("host"))),
        _ => None,
    }
}

fn find(table: &[(&str, u8)], name: &str) -> Option<u8> {
    table.iter().find(|(n, _)| *n == name).map(|(_, number)| *number)
}

const TYPES_V4: &[(&str, u8)] = &[
    ("echo_reply", 0),
    ("unreachable", 3),
    ("dest_unreachable", 3),
    ("source_quench", 4),
    ("redirect", 5),
    ("echo_request", 8),
    ("echo", 8),
    ("time_exceeded", 11),
    ("parameter_problem", 12),
    ("timestamp_request", 13),
    ("timestamp_reply", 14),
    ("information_request", 15),
    ("information_reply", 16),
    ("address_mask_request", 17),
    ("address_mask_reply", 18),
];

const UNREACHABLE_V4: &[(&str, u8)] = &[
    ("net_unreachable", 0),
    ("host_unreachable", 1),
    ("protocol_unreachable", 2),
    ("port_unreachable", 3),
    ("frag_needed", 4),
    ("source_route_failed", 5),
    ("net_unknown", 6),
    ("host_unknown", 7),
    ("source_host_isolated", 8),
    ("net_prohibited", 9),
    ("host_prohibited", 10),
    ("net_unreachable_for_tos", 11),
    ("net_unreachable_for_service", 11),
    ("host_unreachable_for_tos", 12),
    ("host_unreachable_for_service", 12),
    ("packet_filtered", 13),
    ("comm_prohibited", 13),
    ("host_precedence_violation", 14),
    ("precedence_violation", 14),
    ("precedence_cutoff", 15),
];

const TIME_EXCEEDED: &[(&str, u8)] = &[
    ("exceeded_in_transit", 0),
    ("ttl_exceeded", 0),
    ("ttl_exceeded_in_transit", 0),
    ("exceeded_in_reassembly", 1),
    ("fragment_reassembly_time_exceeded", 1),
];

const REDIRECT: &[(&str, u8)] = &[
    ("redirect_for_net", 0),
    ("redirect_for_host", 1),
    ("redirect_for_tos_and_net", 2),
    ("redirect_for_tos_and_host", 3),
];

const TYPES_V6: &[(&str, u8)] = &[
    ("unreachable", 1),
    ("dest_unreachable", 1),
    ("packet_too_big", 2),
    ("time_exceeded", 3),
    ("parameter_problem", 4),
    ("echo_request", 128),
    ("echo_reply", 129),
];

const UNREACHABLE_V6: &[(&str, u8)] = &[
    ("no_route", 0),
    ("noroute", 0),
    ("admin_prohibited", 1),
    ("adm_prohibited", 1),
    ("not_neighbour", 2),
    ("not_neighbor", 2),
    ("beyond_scope", 2),
    ("address_unreachable", 3),
    ("addr_unreach", 3),
    ("addr_unreachable", 3),
    ("port_unreachable", 4),
    ("port_unreach", 4),
    ("policy_fail", 5),
    ("reject_route", 6),
];

const PARAMETER_PROBLEM_V6: &[(&str, u8)] =
    &[("erroneous_header_field", 0), ("unknown_next_header", 1), ("unrecognized_option", 2)];
