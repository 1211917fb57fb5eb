//! A device, ARP, IPv4 and ping: nothing listens.
#![no_std]
#![no_main]

use barenet::stack::SmallMemory;
use barenet_size::{ours, program};
use static_cell::ConstStaticCell;

static MEMORY: ConstStaticCell<SmallMemory<4, 0, 0>> = ConstStaticCell::new(SmallMemory::new());

fn run() -> ! {
    let daemon = ours::daemon(MEMORY.take().storage());
    loop {
        ours::sleep(daemon.turn(ours::now()));
    }
}

program!(run);
