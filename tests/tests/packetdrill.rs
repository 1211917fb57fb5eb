//! Our own scripts. Those of other suites are played by `cargo run -p barenet-tests --bin packetdrill`.

use barenet_tests::packetdrill::{Options, run, scripts};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every script in `tests/scripts` passes, fingerprints and all.
#[test]
fn own_scripts() {
    let all = scripts(&[folder("scripts")]).expect("the folder of our scripts");
    assert!(all.len() >= 10, "scripts are missing");
    let failures: Vec<String> = all
        .iter()
        .filter_map(|(path, text)| {
            Some(format!("{}:{}", path.display(), run(text, &Options::default()).failure?))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
