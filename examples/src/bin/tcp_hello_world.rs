//! Connects to ADDRESS:PORT (default: port 7000 of the gateway), says hello and prints the answer.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::net::SocketAddr;

use barenet::{Error, Net, Shutdown, TcpStream};
use barenet_boards::{args, gateway, print, println};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let to = peer(&net)?;
    let mut flow = TcpStream::connect(&net, to).inspect_err(|_| println!("can't connect to {to}"))?;
    flow.write_all(b"Hello, world!\n")?;
    flow.shutdown(Shutdown::Write)?; // the server reads the end; we can still receive
    let mut buf = [0; 1024];
    loop {
        match flow.read(&mut buf)? {
            0 => return Ok(()),
            n => buf[..n].utf8_chunks().for_each(|text| print!("{}", text.valid())),
        }
    }
}

/// The first argument, or port 7000 of the gateway.
fn peer(net: &Net) -> Result<SocketAddr, Error> {
    match (args().first(), gateway(net)) {
        (Some(to), _) => {
            to.parse().map_err(|_| Error::InvalidInput("the first argument is not ADDRESS:PORT"))
        }
        (None, Some(gateway)) => Ok(SocketAddr::new(gateway, 7000)),
        (None, None) => Err(Error::InvalidInput("no gateway: give ADDRESS:PORT as an argument")),
    }
}
