//! Packets of a script: those that the stack is to send, and those that it gets.

use super::super::compare;
use super::super::icmp_names;
use super::super::report::{Failure, Trouble};
use super::super::script::{
    Body, Ecn, Event, Icmp, IpMarks, Packet, Quote, Segment, When, flag, text_beyond_zeros,
};
use super::super::wire::{IpPacket, Payload, protocol};
use super::{PATIENCE, PORT, Run, Step, TICK};

impl Run {
    // ---- packets that the stack sends

    /// The next packet must be this one, at its time.
    pub(super) fn expect(&mut self, event: &Event, expected: &Packet) -> Result<(), Failure> {
        let base = self.world.now();
        let (from, until) = match event.when {
            When::At(at) => (self.start + at, self.start + at),
            When::After(at) => (base + at, base + at),
            When::AtBetween(from, until) => (self.start + from, self.start + until),
            When::AfterBetween(from, until) => (base + from, base + until),
            When::Any => (0, base + PATIENCE),
        };
        let tolerance = compare::tolerance(&self.rules, from.saturating_sub(self.last));
        let fail = |cause: String, message: String| Err(Trouble::fails(cause, message).at(event.line));
        let Some((at, sent)) = self.next_sent(until + tolerance)? else {
            let last = self.clock(until + tolerance);
            let message = format!("expected `{}`, but nothing was sent until {last}", event.text);
            return fail("nothing was sent".into(), message);
        };
        let sent = self.gather(expected, sent, until + tolerance)?;
        let time = self.clock(at);
        let was_early = if at < self.world.now() { format!(" (at {time})") } else { String::new() };
        self.note(|| format!("{sent}{was_early}"));
        let differences = compare::differences(expected, &sent, &self.rules, &mut self.ignored);
        if !differences.is_empty() {
            let which = differences.join(", ");
            let message = format!("expected `{expected}`, but `{sent}` was sent at {time}: {which}");
            return fail(format!("another packet was sent: {which}"), message);
        }
        if at + tolerance < from || at > until + tolerance {
            let due = self.clock(from);
            let message = format!("expected `{expected}` at {due}, but it was sent at {time}");
            return fail("a packet was sent at another time".into(), message);
        }
        self.last = if event.when == When::Any { at } else { from.max(at.min(until)) };
        Ok(())
    }

    /// The next packet of the stack, if there is one until then.
    fn next_sent(&mut self, until: u64) -> Result<Option<(u64, Vec<u8>)>, Failure> {
        loop {
            if let Some(sent) = self.world.sent() {
                return Ok(Some(sent));
            }
            let tick = if self.pending.is_some() { self.world.now() + TICK } else { u64::MAX };
            let more = self.world.step(until.min(tick));
            self.ask_pending()?;
            if !more && self.world.now() >= until && !self.world.has_sent() {
                return Ok(None);
            }
        }
    }

    /// The packet with the script's numbers. Where the script has one long segment, the stack may have
    /// sent several that carry on each other: segmentation is the device's business.
    fn gather(&mut self, expected: &Packet, sent: Vec<u8>, until: u64) -> Result<Packet, Failure> {
        let mut whole = self.in_script(&sent, expected);
        let Body::Tcp(wanted) = &expected.body else { return Ok(whole) };
        while let Body::Tcp(so_far) = &whole.body
            && 0 < so_far.len
            && so_far.len < wanted.len
            && so_far.seq == wanted.seq
        {
            let Some((_, more)) = self.next_sent(until)? else { break };
            let more = self.in_script(&more, expected);
            let Body::Tcp(last) = &more.body else { break };
            // CWR is the first's, PSH and FIN are the last's.
            let apart = (so_far.flags ^ last.flags) & !(flag::CWR | flag::PSH | flag::FIN);
            let follows = last.seq == so_far.seq.wrapping_add(so_far.len) && last.ack == so_far.ack;
            if !follows || apart != 0 || (more.ip, more.ports) != (whole.ip, whole.ports) {
                break;
            }
            let (flags, len) = (so_far.flags | last.flags, so_far.len + last.len);
            let joined = Segment { seq: so_far.seq, flags, len, ..last.clone() };
            let text = whole.text.or(more.text);
            whole = Packet { body: Body::Tcp(joined), text, ..whole };
        }
        Ok(whole)
    }

    /// A live packet in the words of the script.
    fn in_script(&mut self, bytes: &[u8], expected: &Packet) -> Packet {
        let unreadable = |what: String| Packet {
            inbound: false,
            ip: IpMarks::default(),
            ports: None,
            body: Body::Icmp(Icmp { kind: what, code: None, mtu: None, id: None, quote: Quote::Raw(0) }),
            text: None,
        };
        let packet = match IpPacket::parse(bytes) {
            Ok(packet) => packet,
            Err(what) => return unreadable(format!("(a bad packet: {what})")),
        };
        let ip = IpMarks {
            ecn: Some(Ecn::of(packet.tos)).filter(|_| expected.ip.ecn.is_some()),
            tos: Some(packet.tos).filter(|_| expected.ip.tos.is_some()),
            ttl: Some(packet.ttl).filter(|_| expected.ip.ttl.is_some()),
            flow_label: Some(packet.flow_label).filter(|_| expected.ip.flow_label.is_some()),
        };
        let elsewhere = packet.destination != self.addresses.remote || packet.source != self.addresses.local;
        let (ports, body, text) = match &packet.payload {
            _ if elsewhere => {
                return unreadable(format!("(a packet from {} to {})", packet.source, packet.destination));
            }
            Payload::Tcp(source, destination, segment, text) => {
                let ports = self.ports_in_script((*source, *destination), expected);
                let wanted = match &expected.body {
                    Body::Tcp(wanted) => wanted.clone(),
                    _ => Segment::default(),
                };
                (ports, Body::Tcp(self.flow.outbound(segment, &wanted)), text_beyond_zeros(text))
            }
            Payload::Udp(source, destination, data) => {
                let ports = self.ports_in_script((*source, *destination), expected);
                (ports, Body::Udp(data.len() as u16), text_beyond_zeros(data))
            }
            Payload::Icmp(kind, code, rest, body) => {
                let live = (*kind, *code, *rest, &body[..]);
                (
                    None,
                    Body::Icmp(icmp_names::in_script(live, expected, self.addresses.local.is_ipv6())),
                    None,
                )
            }
            Payload::Other(protocol) => return unreadable(format!("(protocol {protocol})")),
        };
        Packet { inbound: false, ip, ports, body, text }
    }

    /// The ports of a live packet, as far as they are not those that are expected anyway.
    fn ports_in_script(&mut self, live: (u16, u16), expected: &Packet) -> Option<(u16, u16)> {
        let ours = (*self.flow.local_port.get_or_insert(live.0), self.flow.remote_port);
        if live == expected.ports.unwrap_or(ours) { expected.ports } else { Some(live) }
    }

    // ---- packets to the stack

    pub(super) fn inject(&mut self, packet: &Packet) -> Step {
        let (local, remote) = (self.addresses.local, self.addresses.remote);
        let local_port = self.flow.local_port.unwrap_or(PORT);
        let (source, destination) = packet.ports.unwrap_or((self.flow.remote_port, local_port));
        let payload = match &packet.body {
            Body::Tcp(segment) => {
                let mut live = self.flow.inbound(segment, (source, destination));
                live.window = Some(segment.window.unwrap_or(0));
                Payload::Tcp(source, destination, live, vec![0; segment.len as usize])
            }
            Body::Udp(len) => Payload::Udp(source, destination, vec![0; usize::from(*len)]),
            Body::Icmp(icmp) => self.icmp(icmp, local_port)?,
        };
        let mut ip = IpPacket::new(remote, local, payload);
        ip.ttl = packet.ip.ttl.unwrap_or(ip.ttl);
        ip.flow_label = packet.ip.flow_label.unwrap_or(0);
        ip.tos = packet.ip.tos.unwrap_or(0) | packet.ip.ecn.map_or(0, |ecn| ecn.bits());
        self.world.inject(&ip.emit());
        Ok(())
    }

    fn icmp(&self, icmp: &Icmp, local_port: u16) -> Step<Payload> {
        let v6 = self.addresses.local.is_ipv6();
        let (kind, code) = icmp_names::numbers(icmp, v6)?;
        let mut rest = [0; 4];
        match (v6, icmp.mtu) {
            (true, Some(mtu)) => rest = mtu.to_be_bytes(),
            (false, Some(mtu)) => rest[2..].copy_from_slice(&(mtu as u16).to_be_bytes()),
            (_, None) => {}
        }
        if let Some(id) = icmp.id {
            rest[..2].copy_from_slice(&id.to_be_bytes());
        }
        let is_echo = matches!((v6, kind), (false, 0 | 8) | (true, 128 | 129));
        if is_echo {
            return Ok(Payload::Icmp(kind, code, rest, Vec::new()));
        }
        // What we are said to have sent.
        let (quoted, len) = match icmp.quote {
            Quote::Tcp(seq, len) => {
                let segment = Segment { seq: self.flow.live_seq(seq), ..Segment::default() };
                (Payload::Tcp(local_port, self.flow.remote_port, segment, Vec::new()), len)
            }
            Quote::Udp(len) => (Payload::Udp(local_port, self.flow.remote_port, Vec::new()), len),
            Quote::Raw(len) => (Payload::Other(protocol::UDP), len),
        };
        let packet = IpPacket::new(self.addresses.local, self.addresses.remote, quoted);
        Ok(Payload::Icmp(kind, code, rest, packet.quoted(len)))
    }
}
