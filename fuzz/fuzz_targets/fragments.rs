#![no_main]
//! Fragments of every flaw class for one stack: see `barenet_tests::fuzz::fragments`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| barenet_tests::fuzz::fragments(bytes));
