//! The device: negotiation, receive, transmit.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering, fence};

use barenet::bytes::Bytes;
use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};
use bitflags::bitflags;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal};

use super::header;
use super::memory::Memory;
use super::ring::{FRAMES, Ring};

bitflags! {
    /// Feature bits that this driver uses (virtio 1.3, 5.1.3 and 6).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        const CSUM = 1 << 0;
        const GUEST_CSUM = 1 << 1;
        const MTU = 1 << 3;
        const MAC = 1 << 5;
        const GUEST_TSO4 = 1 << 7;
        const GUEST_TSO6 = 1 << 8;
        const HOST_TSO4 = 1 << 11;
        const HOST_TSO6 = 1 << 12;
        const MRG_RXBUF = 1 << 15;
        const STATUS = 1 << 16;
        const VERSION_1 = 1 << 32;
    }
}

impl Features {
    /// What is left of an offer after the rules of 5.1.3.1 and our own: merged frames are taken
    /// only in mergeable buffers, since one of ours holds no more than a plain frame.
    fn without_orphans(mut self) -> Features {
        if !self.contains(Features::CSUM) {
            self -= Features::HOST_TSO4 | Features::HOST_TSO6;
        }
        if !self.contains(Features::GUEST_CSUM | Features::MRG_RXBUF) {
            self -= Features::GUEST_TSO4 | Features::GUEST_TSO6;
        }
        self
    }
}

const RX_QUEUE: u16 = 0;
const TX_QUEUE: u16 = 1;

/// Descriptors of each queue; QEMU, Firecracker and Cloud Hypervisor all have at least as many.
const QUEUE_SIZE: usize = FRAMES;

/// Bytes of one receive buffer: a plain frame of the usual MTU with its header fits.
const BUFFER_LEN: usize = 2048;

/// Largest IP packet that a merged frame carries.
const PACKET_MAX: usize = 65_535;
/// Ethernet header, with a VLAN tag.
const LINK_HEADER_MAX: usize = 18;

/// Most buffers of one frame: the header, and the largest packet.
const PIECES_MAX: usize = (header::LEN + LINK_HEADER_MAX + PACKET_MAX).div_ceil(BUFFER_LEN);

/// The first piece of a frame in several pieces must reach this far, to hold all headers.
const FIRST_PIECE_MIN: usize = 256;

/// Bytes of the transmit ring: eight frames of 64 KiB, or 256 plain ones.
const TX_LEN: usize = 512 * 1024;

/// Frames that came in and could not be taken, since the device started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drops {
    /// Shorter than the virtio and Ethernet headers.
    pub short: u64,
    /// The virtio header asks for what was not negotiated.
    pub bad_header: u64,
    /// Spread over buffers so that the first does not hold the headers, or over too many.
    pub scattered: u64,
}

/// Why a device can't be used. Its text is one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitError {
    /// It is not a network device.
    NotNetwork,
    /// It speaks only the layout from before virtio 1.0.
    Legacy,
    /// It refused a set of features that it had offered.
    FeaturesRefused,
    /// It has no unicast MAC address.
    NoMac,
    /// A queue can't be set up.
    Queue(virtio_drivers::Error),
    /// No memory for the buffers.
    NoMemory,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitError::NotNetwork => f.write_str("the virtio device is not a network device"),
            InitError::Legacy => f.write_str(
                "the virtio device is a legacy one: start QEMU with \
                 `-global virtio-mmio.force-legacy=off`, or a device with `disable-modern=off`",
            ),
            InitError::FeaturesRefused => f.write_str("the virtio-net device refused its features"),
            InitError::NoMac => f.write_str("the virtio-net device has no MAC address"),
            InitError::Queue(why) => {
                write!(f, "a queue of {QUEUE_SIZE} can't be set up on the virtio-net device: {why}")
            }
            InitError::NoMemory => f.write_str("no memory for the virtio-net device's buffers"),
        }
    }
}

impl core::error::Error for InitError {}

/// A virtio-net device. See the [module](crate::virtio) for what it does.
pub struct VirtioNet<H: Hal, T: Transport> {
    // Dropped first: dropping a transport resets the device, and then the memory is ours again.
    transport: T,
    rx: Rx<H>,
    tx: Tx<H>,
    capabilities: Capabilities,
    features: Features,
    config_changed: &'static AtomicBool,
    link: LinkState,
    drops: Drops,
}

struct Rx<H: Hal> {
    queue: VirtQueue<H, QUEUE_SIZE>,
    memory: Memory<H>,
    /// Which buffer a descriptor stands for; `None` while it is not with the device.
    buffer_of: [Option<u16>; QUEUE_SIZE],
    /// Buffers given to the device since it was last told so.
    untold: usize,
    /// Interrupts are on.
    armed: bool,
}

struct Tx<H: Hal> {
    queue: VirtQueue<H, QUEUE_SIZE>,
    memory: Memory<H>,
    ring: Ring,
    /// Which frame of the ring a descriptor stands for; `None` while it is not with the device.
    frame_of: [Option<u16>; QUEUE_SIZE],
    /// Frames given to the device since it was last told so.
    untold: usize,
    /// The last transmit found no room.
    starved: bool,
    /// Interrupts are on.
    armed: bool,
}

/// The device broke the protocol of the queues.
struct Broken;

impl<H: Hal, T: Transport> VirtioNet<H, T> {
    /// Takes over the device behind `transport` and starts it. Whoever handles its interrupts sets
    /// `config_changed` when one says that the configuration changed; the driver then looks at
    /// the link again. (It is looked at once at the start in any case.)
    ///
    /// # Errors
    ///
    /// When the device is not a modern virtio-net device or does not come up.
    pub fn new(mut transport: T, config_changed: &'static AtomicBool) -> Result<VirtioNet<H, T>, InitError> {
        if transport.device_type() != DeviceType::Network {
            return Err(InitError::NotNetwork);
        }
        if transport.requires_legacy_layout() {
            return Err(InitError::Legacy);
        }
        let features = negotiate(&mut transport)?;
        let capabilities = capabilities(&transport, features)?;
        let queue = |transport: &mut T, index| {
            VirtQueue::new(transport, index, false, false).map_err(InitError::Queue)
        };
        let mut net = VirtioNet {
            rx: Rx {
                queue: queue(&mut transport, RX_QUEUE)?,
                memory: Memory::new(QUEUE_SIZE * BUFFER_LEN, BufferDirection::DeviceToDriver)
                    .ok_or(InitError::NoMemory)?,
                buffer_of: [None; QUEUE_SIZE],
                untold: 0,
                armed: false,
            },
            tx: Tx {
                queue: queue(&mut transport, TX_QUEUE)?,
                memory: Memory::new(TX_LEN, BufferDirection::DriverToDevice).ok_or(InitError::NoMemory)?,
                ring: Ring::new(TX_LEN),
                frame_of: [None; QUEUE_SIZE],
                untold: 0,
                starved: false,
                armed: false,
            },
            transport,
            capabilities,
            features,
            config_changed,
            link: LinkState::Up,
            drops: Drops::default(),
        };
        net.start();
        Ok(net)
    }

    fn start(&mut self) {
        self.rx.queue.set_dev_notify(false);
        self.tx.queue.set_dev_notify(false);
        for buffer in 0..QUEUE_SIZE as u16 {
            self.rx.give(buffer);
        }
        self.transport.finish_init();
        self.rx.tell(&mut self.transport);
        self.config_changed.store(true, Ordering::Relaxed);
    }

    /// Frames that were dropped by the driver.
    pub fn drops(&self) -> Drops {
        self.drops
    }

    fn is_gone(&self) -> bool {
        self.link == LinkState::Gone
    }

    /// Stops using a device that does not keep to the protocol, for good.
    fn broken(&mut self, _: Broken) {
        self.link = LinkState::Gone;
        self.transport.set_status(DeviceStatus::FAILED);
    }

    /// The next used buffers, as one frame for `sink`.
    fn next_frame(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> Result<Taken, Broken> {
        let Some(first) = self.rx.take()? else {
            return Ok(Taken::Nothing);
        };
        let total = self.buffers_of_frame(first)?;
        let mut taken = [first; PIECES_MAX];
        for at in 1..total {
            // The device makes all buffers of a frame visible at once (5.1.6.4.1).
            let next = self.rx.take()?.ok_or(Broken)?;
            match taken.get_mut(at) {
                Some(place) => *place = next,
                None => self.rx.give(next.0),
            }
        }
        let taken = &taken[..total.min(PIECES_MAX)];
        let outcome = if total > PIECES_MAX {
            self.drops.scattered += 1;
            Taken::Dropped
        } else {
            let checksum_offload = self.features.contains(Features::GUEST_CSUM);
            self.rx.hand_over(taken, checksum_offload, &mut self.drops, sink)
        };
        for &(buffer, _) in taken {
            self.rx.give(buffer);
        }
        Ok(outcome)
    }

    /// How many buffers the frame takes that starts with this one.
    fn buffers_of_frame(&self, (buffer, len): (u16, usize)) -> Result<usize, Broken> {
        if !self.features.contains(Features::MRG_RXBUF) {
            return Ok(1);
        }
        match self.rx.bytes(buffer, len).first_chunk().map(header::num_buffers) {
            // Too short for a header: it is dropped as such.
            None => Ok(1),
            Some(count @ 1..) if usize::from(count) <= QUEUE_SIZE => Ok(usize::from(count)),
            Some(_) => Err(Broken),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Frame,
    Dropped,
    Nothing,
}

fn negotiate<T: Transport>(transport: &mut T) -> Result<Features, InitError> {
    let offer = Features::from_bits_truncate(transport.read_device_features());
    let features = transport.begin_init(offer.without_orphans());
    if !features.contains(Features::VERSION_1) {
        return Err(InitError::Legacy);
    }
    if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(InitError::FeaturesRefused);
    }
    Ok(features)
}

/// Offsets in `virtio_net_config` (5.1.4).
const CONFIG_STATUS: usize = 6;
const CONFIG_MTU: usize = 10;

fn capabilities<T: Transport>(transport: &T, features: Features) -> Result<Capabilities, InitError> {
    let mut mac = Mac([0; 6]);
    if features.contains(Features::MAC) {
        for (at, byte) in mac.0.iter_mut().enumerate() {
            *byte = transport.read_config_space(at).map_err(InitError::Queue)?;
        }
    }
    if !mac.is_unicast() {
        return Err(InitError::NoMac);
    }
    let offered = if features.contains(Features::MTU) {
        Some(transport.read_config_space(CONFIG_MTU).map_err(InitError::Queue)?)
    } else {
        None
    };
    let mut capabilities = Capabilities::new(mac, usable_mtu(offered, features));
    if features.contains(Features::CSUM) {
        capabilities = capabilities.with_tx_checksum();
        let tso = |bit| if features.contains(bit) { PACKET_MAX as u32 } else { 0 };
        let (tso4, tso6) = (tso(Features::HOST_TSO4), tso(Features::HOST_TSO6));
        if tso4 | tso6 != 0 {
            capabilities = capabilities.with_tso(tso4, tso6);
        }
    }
    Ok(capabilities)
}

/// The MTU that the device advises, as far as it makes sense: below the 68 bytes that IPv4 needs
/// (RFC 791) it is ignored, and a frame must fit the buffers.
fn usable_mtu(offered: Option<u16>, features: Features) -> u16 {
    const USUAL: u16 = 1500;
    const MIN: u16 = 68;
    let room = if features.contains(Features::MRG_RXBUF) {
        PACKET_MAX - LINK_HEADER_MAX
    } else {
        BUFFER_LEN - header::LEN - LINK_HEADER_MAX
    };
    match offered {
        Some(mtu @ MIN..) => mtu.min(room as u16),
        _ => USUAL,
    }
}

impl<H: Hal> Rx<H> {
    /// Gives a buffer to the device.
    fn give(&mut self, buffer: u16) {
        let mut memory = self.memory.bytes(usize::from(buffer) * BUFFER_LEN, BUFFER_LEN);
        // SAFETY: the buffer is not with the device and nobody reads it now; from here to
        // `take`, where it leaves the queue, nobody touches it.
        let token = unsafe { self.queue.add(&[], &mut [memory.as_mut()]) };
        // There are as many descriptors as buffers, so one is free.
        if let Ok(token) = token {
            self.buffer_of[usize::from(token)] = Some(buffer);
            self.untold += 1;
        }
    }

    /// Takes the next used buffer back, with the number of bytes that the device wrote.
    fn take(&mut self) -> Result<Option<(u16, usize)>, Broken> {
        let Some(token) = self.queue.peek_used() else {
            return Ok(None);
        };
        let buffer = self.buffer_of.get_mut(usize::from(token)).and_then(Option::take).ok_or(Broken)?;
        let mut memory = self.memory.bytes(usize::from(buffer) * BUFFER_LEN, BUFFER_LEN);
        // SAFETY: the same buffer that `give` added under this token.
        let len = unsafe { self.queue.pop_used(token, &[], &mut [memory.as_mut()]) };
        let len = len.map_err(|_| Broken)? as usize;
        if len > BUFFER_LEN {
            return Err(Broken);
        }
        Ok(Some((buffer, len)))
    }

    /// What the device wrote into a buffer that was taken back.
    fn bytes(&self, buffer: u16, len: usize) -> &[u8] {
        let memory = self.memory.bytes(usize::from(buffer) * BUFFER_LEN, len);
        // SAFETY: the device gave the buffer back, and `give` needs `&mut self`.
        unsafe { memory.as_ref() }
    }

    /// Shows the frame in the buffers to `sink`, unless it is to be dropped.
    fn hand_over(
        &self,
        taken: &[(u16, usize)],
        checksum_offload: bool,
        drops: &mut Drops,
        sink: &mut dyn FnMut(RxFrame<'_>),
    ) -> Taken {
        const ETHERNET: usize = 14;
        let mut parts = [&[][..]; PIECES_MAX];
        for (part, &(buffer, len)) in parts.iter_mut().zip(taken) {
            *part = self.bytes(buffer, len);
        }
        let Some((head, frame)) = parts[0].split_first_chunk() else {
            drops.short += 1;
            return Taken::Dropped;
        };
        parts[0] = frame;
        let parts = &parts[..taken.len()];
        let bytes = Bytes::new(parts);
        if bytes.len() < ETHERNET {
            drops.short += 1;
            return Taken::Dropped;
        }
        if parts.len() > 1 && frame.len() < FIRST_PIECE_MIN {
            drops.scattered += 1;
            return Taken::Dropped;
        }
        let Some(said) = header::parse(head, checksum_offload) else {
            drops.bad_header += 1;
            return Taken::Dropped;
        };
        sink(RxFrame { bytes, checksum: said.checksum, segment_len: said.segment_len });
        Taken::Frame
    }

    /// Tells the device about new buffers, if there are any and it wants to know.
    fn tell<T: Transport>(&mut self, transport: &mut T) {
        if self.untold > 0 {
            self.untold = 0;
            notify(&self.queue, RX_QUEUE, transport);
        }
    }

    fn interrupts(&mut self, on: bool) {
        if self.armed != on {
            self.armed = on;
            self.queue.set_dev_notify(on);
        }
    }
}

impl<H: Hal> Tx<H> {
    /// Takes back what the device has sent.
    fn reclaim(&mut self) -> Result<(), Broken> {
        while let Some(token) = self.queue.peek_used() {
            let frame = self.frame_of.get_mut(usize::from(token)).and_then(Option::take).ok_or(Broken)?;
            let place = self.ring.place(usize::from(frame));
            let memory = self.memory.bytes(place.start, place.len);
            // SAFETY: the same bytes that `send` added under this token.
            let sent = unsafe { self.queue.pop_used(token, &[memory.as_ref()], &mut []) };
            sent.map_err(|_| Broken)?;
            self.ring.give(usize::from(frame));
        }
        Ok(())
    }

    /// Copies the frame into the ring and gives it to the device. False: there is no room.
    fn send(&mut self, frame: TxFrame<'_>, len: usize) -> bool {
        let Some((id, place)) = self.ring.take(header::LEN + len) else {
            return false;
        };
        let mut memory = self.memory.bytes(place.start, place.len);
        // SAFETY: the ring handed the place out to this frame alone, and the device gets it below.
        let mut rest = unsafe { memory.as_mut() };
        let head = header::emit(frame.offload, frame.header.len());
        for piece in [&head[..], frame.header].into_iter().chain(frame.payload.iter().copied()) {
            let (to, behind) = rest.split_at_mut(piece.len());
            to.copy_from_slice(piece);
            rest = behind;
        }
        // SAFETY: nobody touches the place until `reclaim` has taken the token back.
        match unsafe { self.queue.add(&[memory.as_ref()], &mut []) } {
            Ok(token) => {
                self.frame_of[usize::from(token)] = Some(id as u16);
                self.untold += 1;
                true
            }
            // There are as many descriptors as frames in the ring, so this does not happen.
            Err(_) => {
                self.ring.give(id);
                false
            }
        }
    }

    fn tell<T: Transport>(&mut self, transport: &mut T) {
        if self.untold > 0 {
            self.untold = 0;
            notify(&self.queue, TX_QUEUE, transport);
        }
    }

    fn interrupts(&mut self, on: bool) {
        if self.armed != on {
            self.armed = on;
            self.queue.set_dev_notify(on);
        }
    }
}

/// Notifies the device about what was added to the queue, if it wants to know.
fn notify<H: Hal, T: Transport>(queue: &VirtQueue<H, QUEUE_SIZE>, index: u16, transport: &mut T) {
    // The device sets its flag and then looks at the index; we have set the index and now look at
    // the flag. Without a full barrier between, both could see the old value.
    fence(Ordering::SeqCst);
    if queue.should_notify() {
        transport.notify(index);
    }
}

impl<H: Hal, T: Transport> Device for VirtioNet<H, T> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        /// New buffers are announced by the quarter of the queue, so that it never runs dry.
        const BATCH: usize = QUEUE_SIZE / 4;
        self.rx.interrupts(false);
        while !self.is_gone() {
            match self.next_frame(sink) {
                Ok(Taken::Nothing) => break,
                Ok(taken) => {
                    if self.rx.untold >= BATCH {
                        self.rx.tell(&mut self.transport);
                    }
                    if taken == Taken::Frame {
                        return true;
                    }
                }
                Err(broken) => self.broken(broken),
            }
        }
        false
    }

    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let len = frame.len();
        let packet_max = match frame.offload.segment {
            None => usize::from(self.capabilities.mtu),
            Some(request) if request.v6 => self.capabilities.tso6 as usize,
            Some(_) => self.capabilities.tso4 as usize,
        };
        if self.is_gone() || frame.is_empty() || len > packet_max + LINK_HEADER_MAX {
            return Err(TxError::Refused);
        }
        if frame.offload.checksum.is_some() && !self.capabilities.tx_checksum {
            return Err(TxError::Refused);
        }
        if self.tx.ring.count() > FRAMES / 2 || self.tx.starved {
            self.reclaim()?;
        }
        if !self.tx.send(frame, len) {
            self.reclaim()?;
            if !self.tx.send(frame, len) {
                self.tx.starved = true;
                return Err(TxError::Full);
            }
        }
        self.tx.starved = false;
        Ok(())
    }

    fn flush(&mut self) {
        if !self.is_gone() {
            self.tx.tell(&mut self.transport);
        }
    }

    fn arm(&mut self) -> bool {
        if self.is_gone() {
            return true;
        }
        self.rx.tell(&mut self.transport);
        self.tx.tell(&mut self.transport);
        self.rx.interrupts(true);
        self.tx.interrupts(self.tx.starved);
        // As in `notify`: our flags first, then a look at the device's index.
        fence(Ordering::SeqCst);
        let waiting = self.rx.queue.can_pop() || self.tx.starved && self.tx.queue.can_pop();
        !waiting
    }

    fn link(&mut self) -> LinkState {
        if self.config_changed.swap(false, Ordering::Relaxed) && !self.is_gone() {
            self.link = self.read_link();
        }
        self.link
    }
}

impl<H: Hal, T: Transport> VirtioNet<H, T> {
    fn reclaim(&mut self) -> Result<(), TxError> {
        self.tx.reclaim().map_err(|broken| {
            self.broken(broken);
            TxError::Refused
        })
    }

    fn read_link(&self) -> LinkState {
        const LINK_UP: u16 = 1;
        let status = self.transport.get_status();
        if status.contains(DeviceStatus::DEVICE_NEEDS_RESET) {
            return LinkState::Gone;
        }
        if !self.features.contains(Features::STATUS) {
            return LinkState::Up;
        }
        match self.transport.read_config_space::<u16>(CONFIG_STATUS) {
            Ok(flags) if flags & LINK_UP == 0 => LinkState::Down,
            _ => LinkState::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H216: what is useless without another feature is not taken.
    #[test]
    fn features_that_need_others_are_not_taken_alone() {
        let offer = Features::all();
        assert_eq!(offer.without_orphans(), offer);
        let no_csum = (offer - Features::CSUM).without_orphans();
        assert!(!no_csum.intersects(Features::HOST_TSO4 | Features::HOST_TSO6));
        for missing in [Features::MRG_RXBUF, Features::GUEST_CSUM] {
            let left = (offer - missing).without_orphans();
            assert!(!left.intersects(Features::GUEST_TSO4 | Features::GUEST_TSO6));
        }
    }

    /// H209: tiny, zero and huge MTUs.
    #[test]
    fn the_mtu_is_clamped() {
        let all = Features::all();
        let plain = all - Features::MRG_RXBUF;
        assert_eq!(usable_mtu(None, all), 1500);
        assert_eq!(usable_mtu(Some(0), all), 1500);
        assert_eq!(usable_mtu(Some(67), all), 1500);
        assert_eq!(usable_mtu(Some(1280), all), 1280);
        assert_eq!(usable_mtu(Some(9000), all), 9000);
        assert_eq!(usable_mtu(Some(u16::MAX), all), 65_517);
        assert_eq!(usable_mtu(Some(9000), plain), 2018);
    }
}
