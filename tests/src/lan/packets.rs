//! Frames with right checksums.

use std::net::{IpAddr, Ipv6Addr};

/// The folded Internet sum.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut total = 0u32;
    for word in parts.concat().chunks(2) {
        total += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// A frame from one hardware address to another, with a payload of IP whose checksum stands at `at`.
pub(crate) fn frame(
    macs: ([u8; 6], [u8; 6]),
    addresses: (IpAddr, IpAddr),
    protocol: u8,
    at: usize,
    payload: &[u8],
) -> Vec<u8> {
    let (from, to) = (octets(addresses.0), octets(addresses.1));
    let len = payload.len() as u16;
    let mut payload = payload.to_vec();
    payload[at..at + 2].fill(0);
    let pseudo = [0, protocol, (len >> 8) as u8, len as u8];
    let check = !sum(&[&from, &to, &pseudo, &payload]);
    payload[at..at + 2].copy_from_slice(&if check == 0 { 0xffff } else { check }.to_be_bytes());
    let (kind, header) = match addresses.0 {
        IpAddr::V4(_) => {
            let mut header = vec![0x45, 0];
            header.extend_from_slice(&(20 + len).to_be_bytes());
            header.extend_from_slice(&[0, 0, 0, 0, 64, protocol, 0, 0]);
            header.extend([&from[..], &to].concat());
            let check = !sum(&[&header]);
            header[10..12].copy_from_slice(&check.to_be_bytes());
            ([8, 0], header)
        }
        IpAddr::V6(_) => {
            let fixed = [0x60, 0, 0, 0, (len >> 8) as u8, len as u8, protocol, 255];
            ([0x86, 0xdd], [&fixed[..], &from, &to].concat())
        }
    };
    [&macs.1[..], &macs.0, &kind, &header, &payload].concat()
}

/// A frame with a UDP datagram.
pub(crate) fn udp(
    macs: ([u8; 6], [u8; 6]),
    addresses: (IpAddr, IpAddr),
    ports: (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    let header = [ports.0, ports.1, len, 0].map(u16::to_be_bytes).concat();
    frame(macs, addresses, 17, 6, &[&header[..], payload].concat())
}

/// A neighbour advertisement of `target`, for one host if it asked by its address, else for all.
pub(super) fn neighbor_advert(
    mac: [u8; 6],
    target: Ipv6Addr,
    asker: ([u8; 6], Ipv6Addr),
    is_router: bool,
) -> Vec<u8> {
    let (to_mac, to) = match asker.1.is_unspecified() {
        true => ([0x33, 0x33, 0, 0, 0, 1], Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
        false => asker,
    };
    let flags = if asker.1.is_unspecified() { 0x20 } else { 0x60 } | if is_router { 0x80 } else { 0 };
    let message = [&[136, 0, 0, 0, flags, 0, 0, 0][..], &target.octets(), &[2, 1], &mac].concat();
    frame((mac, to_mac), (target.into(), to.into()), 58, 2, &message)
}
