//! Hundreds of hosts that configure themselves on one Ethernet, in virtual time: see `barenet_tests::lan`.

use barenet_tests::lan::{Options, run};

/// I12, L03, L04, L05, L06: 200 hosts, three routers and two duplicates: all are configured within ten seconds, who had to decline within
/// 25; each reaches each by IPv6, and ten by IPv4; a dead router is replaced within 5 s where a connection notices, and within a
/// minute elsewhere.
#[test]
fn two_hundred_hosts_configure_themselves() {
    run(Options { hosts: 200, faults: false }, 1);
}

/// I12: of forty hosts each reaches each by both families.
#[test]
fn each_host_reaches_each_by_both_families() {
    run(Options { hosts: 40, faults: false }, 7);
}

/// L13: the same with losses, frames that overtake each other and links that flap, until a minute has passed.
#[test]
fn hosts_come_through_losses_and_flapping_links() {
    for seed in 0..5 {
        run(Options { hosts: 30, faults: true }, seed);
    }
}

/// L13: a thousand seeds, all with faults, one in twenty on a link of 200 hosts:
/// `cargo test --release -p barenet-tests --test lan -- --ignored`.
#[test]
#[ignore = "a thousand seeds take some ten minutes"]
fn a_thousand_seeds() {
    let failed = |seed: &u64| {
        let hosts = if seed.is_multiple_of(20) { 200 } else { 40 };
        std::panic::catch_unwind(|| run(Options { hosts, faults: true }, *seed)).is_err()
    };
    let failed: Vec<_> = (0..1000).filter(failed).collect();
    assert!(failed.is_empty(), "seeds {failed:?}");
}
