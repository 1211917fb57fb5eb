//! A client: an address by DHCP, a connection by name, a request, and what comes back.
#![no_std]
#![no_main]

use barenet::names::{DnsConfig, NamesMemory};
use barenet::stack::Memory;
use barenet_size::ours::clients::{fetch, net};
use barenet_size::program;
use static_cell::ConstStaticCell;

static MEMORY: ConstStaticCell<Memory<16, 2, 0>> = ConstStaticCell::new(Memory::new());
static NAMES: ConstStaticCell<NamesMemory<2, 4, 512>> = ConstStaticCell::new(NamesMemory::new());

fn run() -> ! {
    let net = net(MEMORY.take().storage());
    net.with_stack(|stack| stack.start_names(DnsConfig::DEFAULT, NAMES.take().storage()));
    loop {
        fetch(&net, "example.org:80");
    }
}

program!(run);
