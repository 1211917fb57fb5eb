//! What a board needs on this machine: its target's library and its emulator. What is missing is
//! installed where that is allowed; otherwise the error names the command.

use crate::board::Board;
use crate::example::workspace;
use anyhow::{Context, Result, bail};
use duct::cmd;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Makes sure that programs for the board can be built.
///
/// # Errors
///
/// Names what is missing and the command that installs it.
pub fn target(board: &Board) -> Result<()> {
    let library = cmd!("rustc", "--print", "target-libdir", "--target", board.target)
        .dir(workspace())
        .read()
        .context("can't run rustc")?;
    if PathBuf::from(library.trim()).is_dir() {
        return Ok(());
    }
    let command = format!("rustup target add {}", board.target);
    if find_program("rustup").is_none() {
        bail!(
            "Rust's library for {} is missing and there is no rustup to add it with: install rustup, then `{command}`",
            board.target
        );
    }
    eprintln!("Rust's library for {} is missing: running `{command}`", board.target);
    cmd!("rustup", "target", "add", board.target)
        .dir(workspace())
        .stdout_to_stderr()
        .run()
        .with_context(|| format!("Rust's library for {} is missing; `{command}` failed", board.target))?;
    Ok(())
}

/// Makes sure that the board's emulator is there.
///
/// # Errors
///
/// Names what is missing and the command that installs it.
pub fn emulator(board: &Board) -> Result<()> {
    program(board.qemu, board.package)
}

/// Makes sure that a program is there, which is part of the Debian package of this name.
///
/// # Errors
///
/// Names what is missing and the command that installs it.
pub fn program(name: &str, package: &str) -> Result<()> {
    // One apt-get at a time: another would fail.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    if find_program(name).is_some() {
        return Ok(());
    }
    let may_install = find_program("apt-get").is_some() && is_root();
    if !may_install {
        bail!("{name} is missing: {}", advice(name, package));
    }
    eprintln!("{name} is missing: installing {package} with apt-get");
    let update = cmd!("apt-get", "update").stdout_to_stderr();
    let install = cmd!("apt-get", "install", "--yes", "--no-install-recommends", package)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout_to_stderr();
    let installed = update.run().and_then(|_| install.run());
    installed.with_context(|| format!("{name} is missing and apt-get failed; {}", advice(name, package)))?;
    match find_program(name) {
        Some(_) => Ok(()),
        None => bail!("the package {package} has no {name}"),
    }
}

/// How to install a program here.
fn advice(name: &str, package: &str) -> String {
    let project = package.split('-').next().unwrap_or(package);
    let managers = [
        ("apt-get", format!("sudo apt-get install {package}")),
        ("dnf", format!("sudo dnf install {package}")),
        ("pacman", format!("sudo pacman -S {package}")),
        ("apk", format!("sudo apk add {name}")),
        ("brew", format!("brew install {project}")),
    ];
    match managers.into_iter().find(|(program, _)| find_program(program).is_some()) {
        Some((_, command)) => format!("install it with `{command}`"),
        None => format!("install {project} with your system's package manager"),
    }
}

fn is_root() -> bool {
    cmd!("id", "-u").stderr_null().read().is_ok_and(|id| id == "0")
}

/// The file of a program in PATH.
pub fn find_program(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(name.as_ref()));
    files.find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_path() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program").is_none());
        assert!(program("sh", "no-such-package").is_ok(), "it is there");
    }
}
