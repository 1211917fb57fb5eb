//! A cable for simulations: virtual time, a delay, and seeded faults. Every run can be replayed from its
//! seed.

use super::ring::mac;
use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Device, RxChecksum, RxFrame, TxError, TxFrame};
use barenet::time::{Duration, Instant};
use smoltcp::phy::{self, Checksum, DeviceCapabilities, Medium};
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::rc::Rc;

const ETHERNET: usize = 14;

/// Time from one end to the other, where no other is named.
const DELAY: Duration = Duration::from_millis(1);

/// A frame that is overtaken arrives up to this much later.
const DELAY_REORDERED_MAX: Duration = Duration::from_millis(3);

/// Frames on the way in each direction; more are lost, as in a switch.
const FRAMES_MAX: usize = 1024;

/// What kind of link the cable is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// MTU 1500 with checksums.
    Ethernet,
    /// IP packets of up to 65,535 bytes, with checksums.
    Jumbo,
    /// MTU 1500; both ends hand over TCP packets of up to 64 KiB, uncut and without checksum, as two guests
    /// of one host do.
    Offload,
}

impl Link {
    /// All kinds.
    pub const ALL: [Link; 3] = [Link::Ethernet, Link::Jumbo, Link::Offload];

    fn mtu(self) -> u16 {
        match self {
            Link::Ethernet | Link::Offload => 1500,
            Link::Jumbo => u16::MAX,
        }
    }

    fn packet_max(self) -> usize {
        match self {
            Link::Ethernet => 1500,
            Link::Jumbo | Link::Offload => usize::from(u16::MAX),
        }
    }
}

/// How many frames in a million meet with what.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    /// Not delivered.
    pub lost_ppm: u32,
    /// Delivered twice.
    pub duplicated_ppm: u32,
    /// Delivered later than frames sent after them.
    pub reordered_ppm: u32,
}

/// Reproducible random numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True `ppm` times in a million.
    pub fn chance(&mut self, ppm: u32) -> bool {
        self.number() % 1_000_000 < u64::from(ppm)
    }
}

struct State {
    now: Instant,
    random: Random,
    faults: Faults,
    delay: Duration,
    /// On the way to end 0 and to end 1, in the order of arrival. The second part of the key keeps keys
    /// apart.
    flying: [BTreeMap<(Instant, u64), Vec<u8>>; 2],
    sent: u64,
}

impl State {
    fn send(&mut self, to: usize, frame: Vec<u8>) {
        if self.random.chance(self.faults.lost_ppm) {
            return;
        }
        if self.random.chance(self.faults.duplicated_ppm) {
            self.fly(to, frame.clone());
        }
        self.fly(to, frame);
    }

    fn fly(&mut self, to: usize, frame: Vec<u8>) {
        if self.flying[to].len() == FRAMES_MAX {
            return;
        }
        let mut at = self.now + self.delay;
        if self.random.chance(self.faults.reordered_ppm) {
            at += Duration::from_micros(self.random.number() % DELAY_REORDERED_MAX.micros());
        }
        self.sent += 1;
        self.flying[to].insert((at, self.sent), frame);
    }

    fn arrived(&mut self, at: usize) -> Option<Vec<u8>> {
        let first = self.flying[at].first_entry()?;
        (first.key().0 <= self.now).then(|| first.remove())
    }
}

/// The cable between its two ends: holds the time of the simulation.
pub struct Cable(Rc<RefCell<State>>);

impl Cable {
    /// A cable and its ends, hosts 1 and 2.
    pub fn new(link: Link, faults: Faults, seed: u64) -> (Cable, End, End) {
        Cable::with_delay(link, DELAY, faults, seed)
    }

    /// The same with the time that a frame takes from one end to the other.
    pub fn with_delay(link: Link, delay: Duration, faults: Faults, seed: u64) -> (Cable, End, End) {
        let state = Rc::new(RefCell::new(State {
            now: Instant::ZERO,
            random: Random(seed),
            faults,
            delay,
            flying: Default::default(),
            sent: 0,
        }));
        let end = |index| End { state: state.clone(), index, link };
        let ends = (end(0), end(1));
        (Cable(state), ends.0, ends.1)
    }

    /// Moves the time forward to `now`.
    pub fn set_now(&self, now: Instant) {
        self.0.borrow_mut().now = now;
    }

    /// When the next frame arrives anywhere.
    pub fn next_arrival(&self) -> Option<Instant> {
        let state = self.0.borrow();
        state.flying.iter().filter_map(|f| f.first_key_value()).map(|(key, _)| key.0).min()
    }
}

/// One end of the cable: a device for either stack.
pub struct End {
    state: Rc<RefCell<State>>,
    index: usize,
    link: Link,
}

impl Device for End {
    fn capabilities(&self) -> Capabilities {
        let plain = Capabilities::new(mac(self.index as u8 + 1), self.link.mtu());
        match self.link {
            Link::Ethernet | Link::Jumbo => plain,
            Link::Offload => plain.with_tso(u32::from(u16::MAX), u32::from(u16::MAX)),
        }
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let Some(frame) = self.state.borrow_mut().arrived(self.index) else {
            return false;
        };
        sink(RxFrame {
            bytes: Bytes::new(&[&frame]),
            checksum: match self.link {
                Link::Ethernet | Link::Jumbo => RxChecksum::Unchecked,
                Link::Offload => RxChecksum::Valid,
            },
            segment_len: None,
        });
        true
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        if frame.len() > self.link.packet_max() + ETHERNET {
            return Err(TxError::Refused);
        }
        let bytes = [&[frame.header], frame.payload].concat().concat();
        self.state.borrow_mut().send(1 - self.index, bytes);
        Ok(())
    }
}

/// A received frame, for smoltcp.
pub struct RxToken(Vec<u8>);
/// Leave to send a frame, for smoltcp.
pub struct TxToken<'a>(RefMut<'a, State>, usize);

impl phy::RxToken for RxToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, look: F) -> R {
        look(&self.0)
    }
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, len: usize, fill: F) -> R {
        let mut frame = vec![0; len];
        let result = fill(&mut frame);
        self.0.send(self.1, frame);
        result
    }
}

impl phy::Device for End {
    type RxToken<'a> = RxToken;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(RxToken, TxToken<'_>)> {
        let mut state = self.state.borrow_mut();
        let frame = state.arrived(self.index)?;
        Some((RxToken(frame), TxToken(state, 1 - self.index)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<TxToken<'_>> {
        Some(TxToken(self.state.borrow_mut(), 1 - self.index))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut c = DeviceCapabilities::default();
        c.medium = Medium::Ethernet;
        c.max_transmission_unit = usize::from(self.link.mtu()) + ETHERNET;
        if self.link == Link::Offload {
            c.checksum.tcp = Checksum::None;
            // IPv6 counts its header on top of the length field's 65,535.
            let packet_max = NonZeroUsize::new(ETHERNET + self.link.packet_max());
            c.segmentation.tcpv4 = packet_max;
            c.segmentation.tcpv6 = packet_max;
        }
        c
    }
}
