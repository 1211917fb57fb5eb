//! Sends a DHCP DISCOVER by hand over UDP, and prints the offers that come within five seconds.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::net::Ipv4Addr;

use barenet::time::Duration;
use barenet::{Error, Net, UdpSocket};
use barenet_boards::println;

/// Names the exchange.
const XID: [u8; 4] = *b"hand";

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let mac = {
        let configuration = net.configuration();
        let mut links = configuration.interfaces().filter(|(_, i)| !i.is_loopback());
        links.next().ok_or(Error::DeviceGone)?.1.capabilities().mac
    };
    let mut socket = UdpSocket::bind(&net, (Ipv4Addr::UNSPECIFIED, 68))?;
    socket.set_broadcast(true)?;
    socket.send_to(&discover(mac.0), (Ipv4Addr::BROADCAST, 67))?;
    println!("discover sent");
    socket.set_read_timeout(Some(Duration::from_secs(5)));
    let mut buf = [0; 1500];
    let mut offers = 0;
    loop {
        match socket.recv_from(&mut buf) {
            Ok((len, server)) if len > 240 && buf[4..8] == XID => {
                let [a, b, c, d] = [buf[16], buf[17], buf[18], buf[19]];
                println!("offer of {} from {server}", Ipv4Addr::new(a, b, c, d));
                offers += 1;
            }
            Ok(_) => {}
            Err(Error::TimedOut) if offers > 0 => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// RFC 2131 §2: a message of 300 bytes, whose answer is to be broadcast.
fn discover(mac: [u8; 6]) -> [u8; 300] {
    let mut message = [0; 300];
    message[..4].copy_from_slice(&[1, 1, 6, 0]);
    message[4..8].copy_from_slice(&XID);
    message[10] = 0x80;
    message[28..34].copy_from_slice(&mac);
    message[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    // A DISCOVER that asks for mask, router and name servers.
    message[240..249].copy_from_slice(&[53, 1, 1, 55, 3, 1, 3, 6, 255]);
    message
}
