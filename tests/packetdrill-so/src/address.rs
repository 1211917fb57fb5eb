//! `sockaddr` and back.

use libc::{AF_INET, AF_INET6, sa_family_t, sockaddr, sockaddr_in, sockaddr_in6, socklen_t};
use std::net::{IpAddr, SocketAddr};

/// An address of a program; `None`: AF_UNSPEC. `Err`: it is none.
///
/// # Safety
///
/// `address` points to `len` readable bytes, or `len` is 0.
pub(crate) unsafe fn read(address: *const sockaddr, len: socklen_t) -> Result<Option<SocketAddr>, ()> {
    if address.is_null() || (len as usize) < size_of::<sa_family_t>() {
        return Err(());
    }
    // SAFETY: there are enough bytes for the family; packetdrill's structs are aligned.
    let family = i32::from(unsafe { (*address).sa_family });
    match family {
        libc::AF_UNSPEC => Ok(None),
        AF_INET if len as usize >= size_of::<sockaddr_in>() => {
            // SAFETY: there are enough bytes for it.
            let v4 = unsafe { address.cast::<sockaddr_in>().read_unaligned() };
            let ip = IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Ok(Some(SocketAddr::new(ip, u16::from_be(v4.sin_port))))
        }
        AF_INET6 if len as usize >= size_of::<sockaddr_in6>() => {
            // SAFETY: there are enough bytes for it.
            let v6 = unsafe { address.cast::<sockaddr_in6>().read_unaligned() };
            Ok(Some(SocketAddr::new(IpAddr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port))))
        }
        _ => Err(()),
    }
}

/// Stores an address, cut to the room that there is, and its length.
///
/// # Safety
///
/// `to` is null, or `len` points to the number of writable bytes at `to`.
pub(crate) unsafe fn write(address: SocketAddr, to: *mut sockaddr, len: *mut socklen_t) {
    if to.is_null() || len.is_null() {
        return;
    }
    let bytes = emit(address);
    // SAFETY: the caller says that `len` is valid, and how much room there is.
    unsafe {
        let room = bytes.len().min(*len as usize);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.cast(), room);
        *len = bytes.len() as socklen_t;
    }
}

/// The bytes of `sockaddr_in` or `sockaddr_in6`.
fn emit(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address {
        SocketAddr::V4(v4) => {
            let family = (AF_INET as sa_family_t).to_ne_bytes();
            [&family[..], &port, &v4.ip().octets(), &[0; 8]].concat()
        }
        SocketAddr::V6(v6) => {
            let family = (AF_INET6 as sa_family_t).to_ne_bytes();
            [&family[..], &port, &[0; 4], &v6.ip().octets(), &v6.scope_id().to_ne_bytes()].concat()
        }
    }
}
