//! Plain segments out: those of connections in good order, on the path that TCP took last. Their headers come from a template.
//!
//! Nearly every segment is such a one. All others go the way of [`tcp`](super::tcp), which alone asks for neighbours, follows
//! paths, and gives up.

use super::Stack;
use super::paths::RouteCacheKey;
use super::tcp::Sent;
use crate::counters::Drop;
use crate::device::segment::{TcpFrame, transmit_from};
use crate::device::{Device, Mac, Pieces, TxError};
use crate::events::Event;
use crate::ip::{Path, path_mtu};
use crate::link::neighbor::{NeighborKey, Purpose};
use crate::time::Instant;
use crate::wire::tcp::{PLAIN_LEN_MAX, emit_plain};
use crate::wire::{ETHERNET_LEN, HEADERS_LEN_MAX, HeaderTemplate, PacketFields, protocol};

/// The path that TCP took last.
pub(super) struct TcpWay {
    pub(super) key: RouteCacheKey,
    pub(super) path: Path,
    template: HeaderTemplate,
}

impl TcpWay {
    /// The path of `key`, which leaves from this hardware address.
    pub(super) fn new(key: RouteCacheKey, path: Path, mac: Mac) -> Self {
        let (destination, source, ..) = key;
        TcpWay { key, path, template: HeaderTemplate::new(mac, source, destination, protocol::TCP) }
    }
}

impl Stack<'_> {
    /// Sends the next segment of a connection, if that is a plain one whose path is the last one's and whose next hop is known.
    /// `None`: nothing was done.
    #[inline]
    pub(super) fn tcp_send_plain(
        &mut self,
        index: u32,
        device: &mut dyn Device,
        now: Instant,
    ) -> Option<Sent> {
        let most = self.text_max();
        let Stack { tcp, pool, counters, events, neighbors, interfaces, tcp_way, paths_epoch, .. } = self;
        let TcpWay { key, path, template } = tcp_way.as_ref()?;
        let (c, settings) = tcp.sender(index)?;
        let is_same = *key == (c.tuple.remote, c.tuple.local, c.interface, *paths_epoch);
        // A path that takes even less must fragment, and one that changed is followed first.
        let is_usual = c.tcb.path_mtu() == Some(path.mtu) && path.mtu != path_mtu::MIN_V4;
        if !is_same || !is_usual || neighbors.is_doubted(now) {
            return None;
        }
        let mut plan = c.tcb.plan_plain(most, now, pool)?;
        let neighbor = NeighborKey { interface: path.interface, address: path.next_hop };
        let mac = neighbors.keeping_deadlines().known(&neighbor, Purpose::Patient, now)?;
        let mut payload = Pieces::new();
        let len = c.plain_payload(pool, &plan, &mut payload);
        plan.cut_to(len as u32);
        let mut buf = [0; HEADERS_LEN_MAX + PLAIN_LEN_MAX];
        let options = settings.options(c.profile);
        let (fields, is_v4) = (options.ip_fields(), c.tuple.remote.is_ipv4());
        let header_len = if plan.timestamps.is_some() { PLAIN_LEN_MAX } else { crate::wire::TCP_LEN };
        //= rfc9293#3.9.1.9 MUST-48, SHLD-21, SHLD-22
        //= rfc9293#3.9.2 MUST-49
        let transport = template.emit(
            &mut buf,
            &PacketFields {
                mac,
                traffic_class: fields.dscp << 2 | plan.mark as u8,
                hop_limit: match is_v4 {
                    true => fields.hop_limit,
                    false => super::paths::hop_limit(
                        interfaces.get(c.interface.0),
                        c.tuple.remote,
                        fields.hop_limit,
                    ),
                },
                flow_label: c.flow_hash(),
                payload_len: (header_len + len) as u16,
            },
        );
        let tcp_len = emit_plain(&mut buf[transport..], (c.tuple.local_port, c.tuple.remote_port), &plan);
        let header = &mut buf[..transport + tcp_len];
        let frame = TcpFrame { header, transport, payload: &payload, mss: plan.mss };
        let taken = transmit_from(device, frame, len, template.pseudo());
        drop(payload);
        let taken = match taken {
            Ok(taken) => {
                counters.frames.sent.count(transport + tcp_len + taken);
                taken
            }
            Err(TxError::Full) => return Some(Sent::DeviceFull),
            Err(TxError::Refused) => {
                // As good as lost on the way: the timers take care of it.
                counters.count_drop(Drop::DeviceRefused);
                events.emit(now, Event::Dropped(Drop::DeviceRefused));
                len
            }
        };
        let ip = if is_v4 { &mut counters.ipv4 } else { &mut counters.ipv6 };
        ip.sent.count(transport - ETHERNET_LEN + tcp_len + taken);
        counters.tcp.sent.count(tcp_len + len);
        plan.cut_to(taken as u32);
        let (more, look_by) = c.on_plain_sent(&plan, &mut settings.context(options, now, pool));
        if let Some(deadline) = look_by {
            tcp.after_sent(index, deadline, now, pool);
        }
        Some(if taken < len { Sent::DeviceFull } else { Sent::Segment { more } })
    }
}
