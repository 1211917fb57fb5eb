//! The rooms of ARCHITECTURE.md: who may name whom in the stack, and how long a file may be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What answers one question fits in so many lines.
const LINES_MAX: usize = 600;

/// All rooms but `tcp` that are above the words.
const LAYERS: &[&str] =
    &["wire", "device", "link", "ip", "udp", "config", "names", "stack", "daemon", "net", "socket", "events"];

/// A room, and the rooms that it must not name.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &["tcp", "wire", "device", "link", "ip", "udp", "config", "stack", "daemon", "net", "socket"]),
    ("tcp/send", &["tcp/receive", "tcp/connection", "tcp/table"]),
    ("tcp/send", LAYERS),
    ("tcp/receive", &["tcp/send", "tcp/connection", "tcp/table"]),
    ("tcp/receive", LAYERS),
    ("tcp/connection", &["tcp/table"]),
    ("tcp/connection", LAYERS),
    ("tcp/segment", &["tcp/send", "tcp/receive", "tcp/connection", "tcp/table"]),
    ("tcp/context", &["tcp/send", "tcp/receive", "tcp/connection", "tcp/table"]),
    ("tcp/table", &["wire", "device", "link", "udp", "config", "stack", "daemon", "net", "socket"]),
    ("device", &["tcp", "link", "ip", "udp", "config", "stack", "daemon", "net", "socket"]),
    ("wire", &["link", "udp", "config", "stack", "daemon", "net", "socket"]),
    ("link", &["tcp", "udp", "config", "stack", "daemon", "net", "socket"]),
    ("ip", &["tcp", "stack", "daemon", "net", "socket"]),
    ("udp", &["tcp", "wire", "device", "link", "config", "stack", "daemon", "net", "socket"]),
    ("config", &["tcp", "udp", "stack", "daemon", "net", "socket"]),
    ("names", &["tcp", "udp", "link", "config", "stack", "daemon", "net", "socket"]),
    ("stack", &["daemon", "net", "socket"]),
    ("daemon", &["net", "socket"]),
    ("net", &["socket", "callbacks"]),
    ("socket", &["callbacks"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All sources below `folder`, by their paths from the root of the repository.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                let name =
                    path.strip_prefix(root()).expect("it is below").to_str().expect("UTF-8").to_owned();
                found.push((name, text));
            }
        }
    }
    found.sort();
    found
}

/// The code of a file, without comments and without the tests at its end.
fn code(text: &str) -> String {
    let code = &text[..text.find("mod tests {").unwrap_or(text.len())];
    code.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Every path from `crate::` on that a file names, `/` between its parts. Groups are taken apart.
fn paths(code: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let end = rest.find(|c| !is_word(c) && c != ':').unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches(':').replace("::", "/");
        match rest[end..].strip_prefix('{') {
            Some(group) => {
                let group = &group[..group.find('}').unwrap_or(group.len())];
                let items = group.split(',').map(|item| item.trim().replace("::", "/"));
                found.extend(
                    items
                        .filter(|item| !item.is_empty())
                        .map(|item| format!("{path}/{item}").trim_start_matches('/').to_owned()),
                );
            }
            None => found.push(path),
        }
    }
    found
}

/// What `tcp/mod.rs` hands on: name to the path that it stands for.
fn handed_on() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("stack/src/tcp/mod.rs")).expect("tcp/mod.rs");
    let mut names = BTreeMap::new();
    for statement in code(&text).split(';').filter_map(|s| s.split_once("use ").map(|(_, s)| s.to_owned())) {
        let (path, items) = match statement.split_once('{') {
            Some((path, items)) => (path.to_owned(), items.trim_end_matches(['}', '\n', ' ']).to_owned()),
            None => {
                let (path, item) = statement.rsplit_once("::").expect("a path");
                (format!("{path}::"), item.to_owned())
            }
        };
        for item in items.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            names.insert(format!("tcp/{item}"), format!("tcp/{}{item}", path.replace("::", "/")));
        }
    }
    names
}

fn is_in(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
}

#[test]
fn rooms_name_only_those_below_them() {
    let handed_on = handed_on();
    assert!(handed_on.get("tcp/Tcp").is_some_and(|path| path == "tcp/table/Tcp"), "{handed_on:?}");
    let mut wrong = Vec::new();
    for (name, text) in sources("stack/src") {
        let place = name.trim_start_matches("stack/src/");
        if place.contains("tests") {
            continue;
        }
        for path in paths(&code(&text)) {
            let path = handed_on.get(&path).unwrap_or(&path);
            let forbidden =
                ARROWS.iter().filter(|(room, _)| is_in(place, room)).flat_map(|(_, rooms)| *rooms);
            for room in forbidden.filter(|room| is_in(path, room)) {
                wrong.push(format!("{name} names {path}, and may know nothing of `{room}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_answer_one_question() {
    let folders =
        ["stack/src", "drivers", "boards", "examples", "qemu", "tests/src", "tests/tests", "tests/benches"];
    let mut wrong = Vec::new();
    for (name, text) in folders.iter().flat_map(|folder| sources(folder)) {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{name} has {lines} lines; the limit is {LINES_MAX}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The reader of paths: were it blind, the arrows would hold whatever the sources say.
#[test]
fn paths_of_a_file_are_found() {
    let text = "use crate::tcp::{Tcp, segment::Tuple};\nuse crate::{seq, ip::Path};\nfn a(b: crate::stack::Stack) {} // crate::net\n#[cfg(test)]\nmod tests { use crate::socket; }";
    assert_eq!(paths(&code(text)), ["tcp/Tcp", "tcp/segment/Tuple", "seq", "ip/Path", "stack/Stack"]);
}

/// Where the paths of the documents begin.
const ROOTS: [&str; 6] =
    ["", "stack/src/", "boards/src/", "drivers/src/", "stack/src/tcp/connection/", "tests/tests/"];

/// All names of files and folders that a document has between backquotes: with `/` and without spaces, or ending in `.rs`.
/// `{a,b}` stands for both.
fn named_files(text: &str) -> Vec<String> {
    let outside = text.split("```").step_by(2).flat_map(|part| part.split('`').skip(1).step_by(2));
    let is_path = |name: &&str| {
        let parts = || name.split('/').filter(|part| !part.is_empty());
        let is_part = |part: &str| {
            part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.{},-".contains(c))
        };
        let is_folder = name.contains('/')
            && parts().all(|p| p.starts_with(|c: char| c.is_ascii_lowercase() || c == '{'));
        (name.ends_with(".rs") || is_folder) && parts().all(is_part)
    };
    outside.filter(is_path).flat_map(each_of_group).collect()
}

fn each_of_group(name: &str) -> Vec<String> {
    let group = || {
        let (before, rest) = name.split_once('{')?;
        let (group, after) = rest.split_once('}')?;
        Some(group.split(',').map(|item| format!("{before}{}{after}", item.trim())).collect())
    };
    group().unwrap_or_else(|| vec![name.to_owned()])
}

/// What the documents say lies somewhere is there.
#[test]
fn documents_name_files_that_exist() {
    let mut wrong = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "tests/benches/notes.md"] {
        let text = std::fs::read_to_string(root().join(document)).expect("a document");
        let names = named_files(&text);
        for name in &names {
            let is_there = |from: &&str| {
                ["", ".rs"].iter().any(|end| root().join(format!("{from}{name}{end}")).exists())
            };
            if name != "tests.rs" && !name.starts_with("target/") && !ROOTS.iter().any(is_there) {
                wrong.push(format!("{document} names `{name}`, which is not there"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let text = "`a/b.rs` and `c.rs`; `d/{e,f}`, not `G/h`, `i` or\n```sh\n`j/k`\n```\n";
    assert_eq!(named_files(text), ["a/b.rs", "c.rs", "d/e", "d/f"], "the reader of names");
}
