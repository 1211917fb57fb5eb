//! Ownership and last words, as in Mnet's document: on port 7000 each line of a client is a number, and their sum goes back.
//! Whatever ends a client's task, its connection is closed, and what there is to say is said before.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::format;
use core::net::SocketAddr;

use barenet::{Error, Net, TcpListener, TcpStream};
use barenet_boards::println;

/// A connection that says how far it came when its owner lets go of it: a finaliser, which neither waits nor fails.
struct Sum {
    flow: TcpStream,
    sum: u64,
}

impl Drop for Sum {
    fn drop(&mut self) {
        // All of it or nothing, also where the send buffer is full. The connection is closed after that, by the stream's own
        // drop.
        let _ = self.flow.write_without_interruption(format!("sum {}\n", self.sum).as_bytes());
    }
}

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let listener = TcpListener::bind(&net, 7000)?;
    println!("sums on {}", listener.local_addr());
    listener.serve(|flow, peer| add_up(Sum { flow, sum: 0 }, peer))
}

fn add_up(mut owned: Sum, peer: SocketAddr) -> Result<(), Error> {
    let mut line = heapless::String::<20>::new();
    let mut byte = [0];
    while owned.flow.read(&mut byte)? == 1 {
        if byte != *b"\n" {
            let pushed = line.push(byte[0].into());
            pushed.map_err(|_| Error::InvalidInput("a line is too long"))?;
            continue;
        }
        let number: u64 = line.parse().map_err(|_| {
            println!("{peer} says {line:?}");
            Error::InvalidInput("a line is no number")
        })?;
        owned.sum = owned.sum.saturating_add(number);
        line.clear();
    }
    Ok(())
}
