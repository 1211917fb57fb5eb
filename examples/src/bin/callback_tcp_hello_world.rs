//! The networking guide's TCP client, in callbacks: says hello to ADDRESS:PORT and prints the answer.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::rc::Rc;
use core::cell::Cell;
use core::net::SocketAddr;

use barenet::callbacks::{Loop, Read, Tcp};
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
    let told = result.clone();
    Tcp::new(&events).connect(to, move |client, connected| {
        if connected.is_err() {
            return told.set(connected);
        }
        client.write(&[b"Hello, world!\n"], |client, _, _| client.shutdown(|_, _| {}));
        client.read_start(move |client, read| match read {
            Read::Data(data) => data.utf8_chunks().for_each(|text| print!("{}", text.valid())),
            Read::End => client.close(|| {}),
            Read::Failed(error) => {
                told.set(Err(error));
                client.close(|| {});
            }
        });
    });
    events.run();
    result.get()
}
