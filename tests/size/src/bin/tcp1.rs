//! TCP's echo service over IPv4, one connection at a time, with 4 KiB of queues for it.
#![no_std]
#![no_main]

use barenet::stack::SmallMemory;
use barenet_size::ours::sockets::{Echo, net};
use barenet_size::program;
use static_cell::{ConstStaticCell, StaticCell};

const CONNECTIONS: usize = 1;

static MEMORY: ConstStaticCell<SmallMemory<{ 8 * CONNECTIONS }, CONNECTIONS, 0>> =
    ConstStaticCell::new(SmallMemory::new());
static ECHO: StaticCell<Echo<CONNECTIONS>> = StaticCell::new();

fn run() -> ! {
    let net = net(MEMORY.take().storage());
    let echo = ECHO.init(Echo::new(&net));
    loop {
        net.idle(net.turn());
        echo.turn();
    }
}

program!(run);
