//! `edge-mdns`: answers for NAME.local, the argument, until it is stopped.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net};
use barenet_boards::{args, println};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use edge_mdns::HostAnswersMdnsHandler;
use edge_mdns::buf::VecBufAccess;
use edge_mdns::domain::base::Ttl;
use edge_mdns::host::Host;
use edge_mdns::io::{DEFAULT_SOCKET, Mdns, bind};
use edge_nal::UdpSplit;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use rand_chacha_10::ChaCha20Rng;
use rand_chacha_10::rand_core::SeedableRng;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let [name] = args() else { return Err(Error::InvalidInput("NAME")) };
    let own = net.with_stack(|stack| {
        let mut all = stack.addresses().iter().map(|a| a.cidr.address());
        all.find_map(|ip| match ip {
            IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
            _ => None,
        })
    });
    let ipv4 = own.ok_or(Error::Unconfigured)?;
    let host = Host { hostname: name, ipv4, ipv6: Ipv6Addr::UNSPECIFIED, ttl: Ttl::from_secs(60) };
    let (receiving, sending) =
        (VecBufAccess::<NoopRawMutex, 1500>::new(), VecBufAccess::<NoopRawMutex, 1500>::new());
    let changed = Signal::<NoopRawMutex, _>::new();
    let rng = ChaCha20Rng::from_seed(barenet_boards::seed().ok_or(Error::InvalidInput("no entropy"))?);
    let served = net.block_on(async {
        let mut socket = bind(&net, DEFAULT_SOCKET, Some(Ipv4Addr::UNSPECIFIED), Some(0)).await?;
        let (receive, send) = socket.split();
        println!("{name}.local is {ipv4}");
        let any = (Some(Ipv4Addr::UNSPECIFIED), Some(0));
        let mdns = Mdns::new(any.0, any.1, receive, send, receiving, sending, rng, &changed);
        mdns.run(HostAnswersMdnsHandler::new(&host)).await
    });
    served.map_err(|why| {
        println!("mDNS: {why:?}");
        Error::NetDown
    })
}
