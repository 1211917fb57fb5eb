//! Which live numbers a script's numbers stand for: ports, sequence numbers, timestamps.
//!
//! As in packetdrill, the numbers of a segment with SYN are as they stand, and all others count from the first SYN of
//! their side, until the connection is over: a SYN that comes meanwhile is one more segment of it.

use super::script::{Segment, TcpOption, flag};
use std::collections::BTreeMap;

/// What is known of the connection under test.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// Our port; `None`: the next SYN that the stack sends shows it.
    pub(super) local_port: Option<u16>,
    /// The peer's port.
    pub(super) remote_port: u16,
    /// The number of our SYN, live and in the script.
    isn: Option<(u32, u32)>,
    /// That of the peer's, which is the same in both.
    remote_isn: Option<u32>,
    /// The peer's SYN that is not answered yet.
    remote_syn: Option<u32>,
    /// The next SYN of the peer begins another connection.
    is_over: bool,
    /// The ports of the last SYN of the peer.
    ports: Option<(u16, u16)>,
    /// Our live timestamps by those of the script.
    timestamps: BTreeMap<u32, u32>,
    /// The first of them, live and in the script.
    first_timestamp: Option<(u32, u32)>,
    /// Microseconds that a tick of the script's timestamps takes.
    pub(super) tick_usecs: u64,
}

impl Flow {
    /// Connections to `local_port` from here on.
    pub(super) fn passive(local_port: u16, remote_port: u16, tick_usecs: u64) -> Flow {
        Flow {
            local_port: Some(local_port),
            remote_port,
            isn: None,
            remote_isn: None,
            remote_syn: None,
            is_over: false,
            ports: None,
            timestamps: BTreeMap::new(),
            first_timestamp: None,
            tick_usecs,
        }
    }

    /// A connection from us to `remote_port`.
    pub(super) fn active(local_port: Option<u16>, remote_port: u16, tick_usecs: u64) -> Flow {
        Flow { local_port, ..Flow::passive(0, remote_port, tick_usecs) }
    }

    /// The connection was closed or reset, as far as the script knows.
    pub(super) fn end(&mut self) {
        self.is_over = true;
    }

    /// The segment between these ports with the numbers that go over the wire to the stack.
    pub(super) fn inbound(&mut self, segment: &Segment, ports: (u16, u16)) -> Segment {
        let mut live = segment.clone();
        let is_syn = segment.flags & flag::SYN != 0;
        if is_syn {
            let other = self.ports.replace(ports);
            self.is_over |= other.is_some_and(|other| other != ports);
        }
        match segment.flags & (flag::SYN | flag::ACK | flag::RST) {
            flag::SYN if self.remote_isn.is_none() || self.is_over => self.remote_syn = Some(segment.seq),
            // It answers the SYN of ours.
            both if both == flag::SYN | flag::ACK && self.isn.is_some() => {
                self.remote_isn.get_or_insert(segment.seq);
            }
            _ => {}
        }
        if !is_syn {
            live.seq = segment.seq.wrapping_add(self.remote_isn.unwrap_or(0));
        }
        if segment.flags & flag::ACK != 0 {
            live.ack = segment.ack.wrapping_add(self.offset(is_syn));
        }
        for option in live.options.iter_mut().flatten() {
            match option {
                TcpOption::Sack(blocks) => {
                    let offset = self.offset(is_syn);
                    blocks.iter_mut().for_each(|(left, right)| {
                        (*left, *right) = (left.wrapping_add(offset), right.wrapping_add(offset));
                    });
                }
                TcpOption::Timestamps(_, echo) => *echo = self.live_timestamp(*echo),
                _ => {}
            }
        }
        self.is_over |= segment.flags & flag::RST != 0;
        live
    }

    /// To be added to a script's number of ours for the live one.
    fn offset(&self, is_syn: bool) -> u32 {
        let (live, script) = self.isn.unwrap_or_default();
        if is_syn { live.wrapping_sub(script) } else { live }
    }

    /// Our live sequence number for the script's.
    pub(super) fn live_seq(&self, seq: u32) -> u32 {
        seq.wrapping_add(self.offset(false))
    }

    /// A timestamp that the script has not named lies as far from the one before as there.
    fn live_timestamp(&self, echo: u32) -> u32 {
        let before = self.timestamps.range(..=echo).next_back();
        match before {
            _ if echo == 0 => 0,
            Some((script, live)) => live.wrapping_add(echo - script),
            None => echo,
        }
    }

    /// The segment that the stack sent, with the script's numbers, where `expected` is expected.
    pub(super) fn outbound(&mut self, live: &Segment, expected: &Segment) -> Segment {
        let is_syn = live.flags & flag::SYN != 0;
        if is_syn && expected.flags & flag::SYN != 0 {
            if let Some(syn) = self.remote_syn.take() {
                // Of a simultaneous open our own SYN is known.
                if std::mem::take(&mut self.is_over) {
                    (self.isn, self.first_timestamp) = (None, None);
                    self.timestamps.clear();
                }
                self.remote_isn = Some(syn);
            }
            self.isn.get_or_insert((live.seq, expected.seq));
        }
        let mut segment = live.clone();
        let remote_isn = self.remote_isn.unwrap_or(0);
        segment.seq = live.seq.wrapping_sub(self.offset(is_syn));
        if !is_syn {
            if live.flags & flag::ACK != 0 {
                segment.ack = live.ack.wrapping_sub(remote_isn);
            }
            for option in segment.options.iter_mut().flatten() {
                if let TcpOption::Sack(blocks) = option {
                    blocks.iter_mut().for_each(|(left, right)| {
                        *left = left.wrapping_sub(remote_isn);
                        *right = right.wrapping_sub(remote_isn);
                    });
                }
            }
        }
        if let (Some(script), Some(live)) = (timestamp(expected), timestamp(live)) {
            self.timestamps.insert(script, live);
            let value = self.script_timestamp(live, script);
            for option in segment.options.iter_mut().flatten() {
                if let TcpOption::Timestamps(shown, _) = option {
                    *shown = value;
                }
            }
        }
        self.is_over |= live.flags & flag::RST != 0;
        segment
    }

    /// A timestamp of ours, as far from the first one as it is by the clock.
    fn script_timestamp(&mut self, live: u32, expected: u32) -> u32 {
        let (first_live, first_script) = *self.first_timestamp.get_or_insert((live, expected));
        // Ours counts milliseconds.
        let usecs = u64::from(live.wrapping_sub(first_live)) * 1000;
        first_script.wrapping_add((usecs / self.tick_usecs) as u32)
    }
}

fn timestamp(segment: &Segment) -> Option<u32> {
    segment.options.iter().flatten().find_map(|option| match option {
        TcpOption::Timestamps(value, _) => Some(*value),
        _ => None,
    })
}
