//! Seeds of random runs: printed when a run fails, and taken from the environment to repeat it.

/// Names the seed to replay.
const VARIABLE: &str = "BARENET_SEED";

/// Runs `body` with `count` seeds, or with the one in `BARENET_SEED`. When `body` panics, prints how to
/// repeat that run. `test` is the name after `cargo test -p barenet-tests --test`.
pub fn with_seeds(test: &str, count: u64, mut body: impl FnMut(u64)) {
    let one = std::env::var(VARIABLE).ok().map(|seed| seed.parse().expect("a number in BARENET_SEED"));
    let seeds = one.map_or(0..count, |seed| seed..seed + 1);
    for seed in seeds {
        let _hint = Hint { test, seed };
        body(seed);
    }
}

struct Hint<'a> {
    test: &'a str,
    seed: u64,
}

impl Drop for Hint<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to replay: {VARIABLE}={} cargo test -p barenet-tests --test {}", self.seed, self.test);
        }
    }
}
