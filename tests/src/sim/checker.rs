//! What every segment on a wire must obey, whatever the applications do: acknowledgments and window
//! edges never move back, nothing is sent beyond the window or the segment size that the other side
//! offered, nothing unsent is acknowledged.

use super::device::Frame;
use std::collections::HashMap;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// What one side of a connection has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    /// The shift and the segment size that its SYN offered.
    shift: Option<u8>,
    mss: u32,
    /// Its last acknowledgment and the edge of its window, once it has sent any.
    told: Option<(u32, u32)>,
    /// The number of its SYN, which may go again without the text that it brought (RFC 7413).
    iss: u32,
    /// The number after the highest that it has sent.
    sent: u32,
    has_sent_fin: bool,
}

/// Addresses and ports, the sender's first.
type Way = Vec<u8>;

/// All connections of a network.
#[derive(Debug, Default)]
pub(super) struct Checker {
    sides: HashMap<Way, Side>,
}

/// A segment, as far as it is looked at.
struct Header {
    way: Way,
    back: Way,
    seq: u32,
    ack: u32,
    flags: u8,
    window: u32,
    shift: Option<u8>,
    mss: u32,
    /// Text, SYN and FIN.
    len: u32,
    text: u32,
}

impl Checker {
    /// A frame sets out.
    pub(super) fn see(&mut self, frame: &Frame) -> Result<(), String> {
        let Some(h) = Header::parse(&frame.bytes) else { return Ok(()) };
        if h.flags & RST != 0 {
            return Ok(());
        }
        let peer = self.sides.get(&h.back).copied();
        let side = self.sides.entry(h.way.clone()).or_default();
        let wrong =
            |what: String| Err(format!("on the wire: {what}: {}", super::record::describe(&frame.bytes)));
        if h.flags & SYN != 0 {
            if side.mss == 0 || side.iss != h.seq {
                *side = Side { iss: h.seq, sent: h.seq.wrapping_add(1), ..Side::default() };
            }
            (side.shift, side.mss) = (h.shift, h.mss);
        } else if side.mss == 0 {
            return Ok(()); // no connection: an answer to a stray segment
        }
        let end = h.seq.wrapping_add(h.len);
        if after(end, side.sent) {
            side.sent = end;
        }
        if let Some(peer) = peer.filter(|p| p.mss > 0 && h.flags & SYN == 0) {
            let most = frame.segment_len.map_or(peer.mss, |_| u32::MAX);
            if h.text > most {
                return wrong(format!("more than the peer's segment size of {}", peer.mss));
            }
            // A probe reaches a byte beyond a closed window.
            if let Some((_, edge)) = peer.told
                && after(end, edge.wrapping_add(1))
            {
                return wrong(format!("{} beyond the window", end.wrapping_sub(edge)));
            }
            if h.flags & ACK != 0 && after(h.ack, peer.sent) {
                return wrong("acknowledges what was never sent".into());
            }
        }
        side.has_sent_fin |= h.flags & FIN != 0;
        if h.flags & ACK == 0 {
            return Ok(());
        }
        let both = peer.is_some_and(|p| p.shift.is_some());
        let shift = side.shift.filter(|_| both && h.flags & SYN == 0).unwrap_or(0);
        let edge = h.ack.wrapping_add(h.window << shift);
        if let Some((last_ack, last_edge)) = side.told {
            if after(last_ack, h.ack) {
                return wrong("an acknowledgment moved back".into());
            }
            // A SYN-ACK that goes again after other segments can't express as much as they can; one that
            // goes again when there is more memory has a larger window than before.
            if h.flags & SYN != 0 && after(last_edge, edge) {
                return Ok(());
            }
            // TIME-WAIT has no window. Without memory a window is rounded down, by less than the scale's unit
            // (RFC 7323 2.4).
            let back = last_edge.wrapping_sub(edge);
            if after(last_edge, edge) && back >> shift != 0 && !(side.has_sent_fin && h.window == 0) {
                return wrong(format!("the edge moved back by {back}"));
            }
        }
        let last = side.told.map_or(edge, |(_, last)| if after(last, edge) { last } else { edge });
        side.told = Some((h.ack, last));
        Ok(())
    }
}

fn after(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) < 0
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Header> {
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (tcp, end, address) = match (word(12)? >> 16, bytes.get(23)?, bytes.get(20)?) {
            (0x800, 6, _) => (34, 14 + (word(16)? >> 16) as usize, 4),
            (0x86dd, _, 6) => (54, 54 + (word(18)? >> 16) as usize, 16),
            _ => return None,
        };
        let way = bytes[tcp - 2 * address..tcp + 4].to_vec();
        let mut back = way.clone();
        back[..2 * address].rotate_left(address);
        back[2 * address..].rotate_left(2);
        let header = usize::from(bytes[tcp + 12] >> 4) * 4;
        let text = (end - tcp - header) as u32;
        let flags = bytes[tcp + 13];
        let (mut shift, mut mss) = (None, 536);
        let mut options = bytes.get(tcp + 20..tcp + header)?;
        while let [kind, rest @ ..] = options {
            options = match (kind, rest) {
                (0, _) => &[],
                (1, rest) => rest,
                (2, [4, a, b, rest @ ..]) => {
                    mss = u32::from(u16::from_be_bytes([*a, *b]));
                    rest
                }
                (3, [3, s, rest @ ..]) => {
                    shift = Some(*s);
                    rest
                }
                (_, [len, ..]) => rest.get(usize::from(*len).saturating_sub(1)..).unwrap_or(&[]),
                (_, []) => &[],
            };
        }
        Some(Header {
            way,
            back,
            seq: word(tcp + 4)?,
            ack: word(tcp + 8)?,
            flags,
            window: word(tcp + 14)? >> 16,
            shift,
            mss,
            len: text + u32::from(flags & FIN) + u32::from(flags >> 1 & 1),
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TCP segment over IPv4, without addresses, checksums or options.
    fn segment(back: bool, flags: u8, [seq, ack]: [u32; 2], window: u16, text: u16) -> Frame {
        let mut bytes = vec![0; 54 + usize::from(text)];
        bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
        bytes[16..18].copy_from_slice(&(40 + text).to_be_bytes());
        bytes[23] = 6;
        bytes[35 + 2 * usize::from(back)] = 1;
        bytes[38..42].copy_from_slice(&seq.to_be_bytes());
        bytes[42..46].copy_from_slice(&ack.to_be_bytes());
        bytes[46..48].copy_from_slice(&[0x50, flags]);
        bytes[48..50].copy_from_slice(&window.to_be_bytes());
        Frame::plain(bytes)
    }

    /// A SYN-ACK that goes again may offer more than the one that was lost, and what it offers may be used.
    #[test]
    fn a_syn_ack_again_with_a_larger_window() {
        let mut checker = Checker::default();
        for (back, flags, numbers, window, text) in [
            (false, SYN, [100, 0], 1000, 0),
            (true, SYN | ACK, [500, 101], 0, 0),
            (true, SYN | ACK, [500, 101], 252, 0),
            (false, ACK, [101, 501], 1000, 252),
        ] {
            assert_eq!(checker.see(&segment(back, flags, numbers, window, text)), Ok(()));
        }
        let beyond = checker.see(&segment(false, ACK, [353, 501], 1000, 2));
        assert!(beyond.is_err_and(|why| why.contains("beyond the window")));
    }
}
