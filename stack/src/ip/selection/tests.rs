//! The examples of RFC 6724 §10.1 and §10.2, but for those of mobile IPv6.

use std::vec::Vec;

use super::*;

/// `address[/prefix]`, followed by `d` if it is deprecated and by `t` if it is temporary.
fn candidate(text: &str) -> Candidate {
    let (address, marks) = text.split_once(' ').unwrap_or((text, ""));
    let (address, len) = address.split_once('/').unwrap_or((address, ""));
    let address: IpAddr = address.parse().unwrap();
    let own = if address.is_ipv4() { 24 } else { 64 };
    Candidate {
        address,
        prefix_len: len.parse().unwrap_or(own),
        is_deprecated: marks.contains('d'),
        is_temporary: marks.contains('t'),
    }
}

fn source(to: &str, candidates: &[&str]) -> String {
    let candidates = candidates.iter().map(|c| candidate(c));
    best_source(to.parse().unwrap(), candidates).map_or_else(String::new, |c| c.address.to_string())
}

/// RFC 6724 §10.1: default source address selection; H180. Each pair comes in both orders.
#[test]
fn sources_are_those_of_the_rfc() {
    let examples = [
        ("2001:db8:1::1", ["2001:db8:3::1", "fe80::1"], "appropriate scope"),
        ("ff05::1", ["2001:db8:3::1", "fe80::1"], "appropriate scope"),
        ("2001:db8:1::1", ["2001:db8:1::1 d", "2001:db8:2::1"], "same address"),
        ("fe80::1", ["fe80::2 d", "2001:db8:1::1"], "appropriate scope"),
        ("2001:db8:1::1", ["2001:db8:1::2", "2001:db8:3::2"], "longest matching prefix"),
        ("2002:c633:6401::1", ["2002:c633:6401::d5e3:7953:13eb:22e8 t", "2001:db8:1::2"], "matching label"),
        (
            "2001:db8:1::d5e3:0:0:1",
            ["2001:db8:1::d5e3:7953:13eb:22e8 t", "2001:db8:1::2"],
            "temporary address",
        ),
        // Not among the examples: rule 3, and rule 8 ends where the network does.
        ("2001:db8:1::1", ["2001:db8:3::2", "2001:db8:1::2 d"], "not deprecated"),
        ("2001:db8:1::1", ["2001:db8:1::8000:0:0:2 t", "2001:db8:1::2"], "temporary address"),
        ("fd00::1", ["fd00:1::1", "2001:db8:1::2"], "matching label"),
    ];
    for (to, [right, wrong], why) in examples {
        let expected = candidate(right).address.to_string();
        assert_eq!(source(to, &[right, wrong]), expected, "{to}: {why}");
        assert_eq!(source(to, &[wrong, right]), expected, "{to}: {why}");
    }
    assert_eq!(source("2001:db8:1::1", &["2001:db8:1::8000:0:0:2", "2001:db8:1::2"]), "2001:db8:1:0:8000::2");
    assert_eq!(source("2001:db8:1::1", &[]), "");
}

/// RFC 6724 §10.2: default destination address selection.
#[test]
fn destinations_are_in_the_order_of_the_rfc() {
    let examples: [(&[&str], [&str; 2], &str); 8] = [
        (&["2001:db8:1::2", "fe80::1", "169.254.13.78"], ["2001:db8:1::1", "198.51.100.121"], "scope"),
        (&["fe80::1", "198.51.100.117"], ["198.51.100.121", "2001:db8:1::1"], "scope"),
        (&["2001:db8:1::2", "fe80::1", "10.1.2.4"], ["2001:db8:1::1", "10.1.2.3"], "precedence"),
        (&["2001:db8:1::2", "fe80::2"], ["fe80::1", "2001:db8:1::1"], "smaller scope"),
        (&["2001:db8:1::2", "fe80::2 d"], ["2001:db8:1::1", "fe80::1"], "not deprecated"),
        (
            &["2001:db8:1::2", "2001:db8:3f44::2", "fe80::2"],
            ["2001:db8:1::1", "2001:db8:3ffe::1"],
            "longest matching prefix",
        ),
        (&["2002:c633:6401::2", "fe80::2"], ["2002:c633:6401::1", "2001:db8:1::1"], "matching label"),
        (
            &["2002:c633:6401::2", "2001:db8:1::2", "fe80::2"],
            ["2001:db8:1::1", "2002:c633:6401::1"],
            "precedence",
        ),
    ];
    for (own, order, why) in examples {
        let own: Vec<Candidate> = own.iter().map(|c| candidate(c)).collect();
        let source = |to: IpAddr| {
            let same = own.iter().filter(|c| c.address.is_ipv4() == to.is_ipv4());
            best_source(to, same.copied())
        };
        let expected = order.map(|d| d.parse::<IpAddr>().unwrap());
        for mut list in [expected, [expected[1], expected[0]]] {
            sort_destinations(&mut list, source);
            assert_eq!(list, expected, "{why}");
        }
    }
}

/// RFC 6724 §6, rules 1 and 10: what can't be reached comes last, and equals keep their order.
#[test]
fn destinations_without_a_source_come_last() {
    let own = candidate("2001:db8:1::2");
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let mut list = [ip("192.0.2.1"), ip("2001:db8:9::1"), ip("192.0.2.2"), ip("2001:db8:9::2")];
    sort_destinations(&mut list, |to| to.is_ipv6().then_some(own));
    assert_eq!(list, [ip("2001:db8:9::1"), ip("2001:db8:9::2"), ip("192.0.2.1"), ip("192.0.2.2")]);
}

/// RFC 6724 §2.1.
#[test]
fn policies_are_those_of_the_table() {
    let of = |text: &str| policy(text.parse().unwrap());
    let table = [
        ("::1", (50, 0)),
        ("2001:db8::1", (40, 1)),
        ("10.0.0.1", (35, 4)),
        ("2002::1", (30, 2)),
        ("2001:0:1::1", (5, 5)),
        ("fd00::1", (3, 13)),
        ("::2", (1, 3)),
        ("fec0::1", (1, 11)),
        ("3ffe::1", (1, 12)),
    ];
    table.iter().for_each(|(address, expected)| assert_eq!(of(address), *expected, "{address}"));
}
