//! Plain datagrams: those of the flow of the last one, straight to their socket, and those that a socket sends to the same peer
//! as before, straight to the device.
//!
//! Both ways do what [`udp`](super::udp) does, without looking anything up that was found for the datagram before. What they
//! rest on has two numbers: [`paths_epoch`](Stack::paths_epoch), and the table of sockets' own.

use core::net::SocketAddr;

use super::Holder;
use super::Stack;
use super::egress::Devices;
use super::flow::Flow as FlowOf;
use super::udp::refused;
use crate::base::packet_queue::Frame;
use crate::bytes::Bytes;
use crate::counters::Drop;
use crate::device::merged::TAKES_MERGED_DATAGRAMS;
use crate::device::{
    ChecksumRequest, Pieces, RxChecksum, RxFrame, SegmentRequest, TxError, TxFrame, TxOffload,
};
use crate::ip::arrival::{ARRIVAL_LEN, Arrival};
use crate::ip::{self, InterfaceId, Path};
use crate::link::neighbor::{NeighborKey, Purpose};
use crate::time::Instant;
use crate::udp::{DatagramHandle, DatagramKind};
use crate::wire::{
    ETHERNET_LEN, HEADERS_LEN_MAX, HOP_LIMIT, HeaderTemplate, IPV4_LEN, IPV6_LEN, PacketFields,
    UDP_CHECKSUM_AT, UDP_LEN, UdpHeader, ip_len, protocol,
};

/// The longest IP packet.
const PACKET_MAX: usize = 65_535;

/// The socket that a flow's datagrams are for.
pub(super) struct Owner {
    index: u32,
    /// See [`Datagrams::epoch`](crate::udp::Datagrams::epoch).
    epoch: u32,
    /// What is kept of each, but for the time.
    record: [u8; ARRIVAL_LEN],
}

/// The last frame with a datagram for a socket.
pub(super) type Flow = FlowOf<Owner>;

/// The socket that got the last datagram, and the port that it came from.
pub(super) type Served = (u32, u16);

pub(super) fn served(socket: Option<u32>, port: u16) -> Option<Served> {
    socket.map(|index| (index, port))
}

/// To whom a socket sent last, and how that goes there.
pub(super) struct Way {
    socket: DatagramHandle,
    to: SocketAddr,
    /// Of paths, and of sockets.
    epochs: (u32, u32),
    path: Path,
    flow_label: u32,
    template: HeaderTemplate,
}

impl Way {
    /// Through which it goes.
    #[cfg(feature = "uso")]
    pub(super) fn interface(&self) -> InterfaceId {
        self.path.interface
    }
}

impl Stack<'_> {
    /// Remembers the flow of a frame that had a datagram for the same socket and from the same port as the one `before`: who
    /// hears from many does without.
    pub(super) fn note_datagram_flow(
        &mut self,
        interface: InterfaceId,
        frame: &RxFrame<'_>,
        before: Option<Served>,
    ) {
        let Some((index, port)) = self.served_socket.filter(|served| before == Some(*served)) else { return };
        let owner = Owner { index, epoch: self.datagrams.epoch(), record: [0; ARRIVAL_LEN] };
        self.datagram_flow = Flow::of(interface, frame, protocol::UDP, owner).into();
        if let Some(flow) = self.datagram_flow.as_mut() {
            let (from, to) = flow.addresses();
            let (hop_limit, traffic_class) = (flow.hop_limit(), flow.traffic_class());
            let arrival = Arrival { from, port, to, interface, hop_limit, traffic_class, at: Instant::ZERO };
            flow.owner.record = arrival.record();
        }
    }

    /// Takes the frame, if it is of the flow of the last datagram, whose socket is still the one that wants it. False: nothing
    /// was done.
    #[inline]
    pub(super) fn take_expected_datagram(
        &mut self,
        interface: InterfaceId,
        frame: &RxFrame<'_>,
        now: Instant,
    ) -> bool {
        let Some(flow) = self.datagram_flow.as_ref() else { return false };
        if TAKES_MERGED_DATAGRAMS && frame.segment_len.is_some() {
            return false; // they are taken apart first
        }
        // Raw sockets get copies, on the way that looks at everything.
        #[cfg(feature = "raw")]
        if !self.raw.is_empty() {
            return false;
        }
        let Some((bytes, true)) = flow.payload_in(interface, frame) else { return false };
        let Ok(header) = UdpHeader::parse(bytes) else { return false };
        let Owner { index, epoch, mut record } = flow.owner;
        // A question may be under way from the socket's port.
        #[cfg(feature = "dns")]
        if self.names_ask_from(header.destination) {
            return false;
        }
        let datagram = bytes.slice(0, header.len);
        let is_right = match header.checksum {
            0 => !flow.v6,
            _ => frame.checksum == RxChecksum::Valid || flow.checksum_is_valid(datagram),
        };
        if !is_right || epoch != self.datagrams.epoch() {
            return false;
        }
        let counters = &mut self.counters;
        counters.frames.received.count(frame.bytes.len());
        let (ip, ip_len) = match flow.v6 {
            false => (&mut counters.ipv4, IPV4_LEN),
            true => (&mut counters.ipv6, IPV6_LEN),
        };
        ip.received.count(ip_len + bytes.len());
        counters.udp.received.count(bytes.len());
        Arrival::set_time(&mut record, now);
        let kept = Frame::new([&record, &[]], datagram.slice(UDP_LEN, usize::MAX));
        if let Err(why) = self.datagrams.keep(index, &kept, &mut self.pool) {
            self.count_drop(refused(why), now);
        }
        true
    }

    /// Remembers how a datagram went from this socket to its peer.
    pub(super) fn note_datagram_way(&mut self, socket: DatagramHandle, to: &SocketAddr, path: Path) {
        let Ok(entry) = self.datagrams.get(socket) else { return };
        let destination = to.ip().to_canonical();
        let is_usual = entry.kind == DatagramKind::Udp
            && ![path.next_hop, destination].map(ip::is_group)[..].contains(&true);
        let Some(interface) = self.interface(path.interface).filter(|i| is_usual && !i.is_loopback) else {
            return;
        };
        let mac = interface.capabilities.mac;
        let epochs = (self.paths_epoch, self.datagrams.epoch());
        let flow_label = self.datagrams.flow_label(path.source, destination, (entry.port, to.port()));
        let template = HeaderTemplate::new(mac, path.source, destination, protocol::UDP);
        self.datagram_way = Holder::Entry(Way { socket, to: *to, epochs, path, flow_label, template });
    }

    /// Sends a datagram to `to`, or to the connected peer, the way that the socket's last one went: if it goes to the same peer, fits, and the device has room and
    /// nothing that waits. With a length for each, these are several datagrams, which the device cuts, if it can. `None`: nothing
    /// was done.
    #[inline(always)] // for one datagram, in its caller
    pub(super) fn datagram_send_plain(
        &mut self,
        handle: DatagramHandle,
        to: Option<&SocketAddr>,
        (data, segment_len): (Bytes<'_>, Option<u16>),
        devices: &mut dyn Devices,
        now: Instant,
    ) -> Option<Result<(), Drop>> {
        let Stack { datagrams, datagram_way, neighbors, interfaces, counters, paths_epoch, .. } = self;
        let Way { socket, to: known, epochs, path, flow_label, template } = datagram_way.as_ref()?;
        if *socket != handle || *epochs != (*paths_epoch, datagrams.epoch()) {
            return None;
        }
        let socket = datagrams.get(handle).ok().filter(|socket| !socket.has_error())?;
        let is_same = match to {
            Some(to) => to == known,
            None => socket.remote() == Some(*known),
        };
        let len = UDP_LEN + data.len();
        let longest = segment_len.map_or(len, |each| UDP_LEN + usize::from(each));
        if !is_same || ip_len(path.source) + longest > usize::from(path.mtu) {
            return None;
        }
        let interface = interfaces.get(path.interface.0)?;
        if segment_len.is_some() && ip_len(path.source) + len > PACKET_MAX {
            return None;
        }
        if !interface.queue.is_empty() || interface.device_full {
            return None;
        }
        let key = NeighborKey { interface: path.interface, address: path.next_hop };
        let mac = neighbors.keeping_deadlines().known(&key, Purpose::Own, now)?;
        let device = devices.device(path.interface)?;
        let mut pieces = Pieces::new();
        for piece in data.chunks() {
            pieces.push(piece).ok()?;
        }
        let mut buf = [0; HEADERS_LEN_MAX + UDP_LEN];
        let default = || super::paths::hop_limit(Some(interface), path.source, HOP_LIMIT);
        let fields = PacketFields {
            mac,
            traffic_class: socket.traffic_class,
            hop_limit: socket.hop_limit.unwrap_or_else(default),
            flow_label: *flow_label,
            payload_len: len as u16,
        };
        let transport = template.emit(&mut buf, &fields);
        let is_offloaded = cfg!(feature = "offload") && interface.capabilities.tx_checksum;
        let ports = (socket.port, known.port());
        let udp = match is_offloaded {
            true => UdpHeader::emit_unsummed(ports, template.pseudo(), data.len()),
            false => UdpHeader::emit_from(ports, template.pseudo(), data),
        };
        let header = buf.get_mut(..transport + UDP_LEN)?;
        header[transport..].copy_from_slice(&udp);
        let v6 = path.source.is_ipv6();
        let segment = segment_len.map(|segment_len| SegmentRequest { v6, udp: true, segment_len });
        let request = ChecksumRequest { start: transport as u16, offset: UDP_CHECKSUM_AT as u16 };
        let offload = TxOffload { checksum: is_offloaded.then_some(request), segment };
        let taken = device.transmit(TxFrame { header, payload: &pieces, offload });
        device.flush();
        let sent = match taken {
            Err(TxError::Full) => return None,
            // One by one it may go.
            Err(TxError::Refused) if segment_len.is_some() => return None,
            Err(TxError::Refused) => Err(Drop::DeviceRefused),
            Ok(()) => {
                counters.frames.sent.count(transport + len);
                Ok(())
            }
        };
        let ip = if path.source.is_ipv4() { &mut counters.ipv4 } else { &mut counters.ipv6 };
        let headers = transport - ETHERNET_LEN + UDP_LEN;
        let each = segment_len.map_or(data.len(), usize::from);
        let mut left = data.len();
        loop {
            let len = left.min(each);
            ip.sent.count(headers + len);
            counters.udp.sent.count(UDP_LEN + len);
            left -= len;
            if left == 0 {
                break;
            }
        }
        Some(sent)
    }
}
