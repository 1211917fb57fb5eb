//! Sockets with a peer: connecting, and taking the peer away again.

use core::net::IpAddr;

use super::{DatagramHandle, DatagramKind, Datagrams};
use crate::error::Error;
use crate::ip::InterfaceId;

impl Datagrams<'_> {
    /// Connects a socket to a peer, from a local address if it is not to stay as it is, and through a
    /// zone.
    ///
    /// [`Error::AddrInUse`]: another socket is connected there from the same address and port: nothing
    /// could tell their datagrams apart.
    pub(crate) fn connect(
        &mut self,
        handle: DatagramHandle,
        peer: (IpAddr, u16),
        local: Option<IpAddr>,
        zone: Option<InterfaceId>,
    ) -> Result<(), Error> {
        let socket = self.get(handle)?;
        let (kind, port, zone) = (socket.kind, socket.port, zone.or(socket.zone));
        let (local, families) = (local.or(socket.local), socket.families);
        // Echo requests are told apart by their identifier alone.
        let same_peer = |other: (IpAddr, u16)| match kind {
            DatagramKind::Udp => other == peer,
            DatagramKind::Echo => other.0 == peer.0,
        };
        let mut taken = false;
        self.visit(kind, port, |index, other| {
            let same = other.peer.is_some_and(same_peer) && (other.local, other.zone) == (local, zone);
            taken |= index != handle.0.index && same && other.families.overlap(families);
            taken
        });
        if taken {
            return Err(Error::AddrInUse);
        }
        let socket = self.get_mut(handle)?;
        socket.chosen[0] |= socket.local != local;
        socket.chosen[1] |= socket.zone != zone;
        (socket.peer, socket.local, socket.zone) = (Some(peer), local, zone);
        socket.last_path = None;
        self.next_epoch();
        Ok(())
    }

    /// The socket has no peer any more, and is bound as before it had one.
    pub(crate) fn disconnect(&mut self, handle: DatagramHandle) -> Result<(), Error> {
        let socket = self.get(handle)?;
        socket.peer.ok_or(Error::NotConnected)?;
        let [local_chosen, zone_chosen] = socket.chosen;
        let local = socket.local.filter(|_| !local_chosen);
        let zone = socket.zone.filter(|_| !zone_chosen);
        let mut taken = false;
        self.visit(socket.kind, socket.port, |index, other| {
            taken |=
                index != handle.0.index && other.conflicts(socket.sharing, (socket.families, local, zone));
            taken
        });
        if taken {
            return Err(Error::AddrInUse);
        }
        let socket = self.get_mut(handle)?;
        (socket.peer, socket.local, socket.zone) = (None, local, zone);
        (socket.chosen, socket.last_path) = ([false; 2], None);
        self.next_epoch();
        Ok(())
    }
}
