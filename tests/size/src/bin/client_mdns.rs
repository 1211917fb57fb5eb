//! The client, which has a name and a service on its link.
#![no_std]
#![no_main]

use barenet::names::{Announcement, DnsConfig, MdnsMemory, NamesMemory};
use barenet::stack::Memory;
use barenet_size::ours::clients::{fetch, net};
use barenet_size::{halt, program};
use static_cell::ConstStaticCell;

static MEMORY: ConstStaticCell<Memory<16, 2, 0>> = ConstStaticCell::new(Memory::new());
static NAMES: ConstStaticCell<NamesMemory<2, 4, 512>> = ConstStaticCell::new(NamesMemory::new());
static MDNS: ConstStaticCell<MdnsMemory<1>> = ConstStaticCell::new(MdnsMemory::new());

fn run() -> ! {
    let net = net(MEMORY.take().storage());
    net.with_stack(|stack| stack.start_names(DnsConfig::DEFAULT, NAMES.take().storage()));
    net.with_stack(|stack| stack.start_mdns(MDNS.take().storage()));
    let page = Announcement { instance: "A page", service: "_http._tcp", port: 80, texts: &["path=/"] };
    if net.announce_host("sensor").and_then(|()| net.announce(page)).is_err() {
        halt()
    }
    loop {
        fetch(&net, "example.local:80");
    }
}

program!(run);
