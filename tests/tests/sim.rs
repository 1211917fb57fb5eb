//! Whole networks in virtual time, thousands of them: what each stack owes the other under loss,
//! duplication, reordering, corruption, full queues and devices, little memory, slow readers, links
//! that swallow frames, and applications that part in every way. See `barenet_tests::sim`.

use barenet_tests::seeds::run_all;
use barenet_tests::sim;

/// Seeds of the ordinary run.
const SEEDS: u64 = 10_000;

/// H005, H010, H012, H013, H015, H019, H024, H026, H029, H041, H053, H063, H183, H184, H186, H187,
/// H212, H216, H218: streams arrive byte-exact, every connection comes to the end that its
/// applications' scripts say, and afterwards no stack holds memory or a connection. No segment reaches
/// beyond what the other side offered, no window edge moves back (SHLD-14), nothing stalls on a
/// healthy link, and an attacker who knows everything but the numbers does no harm (H057, H059).
#[test]
fn every_seed_ends_well() {
    let mut reports = vec![];
    run_all(0..SEEDS, 0, sim::run_or_explain, |_, outcome| reports.extend(outcome.err()));
    assert!(reports.is_empty(), "{} failed:\n{}", reports.len(), reports.join("\n"));
}

/// The same seed gives the same run: what is printed for a failure finds it again.
#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        assert_eq!(sim::run(seed), sim::run(seed), "seed {seed}");
    }
}
