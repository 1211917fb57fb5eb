//! What can stand for an address in a call.

use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::error::Error;

/// Addresses that a name or text may stand for; few enough to try them all.
pub(super) const ADDRESSES_MAX: usize = 8;

/// The addresses that something stands for, in the order in which they are tried.
pub type Addresses = heapless::Vec<SocketAddr, ADDRESSES_MAX>;

/// What a socket can connect to: an address with a port, or the text of one, such as
/// `"192.0.2.1:80"` or `"[2001:db8::1]:80"`.
pub trait ToSocketAddrs {
    /// The addresses. [`Error::NoMatchingAddresses`]: the text is no address. (Names need the
    /// resolver, which is not part of the stack yet.)
    fn to_socket_addrs(&self) -> Result<Addresses, Error>;
}

fn one(address: SocketAddr) -> Result<Addresses, Error> {
    Ok(Addresses::from_iter([address]))
}

impl ToSocketAddrs for SocketAddr {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        one(*self)
    }
}

impl ToSocketAddrs for SocketAddrV4 {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        one((*self).into())
    }
}

impl ToSocketAddrs for SocketAddrV6 {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        one((*self).into())
    }
}

impl<A: Into<IpAddr> + Copy> ToSocketAddrs for (A, u16) {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        one(SocketAddr::new(self.0.into(), self.1))
    }
}

impl ToSocketAddrs for &str {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        one(self.parse().map_err(|_| Error::NoMatchingAddresses)?)
    }
}

impl ToSocketAddrs for &[SocketAddr] {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        let some = self.iter().copied().take(ADDRESSES_MAX).collect::<Addresses>();
        if some.is_empty() { Err(Error::NoMatchingAddresses) } else { Ok(some) }
    }
}

/// Where a socket can be bound: a port on every address of both families, or one address with a
/// port. Port 0 stands for one that is free.
pub trait ToListenAddr {
    /// The local address. [`Error::NoMatchingAddresses`]: the text is none.
    fn to_listen_addr(&self) -> Result<SocketAddr, Error>;
}

impl ToListenAddr for u16 {
    fn to_listen_addr(&self) -> Result<SocketAddr, Error> {
        Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), *self))
    }
}

impl ToListenAddr for SocketAddr {
    fn to_listen_addr(&self) -> Result<SocketAddr, Error> {
        Ok(*self)
    }
}

impl ToListenAddr for SocketAddrV4 {
    fn to_listen_addr(&self) -> Result<SocketAddr, Error> {
        Ok((*self).into())
    }
}

impl ToListenAddr for SocketAddrV6 {
    fn to_listen_addr(&self) -> Result<SocketAddr, Error> {
        Ok((*self).into())
    }
}

impl<A: Into<IpAddr> + Copy> ToListenAddr for (A, u16) {
    fn to_listen_addr(&self) -> Result<SocketAddr, Error> {
        Ok(SocketAddr::new(self.0.into(), self.1))
    }
}

impl ToListenAddr for &str {
    fn to_listen_addr(&self) -> Result<SocketAddr, Error> {
        self.parse().map_err(|_| Error::NoMatchingAddresses)
    }
}
