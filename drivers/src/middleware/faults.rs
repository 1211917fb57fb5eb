//! A bad network: loss, duplication, reordering and corruption, the same for the same seed.

use alloc::collections::VecDeque;
use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};

use super::held::Held;

/// How often each fault strikes, in frames of a million.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rates {
    /// The frame vanishes.
    pub loss: u32,
    /// It comes twice.
    pub duplicate: u32,
    /// Up to [`REORDER_MAX`] later frames overtake it.
    pub reorder: u32,
    /// One of its bits is inverted.
    pub corrupt: u32,
}

/// What was done to the frames of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Frames that came to this layer.
    pub seen: u64,
    /// Frames that vanished.
    pub lost: u64,
    /// Frames that came twice.
    pub duplicated: u64,
    /// Frames that others overtook.
    pub reordered: u64,
    /// Frames with an inverted bit.
    pub corrupted: u64,
    /// Frames that were held back or doubled and for which the device had no room in the end.
    pub refused: u64,
}

/// By how many frames at most one that is held back is overtaken.
pub const REORDER_MAX: u32 = 4;

/// Most frames held back at once in one direction.
const HELD_MAX: usize = 16;

/// A device whose frames get lost, doubled, reordered and corrupted, in both directions, by a
/// generator whose seed decides all: the same frames in the same order suffer the same.
///
/// A received frame that is corrupted no longer counts as checked. A frame to be sent whose
/// checksum is the device's work gets it completed before it is corrupted, so that the receiver
/// can find out. Since that is not possible for frames that the device cuts into segments, a
/// layer that corrupts what is sent does not offer segmentation.
///
/// ```
/// use barenet::device::Device;
/// use barenet_drivers::middleware::{Faults, Rates};
///
/// # fn wrap(device: impl Device) {
/// let rates = Rates { loss: 20_000, reorder: 10_000, ..Rates::default() };
/// let device = Faults::new(device, 42).receiving(rates).transmitting(rates);
/// # }
/// ```
#[derive(Debug)]
pub struct Faults<D> {
    device: D,
    rx: Direction,
    tx: Direction,
    /// What is sent may be corrupted, so segmentation is not offered.
    whole_only: bool,
}

impl<D: Device> Faults<D> {
    /// A layer around `device` that leaves all frames alone, until rates are given.
    pub fn new(device: D, seed: u64) -> Self {
        Faults {
            device,
            // Each direction has its own generator, so that what happens in one does not depend
            // on when the other is used.
            rx: Direction::new(seed),
            tx: Direction::new(!seed),
            whole_only: false,
        }
    }

    /// The same with these rates for what is received.
    pub fn receiving(mut self, rates: Rates) -> Self {
        self.rx.rates = rates;
        self
    }

    /// The same with these rates for what is sent.
    pub fn transmitting(mut self, rates: Rates) -> Self {
        self.tx.rates = rates;
        self.whole_only = rates.corrupt > 0;
        self
    }

    /// Ends the faults, for example to see whether all recovers. Frames held back still come.
    pub fn heal(&mut self) {
        self.rx.rates = Rates::default();
        self.tx.rates = Rates::default();
    }

    /// What was done to received frames.
    pub fn received(&self) -> Counts {
        self.rx.counts
    }

    /// What was done to frames to be sent.
    pub fn transmitted(&self) -> Counts {
        self.tx.counts
    }

    /// The device; frames held back are lost.
    pub fn into_inner(self) -> D {
        self.device
    }

    /// Sends the frames whose time has come.
    fn release(&mut self) {
        while let Some(held) = self.tx.due() {
            if held.send(&mut self.device).is_err() {
                self.tx.counts.refused += 1;
            }
        }
    }
}

impl<D: Device> Device for Faults<D> {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.device.capabilities();
        if self.whole_only {
            capabilities.tso4 = 0;
            capabilities.tso6 = 0;
            capabilities.uso = false;
        }
        capabilities
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        loop {
            if let Some(held) = self.rx.due() {
                held.give(sink);
                return true;
            }
            let rx = &mut self.rx;
            let mut given = false;
            let some = self.device.receive(&mut |frame| given = rx.receive(frame, sink));
            if given {
                return true;
            }
            if !some {
                // Nothing overtakes the held frames now, so time passes for them this way.
                self.rx.pass();
                return match self.rx.due() {
                    Some(held) => {
                        held.give(sink);
                        true
                    }
                    None => false,
                };
            }
        }
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let (fate, generator) = self.tx.fate();
        match fate {
            Fate::Pass => self.device.transmit(frame)?,
            Fate::Lose => {}
            Fate::Double => {
                self.device.transmit(frame)?;
                self.tx.held.push_back((0, Held::from_tx(&frame)));
            }
            Fate::Delay(by) => self.tx.held.push_back((by + 1, Held::from_tx(&frame))),
            Fate::Corrupt(random) => {
                let mut held = Held::from_tx(&frame);
                held.complete_checksum();
                held.invert_bit(random);
                held.send(&mut self.device)?;
            }
        }
        // Only now: a frame that the device did not take comes again and meets the same fate.
        self.tx.settle(fate, generator);
        self.release();
        Ok(())
    }

    fn flush(&mut self) {
        self.device.flush();
    }

    fn arm(&mut self) -> bool {
        self.tx.pass();
        self.release();
        self.device.flush();
        // The device is asked in any case: one that was not armed would wake nobody.
        self.device.arm() && self.rx.held.is_empty() && self.tx.held.is_empty()
    }

    fn link(&mut self) -> LinkState {
        self.device.link()
    }

    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.device.set_multicast(group, join);
    }
}

/// What happens to one frame.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Pass,
    Lose,
    Double,
    /// So many frames overtake it.
    Delay(u32),
    /// The number chooses the bit.
    Corrupt(u64),
}

/// The faults of one direction.
#[derive(Debug)]
struct Direction {
    rates: Rates,
    generator: Generator,
    /// Frames held back, and how many steps still pass before each comes.
    held: VecDeque<(u32, Held)>,
    counts: Counts,
}

impl Direction {
    fn new(seed: u64) -> Self {
        Direction {
            rates: Rates::default(),
            generator: Generator(seed),
            held: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// The fate of the next frame, and the generator after it. Every frame takes as many numbers
    /// from the generator, so that a rate does not move the other faults.
    fn fate(&self) -> (Fate, Generator) {
        let mut generator = self.generator;
        let rates = self.rates;
        let strikes = [rates.loss, rates.corrupt, rates.duplicate, rates.reorder]
            .map(|ppm| generator.next() % 1_000_000 < u64::from(ppm));
        let random = generator.next();
        let may_hold = self.held.len() < HELD_MAX;
        let fate = match strikes {
            [true, ..] => Fate::Lose,
            [_, true, ..] => Fate::Corrupt(random),
            [_, _, true, _] if may_hold => Fate::Double,
            [.., true] if may_hold => Fate::Delay(1 + random as u32 % REORDER_MAX),
            _ => Fate::Pass,
        };
        (fate, generator)
    }

    /// The frame has met its fate.
    fn settle(&mut self, fate: Fate, generator: Generator) {
        self.generator = generator;
        self.counts.seen += 1;
        match fate {
            Fate::Pass => {}
            Fate::Lose => self.counts.lost += 1,
            Fate::Double => self.counts.duplicated += 1,
            Fate::Delay(_) => self.counts.reordered += 1,
            Fate::Corrupt(_) => self.counts.corrupted += 1,
        }
        self.pass();
    }

    /// One frame more has overtaken those that are held back.
    fn pass(&mut self) {
        for (wait, _) in &mut self.held {
            *wait = wait.saturating_sub(1);
        }
    }

    /// A frame that has been held back for long enough.
    fn due(&mut self) -> Option<Held> {
        let at = self.held.iter().position(|(wait, _)| *wait == 0)?;
        self.held.remove(at).map(|(_, held)| held)
    }

    /// Takes a frame from the device; true if it was given to `sink`.
    fn receive(&mut self, frame: RxFrame<'_>, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let (fate, generator) = self.fate();
        let given = match fate {
            Fate::Pass => {
                sink(frame);
                true
            }
            Fate::Lose => false,
            Fate::Double => {
                sink(frame);
                self.held.push_back((0, Held::from_rx(&frame)));
                true
            }
            Fate::Delay(by) => {
                self.held.push_back((by + 1, Held::from_rx(&frame)));
                false
            }
            Fate::Corrupt(random) => {
                let mut held = Held::from_rx(&frame);
                held.invert_bit(random);
                held.give(sink);
                true
            }
        };
        self.settle(fate, generator);
        given
    }
}

/// SplitMix64: a counter, scrambled. Good enough to spread faults, and its state is its seed.
#[derive(Clone, Copy, Debug)]
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
#[path = "faults_tests.rs"]
mod tests;
