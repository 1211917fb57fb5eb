//! What can stand for an address in a call.

#[cfg(feature = "alloc")]
use alloc::{string::String, vec::Vec};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::error::Error;

/// Addresses that a name or text may stand for; few enough to try them all.
pub(super) const ADDRESSES_MAX: usize = 8;

/// The addresses that something stands for, in the order in which they are tried.
pub type Addresses = heapless::Vec<SocketAddr, ADDRESSES_MAX>;

/// What a socket can connect to: an address with a port, the text of one, such as `"192.0.2.1:80"` or
/// `"[2001:db8::1]:80"`, a name and a port, such as `"example.org:80"` (which needs the feature `dns`), a pair of both, or several addresses,
/// of which the first eight are tried.
///
/// ```
/// use barenet::{Error, ToSocketAddrs};
/// assert_eq!("192.0.2.1:80".to_socket_addrs(), ("192.0.2.1", 80).to_socket_addrs());
/// assert_eq!("2001:db8::1".to_socket_addrs(), Err(Error::InvalidInput("no port: it is ADDRESS:PORT")));
/// ```
pub trait ToSocketAddrs {
    /// The addresses. [`Error::InvalidInput`]: the text has no port, or what stands there is none.
    /// [`Error::NoMatchingAddresses`]: what stands before the port is no address, or there are none. What waits for its answer
    /// asks DNS for [`to_host`](ToSocketAddrs::to_host) then.
    fn to_socket_addrs(&self) -> Result<Addresses, Error>;

    /// The name and the port, where it is a name that stands for the addresses.
    fn to_host(&self) -> Option<(&str, u16)> {
        None
    }
}

/// Where a socket can be bound: a port on every address of both families, or one address with a
/// port. Port 0 stands for one that is free.
pub trait ToListenAddr {
    /// The local address; errors as for [`ToSocketAddrs`].
    fn to_listen_addr(&self) -> Result<SocketAddr, Error>;
}

/// `ADDRESS:PORT`.
fn parse(text: &str) -> Result<SocketAddr, Error> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let port = match text.rsplit_once(':') {
        Some((_, port)) if bare.parse::<IpAddr>().is_err() => port,
        _ => return Err(Error::InvalidInput("no port: it is ADDRESS:PORT")),
    };
    match port.parse::<u16>() {
        Ok(_) => Err(Error::NoMatchingAddresses),
        Err(_) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            Err(Error::InvalidInput("a port above 65535"))
        }
        Err(_) => Err(Error::InvalidInput("the port is no number")),
    }
}

/// `NAME:PORT`.
fn split(text: &str) -> Option<(&str, u16)> {
    let is_address = text.parse::<SocketAddr>().is_ok();
    let (host, port) = text.rsplit_once(':').filter(|_| !is_address)?;
    // A second colon, or a bracket, is of an address of IPv6 that was mistaken.
    (!host.is_empty() && !host.contains([':', '['])).then_some((host, port.parse().ok()?))
}

/// A name in a pair.
fn named(host: &str, port: u16) -> Option<(&str, u16)> {
    host.parse::<IpAddr>().is_err().then_some((host, port))
}

fn some(addresses: &[SocketAddr]) -> Result<Addresses, Error> {
    let some = addresses.iter().copied().take(ADDRESSES_MAX).collect::<Addresses>();
    if some.is_empty() { Err(Error::NoMatchingAddresses) } else { Ok(some) }
}

/// Both traits for what stands for one address.
macro_rules! one {
    ($($type:ty: |$this:ident| $address:expr $(, $host:expr)?;)*) => {$(
        impl ToSocketAddrs for $type {
            fn to_socket_addrs(&self) -> Result<Addresses, Error> {
                let $this = self;
                Ok(Addresses::from_iter([$address]))
            }
            $(fn to_host(&self) -> Option<(&str, u16)> {
                let $this = self;
                $host
            })?
        }

        impl ToListenAddr for $type {
            fn to_listen_addr(&self) -> Result<SocketAddr, Error> {
                let $this = self;
                Ok($address)
            }
        }
    )*};
}

one! {
    SocketAddr: |this| *this;
    SocketAddrV4: |this| (*this).into();
    SocketAddrV6: |this| (*this).into();
    str: |this| parse(this)?, split(this);
    (IpAddr, u16): |this| (*this).into();
    (Ipv4Addr, u16): |this| (*this).into();
    (Ipv6Addr, u16): |this| (*this).into();
    ([u8; 4], u16): |this| SocketAddr::new(this.0.into(), this.1);
    ([u8; 16], u16): |this| SocketAddr::new(this.0.into(), this.1);
    ([u16; 8], u16): |this| SocketAddr::new(this.0.into(), this.1);
    (&str, u16): |this| SocketAddr::new(this.0.parse().map_err(|_| Error::NoMatchingAddresses)?, this.1),
        named(this.0, this.1);
}

#[cfg(feature = "alloc")]
one! {
    String: |this| parse(this)?, split(this);
    (String, u16): |this| SocketAddr::new(this.0.parse().map_err(|_| Error::NoMatchingAddresses)?, this.1),
        named(&this.0, this.1);
}

impl ToSocketAddrs for [SocketAddr] {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        some(self)
    }
}

impl<const N: usize> ToSocketAddrs for [SocketAddr; N] {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        some(self)
    }
}

impl ToSocketAddrs for Addresses {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        some(self)
    }
}

#[cfg(feature = "alloc")]
impl ToSocketAddrs for Vec<SocketAddr> {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        some(self)
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    fn to_socket_addrs(&self) -> Result<Addresses, Error> {
        (**self).to_socket_addrs()
    }

    fn to_host(&self) -> Option<(&str, u16)> {
        (**self).to_host()
    }
}

impl<T: ToListenAddr + ?Sized> ToListenAddr for &T {
    fn to_listen_addr(&self) -> Result<SocketAddr, Error> {
        (**self).to_listen_addr()
    }
}

impl ToListenAddr for u16 {
    fn to_listen_addr(&self) -> Result<SocketAddr, Error> {
        Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), *self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(of: impl ToSocketAddrs) -> Result<SocketAddr, Error> {
        of.to_socket_addrs().map(|all| all[0])
    }

    /// Contract L11: an address is text, a pair, or a reference to either; what is none says why.
    #[test]
    fn text_that_is_no_address_says_why() {
        let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
        assert!([one("192.0.2.1:80"), one(("192.0.2.1", 80)), one(([192, 0, 2, 1], 80))] == [Ok(address); 3]);
        let reference = &address;
        assert!([one(address), one(reference), one([address]), one(&[address][..])] == [Ok(address); 4]);
        #[cfg(feature = "alloc")]
        assert!(
            [one(String::from("192.0.2.1:80")), one((String::from("192.0.2.1"), 80))] == [Ok(address); 2]
        );
        let none = Err(Error::InvalidInput("no port: it is ADDRESS:PORT"));
        assert_eq!(["localhost", "192.0.2.1", "2001:db8::1", "[2001:db8::1]", ""].map(one), [none; 5]);
        assert_eq!(one("10.0.0.1:99999"), Err(Error::InvalidInput("a port above 65535")));
        assert_eq!(
            ["10.0.0.1:http", "[::1]:", "host:-1"].map(one),
            [Err(Error::InvalidInput("the port is no number")); 3]
        );
        assert_eq!(["localhost:80", "10.0.0.256:80"].map(one), [Err(Error::NoMatchingAddresses); 2]);
        assert_eq!(one(("localhost", 80)), Err(Error::NoMatchingAddresses));
        assert_eq!("localhost:80".to_host(), Some(("localhost", 80)));
        assert_eq!(("localhost", 80).to_host(), Some(("localhost", 80)));
        for text in ["192.0.2.1:80", "[::1]:80", "::1", "[::1", "localhost", ":80", "a:b", "[::g]:80"] {
            assert_eq!(text.to_host(), None, "{text}");
        }
        assert_eq!((("192.0.2.1", 80).to_host(), address.to_host()), (None, None));
        assert_eq!(one([address; 0]), Err(Error::NoMatchingAddresses));
        assert_eq!(("192.0.2.1", 7).to_listen_addr(), Ok("192.0.2.1:7".parse().unwrap()));
        assert_eq!(7.to_listen_addr(), Ok("[::]:7".parse().unwrap()));
    }
}
