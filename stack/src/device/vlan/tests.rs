//! Two machines on one cable, with a network for plain frames and one for each of two VLANs.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::*;
use crate::counters::Drop;
use crate::daemon::{Daemon, DeviceRef};
use crate::device::LinkState;
use crate::error::Error;
use crate::ip::InterfaceId;
use crate::ip::addresses::Cidr;
use crate::stack::{Limits, Stack, Storage};
use crate::time::Instant;
use crate::udp::{DatagramHandle, DatagramKind};

const T0: Instant = Instant::from_millis(10_000);
const VLANS: [VlanId; 2] = [VlanId(5), VlanId(4094)];

#[derive(Default)]
struct Wire {
    frames: [VecDeque<Vec<u8>>; 2],
    groups: Vec<Mac>,
    seen: Vec<Vec<u8>>,
    is_cut: bool,
}

/// One end of the cable.
struct End(Arc<Mutex<Wire>>, usize);

impl Device for End {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac([2, 0, 0, 0, 0, self.1 as u8]), 1500).with_tso(65_535, 65_535)
    }
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let frame = self.0.lock().unwrap().frames[self.1].pop_front();
        frame.iter().for_each(|frame| sink(RxFrame::plain(&[frame])));
        frame.is_some()
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let bytes = [frame.header, &frame.payload.concat()].concat();
        let mut wire = self.0.lock().unwrap();
        wire.seen.push(bytes.clone());
        wire.frames[1 - self.1].push_back(bytes);
        Ok(())
    }
    fn link(&mut self) -> LinkState {
        if self.0.lock().unwrap().is_cut { LinkState::Down } else { LinkState::Up }
    }
    fn set_multicast(&mut self, group: Mac, join: bool) {
        let groups = &mut self.0.lock().unwrap().groups;
        groups.retain(|g| *g != group);
        if join {
            groups.push(group);
        }
    }
}

/// A machine: its interface, and those of its VLANs, with addresses 10.0.0.x, 10.0.1.x and 10.0.2.x.
struct Machine {
    daemon: Daemon<'static>,
    interfaces: [InterfaceId; 3],
    sockets: Vec<DatagramHandle>,
}

fn address(network: usize, host: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, network as u8, host as u8 + 1], 7))
}

fn machine(wire: &Arc<Mutex<Wire>>, host: usize) -> Machine {
    let mut daemon = Daemon::new(Stack::new(Storage::heap(&Limits::default()), [host as u8; 32]));
    let parent = daemon.add_device(DeviceRef::Owned(Box::new(End(wire.clone(), host)))).unwrap();
    let [five, last] = VLANS.map(|vlan| daemon.add_vlan(parent, vlan).unwrap());
    let mut machine = Machine { daemon, interfaces: [parent, five, last], sockets: Vec::new() };
    for (network, id) in machine.interfaces.into_iter().enumerate() {
        let own = address(network, host);
        let stack = machine.daemon.stack();
        stack.add_address(id, Cidr::new(own.ip(), 24).unwrap(), T0).unwrap();
        machine.sockets.push(stack.datagram_bind(DatagramKind::Udp, own, false).unwrap());
    }
    machine
}

fn settle(machines: &mut [Machine; 2], now: Instant) {
    for _ in 0..8 {
        machines.iter_mut().for_each(|m| _ = m.daemon.turn(now));
    }
}

fn received(machine: &mut Machine, network: usize) -> Option<usize> {
    let socket = machine.sockets[network];
    let got = machine.daemon.stack().datagram_receive(socket, &mut [0; 2000], false, None);
    got.ok().map(|got| got.datagram_len)
}

/// What was dropped beside the other's announcements and reports of memberships.
fn drops(machine: &Machine) -> Vec<(Drop, u64)> {
    let all = machine.daemon.view().counters().drops_seen();
    all.filter(|(drop, _)| !matches!(drop, Drop::ArpNotForUs | Drop::Ipv6NotForUs)).collect()
}

/// I11: each network's datagrams, as long as a frame carries, go both ways with its tag and reach nobody else.
#[test]
fn vlans_over_one_device_each_have_their_own_traffic() {
    let wire = Arc::new(Mutex::new(Wire::default()));
    let mut machines = [machine(&wire, 0), machine(&wire, 1)];
    settle(&mut machines, T0);
    for from in [0, 1] {
        for network in 0..3 {
            wire.lock().unwrap().seen.clear();
            let (socket, to) = (machines[from].sockets[network], address(network, 1 - from));
            for len in [1472, 5] {
                let stack = machines[from].daemon.stack();
                stack.datagram_send(socket, Some(to), &[7; 1472][..len], None, T0).unwrap();
                settle(&mut machines, T0);
                assert_eq!(received(&mut machines[1 - from], network), Some(len), "network {network}");
            }
            let expected = [None, Some(VLANS[0]), Some(VLANS[1])][network];
            let seen = &wire.lock().unwrap().seen;
            assert!(!seen.is_empty() && seen.iter().all(|f| VlanId::of(f) == expected));
            assert_eq!(seen.iter().map(Vec::len).max(), Some(1514 + 4 * usize::from(network > 0)));
            let others = (0..3).filter(|other| *other != network);
            others.for_each(|other| assert_eq!(received(&mut machines[1 - from], other), None));
        }
    }
    assert_eq!((drops(&machines[0]), drops(&machines[1])), (vec![], vec![]));
}

/// I11: a frame of a VLAN that there is no interface for is dropped and counted, and so is a tag inside a VLAN.
#[test]
fn vlan_unknown_frame_is_dropped() {
    let wire = Arc::new(Mutex::new(Wire::default()));
    let mut machines = [machine(&wire, 0), machine(&wire, 1)];
    settle(&mut machines, T0);
    let stack = machines[0].daemon.stack();
    let socket = stack.datagram_bind(DatagramKind::Udp, "10.0.1.1:9".parse().unwrap(), false).unwrap();
    stack.datagram_send(socket, Some(address(1, 1)), b"hello", None, T0).unwrap();
    settle(&mut machines, T0);
    let frame = wire.lock().unwrap().seen.iter().rfind(|f| f.ends_with(b"hello")).cloned().unwrap();
    assert_eq!(received(&mut machines[1], 1), Some(5));
    let [mut other, mut twice] = [frame.clone(), frame.clone()];
    other[15] = 6;
    twice.splice(12..12, [0x81, 0, 0, 5]);
    for (bad, count) in [(other, 1), (twice, 2)] {
        wire.lock().unwrap().frames[1].push_back(bad);
        settle(&mut machines, T0);
        assert_eq!(drops(&machines[1]), [(Drop::EthernetType, count)]);
    }
    let mut with_priority = frame;
    with_priority[14] |= 0xe0;
    wire.lock().unwrap().frames[1].push_back(with_priority);
    settle(&mut machines, T0);
    assert_eq!(received(&mut machines[1], 1), Some(5), "a priority beside the VLAN");
}

/// A VLAN goes with its device's link, its groups stay in the filter for whoever else needs them, and what is no VLAN is
/// refused by name.
#[test]
fn vlan_shares_link_and_filter_of_its_device() {
    let wire = Arc::new(Mutex::new(Wire::default()));
    let mut machine = machine(&wire, 0);
    machine.daemon.turn(T0);
    let groups = wire.lock().unwrap().groups.clone();
    let [parent, five, _] = machine.interfaces;
    machine.daemon.remove_vlan(five, T0).unwrap();
    machine.daemon.turn(T0);
    assert_eq!((wire.lock().unwrap().groups.clone(), groups.is_empty()), (groups, false));
    let refused = |result: Result<InterfaceId, Error>| matches!(result, Err(Error::InvalidInput(_)));
    assert!(refused(machine.daemon.add_vlan(parent, VLANS[1])), "it has it");
    let last = machine.interfaces[2];
    assert!(refused(machine.daemon.add_vlan(last, VLANS[0])), "over a VLAN");
    assert_eq!(machine.daemon.remove_vlan(five, T0), Err(Error::DeviceGone));
    assert_eq!(machine.daemon.add_vlan(five, VLANS[0]), Err(Error::DeviceGone));
    assert_eq!([0, 1, 4094, 4095].map(VlanId::new).map(|v| v.is_some()), [false, true, true, false]);
    let five = machine.daemon.add_vlan(parent, VLANS[0]).unwrap();
    wire.lock().unwrap().is_cut = true;
    machine.daemon.turn(Instant::from_millis(20_000));
    for id in [parent, five, last] {
        assert!(!machine.daemon.view().interface(id).unwrap().is_link_up());
    }
}
