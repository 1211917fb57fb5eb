//! The networking guide's UDP echo server, in callbacks, on port 7000.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec;

use barenet::callbacks::{Loop, Udp};
use barenet::{Error, Net};
use barenet_boards::println;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let events = Loop::new(&net);
    let server = Udp::new(&events);
    server.bind(7000)?;
    server.recv_start(vec![0; 65_527], |server, received| match received {
        Err(error) => println!("receive: {}: {error}", error.name()),
        Ok(datagram) => server.send(&[datagram.data], Some(datagram.from), |_, sent| {
            if let Err(error) = sent {
                println!("send: {}: {error}", error.name());
            }
        }),
    })?;
    println!("echo on {}", server.socket()?.local_addr()?);
    events.run();
    Ok(())
}
