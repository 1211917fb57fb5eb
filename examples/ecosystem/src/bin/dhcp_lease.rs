//! `edge-dhcp`: a lease by a raw socket, beside the stack's own client; nothing is made of it but a line.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net, RawInterface};
use barenet_boards::println;
use core::net::{Ipv4Addr, SocketAddrV4};
use edge_dhcp::client::Client;
use edge_dhcp::io::client::Lease;
use edge_dhcp::io::{DEFAULT_CLIENT_PORT, DEFAULT_SERVER_PORT};
use edge_nal::RawBind;
use edge_raw::io::RawSocket2Udp;
use rand_chacha_10::ChaCha20Rng;
use rand_chacha_10::rand_core::SeedableRng;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let (interface, mac) = {
        let configuration = net.configuration();
        let mut all = configuration.interfaces();
        let found = all.find(|(_, interface)| !interface.is_loopback());
        found.map(|(id, interface)| (id, interface.capabilities().mac)).ok_or(Error::DeviceGone)?
    };
    let rng = ChaCha20Rng::from_seed(barenet_boards::seed().ok_or(Error::InvalidInput("no entropy"))?);
    let any = |port| Some(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
    net.block_on(async {
        let raw = RawInterface::new(&net, interface);
        let mut socket: RawSocket2Udp<_> = RawSocket2Udp::new(
            raw.bind().await?,
            any(DEFAULT_CLIENT_PORT),
            any(DEFAULT_SERVER_PORT),
            [0xff; 6],
        );
        let mut client = Client::new(rng, mac.0);
        let mut buf = [0; 1500];
        let leased = Lease::new(&mut client, &mut socket, &mut buf).await;
        let (lease, info) = leased.map_err(|why| {
            println!("DHCP: {why:?}");
            Error::TimedOut
        })?;
        println!("leased {}, by way of {:?}", lease.ip, info.gateway);
        Ok(())
    })
}
