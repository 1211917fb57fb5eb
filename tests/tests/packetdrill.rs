//! Our own scripts, and those of other suites where they are at hand.

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

/// Scripts of other suites pass but for those that `DEVIATIONS.tsv` names, and those fail: else the
/// file would say what is not so. They are looked for beside the repository, or where
/// `BARENET_PACKETDRILL` says.
#[test]
fn scripts_of_other_suites() {
    let beside = folder("../../shared/conformance/packetdrill");
    let suites = std::env::var_os("BARENET_PACKETDRILL").map_or(beside, PathBuf::from);
    if !suites.is_dir() {
        println!("no scripts of other suites at {}: only our own were played", suites.display());
        return;
    }
    let deviations = std::fs::read_to_string(folder("scripts/DEVIATIONS.tsv")).expect("DEVIATIONS.tsv");
    let reason = |path: &Path| {
        let name = path.strip_prefix(&suites).ok()?.to_str()?;
        deviations.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'))
    };
    let options = Options { neutral: true, ..Options::default() };
    let mut wrong = Vec::new();
    for (path, text) in scripts(std::slice::from_ref(&suites)).expect("scripts") {
        match (run(&text, &options).failure, reason(&path)) {
            (Some(failure), None) => wrong.push(format!("{}:{failure}", path.display())),
            (None, Some(reason)) if !reason.starts_with("not yet") => {
                wrong.push(format!("{} passes, but DEVIATIONS.tsv says: {reason}", path.display()));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
