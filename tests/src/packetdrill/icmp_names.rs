//! Types and codes of ICMP by the names that scripts use.

use super::script::Icmp;

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
