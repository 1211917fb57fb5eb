#![no_main]
//! Neighbours that say anything by multicast DNS: see `barenet_tests::fuzz::mdns`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    barenet_tests::fuzz::mdns(bytes);
});
