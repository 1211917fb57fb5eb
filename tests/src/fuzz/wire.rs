//! The bytes of frames: damaged, marked, forged, answered by a router.

use super::input::Forgery;

/// Where the transport header is, and where the packet ends; `None`: not IP, or cut short.
fn transport(frame: &[u8]) -> Option<(u8, usize, usize)> {
    let word = |at: usize| Some(usize::from(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?])));
    let (protocol, start, end) = match frame.get(12..14)? {
        [8, 0] => (*frame.get(23)?, 14 + usize::from(frame[14] & 15) * 4, 14 + word(16)?),
        [0x86, 0xdd] => (*frame.get(20)?, 54, 54 + word(18)?),
        _ => return None,
    };
    (start >= 34 && start <= end && end <= frame.len()).then_some((protocol, start, end))
}

/// Is it a whole TCP segment?
pub(super) fn is_tcp(frame: &[u8]) -> bool {
    transport(frame).is_some_and(|(protocol, start, end)| protocol == 6 && end >= start + 20)
}

/// Inverts a bit.
pub(super) fn flip(frame: &mut [u8], at: u16) {
    let bits = frame.len() * 8;
    if bits > 0 {
        let at = usize::from(at) % bits;
        frame[at / 8] ^= 1 << (at % 8);
    }
}

/// "Congestion experienced", where the packet may carry it.
pub(super) fn mark(frame: &mut [u8]) {
    match frame.get(12..14) {
        Some([8, 0]) if frame.len() >= 34 && frame[15] & 3 != 0 => frame[15] |= 3,
        Some([0x86, 0xdd]) if frame.len() >= 54 && frame[15] >> 4 & 3 != 0 => frame[15] |= 3 << 4,
        _ => {}
    }
    complete(frame);
}

/// Writes the right checksums.
pub(super) fn complete(frame: &mut [u8]) {
    let Some((protocol, start, end)) = transport(frame) else { return };
    let v4 = frame[12..14] == [8, 0];
    if v4 {
        frame[24..26].fill(0);
        let value = finish(sum(&frame[14..start], 0));
        frame[24..26].copy_from_slice(&value);
    }
    let addresses = if v4 { 26..34 } else { 22..54 };
    let pseudo = sum(&frame[addresses], 0) + (end - start) as u32 + u32::from(protocol);
    let (at, pseudo) = match protocol {
        6 => (start + 16, pseudo),
        17 => (start + 6, pseudo),
        58 => (start + 2, pseudo),
        1 => (start + 2, 0),
        _ => return,
    };
    if at + 2 <= end {
        frame[at..at + 2].fill(0);
        let value = finish(sum(&frame[start..end], pseudo));
        frame[at..at + 2].copy_from_slice(&value);
    }
}

/// A segment made from another.
pub(super) fn forge(frame: &[u8], how: &Forgery) -> Option<Vec<u8>> {
    let (_, start, end) = transport(frame).filter(|_| is_tcp(frame))?;
    let offset = start + usize::from(frame[start + 12] >> 4) * 4;
    let old = frame.get(start + 20..offset)?;
    let mut options = how.options.as_deref().unwrap_or(old).to_vec();
    options.truncate(40);
    options.resize(options.len().next_multiple_of(4), 0);
    let text = how.text.map_or(frame.get(offset..end)?.to_vec(), |n| vec![0xee; usize::from(n % 2000)]);
    let mut forged = frame[..start + 20].to_vec();
    for (at, (by, shift)) in [(4, how.seq), (8, how.ack)] {
        let field = &mut forged[start + at..start + at + 4];
        let number = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
        field.copy_from_slice(&number.wrapping_add((i32::from(by) as u32) << (shift % 32)).to_be_bytes());
    }
    forged[start + 12] = (5 + options.len() as u8 / 4) << 4 | forged[start + 12] & 1;
    forged[start + 13] = how.flags.unwrap_or(forged[start + 13]);
    for (at, field) in [(14, how.window), (18, how.urgent)] {
        if let Some(value) = field {
            forged[start + at..start + at + 2].copy_from_slice(&value.to_be_bytes());
        }
    }
    forged.extend(options);
    forged.extend(text);
    let v4 = frame[12..14] == [8, 0];
    let (at, len) = if v4 { (16, forged.len() - 14) } else { (18, forged.len() - 54) };
    forged[at..at + 2].copy_from_slice(&u16::try_from(len).ok()?.to_be_bytes());
    complete(&mut forged);
    Some(forged)
}

/// The ICMP error that says what would fit, to the sender of `frame`.
pub(super) fn too_big(frame: &[u8], mtu: u16) -> Option<Vec<u8>> {
    transport(frame)?;
    let v4 = frame[12..14] == [8, 0];
    let quote = &frame[14..frame.len().min(14 + if v4 { 60 } else { 300 })];
    let mut error = [&frame[6..12], &frame[..6], &frame[12..14]].concat();
    let len = (quote.len() + if v4 { 28 } else { 8 }) as u16;
    if v4 {
        error.extend([0x45, 0]);
        error.extend(len.to_be_bytes());
        error.extend([0, 0, 0, 0, 64, 1, 0, 0]);
        error.extend([&frame[30..34], &frame[26..30], &[3, 4, 0, 0, 0, 0]].concat());
        error.extend(mtu.to_be_bytes());
    } else {
        error.extend([0x60, 0, 0, 0]);
        error.extend(len.to_be_bytes());
        error.extend([58, 64]);
        error.extend([&frame[38..54], &frame[22..38], &[2, 0, 0, 0, 0, 0]].concat());
        error.extend(mtu.to_be_bytes());
    }
    error.extend(quote);
    complete(&mut error);
    Some(error)
}

fn sum(bytes: &[u8], start: u32) -> u32 {
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    start + words.sum::<u32>()
}

fn finish(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}
