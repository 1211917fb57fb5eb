//! A device, ARP, IPv4 and ping: nothing listens.
#![no_std]
#![no_main]

use barenet_size::theirs::{self, now};
use barenet_size::{program, theirs::sleep};
use smoltcp::iface::{Interface, SocketSet};
use static_cell::StaticCell;

static INTERFACE: StaticCell<(Interface, theirs::Device)> = StaticCell::new();

fn run() -> ! {
    let (interface, device) = INTERFACE.init(theirs::interface());
    let mut sockets = SocketSet::new(&mut [][..]);
    loop {
        interface.poll(now(), device, &mut sockets);
        sleep(interface.poll_delay(now(), &sockets));
    }
}

program!(run);
