#![no_main]
//! DHCP servers and routers that say anything: see `barenet_tests::fuzz::servers`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    barenet_tests::fuzz::servers(bytes);
});
