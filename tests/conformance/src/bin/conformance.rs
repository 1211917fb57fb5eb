//! The conformance suite of the sockets, beside the peer at the addresses that are the arguments.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec::Vec;
use core::net::IpAddr;

use barenet::{Error, Net};
use barenet_boards::{args, println};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let peers: Result<Vec<IpAddr>, _> = args().iter().map(|peer| peer.parse()).collect();
    let peers = peers.map_err(|_| Error::InvalidInput("an argument is not an address"))?;
    for peer in &peers {
        barenet_conformance::run_with_tasks(&net, *peer, |done| println!("{done}"));
    }
    println!("conforms");
    Ok(())
}
