//! The few ioctls that open and configure a TAP: the only unsafe code here.
//!
//! Structures are arrays of bytes that are at least as long as the kernel's on every target
//! (`struct ifreq` is 40 bytes with 64-bit pointers, 32 otherwise), filled in the byte order and
//! field widths of the kernel's headers (H206).

use core::ffi::c_int;
use core::net::{Ipv4Addr, Ipv6Addr};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Result;
use rustix::ioctl::{Getter, IntegerSetter, Opcode, Setter, Updater, ioctl, opcode};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// `IFNAMSIZ` of linux/if.h, with the terminating zero.
pub(super) const NAME_SIZE: usize = 16;

/// linux/if_tun.h
pub(super) const IFF_TAP: u16 = 0x0002;
pub(super) const IFF_NO_PI: u16 = 0x1000;
pub(super) const IFF_VNET_HDR: u16 = 0x4000;
pub(super) const TUN_F_CSUM: usize = 1;
pub(super) const TUN_F_TSO4: usize = 2;
pub(super) const TUN_F_TSO6: usize = 4;

/// linux/if.h
const IFF_UP: u16 = 1;

/// `struct ifreq`: a name, then a union of which each request uses one field at its front.
#[repr(C, align(8))]
struct IfReq {
    name: [u8; NAME_SIZE],
    data: [u8; 24],
}

impl IfReq {
    /// A request about the interface `name`, which [`super::Name`] has checked.
    fn new(name: &str) -> Self {
        let mut req = IfReq { name: [0; NAME_SIZE], data: [0; 24] };
        let len = name.len().min(NAME_SIZE - 1);
        req.name[..len].copy_from_slice(&name.as_bytes()[..len]);
        req
    }

    fn with_u16(mut self, value: u16) -> Self {
        self.data[..2].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn with_int(mut self, value: c_int) -> Self {
        self.data[..4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    /// `struct sockaddr_in`: family, port, address.
    fn with_address(mut self, ip: Ipv4Addr) -> Self {
        self.data[..2].copy_from_slice(&AddressFamily::INET.as_raw().to_ne_bytes());
        self.data[4..8].copy_from_slice(&ip.octets());
        self
    }

    fn int(&self) -> c_int {
        let [a, b, c, d, ..] = self.data;
        c_int::from_ne_bytes([a, b, c, d])
    }

    fn name(&self) -> String {
        let end = self.name.iter().position(|&b| b == 0);
        String::from_utf8_lossy(&self.name[..end.unwrap_or(NAME_SIZE)]).into_owned()
    }
}

/// `struct in6_ifreq` of linux/ipv6.h.
#[repr(C)]
struct In6IfReq {
    address: [u8; 16],
    prefix_len: u32,
    index: c_int,
}

/// Attaches `fd`, an open /dev/net/tun, to the interface `name` (empty: the kernel chooses) and
/// returns its name.
pub(super) fn set_iff(fd: impl AsFd, name: &str, flags: u16) -> Result<String> {
    const OP: Opcode = opcode::write::<c_int>(b'T', 202);
    let mut req = IfReq::new(name).with_u16(flags);
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, which IfReq is at least as long as.
    unsafe { ioctl(fd, Updater::<OP, IfReq>::new(&mut req))? };
    Ok(req.name())
}

/// Which IFF_ flags this kernel's TAP knows.
pub(super) fn features(fd: impl AsFd) -> Result<u32> {
    const OP: Opcode = opcode::read::<u32>(b'T', 207);
    // SAFETY: TUNGETFEATURES writes one unsigned int.
    unsafe { ioctl(fd, Getter::<OP, u32>::new()) }
}

/// Keeps the interface when the last descriptor is closed, or no longer.
pub(super) fn set_persist(fd: impl AsFd, persist: bool) -> Result<()> {
    const OP: Opcode = opcode::write::<c_int>(b'T', 203);
    // SAFETY: TUNSETPERSIST takes an integer by value.
    unsafe { ioctl(fd, IntegerSetter::<OP>::new_usize(usize::from(persist))) }
}

/// What the kernel may leave to the reader of the TAP: TUN_F_ flags.
pub(super) fn set_offload(fd: impl AsFd, flags: usize) -> Result<()> {
    const OP: Opcode = opcode::write::<u32>(b'T', 208);
    // SAFETY: TUNSETOFFLOAD takes an integer by value.
    unsafe { ioctl(fd, IntegerSetter::<OP>::new_usize(flags)) }
}

/// How long the vnet header is.
pub(super) fn set_vnet_header_len(fd: impl AsFd, len: c_int) -> Result<()> {
    const OP: Opcode = opcode::write::<c_int>(b'T', 216);
    // SAFETY: TUNSETVNETHDRSZ reads one int.
    unsafe { ioctl(fd, Setter::<OP, c_int>::new(len)) }
}

/// The socket that interface ioctls go through.
pub(super) fn control(family: AddressFamily) -> Result<OwnedFd> {
    socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

// linux/sockios.h
const SIOCGIFFLAGS: Opcode = 0x8913;
const SIOCSIFFLAGS: Opcode = 0x8914;
const SIOCSIFADDR: Opcode = 0x8916;
const SIOCSIFNETMASK: Opcode = 0x891c;
const SIOCGIFMTU: Opcode = 0x8921;
const SIOCSIFMTU: Opcode = 0x8922;
const SIOCGIFINDEX: Opcode = 0x8933;

/// Sends `req` through the socket `control` and returns it as the kernel left it.
fn interface<const OP: Opcode>(control: impl AsFd, mut req: IfReq) -> Result<IfReq> {
    // SAFETY: every SIOC[GS]IF request above reads and writes at most one `struct ifreq`.
    unsafe { ioctl(control, Updater::<OP, IfReq>::new(&mut req))? };
    Ok(req)
}

/// Bytes of IP packet that a frame of the interface carries.
pub(super) fn mtu(control: impl AsFd, name: &str) -> Result<c_int> {
    Ok(interface::<SIOCGIFMTU>(control, IfReq::new(name))?.int())
}

pub(super) fn set_mtu(control: impl AsFd, name: &str, mtu: u16) -> Result<()> {
    let req = IfReq::new(name).with_int(c_int::from(mtu));
    interface::<SIOCSIFMTU>(control, req).map(drop)
}

/// The number of the interface; ENODEV when there is none of that name.
pub(super) fn index(control: impl AsFd, name: &str) -> Result<c_int> {
    Ok(interface::<SIOCGIFINDEX>(control, IfReq::new(name))?.int())
}

/// Switches the interface on or off.
pub(super) fn set_up(control: impl AsFd, name: &str, up: bool) -> Result<()> {
    let now = interface::<SIOCGIFFLAGS>(&control, IfReq::new(name))?;
    let flags = u16::from_ne_bytes([now.data[0], now.data[1]]);
    let flags = if up { flags | IFF_UP } else { flags & !IFF_UP };
    interface::<SIOCSIFFLAGS>(control, IfReq::new(name).with_u16(flags)).map(drop)
}

/// Sets the IPv4 address. `control` is a socket of that family.
pub(super) fn set_v4(control: impl AsFd, name: &str, ip: Ipv4Addr, prefix_len: u8) -> Result<()> {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0);
    interface::<SIOCSIFADDR>(&control, IfReq::new(name).with_address(ip))?;
    let mask = IfReq::new(name).with_address(Ipv4Addr::from_bits(mask));
    interface::<SIOCSIFNETMASK>(control, mask).map(drop)
}

/// Adds an IPv6 address. `control` is a socket of that family.
pub(super) fn add_v6(control: impl AsFd, index: c_int, ip: Ipv6Addr, prefix_len: u8) -> Result<()> {
    let req = In6IfReq { address: ip.octets(), prefix_len: u32::from(prefix_len), index };
    // SAFETY: on an AF_INET6 socket SIOCSIFADDR reads one `struct in6_ifreq`.
    unsafe { ioctl(control, Setter::<SIOCSIFADDR, In6IfReq>::new(req)) }
}
