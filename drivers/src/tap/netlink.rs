//! Two requests of rtnetlink: give an interface an address, and ask for a route.

use core::net::IpAddr;
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

// linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
const HEADER_LEN: usize = 16;
const NLMSG_ERROR: u16 = 2;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTN_LOCAL: u8 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 2;

/// Adds the address, or replaces what it was, without a search for duplicates.
pub(super) fn add_address(index: u32, address: IpAddr, prefix_len: u8) -> Result<()> {
    let (family, flags) = match address {
        IpAddr::V4(_) => (AddressFamily::INET, 0),
        IpAddr::V6(_) => (AddressFamily::INET6, IFA_F_NODAD),
    };
    // `struct ifaddrmsg`
    let mut body = vec![family.as_raw() as u8, prefix_len, flags, 0];
    body.extend(index.to_ne_bytes());
    body.extend(attribute(IFA_LOCAL, address));
    body.extend(attribute(IFA_ADDRESS, address));
    let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    result(&ask(&request(RTM_NEWADDR, flags, &body))?)
}

/// Would a packet to the address be taken in by this host?
pub(super) fn is_local(address: IpAddr) -> Result<bool> {
    let (family, bits) = match address {
        IpAddr::V4(_) => (AddressFamily::INET, 32),
        IpAddr::V6(_) => (AddressFamily::INET6, 128),
    };
    // `struct rtmsg`
    let mut body = vec![0; 12];
    body[..2].copy_from_slice(&[family.as_raw() as u8, bits]);
    body.extend(attribute(RTA_DST, address));
    let answer = ask(&request(RTM_GETROUTE, 0, &body))?;
    match kind(&answer) {
        Some(RTM_NEWROUTE) => Ok(answer.get(HEADER_LEN + 7) == Some(&RTN_LOCAL)),
        // An error: no route at all.
        _ => result(&answer).map(|()| false),
    }
}

fn ask(request: &[u8]) -> Result<Vec<u8>> {
    let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
    // Protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, kind, flags, None)?;
    send(&socket, request, SendFlags::empty())?;
    let mut answer = vec![0; 4096];
    let (len, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    answer.truncate(len);
    Ok(answer)
}

/// `struct nlmsghdr` and the body, in the byte order of the host.
fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let len = (HEADER_LEN + body.len()) as u32;
    let mut request = len.to_ne_bytes().to_vec();
    for word in [kind, NLM_F_REQUEST | flags] {
        request.extend(word.to_ne_bytes());
    }
    // Sequence number and sender, by which nothing is told apart here.
    request.extend([0; 8]);
    request.extend(body);
    request
}

/// `struct rtattr` and an address, whose length needs no padding.
fn attribute(kind: u16, address: IpAddr) -> Vec<u8> {
    let octets = match address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let len = 4 + octets.len() as u16;
    [&len.to_ne_bytes(), &kind.to_ne_bytes(), &octets[..]].concat()
}

/// The type of the kernel's answer.
fn kind(answer: &[u8]) -> Option<u16> {
    answer.get(4..6).map(|b| u16::from_ne_bytes([b[0], b[1]]))
}

/// What the kernel's answer says: a header of type NLMSG_ERROR, then a negative error number.
fn result(answer: &[u8]) -> Result<()> {
    let code = answer.get(HEADER_LEN..HEADER_LEN + 4).and_then(|b| b.first_chunk());
    match (kind(answer), code.map(|code| i32::from_ne_bytes(*code))) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(Errno::from_raw_os_error(code.wrapping_neg())),
        _ => Err(Errno::BADMSG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_long_as_it_says() {
        let body = [attribute(IFA_LOCAL, "10.0.0.1".parse().unwrap()), attribute(2, "::1".parse().unwrap())];
        assert_eq!(body[0], [8u16.to_ne_bytes(), 2u16.to_ne_bytes(), [10, 0], [0, 1]].concat());
        let request = request(RTM_NEWADDR, 0, &body.concat());
        assert_eq!(request.len(), 16 + 8 + 20);
        assert_eq!(request[..4], 44u32.to_ne_bytes());
    }

    #[test]
    fn loopback_is_local() {
        assert_eq!(is_local("127.0.0.1".parse().unwrap()), Ok(true));
    }

    #[test]
    fn answers_are_read() {
        let mut answer = [0; 36];
        assert_eq!(result(&answer), Err(Errno::BADMSG));
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        assert_eq!(result(&answer), Ok(()));
        answer[16..20].copy_from_slice(&(-1i32).to_ne_bytes());
        assert_eq!(result(&answer), Err(Errno::PERM));
        assert_eq!(result(&[]), Err(Errno::BADMSG));
    }
}
