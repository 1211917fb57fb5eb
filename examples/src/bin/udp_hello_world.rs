//! Sends a datagram to ADDRESS:PORT (default: port 7000 of the gateway) and prints the answer.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::net::SocketAddr;

use barenet::time::Duration;
use barenet::{Error, Net, UdpSocket};
use barenet_boards::{args, gateway, print, println};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let to = peer(&net)?;
    let mut socket = UdpSocket::bind(&net, 0)?; // a port of our own, at random
    socket.set_read_timeout(Some(Duration::from_secs(3)));
    socket.connect(to)?; // so that an unreachable port is told to us
    socket.send(b"Hello, world!\n")?;
    let mut buf = [0; 2048];
    let n = socket.recv(&mut buf).inspect_err(|_| println!("no answer from {to}"))?;
    buf[..n].utf8_chunks().for_each(|text| print!("{}", text.valid()));
    Ok(())
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
