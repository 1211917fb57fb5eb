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

/// `cargo run` of an example, for this target if one is named, by a runner's `run` with these options, as a program outside
/// of this workspace has it in its `.cargo/config.toml`.
///
/// # Panics
///
/// When the runner can't be built.
pub fn cargo_run(runner: &str, options: &[&str], target: Option<&str>, example: &str) -> Command {
    // It builds the runner first.
    let listed = cargo(runner, &["--list"]).output().expect("cargo can be run");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let own = std::env::current_exe().expect("the path of this program");
    let program = own.ancestors().nth(2).expect("a folder").join(format!("barenet-{runner}"));
    let program = program.to_str().expect("a path in UTF-8");
    let words: Vec<_> =
        [&[program, "run"], options].concat().iter().map(|word| format!("{word:?}")).collect();
    let runner = format!("target.'cfg(all())'.runner=[{}]", words.join(","));
    let mut command = cargo("run", &["--quiet", "--config", &runner]);
    command.args(target.map(|target| ["--release", "--target", target]).iter().flatten());
    command.args(["--package", "barenet-examples", "--bin", example, "--"]);
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
