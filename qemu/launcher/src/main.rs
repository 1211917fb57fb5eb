//! What the aliases `cargo qemu` and `cargo host` start: it builds the runner of that name with
//! its progress in sight, then becomes it.
//!
//! An alias for `cargo run` alone can't: with `--quiet` the first build is half a minute of
//! silence, without it cargo adds a complaint of its own to every error of the runner. This
//! program has no dependencies, so that it is there at once.

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let mut runner = OsString::from("barenet-");
    runner.push(args.next().unwrap_or_else(|| "qemu".into()));
    match launch(&runner, args) {
        Ok(status) => status,
        Err(why) => {
            eprintln!("error: can't start the runner {}: {why}", runner.display());
            ExitCode::FAILURE
        }
    }
}

fn launch(runner: &OsString, args: impl Iterator<Item = OsString>) -> std::io::Result<ExitCode> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built =
        Command::new(cargo).args(["build", "--package", "barenet-qemu", "--bin"]).arg(runner).status()?;
    if !built.success() {
        return Ok(ExitCode::FAILURE);
    }
    // It lies beside this program.
    let program = env::current_exe()?.with_file_name(runner);
    become_it(Command::new(program).args(args))
}

/// Signals then reach the runner itself.
#[cfg(unix)]
fn become_it(command: &mut Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> std::io::Result<ExitCode> {
    let code = command.status()?.code();
    let code = code.and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
