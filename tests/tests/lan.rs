//! Hundreds of hosts that configure themselves on one Ethernet, in virtual time: see `barenet_tests::lan`.

use barenet_tests::lan::{Options, run};
use barenet_tests::seeds::{Progress, panic_text, run_all};
use std::ops::Range;
use std::panic::catch_unwind;

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

/// L13: with losses, frames that overtake each other and links that flap, until a minute has passed; one seed in twenty on a link of
/// 200 hosts.
#[test]
fn hosts_come_through_losses_and_flapping_links() {
    come_through(0..100);
}

/// L13: the same with a thousand seeds: `cargo test --release -p barenet-tests --test lan -- --ignored`.
#[test]
#[ignore = "a thousand seeds: five minutes of a processor"]
fn a_thousand_seeds() {
    come_through(0..1000);
}

/// Runs these seeds, or others that `BARENET_LAN_FROM` and `BARENET_LAN_COUNT` (1, if only the first is named) choose.
fn come_through(usual: Range<u64>) {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse().expect("a number"));
    let (from, count) = (number("BARENET_LAN_FROM"), number("BARENET_LAN_COUNT"));
    let most = if from.is_some() { 1 } else { usual.end - usual.start };
    let start = from.unwrap_or(usual.start);
    let seeds = start..start + count.unwrap_or(most);
    let mut progress = Progress::new(seeds.end - seeds.start);
    let one = |seed: u64| {
        let hosts = if seed.is_multiple_of(20) { 200 } else { 40 };
        catch_unwind(|| run(Options { hosts, faults: true }, seed))
    };
    run_all(seeds, 0, one, |seed, outcome| {
        if let Err(panic) = outcome {
            let again = "cargo test -p barenet-tests --test lan come_through";
            progress.failed(&format!(
                "seed {seed}: {}\n  again: BARENET_LAN_FROM={seed} {again}",
                panic_text(&*panic)
            ));
        }
        progress.one_more();
    });
    assert_eq!(progress.failures, 0, "seeds that failed");
}
