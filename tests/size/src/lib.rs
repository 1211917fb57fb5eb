//! What the programs share: a machine that does not exist, the same for each stack.
#![no_std]

#[cfg(feature = "heap")]
mod heap;
#[cfg(any(feature = "bare", feature = "datagrams", feature = "tcp-least", feature = "full"))]
pub mod ours;
#[cfg(any(feature = "smoltcp-bare", feature = "smoltcp-tcp"))]
pub mod theirs;

use core::ptr::{addr_of_mut, read_volatile, write_volatile};
use core::sync::atomic::{AtomicBool, Ordering};

/// An Ethernet frame without its checksum.
pub const FRAME_LEN: usize = 1514;
pub const MTU: u16 = 1500;
pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Registers of the network interface, of the clock and of the source of randomness.
const REGISTERS: usize = 0x4000_0000;

#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Register {
    /// Bytes of the frame that was received, or 0. Writing gives the buffer back.
    Received = 0,
    /// Writing sends so many bytes; not zero: the buffer is free.
    Send = 4,
    /// Milliseconds since the start.
    Clock = 8,
    Random = 12,
    /// Milliseconds that the processor may sleep.
    Sleep = 16,
}

pub fn read(register: Register) -> u32 {
    // SAFETY: a register of this machine; reading it changes nothing in memory.
    unsafe { read_volatile((REGISTERS + register as usize) as *const u32) }
}

pub fn write(register: Register, value: u32) {
    // SAFETY: a register of this machine. The buffers belong to the device meanwhile, see `Buffers`.
    unsafe { write_volatile((REGISTERS + register as usize) as *mut u32, value) }
}

/// The interface's buffers: one for what arrives, one for what is sent.
pub struct Buffers {
    received: &'static mut [u8; FRAME_LEN],
    sent: &'static mut [u8; FRAME_LEN],
}

impl Buffers {
    /// The buffers, once.
    pub fn take() -> Option<Buffers> {
        static mut RECEIVED: [u8; FRAME_LEN] = [0; FRAME_LEN];
        static mut SENT: [u8; FRAME_LEN] = [0; FRAME_LEN];
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.load(Ordering::Relaxed) {
            return None;
        }
        TAKEN.store(true, Ordering::Relaxed);
        // SAFETY: there is one thread, and it comes here once.
        Some(unsafe { Buffers { received: &mut *addr_of_mut!(RECEIVED), sent: &mut *addr_of_mut!(SENT) } })
    }

    /// Has a frame arrived?
    pub fn has_received(&self) -> bool {
        read(Register::Received) != 0
    }

    /// The frame that arrived; [`Register::Received`] gives its buffer back.
    pub fn received(&self) -> &[u8] {
        &self.received[..(read(Register::Received) as usize).min(FRAME_LEN)]
    }

    /// The frame that arrived, if one did, and where to put the answer.
    pub fn both(&mut self) -> Option<(&[u8], &mut [u8; FRAME_LEN])> {
        let len = (read(Register::Received) as usize).min(FRAME_LEN);
        (len > 0 && self.can_send()).then_some((&self.received[..len], self.sent))
    }

    /// Can a frame be sent?
    pub fn can_send(&self) -> bool {
        read(Register::Send) != 0
    }

    /// Where to put it.
    pub fn to_send(&mut self) -> &mut [u8; FRAME_LEN] {
        self.sent
    }
}

/// The first word of the image leads to the program.
#[unsafe(link_section = ".vectors")]
#[unsafe(no_mangle)]
#[used]
static VECTORS: [unsafe extern "C" fn() -> !; 1] = [_start];

unsafe extern "C" {
    /// Each program is one: see `program!`.
    fn _start() -> !;
}

/// Makes this function, which never returns, the program.
#[macro_export]
macro_rules! program {
    ($run:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            $run()
        }
    };
}

/// Nothing goes on. A program of these has no way to say so.
pub fn halt() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    halt()
}
