//! The traits of `edge-nal` and `embedded-nal-async` for names, which have the same shape.

use core::net::IpAddr;

use crate::error::Error;
use crate::net::Net;
use crate::net::names::Family;

/// The first address of a host in the order of RFC 6724, of one family or of both.
async fn by_name(net: &Net, host: &str, family: Option<Family>) -> Result<IpAddr, Error> {
    let found = net.start_lookup(host, family)?.await?;
    found.first().copied().ok_or(Error::NoMatchingAddresses)
}

/// The name of an address as text, at the front of `buf`.
async fn by_address(net: &Net, address: IpAddr, buf: &mut [u8]) -> Result<usize, Error> {
    use core::fmt::Write;
    let name = net.reverse_lookup_async(address).await?;
    // Four characters for a byte at most.
    let mut text = heapless::String::<1024>::new();
    write!(text, "{name}").map_err(|_| Error::NameServerFailed)?;
    let room = buf.get_mut(..text.len()).ok_or(Error::InvalidInput("no room for the name"))?;
    room.copy_from_slice(text.as_bytes());
    Ok(text.len())
}

macro_rules! dns {
    ($feature:literal, $nal:ident) => {
        #[cfg(feature = $feature)]
        impl ::$nal::Dns for Net {
            type Error = Error;

            async fn get_host_by_name(&self, host: &str, wanted: ::$nal::AddrType) -> Result<IpAddr, Error> {
                let family = match wanted {
                    ::$nal::AddrType::IPv4 => Some(Family::V4),
                    ::$nal::AddrType::IPv6 => Some(Family::V6),
                    ::$nal::AddrType::Either => None,
                };
                by_name(self, host, family).await
            }

            async fn get_host_by_address(&self, address: IpAddr, buf: &mut [u8]) -> Result<usize, Error> {
                by_address(self, address, buf).await
            }
        }
    };
}

dns!("edge-nal", edge_nal);
dns!("embedded-nal-async", embedded_nal_async);
