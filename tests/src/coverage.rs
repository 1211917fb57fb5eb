//! Which clauses and rows the code cites and the tests show: a table from the sources themselves.
//!
//! A line `//= rfc9293#3.8.1 MUST-18` cites a clause; a test names rows such as `H041`, `T05` or `F06` in a comment.
//! What each stands for is in `tests/coverage/*.tsv`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

/// A requirement, feature or hazard.
#[derive(Debug)]
pub struct Row {
    /// `MUST-18`, `H041`, `T05`, `F06`.
    pub id: String,
    /// What it asks, with the section if it has one.
    pub what: String,
    /// Why it does not apply, if it does not.
    pub exempt: Option<String>,
    /// `file:line` of the citations in code.
    pub code: Vec<String>,
    /// The same, in tests.
    pub tests: Vec<String>,
}

/// A table of rows.
#[derive(Debug)]
pub struct Table {
    /// Of what.
    pub title: &'static str,
    /// In their order.
    pub rows: Vec<Row>,
}

/// Everything that was found.
#[derive(Debug)]
pub struct Coverage {
    /// RFC 9293, features, hazards, flaws.
    pub tables: Vec<Table>,
    /// Sections of RFCs that are cited: in code, in tests.
    pub sections: BTreeMap<String, [usize; 2]>,
    /// Citations of rows that no table has.
    pub unknown: Vec<String>,
}

/// Name of the table, its file, and whether rows start with their section.
const TABLES: [(&str, &str, bool); 5] = [
    ("RFC 9293", "rfc9293.tsv", true),
    ("features", "features.tsv", false),
    ("hazards", "hazards.tsv", false),
    ("flaws", "flaws.tsv", false),
    ("behaviours", "behaviours.tsv", false),
];
const ROOTS: [&str; 5] = ["stack", "drivers", "boards", "examples", "tests"];

impl Coverage {
    /// Reads the tables and every source of the repository at `root`.
    pub fn of(root: &Path) -> std::io::Result<Coverage> {
        let tables = TABLES.iter().map(|(title, file, sections)| {
            let text = std::fs::read_to_string(root.join("tests/coverage").join(file))?;
            Ok(Table { title, rows: text.lines().filter_map(|line| row(line, *sections)).collect() })
        });
        let mut found = Coverage {
            tables: tables.collect::<std::io::Result<_>>()?,
            sections: BTreeMap::new(),
            unknown: vec![],
        };
        for file in ROOTS.iter().flat_map(|dir| sources(&root.join(dir))).collect::<BTreeSet<_>>() {
            let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            found.read(&name, &std::fs::read_to_string(&file)?);
        }
        Ok(found)
    }

    fn read(&mut self, name: &str, text: &str) {
        let mut in_tests = is_test(name);
        for (number, line) in text.lines().enumerate() {
            in_tests |= line.starts_with("mod tests {");
            let Some(comment) = comment(line, name) else { continue };
            let place = format!("{name}:{}", number + 1);
            if let Some(section) = comment.trim_start_matches('=').trim_start().split(' ').next()
                && section.starts_with("rfc")
                && section.contains('#')
            {
                let section = section.trim_end_matches([':', ';', ',']);
                self.sections.entry(section.into()).or_default()[in_tests as usize] += 1;
            }
            for id in ids(comment) {
                self.cite(&id, in_tests, &place);
            }
        }
    }

    fn cite(&mut self, id: &str, in_tests: bool, place: &str) {
        match self.tables.iter_mut().flat_map(|t| &mut t.rows).find(|row| row.id == id) {
            Some(row) if in_tests => row.tests.push(place.into()),
            Some(row) => row.code.push(place.into()),
            None if id.contains('-') => self.unknown.push(format!("{place}: {id}")),
            None => {} // a row of another layer
        }
    }

    /// Rows that no test names and that have no reason for that.
    pub fn missing(&self) -> impl Iterator<Item = &Row> {
        self.tables.iter().flat_map(|t| &t.rows).filter(|r| r.tests.is_empty() && r.exempt.is_none())
    }

    /// Rows that say why they don't apply, and that a test shows nevertheless.
    pub fn contradicted(&self) -> impl Iterator<Item = &Row> {
        self.tables.iter().flat_map(|t| &t.rows).filter(|r| !r.tests.is_empty() && r.exempt.is_some())
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            let shown = table.rows.iter().filter(|r| !r.tests.is_empty()).count();
            let exempt = table.rows.iter().filter(|r| r.exempt.is_some()).count();
            let all = table.rows.len();
            writeln!(f, "\n{}: {shown} of {all} shown by tests, {exempt} do not apply\n", table.title)?;
            for row in &table.rows {
                let how = match (&row.exempt, row.tests.first()) {
                    (Some(why), _) => format!("n/a: {why}"),
                    (None, Some(first)) => {
                        format!("{} tests, {} in code; {first}", row.tests.len(), row.code.len())
                    }
                    (None, None) => "NO TEST".into(),
                };
                writeln!(f, "  {:<8} {:<72} {how}", row.id, row.what)?;
            }
        }
        let mut rfcs: BTreeMap<&str, (usize, [usize; 2])> = BTreeMap::new();
        for (section, [code, tests]) in &self.sections {
            let (sections, [c, t]) = rfcs.entry(section.split('#').next().unwrap_or("")).or_default();
            *sections += 1;
            *c += code;
            *t += tests;
        }
        writeln!(f, "\nRFCs: sections cited, citations in code, in tests\n")?;
        for (rfc, (sections, [code, tests])) in rfcs {
            writeln!(f, "  {rfc:<8} {sections:>4} {code:>4} {tests:>4}")?;
        }
        f.write_char('\n')
    }
}

/// A line of a table: id, section if it has one, what it is, why it does not apply.
fn row(line: &str, sections: bool) -> Option<Row> {
    let mut cells = line.split('\t').filter(|_| !line.starts_with('#'));
    let id = cells.next().filter(|id| !id.is_empty())?;
    let section = if sections { format!("§{} ", cells.next()?) } else { String::new() };
    let what = section + cells.next()?;
    Some(Row { id: id.into(), what, exempt: cells.next().map(Into::into), code: vec![], tests: vec![] })
}

/// Every source below `dir`, scripts included.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return vec![] };
    let paths = entries.filter_map(|e| Some(e.ok()?.path()));
    paths
        .flat_map(|path| match path.extension().and_then(|e| e.to_str()) {
            _ if path.is_dir() => sources(&path),
            Some("rs" | "pkt") => vec![path],
            _ => vec![],
        })
        .collect()
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("tests.rs")
}

/// The comment of a line, without its marks.
fn comment<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let marks: &[&str] = if name.ends_with(".pkt") { &["//", "#", "/*", " *"] } else { &["//"] };
    let at = marks.iter().filter_map(|mark| line.find(mark)).min()?;
    Some(line[at..].trim_start_matches(['/', '#', '*', ' ', '!']))
}

/// The names of rows in a comment: `MUST-18`, `H041`, `T05`, `F06`, `B01`.
fn ids(comment: &str) -> Vec<String> {
    let words = comment.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let is_id = |word: &&str| {
        let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
        match word.split_once('-') {
            Some(("MUST" | "SHLD" | "MAY" | "REC", number)) => number.parse::<u8>().is_ok(),
            Some(_) => false,
            None => {
                word.strip_prefix('H').is_some_and(|n| digits(n, 3))
                    || word.strip_prefix(['T', 'F', 'B']).is_some_and(|n| digits(n, 2))
            }
        }
    };
    words.filter(is_id).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rows_are_found_in_comments() {
        assert_eq!(
            ids("= rfc9293#3.8.3 MUST-20, SHLD-11 (H005, T04); not RFC-9, H12"),
            ["MUST-20", "SHLD-11", "H005", "T04"]
        );
        assert_eq!(comment("    let x = 1; // why", "a.rs"), Some("why"));
        assert_eq!(comment("let x = 1;", "a.rs"), None);
    }
}
