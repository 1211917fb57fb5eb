//! A TAP of Linux as a device: the stack's frames go to and come from the kernel.
//!
//! With vnet headers, checksums and segmentation are left to the kernel in both directions, so a
//! frame carries up to 64 KiB each way in one system call and nothing is copied on this side.
//!
//! ```no_run
//! use barenet::device::Mac;
//! use barenet_drivers::tap::{self, Tap};
//!
//! let mac = Mac([2, 0, 0, 0, 0, 2]);
//! let tap = Tap::open(mac, tap::Options::new().name("tap0"))?;
//! tap::configure(tap.name(), &[("10.0.0.1".parse()?, 24), ("fd00::1".parse()?, 64)])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod configure;
mod error;
mod events;
mod ioctl;
pub mod namespace;
mod netlink;
mod open;
#[cfg(test)]
mod tests;

pub use configure::{configure, create, probe, remove, set_mtu, set_up, settle};
pub use error::Error;
pub use events::Events;
pub use open::Options;

use crate::vnet::{self, Said};
use barenet::bytes::Bytes;
use barenet::device::{
    Capabilities, Device, LinkState, Mac, RxChecksum, RxFrame, TX_PIECES, TxError, TxFrame,
};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use std::io::IoSlice;

/// The largest frame that the kernel hands over: a 64 KiB IP packet, the Ethernet header with two
/// VLAN tags, and the vnet header. One byte more, so that a frame that was cut can be told.
const FRAME_LEN_MAX: usize = 65_536 + 14 + 8 + vnet::LEN + 1;

/// Most pieces of one `writev`: the vnet header, the headers, the payload.
const SLICES: usize = 2 + TX_PIECES;

/// Frames that did not get through, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Drops {
    /// Sent while the interface was down.
    pub tx_down: u64,
    /// The kernel had no memory, or failed in another way that passes.
    pub tx_failed: u64,
    /// Larger than the kernel takes, malformed, or in too many pieces.
    pub tx_refused: u64,
    /// Longer than 64 KiB, or shorter than an Ethernet header.
    pub rx_length: u64,
    /// The vnet header asks for what was not negotiated or makes no sense: segments without a
    /// size, a checksum outside the frame.
    pub rx_header: u64,
    /// Reading failed in a way that passes.
    pub rx_failed: u64,
}

/// How frames are read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Framing {
    /// The bare frame.
    Plain,
    /// After a vnet header.
    Vnet,
}

/// One queue of a TAP. The interface goes away with it, unless it existed before.
#[derive(Debug)]
pub struct Tap {
    events: Events,
    name: String,
    framing: Framing,
    capabilities: Capabilities,
    /// Where frames are read to.
    frame: Box<[u8]>,
    drops: Drops,
}

impl Tap {
    /// Opens /dev/net/tun and attaches to the TAP that `options` name, or to a new one.
    ///
    /// `mac` is the address of the stack; the kernel's end of the TAP has another of its own.
    /// The MTU is the interface's at this moment.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn open(mac: Mac, options: Options) -> Result<Tap, Error> {
        let opened = options.attach()?;
        let capabilities = Capabilities::new(mac, opened.mtu);
        Ok(Tap {
            events: Events::new(opened.fd),
            name: opened.name,
            framing: opened.framing,
            capabilities: match opened.framing {
                Framing::Plain => capabilities,
                Framing::Vnet if opened.uso => capabilities.with_tso(65_535, 65_535).with_uso(),
                Framing::Vnet => capabilities.with_tso(65_535, 65_535),
            },
            frame: vec![0; FRAME_LEN_MAX].into_boxed_slice(),
            drops: Drops::default(),
        })
    }

    /// The name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A handle for waiting until the TAP has something, which stays useful when the stack has
    /// taken the TAP itself.
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// Frames that did not get through so far.
    pub fn drops(&self) -> Drops {
        self.drops
    }

    /// Reads a frame into the buffer: its length, or `None` when none waits.
    fn read(&mut self) -> Option<usize> {
        loop {
            match rustix::io::read(self.events.as_fd(), &mut self.frame[..]) {
                Ok(n) => return Some(n),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return None,
                Err(Errno::BADFD | Errno::NODEV) => {
                    self.events.set_gone();
                    return None;
                }
                Err(_) => {
                    self.drops.rx_failed += 1;
                    return None;
                }
            }
        }
    }

    /// What becomes of a frame that the kernel did not take.
    fn write_failed(&mut self, errno: Errno) -> Result<(), TxError> {
        match errno {
            Errno::AGAIN => {
                self.events.set_full();
                Err(TxError::Full)
            }
            // The kernel answers EIO when the interface is down: a pulled cable (H204).
            Errno::IO | Errno::NETDOWN => {
                self.drops.tx_down += 1;
                self.events.set_down();
                Ok(())
            }
            Errno::BADFD | Errno::NODEV => {
                self.events.set_gone();
                Err(TxError::Refused)
            }
            Errno::INVAL | Errno::MSGSIZE => {
                self.drops.tx_refused += 1;
                Err(TxError::Refused)
            }
            _ => {
                self.drops.tx_failed += 1;
                Ok(())
            }
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl Device for Tap {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        /// One who writes nothing but rubbish, and that for ever, must not hold us here.
        const RUBBISH_MAX: usize = 256;
        let header_len = match self.framing {
            Framing::Plain => 0,
            Framing::Vnet => vnet::LEN,
        };
        for _ in 0..RUBBISH_MAX {
            let Some(len) = self.read() else {
                return false;
            };
            if len == self.frame.len() || len < header_len + 14 {
                self.drops.rx_length += 1;
                continue;
            }
            let (header, bytes) = self.frame[..len].split_at(header_len);
            let said = match header.first_chunk() {
                Some(header) => vnet::parse(header, u16::from_ne_bytes, bytes.len()),
                None => Some(Said { checksum: RxChecksum::Unchecked, segment_len: None }),
            };
            let Some(Said { checksum, segment_len }) = said else {
                self.drops.rx_header += 1;
                continue;
            };
            sink(RxFrame { bytes: Bytes::new(&[bytes]), checksum, segment_len });
            return true;
        }
        false
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        if frame.payload.len() > TX_PIECES {
            self.drops.tx_refused += 1;
            return Err(TxError::Refused);
        }
        let vnet = vnet::emit(frame.offload, frame.header.len(), u16::to_ne_bytes);
        let mut slices = [IoSlice::new(&[]); SLICES];
        slices[0] = IoSlice::new(&vnet);
        slices[1] = IoSlice::new(frame.header);
        for (slice, piece) in slices[2..].iter_mut().zip(frame.payload) {
            *slice = IoSlice::new(piece);
        }
        let first = match self.framing {
            Framing::Plain => 1,
            Framing::Vnet => 0,
        };
        let slices = &slices[first..2 + frame.payload.len()];
        loop {
            match rustix::io::writev(self.events.as_fd(), slices) {
                Ok(_) => {
                    self.events.set_sent();
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(errno) => return self.write_failed(errno),
            }
        }
    }

    fn arm(&mut self) -> bool {
        self.events.quiet()
    }

    fn link(&mut self) -> LinkState {
        self.events.link()
    }
}
