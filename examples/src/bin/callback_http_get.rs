//! Gets a page, in callbacks: `callback_http_get [--dns ADDRESS] HOST[:PORT] PATH`. The addresses of HOST are tried one after the other.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::SocketAddr;

use barenet::callbacks::{Loop, Read, Tcp};
use barenet::{Error, Net};
use barenet_boards::{args, print};
use barenet_examples::take_dns;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let args = take_dns(&net, args())?;
    let [host, path] = *args else {
        return Err(Error::InvalidInput("callback_http_get [--dns ADDRESS] HOST[:PORT] PATH"));
    };
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let port = port.parse().map_err(|_| Error::InvalidInput("the port is no number"))?;
    let events = Loop::new(&net);
    let result = Rc::new(Cell::new(Ok(())));
    let (told, client) = (result.clone(), Tcp::new(&events));
    events.request(net.start_lookup(name, None)?, move |found| match found {
        Ok(found) => {
            let all: Vec<_> = found.iter().map(|address| SocketAddr::new(*address, port)).collect();
            get(&client, &all, format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"), told);
        }
        Err(error) => told.set(Err(error)),
    });
    events.run();
    result.get()
}

/// Asks, and prints all that comes until the server closes.
fn get(client: &Tcp, from: &[SocketAddr], request: String, told: Rc<Cell<Result<(), Error>>>) {
    client.connect(from, move |client, connected| {
        if connected.is_err() {
            return told.set(connected);
        }
        client.write(&[request.as_bytes()], |client, _, _| client.shutdown(|_, _| {}));
        client.read_start(move |client, read| match read {
            Read::Data(data) => data.utf8_chunks().for_each(|text| print!("{}", text.valid())),
            Read::End => client.close(|| {}),
            Read::Failed(error) => {
                told.set(Err(error));
                client.close(|| {});
            }
        });
    });
}
