//! The PCI transport against a function whose capabilities and registers are the test's.

use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

use super::*;
use crate::virtio::{PciError, PciTransport, Vectors};

const FUNCTION: DeviceFunction = DeviceFunction { bus: 0, device: 3, function: 0 };
const BAR_LEN: usize = 0x4000;

/// Configuration space of one function, with one BAR of 64 bits over memory of the test.
#[derive(Clone)]
struct Config {
    words: Arc<Mutex<[u32; 64]>>,
    bar: PhysAddr,
}

/// The four structures as QEMU places them: kind, offset, length.
const LAYOUT: [(u32, u32, u32); 4] = [(1, 0, 0x38), (3, 0x1000, 4), (4, 0x2000, 12), (2, 0x3000, 8)];

impl Config {
    fn new(registers: &Registers) -> Config {
        let mut words = [0; 64];
        (words[0], words[1], words[2]) = (0x1041_1af4, 0x0010_0006, 0x0200_0001);
        (words[4], words[5], words[13]) = (registers.address() as u32 | 4, 0, 0x40);
        words[5] = (registers.address() >> 32) as u32;
        for (i, (kind, offset, len)) in LAYOUT.into_iter().enumerate() {
            let at = 0x10 + 5 * i;
            let next = if i == 3 { 0 } else { 4 * (at as u32 + 5) };
            words[at] = kind << 24 | 20 << 16 | next << 8 | 9;
            (words[at + 2], words[at + 3], words[at + 4]) = (offset, len, 4);
        }
        Config { words: Arc::new(Mutex::new(words)), bar: registers.address() }
    }

    fn set(&self, at: usize, value: u32) {
        self.words.lock().unwrap()[at / 4] = value;
    }

    fn open(&self, vectors: Option<Vectors>) -> std::result::Result<PciTransport, PciError> {
        // SAFETY: the BAR is memory of the test, which nobody else uses meanwhile.
        unsafe { PciTransport::new::<Process, _>(self.clone(), FUNCTION, vectors) }
    }
}

impl ConfigurationAccess for Config {
    fn read_word(&self, function: DeviceFunction, register: u8) -> u32 {
        if function == FUNCTION { self.words.lock().unwrap()[usize::from(register / 4)] } else { u32::MAX }
    }
    fn write_word(&mut self, _: DeviceFunction, register: u8, data: u32) {
        // The BAR of 16 KiB is asked for its size, and gets its address back.
        self.words.lock().unwrap()[usize::from(register / 4)] = match (register, data) {
            (0x10, u32::MAX) => !(BAR_LEN as u32 - 1) | 4,
            (0x10, _) => self.bar as u32 | 4,
            // Writing the command leaves the status: it has capabilities.
            (0x04, command) => 0x0010_0000 | command & 0xffff,
            (_, data) => data,
        };
    }
    unsafe fn unsafe_clone(&self) -> Config {
        self.clone()
    }
}

/// The memory behind the BAR.
struct Registers(NonNull<u8>);

impl Registers {
    fn new() -> Registers {
        let (_, start) = Process::dma_alloc(BAR_LEN / PAGE_SIZE, BufferDirection::Both);
        let registers = Registers(start);
        put(registers.address() + 0x12, 3u16);
        put(registers.address() + 0x18, 256u16);
        registers
    }
    fn address(&self) -> PhysAddr {
        self.0.as_ptr().expose_provenance() as PhysAddr
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: as it was allocated; transports on it are gone.
        unsafe { Process::dma_dealloc(0, self.0, BAR_LEN / PAGE_SIZE) };
    }
}

#[test]
fn a_queue_is_set_up_and_notified() {
    let registers = Registers::new();
    let at = registers.address();
    let vectors = Some(Vectors { config: 0, queues: 1 });
    let mut transport = Config::new(&registers).open(vectors).unwrap();
    assert_eq!(transport.device_type(), DeviceType::Network);
    assert_eq!((transport.max_queue_size(1), transport.max_queue_size(2)), (256, 0));
    transport.queue_set(1, 256, 0x1_0000_2000, 0x3000, 0x4000);
    assert!(transport.queue_used(1));
    let written = [get::<u16>(at + 0x10), get(at + 0x16), get(at + 0x1a), get(at + 0x1c)];
    assert_eq!(written, [0, 1, 1, 1]);
    assert_eq!([get::<u64>(at + 0x20), get(at + 0x28), get(at + 0x30)], [0x1_0000_2000, 0x3000, 0x4000]);
    transport.notify(1);
    // The third queue has no place to be notified at: nothing happens.
    transport.notify(2);
    assert_eq!(get::<u16>(at + 0x3000), 1);
    put(at + 0x200a, 1400u16);
    assert_eq!(transport.read_config_space::<u16>(10), Ok(1400));
    assert!(transport.read_config_space::<u16>(11).is_err(), "not aligned");
    assert!(transport.read_config_space::<u32>(12).is_err(), "outside");
    // A device that was pulled out: all ones is no status that says "stopped".
    put(at + 0x14, 0xffu8);
    assert!(!transport.get_status().is_empty());
    drop(transport);
    assert_eq!(get::<u8>(at + 0x14), 0);
}

/// H206: what the capabilities say is checked, each by the structure's name.
#[test]
fn structures_that_lie_elsewhere_are_refused() {
    let bad: [(usize, u32, PciError); 10] = [
        (0x00, 0x1041_8086, PciError::NotVirtio),
        // No common configuration, no memory, no address, no such BAR.
        (0x40, 0x0914_5409, PciError::Missing("common configuration")),
        (0x44, 3, PciError::NoAddress("common configuration")),
        (0x44, 6, PciError::BadLayout("common configuration")),
        // Too short, not aligned, outside, with a sum above 32 bits.
        (0x4c, 0x37, PciError::BadLayout("common configuration")),
        (0x48, 2, PciError::BadLayout("common configuration")),
        (0x84, u32::MAX, PciError::BadLayout("notification registers")),
        (0x88, u32::MAX, PciError::BadLayout("notification registers")),
        (0x70, BAR_LEN as u32 - 11, PciError::BadLayout("device configuration")),
        // A list of capabilities that goes round without the one that is looked for.
        (0x7c, 0x0514_4009, PciError::Missing("notification registers")),
    ];
    for (at, value, why) in bad {
        let registers = Registers::new();
        let config = Config::new(&registers);
        config.set(at, value);
        assert_eq!(config.open(None).err(), Some(why), "{at:#x}");
    }
}

#[test]
fn a_doorbell_outside_its_structure_is_refused() {
    let registers = Registers::new();
    put(registers.address() + 0x1e, 2u16);
    let why = Config::new(&registers).open(None).err();
    assert_eq!(why, Some(PciError::BadLayout("notification registers")));
}
