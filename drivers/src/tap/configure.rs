//! The kernel's end of a TAP: addresses, MTU, up and down. By ioctl, so that no program is needed.

use super::{Error, Options, ioctl, open::check_name};
use core::net::IpAddr;
use rustix::fd::OwnedFd;
use rustix::net::AddressFamily;

/// Gives the interface `name` these addresses with their prefix lengths, and switches it on.
///
/// The IPv6 addresses can be used at once: duplicate address detection is switched off first.
///
/// # Errors
///
/// See [`Error`]; changing an interface takes CAP_NET_ADMIN in its network namespace.
pub fn configure(name: &str, addresses: &[(IpAddr, u8)]) -> Result<(), Error> {
    check_name(name)?;
    let v4 = control(AddressFamily::INET, name)?;
    if addresses.iter().any(|(ip, _)| ip.is_ipv6()) {
        let switch = format!("/proc/sys/net/ipv6/conf/{name}/accept_dad");
        std::fs::write(&switch, "0").map_err(|e| {
            let errno = rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::IO);
            Error::new("switch off IPv6 address detection on", name, errno)
        })?;
    }
    ioctl::set_up(&v4, name, true).map_err(|e| Error::new("switch on", name, e))?;
    let result = addresses.iter().try_for_each(|&(ip, prefix_len)| match ip {
        IpAddr::V4(ip) => ioctl::set_v4(&v4, name, ip, prefix_len),
        IpAddr::V6(ip) => {
            let v6 = ioctl::control(AddressFamily::INET6)?;
            let index = ioctl::index(&v6, name)?;
            ioctl::add_v6(&v6, index, ip, prefix_len)
        }
    });
    result.map_err(|e| Error::new("set an address of", name, e))
}

/// Switches the interface on or off.
///
/// # Errors
///
/// As [`configure`].
pub fn set_up(name: &str, up: bool) -> Result<(), Error> {
    check_name(name)?;
    let control = control(AddressFamily::INET, name)?;
    ioctl::set_up(control, name, up).map_err(|e| Error::new("switch on or off", name, e))
}

/// Sets the MTU in bytes of IP packet. A [`Tap`](super::Tap) opened afterwards has it.
///
/// # Errors
///
/// As [`configure`].
pub fn set_mtu(name: &str, mtu: u16) -> Result<(), Error> {
    check_name(name)?;
    let control = control(AddressFamily::INET, name)?;
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

/// Removes a TAP that [`create`] made, as soon as nobody uses it.
///
/// # Errors
///
/// [`Error::Busy`] while a program is attached to it.
pub fn remove(name: &str) -> Result<(), Error> {
    let opened = Options::new().existing(name).attach()?;
    ioctl::set_persist(&opened.fd, false).map_err(|e| Error::new("remove", name, e))
}

fn control(family: AddressFamily, name: &str) -> Result<OwnedFd, Error> {
    ioctl::control(family).map_err(|e| Error::new("open a socket for", name, e))
}
