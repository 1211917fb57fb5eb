//! `edge-dhcp`: leases of its own network's addresses from 50 on, until it is stopped.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net};
use barenet_boards::println;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use edge_dhcp::io::DEFAULT_SERVER_PORT;
use edge_dhcp::io::server::run;
use edge_dhcp::server::{Server, ServerOptions};
use edge_nal::UdpBind;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let own = net.with_stack(|stack| {
        let mut all = stack.addresses().iter().map(|a| a.cidr.address());
        all.find_map(|ip| match ip {
            IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
            _ => None,
        })
    });
    let own = own.ok_or(Error::Unconfigured)?;
    let mut gateways = [own];
    let options = ServerOptions::new(own, Some(&mut gateways));
    let mut server = Server::<_, 8>::new(|| net.now().millis() / 1000, own);
    let mut buf = [0; 1500];
    let served = net.block_on(async {
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), DEFAULT_SERVER_PORT);
        let mut socket = net.bind(any).await.map_err(edge_dhcp::io::Error::Io)?;
        println!("leases are at {own}");
        run(&mut server, &options, &mut socket, &mut buf).await
    });
    served.map_err(|why| {
        println!("DHCP: {why:?}");
        Error::NetDown
    })
}
