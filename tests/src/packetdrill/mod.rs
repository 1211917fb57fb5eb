//! A runner of packetdrill's scripts against our stack, in virtual time.
//!
//! [`parse`] reads both dialects of the language, [`run`] plays a script on a stack whose link
//! ([`link`]) is in memory, through the calls of [`posix`] that a program would make. Nothing here looks
//! into the stack: packets are written and read by [`wire`].

mod calls;
mod code;
mod compare;
mod cookie;
pub mod deviations;
mod flows;
mod icmp_names;
pub mod link;
pub mod names;
pub mod parse;
pub mod posix;
pub mod profile;
pub mod report;
mod run;
pub mod script;
mod show;
pub mod text;
pub mod wire;

pub use report::{Failure, Report};
pub use run::{Options, run};

use std::path::{Path, PathBuf};

/// The scripts of files and folders with their text, sorted. `Err` names what can't be read.
pub fn scripts(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, String> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, true, &mut files)?;
    }
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok((path, text))
    };
    files.into_iter().map(read).collect()
}

fn collect(path: &Path, named: bool, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let error = |e: std::io::Error| format!("{}: {e}", path.display());
    if !path.is_dir() {
        if named || path.extension().is_some_and(|e| e == "pkt") {
            files.push(path.to_path_buf());
        }
        return Ok(());
    }
    for entry in path.read_dir().map_err(error)? {
        collect(&entry.map_err(error)?.path(), false, files)?;
    }
    Ok(())
}
