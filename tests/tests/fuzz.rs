//! The fuzzer's target with a stable compiler: over the inputs that are kept, and over thousands that a seed draws.
//! See `barenet_tests::fuzz`; `cargo +nightly fuzz run pipeline` goes on from here.

use barenet_tests::{fuzz, sim::Random};
use std::path::Path;

/// Inputs that are drawn.
const DRAWN: u64 = 3_000;

/// H201, H251, H269: every input that once found something.
#[test]
fn the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/pipeline");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the corpus").flatten().map(|e| e.path()).collect();
    files.sort();
    assert!(files.len() >= 5, "the corpus is missing");
    for file in files {
        let bytes = std::fs::read(&file).expect("a file of the corpus");
        fuzz::explain(&bytes).unwrap_or_else(|failure| panic!("{}: {failure}", file.display()));
    }
}

/// H201: inputs that nobody chose. `BARENET_FUZZ_FROM` and `BARENET_FUZZ_COUNT` choose others: minutes of them.
#[test]
fn drawn_inputs() {
    let number = |name: &str, usual| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let from = number("BARENET_FUZZ_FROM", 0);
    for seed in from..from + number("BARENET_FUZZ_COUNT", DRAWN) {
        fuzz::explain(&drawn(seed)).unwrap_or_else(|failure| panic!("input {seed}: {failure}"));
    }
}

fn drawn(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let len = random.scaled(100, 6_000);
    (0..len).map(|_| random.next_u64() as u8).collect()
}

/// L05, L06, L08, H201: servers and routers that say anything that nobody chose.
#[test]
fn servers_and_routers_may_say_anything() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/servers");
    let files: Vec<_> = std::fs::read_dir(folder).expect("the corpus").flatten().map(|e| e.path()).collect();
    assert!(files.len() >= 8, "the corpus is missing");
    let run = |bytes: &[u8], name: &str| {
        let found = std::panic::catch_unwind(|| fuzz::servers(bytes));
        found.unwrap_or_else(|_| panic!("input {name}"))
    };
    let mut reached = fuzz::Reached::default();
    for file in files {
        let found = run(&std::fs::read(&file).expect("a file of the corpus"), &file.display().to_string());
        reached.dhcpv4 |= found.dhcpv4;
        reached.dhcpv6 |= found.dhcpv6;
        reached.slaac |= found.slaac;
    }
    assert_eq!(reached, fuzz::Reached { dhcpv4: true, dhcpv6: true, slaac: true }, "the inputs are no good");
    for seed in 0..DRAWN / 3 {
        run(&drawn(seed), &seed.to_string());
    }
}

/// Runs every input of a corpus of at least so many, and gives what all of them come to.
fn corpus(name: &str, least: usize, run: impl Fn(&[u8]) -> usize + std::panic::RefUnwindSafe) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let files: Vec<_> = std::fs::read_dir(folder).expect("the corpus").flatten().map(|e| e.path()).collect();
    assert!(files.len() >= least, "the corpus is missing");
    let of = |file: std::path::PathBuf| {
        let bytes = std::fs::read(&file).expect("a file of the corpus");
        std::panic::catch_unwind(|| run(&bytes)).unwrap_or_else(|_| panic!("{}", file.display()))
    };
    files.into_iter().map(of).sum()
}

/// L10, H151, H201: neighbours that say anything by multicast DNS.
#[test]
fn neighbors_may_say_anything_by_mdns() {
    // Each host announces its name and its service; the rest are answers.
    let answers = corpus("mdns", 12, fuzz::mdns);
    assert!(answers > 150, "the inputs are no good: {answers}");
    for seed in 0..DRAWN / 10 {
        let found = std::panic::catch_unwind(|| fuzz::mdns(&drawn(seed)));
        found.unwrap_or_else(|_| panic!("input {seed}"));
    }
}

/// L09, H146, H151, H201: a name server that says anything.
#[test]
fn name_server_may_say_anything() {
    let mut found = corpus("names", 10, fuzz::names);
    assert!(found >= 2, "the corpus is no good: {found}");
    for seed in 0..DRAWN / 3 {
        let bytes = drawn(seed);
        let run = std::panic::catch_unwind(|| fuzz::names(&bytes));
        found += run.unwrap_or_else(|_| panic!("input {seed}"));
    }
    assert!(found > 100, "the inputs are no good: {found}");
}

/// I02, I04, H068, H079: fragments of every flaw class, and those that nobody chose.
#[test]
fn fragments_never_make_a_wrong_datagram() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/fragments");
    let files: Vec<_> = std::fs::read_dir(folder).expect("the corpus").flatten().map(|e| e.path()).collect();
    assert!(files.len() >= 16, "the corpus is missing");
    for file in files {
        fuzz::fragments(&std::fs::read(&file).expect("a file of the corpus"));
    }
    for seed in 0..DRAWN {
        // Mostly whole fragments near the beginning, or nothing would ever be complete.
        let mut random = Random::new(seed);
        let steps = random.scaled(10, 200);
        let mut step = || {
            let flags = if random.below(4) == 0 { random.next_u64() as u8 } else { random.below(2) as u8 };
            [flags, random.below(4) as u8, random.below(32) as u8 * 8, [8, 64][random.below(2) as usize]]
        };
        let bytes: Vec<u8> = (0..steps).flat_map(|_| step()).collect();
        fuzz::fragments(&bytes);
    }
}
