//! Routes that routers told us of.

use std::vec::Vec;

use super::*;
use crate::base::holder::Holder;
use crate::base::slab::{Slab, Slot};

const T0: Instant = Instant::from_millis(1000);

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn link() -> InterfaceId {
    let mut slots = [Slot::default()];
    InterfaceId(Slab::new(ManagedSlice::Borrowed(&mut slots[..]), 1).insert(()).unwrap())
}

fn table() -> LearntRoutes<'static> {
    LearntRoutes::new(ManagedSlice::Owned(std::vec![Holder::Empty; 40]))
}

fn route(from: LearntFrom, prefix: &str, len: u8, gateway: Option<&str>, seconds: u64) -> LearntRoute {
    LearntRoute {
        interface: link(),
        prefix: ip(prefix),
        prefix_len: len,
        gateway: gateway.map(ip),
        preference: Preference::Medium,
        until: T0 + crate::time::Duration::from_secs(seconds),
        from,
        failures: 0,
    }
}

fn hop(table: &LearntRoutes<'_>, to: &str) -> Option<Option<Ipv6Addr>> {
    table.lookup(ip(to), |_| true).map(|r| r.gateway)
}

/// RFC 4861 §5.2, RFC 4191 §3.2: the longest prefix, then the preference.
#[test]
fn lookup_takes_longest_prefix_then_preference() {
    let mut table = table();
    let high = LearntRoute {
        preference: Preference::High,
        ..route(LearntFrom::Router, "::", 0, Some("fe80::2"), 1800)
    };
    table.learn(route(LearntFrom::Router, "::", 0, Some("fe80::1"), 1800), T0);
    table.learn(high, T0);
    table.learn(route(LearntFrom::Prefix, "2001:db8::", 64, None, 1800), T0);
    table.learn(route(LearntFrom::Route, "2001:db8:1::", 48, Some("fe80::3"), 1800), T0);
    assert_eq!(hop(&table, "2001:db8:9::1"), Some(Some(ip("fe80::2"))));
    assert_eq!(hop(&table, "2001:db8::7"), Some(None), "on the link");
    assert_eq!(hop(&table, "2001:db8:1:2::7"), Some(Some(ip("fe80::3"))));
    // H172: one that does not answer is left, also for a longer prefix, until it is heard.
    assert!(table.judge(link(), ip("fe80::2"), false) && table.judge(link(), ip("fe80::3"), false));
    assert_eq!(hop(&table, "2001:db8:9::1"), Some(Some(ip("fe80::1"))));
    assert_eq!(hop(&table, "2001:db8:1:2::7"), Some(Some(ip("fe80::1"))));
    // Of those that don't answer each has its turn (RFC 4861 §6.3.6).
    table.judge(link(), ip("fe80::1"), false);
    table.judge(link(), ip("fe80::1"), false);
    assert_eq!(hop(&table, "2001:db8:9::1"), Some(Some(ip("fe80::2"))));
    table.judge(link(), ip("fe80::1"), true);
    assert_eq!(hop(&table, "2001:db8:9::1"), Some(Some(ip("fe80::1"))));
}

/// H116: the same again is no change but of its time; one without a time is gone.
#[test]
fn route_told_again_changes_its_time_only() {
    let mut table = table();
    let first = route(LearntFrom::Router, "::", 0, Some("fe80::1"), 10);
    assert_eq!(table.learn(first, T0), Learned::Changed);
    let later = route(LearntFrom::Router, "::", 0, Some("fe80::1"), 20);
    assert_eq!(table.learn(later, T0), Learned::Same);
    assert_eq!(table.deadline(), Some(later.until));
    assert!(table.expire(first.until).is_none() && table.has_router(link()));
    assert!(table.expire(later.until) == Some(link()) && !table.has_router(link()));
    table.learn(first, T0);
    assert_eq!(table.learn(LearntRoute { until: T0, ..first }, T0), Learned::Changed);
    assert_eq!((table.iter().count(), table.deadline()), (0, None));
    assert_eq!(table.learn(LearntRoute { until: T0, ..first }, T0), Learned::Same);
}

/// H112: 200 routers and 500 prefixes: those that are there stay, but for a router that does not answer.
#[test]
fn tables_are_bounded_and_keep_what_is_used() {
    let mut table = table();
    let mut refused = Vec::new();
    for n in 0..200 {
        let gateway = std::format!("fe80::{n:x}");
        refused
            .push(table.learn(route(LearntFrom::Router, "::", 0, Some(&gateway), 1800), T0) == Learned::Full);
    }
    for n in 0..500 {
        let prefix = std::format!("2001:db8:{n:x}::");
        refused.push(table.learn(route(LearntFrom::Prefix, &prefix, 64, None, 1800), T0) == Learned::Full);
    }
    assert_eq!(refused.iter().filter(|r| !**r).count(), 8 + 16);
    assert_eq!(hop(&table, "2001:db8::1"), Some(None));
    assert_eq!(hop(&table, "::9"), Some(Some(ip("fe80::"))));
    table.judge(link(), ip("fe80::3"), false);
    assert_eq!(table.learn(route(LearntFrom::Router, "::", 0, Some("fe80::99"), 1800), T0), Learned::Changed);
    assert!(!table.iter().any(|r| r.gateway == Some(ip("fe80::3"))));
    // Redirects push out the oldest of them.
    for n in 0..20 {
        let to = std::format!("2001:db8::{n:x}");
        let redirect = route(LearntFrom::Redirect, &to, 128, Some("fe80::77"), 600 + n);
        assert_eq!(table.learn(redirect, T0), Learned::Changed);
    }
    assert_eq!(hop(&table, "2001:db8::13"), Some(Some(ip("fe80::77"))));
    assert_eq!(hop(&table, "2001:db8::1"), Some(None));
    assert_eq!(table.iter().count(), 8 + 16 + 8);
    table.judge(link(), ip("fe80::77"), false);
    assert_eq!(table.iter().count(), 8 + 16, "who was named by a redirect and is not there is forgotten");
}
