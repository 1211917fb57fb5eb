#![no_main]
//! A name server that says anything: see `barenet_tests::fuzz::names`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    barenet_tests::fuzz::names(bytes);
});
