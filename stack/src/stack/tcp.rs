//! Where the pipeline meets TCP: segments in, segments out, and what ICMP and neighbours say.

pub(super) use super::tcp_flow::Flow;
pub(super) use super::tcp_plain::TcpWay;
pub(super) use crate::tcp::table::ActiveKey;

use super::Holder;
use super::egress::answer_to;
use super::{Resolution, Stack};
use crate::bytes::Bytes;
use crate::counters::{Drop, TcpCount};
use crate::device::segment::{TcpFrame, transmit};
use crate::device::{Device, Pieces, RxChecksum, TX_PIECES, TxError};
use crate::error::Error;
use crate::events::Event;
use crate::ip::path_mtu;
use crate::ip::{self, IcmpError, IcmpErrorKind, InterfaceId, PacketMeta, Path};
use crate::link::neighbor::{NeighborKey, Purpose};
use crate::seq::Seq;
use crate::tcp::connection::soft_error::SoftError;
use crate::tcp::connection::tcb::Dropped;
use crate::tcp::segment::{EcnCodepoint, Flags, Options, Plan, PlanKind, Reset};
use crate::tcp::{ConnectionEvent, Handshaking, IpFields, Opened, Outcome, Refused, Reply, Tuple};
use crate::time::Instant;
use crate::wire::tcp::{TCP_LEN_MAX, TcpHeader, parse_tcp};
use crate::wire::{self, HEADERS_LEN_MAX, IpHeader, LinkPath, protocol, pseudo_header};

/// Segments, or super-segments of up to 64 KiB, that one call of `egress` sends, so that the rest
/// of the stack and the caller get their turn (H183).
const EGRESS_BUDGET: usize = 64;
/// An IP packet with every header stays below 64 KiB.
const TEXT_MAX: usize = 65_535 - 40 - 60;

/// The first step of a segment's way.
enum Hop {
    Known(LinkPath),
    /// The neighbour's address is being asked for.
    Asked,
    /// Its packets are of another size now.
    Resized(u16),
}

/// What came of one attempt to send for a connection.
pub(super) enum Sent {
    /// A segment went out, or was as good as lost. There may be `more`.
    Segment { more: bool },
    /// There is nothing to send.
    Nothing,
    /// The neighbour's address is being asked for.
    Blocked,
    /// The device has no room.
    DeviceFull,
}

impl Stack<'_> {
    /// A segment arrived for one of our addresses, by unicast.
    pub(crate) fn tcp_input(&mut self, meta: &PacketMeta, packet: Bytes<'_>, now: Instant) {
        if meta.link_broadcast {
            return self.count_drop(Drop::TcpBroadcast, now); // H007
        }
        if meta.checksum != RxChecksum::Valid && !checksum_is_valid(meta, packet) {
            return self.count_drop(Drop::TcpChecksum, now); // MUST-3
        }
        let Some((remote_port, local_port, mut segment)) = parse_tcp(packet) else {
            return self.count_drop(Drop::TcpMalformed, now);
        };
        segment.mark = EcnCodepoint::of(meta.traffic_class & 3);
        if let Some(len) = meta.segment_len {
            segment.packets = segment.payload.len().div_ceil(usize::from(len.max(1))).max(1) as u16;
        }
        let tuple = Tuple { local: meta.destination, remote: meta.source, local_port, remote_port };
        let Some(interface) = self.interfaces.get(meta.interface.0) else { return };
        let mtu = interface.mtu_to(meta.source);
        let mut outcome = self.tcp.on_segment(&tuple, meta.interface, mtu, &segment, now, &mut self.pool);
        if outcome.dropped == Some(Refused::TableFull) && self.tcp_give_up_orphan(Opened::ByPeer, now) {
            outcome = self.tcp.on_segment(&tuple, meta.interface, mtu, &segment, now, &mut self.pool);
        }
        if outcome.dropped == Some(Refused::AcceptLimit) && self.tcp_give_up_stalled(true, now) {
            outcome = self.tcp.on_segment(&tuple, meta.interface, mtu, &segment, now, &mut self.pool);
        }
        self.served = self.tcp.last_of(&tuple).filter(|_| outcome.dropped.is_none());
        self.tcp_outcome(&tuple, meta.interface, outcome, now);
        self.tcp.feed_starved(&self.pool);
    }

    /// Carries out what the engine can't do itself: replies, counters, events.
    pub(crate) fn tcp_outcome(
        &mut self,
        tuple: &Tuple,
        interface: InterfaceId,
        outcome: Outcome,
        now: Instant,
    ) {
        if let Some(refused) = outcome.dropped {
            self.count_drop(drop_name(refused), now);
        }
        let handshakes = &mut self.counters.handshakes;
        match outcome.handshaking {
            None => {}
            Some(Handshaking::CookieSent) => handshakes.count_cookie_sent(),
            Some(Handshaking::CookieAccepted) => handshakes.count_cookie_accepted(),
            Some(Handshaking::Evicted) => handshakes.count_gave_way(),
        }
        if let Some(event) = outcome.event {
            let (local_port, remote) = (tuple.local_port, (tuple.remote, tuple.remote_port).into());
            self.events.emit(
                now,
                match event {
                    ConnectionEvent::Established => Event::ConnectionEstablished(local_port, remote),
                    ConnectionEvent::Closed => Event::ConnectionClosed(local_port, remote),
                    ConnectionEvent::Failed(error) => Event::ConnectionFailed(local_port, remote, error),
                    ConnectionEvent::Urgent => Event::UrgentData(local_port, remote),
                    ConnectionEvent::Troubled(error) => Event::ConnectionTroubled(local_port, remote, error),
                },
            );
        }
        if let Some(mtu) = outcome.path_mtu {
            self.learn_path(tuple.remote, mtu, now);
        }
        if outcome.negative_advice
            && let Some(path) = self.tcp_path(tuple, interface)
        {
            self.suspect_neighbor(&path, now);
        }
        if let Some(reply) = outcome.reply {
            let fields = outcome.fields.unwrap_or_else(|| self.tcp.settings.config.options.ip_fields());
            self.tcp_reply(tuple, interface, (reply, fields), now);
        }
    }

    /// A good segment came for this connection. If it shows that what we send arrives, the next hop
    /// need not show that it is there.
    //= rfc4861#7.3.1
    #[inline]
    pub(super) fn tcp_confirms(&mut self, connection: ActiveKey, now: Instant) {
        if self.neighbors.is_doubted(now)
            && let Some((tuple, interface)) = self.tcp.confirmed_by(connection)
        {
            self.tcp_vouches(&tuple, interface, now);
        }
    }

    #[inline(never)]
    fn tcp_vouches(&mut self, tuple: &Tuple, interface: InterfaceId, now: Instant) {
        if let Some(path) = self.tcp_path(tuple, interface) {
            self.confirm_neighbor(&path, now);
        }
    }

    /// Sends a segment that no connection plans: a reset, a challenge, TIME-WAIT's acknowledgment, a cookie.
    pub(crate) fn tcp_reply(
        &mut self,
        tuple: &Tuple,
        interface: InterfaceId,
        (reply, fields): (Reply, IpFields),
        now: Instant,
    ) {
        if let Reply::Reset(_) = reply {
            self.tcp.settings.counts.add(TcpCount::ResetsSent, 1);
        }
        let (seq, ack, flags, window, options) = match reply {
            Reply::Reset(Reset { seq, ack, timestamps }) => {
                let flags = if ack.is_some() { Flags::RST | Flags::ACK } else { Flags::RST };
                (seq, ack.unwrap_or(Seq(0)), flags, 0, Options { timestamps, ..Options::default() })
            }
            Reply::Ack { seq, ack, window, timestamps } => {
                (seq, ack, Flags::ACK, window, Options { timestamps, ..Options::default() })
            }
            Reply::SynAck { seq, ack, flags, window, options } => (seq, ack, flags, window, options),
        };
        let header = TcpHeader {
            source_port: tuple.local_port,
            destination_port: tuple.remote_port,
            seq,
            ack,
            flags,
            window,
            options,
        };
        let mut buf = [0; TCP_LEN_MAX];
        let len = header.emit(&mut buf);
        let mut sum = pseudo_header(tuple.local, tuple.remote, protocol::TCP, len);
        sum.add(&buf[..len]);
        buf[16..18].copy_from_slice(&sum.finish().to_be_bytes());
        let Ok(path) = self.answer_path(tuple.remote, interface, tuple.local) else {
            return self.count_drop(Drop::NoRoute, now);
        };
        let mut ip = IpHeader::new(tuple.local, tuple.remote, protocol::TCP, len);
        ip.hop_limit = self.hop_limit(path.interface, tuple.remote, fields.hop_limit);
        ip.traffic_class = fields.dscp << 2;
        // The peer's next segment asks for another, if it can't be sent.
        self.send_answer(&path, &ip, &buf[..len], Bytes::empty(), now);
    }

    /// An ICMP error quotes a segment with one of our addresses as its source.
    pub(crate) fn tcp_icmp_error(&mut self, meta: &PacketMeta, error: IcmpError, now: Instant) {
        let tuple = Tuple {
            local: error.source,
            remote: error.destination,
            local_port: error.source_port(),
            remote_port: error.destination_port(),
        };
        let Some(index) = self.tcp.quoted(&tuple) else {
            return self.count_drop(Drop::IcmpForeign, now);
        };
        if let IcmpErrorKind::TooBig { mtu } = error.kind {
            return self.tcp_too_big(index, &error, mtu, now);
        }
        if cfg!(not(feature = "icmp-errors")) {
            return; // nothing else comes here
        }
        let problem = match error.kind {
            IcmpErrorKind::PortUnreachable
            | IcmpErrorKind::ProtocolUnreachable
            | IcmpErrorKind::Prohibited => SoftError::Refused,
            IcmpErrorKind::NetUnreachable => SoftError::NetUnreachable,
            IcmpErrorKind::HostUnreachable | IcmpErrorKind::TimeExceeded => SoftError::HostUnreachable,
            IcmpErrorKind::ParameterProblem => SoftError::Rejected,
            IcmpErrorKind::TooBig { .. } | IcmpErrorKind::Unknown => return,
        };
        let outcome = self.tcp.on_icmp(index, Seq(error.seq()), problem, now, &mut self.pool);
        self.tcp_outcome(&tuple, meta.interface, outcome, now);
    }

    /// A router says that a segment of ours was too big, and that `claimed` bytes would fit.
    //= rfc5927#7
    fn tcp_too_big(&mut self, index: u32, error: &IcmpError, claimed: u32, now: Instant) {
        let Some(c) = self.tcp.at(index) else { return };
        let in_flight = c.tcb.awaits(Seq(error.seq()));
        let Some(current) = c.tcb.path_mtu().filter(|_| in_flight) else {
            return self.count_drop(Drop::IcmpForeign, now); // H087
        };
        let Some(mtu) = path_mtu::reduced(current, claimed, error.destination) else {
            return self.count_drop(Drop::IcmpIgnored, now);
        };
        if self.tcp.too_big(index, mtu, now, &mut self.pool) {
            self.learn_path(error.destination, mtu, now); // H075
        }
    }

    /// All TCP timers that are due.
    #[inline]
    pub(crate) fn tcp_timers(&mut self, now: Instant) {
        if self.tcp.is_due(now) {
            self.tcp_expire(now);
        }
        if self.tcp.has_stalled() {
            self.tcp_give_up_stalled(false, now);
        }
        self.tcp.feed_starved(&self.pool);
    }

    #[inline(never)]
    fn tcp_expire(&mut self, now: Instant) {
        while let Some((tuple, interface, outcome)) = self.tcp.expire(now, &mut self.pool) {
            self.tcp_outcome(&tuple, interface, outcome, now);
        }
    }

    /// Resets stalled connections while memory is short and somebody wants it. True: there were some.
    fn tcp_give_up_stalled(&mut self, is_wanted: bool, now: Instant) -> bool {
        let mut gave_way = false;
        while let Some((tuple, interface, outcome)) = self.tcp.give_way(is_wanted, now, &mut self.pool) {
            self.tcp_outcome(&tuple, interface, outcome, now);
            gave_way = true;
        }
        gave_way
    }

    /// Has TCP something to send by this interface?
    #[inline]
    pub(super) fn tcp_waits(&self, id: InterfaceId) -> bool {
        self.tcp.has_ready(id.0.index)
    }

    /// Sends what TCP has for this interface. False: the device is full.
    pub(crate) fn tcp_egress(&mut self, id: InterfaceId, device: &mut dyn Device, now: Instant) -> bool {
        let mut burst = None;
        for _ in 0..EGRESS_BUDGET {
            let Some(index) = burst.take().or_else(|| self.tcp.next_ready(id)) else { return true };
            match self.tcp_send_one(index, device, now) {
                Sent::Nothing | Sent::Segment { more: false } => {}
                // Nobody else waits: it goes on.
                Sent::Segment { more: true } if !self.tcp.has_ready(id.0.index) => burst = Some(index),
                Sent::Segment { more: true } => self.tcp.queue_if_ready(index),
                Sent::Blocked => self.tcp.block(index),
                Sent::DeviceFull => {
                    self.tcp.queue_if_ready(index);
                    return false;
                }
            }
        }
        if let Some(index) = burst {
            self.tcp.queue_if_ready(index);
        }
        true
    }

    /// Most bytes of payload in one plan.
    #[inline]
    pub(super) fn text_max(&self) -> u32 {
        TEXT_MAX.min((TX_PIECES - 2) * self.pool.block_len()) as u32
    }

    /// Plans a segment, gives it to the device, and only then makes it so.
    #[inline]
    fn tcp_send_one(&mut self, index: u32, device: &mut dyn Device, now: Instant) -> Sent {
        match self.tcp_send_plain(index, device, now) {
            Some(sent) => sent,
            None => self.tcp_send_other(index, device, now),
        }
    }

    /// Sends one that is no plain segment. Apart, so that those have the registers to themselves.
    #[inline(never)]
    fn tcp_send_other(&mut self, index: u32, device: &mut dyn Device, now: Instant) -> Sent {
        let Some(mut plan) = self.tcp.plan(index, self.text_max(), now, &self.pool) else {
            return Sent::Nothing;
        };
        let link = match self.tcp_link(index, device, now) {
            Ok(Hop::Known(link)) => link,
            Ok(Hop::Asked) => return Sent::Blocked,
            Ok(Hop::Resized(mtu)) => {
                self.tcp.follow_path(index, mtu, now, &mut self.pool);
                return Sent::Segment { more: true };
            }
            Err(error) => return self.tcp_no_way(index, &plan, error, now),
        };
        self.tcp_transmit(index, &mut plan, &link, device, now)
    }

    /// The hardware addresses for a segment.
    fn tcp_link(&mut self, index: u32, device: &mut dyn Device, now: Instant) -> Result<Hop, Error> {
        let c = self.tcp.at(index).ok_or(Error::StaleHandle)?;
        let (tuple, interface, is_half_open) = (c.tuple, c.interface, c.tcb.is_half_open());
        let known = c.tcb.path_mtu();
        let path = self.tcp_path(&tuple, interface).ok_or_else(|| match self.answers_to(tuple.local) {
            true => Error::NetUnreachable,
            false => Error::AddrNotAvailable,
        })?;
        if known.is_some_and(|mtu| mtu != path.mtu) {
            return Ok(Hop::Resized(path.mtu));
        }
        let source = device.capabilities().mac;
        let purpose = if is_half_open { answer_to(&path, tuple.remote) } else { Purpose::Patient };
        let resolution = self.resolve(&path, purpose, now);
        if self.neighbors.is_doubted(now) {
            // What came before says nothing of now.
            self.tcp.has_progressed(index);
        }
        match resolution {
            Resolution::Known(destination) => Ok(Hop::Known(LinkPath { source, destination })),
            Resolution::Pending => Ok(Hop::Asked),
            Resolution::Failed => Err(Error::HostUnreachable),
            Resolution::Denied => {
                self.count_drop(Drop::NeighborDenied, now);
                Err(Error::HostUnreachable)
            }
        }
    }

    fn tcp_transmit(
        &mut self,
        index: u32,
        plan: &mut Plan,
        link: &LinkPath,
        device: &mut dyn Device,
        now: Instant,
    ) -> Sent {
        let Some(c) = self.tcp.at(index) else { return Sent::Nothing };
        let mut payload = Pieces::new();
        let len = c.payload(&self.pool, plan, &mut payload);
        plan.cut_to(len as u32);
        let header = TcpHeader {
            source_port: c.tuple.local_port,
            destination_port: c.tuple.remote_port,
            seq: plan.seq,
            ack: plan.ack,
            flags: plan.flags,
            window: plan.window,
            options: plan.options,
        };
        let mut buf = [0; HEADERS_LEN_MAX + TCP_LEN_MAX];
        let tcp_len = header.len();
        let mut ip = IpHeader::new(c.tuple.local, c.tuple.remote, protocol::TCP, tcp_len + len);
        ip.flow_label = c.flow_hash();
        //= rfc9293#3.9.1.9 MUST-48, SHLD-21, SHLD-22
        //= rfc9293#3.9.2 MUST-49
        let fields = self.tcp.settings.options(c.profile).ip_fields();
        ip.hop_limit = self.hop_limit(c.interface, c.tuple.remote, fields.hop_limit);
        ip.traffic_class = fields.dscp << 2 | plan.mark as u8;
        if c.tcb.path_mtu() == Some(path_mtu::MIN_V4) {
            // A path that takes even less must fragment (RFC 1191 §3), and tell our packets apart
            // (RFC 6864 §4.3).
            ip.dont_fragment = false;
            ip.ident = self.random.next_u32() as u16;
        }
        let transport = wire::emit_headers(&mut buf, link, &ip);
        header.emit(&mut buf[transport..]);
        let header_len = transport + tcp_len;
        let frame = TcpFrame { header: &mut buf[..header_len], transport, payload: &payload, mss: plan.mss };
        let taken = transmit(device, frame);
        drop(payload);
        let taken = match taken {
            Ok(taken) => {
                self.counters.frames.sent.count(header_len + taken);
                taken
            }
            Err(TxError::Full) => return Sent::DeviceFull,
            Err(TxError::Refused) => {
                // As good as lost on the way: the timers take care of it.
                self.count_drop(Drop::DeviceRefused, now);
                len
            }
        };
        self.count_packet(&ip, header_len - wire::ETHERNET_LEN + taken);
        plan.cut_to(taken as u32);
        let more = self.tcp.on_sent(index, plan, now, &mut self.pool);
        if taken < len { Sent::DeviceFull } else { Sent::Segment { more } }
    }

    /// The way to the peer. The last one found is remembered: a burst of segments takes one way.
    fn tcp_path(&mut self, tuple: &Tuple, interface: InterfaceId) -> Option<Path> {
        let key = (tuple.remote, tuple.local, interface, self.paths_epoch);
        if let Some(way) = self.tcp_way.as_ref()
            && way.key == key
        {
            return Some(way.path);
        }
        let path = self.path(tuple.remote, Some(interface), Some(tuple.local)).ok();
        // A peer is one host, whatever became of its address since.
        let mut path = path.filter(|path| !ip::is_group(path.next_hop))?;
        if let Some(mtu) = self.path_mtus.of(tuple.remote) {
            path.mtu = path.mtu.min(mtu);
        }
        let mac = self.interface(path.interface)?.capabilities.mac;
        self.tcp_way = Holder::Entry(TcpWay::new(key, path, mac));
        Some(path)
    }

    /// There is no way to the peer. That ends a connect, and a handshake whose peer may not exist. A
    /// connection that stands keeps what it was about to send until there is one (H084), and so does a
    /// handshake that was answered: its neighbour was known. An acknowledgment alone is as good as lost:
    /// the peer asks for another, and nobody asks for the neighbour for ever on its account.
    fn tcp_no_way(&mut self, index: u32, plan: &Plan, error: Error, now: Instant) -> Sent {
        let Some(c) = self.tcp.at(index) else { return Sent::Nothing };
        let (tuple, interface) = (c.tuple, c.interface);
        let outcome = if c.tcb.is_opening() || c.tcb.is_unanswered() {
            self.tcp.fail(index, error, now, &mut self.pool)
        } else {
            self.count_drop(Drop::NoRoute, now);
            let problem = match error {
                Error::HostUnreachable => SoftError::HostUnreachable,
                Error::AddrNotAvailable => SoftError::AddressGone,
                _ => SoftError::NetUnreachable,
            };
            self.tcp.trouble(index, problem, now, &mut self.pool)
        };
        self.tcp_outcome(&tuple, interface, outcome, now);
        if plan.kind == PlanKind::Ack {
            let more = self.tcp.on_sent(index, plan, now, &mut self.pool);
            return Sent::Segment { more };
        }
        Sent::Blocked
    }

    /// A neighbour that was `Pending` is known now, has failed, or may be asked again: those that
    /// wait for it look again, and those whose neighbour's entry was evicted.
    pub(crate) fn tcp_neighbor(&mut self, key: NeighborKey, outcome: Resolution, now: Instant) {
        let mut blocked = self.tcp.take_blocked();
        while let Some(index) = self.tcp.unblock(&mut blocked) {
            let Some(c) = self.tcp.at(index) else { continue };
            let (tuple, interface) = (c.tuple, c.interface);
            let path = self.tcp_path(&tuple, interface);
            let next = path.map(|path| NeighborKey { interface: path.interface, address: path.next_hop });
            match next {
                Some(next) if next == key && outcome == Resolution::Failed => {
                    let plan = self.tcp.plan(index, self.text_max(), now, &self.pool);
                    match plan.map(|plan| self.tcp_no_way(index, &plan, Error::HostUnreachable, now)) {
                        Some(Sent::Blocked) => self.tcp.block(index),
                        _ => self.tcp.queue_if_ready(index),
                    }
                }
                Some(next) if next == key || !self.neighbors.is_awaited(&next) => {
                    self.tcp.queue_if_ready(index);
                }
                _ => self.tcp.block(index),
            }
        }
    }

    /// A router is taken to be dead: what was sent by it in vain goes by another one now, not when the timeout, which
    /// has doubled several times, is over.
    #[cfg(feature = "slaac")]
    pub(super) fn tcp_try_again(&mut self, now: Instant) {
        self.tcp.try_again(now);
    }

    /// Those that had no way to their peer may have one: addresses or routes are others than before, or
    /// there is a place for their neighbour.
    pub(super) fn tcp_look_again(&mut self) {
        let mut blocked = self.tcp.take_blocked();
        while let Some(index) = self.tcp.unblock(&mut blocked) {
            self.tcp.queue_if_ready(index);
        }
    }
}

//= rfc9293#3.1 MUST-3
fn checksum_is_valid(meta: &PacketMeta, packet: Bytes<'_>) -> bool {
    let mut sum = pseudo_header(meta.source, meta.destination, protocol::TCP, packet.len());
    sum.add_bytes(packet);
    sum.is_valid()
}

fn drop_name(refused: Refused) -> Drop {
    match refused {
        Refused::NoConnection => Drop::TcpNoSocket,
        Refused::SynQueueFull => Drop::TcpSynQueueFull,
        Refused::AcceptQueueFull => Drop::TcpAcceptQueueFull,
        Refused::AcceptLimit => Drop::TcpAcceptLimit,
        Refused::BadCookie => Drop::TcpBadCookie,
        Refused::TableFull => Drop::TcpTableFull,
        Refused::Engine(dropped) => match dropped {
            Dropped::OutOfWindow => Drop::TcpOutOfWindow,
            Dropped::BadAck => Drop::TcpBadAck,
            Dropped::Challenged => Drop::TcpChallenged,
            Dropped::Paws => Drop::TcpPaws,
            Dropped::TooManyHoles => Drop::TcpTooManyHoles,
            Dropped::NoMemory => Drop::TcpNoMemory,
            Dropped::InvalidForState => Drop::TcpSenseless,
        },
    }
}
