//! Shows each interface: name, index, MAC, MTU, link, and every address with prefix, origin, state and lifetimes.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::ip::addresses::Address;
use barenet::time::Instant;
use barenet::{Configuration, Net};
use barenet_boards::println;

#[barenet_boards::main]
fn main(net: Net) {
    let configuration = net.configuration();
    if let Some(name) = configuration.host_name() {
        println!("host name {name}");
    }
    for (id, interface) in configuration.interfaces() {
        println!(
            "{}: index {}, ether {}, mtu {}, link {}{}",
            configuration.name(id),
            id.zone(),
            interface.capabilities().mac,
            interface.mtu(),
            if interface.is_link_up() { "up" } else { "down" },
            if interface.is_loopback() { ", loopback" } else { "" }
        );
        configuration.addresses(id).for_each(|address| show(&configuration, address));
        if let Some(lease) = configuration.lease(id) {
            println!("    lease from {}", lease.server());
        }
        configuration.default_routers(id).for_each(|router| println!("    default router {router}"));
    }
    configuration.dns_servers().for_each(|server| println!("nameserver {}", server.address));
    configuration.search_domains().for_each(|domain| println!("search {domain}"));
}

/// One line for an address.
fn show(configuration: &Configuration<'_>, address: &Address) {
    let family = if address.cidr.address().is_ipv4() { "inet" } else { "inet6" };
    let (preferred, valid) = (address.lifetimes.preferred_until, address.lifetimes.valid_until);
    println!(
        "    {family} {} {}, {}, preferred {}, valid {}",
        address.cidr,
        address.origin,
        address.state,
        Left(preferred, configuration.now()),
        Left(valid, configuration.now())
    );
}

/// What is left until then.
struct Left(Instant, Instant);

impl core::fmt::Display for Left {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Instant::FAR_FUTURE => f.write_str("for ever"),
            until => write!(f, "{} s", until.since(self.1).millis() / 1000),
        }
    }
}
