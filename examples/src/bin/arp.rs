//! Shows the neighbours of both families, after it has asked for the default routers: address, hardware address, state, interface.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::IpAddr;

use barenet::ip::InterfaceId;
use barenet::time::Duration;
use barenet::{Error, Net, PingSocket};
use barenet_boards::println;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    for (router, id) in routers(&net) {
        let mut socket = match router {
            IpAddr::V6(router) => PingSocket::connect_on(&net, router, id)?,
            IpAddr::V4(_) => PingSocket::connect(&net, router)?,
        };
        socket.set_read_timeout(Some(Duration::from_secs(1)));
        // Whether it answers is seen below.
        let _ = socket.send(b"arp").and_then(|_| socket.recv(&mut [0; 16]));
    }
    println!("{:<28} {:<18} {:<11} Iface", "Address", "HWaddress", "State");
    let configuration = net.configuration();
    for neighbor in configuration.neighbors() {
        let mac = neighbor.mac.map_or("(incomplete)".to_string(), |mac| mac.to_string());
        let (address, state) = (neighbor.address.to_string(), alloc::format!("{:?}", neighbor.state));
        println!("{address:<28} {mac:<18} {state:<11} {}", configuration.name(neighbor.interface));
    }
    Ok(())
}

/// The default routers, each with its interface.
fn routers(net: &Net) -> Vec<(IpAddr, InterfaceId)> {
    let configuration = net.configuration();
    let links = configuration.interfaces().map(|(id, _)| id);
    links.flat_map(|id| configuration.default_routers(id).map(move |router| (router, id))).collect()
}
