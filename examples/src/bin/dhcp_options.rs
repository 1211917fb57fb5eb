//! Prints options of the DHCP lease by number: those of the arguments, else all from 1 to 254 that came.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec::Vec;

use barenet::dhcp::{ConflictDetection, DhcpConfig, Lease};
use barenet::stack::Stack;
use barenet::time::Duration;
use barenet::{Error, Net};
use barenet_boards::{args, println};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let numbers = args().iter().map(|arg| arg.parse::<u8>());
    let numbers = numbers.collect::<Result<Vec<_>, _>>();
    let numbers = numbers.map_err(|_| Error::InvalidInput("an argument is not the number of an option"))?;
    let id = {
        let configuration = net.configuration();
        let mut links = configuration.interfaces().filter(|(_, i)| !i.is_loopback()).map(|(id, _)| id);
        links.next().ok_or(Error::DeviceGone)?
    };
    // The board's client has not asked for them: another one does, and is given the same address.
    let requests: &'static [u8] = numbers.clone().leak();
    let wanted = DhcpConfig { requests, conflict_detection: ConflictDetection::Once, ..DhcpConfig::DEFAULT };
    net.stop_dhcp(id)?;
    net.start_dhcp(id, wanted)?;
    let has_lease = |stack: &Stack<'_>| stack.dhcp(id).is_some_and(|client| client.lease().is_some());
    net.wait_configuration(Duration::from_secs(20), has_lease)?;
    let configuration = net.configuration();
    let lease = configuration.lease(id).ok_or(Error::Unconfigured)?;
    match numbers.is_empty() {
        true => (1..255).filter(|code| lease.option(*code).is_some()).for_each(|code| show(lease, code)),
        false => numbers.iter().for_each(|code| show(lease, *code)),
    }
    Ok(())
}

fn show(lease: &Lease, code: u8) {
    match lease.option(code) {
        Some(value) => println!("option {code}: {value:02x?}"),
        None => println!("option {code}: not sent"),
    }
}
