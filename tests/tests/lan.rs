//! Hundreds of hosts that configure themselves on one Ethernet, in virtual time: see `barenet_tests::lan`.

use barenet_tests::lan::{Options, run};

/// I12, L03, L04, L05, L06: 200 hosts, three routers and two duplicates: all are configured within ten seconds, who had to decline within
/// 25; each reaches others by both families; a dead router is replaced within 5 s where a connection notices, and within a
/// minute elsewhere.
#[test]
fn two_hundred_hosts_configure_themselves() {
    run(Options { hosts: 200, faults: false }, 1);
}

/// L13: the same with losses, frames that overtake each other and links that flap, until a minute has passed.
#[test]
fn hosts_come_through_losses_and_flapping_links() {
    for seed in 0..5 {
        run(Options { hosts: 30, faults: true }, seed);
    }
}

/// The whole of it, in an hour or so: `cargo test --release -p barenet-tests --test lan -- --ignored`.
#[test]
#[ignore = "a thousand seeds"]
fn a_thousand_seeds() {
    for seed in 0..1000 {
        run(Options { hosts: 200, faults: seed % 2 == 1 }, seed);
    }
}
