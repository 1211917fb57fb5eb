//! Whole networks in virtual time, hundreds of them: what each stack owes the other under loss,
//! duplication, reordering, corruption, full queues and devices, little memory, slow readers, and
//! applications that part in every way. See `barenet_tests::sim`.

use barenet_tests::sim;

/// Seeds of the ordinary run, in two halves for two cores.
const SEEDS: u64 = 1500;

fn run(seeds: std::ops::Range<u64>) {
    let reports: Vec<String> = seeds.filter_map(|seed| sim::run_or_explain(seed).err()).collect();
    assert!(reports.is_empty(), "{} failed:\n{}", reports.len(), reports.join("\n"));
}

/// H005, H010, H012, H013, H015, H019, H024, H026, H029, H041, H053, H063, H183, H184, H186, H187,
/// H212, H216, H218: streams arrive byte-exact, every connection comes to the end that its
/// applications' scripts say, and afterwards no stack holds memory or a connection. No segment reaches
/// beyond what the other side offered, no window edge moves back (SHLD-14), nothing stalls on a
/// healthy link, and an attacker who knows everything but the numbers does no harm (H057, H059).
#[test]
fn every_seed_ends_well() {
    run(0..SEEDS / 2);
}

/// The same for the other half.
#[test]
fn every_other_seed_ends_well() {
    run(SEEDS / 2..SEEDS);
}

/// The same seed gives the same run: what is printed for a failure finds it again.
#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        assert_eq!(sim::run(seed), sim::run(seed), "seed {seed}");
    }
}

/// `SEED=123 cargo test -p barenet-tests --test sim replay -- --nocapture` replays one run and
/// keeps its frames and events.
#[test]
fn replay() {
    let Some(seed) = std::env::var("SEED").ok().and_then(|s| s.parse().ok()) else { return };
    let (outcome, stem) = sim::replay(seed);
    println!("kept: {0}.pcapng and {0}.log", stem.display());
    outcome.unwrap_or_else(|report| panic!("seed {seed}: {report}"));
}
