//! A device, ARP, IPv4 and ping: nothing listens.
#![no_std]
#![no_main]

use barenet::daemon::Daemon;
use barenet::stack::Memory;
use barenet_size::{ours, program};
use static_cell::{ConstStaticCell, StaticCell};

static MEMORY: ConstStaticCell<Memory<4, 0, 0>> = ConstStaticCell::new(Memory::new());
static DAEMON: StaticCell<Daemon<'static>> = StaticCell::new();

fn run() -> ! {
    let daemon = DAEMON.init(ours::daemon(MEMORY.take().storage()));
    loop {
        ours::sleep(daemon.turn(ours::now()));
    }
}

program!(run);
