//! The kernel's end of a TAP: addresses, MTU, up and down. By system calls, so that no program is
//! needed.

use super::{Error, Options, ioctl, netlink, open::check_name};
use core::net::IpAddr;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// Gives the interface `name` these addresses with their prefix lengths, and switches it on.
///
/// Nothing looks for duplicates of the IPv6 addresses. The kernel still takes a moment until it
/// answers to them, see [`settle`].
///
/// # Errors
///
/// See [`Error`]; changing an interface takes CAP_NET_ADMIN in its network namespace.
pub fn configure(name: &str, addresses: &[(IpAddr, u8)]) -> Result<(), Error> {
    check_name(name)?;
    let control = control(name)?;
    let switch = format!("/proc/sys/net/ipv6/conf/{name}/accept_dad");
    match std::fs::write(&switch, "0") {
        Ok(()) => {}
        // A system without IPv6, or without /proc, where the link-local address waits a second.
        Err(why) if why.kind() == ErrorKind::NotFound => {}
        Err(why) => {
            let errno = Errno::from_io_error(&why).unwrap_or(Errno::IO);
            return Err(Error::new("switch off IPv6's duplicate detection on", name, errno));
        }
    }
    ioctl::set_up(&control, name, true).map_err(|e| Error::new("switch on", name, e))?;
    ioctl::index(&control, name)
        .and_then(|index| {
            let mut addresses = addresses.iter();
            addresses.try_for_each(|&(ip, len)| netlink::add_address(index, ip, len))
        })
        .map_err(|e| Error::new("set an address of", name, e))
}

/// Waits until the kernel takes in packets to these addresses of its own: it sets up those of
/// IPv6 in the background, and only while a program is attached to the TAP. A packet that comes
/// earlier is lost, which costs a second when it was the answer to a neighbour solicitation.
///
/// # Errors
///
/// [`Error::Unsettled`] when that takes longer than ten seconds.
pub fn settle(addresses: &[(IpAddr, u8)]) -> Result<(), Error> {
    let started = Instant::now();
    for &(address, _) in addresses {
        while !netlink::is_local(address).map_err(|e| Error::new("ask for a route to", "TAP", e))? {
            if started.elapsed() > SETTLED_WITHIN {
                return Err(Error::Unsettled(address));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(())
}

/// The kernel needs less than a millisecond, if it has a processor for its own work.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// Switches the interface on or off.
///
/// # Errors
///
/// As [`configure`].
pub fn set_up(name: &str, up: bool) -> Result<(), Error> {
    check_name(name)?;
    let control = control(name)?;
    ioctl::set_up(control, name, up).map_err(|e| Error::new("switch on or off", name, e))
}

/// Sets the MTU in bytes of IP packet. A [`Tap`](super::Tap) opened afterwards has it.
///
/// # Errors
///
/// As [`configure`].
pub fn set_mtu(name: &str, mtu: u16) -> Result<(), Error> {
    check_name(name)?;
    let control = control(name)?;
    ioctl::set_mtu(control, name, mtu).map_err(|e| Error::new("set the MTU of", name, e))
}

/// Creates a TAP that stays when nobody uses it, until [`remove`] or the end of its network
/// namespace, and returns its name. An empty `name` leaves the choice to the kernel.
///
/// # Errors
///
/// See [`Error`].
pub fn create(options: Options) -> Result<String, Error> {
    let opened = options.attach()?;
    ioctl::set_persist(&opened.fd, true).map_err(|e| Error::new("keep", &opened.name, e))?;
    Ok(opened.name)
}

/// Attaches to the TAP `name` and lets it go again: could a program use it now?
///
/// # Errors
///
/// Why not, see [`Error`].
pub fn probe(name: &str) -> Result<(), Error> {
    Options::new().existing(name).attach().map(drop)
}

/// Removes a TAP that [`create`] made, as soon as nobody uses it.
///
/// # Errors
///
/// [`Error::Busy`] while a program is attached to it.
pub fn remove(name: &str) -> Result<(), Error> {
    let opened = Options::new().existing(name).attach()?;
    ioctl::set_persist(&opened.fd, false).map_err(|e| Error::new("remove", name, e))
}

fn control(name: &str) -> Result<OwnedFd, Error> {
    ioctl::control().map_err(|e| Error::new("open a socket for", name, e))
}
