//! `sntpc`: asks for the time of day. Argument: the server's ADDRESS:PORT.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::time::Duration;
use barenet::{Error, Net, NtpClock, ToSocketAddrs, UdpSocket};
use barenet_boards::{args, println};
use sntpc::{NtpContext, get_time};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let [server] = args() else { return Err(Error::InvalidInput("ADDRESS:PORT")) };
    let server = server.to_socket_addrs()?[0];
    let mut socket = UdpSocket::bind(&net, 0)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)));
    match net.block_on(get_time(server, &socket, NtpContext::new(NtpClock::new(&net)))) {
        Ok(time) => println!("seconds since 1970: {}", time.sec()),
        Err(why) => {
            println!("SNTP: {why:?}");
            return Err(Error::TimedOut);
        }
    }
    Ok(())
}
