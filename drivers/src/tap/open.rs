//! Opening a TAP: which one, and with what framing.

use super::{Error, Framing, ioctl};
use crate::vnet;
use barenet::device::merged::TAKES_MERGED_DATAGRAMS;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Which TAP to open and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    name: String,
    existing: bool,
    plain: bool,
}

impl Options {
    /// A new interface whose name the kernel chooses, with offloads if it has them.
    pub fn new() -> Self {
        Self::default()
    }

    /// The interface of this name; it is created if it does not exist and the program may.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Only the interface of this name, which must exist.
    pub fn existing(mut self, name: &str) -> Self {
        self.existing = true;
        self.name(name)
    }

    /// Without vnet headers: no offload, one frame of at most the MTU per call.
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Opens and attaches. Each error path closes the descriptor, since it is owned (H207).
    pub(super) fn attach(&self) -> Result<Opened, Error> {
        if self.existing || !self.name.is_empty() {
            check_name(&self.name)?;
        }
        let control = ioctl::control().map_err(|e| Error::new("open a socket for", &self.name, e))?;
        if self.existing {
            ioctl::index(&control, &self.name)
                .map_err(|e| Error::new("find the interface", &self.name, e))?;
        }
        let (fd, name, framing, uso) = self.attach_best()?;
        let mtu = ioctl::mtu(&control, &name).map_err(|e| Error::new("read the MTU of", &name, e))?;
        Ok(Opened {
            fd,
            name,
            framing,
            uso,
            // The kernel's limits are 68 and 65,521 (H209).
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
        })
    }

    /// With vnet headers, or without when this kernel has none.
    fn attach_best(&self) -> Result<(OwnedFd, String, Framing, bool), Error> {
        if !self.plain {
            match self.attach_as(Framing::Vnet) {
                Err(Error::System { .. }) => {}
                attached => return attached,
            }
        }
        self.attach_as(Framing::Plain)
    }

    fn attach_as(&self, framing: Framing) -> Result<(OwnedFd, String, Framing, bool), Error> {
        let fd = open_tun()?;
        let (vnet_flag, offloads) = match framing {
            Framing::Plain => (0, 0),
            Framing::Vnet => (ioctl::IFF_VNET_HDR, ioctl::TUN_F_CSUM | ioctl::TUN_F_TSO4 | ioctl::TUN_F_TSO6),
        };
        let known = ioctl::features(&fd).map_err(|e| Error::new("ask for the features of", "TAP", e))?;
        if u32::from(vnet_flag) & !known != 0 {
            return Err(Error::new("use vnet headers on", &self.name, Errno::INVAL));
        }
        let flags = ioctl::IFF_TAP | ioctl::IFF_NO_PI | vnet_flag;
        let name = ioctl::set_iff(&fd, &self.name, flags).map_err(|e| match e {
            Errno::INVAL => Error::NotTap(self.name.clone()),
            e => Error::new("attach to the TAP", &self.name, e),
        })?;
        // The interface may keep the settings of who had it before, so all are made each time.
        if framing == Framing::Vnet {
            ioctl::set_vnet_header_len(&fd, vnet::LEN as i32)
                .map_err(|e| Error::new("set the length of vnet headers on", &name, e))?;
        }
        // An older kernel refuses what it does not know.
        let wants_uso = framing == Framing::Vnet && TAKES_MERGED_DATAGRAMS;
        let uso = wants_uso && ioctl::set_offload(&fd, offloads | ioctl::TUN_F_USO).is_ok();
        if !uso {
            ioctl::set_offload(&fd, offloads).map_err(|e| Error::new("set the offloads of", &name, e))?;
        }
        Ok((fd, name, framing, uso))
    }
}

/// An attached TAP.
pub(super) struct Opened {
    pub(super) fd: OwnedFd,
    pub(super) name: String,
    pub(super) framing: Framing,
    /// The kernel takes and gives several datagrams as one.
    pub(super) uso: bool,
    pub(super) mtu: u16,
}

/// /dev/net/tun, not blocking.
fn open_tun() -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open("/dev/net/tun", flags, Mode::empty()).map_err(|e| match e {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => Error::NoTun,
        Errno::ACCESS | Errno::PERM => Error::TunPermission,
        e => Error::new("open", "/dev/net/tun", e),
    })
}

/// Would the kernel take it as the name of an interface?
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let bad = |b: u8| b == b'/' || b == b':' || b == 0 || b.is_ascii_whitespace();
    if name.is_empty()
        || name.len() >= ioctl::NAME_SIZE
        || name == "."
        || name == ".."
        || name.bytes().any(bad)
    {
        return Err(Error::Name(name.into()));
    }
    Ok(())
}
