//! A segment as the engine sees it: numbers, flags, options and payload, without a wire format.

use crate::base::demux::hash_addresses;
use crate::bytes::Bytes;
use crate::seq::Seq;
use crate::tcp::ecn_bytes::EcnBytes;
use crate::tcp::fast_open::FastOpen;
pub(crate) use crate::tcp::sack_blocks::{SACK_BLOCKS, Sack};

use core::hash::{Hash, Hasher};
use core::net::IpAddr;
use core::ops::BitOr;

/// The control bits of a segment (RFC 9293 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(pub(crate) u16);

impl Flags {
    pub(crate) const FIN: Flags = Flags(0x01);
    pub(crate) const SYN: Flags = Flags(0x02);
    pub(crate) const RST: Flags = Flags(0x04);
    pub(crate) const PSH: Flags = Flags(0x08);
    pub(crate) const ACK: Flags = Flags(0x10);
    pub(crate) const URG: Flags = Flags(0x20);
    /// RFC 3168 §6.1; with AE (RFC 9768 §2.3) they are the ACE field.
    pub(crate) const ECE: Flags = Flags(0x40);
    pub(crate) const CWR: Flags = Flags(0x80);

    /// AE, CWR and ECE as a number.
    pub(crate) const fn to_ace(self) -> u8 {
        (self.0 >> 6 & 7) as u8
    }

    /// The flags whose ACE field is this.
    pub(crate) const fn ace(number: u8) -> Flags {
        Flags((number as u16 & 7) << 6)
    }

    pub(crate) const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// How many sequence numbers SYN and FIN occupy.
    const fn len(self) -> u32 {
        (self.0 & 1) as u32 + (self.0 >> 1 & 1) as u32
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl core::fmt::Debug for Flags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];
        let mut set = names.iter().enumerate().filter(|(i, _)| self.0 >> i & 1 == 1);
        f.write_str(set.next().map_or("-", |(_, n)| n))?;
        set.try_for_each(|(_, n)| write!(f, "|{n}"))
    }
}

/// The ECN field of the IP header (RFC 3168 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum EcnCodepoint {
    #[default]
    NotEct = 0,
    Ect1 = 1,
    Ect0 = 2,
    Ce = 3,
}

impl EcnCodepoint {
    /// What the lowest two bits mean.
    pub(crate) const fn of(bits: u8) -> EcnCodepoint {
        match bits & 3 {
            0 => EcnCodepoint::NotEct,
            1 => EcnCodepoint::Ect1,
            2 => EcnCodepoint::Ect0,
            _ => EcnCodepoint::Ce,
        }
    }
}

/// The timestamps option (RFC 7323 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Timestamps {
    /// TSval
    pub(crate) value: u32,
    /// TSecr
    pub(crate) echo: u32,
}

/// The options that the engine knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Options {
    pub(crate) mss: Option<u16>,
    pub(crate) window_scale: Option<u8>,
    pub(crate) timestamps: Option<Timestamps>,
    pub(crate) sack_permitted: bool,
    pub(crate) sack: Sack,
    pub(crate) ecn_bytes: Option<EcnBytes>,
    pub(crate) fast_open: Option<FastOpen>,
}

/// Bytes that a header has for options.
const OPTIONS_LEN_MAX: usize = 40;

impl Options {
    /// The same, with the Fast Open option if there is room for it in a packet that holds `room` bytes
    /// beside its headers.
    pub(crate) fn with_fast_open(self, option: Option<FastOpen>, room: u16) -> Options {
        Options { fast_open: option, ..self }.fitting(room).unwrap_or(self)
    }

    /// The same, with the AccECN option if there is room for it.
    pub(crate) fn with_ecn_bytes(self, bytes: Option<EcnBytes>, room: u16) -> Options {
        // Nearly always.
        if bytes.is_none() {
            return self;
        }
        Options { ecn_bytes: bytes, ..self }.fitting(room).unwrap_or(self)
    }

    fn fitting(self, room: u16) -> Option<Options> {
        (self.len() <= OPTIONS_LEN_MAX.min(room.into())).then_some(self)
    }

    /// Bytes that they take in a header, with padding.
    pub(crate) const fn len(&self) -> usize {
        let mss = if self.mss.is_some() { 4 } else { 0 };
        let scale = if self.window_scale.is_some() { 4 } else { 0 };
        // SACK-permitted takes the place of the padding before the timestamps.
        let timestamps = if self.timestamps.is_some() { 12 } else { 0 };
        let permitted = if self.sack_permitted && timestamps == 0 { 4 } else { 0 };
        let ecn_bytes = if self.ecn_bytes.is_some() { 12 } else { 0 };
        let fast_open = match &self.fast_open {
            Some(option) => option.option_len().next_multiple_of(4),
            None => 0,
        };
        mss + scale + timestamps + permitted + self.sack.option_len() + fast_open + ecn_bytes
    }
}

/// A received segment.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) seq: Seq,
    /// Means something only with the ACK flag.
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    /// As it stands in the header, unscaled.
    pub(crate) window: u16,
    /// The urgent pointer, which means something only with the URG flag.
    pub(crate) urgent: u16,
    pub(crate) options: Options,
    /// The ECN field of its packet.
    pub(crate) mark: EcnCodepoint,
    /// How many packets a device merged into it.
    pub(crate) packets: u16,
    pub(crate) payload: Bytes<'a>,
}

impl Segment<'_> {
    /// SEG.LEN: payload, SYN and FIN.
    pub(crate) fn len(&self) -> u32 {
        self.payload.len() as u32 + self.flags.len()
    }
}

/// What may stand beside ACK in a plain segment: PSH, and what ECN says.
pub(crate) const PLAIN_FLAGS: u16 = 0x1c8;

/// What nearly every segment is: an acknowledgment without options but timestamps, with payload or
/// without.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'a> {
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    /// Neither SYN, FIN, RST nor URG.
    pub(crate) flags: Flags,
    /// As it stands in the header, unscaled.
    pub(crate) window: u16,
    pub(crate) timestamps: Option<Timestamps>,
    /// The ECN field of its packet.
    pub(crate) mark: EcnCodepoint,
    /// A device merged several packets into it.
    pub(crate) is_merged: bool,
    pub(crate) payload: Bytes<'a>,
}

impl<'a> Plain<'a> {
    /// `segment`, if that is one.
    pub(crate) fn of(segment: &Segment<'a>) -> Option<Self> {
        let Segment { seq, ack, flags, window, urgent: _, options, mark, packets, payload } = *segment;
        let (timestamps, is_merged) = (options.timestamps, packets > 1);
        let is_plain =
            flags.0 & !PLAIN_FLAGS == Flags::ACK.0 && options == Options { timestamps, ..Options::default() };
        is_plain.then_some(Plain { seq, ack, flags, window, timestamps, mark, is_merged, payload })
    }
}

impl<'a> From<&Plain<'a>> for Segment<'a> {
    fn from(plain: &Plain<'a>) -> Self {
        let Plain { seq, ack, flags, window, timestamps, mark, is_merged, payload } = *plain;
        let options = Options { timestamps, ..Options::default() };
        let packets = 1 + u16::from(is_merged); // two stand for any number
        Segment { seq, ack, flags, window, urgent: 0, options, mark, packets, payload }
    }
}

/// A segment that is to be sent, and what sending it means. Made by `Tcb::plan`, which changes
/// nothing; once the device has it, `Tcb::on_sent` makes it so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: PlanKind,
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    /// As it stands in the header.
    pub(crate) window: u16,
    pub(crate) options: Options,
    /// The ECN field of its packet.
    pub(crate) mark: EcnCodepoint,
    /// Where the payload starts in the send queue, and its length.
    pub(crate) offset: u32,
    pub(crate) len: u32,
    /// Payload bytes per segment when it is cut: it may be many segments long.
    pub(crate) mss: u16,
    /// The right edge of the window that it advertises.
    pub(crate) edge: Seq,
}

/// Why a segment is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PlanKind {
    /// SYN or SYN-ACK, first or again.
    Handshake,
    /// Payload or FIN from SND.NXT on.
    Data,
    /// What is lost, again.
    Retransmit,
    /// The last segment again, to hear of the tail (RFC 8985 §7).
    TailProbe,
    /// One byte beyond the peer's window.
    Probe,
    /// A question to a peer that has been silent for long.
    KeepAlive,
    /// Nothing but an acknowledgment.
    Ack,
}

impl Plan {
    /// The device took only the first `len` bytes of payload.
    pub(crate) fn cut_to(&mut self, len: u32) {
        if len < self.len {
            self.len = len;
            self.flags = self.flags.without(Flags::FIN | Flags::PSH);
        }
    }

    /// How many segments on the wire its first `len` bytes of payload are.
    pub(crate) fn segments(&self, len: u32) -> u32 {
        len.div_ceil(u32::from(self.mss)).max(1)
    }

    /// Sequence numbers that it occupies.
    pub(crate) fn seq_len(&self) -> u32 {
        self.len + self.flags.len()
    }
}

/// What nearly every segment is that goes out: new payload from SND.NXT on, or an acknowledgment alone, without options but
/// timestamps. A [`Plan`] of less.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlainPlan {
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    /// As it stands in the header.
    pub(crate) window: u16,
    pub(crate) timestamps: Option<Timestamps>,
    /// The ECN field of its packet.
    pub(crate) mark: EcnCodepoint,
    /// Where the payload starts in the send queue, and its length; 0: an acknowledgment alone.
    pub(crate) offset: u32,
    pub(crate) len: u32,
    /// Payload bytes per segment when it is cut: it may be many segments long.
    pub(crate) mss: u16,
    /// The right edge of the window that it advertises.
    pub(crate) edge: Seq,
}

impl PlainPlan {
    /// The device took only the first `len` bytes of payload.
    #[inline]
    pub(crate) fn cut_to(&mut self, len: u32) {
        if len < self.len {
            self.len = len;
            self.flags = self.flags.without(Flags::PSH);
        }
    }

    /// How many segments on the wire it is.
    #[inline]
    pub(crate) fn segments(&self) -> u32 {
        let mss = u32::from(self.mss);
        if self.len <= mss { 1 } else { self.len.div_ceil(mss) }
    }
}

impl From<PlainPlan> for Plan {
    fn from(plain: PlainPlan) -> Plan {
        let PlainPlan { seq, ack, flags, window, timestamps, mark, offset, len, mss, edge } = plain;
        let kind = if len > 0 { PlanKind::Data } else { PlanKind::Ack };
        let options = Options { timestamps, ..Options::default() };
        Plan { kind, seq, ack, flags, window, options, mark, offset, len, mss, edge }
    }
}

/// A reset in answer to a segment (RFC 9293 §3.10.7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reset {
    pub(crate) seq: Seq,
    /// The acknowledgment, when the segment had none itself.
    pub(crate) ack: Option<Seq>,
    /// Those of a connection that uses them.
    //= rfc7323#3.2: a reset should have them
    pub(crate) timestamps: Option<Timestamps>,
}

impl Reset {
    /// The reset that tells the sender of `segment` that there is no such connection.
    ///
    //= rfc9293#3.10.7.1
    pub(crate) fn answer_to(segment: &Segment<'_>) -> Option<Reset> {
        if segment.flags.has(Flags::RST) {
            None
        } else if segment.flags.has(Flags::ACK) {
            Some(Reset { seq: segment.ack, ack: None, timestamps: None })
        } else {
            Some(Reset { seq: Seq(0), ack: Some(segment.seq + segment.len()), timestamps: None })
        }
    }
}

/// Names a connection: local and remote address and port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tuple {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
}

impl Hash for Tuple {
    /// By words, since it is done for each segment of a connection that is not the last one's.
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_addresses(self.local, self.remote, state);
        state.write_u32(u32::from(self.local_port) << 16 | u32::from(self.remote_port));
    }
}

/// The answer to a segment that TCP itself can't give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Reset(Reset),
    /// A bare acknowledgment from TIME-WAIT or SYN-RECEIVED.
    Ack {
        seq: Seq,
        ack: Seq,
        /// As it stands in the header.
        window: u16,
        timestamps: Option<Timestamps>,
    },
    /// A SYN-ACK of which nothing is remembered.
    SynAck {
        seq: Seq,
        ack: Seq,
        flags: Flags,
        window: u16,
        options: Options,
    },
}
