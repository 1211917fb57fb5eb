//! Gives back every datagram that it is sent, on UDP port 7000.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net, UdpSocket};
use barenet_boards::println;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let socket = UdpSocket::bind(&net, 7000)?;
    println!("echo on {}", socket.local_addr()?);
    let mut buf = [0; 2048];
    loop {
        // What one peer brings about (an unreachable port, say) is no reason to stop.
        match socket.recv_from(&mut buf) {
            Ok((n, peer)) => {
                if let Err(error) = socket.send_to(&buf[..n], peer) {
                    println!("{peer}: {error}");
                }
            }
            Err(error @ (Error::DeviceGone | Error::NetDown)) => return Err(error),
            Err(error) => println!("{error}"),
        }
    }
}
