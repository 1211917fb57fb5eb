//! What stands for an address as a name, for datagrams: of the addresses that DNS knows, the first goes.

use super::{Addresses, ToSocketAddrs};
use crate::error::Error;
use crate::net::Net;

/// The addresses that `to` stands for, by DNS if it is a name.
pub(super) fn resolve(net: &Net, to: &impl ToSocketAddrs) -> Result<Addresses, Error> {
    #[cfg(feature = "dns")]
    if let Some((host, port)) = to.to_host() {
        return Ok(with_port(&net.lookup(host)?, port));
    }
    let _ = net;
    to.to_socket_addrs()
}

/// [`resolve`] for an executor.
pub(super) async fn resolve_async(net: &Net, to: &impl ToSocketAddrs) -> Result<Addresses, Error> {
    #[cfg(feature = "dns")]
    if let Some((host, port)) = to.to_host() {
        return Ok(with_port(&net.lookup_async(host).await?, port));
    }
    let _ = net;
    to.to_socket_addrs()
}

/// Each with the port, as many as there is room for.
#[cfg(feature = "dns")]
pub(super) fn with_port(addresses: &[core::net::IpAddr], port: u16) -> Addresses {
    let all = addresses.iter().map(|address| core::net::SocketAddr::new(*address, port));
    all.take(super::addr::ADDRESSES_MAX).collect()
}
