//! TCP's echo service over IPv4, eight connections at a time, with 4 KiB of queues for each.
#![no_std]
#![no_main]

use barenet_size::program;
use barenet_size::theirs::sockets::{Queues, add, placed, serve};
use smoltcp::iface::{SocketSet, SocketStorage};
use static_cell::ConstStaticCell;

const CONNECTIONS: usize = 8;

static SOCKETS: ConstStaticCell<[SocketStorage<'static>; CONNECTIONS]> =
    ConstStaticCell::new([SocketStorage::EMPTY; CONNECTIONS]);
static QUEUES: ConstStaticCell<[Queues; CONNECTIONS]> =
    ConstStaticCell::new([([0; 2048], [0; 2048]); CONNECTIONS]);

fn run() -> ! {
    let mut sockets = SocketSet::new(&mut SOCKETS.take()[..]);
    let connections = add(&mut sockets, QUEUES.take());
    serve(placed(), sockets, &connections, |_| {})
}

program!(run);
