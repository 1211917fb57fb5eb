//! How the interface comes by its addresses: those that the program was given, else by DHCP and SLAAC.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use barenet::device::Device;
use barenet::dhcp::{ConflictDetection, DhcpConfig};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::{Address, Cidr, Origin};
use barenet::stack::Stack;
use barenet::time::Duration;
use barenet::{Error, Net};

use crate::options::Options;

/// How long a program waits for an address before it starts with what there is.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it waits for the other family once it has an address of one.
const GRACE: Duration = Duration::from_secs(2);

/// A server that answers at once has the program serving within a second: one probe for the address, of 200 ms.
const DHCP: DhcpConfig = DhcpConfig {
    host_name: Some("barenet"),
    conflict_detection: ConflictDetection::Once,
    link_local_after: Some(PATIENCE),
    ..DhcpConfig::DEFAULT
};

/// An interface, and whether it waits for an address of IPv4 and one of IPv6.
pub(crate) struct Configuring {
    id: InterfaceId,
    dhcp: bool,
    slaac: bool,
}

/// Adds the interface, with the addresses of the options, a DHCP client and IPv6 that configures itself as they say.
/// An error is one line.
pub(crate) fn add_interface(
    net: &Net,
    device: Box<dyn Device + Send>,
    options: &Options<'_>,
) -> Result<Configuring, Error> {
    let addresses = options.addresses.iter().map(|&(address, prefix_len)| Cidr::new(address, prefix_len));
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    let id = net.add_interface(device, &addresses, &options.gateways)?;
    #[cfg(feature = "embassy-time")]
    crate::timers::init(net);
    if options.dhcp {
        net.start_dhcp(id, DHCP)?;
    }
    Ok(Configuring { id, dhcp: options.dhcp, slaac: options.slaac && start_slaac(net, id)? })
}

/// IPv6 configures itself from now on; false where it can't.
#[cfg(feature = "slaac")]
fn start_slaac(net: &Net, id: InterfaceId) -> Result<bool, Error> {
    // Who boots alone need not wait lest others do so at the same time. No secret outlives the program, so all its addresses
    // are temporary.
    let start_delay_max = Duration::from_millis(100);
    let config = barenet::config::Ipv6Config { temporary: false, start_delay_max, ..Default::default() };
    match net.configure_ipv6(id, config) {
        Ok(()) => {}
        Err(Error::InvalidInput(_)) => return Ok(false), // its MTU is too small
        Err(why) => return Err(why),
    }
    #[cfg(feature = "dhcpv6")]
    {
        let config = barenet::dhcpv6::Dhcpv6Config { start_delay_max, ..Default::default() };
        net.start_dhcpv6(id, config)?;
    }
    Ok(true)
}

#[cfg(not(feature = "slaac"))]
fn start_slaac(_net: &Net, _id: InterfaceId) -> Result<bool, Error> {
    Ok(false)
}

/// Waits for addresses of both families, though not long for the second, and says what the interface has, in one line;
/// another one before it says that nobody has given any.
pub(crate) fn wait(net: &Net, configuring: &Configuring) -> String {
    let &Configuring { id, dhcp, slaac } = configuring;
    // For ever, if it is not asked for.
    let has = |stack: &Stack<'_>, v4: bool| stack.addresses().of(id).any(|a| is_beyond_link(a, v4));
    let both = |stack: &Stack<'static>| (!dhcp || has(stack, true)) && (!slaac || has(stack, false));
    let one =
        |stack: &Stack<'static>| both(stack) || (dhcp && has(stack, true)) || (slaac && has(stack, false));
    let mut told = String::new();
    if net.wait_configuration(PATIENCE, one).is_err() {
        let name = net.configuration().name(id);
        let whose = if dhcp { "DHCP" } else { "router's" };
        // It is text in memory.
        let _ = writeln!(told, "no {whose} answer on {name} after {} s", PATIENCE.millis() / 1000);
    } else {
        // One is enough.
        let _ = net.wait_configuration(GRACE, both);
    }
    told + &describe(net, id)
}

/// Can an address of this family be used, beyond its link?
fn is_beyond_link(address: &Address, v4: bool) -> bool {
    address.cidr.address().is_ipv4() == v4 && address.origin != Origin::LinkLocal && address.is_usable()
}

/// `eth2: 10.0.2.15/24 (DHCP from 10.0.2.2), …`
fn describe(net: &Net, id: InterfaceId) -> String {
    let configuration = net.configuration();
    let mut line = format!("{}:", configuration.name(id));
    let mut comma = "";
    for address in configuration.addresses(id) {
        let _ = write!(line, "{comma} {} (", address.cidr);
        let _ = match (address.origin, configuration.lease(id)) {
            (Origin::Dhcpv4, Some(lease)) => write!(line, "DHCP from {}", lease.server()),
            (origin, _) => write!(line, "{}", from(origin)),
        };
        line.push(')');
        comma = ",";
    }
    for router in configuration.default_routers(id) {
        let _ = write!(line, "; default router {router}");
    }
    line
}

/// Where an address is from, for people.
fn from(origin: Origin) -> &'static str {
    match origin {
        Origin::Manual => "given",
        Origin::LinkLocal => "link-local",
        Origin::Stable => "SLAAC, stable",
        Origin::Temporary => "SLAAC, temporary",
        Origin::Dhcpv4 => "DHCP",
        Origin::Dhcpv6 => "DHCPv6",
    }
}
