//! Every requirement of RFC 9293, feature, hazard and flaw is named by a test, or says why not:
//! `cargo run -p barenet-tests --bin coverage` prints the table.

use barenet_tests::coverage::Coverage;
use std::path::Path;

#[test]
fn every_row_has_a_test_or_a_reason() {
    let coverage = Coverage::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("the sources");
    let missing: Vec<_> = coverage.missing().map(|row| format!("{} {}", row.id, row.what)).collect();
    assert!(missing.is_empty(), "no test names\n{}", missing.join("\n"));
    let contradicted: Vec<_> = coverage.contradicted().map(|row| &row.id).collect();
    assert!(contradicted.is_empty(), "tests show what is said not to be there: {contradicted:?}");
    assert!(coverage.malformed.is_empty(), "lines of the tables: {:?}", coverage.malformed);
    assert!(coverage.unknown.is_empty(), "citations of what no table has: {:?}", coverage.unknown);
}

/// The table on the front page of the API has each row of the contract, in its words, and an item for those that a test shows.
#[test]
fn front_page_has_each_row_of_the_contract() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect(path);
    let (contract, page) = (read("tests/coverage/contract.tsv"), read("stack/src/contract.md"));
    for row in contract.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut columns = row.split('\t');
        let (id, what, why) = (columns.next().unwrap(), columns.next().unwrap(), columns.next());
        let line = page.lines().find(|line| line.starts_with(&format!("| {id} | {what} | "))).expect(id);
        assert_eq!(line.ends_with(&format!("none: {} |", why.unwrap_or(""))), why.is_some(), "{line}");
    }
}
