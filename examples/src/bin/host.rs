//! Looks NAME or ADDRESS up, as the program of this name: `host [--dns ADDRESS] NAME|ADDRESS`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::net::IpAddr;

use barenet::{Error, Hints, Net, SocketType};
use barenet_boards::{args, println};
use barenet_examples::take_dns;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let args = take_dns(&net, args())?;
    let [what] = args else { return Err(Error::InvalidInput("host [--dns ADDRESS] NAME|ADDRESS")) };
    match what.parse::<IpAddr>() {
        Ok(address) => println!("{address} is {}", net.reverse_lookup(address)?),
        Err(_) => {
            let hints =
                Hints { socket_type: Some(SocketType::Stream), canonical_name: true, ..Hints::default() };
            let found = net.addr_info(Some(what), None, &hints)?;
            if let Some(name) = found.canonical_name {
                println!("{what} is {name}");
            }
            for info in found.list {
                println!("{what} has address {}", info.address.ip());
            }
        }
    }
    Ok(())
}
