//! `tcp1` with a heap beside its static memory.
#![no_std]
#![no_main]

use barenet::stack::SmallMemory;
use barenet_size::ours::sockets::{Echo, net};
use barenet_size::program;
use static_cell::{ConstStaticCell, StaticCell};

static MEMORY: ConstStaticCell<SmallMemory<8, 1, 0>> = ConstStaticCell::new(SmallMemory::new());
static ECHO: StaticCell<Echo<1>> = StaticCell::new();

fn run() -> ! {
    let net = net(MEMORY.take().storage());
    let echo = ECHO.init(Echo::new(&net));
    loop {
        net.idle(net.turn());
        echo.turn();
    }
}

program!(run);
