//! Building an example with cargo, its progress on the terminal.

use crate::example::{Example, workspace};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// Builds the example and returns its program's file. `target` is that of a board; `None` is
/// this host.
///
/// # Errors
///
/// When cargo fails; it has printed why.
pub fn build(example: &Example, target: Option<&str>) -> Result<PathBuf> {
    let mut args = vec!["build", "--package", example.package, "--bin", &example.name];
    // The bytes on the wire don't depend on it, but emulated they come ten times faster.
    if let Some(target) = target {
        args.extend(["--target", target, "--profile", "release"]);
    }
    args.extend(["--message-format", "json-render-diagnostics"]);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = duct::cmd(cargo, &args)
        .dir(workspace())
        .stdout_capture()
        .unchecked()
        .run()
        .context("can't run cargo")?;
    if !output.status.success() {
        bail!("`{}` does not build; cargo says why above", example.name);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    match messages.lines().filter_map(executable).next_back() {
        Some(path) => Ok(path),
        None => bail!("cargo named no program for `{}`", example.name),
    }
}

/// The program's file, if this message of cargo's announces one.
fn executable(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    Some(message.get("executable")?.as_str()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_file_is_found_in_cargos_messages() {
        let program = r#"{"reason":"compiler-artifact","executable":"/t/a \"b\""}"#;
        assert_eq!(executable(program), Some("/t/a \"b\"".into()));
        let library = r#"{"reason":"compiler-artifact","executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable("warning: not JSON"), None);
    }
}
