#![no_main]
//! Two stacks, a bad link, worse devices: see `barenet_tests::fuzz`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| barenet_tests::fuzz::pipeline(bytes));
