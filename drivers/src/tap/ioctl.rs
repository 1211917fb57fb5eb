//! The few ioctls that open and configure a TAP: the only unsafe code here.
//!
//! Structures are arrays of bytes that are at least as long as the kernel's on every target
//! (`struct ifreq` is 40 bytes with 64-bit pointers, 32 otherwise), filled in the byte order and
//! field widths of the kernel's headers (H206).

use core::ffi::c_int;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Result;
use rustix::ioctl::{Getter, IntegerSetter, Opcode, Setter, Updater, ioctl, opcode};
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

/// `IFNAMSIZ` of linux/if.h, with the terminating zero.
pub(super) const NAME_SIZE: usize = 16;

/// linux/if_tun.h
pub(super) const IFF_TAP: u16 = 0x0002;
pub(super) const IFF_NO_PI: u16 = 0x1000;
pub(super) const IFF_VNET_HDR: u16 = 0x4000;
pub(super) const TUN_F_CSUM: usize = 1;
pub(super) const TUN_F_TSO4: usize = 2;
pub(super) const TUN_F_TSO6: usize = 4;
/// Both at once, from Linux 6.2 on.
pub(super) const TUN_F_USO: usize = 0x20 | 0x40;

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

    fn int(&self) -> c_int {
        let [a, b, c, d, ..] = self.data;
        c_int::from_ne_bytes([a, b, c, d])
    }

    fn name(&self) -> String {
        let end = self.name.iter().position(|&b| b == 0);
        String::from_utf8_lossy(&self.name[..end.unwrap_or(NAME_SIZE)]).into_owned()
    }
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
pub(super) fn control() -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)
}

/// The number of the interface; ENODEV when there is none of that name.
pub(super) fn index(control: impl AsFd, name: &str) -> Result<u32> {
    netdevice::name_to_index(control, name)
}

// linux/sockios.h
const SIOCGIFFLAGS: Opcode = 0x8913;
const SIOCSIFFLAGS: Opcode = 0x8914;
const SIOCGIFMTU: Opcode = 0x8921;
const SIOCSIFMTU: Opcode = 0x8922;

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

/// Switches the interface on or off.
pub(super) fn set_up(control: impl AsFd, name: &str, up: bool) -> Result<()> {
    let now = interface::<SIOCGIFFLAGS>(&control, IfReq::new(name))?;
    let flags = u16::from_ne_bytes([now.data[0], now.data[1]]);
    let flags = if up { flags | IFF_UP } else { flags & !IFF_UP };
    interface::<SIOCSIFFLAGS>(control, IfReq::new(name).with_u16(flags)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H206: what the kernel reads and writes, it finds where its headers say.
    #[test]
    fn requests_have_the_kernels_layout() {
        assert_eq!(size_of::<IfReq>(), 40, "struct ifreq");
        assert_eq!(core::mem::offset_of!(IfReq, data), NAME_SIZE);
        let req = IfReq::new("tap0").with_u16(IFF_TAP | IFF_NO_PI);
        assert_eq!(req.name, *b"tap0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(req.data[..4], [0x1002u16.to_ne_bytes(), [0, 0]].concat());
        assert_eq!(IfReq::new("a-name-that-is-too-long").name[NAME_SIZE - 1], 0);
    }
}
