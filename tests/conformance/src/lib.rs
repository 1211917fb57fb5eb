//! What the socket API promises, written once and run over each way in which a program may wait: calls that block (by
//! whatever the network waits with: spinning, fibers or threads), futures, and callbacks.
//!
//! At the other end stands the peer of [`ports`], in a test the Linux kernel's sockets (`barenet_tests::conformance`). Whatever
//! does not hold is a panic that says what.

#![no_std]

extern crate alloc;

mod blocking;
mod called;
mod cases;
mod crowd;
mod futures;
pub mod ports;
mod way;

use alloc::format;
use alloc::string::String;
use core::net::IpAddr;

use barenet::Net;

use crate::blocking::Blocking;
use crate::called::Called;
use crate::futures::Futures;

/// Runs all cases against `peer`, and tells each that holds.
///
/// # Panics
///
/// When one does not.
pub fn run(net: &Net, peer: IpAddr, told: impl Fn(String)) {
    let told = |way: &str, case: &str| told(format!("{case}, {way}, beside {peer}"));
    cases::run(Blocking::new(net), 0, peer, |case| told("blocking", case));
    cases::run(Futures::new(net), 1, peer, |case| told("futures", case));
    cases::run(Called::new(net), 2, peer, |case| told("callbacks", case));
}

/// [`run`], and a hundred tasks that accept at one listener, those that block beside those that await: where there are tasks.
///
/// # Panics
///
/// When something does not hold.
pub fn run_with_tasks(net: &Net, peer: IpAddr, told: impl Fn(String)) {
    run(net, peer, &told);
    crowd::run(net, peer);
    told(format!("a hundred acceptors, beside {peer}"));
}
