//! The driver against a device in memory that does what the test says, right or wrong.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use barenet::device::{ChecksumRequest, Device, LinkState, RxChecksum, RxFrame, SegmentRequest};
use barenet::device::{TxError, TxFrame, TxOffload};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{BufferHal, DmaTransport, Drops, InitError, VirtioNet};

mod pci;
mod start;

/// Memory of this process; physical addresses are its pointers. A test has one thread, so what is
/// kept here is kept per test.
struct Process;

/// What is allocated, how many more allocations succeed, and the devices that know of memory.
#[derive(Default)]
struct Machine {
    allocated: Vec<(NonNull<u8>, usize)>,
    refused_from: Option<usize>,
    devices: Vec<Fake>,
}

thread_local! {
    static MACHINE: RefCell<Machine> = RefCell::default();
}

fn machine<R>(body: impl FnOnce(&mut Machine) -> R) -> R {
    MACHINE.with_borrow_mut(body)
}

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).unwrap()
}

// SAFETY: fresh zeroed pages, given back with their layout.
unsafe impl Hal for Process {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        if machine(|m| m.refused_from.is_some_and(|most| m.allocated.len() >= most)) {
            return (0, NonNull::dangling());
        }
        // SAFETY: no caller asks for zero pages.
        let start = NonNull::new(unsafe { alloc_zeroed(layout(pages)) }).unwrap();
        machine(|m| m.allocated.push((start, pages)));
        (start.as_ptr().expose_provenance() as PhysAddr, start)
    }
    unsafe fn dma_dealloc(_: PhysAddr, start: NonNull<u8>, pages: usize) -> i32 {
        let freed = start.addr().get()..start.addr().get() + pages * PAGE_SIZE;
        machine(|m| {
            assert!(!m.devices.iter().any(|d| d.may_touch(&freed)), "freed under a running device");
            m.allocated.retain(|&(at, _)| at != start);
        });
        // SAFETY: the caller gives back what `dma_alloc` gave.
        unsafe { dealloc(start.as_ptr(), layout(pages)) };
        0
    }
    unsafe fn mmio_phys_to_virt(physical: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(pointer(physical)).unwrap()
    }
    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        unreachable!("the driver shares no memory but DMA memory: {buffer:?}")
    }
    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

// SAFETY: as above; they are filled.
unsafe impl BufferHal for Process {
    /// With anything in it, as a heap gives it.
    fn buffer_alloc(pages: usize, direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let (address, start) = Self::dma_alloc(pages, direction);
        if address != 0 {
            // SAFETY: so many bytes were allocated just now.
            unsafe { start.write_bytes(0xa5, pages * PAGE_SIZE) };
        }
        (address, start)
    }
}

const SIZE: u16 = 256;
const CSUM: u64 = 1 << 0;
const GUEST_CSUM: u64 = 1 << 1;
const MTU: u64 = 1 << 3;
const MAC: u64 = 1 << 5;
const GUEST_TSO: u64 = 3 << 7;
const HOST_TSO: u64 = 3 << 11;
const MRG_RXBUF: u64 = 1 << 15;
const STATUS: u64 = 1 << 16;
const VERSION_1: u64 = 1 << 32;
const ACCESS_PLATFORM: u64 = 1 << 33;
const ALL: u64 =
    CSUM | GUEST_CSUM | MTU | MAC | GUEST_TSO | HOST_TSO | MRG_RXBUF | STATUS | VERSION_1 | ACCESS_PLATFORM;

/// The device's side of one queue.
#[derive(Clone, Copy, Default)]
struct Queue {
    descriptors: u64,
    avail: u64,
    used: u64,
    /// Buffers that the device has taken from the available ring, and used ones that it returned.
    taken: u16,
    returned: u16,
    notified: usize,
}

#[derive(Default)]
struct Registers {
    offer: u64,
    accepted: u64,
    status: u32,
    config: [u8; 12],
    queues: [Queue; 2],
    /// Queues that the device has.
    queue_count: u16,
    /// A reset stops nothing.
    stuck: bool,
    /// It takes no features.
    refuses: bool,
    /// How often the driver asked what is offered.
    offers: usize,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Registers>>);

impl Fake {
    fn new(offer: u64) -> Fake {
        let fake = Fake::default();
        let mut registers = fake.0.lock().unwrap();
        registers.offer = offer;
        registers.queue_count = 2;
        registers.config = [2, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0x78, 5];
        drop(registers);
        machine(|m| m.devices.push(fake.clone()));
        fake
    }

    /// Was the device told of memory in this range, and not stopped since?
    fn may_touch(&self, range: &Range<usize>) -> bool {
        let registers = self.0.lock().unwrap();
        let areas = registers.queues.iter().flat_map(|q| [q.descriptors, q.avail, q.used]);
        areas.into_iter().any(|area| range.contains(&(area as usize)))
    }

    fn start(&self) -> Net {
        VirtioNet::new(self.clone(), Box::leak(Box::default())).unwrap()
    }

    fn queue(&self, queue: usize) -> Queue {
        self.0.lock().unwrap().queues[queue]
    }

    fn update(&self, queue: usize, change: impl FnOnce(&mut Queue)) {
        change(&mut self.0.lock().unwrap().queues[queue]);
    }

    fn notified(&self, queue: usize) -> usize {
        self.queue(queue).notified
    }

    /// Takes the next available buffer: descriptor, address and length.
    fn take(&self, queue: usize) -> Option<(u16, u64, u32)> {
        let q = self.queue(queue);
        let index: u16 = get(q.avail + 2);
        if index == q.taken {
            return None;
        }
        let head: u16 = get(q.avail + 4 + 2 * u64::from(q.taken % SIZE));
        let at = q.descriptors + 16 * u64::from(head);
        self.update(queue, |q| q.taken = q.taken.wrapping_add(1));
        Some((head, get(at), get(at + 8)))
    }

    /// Returns an element through the used ring, whatever it says.
    fn give(&self, queue: usize, id: u32, len: u32) {
        let q = self.queue(queue);
        let at = q.used + 4 + 8 * u64::from(q.returned % SIZE);
        put(at, id);
        put(at + 4, len);
        put(q.used + 2, q.returned.wrapping_add(1));
        self.update(queue, |q| q.returned = q.returned.wrapping_add(1));
    }

    fn driver_wants_interrupts(&self, queue: usize) -> bool {
        get::<u16>(self.queue(queue).avail) & 1 == 0
    }

    fn suppress_notifications(&self, queue: usize) {
        put(self.queue(queue).used, 1u16);
    }

    /// Writes `header` and `frame` over as many buffers of `piece` bytes as it takes.
    fn deliver(&self, header: [u8; 12], frame: &[u8], piece: usize) {
        let bytes = [&header, frame].concat();
        for part in bytes.chunks(piece) {
            let (head, address, room) = self.take(0).expect("a receive buffer");
            assert!(part.len() <= room as usize);
            write(address, part);
            self.give(0, u32::from(head), part.len() as u32);
        }
    }

    /// The next frame that the driver sent, with its virtio header; its buffer is not returned.
    fn sent(&self) -> Option<(u16, Vec<u8>)> {
        let (head, address, len) = self.take(1)?;
        let mut bytes = vec![0; len as usize];
        // SAFETY: the driver lent these bytes to the device.
        unsafe { pointer(address).copy_to(bytes.as_mut_ptr(), bytes.len()) };
        Some((head, bytes))
    }

    /// Sends everything that the driver has queued. Gives the number of frames.
    fn send_all(&self) -> usize {
        let heads = std::iter::from_fn(|| self.sent()).map(|(head, _)| head);
        heads.inspect(|&head| self.give(1, u32::from(head), 0)).count()
    }
}

fn pointer(address: u64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address as usize)
}

fn get<T: Copy>(address: u64) -> T {
    // SAFETY: ring memory that the driver gave to the device, aligned for the field.
    unsafe { pointer(address).cast::<T>().read_volatile() }
}

fn put<T: Copy>(address: u64, value: T) {
    // SAFETY: as for `get`; one thread.
    unsafe { pointer(address).cast::<T>().write_volatile(value) }
}

fn write(address: u64, bytes: &[u8]) {
    // SAFETY: a receive buffer that the driver lent to the device, at least as long.
    unsafe { pointer(address).copy_from(bytes.as_ptr(), bytes.len()) }
}

impl Transport for Fake {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }
    fn read_device_features(&mut self) -> u64 {
        let mut registers = self.0.lock().unwrap();
        registers.offers += 1;
        registers.offer
    }
    fn write_driver_features(&mut self, features: u64) {
        self.0.lock().unwrap().accepted = features;
    }
    fn max_queue_size(&mut self, queue: u16) -> u32 {
        if queue < self.0.lock().unwrap().queue_count { SIZE.into() } else { 0 }
    }
    fn notify(&mut self, queue: u16) {
        self.update(queue.into(), |q| q.notified += 1);
    }
    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(self.0.lock().unwrap().status)
    }
    fn set_status(&mut self, status: DeviceStatus) {
        let mut registers = self.0.lock().unwrap();
        if status.is_empty() {
            if registers.stuck {
                return;
            }
            registers.queues = Default::default();
        }
        let refused = registers.refuses && status.contains(DeviceStatus::FEATURES_OK);
        registers.status = status.bits() & !if refused { DeviceStatus::FEATURES_OK.bits() } else { 0 };
    }
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, queue: u16, _: u32, descriptors: u64, avail: u64, used: u64) {
        self.update(queue.into(), |q| *q = Queue { descriptors, avail, used, ..Queue::default() });
    }
    fn queue_unset(&mut self, _: u16) {}
    fn queue_used(&mut self, queue: u16) -> bool {
        self.queue(queue.into()).used != 0
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn read_config_generation(&self) -> u32 {
        0
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let registers = self.0.lock().unwrap();
        Ok(T::read_from_prefix(&registers.config[offset..]).unwrap().0)
    }
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> Result<()> {
        unreachable!("the driver writes no configuration")
    }
}

// SAFETY: there is no device but the test, which touches memory by these addresses while the driver
// is alive.
unsafe impl DmaTransport for Fake {}

type Net = VirtioNet<Process, Fake>;

fn frame(header: &[u8]) -> TxFrame<'_> {
    TxFrame { header, payload: &[], offload: TxOffload::default() }
}

fn header(flags: u8, gso: u8, gso_size: u16, num_buffers: u16) -> [u8; 12] {
    let [s0, s1] = gso_size.to_le_bytes();
    let [n0, n1] = num_buffers.to_le_bytes();
    [flags, gso, 0, 0, s0, s1, 0, 0, 0, 0, n0, n1]
}

/// What `receive` showed: the bytes, how many pieces, the state of the checksum, segments.
type Received = (Vec<u8>, usize, RxChecksum, Option<u16>);

fn receive(net: &mut Net) -> Option<Received> {
    let mut got = None;
    let any = net.receive(&mut |frame: RxFrame<'_>| {
        let bytes = frame.bytes.chunks().collect::<Vec<_>>();
        got = Some((bytes.concat(), bytes.len(), frame.checksum, frame.segment_len));
    });
    assert_eq!(any, got.is_some());
    got
}

#[test]
fn what_is_offered_and_of_use_is_taken() {
    let fake = Fake::new(ALL | 1 << 17 | 1 << 29);
    let capabilities = fake.start().capabilities();
    let agreed = fake.0.lock().map(|r| (r.accepted, r.offers)).unwrap();
    // No control queue and no event index; and what is offered can't change under the rules.
    assert_eq!(agreed, (ALL, 1));
    assert_eq!(capabilities.mac.0, [2, 0, 0, 0, 0, 1]);
    assert_eq!((capabilities.mtu, capabilities.tso4, capabilities.tso6), (1400, 65_535, 65_535));
    let plain = Fake::new(MAC | VERSION_1).start().capabilities();
    assert_eq!((plain.mtu, plain.tx_checksum, plain.tso4), (1500, false, 0));
}

#[test]
fn a_device_that_can_not_be_used_is_refused() {
    let refused = |offer| VirtioNet::<Process, _>::new(Fake::new(offer), Box::leak(Box::default())).err();
    assert_eq!(refused(MAC), Some(InitError::Legacy));
    assert_eq!(refused(VERSION_1), Some(InitError::NoMac));
    let fake = Fake::new(ALL);
    // H215: a group's address.
    fake.0.lock().unwrap().config[0] = 1;
    let refused = VirtioNet::<Process, _>::new(fake, Box::leak(Box::default())).err();
    assert_eq!(refused, Some(InitError::NoMac));
}

#[test]
fn a_batch_costs_one_notification() {
    let fake = Fake::new(ALL);
    let mut net = fake.start();
    let offload = TxOffload {
        checksum: Some(ChecksumRequest { start: 34, offset: 16 }),
        segment: Some(SegmentRequest { v6: false, udp: false, segment_len: 1448 }),
    };
    let payload = vec![7; 60_000];
    let pieces: [&[u8]; 2] = [&payload[..1], &payload[1..]];
    assert_eq!(net.transmit(TxFrame { header: &[9; 54], payload: &pieces, offload }), Ok(()));
    assert_eq!(net.transmit(frame(&[1; 60])), Ok(()));
    assert_eq!(fake.notified(1), 0);
    net.flush();
    net.flush();
    assert_eq!(fake.notified(1), 1);
    let (_, first) = fake.sent().unwrap();
    assert_eq!(first[..12], [1, 1, 54, 0, 0xa8, 5, 34, 0, 16, 0, 0, 0]);
    assert!(first[12..66] == [9; 54] && first[66..] == payload[..]);
    let (_, second) = fake.sent().unwrap();
    assert!(second[..12] == [0; 12] && second[12..] == [1; 60]);
    fake.suppress_notifications(1);
    net.transmit(frame(&[1; 60])).unwrap();
    net.flush();
    assert_eq!(fake.notified(1), 1);
}

/// H193: a full queue asks for an interrupt, and goes on when there is room.
#[test]
fn a_full_queue_tells_when_there_is_room() {
    let fake = Fake::new(ALL);
    let mut net = fake.start();
    let sent = (0..).take_while(|_| net.transmit(frame(&[1; 60])) == Ok(())).count();
    assert_eq!(sent, usize::from(SIZE));
    net.flush();
    assert!(net.arm() && fake.driver_wants_interrupts(1));
    assert_eq!(fake.send_all(), sent);
    assert!(!net.arm(), "room has appeared already");
    assert_eq!(net.transmit(frame(&[1; 60])), Ok(()));
    assert!(net.arm() && !fake.driver_wants_interrupts(1), "no interrupts for sent frames");
}

/// Buffers come back and are used again, across wraps of the 16-bit indices.
#[test]
fn the_queue_goes_round() {
    let fake = Fake::new(ALL);
    let mut net = fake.start();
    let mut sent = 0;
    // Miri does not go round: it has seen each kind of access by then.
    let rounds = if cfg!(miri) { 20 } else { 2000 };
    for round in 0..rounds {
        let frames = 1 + round % 97;
        (0..frames).for_each(|_| net.transmit(frame(&[1; 1400])).unwrap());
        net.flush();
        assert_eq!(fake.send_all(), frames);
        sent += frames;
    }
    assert!(cfg!(miri) || sent > 1 << 16);
    for round in 0..35 * rounds as u32 {
        fake.deliver(header(0, 0, 0, 1), &round.to_le_bytes().repeat(5), 2048);
        assert_eq!(receive(&mut net).unwrap().0[..4], round.to_le_bytes());
    }
    assert!(fake.notified(0) <= 35 * rounds / 60, "told about new buffers in batches");
}

#[test]
fn a_frame_larger_than_the_limits_is_refused() {
    let mut net = Fake::new(ALL).start();
    assert_eq!(net.transmit(frame(&[0; 1419])), Err(TxError::Refused));
    assert_eq!(net.transmit(frame(&[])), Err(TxError::Refused));
    let mut plain = Fake::new(MAC | VERSION_1).start();
    let checksum = Some(ChecksumRequest { start: 34, offset: 16 });
    let offload = TxOffload { checksum, segment: None };
    let wish = TxFrame { header: &[0; 60], payload: &[], offload };
    assert_eq!(plain.transmit(wish), Err(TxError::Refused));
}

/// H216, H217: merged frames in several buffers, each with its own checksum state.
#[test]
fn merged_frames_are_read_in_place() {
    let fake = Fake::new(ALL);
    let mut net = fake.start();
    assert_eq!(receive(&mut net), None);
    let frame: Vec<u8> = (0..65_000u32).map(|i| (i % 251) as u8).collect();
    let pieces = (frame.len() + 12).div_ceil(2048);
    fake.deliver(header(1, 1, 1448, pieces as u16), &frame, 2048);
    fake.deliver(header(0, 0, 0, 1), &frame[..60], 2048);
    fake.deliver(header(2, 0, 0, 1), &frame[..60], 2048);
    assert_eq!(receive(&mut net), Some((frame.clone(), pieces, RxChecksum::Valid, Some(1448))));
    assert_eq!(receive(&mut net), Some((frame[..60].into(), 1, RxChecksum::Unchecked, None)));
    assert_eq!(receive(&mut net).unwrap().2, RxChecksum::Valid);
    assert_eq!(receive(&mut net), None);
    assert_eq!((net.link(), net.drops()), (LinkState::Up, Drops::default()));
}

#[test]
fn a_frame_between_the_last_look_and_sleep_is_seen() {
    let fake = Fake::new(ALL);
    let mut net = fake.start();
    assert!(!fake.driver_wants_interrupts(0));
    assert!(net.arm() && fake.driver_wants_interrupts(0));
    fake.deliver(header(0, 0, 0, 1), &[0; 60], 2048);
    assert!(!net.arm());
    assert!(receive(&mut net).is_some() && !fake.driver_wants_interrupts(0));
}

/// H201: frames that make no sense are counted, and the next one is taken.
#[test]
fn senseless_frames_are_dropped_by_name() {
    let fake = Fake::new(ALL);
    let mut net = fake.start();
    fake.deliver(header(0, 0, 0, 1), &[0; 13], 2048);
    let (head, ..) = fake.take(0).unwrap();
    fake.give(0, head.into(), 3);
    fake.deliver(header(0, 3, 100, 1), &[0; 60], 2048);
    fake.deliver(header(0, 1, 0, 1), &[0; 60], 2048);
    fake.deliver(header(0, 0, 0, 40), &[0; 39 * 2048 + 1], 2048);
    fake.deliver(header(0, 0, 0, 7), &[0; 68], 12);
    fake.deliver(header(0, 0, 0, 1), &[5; 60], 2048);
    assert_eq!(receive(&mut net).unwrap().0, [5; 60]);
    assert_eq!(net.drops(), Drops { short: 2, bad_header: 2, scattered: 2 });
    assert_eq!(net.link(), LinkState::Up);
}

/// H201, H198: a device that breaks the protocol of its queues, or names lengths that wrap, is not used any more.
#[test]
fn a_device_that_lies_is_gone() {
    let lies: [&dyn Fn(&Fake); 8] = [
        // A buffer that does not exist, one that was not lent, one twice.
        &|fake| fake.give(0, 256, 60),
        &|fake| fake.give(0, u32::MAX, 60),
        &|fake| fake.give(0, 0x1_0007, 60),
        &|fake| (0..2).for_each(|_| fake.give(0, 7, 60)),
        // More than the buffer holds.
        &|fake| fake.give(0, 7, 2049),
        // A frame in no buffer, in more than there are, in more than were returned.
        &|fake| fake.deliver(header(0, 0, 0, 0), &[0; 60], 2048),
        &|fake| fake.deliver(header(0, 0, 0, 257), &[0; 60], 2048),
        &|fake| fake.deliver(header(0, 0, 0, 2), &[0; 60], 2048),
    ];
    for (which, lie) in lies.iter().enumerate() {
        let fake = Fake::new(ALL);
        let mut net = fake.start();
        lie(&fake);
        let frames = (0..300).filter(|_| receive(&mut net).is_some()).count();
        assert!(frames <= 1, "lie {which}");
        assert_eq!(net.link(), LinkState::Gone, "lie {which}");
        assert_eq!(net.transmit(frame(&[1; 60])), Err(TxError::Refused));
        net.flush();
        assert!(net.arm());
    }
    let fake = Fake::new(ALL);
    let mut net = fake.start();
    (0..200).for_each(|_| net.transmit(frame(&[1; 60])).unwrap());
    fake.give(1, 201, 0);
    assert_eq!(net.transmit(frame(&[1; 60])), Err(TxError::Refused));
    assert_eq!(net.link(), LinkState::Gone);
}

/// Fewer under Miri, which takes a minute for one.
const SEEDS: u64 = if cfg!(miri) { 3 } else { 1000 };

/// H201: whatever the device writes into ring and buffers, nothing panics or hangs.
#[test]
fn random_devices_do_no_harm() {
    for seed in 0..SEEDS {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let fake = Fake::new(if random(2) == 0 { ALL } else { MAC | GUEST_CSUM | VERSION_1 });
        let mut net = fake.start();
        let mut lent = VecDeque::new();
        for _ in 0..100 {
            lent.extend(fake.take(0));
            match random(12) {
                0 => fake.give(random(2) as usize, random(300) as u32, random(3000) as u32),
                1 => drop(fake.send_all()),
                2..8 => {
                    let Some((head, address, _)) = lent.pop_front() else { continue };
                    let mut bytes: Vec<u8> = (0..80).map(|_| random(256) as u8).collect();
                    bytes[10] = random(4) as u8;
                    bytes[11] = 0;
                    write(address, &bytes);
                    fake.give(0, head.into(), random(2049) as u32);
                }
                8 => drop(net.transmit(frame(&[3; 60]))),
                9 => drop(net.arm()),
                _ => drop(receive(&mut net)),
            }
        }
        while receive(&mut net).is_some() {}
    }
}

/// H185: the link is looked at when the device says that it changed, and only then.
#[test]
fn a_cable_that_is_pulled_is_noticed() {
    let fake = Fake::new(ALL);
    let changed: &'static AtomicBool = Box::leak(Box::default());
    let mut net = Net::new(fake.clone(), changed).unwrap();
    assert_eq!(net.link(), LinkState::Up);
    fake.0.lock().unwrap().config[6] = 0;
    assert_eq!(net.link(), LinkState::Up);
    changed.store(true, Ordering::Relaxed);
    assert_eq!((net.link(), net.link()), (LinkState::Down, LinkState::Down));
    fake.0.lock().unwrap().status |= 64;
    changed.store(true, Ordering::Relaxed);
    assert_eq!(net.link(), LinkState::Gone);
}
