//! `cargo qemu` and `cargo host` as a user calls them.

use std::path::Path;
use std::process::Command;

/// `cargo RUNNER ARGS…` in the workspace.
pub fn cargo(runner: &str, args: &[&str]) -> Command {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(env!("CARGO"));
    command.arg(runner).args(args).current_dir(workspace);
    command
}

/// Runs the command to its end, which must be a failure with one line that starts with `error:` and
/// has all of `words` in it.
///
/// # Panics
///
/// When it is not.
pub fn fails(command: &mut Command, words: &[&str]) {
    let output = command.output().expect("cargo can be run");
    // The program's own words go to its console, the runner's to the error output.
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.concat();
    let errors: Vec<_> = text.lines().filter(|line| line.starts_with("error:")).collect();
    let named = |line: &str| words.iter().all(|word| line.contains(word));
    let as_told = matches!(errors[..], [line] if named(line)) && !output.status.success();
    assert!(
        as_told,
        "{command:?}: {}, expected {words:?} in one line after `error:`:\n{text}",
        output.status
    );
}
