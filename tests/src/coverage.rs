//! Which clauses and rows the code cites and the tests show: a table from the sources themselves.
//!
//! A line `//= rfc9293#3.8.1 MUST-18` cites a clause; a test names rows such as `H041`, `T05` or `F06` in a comment.
//! What each stands for is in `tests/coverage/*.tsv`. A row is shown only by a comment that belongs to a test: directly
//! above it, inside it, or anywhere in a script. A test that is ignored shows nothing, and a row that no table has is
//! an error wherever it is cited.

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
    /// Why no test needs to show it.
    pub exempt: Option<Exempt>,
    /// `file:line` of the citations in code, and of those beside tests that belong to none.
    pub code: Vec<String>,
    /// The same, in tests.
    pub tests: Vec<String>,
}

/// Why no test needs to show a row: the last column of its line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exempt {
    /// `decided: …`: we do otherwise, on purpose. A test may show what we do instead.
    Decided(String),
    /// `later: …`: it belongs to a part that does not exist yet.
    Later(String),
    /// `elsewhere: …`: nobody can test it here, such as a rule for applications.
    Elsewhere(String),
    /// `open`: not shown yet, but wanted.
    Open,
}

impl Exempt {
    fn parse(text: &str) -> Option<Exempt> {
        let (kind, why) = text.split_once(": ").unwrap_or((text, ""));
        match kind {
            "decided" => Some(Exempt::Decided(why.into())),
            "later" => Some(Exempt::Later(why.into())),
            "elsewhere" => Some(Exempt::Elsewhere(why.into())),
            "open" => Some(Exempt::Open),
            _ => None,
        }
    }
}

impl fmt::Display for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exempt::Decided(why) => write!(f, "decided: {why}"),
            Exempt::Later(why) => write!(f, "later: {why}"),
            Exempt::Elsewhere(why) => write!(f, "elsewhere: {why}"),
            Exempt::Open => f.write_str("open"),
        }
    }
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
    /// RFC 9293, features, hazards, flaws, behaviours, contract.
    pub tables: Vec<Table>,
    /// Sections of RFCs that are cited: in code, in tests.
    pub sections: BTreeMap<String, [usize; 2]>,
    /// Citations of rows that no table has.
    pub unknown: Vec<String>,
    /// Lines of the tables that can't be read, and rows that are there twice.
    pub malformed: Vec<String>,
}

/// Name of the table, its file, and whether rows start with their section.
const TABLES: [(&str, &str, bool); 6] = [
    ("RFC 9293", "rfc9293.tsv", true),
    ("features", "features.tsv", false),
    ("hazards", "hazards.tsv", false),
    ("flaws", "flaws.tsv", false),
    ("behaviours", "behaviours.tsv", false),
    (CONTRACT, "contract.tsv", false),
];
const CONTRACT: &str = "contract";
const ROOTS: [&str; 5] = ["stack", "drivers", "boards", "examples", "tests"];

impl Coverage {
    /// Reads the tables and every source of the repository at `root`.
    pub fn of(root: &Path) -> std::io::Result<Coverage> {
        let mut found =
            Coverage { tables: vec![], sections: BTreeMap::new(), unknown: vec![], malformed: vec![] };
        for (title, file, sections) in TABLES {
            let text = std::fs::read_to_string(root.join("tests/coverage").join(file))?;
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let rows = lines.filter_map(|line| {
                let row = row(line, sections);
                if row.is_none() {
                    found.malformed.push(format!("{file}: {line}"));
                }
                row
            });
            let table = Table { title, rows: rows.collect() };
            found.tables.push(table);
        }
        let mut seen = BTreeSet::new();
        let rows = found.tables.iter().flat_map(|t| t.rows.iter().map(|row| (t.title == CONTRACT, &row.id)));
        found.malformed.extend(rows.filter(|row| !seen.insert(*row)).map(|(_, id)| id.clone()));
        for file in ROOTS.iter().flat_map(|dir| sources(&root.join(dir))).collect::<BTreeSet<_>>() {
            let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            found.read(&name, &std::fs::read_to_string(&file)?);
        }
        Ok(found)
    }

    fn read(&mut self, name: &str, text: &str) {
        let in_tests = in_tests(name, text);
        for ((number, line), in_test) in text.lines().enumerate().zip(in_tests) {
            let Some(comment) = comment(line, name) else { continue };
            let place = format!("{name}:{}", number + 1);
            if let Some(section) = comment.trim_start_matches('=').trim_start().split(' ').next()
                && section.starts_with("rfc")
                && section.contains('#')
            {
                let section = section.trim_end_matches([':', ';', ',']);
                self.sections.entry(section.into()).or_default()[in_test as usize] += 1;
            }
            for id in ids(comment) {
                self.cite(&id, names_contract(comment), in_test, &place);
            }
        }
    }

    /// A name that the contract shares with another table is the contract's where the line says so.
    fn cite(&mut self, id: &str, of_contract: bool, in_test: bool, place: &str) {
        let mut tables: Vec<_> = self.tables.iter_mut().collect();
        tables.sort_by_key(|table| (table.title == CONTRACT) != of_contract);
        match tables.into_iter().flat_map(|t| &mut t.rows).find(|row| row.id == id) {
            Some(row) if in_test => row.tests.push(place.into()),
            Some(row) => row.code.push(place.into()),
            None => self.unknown.push(format!("{place}: {id}")),
        }
    }

    /// Rows that no test names and that have no reason for that.
    pub fn missing(&self) -> impl Iterator<Item = &Row> {
        self.tables.iter().flat_map(|t| &t.rows).filter(|r| r.tests.is_empty() && r.exempt.is_none())
    }

    /// Rows of what is not there, or not ours, that a test shows nevertheless.
    pub fn contradicted(&self) -> impl Iterator<Item = &Row> {
        let absent = |row: &Row| matches!(row.exempt, Some(Exempt::Later(_) | Exempt::Elsewhere(_)));
        self.tables.iter().flat_map(|t| &t.rows).filter(move |r| !r.tests.is_empty() && absent(r))
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            let shown = table.rows.iter().filter(|r| !r.tests.is_empty()).count();
            let exempt = table.rows.iter().filter(|r| r.exempt.is_some()).count();
            let all = table.rows.len();
            writeln!(f, "\n{}: {shown} of {all} shown by tests, {exempt} with a reason\n", table.title)?;
            for row in &table.rows {
                let how = match (&row.exempt, row.tests.first()) {
                    (why, Some(first)) => {
                        let why = why.as_ref().map_or(String::new(), |why| format!("; {why}"));
                        format!("{} tests, {} in code; {first}{why}", row.tests.len(), row.code.len())
                    }
                    (Some(why), None) => why.to_string(),
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

/// A line of a table: id, section if it has one, what it is, why no test shows it.
fn row(line: &str, sections: bool) -> Option<Row> {
    let mut cells = line.split('\t');
    let id = cells.next().filter(|id| is_id(id) || is_of_contract(id))?;
    let section = if sections { format!("§{} ", cells.next()?) } else { String::new() };
    let what = section + cells.next()?;
    let exempt = match cells.next() {
        None => None,
        Some(text) => Some(Exempt::parse(text)?),
    };
    Some(Row { id: id.into(), what, exempt, code: vec![], tests: vec![] })
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

/// For each line: does it belong to a test that runs? In scripts all do.
fn in_tests(name: &str, text: &str) -> Vec<bool> {
    let lines: Vec<&str> = text.lines().collect();
    if name.ends_with(".pkt") {
        return vec![true; lines.len()];
    }
    let mut inside = vec![false; lines.len()];
    // A suite without the harness is one test.
    let is_test =
        |line: &str| line.trim() == "#[test]" || (name.starts_with("tests/tests/") && line == "fn main() {");
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_test(line)) {
        let is_heading =
            |line: &&&str| line.trim_start().starts_with("//") || line.trim_start().starts_with("#[");
        let above = lines[..at].iter().rev().take_while(is_heading).count();
        // The code is formatted: a function ends where a brace stands below its first line.
        let end = line.replace("#[test]", "}").replace("fn main() {", "}");
        let below = lines[at..].iter().position(|line| **line == end).unwrap_or(lines.len() - 1 - at);
        let all = &lines[at - above..=at + below];
        if !all.iter().any(|line| line.trim_start().starts_with("#[ignore")) {
            inside[at - above..=at + below].fill(true);
        }
    }
    inside
}

/// The comment of a line, without its marks.
fn comment<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let marks: &[&str] = if name.ends_with(".pkt") { &["//", "#", "/*", " *"] } else { &["//"] };
    let at = marks.iter().filter_map(|mark| line.find(mark)).min()?;
    Some(line[at..].trim_start_matches(['/', '#', '*', ' ', '!']))
}

/// The names of rows in a comment: `MUST-18`, `H041`, `T05`, `F06`, `B01`, `R02`, `I06`, `L05`, `D03`, `M17`, `U4`;
/// and all of the contract's, such as `E2`, where the line has that word.
fn ids(comment: &str) -> Vec<String> {
    let words = comment.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let of_contract = names_contract(comment);
    words.filter(|word| is_id(word) || of_contract && is_of_contract(word)).map(Into::into).collect()
}

fn names_contract(comment: &str) -> bool {
    comment.contains("contract") || comment.contains("Contract")
}

fn is_id(word: &str) -> bool {
    match word.split_once('-') {
        Some(("MUST" | "SHLD" | "MAY" | "REC", number)) => number.parse::<u8>().is_ok(),
        Some(_) => false,
        None => {
            let has_digits =
                |kinds: &[char], n: usize| word.strip_prefix(kinds).is_some_and(|d| digits(d, n));
            has_digits(&['H'], 3)
                || has_digits(&['T', 'F', 'B', 'R', 'M', 'I', 'L'], 2)
                // The contract has D2 to D21.
                || word.strip_prefix("D0").is_some_and(|d| digits(d, 1))
                || has_digits(&['U'], 1)
                || has_digits(&['U'], 2)
        }
    }
}

/// A row of the contract. By their names alone `L13` or `D02` may be something else.
fn is_of_contract(word: &str) -> bool {
    let number = word.strip_prefix(['M', 'E', 'L', 'U', 'D']);
    number.is_some_and(|number| !number.starts_with('0') && (digits(number, 1) || digits(number, 2)))
}

fn digits(text: &str, n: usize) -> bool {
    text.len() == n && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rows_are_found_in_comments() {
        assert_eq!(
            ids("= rfc9293#3.8.3 MUST-20, SHLD-11 (H005, T04), L05, contract U4; not RFC-9, H12, u8, R2"),
            ["MUST-20", "SHLD-11", "H005", "T04", "L05", "U4"]
        );
        assert_eq!(ids("Contract E2, M3, L13: not G02"), ["E2", "M3", "L13"]);
        assert_eq!(ids("L13, E2, M3, D7 without that word"), ["L13"]);
        assert_eq!(comment("    let x = 1; // why", "a.rs"), Some("why"));
        assert_eq!(comment("let x = 1;", "a.rs"), None);
    }

    #[test]
    fn only_a_comment_that_belongs_to_a_test_is_a_claim() {
        let claims_of = |name: &str, text: &str| {
            let mut coverage = Coverage {
                tables: vec![Table { title: "hazards", rows: row("H041\tbad", false).into_iter().collect() }],
                sections: BTreeMap::new(),
                unknown: vec![],
                malformed: vec![],
            };
            coverage.read(name, text);
            (coverage.tables[0].rows[0].tests.clone(), coverage.unknown)
        };
        let claims = |text: &str| claims_of("stack/tests.rs", text);
        let nobodys = ["H", "999"].concat();
        let beside = format!("//! H041\n\n// H041\nfn helper() {{\n    // H041, {nobodys}\n}}\n");
        let (none, unknown) = claims(&beside);
        assert!(none.is_empty());
        assert_eq!(
            unknown,
            [format!("stack/tests.rs:5: {nobodys}")],
            "what no table has is told, wherever it is cited"
        );
        let (above, _) = claims("/// H041: so.\n#[test]\nfn so() {\n    x();\n}\n// H041\n");
        assert_eq!(above, ["stack/tests.rs:1"]);
        let (inside, _) = claims("    #[test]\n    fn so() {\n        x(); // H041\n    }\n    // H041\n");
        assert_eq!(inside, ["stack/tests.rs:3"]);
        let (ignored, _) = claims("/// H041\n#[test]\n#[ignore = \"slow\"]\nfn so() {\n}\n");
        assert!(ignored.is_empty(), "a test that does not run shows nothing");
        let program = "// H041\nfn main() {\n    x();\n}\n// H041\n";
        assert_eq!(
            claims_of("tests/tests/a.rs", program).0,
            ["tests/tests/a.rs:1"],
            "a suite without the harness"
        );
        assert!(claims_of("tests/src/bin/a.rs", program).0.is_empty());
    }

    #[test]
    fn a_line_needs_a_known_id_and_a_known_kind_of_reason() {
        assert!(matches!(row("H041\tbad\tlater: DNS", false).unwrap().exempt, Some(Exempt::Later(_))));
        assert!(row("H041\tbad\tperhaps", false).is_none());
        assert!(row("X1\tbad", false).is_none());
    }
}
