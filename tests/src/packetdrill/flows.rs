//! Which live numbers a script's numbers stand for: ports, sequence numbers, timestamps.
//!
//! As in packetdrill, the numbers of a segment with SYN are as they stand, and all others count from the SYN of
//! their side.

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
    remote_isn: u32,
    /// The peer's SYN that is not answered yet.
    remote_syn: Option<u32>,
    /// Our next SYN may have any number.
    fresh: bool,
    /// Our live timestamps by those of the script.
    timestamps: BTreeMap<u32, u32>,
}

impl Flow {
    /// Connections to `local_port` from here on.
    pub(super) fn passive(local_port: u16, remote_port: u16) -> Flow {
        Flow {
            local_port: Some(local_port),
            remote_port,
            isn: None,
            remote_isn: 0,
            remote_syn: None,
            fresh: true,
            timestamps: BTreeMap::new(),
        }
    }

    /// A connection from us to `remote_port`.
    pub(super) fn active(local_port: Option<u16>, remote_port: u16) -> Flow {
        Flow { local_port, ..Flow::passive(0, remote_port) }
    }

    /// The segment with the numbers that go over the wire to the stack.
    pub(super) fn inbound(&mut self, segment: &Segment) -> Segment {
        let mut live = segment.clone();
        let is_syn = segment.flags & flag::SYN != 0;
        match segment.flags & (flag::SYN | flag::ACK | flag::RST) {
            flag::SYN => (self.fresh, self.remote_syn) = (true, Some(segment.seq)),
            // It answers the SYN of ours.
            both if both == flag::SYN | flag::ACK && self.remote_isn == 0 => self.remote_isn = segment.seq,
            _ => {}
        }
        if !is_syn {
            live.seq = segment.seq.wrapping_add(self.remote_isn);
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
        if is_syn && expected.flags & flag::SYN != 0 && std::mem::take(&mut self.fresh) {
            self.isn = Some((live.seq, expected.seq));
            self.remote_isn = self.remote_syn.take().unwrap_or(self.remote_isn);
        }
        let mut segment = live.clone();
        segment.seq = live.seq.wrapping_sub(self.offset(is_syn));
        if !is_syn {
            if live.flags & flag::ACK != 0 {
                segment.ack = live.ack.wrapping_sub(self.remote_isn);
            }
            for option in segment.options.iter_mut().flatten() {
                if let TcpOption::Sack(blocks) = option {
                    blocks.iter_mut().for_each(|(left, right)| {
                        *left = left.wrapping_sub(self.remote_isn);
                        *right = right.wrapping_sub(self.remote_isn);
                    });
                }
            }
        }
        let timestamps = |s: &Segment| {
            s.options.iter().flatten().find_map(|o| match o {
                TcpOption::Timestamps(value, _) => Some(*value),
                _ => None,
            })
        };
        if let (Some(script), Some(live)) = (timestamps(expected), timestamps(live)) {
            self.timestamps.insert(script, live);
            // Only an echo can be compared.
            for option in segment.options.iter_mut().flatten() {
                if let TcpOption::Timestamps(value, _) = option {
                    *value = script;
                }
            }
        }
        segment
    }
}
