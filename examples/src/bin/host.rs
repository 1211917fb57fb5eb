//! Looks NAME or ADDRESS up, as the program of this name: `host [--dns ADDRESS] NAME|ADDRESS`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::net::IpAddr;

use barenet::names::DnsConfig;
use barenet::{Error, Hints, Net, SocketType};
use barenet_boards::{args, println};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let mut args = args();
    if let ["--dns", server, rest @ ..] = args {
        let server = server.parse().map_err(|_| Error::InvalidInput("--dns wants an address"))?;
        net.configure_names(DnsConfig::with_server(server))?;
        args = rest;
    }
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
