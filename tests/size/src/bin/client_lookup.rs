//! A client that looks a name up, and connects to its first address.
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
        if let Ok([address, ..]) = net.lookup("example.org").as_deref() {
            fetch(&net, (*address, 80));
        }
    }
}

program!(run);
