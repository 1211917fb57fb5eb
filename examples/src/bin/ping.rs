//! Pings ADDRESS (default: the gateway) COUNT times (default 4), once a second.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::net::IpAddr;

use barenet::time::Duration;
use barenet::{Error, Net, PingSocket};
use barenet_boards::{args, gateway, println};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let (to, count) = parse(args(), gateway(&net))?;
    let mut ping = PingSocket::connect(&net, to)?;
    ping.set_read_timeout(Some(Duration::from_secs(1)));
    let mut answered = 0;
    for n in 1..=count {
        answered += u32::from(ping_once(&mut ping)?);
        if n < count {
            net.pause(Duration::from_secs(1));
        }
    }
    println!("{count} sent, {answered} answered");
    if answered == 0 { Err(Error::HostUnreachable) } else { Ok(()) }
}

fn parse(args: &[&str], gateway: Option<IpAddr>) -> Result<(IpAddr, u32), Error> {
    let to = match args.first() {
        Some(to) => to.parse().map_err(|_| Error::InvalidInput("the first argument is not an IP address"))?,
        None => gateway.ok_or(Error::InvalidInput("no gateway: give ADDRESS as an argument"))?,
    };
    match args.get(1).map_or(Ok(4), |count| count.parse()) {
        Ok(count @ 1..) => Ok((to, count)),
        _ => Err(Error::InvalidInput("the second argument is not a number of pings from 1 on")),
    }
}

/// True if the reply to this very request came in time.
fn ping_once(ping: &mut PingSocket) -> Result<bool, Error> {
    let mut buf = [0; 1500];
    let seq = ping.send(b"barenet pings with 32 bytes here")?;
    loop {
        match ping.recv(&mut buf) {
            Ok(reply) => {
                let ms = reply.round_trip.map_or(0, |t| t.micros());
                println!(
                    "{} bytes from {}: seq {} ttl {} time {}.{:03} ms",
                    reply.len,
                    reply.from,
                    reply.seq,
                    reply.ttl,
                    ms / 1000,
                    ms % 1000
                );
                if reply.seq == seq {
                    return Ok(true);
                }
            }
            Err(Error::TimedOut) => {
                println!("no answer to seq {seq}");
                return Ok(false);
            }
            Err(error @ (Error::HostUnreachable | Error::NetUnreachable)) => {
                println!("{error}");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}
