//! Where datagram sockets are bound, and to whom they are connected.

use core::net::{IpAddr, SocketAddr};

use super::Stack;
use super::udp::has_port;
use crate::base::packet_queue::receive_max;
use crate::error::Error;
use crate::ip::{self, InterfaceId};
use crate::udp::{BindOptions, DatagramHandle, DatagramKind, DatagramSocket, Families};

impl Stack<'_> {
    /// Opens a socket on a local address. The unspecified address means every address; that of
    /// IPv6 includes IPv4 unless `v6_only`. Port 0 means a free one at random.
    ///
    /// [`Error::AddrNotAvailable`]: the address is not ours. [`Error::AddrInUse`]: another socket
    /// has the same port and address; a socket with an address of its own and one for every
    /// address share a port, and the former gets what is for its address.
    pub fn datagram_bind(
        &mut self,
        kind: DatagramKind,
        local: SocketAddr,
        v6_only: bool,
    ) -> Result<DatagramHandle, Error> {
        self.datagram_bind_with(kind, local, &BindOptions { v6_only, ..BindOptions::default() })
    }

    /// As [`datagram_bind`](Self::datagram_bind), with all that can be chosen.
    ///
    /// [`Error::DeviceGone`]: there is no such interface. [`Error::InvalidInput`]: the address names another one.
    pub fn datagram_bind_with(
        &mut self,
        kind: DatagramKind,
        local: SocketAddr,
        options: &BindOptions,
    ) -> Result<DatagramHandle, Error> {
        let BindOptions { v6_only, sharing, interface } = *options;
        let address = local.ip().to_canonical();
        let families = match local.ip() {
            _ if address.is_ipv4() => Families::V4,
            IpAddr::V6(a) if a.is_unspecified() && !v6_only => Families::Both,
            _ => Families::V6,
        };
        let named = self.named_zone(&local)?;
        if interface.is_some_and(|id| self.interface(id).is_none()) {
            return Err(Error::DeviceGone);
        }
        if interface.is_some() && named.is_some() && interface != named {
            return Err(Error::InvalidInput("the scope id names another interface"));
        }
        let zone = interface.or(named);
        if !address.is_unspecified() && !self.is_bindable(address) {
            return Err(Error::AddrNotAvailable);
        }
        let own = Some(address).filter(|a| !a.is_unspecified());
        let receive_max = receive_max(&self.pool);
        let place = (families, own, zone);
        self.datagrams.bind(kind, place, (local.port(), sharing), receive_max, &mut self.random)
    }

    /// Can a datagram socket have this local address? One of ours, or a broadcast address that it hears.
    pub(super) fn is_bindable(&self, address: IpAddr) -> bool {
        self.is_ours(address)
            || matches!(address, IpAddr::V4(a) if a.is_broadcast() || self.is_directed_broadcast(a))
    }

    /// The interface that an address names by its scope id, as in `fe80::1%1`.
    pub(super) fn named_zone(&self, address: &SocketAddr) -> Result<Option<InterfaceId>, Error> {
        let SocketAddr::V6(address) = address else { return Ok(None) };
        if address.scope_id() == 0 {
            return Ok(None);
        }
        let mut ids = self.interfaces().map(|(id, _)| id);
        let named = ids.find(|id| id.zone() == address.scope_id());
        named.map(Some).ok_or(Error::InvalidInput("no interface has this scope id"))
    }

    /// Binds a socket to one peer: it receives from there only, sends there by default, and hears
    /// of ICMP errors.
    ///
    /// [`Error::AddrInUse`]: another socket is connected to this peer from the same address and port.
    pub fn datagram_connect(&mut self, handle: DatagramHandle, peer: SocketAddr) -> Result<(), Error> {
        let socket = self.datagrams.get(handle)?;
        if !has_port(socket, &peer) {
            return Err(Error::AddrInvalid);
        }
        let path = self.datagram_path(socket, None, &peer)?;
        let is_group = ip::is_group(peer.ip().to_canonical());
        let zone = self.named_zone(&peer)?;
        let local = Some(path.source).filter(|_| !is_group);
        self.datagrams.connect(handle, (peer.ip().to_canonical(), peer.port()), local, zone)
    }

    /// Takes a socket's peer away again: it hears everybody, on the addresses that it was bound to.
    ///
    /// [`Error::NotConnected`]; [`Error::AddrInUse`]: another socket was bound there meanwhile.
    pub fn datagram_disconnect(&mut self, handle: DatagramHandle) -> Result<(), Error> {
        self.datagrams.disconnect(handle)
    }

    /// A socket has what it is bound to for as long as that is there: it never moves to another address
    /// or interface, and says so (H265, H177).
    pub(super) fn still_bound(&self, socket: &DatagramSocket) -> Result<(), Error> {
        if socket.zone.is_some_and(|zone| self.interface(zone).is_none()) {
            return Err(Error::DeviceGone);
        }
        match socket.local {
            Some(address) if !self.is_bindable(address) => Err(Error::AddrNotAvailable),
            _ => Ok(()),
        }
    }
}
