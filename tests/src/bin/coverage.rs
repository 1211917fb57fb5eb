//! Prints which clauses of RFC 9293, features, hazards and flaws the tests show: `cargo run -p barenet-tests --bin coverage`.

use barenet_tests::coverage::Coverage;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let coverage = match Coverage::of(&root) {
        Ok(coverage) => coverage,
        Err(error) => {
            eprintln!("cannot read the sources below {}: {error}", root.display());
            return ExitCode::FAILURE;
        }
    };
    print!("{coverage}");
    if coverage.missing().next().is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
