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
