//! One request of rtnetlink: give an interface an address.

use core::net::IpAddr;
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

// linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
const NLMSG_ERROR: u16 = 2;
const RTM_NEWADDR: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 2;

/// Adds the address, or replaces what it was. IPv6's can be used at once: without the flag for
/// it, the kernel first looks for a duplicate, and until then takes other source addresses.
pub(super) fn add_address(index: u32, address: IpAddr, prefix_len: u8) -> Result<()> {
    let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
    // Protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, kind, flags, None)?;
    send(&socket, &request(index, address, prefix_len), SendFlags::empty())?;
    let mut answer = [0; 512];
    let (len, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    result(&answer[..len])
}

/// `struct nlmsghdr`, `struct ifaddrmsg` and two attributes, in the byte order of the host.
fn request(index: u32, address: IpAddr, prefix_len: u8) -> Vec<u8> {
    let (family, flags, octets) = match address {
        IpAddr::V4(ip) => (AddressFamily::INET, 0, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AddressFamily::INET6, IFA_F_NODAD, ip.octets().to_vec()),
    };
    let attribute_len = 4 + octets.len() as u16;
    let len = 16 + 8 + 2 * u32::from(attribute_len);
    let mut request = len.to_ne_bytes().to_vec();
    let request_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    for word in [RTM_NEWADDR, request_flags] {
        request.extend(word.to_ne_bytes());
    }
    // Sequence number and sender, by which nothing is told apart here.
    request.extend([0; 8]);
    request.extend([family.as_raw() as u8, prefix_len, flags, 0]);
    request.extend(index.to_ne_bytes());
    for kind in [IFA_LOCAL, IFA_ADDRESS] {
        request.extend(attribute_len.to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend(&octets);
    }
    request
}

/// What the kernel's answer says: a header of type NLMSG_ERROR, then a negative error number.
fn result(answer: &[u8]) -> Result<()> {
    let kind = answer.get(4..6).map(|b| u16::from_ne_bytes([b[0], b[1]]));
    let code = answer.get(16..20).and_then(|b| b.first_chunk());
    match (kind, code.map(|code| i32::from_ne_bytes(*code))) {
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
        for (address, len) in [("10.0.0.1", 40u32), ("fd00::1", 64)] {
            let request = request(3, address.parse().unwrap(), 24);
            assert_eq!(request.len() as u32, len);
            assert_eq!(request[..4], len.to_ne_bytes());
        }
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
