//! The networking guide's UDP client, in callbacks: sends hello to ADDRESS:PORT and prints the answer.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::rc::Rc;
use alloc::vec;
use core::cell::Cell;
use core::net::SocketAddr;

use barenet::callbacks::{Loop, Udp};
use barenet::{Error, Net};
use barenet_boards::{args, print};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let to: SocketAddr = args()
        .first()
        .and_then(|to| to.parse().ok())
        .ok_or(Error::InvalidInput("the first argument is not ADDRESS:PORT"))?;
    let events = Loop::new(&net);
    let result = Rc::new(Cell::new(Ok(())));
    let client = Udp::new(&events);
    client.connect(to)?; // so that an unreachable port is told to us
    client.send(&[b"Hello, world!\n"], None, |_, _| {});
    let told = result.clone();
    client.recv_start(vec![0; 2048], move |client, received| {
        match received {
            Err(error) => told.set(Err(error)),
            Ok(datagram) => datagram.data.utf8_chunks().for_each(|text| print!("{}", text.valid())),
        }
        client.close(|| {});
    })?;
    events.run();
    result.get()
}
