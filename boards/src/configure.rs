//! How the interface comes by its addresses: those that the program was given, else by DHCP.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use barenet::device::Device;
use barenet::dhcp::{ConflictDetection, DhcpConfig};
use barenet::ip::InterfaceId;
use barenet::ip::addresses::{Cidr, Origin};
use barenet::time::Duration;
use barenet::{Error, Net};

use crate::options::Options;

/// How long a program waits for a DHCP server before it starts with what there is.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that answers at once has the program serving within a second: one probe for the address, of 200 ms.
const DHCP: DhcpConfig = DhcpConfig {
    host_name: Some("barenet"),
    conflict_detection: ConflictDetection::Once,
    link_local_after: Some(PATIENCE),
    ..DhcpConfig::DEFAULT
};

/// An interface, and whether it waits for a lease.
pub(crate) struct Configuring {
    id: InterfaceId,
    by_dhcp: bool,
}

/// Adds the interface, with the addresses of the options; if none was given, with a DHCP client.
/// An error is one line.
pub(crate) fn add_interface(
    net: &Net,
    device: Box<dyn Device + Send>,
    options: &Options<'_>,
) -> Result<Configuring, Error> {
    let addresses = options.addresses.iter().map(|&(address, prefix_len)| Cidr::new(address, prefix_len));
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    let id = net.add_interface(device, &addresses, &options.gateways)?;
    let by_dhcp = options.automatic;
    if by_dhcp {
        net.start_dhcp(id, DHCP)?;
    }
    Ok(Configuring { id, by_dhcp })
}

/// Waits for the lease, and says what the interface has, in one line; another one before it says that no server has
/// answered.
pub(crate) fn wait(net: &Net, configuring: &Configuring) -> String {
    let Configuring { id, by_dhcp } = *configuring;
    let mut told = String::new();
    if by_dhcp
        && net
            .wait_configuration(PATIENCE, |stack| stack.dhcp(id).is_none_or(|c| c.lease().is_some()))
            .is_err()
    {
        let name = net.configuration().name(id);
        // It is text in memory.
        let _ = writeln!(told, "no DHCP answer on {name} after {} s", PATIENCE.millis() / 1000);
    }
    told + &describe(net, id)
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
    let routers = configuration.routes().filter(|r| r.destination.prefix_len() == 0 && r.interface == id);
    for router in routers.filter_map(|r| r.gateway) {
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
