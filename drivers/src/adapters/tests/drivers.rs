//! Foreign drivers under our stack: one device that speaks both traits.

use super::*;
use crate::adapters::embassy::EmbassyDevice;
use crate::adapters::smoltcp::{Events, SmoltcpDevice};

/// A driver with `room` places for frames; tokens take what they are for when they are consumed.
struct Driver {
    incoming: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    room: usize,
    offloads: bool,
    waker: Option<Waker>,
    is_ethernet: bool,
}

fn driver(offloads: bool) -> Driver {
    Driver { incoming: VecDeque::new(), sent: Vec::new(), room: 9, offloads, waker: None, is_ethernet: true }
}

struct Frame(Vec<u8>);
struct Room<'a>(&'a mut Driver);

impl embassy_net_driver::RxToken for Frame {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, f: F) -> R {
        f(&mut self.0)
    }
}

impl ::smoltcp::phy::RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl Room<'_> {
    fn take<R>(self, len: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = vec![0xee; len];
        let result = f(&mut frame);
        self.0.sent.push(frame);
        self.0.room -= 1;
        result
    }
}

impl embassy_net_driver::TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.take(len, f)
    }
}

impl ::smoltcp::phy::TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.take(len, f)
    }
}

impl embassy_net_driver::Driver for Driver {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Frame, Room<'_>)> {
        self.waker = Some(cx.waker().clone());
        let frame = self.incoming.pop_front()?;
        Some((Frame(frame), Room(self)))
    }
    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Room<'_>> {
        self.waker = Some(cx.waker().clone());
        (self.room > 0).then_some(Room(self))
    }
    fn link_state(&mut self, _cx: &mut Context<'_>) -> embassy_net_driver::LinkState {
        match self.room {
            0 => embassy_net_driver::LinkState::Down,
            _ => embassy_net_driver::LinkState::Up,
        }
    }
    fn capabilities(&self) -> embassy_net_driver::Capabilities {
        let mut capabilities = embassy_net_driver::Capabilities::default();
        capabilities.max_transmission_unit = 1514;
        if self.offloads {
            let sums = &mut capabilities.checksum;
            (sums.tcp, sums.udp) = (embassy_net_driver::Checksum::Rx, embassy_net_driver::Checksum::None);
        }
        capabilities
    }
    fn hardware_address(&self) -> embassy_net_driver::HardwareAddress {
        match self.is_ethernet {
            true => embassy_net_driver::HardwareAddress::Ethernet([2, 0, 0, 0, 0, 1]),
            false => embassy_net_driver::HardwareAddress::Ip,
        }
    }
}

impl ::smoltcp::phy::Device for Driver {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, now: ::smoltcp::time::Instant) -> Option<(Frame, Room<'_>)> {
        assert_eq!(now.total_micros(), 7_000_000);
        let frame = self.incoming.pop_front()?;
        Some((Frame(frame), Room(self)))
    }
    fn transmit(&mut self, _now: ::smoltcp::time::Instant) -> Option<Room<'_>> {
        (self.room > 0).then_some(Room(self))
    }
    fn capabilities(&self) -> ::smoltcp::phy::DeviceCapabilities {
        let mut capabilities = ::smoltcp::phy::DeviceCapabilities::default();
        capabilities.medium = ::smoltcp::phy::Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        if self.offloads {
            let none = ::smoltcp::phy::Checksum::None;
            let sums = &mut capabilities.checksum;
            (sums.tcp, sums.udp, sums.icmpv4, sums.icmpv6) = (none, none, none, none);
        }
        capabilities
    }
}

/// A frame with a payload in two pieces and a checksum that the device is asked for.
fn transmit(device: &mut impl Device, payload: &[&[u8]]) -> Result<(), TxError> {
    let checksum = device.capabilities().tx_checksum.then_some(ChecksumRequest { start: 14, offset: 6 });
    let header = [7; 42];
    device.transmit(TxFrame { header: &header, payload, offload: TxOffload { checksum, segment: None } })
}

/// What both adapters do with a driver whose capabilities say that it does `offloads`.
fn works_both_ways(device: &mut impl Device, offloads: bool, checksum: RxChecksum) {
    let capabilities = device.capabilities();
    assert_eq!((capabilities.mac, capabilities.mtu), (Mac([2, 0, 0, 0, 0, 1]), 1500));
    assert_eq!((capabilities.tx_checksum, capabilities.tso4), (offloads, 0));
    let mut seen = Vec::new();
    assert!(!device.arm(), "nobody has looked yet");
    while device.receive(&mut |frame| {
        seen.push((frame.bytes.chunks().flatten().copied().collect::<Vec<_>>(), frame.checksum))
    }) {
        assert!(!device.arm(), "there may be more");
    }
    assert_eq!(seen, [(vec![1; 60], checksum), (vec![2; 60], checksum)]);
    assert_eq!(transmit(device, &[&[8; 3], &[9; 4]]), Ok(()));
    assert_eq!(transmit(device, &[&[0; 1473]]), Err(TxError::Refused), "longer than the MTU");
    assert_eq!(transmit(device, &[&[8; 1472]]), Ok(()));
    assert_eq!(transmit(device, &[]), Err(TxError::Full));
}

fn expect_sent(sent: &[Vec<u8>], offloads: bool) {
    let mut first = [&[7; 42][..], &[8; 3], &[9; 4]].concat();
    if offloads {
        first[20..22].fill(0);
    }
    assert_eq!((sent.len(), &sent[0], sent[1].len()), (2, &first, 1514));
}

fn loaded(offloads: bool) -> Driver {
    Driver { incoming: [vec![1; 60], vec![2; 60]].into(), room: 2, ..driver(offloads) }
}

#[test]
fn embassy_driver_under_our_stack_moves_frames_both_ways() {
    for offloads in [false, true] {
        let (machine, mut driver) = (machine(), loaded(offloads));
        // What is verified is for transport protocols together: this driver verifies UDP alone.
        let mut device = EmbassyDevice::new(&mut driver, waker(machine)).unwrap();
        works_both_ways(&mut device, offloads, RxChecksum::Unchecked);
        assert!(device.arm(), "the driver has the waker");
        assert_eq!(device.link(), barenet::device::LinkState::Down);
        drop(device);
        driver.waker.take().unwrap().wake();
        assert_eq!(machine.wakes.load(SeqCst), 1);
        expect_sent(&driver.sent, offloads);
    }
    let mut other = Driver { is_ethernet: false, ..driver(false) };
    assert_eq!(EmbassyDevice::new(&mut other, waker(machine())).err(), Some(NotEthernet));
}

#[test]
fn smoltcp_device_under_our_stack_moves_frames_both_ways() {
    let machine = machine();
    machine.now.store(7_000_000, SeqCst);
    for (offloads, checksum) in [(false, RxChecksum::Unchecked), (true, RxChecksum::Valid)] {
        for events in [Events::Polled, Events::Wake] {
            let mut device =
                SmoltcpDevice::new(loaded(offloads), Mac([2, 0, 0, 0, 0, 1]), machine, events).unwrap();
            works_both_ways(&mut device, offloads, checksum);
            assert_eq!(device.arm(), events == Events::Wake, "nobody else would wake it");
            expect_sent(&device.device().sent, offloads);
        }
    }
}
