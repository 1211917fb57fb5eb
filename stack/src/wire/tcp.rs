//! TCP headers: from a packet to the engine's segment, and from its plan to a header.

use super::TCP_LEN;
use crate::bytes::Bytes;
use crate::seq::{Range, Seq};

use crate::tcp::ecn_bytes::EcnBytes;
use crate::tcp::fast_open::FastOpen;
use crate::tcp::segment::{
    EcnCodepoint, Flags, Options, PLAIN_FLAGS, Plain, PlainPlan, Sack, Segment, Timestamps,
};
use smoltcp::wire::TcpPacket;

/// Bytes of the longest header.
pub(crate) const TCP_LEN_MAX: usize = 60;

/// NOP, NOP, timestamps of ten bytes: how nearly every segment begins its options.
const TIMESTAMPS_FIRST: [u8; 4] = [1, 1, 8, 10];
/// The AccECN option in its two orders (RFC 9768 §3.2.3): bytes that came ECT(0), CE, ECT(1), or the
/// other way round. With any number of its three fields.
const ACCECN_0: u8 = 172;
const ACCECN_1: u8 = 174;
/// The Fast Open option (RFC 7413 §4.1.1), and the experiments' kind with its number there.
const FAST_OPEN: u8 = 34;
const EXPERIMENT: u8 = 254;
const FAST_OPEN_EXPERIMENT: [u8; 2] = [0xf9, 0x89];

/// Ports and segment of a packet, if its header is whole; what the IP header says of it is the
/// caller's to add. Options of a wrong length end the list
/// of options, and what came before them counts (MUST-7).
#[inline(always)] // its result is large, and looked at in pieces
pub(crate) fn parse_tcp(packet: Bytes<'_>) -> Option<(u16, u16, Segment<'_>)> {
    // A view of known length: its accessors then need no check of their own.
    let fixed = packet.front().first_chunk::<TCP_LEN>()?;
    let view = TcpPacket::new_unchecked(fixed);
    let header_len = view.header_len() as usize;
    let options = packet.front().get(TCP_LEN..header_len)?;
    // Nine bits of flags, AE among them; the reserved ones mean nothing to us.
    let flags = Flags(u16::from(fixed[12] & 1) << 8 | u16::from(fixed[13]));
    let segment = Segment {
        seq: Seq(view.seq_number().0 as u32),
        ack: Seq(view.ack_number().0 as u32),
        flags,
        window: view.window_len(),
        urgent: view.urgent_at(),
        options: parse_options(options),
        mark: EcnCodepoint::NotEct,
        packets: 1,
        payload: packet.slice(header_len, usize::MAX),
    };
    Some((view.src_port(), view.dst_port(), segment))
}

/// The segment in a packet, if it is a plain one; what the IP header says of it is the caller's to
/// add.
#[inline]
pub(crate) fn parse_plain(packet: Bytes<'_>) -> Option<Plain<'_>> {
    let front = packet.front();
    let fixed = front.first_chunk::<TCP_LEN>()?;
    let word = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let offset_and_flags = u16::from_be_bytes([fixed[12], fixed[13]]);
    let (header_len, timestamps) = match offset_and_flags & !PLAIN_FLAGS {
        0x5010 => (TCP_LEN, None),
        0x8010 => {
            let options = front.get(TCP_LEN..)?.first_chunk::<12>()?;
            let (words, _) = options.as_chunks::<4>();
            let [first, value, echo] = words else { return None };
            if u32::from_ne_bytes(*first) != u32::from_ne_bytes(TIMESTAMPS_FIRST) {
                return None;
            }
            let (value, echo) = (u32::from_be_bytes(*value), u32::from_be_bytes(*echo));
            (TCP_LEN + 12, Some(Timestamps { value, echo }))
        }
        _ => return None,
    };
    Some(Plain {
        seq: Seq(word(4)),
        ack: Seq(word(8)),
        flags: Flags(offset_and_flags & 0x1ff),
        mark: EcnCodepoint::NotEct,
        is_merged: false,
        window: u16::from_be_bytes([fixed[14], fixed[15]]),
        timestamps,
        payload: packet.slice(header_len, usize::MAX),
    })
}

#[inline]
fn parse_options(options: &[u8]) -> Options {
    let (words, _) = options.as_chunks::<4>();
    match words {
        [] => Options::default(),
        [TIMESTAMPS_FIRST, value, echo] => {
            let (value, echo) = (u32::from_be_bytes(*value), u32::from_be_bytes(*echo));
            Options { timestamps: Some(Timestamps { value, echo }), ..Options::default() }
        }
        _ => walk_options(options),
    }
}

/// Each option has a length of at least two, so this ends after twenty of them.
fn walk_options(mut options: &[u8]) -> Options {
    let mut found = Options::default();
    while let [kind, rest @ ..] = options {
        let (value, next) = match (kind, rest) {
            (0, _) => break,
            (1, next) => (&[][..], next),
            (_, [len, rest @ ..]) => {
                let split = len.checked_sub(2).and_then(|len| rest.split_at_checked(len.into()));
                let Some(split) = split else { break };
                split
            }
            (_, []) => break,
        };
        match (kind, value) {
            (2, &[a, b]) => found.mss = Some(u16::from_be_bytes([a, b])),
            (3, &[shift]) => found.window_scale = Some(shift),
            (4, []) if cfg!(feature = "sack") => found.sack_permitted = true,
            (5, blocks) if cfg!(feature = "sack") => found.sack = parse_sack(blocks),
            (8, &[a, b, c, d, e, f, g, h]) => {
                let (value, echo) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
                found.timestamps = Some(Timestamps { value, echo });
            }
            // Without its second field it says nothing of marks.
            (&ACCECN_0, [_, _, _, _, _, _, ..]) => {
                let (e0, ce, e1) = fields(value);
                found.ecn_bytes = EcnBytes::new(e0, ce, e1);
            }
            (&ACCECN_1, [_, _, _, _, _, _, ..]) => {
                let (e1, ce, e0) = fields(value);
                found.ecn_bytes = EcnBytes::new(e0, ce, e1);
            }
            (&FAST_OPEN, cookie) => found.fast_open = FastOpen::new(cookie, false),
            (&EXPERIMENT, [a, b, cookie @ ..]) if [*a, *b] == FAST_OPEN_EXPERIMENT => {
                found.fast_open = found.fast_open.or(FastOpen::new(cookie, true));
            }
            _ => {}
        }
        options = next;
    }
    found
}

fn parse_sack(value: &[u8]) -> Sack {
    let (blocks, rest) = value.as_chunks::<8>();
    let mut sack = Sack::default();
    if rest.is_empty() {
        for &[a, b, c, d, e, f, g, h] in blocks {
            let (start, end) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
            sack.push(Range { start: Seq(start), end: Seq(end) });
        }
    }
    sack
}

/// Three fields of 24 bits. One that is left out has not changed.
fn fields(data: &[u8]) -> (u32, u32, u32) {
    let (fields, _) = data.as_chunks::<3>();
    let field = |n: usize| fields.get(n).map_or(0, |[a, b, c]| u32::from_be_bytes([0, *a, *b, *c]));
    (field(0), field(1), field(2))
}

/// What a TCP header is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpHeader {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    pub(crate) window: u16,
    pub(crate) options: Options,
}

/// Bytes of a TCP header with no option but timestamps.
pub(crate) const PLAIN_LEN_MAX: usize = TCP_LEN + 12;

/// Writes the header of a plain segment, its checksum zero, and returns its length. `buf` holds at least [`PLAIN_LEN_MAX`] bytes.
#[inline]
pub(crate) fn emit_plain(buf: &mut [u8], (source, destination): (u16, u16), plan: &PlainPlan) -> usize {
    let Some(header) = buf.first_chunk_mut::<PLAIN_LEN_MAX>() else { return 0 };
    let len = if plan.timestamps.is_some() { PLAIN_LEN_MAX } else { TCP_LEN };
    header[0..2].copy_from_slice(&source.to_be_bytes());
    header[2..4].copy_from_slice(&destination.to_be_bytes());
    header[4..8].copy_from_slice(&plan.seq.0.to_be_bytes());
    header[8..12].copy_from_slice(&plan.ack.0.to_be_bytes());
    let offset = (len as u16 / 4) << 12;
    header[12..14].copy_from_slice(&(offset | plan.flags.0).to_be_bytes());
    header[14..16].copy_from_slice(&plan.window.to_be_bytes());
    header[16..20].fill(0);
    if let Some(Timestamps { value, echo }) = plan.timestamps {
        header[20..24].copy_from_slice(&TIMESTAMPS_FIRST);
        header[24..28].copy_from_slice(&value.to_be_bytes());
        header[28..32].copy_from_slice(&echo.to_be_bytes());
    }
    len
}

impl TcpHeader {
    /// Bytes of the header with its options.
    pub(crate) const fn len(&self) -> usize {
        TCP_LEN + self.options.len()
    }

    /// Writes the header, its checksum zero, and returns its length. `buf` holds at least
    /// [`TCP_LEN_MAX`] bytes.
    pub(crate) fn emit(&self, buf: &mut [u8]) -> usize {
        let len = self.len();
        buf[0..2].copy_from_slice(&self.source_port.to_be_bytes());
        buf[2..4].copy_from_slice(&self.destination_port.to_be_bytes());
        buf[4..8].copy_from_slice(&self.seq.0.to_be_bytes());
        buf[8..12].copy_from_slice(&self.ack.0.to_be_bytes());
        let [reserved, flags] = self.flags.0.to_be_bytes();
        buf[12] = (len as u8 / 4) << 4 | reserved;
        buf[13] = flags;
        buf[14..16].copy_from_slice(&self.window.to_be_bytes());
        buf[16..20].fill(0);
        let mut at = TCP_LEN;
        let mut put = |bytes: &[u8]| {
            buf[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        if let Some(mss) = self.options.mss {
            let [a, b] = mss.to_be_bytes();
            put(&[2, 4, a, b]);
        }
        if let Some(shift) = self.options.window_scale {
            put(&[1, 3, 3, shift]);
        }
        if let Some(t) = self.options.timestamps {
            put(if self.options.sack_permitted { &[4, 2, 8, 10] } else { &TIMESTAMPS_FIRST });
            put(&t.value.to_be_bytes());
            put(&t.echo.to_be_bytes());
        } else if self.options.sack_permitted {
            put(&[1, 1, 4, 2]);
        }
        let blocks = self.options.sack.blocks();
        if !blocks.is_empty() {
            put(&[1, 1, 5, 2 + 8 * blocks.len() as u8]);
            for block in blocks {
                put(&block.start.0.to_be_bytes());
                put(&block.end.0.to_be_bytes());
            }
        }
        if let Some(option) = &self.options.fast_open {
            let len = option.option_len();
            put(&[1, 1][..len.next_multiple_of(4) - len]);
            match option.is_experimental() {
                true => put(&[EXPERIMENT, len as u8, FAST_OPEN_EXPERIMENT[0], FAST_OPEN_EXPERIMENT[1]]),
                false => put(&[FAST_OPEN, len as u8]),
            }
            put(option.cookie());
        }
        if let Some(bytes) = self.options.ecn_bytes {
            put(&[1, ACCECN_0, 11]);
            for field in bytes.fields() {
                put(&field.to_be_bytes()[1..]);
            }
        }
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(options: Options) -> TcpHeader {
        TcpHeader {
            source_port: 80,
            destination_port: 50_000,
            seq: Seq(0xfedc_ba98),
            ack: Seq(0x0102_0304),
            flags: Flags::SYN | Flags::ACK,
            window: 0x8001,
            options,
        }
    }

    #[test]
    fn what_is_emitted_is_parsed() {
        let all = Options {
            mss: Some(1460),
            window_scale: Some(7),
            timestamps: Some(Timestamps { value: 0x8000_0001, echo: 3 }),
            sack_permitted: cfg!(feature = "sack"),
            sack: Sack::default(),
            ecn_bytes: EcnBytes::new(1, 0xff_fffe, 3),
            fast_open: None,
        };
        let none = Options::default();
        let blocks = |n: u32| {
            let mut sack = Sack::default();
            (0..n).for_each(|i| sack.push(Range { start: Seq(i << 30), end: Seq((i << 30) + 7) }));
            Options { sack, ..none }
        };
        let timestamps = all.timestamps;
        for options in [
            none,
            all,
            Options { timestamps, ..none },
            Options { timestamps: None, ..all },
            Options { timestamps, ..blocks(3) },
            blocks(1),
            blocks(4),
            blocks(5),
            Options { fast_open: FastOpen::new(&[], false), ..all },
            Options { fast_open: FastOpen::new(&[1, 2, 3, 4, 5, 6, 7, 8], true), ecn_bytes: None, ..all },
            Options { fast_open: FastOpen::new(&[7; 16], false), ecn_bytes: None, ..all },
        ] {
            let mut buf = [0; 64];
            let header = header(options);
            let len = header.emit(&mut buf);
            let payload = b"text";
            let parts: [&[u8]; 2] = [&buf[..len], payload];
            let (source, destination, s) = parse_tcp(Bytes::new(&parts)).unwrap();
            assert_eq!((source, destination), (80, 50_000));
            assert_eq!((s.seq, s.ack, s.flags), (header.seq, header.ack, header.flags));
            assert_eq!((s.window, s.options, s.payload.front()), (0x8001, options, &payload[..]));
        }
    }

    /// With and without timestamps, and every bit of the flags: the bytes of the long way.
    #[test]
    fn a_plain_header_equals_that_of_all_fields() {
        for timestamps in [None, Some(Timestamps { value: 0xfedc_ba98, echo: 0x0102_0304 })] {
            for flags in [Flags::ACK, Flags::ACK | Flags::PSH | Flags::ace(0b101)] {
                let header = TcpHeader { flags, ..header(Options { timestamps, ..Options::default() }) };
                let TcpHeader { source_port, destination_port, seq, ack, window, .. } = header;
                let plan = PlainPlan {
                    seq,
                    ack,
                    flags,
                    window,
                    timestamps,
                    mark: Default::default(),
                    offset: 0,
                    len: 7,
                    mss: 1460,
                    edge: ack,
                };
                let (mut all, mut plain) = ([0; 60], [0xaa; 60]);
                let len = header.emit(&mut all);
                assert_eq!(emit_plain(&mut plain, (source_port, destination_port), &plan), len);
                assert_eq!(plain[..len], all[..len]);
            }
        }
    }

    /// T08: the AccECN option in both orders, with fewer fields than three, and AE among the flags.
    //= rfc9768#3.2.3
    #[test]
    fn the_accecn_option() {
        let parse = |options: &[u8]| {
            let mut buf = [0; 60];
            let flags = Flags::ACK | Flags::ace(0b101);
            TcpHeader { flags, ..header(Options::default()) }.emit(&mut buf);
            buf[20..20 + options.len()].copy_from_slice(options);
            buf[12] |= 10 << 4;
            let parts: [&[u8]; 1] = [&buf];
            let (_, _, s) = parse_tcp(Bytes::new(&parts)).unwrap();
            assert_eq!((s.flags, s.flags.to_ace()), (flags, 0b101));
            s.options.ecn_bytes
        };
        let bytes = EcnBytes::new;
        assert_eq!(parse(&[172, 11, 0, 0, 1, 0, 1, 0, 1, 0, 0]), bytes(1, 0x100, 0x1_0000));
        assert_eq!(parse(&[174, 11, 0, 0, 1, 0, 1, 0, 1, 0, 0]), bytes(0x1_0000, 0x100, 1));
        assert_eq!(parse(&[172, 8, 0, 0, 1, 0, 1, 0]), bytes(1, 0x100, 0));
        for silent in [&[172, 2][..], &[174, 5, 0, 0, 1], &[172, 7, 0, 0, 1, 0, 1]] {
            assert_eq!(parse(silent), None, "{silent:?}");
        }
    }

    /// T09: both kinds; a cookie of an odd length, or too short or long, is none.
    //= rfc7413#4.1.1
    #[test]
    fn the_fast_open_option() {
        let parse = |options: &[u8]| {
            let mut buf = [0; 60];
            header(Options::default()).emit(&mut buf);
            buf[20..20 + options.len()].copy_from_slice(options);
            buf[12] |= 10 << 4;
            let parts: [&[u8]; 1] = [&buf];
            parse_tcp(Bytes::new(&parts)).unwrap().2.options.fast_open
        };
        assert_eq!(parse(&[34, 2]), FastOpen::new(&[], false));
        assert_eq!(parse(&[34, 6, 1, 2, 3, 4]), FastOpen::new(&[1, 2, 3, 4], false));
        assert_eq!(parse(&[254, 4, 0xf9, 0x89]), FastOpen::new(&[], true));
        assert_eq!(parse(&[254, 8, 0xf9, 0x89, 1, 2, 3, 4]), FastOpen::new(&[1, 2, 3, 4], true));
        for none in [&[34, 4, 1, 2][..], &[34, 7, 1, 2, 3, 4, 5], &[254, 6, 1, 2, 3, 4], &[254, 2]] {
            assert_eq!(parse(none), None, "{none:?}");
        }
        let long = [&[34, 20][..], &[7; 18]].concat();
        assert_eq!(parse(&long), None);
    }

    /// MUST-6, MUST-7: unknown options are skipped, a wrong length
    /// ends the list without harm, a wrong data offset is refused.
    #[test]
    fn odd_options_do_no_harm() {
        let parse = |options: &[u8]| {
            let mut buf = [0; 60];
            header(Options::default()).emit(&mut buf);
            buf[20..20 + options.len()].copy_from_slice(options);
            buf[12] = 15 << 4;
            let parts: [&[u8]; 1] = [&buf];
            parse_tcp(Bytes::new(&parts)).map(|(_, _, s)| s.options)
        };
        let mss = Options { mss: Some(0x0200), ..Options::default() };
        assert_eq!(parse(&[253, 4, 9, 9, 2, 4, 2, 0]), Some(mss));
        for bad in [[2, 4, 2, 0, 3, 0, 0, 0], [2, 4, 2, 0, 8, 1, 0, 0], [2, 4, 2, 0, 99, 77, 0, 0]] {
            assert_eq!(parse(&bad), Some(mss), "{bad:?}");
        }
        for bad in [[5, 3, 9, 2, 4, 2, 0], [5, 9, 1, 2, 3, 4, 5]] {
            assert_eq!(parse(&bad).unwrap().sack, Sack::default(), "{bad:?}");
        }
        let five = [&[5, 42][..], &[7; 38]].concat();
        assert!(parse(&five).unwrap().sack.blocks().is_empty(), "longer than the header");
        for kind in 0..=255 {
            for len in 0..=255 {
                assert!(parse(&[kind, len, 1, 2, 3, 4, kind, len]).is_some());
            }
        }
        for offset in 0..5 {
            let mut buf = [0; 40];
            buf[12] = offset << 4;
            let parts: [&[u8]; 1] = [&buf];
            assert!(parse_tcp(Bytes::new(&parts)).is_none());
        }
        let parts: [&[u8]; 1] = [&[0; 19]];
        assert!(parse_tcp(Bytes::new(&parts)).is_none());
    }
}
