//! A client: an address by DHCP, a connection to an address, a request, and what comes back.
#![no_std]
#![no_main]

use barenet::stack::Memory;
use barenet_size::ours::clients::{fetch, net};
use barenet_size::program;
use static_cell::ConstStaticCell;

static MEMORY: ConstStaticCell<Memory<16, 2, 0>> = ConstStaticCell::new(Memory::new());

fn run() -> ! {
    let net = net(MEMORY.take().storage());
    loop {
        fetch(&net, (core::net::Ipv4Addr::new(10, 0, 0, 1), 80));
    }
}

program!(run);
