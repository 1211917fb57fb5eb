//! The examples: which there are, and on which ports they serve.

use crate::forward::{Port, Protocol};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Ports that the examples listen on. An example that is not named here serves nobody.
const PORTS: &[(&str, Port)] = &[
    ("callback_tcp_echo_server", Port::new(Protocol::Tcp, 7000)),
    ("callback_udp_echo_server", Port::new(Protocol::Udp, 7000)),
    ("embassy_tasks", Port::new(Protocol::Tcp, 7)),
    ("http_server", Port::new(Protocol::Tcp, 80)),
    ("iperf3", Port::new(Protocol::Tcp, 5201)),
    ("picoserve_server", Port::new(Protocol::Tcp, 80)),
    ("tcp_echo_server", Port::new(Protocol::Tcp, 7000)),
    ("tcp_last_words", Port::new(Protocol::Tcp, 7000)),
    ("tcp_server_stop", Port::new(Protocol::Tcp, 7000)),
    ("tcp_tasks", Port::new(Protocol::Tcp, 7000)),
    ("tcp_sink_source", Port::new(Protocol::Tcp, 9)),
    ("tcp_sink_source", Port::new(Protocol::Tcp, 19)),
    ("udp_echo_server", Port::new(Protocol::Udp, 7000)),
];

/// The packages with examples, and where the programs lie: those with other crates are a package of their own.
const PACKAGES: [(&str, &str); 3] = [
    ("barenet-examples", "examples/src/bin"),
    ("barenet-ecosystem", "examples/ecosystem/src/bin"),
    ("barenet-conformance", "tests/conformance/src/bin"),
];

/// An example program.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Example {
    /// The name of its binary.
    pub name: String,
    /// The first line of its documentation.
    pub about: String,
    /// The package that it belongs to.
    pub package: &'static str,
}

impl Example {
    /// A program that is built already, which is nobody's example: it serves where its user says.
    pub fn built(image: &Path) -> Example {
        let name = image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Example { name, about: String::new(), package: "" }
    }

    /// The ports that it listens on.
    pub fn ports(&self) -> impl Iterator<Item = Port> {
        let name = if self.package.is_empty() { String::new() } else { self.name.clone() };
        let own = PORTS.iter().filter(move |(example, _)| *example == name);
        own.map(|&(_, port)| port)
    }
}

/// The first address that an example's arguments give it, as `ip=ADDRESS/PREFIX`.
pub fn address(arguments: &[String]) -> Option<std::net::IpAddr> {
    arguments.iter().find_map(|argument| {
        let (address, _) = argument.strip_prefix("ip=")?.split_once('/')?;
        address.parse().ok()
    })
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// All examples, by name.
///
/// # Errors
///
/// When a folder of theirs can't be read.
pub fn all() -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for (package, folder) in PACKAGES {
        let folder = workspace().join(folder);
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("can't read the examples' folder {}", folder.display()))?;
        for entry in entries {
            examples.extend(read(&entry?.path(), package));
        }
    }
    examples.sort();
    Ok(examples)
}

/// What `--list` shows of them.
///
/// # Errors
///
/// As for [`all`].
pub fn list(command: &str) -> Result<String> {
    let lines = all()?.into_iter().map(|example| format!("  {:<26} {}\n", example.name, example.about));
    Ok(format!("Examples ({command} EXAMPLE):\n{}", lines.collect::<String>()))
}

/// The example of this name.
///
/// # Errors
///
/// When there is none: the message names those that there are.
pub fn find(name: &str) -> Result<Example> {
    pick(all()?, name)
}

fn pick(examples: Vec<Example>, name: &str) -> Result<Example> {
    let known: Vec<_> = examples.iter().map(|e| e.name.as_str()).collect();
    let known = known.join(", ");
    match examples.into_iter().find(|e| e.name == name) {
        Some(example) => Ok(example),
        None => bail!("there is no example `{name}`; there are: {known}"),
    }
}

/// The example in `NAME.rs` or in the folder `NAME`.
fn read(path: &Path, package: &'static str) -> Option<Example> {
    let source: PathBuf = match path.is_dir() {
        true => path.join("main.rs"),
        false => path.to_owned(),
    };
    let text = std::fs::read_to_string(source).ok()?;
    Some(Example { name: path.file_stem()?.to_str()?.to_owned(), about: about(&text), package })
}

/// The first line of a program's documentation.
fn about(source: &str) -> String {
    let line = source.lines().find_map(|line| line.strip_prefix("//!"));
    line.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_documentation_tells_what_it_is() {
        assert_eq!(about("#![no_std]\n//! Says hello.\n//! More.\n"), "Says hello.");
        assert_eq!(about("fn main() {}"), "");
    }

    #[test]
    fn an_unknown_example_is_named_beside_the_known() {
        let example = |name: &str| Example { name: name.into(), about: String::new(), package: "" };
        let examples = vec![example("http_server"), example("ping")];
        let why = pick(examples, "htp_server").unwrap_err().to_string();
        let known = "http_server, ping";
        assert_eq!(why, format!("there is no example `htp_server`; there are: {known}"));
    }
}
