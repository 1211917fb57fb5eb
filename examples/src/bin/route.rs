//! Shows the routes of both families: destination, gateway, flags, metric, interface; what routers advertised with its lifetime.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;

use barenet::Net;
use barenet::ip::learnt::LearntFrom;
use barenet::time::Instant;
use barenet_boards::println;

#[barenet_boards::main]
fn main(net: Net) {
    let configuration = net.configuration();
    line("Destination", "Gateway", "Flags", "Metric", "Expires", "Iface");
    for route in configuration.routes() {
        let is_host =
            route.destination.prefix_len() == if route.destination.address().is_ipv4() { 32 } else { 128 };
        let flags = flags(route.gateway.is_some(), is_host, "");
        let gateway = route.gateway.map_or("*".to_string(), |gateway| gateway.to_string());
        line(route.destination, gateway, flags, route.metric, "never", configuration.name(route.interface));
    }
    for (id, _) in configuration.interfaces() {
        // The network of each address.
        for address in configuration.addresses(id).filter(|address| address.is_usable()) {
            let flags = flags(false, false, "");
            line(
                address.cidr.masked(),
                "*",
                flags,
                0,
                left(address.lifetimes.valid_until, &configuration),
                configuration.name(id),
            );
        }
    }
    for route in configuration.learnt_routes() {
        let by = match route.from {
            LearntFrom::Redirect => "D",
            LearntFrom::Router | LearntFrom::Prefix | LearntFrom::Route => "A",
        };
        let gateway = route.gateway.map_or("*".to_string(), |gateway| gateway.to_string());
        let flags = flags(route.gateway.is_some(), route.prefix_len == 128, by);
        let destination = format!("{}/{}", route.prefix, route.prefix_len);
        let preference = format!("{:?}", route.preference);
        line(
            destination,
            gateway,
            flags,
            preference,
            left(route.until, &configuration),
            configuration.name(route.interface),
        );
    }
}

/// U: it is up; G: by a gateway; H: to a single host; A: advertised; D: by a redirect.
fn flags(has_gateway: bool, is_host: bool, by: &str) -> String {
    let [gateway, host] =
        [(has_gateway, "G"), (is_host, "H")].map(|(is_so, flag)| if is_so { flag } else { "" });
    format!("U{gateway}{host}{by}")
}

fn left(until: Instant, configuration: &barenet::Configuration<'_>) -> String {
    match until {
        Instant::FAR_FUTURE => "never".into(),
        until => format!("{} s", until.since(configuration.now()).millis() / 1000),
    }
}

fn line(
    destination: impl Display,
    gateway: impl Display,
    flags: impl Display,
    metric: impl Display,
    expires: impl Display,
    name: impl Display,
) {
    let [destination, gateway, flags] = [destination.to_string(), gateway.to_string(), flags.to_string()];
    let [metric, expires] = [metric.to_string(), expires.to_string()];
    println!("{destination:<28} {gateway:<28} {flags:<5} {metric:<7} {expires:<9} {name}");
}
