//! One turn of the loop: what the devices have goes into the stack, what the stack has goes to
//! the devices.

#[cfg(feature = "alloc")]
use alloc::boxed::Box;

#[cfg(feature = "vlan")]
use crate::device::vlan::{self, VlanId};
use crate::device::{Device, LinkState, RxFrame};
use crate::error::Error;
use crate::ip::INTERFACES_MAX;
use crate::ip::InterfaceId;
use crate::stack::{Devices, Stack};
use crate::time::{Duration, Instant};

/// Frames that one turn takes from one device, so that timers, sending and the caller get their
/// turn however fast frames arrive (H183).
const INGRESS_BUDGET: usize = 64;
/// How often a device is asked about its link: asking may cost a register access.
const LINK_INTERVAL: Duration = Duration::from_millis(100);

/// A device that the daemon drives: the caller's, or its own.
pub enum DeviceRef<'a> {
    /// Lent by the caller.
    Borrowed(&'a mut (dyn Device + Send)),
    /// Owned.
    #[cfg(feature = "alloc")]
    Owned(Box<dyn Device + Send + 'a>),
}

impl DeviceRef<'_> {
    fn get(&mut self) -> &mut dyn Device {
        match self {
            DeviceRef::Borrowed(device) => *device,
            #[cfg(feature = "alloc")]
            DeviceRef::Owned(device) => &mut **device,
        }
    }
}

struct Port<'a> {
    id: InterfaceId,
    device: DeviceRef<'a>,
    is_loopback: bool,
    is_up: bool,
}

/// An interface that shares the device of another.
#[cfg(feature = "vlan")]
#[derive(Clone, Copy)]
struct Vlan {
    id: InterfaceId,
    /// The interface that has the device.
    parent: InterfaceId,
    number: VlanId,
}

type Ports<'a> = heapless::Vec<Port<'a>, INTERFACES_MAX>;

impl Devices for Ports<'_> {
    /// Not the loopback's: what it is given comes in again, and that takes a turn.
    fn device(&mut self, interface: InterfaceId) -> Option<&mut dyn Device> {
        let port = self.iter_mut().find(|port| port.id == interface && !port.is_loopback)?;
        Some(port.device.get())
    }
}

/// A stack and its devices.
pub struct Daemon<'a> {
    stack: Stack<'a>,
    ports: Ports<'a>,
    #[cfg(feature = "vlan")]
    vlans: heapless::Vec<Vlan, INTERFACES_MAX>,
    link_checked: Instant,
    device_gone: bool,
    /// When who turns the daemon wakes up by itself, if it sleeps.
    pub(crate) sleeps_until: Instant,
    /// What the machine's clock read last, and how far the stack's time is ahead of it.
    read: Instant,
    ahead: Duration,
}

/// A clock that reads so much less than before was set back. Less than that is what the clocks of two
/// processors differ by, and is waited for.
const STEP: Duration = Duration::from_millis(100);

/// What time is ahead of the clock is a multiple of so many microseconds: a power of two, since a division of 64 bits is long on
/// small processors.
pub(crate) const AHEAD_UNIT: u64 = 1024;

impl<'a> Daemon<'a> {
    /// A daemon for an [empty](Stack::empty) stack: for a static. [`Stack::start`] gives it memory.
    pub const fn empty() -> Self {
        Daemon::new(Stack::empty())
    }

    /// A daemon for a stack that has no interface yet.
    pub const fn new(stack: Stack<'a>) -> Self {
        Daemon {
            stack,
            ports: heapless::Vec::new(),
            #[cfg(feature = "vlan")]
            vlans: heapless::Vec::new(),
            link_checked: Instant::ZERO,
            device_gone: false,
            sleeps_until: Instant::ZERO,
            read: Instant::ZERO,
            ahead: Duration::ZERO,
        }
    }

    /// The stack's time when the machine's clock reads `reading`: the only place that asks. It never goes
    /// back, and does not wait for a clock that was set back, or every timer would.
    pub(crate) fn clock(&mut self, reading: Instant) -> Instant {
        let back = self.read.since(reading);
        if back < STEP {
            self.read = self.read.max(reading);
        } else {
            // In units, so that it fits into a word.
            self.ahead = self.ahead + Duration::from_micros(back.micros().next_multiple_of(AHEAD_UNIT));
            self.read = reading;
        }
        self.read + self.ahead
    }

    /// How far the stack's time is ahead of the machine's clock, because that was set back.
    pub(crate) fn ahead(&self) -> Duration {
        self.ahead
    }

    /// Adds an interface for a device.
    pub fn add_device(&mut self, device: DeviceRef<'a>) -> Result<InterfaceId, Error> {
        self.add_port(device, false)
    }

    /// Adds the loopback interface.
    pub fn add_loopback(&mut self, device: DeviceRef<'a>) -> Result<InterfaceId, Error> {
        self.add_port(device, true)
    }

    fn add_port(&mut self, mut device: DeviceRef<'a>, is_loopback: bool) -> Result<InterfaceId, Error> {
        let capabilities = device.get().capabilities();
        let id = match is_loopback {
            true => self.stack.add_loopback(capabilities)?,
            false => self.stack.add_interface(capabilities)?,
        };
        let is_up = device.get().link() == LinkState::Up;
        if !is_up {
            // It exists.
            let _ = self.stack.link_down(id, Instant::ZERO);
        }
        // The stack has counted its interfaces against the same number.
        let _ = self.ports.push(Port { id, device, is_loopback, is_up });
        Ok(id)
    }

    /// Adds an interface for a VLAN over the device of another interface: what comes with its tag is for the new
    /// one, and what it sends bears the tag. Link and hardware address are those of the device.
    ///
    /// [`Error::DeviceGone`]: there is no such interface. [`Error::InvalidInput`]: it is the loopback's or one of a
    /// VLAN itself, has this VLAN already, or the stack is full.
    #[cfg(feature = "vlan")]
    pub fn add_vlan(&mut self, parent: InterfaceId, number: VlanId) -> Result<InterfaceId, Error> {
        if self.vlans.iter().any(|v| v.id == parent) {
            return Err(Error::InvalidInput("a VLAN over a VLAN"));
        }
        if self.vlans.iter().any(|v| (v.parent, v.number) == (parent, number)) {
            return Err(Error::InvalidInput("the interface has this VLAN already"));
        }
        let port = self.ports.iter_mut().find(|p| p.id == parent).ok_or(Error::DeviceGone)?;
        if port.is_loopback {
            return Err(Error::InvalidInput("a VLAN over the loopback"));
        }
        let id = self.stack.add_vlan_interface(vlan::capabilities(port.device.get()), number)?;
        if !port.is_up {
            // It exists.
            let _ = self.stack.link_down(id, Instant::ZERO);
        }
        // The stack has counted its interfaces against the same number.
        let _ = self.vlans.push(Vlan { id, parent, number });
        Ok(id)
    }

    /// Takes the interface of a VLAN away again. [`Error::DeviceGone`]: there is none of this name.
    #[cfg(feature = "vlan")]
    pub fn remove_vlan(&mut self, id: InterfaceId, now: Instant) -> Result<(), Error> {
        let at = self.vlans.iter().position(|v| v.id == id).ok_or(Error::DeviceGone)?;
        self.vlans.swap_remove(at);
        self.stack.remove_interface(id, now)
    }

    /// Takes an interface away, and those of its VLANs with it.
    fn remove(&mut self, id: InterfaceId, now: Instant) {
        #[cfg(feature = "vlan")]
        while let Some(at) = self.vlans.iter().position(|v| v.parent == id) {
            let vlan = self.vlans.swap_remove(at);
            // It exists: it was among them.
            let _ = self.stack.remove_interface(vlan.id, now);
        }
        // It exists: its port did.
        let _ = self.stack.remove_interface(id, now);
    }

    /// Takes an interface away again, with its device: the caller drops that.
    #[cfg(feature = "alloc")]
    pub(crate) fn take_device(&mut self, id: InterfaceId, now: Instant) -> Option<DeviceRef<'a>> {
        let at = self.ports.iter().position(|p| p.id == id)?;
        let port = self.take_port(at)?;
        self.remove(id, now);
        Some(port.device)
    }

    /// The stack, for the calls of sockets.
    pub fn stack(&mut self) -> &mut Stack<'a> {
        &mut self.stack
    }

    /// The stack, and its devices, for calls that send at once.
    pub fn split(&mut self) -> (&mut Stack<'a>, &mut dyn Devices) {
        (&mut self.stack, &mut self.ports)
    }

    /// The stack, to look at.
    pub(crate) fn view(&self) -> &Stack<'a> {
        &self.stack
    }

    /// Has the last device that leads out been taken away?
    pub fn is_cut_off(&self) -> bool {
        self.device_gone && self.ports.iter().all(|p| p.is_loopback)
    }

    /// Takes in what has arrived, runs the timers that are due, sends what can be sent. Ingress
    /// comes before timers (H187) and before egress. Returns when the next turn is due even if
    /// nothing arrives: `Some(now)` if there is more to do at once. Both are the machine's time, which need
    /// not be monotonic here.
    pub fn turn(&mut self, now: Instant) -> Option<Instant> {
        let now = self.clock(now);
        self.turn_at(now).map(|at| at - self.ahead)
    }

    /// The same, in the stack's time.
    pub(crate) fn turn_at(&mut self, now: Instant) -> Option<Instant> {
        let more = self.ingress(now);
        self.stack.on_timers(now);
        self.egress(now);
        let link_due = self.check_links(now);
        if more {
            return Some(now);
        }
        [self.stack.next_deadline(now), link_due].into_iter().flatten().min()
    }

    /// Looks for devices that are gone, or says when: what woke the daemon may have been that, so
    /// every turn is followed by a look, but one look may serve many turns.
    fn check_links(&mut self, now: Instant) -> Option<Instant> {
        let due = self.link_checked + LINK_INTERVAL;
        if now < due {
            return Some(due);
        }
        self.link_checked = now;
        self.announce_links(now);
        self.drop_gone_devices(now);
        None
    }

    /// True if a device may have more.
    fn ingress(&mut self, now: Instant) -> bool {
        let mut more = false;
        for port in &mut self.ports {
            let Port { id, device, .. } = port;
            let device = device.get();
            let mut frames = 0;
            let mut sink = |frame: RxFrame<'_>| {
                #[cfg(feature = "vlan")]
                let id = &by_tag(&self.vlans, *id, &frame);
                self.stack.on_frame(*id, frame, now);
            };
            while frames < INGRESS_BUDGET && device.receive(&mut sink) {
                frames += 1;
            }
            more |= frames == INGRESS_BUDGET;
        }
        more
    }

    fn egress(&mut self, now: Instant) {
        for port in &mut self.ports {
            #[cfg(feature = "vlan")]
            if self.vlans.iter().any(|v| v.parent == port.id) {
                let device = port.device.get();
                self.stack.egress(port.id, &mut vlan::Shared::new(device, None), now);
                for v in self.vlans.iter().filter(|v| v.parent == port.id) {
                    self.stack.egress(v.id, &mut vlan::Shared::new(device, Some(v.number)), now);
                }
                continue;
            }
            self.stack.egress(port.id, port.device.get(), now);
        }
    }

    /// Tells the stack of links that came up or went down.
    fn announce_links(&mut self, now: Instant) {
        for port in &mut self.ports {
            let is_up = port.device.get().link() == LinkState::Up;
            let was_up = core::mem::replace(&mut port.is_up, is_up);
            let mut tell = |id| match (was_up, is_up) {
                (false, true) => self.stack.link_up(id, now),
                (true, false) => self.stack.link_down(id, now),
                _ => Ok(()),
            };
            // It exists: its port does.
            let _ = tell(port.id);
            #[cfg(feature = "vlan")]
            self.vlans.iter().filter(|v| v.parent == port.id).for_each(|v| _ = tell(v.id));
        }
    }

    /// Takes a port out; the last one takes its place.
    fn take_port(&mut self, at: usize) -> Option<Port<'a>> {
        let end = self.ports.len().checked_sub(1)?;
        // Two places that can't be the same: else the compiler has to reckon with an overlap, by a long function.
        let (others, last) = self.ports.split_at_mut(end);
        if let (Some(port), Some(last)) = (others.get_mut(at), last.first_mut()) {
            core::mem::swap(port, last);
        }
        self.ports.pop()
    }

    fn drop_gone_devices(&mut self, now: Instant) {
        let gone = |p: &mut Port<'_>| p.device.get().link() == LinkState::Gone;
        while let Some(at) = self.ports.iter_mut().position(gone) {
            let Some(port) = self.take_port(at) else { break };
            self.remove(port.id, now);
            self.device_gone = true;
        }
    }

    /// Asks every device for a wake-up at its next event. False: something is there already.
    pub fn arm(&mut self) -> bool {
        self.ports.iter_mut().fold(true, |quiet, port| port.device.get().arm() & quiet)
    }
}

/// Which interface a frame is for that came by `id`.
#[cfg(feature = "vlan")]
fn by_tag(vlans: &[Vlan], id: InterfaceId, frame: &RxFrame<'_>) -> InterfaceId {
    if vlans.is_empty() {
        return id;
    }
    let number = VlanId::of(frame.bytes.front());
    let vlan = vlans.iter().find(|v| v.parent == id && Some(v.number) == number);
    vlan.map_or(id, |v| v.id)
}

#[cfg(all(test, feature = "alloc", feature = "full"))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::device::{Capabilities, Mac, TxError, TxFrame};
    use crate::stack::{Limits, Storage};

    #[derive(Clone, Default)]
    struct Cable {
        is_cut: Arc<AtomicBool>,
        sent: Arc<AtomicUsize>,
    }

    impl Device for Cable {
        fn capabilities(&self) -> Capabilities {
            Capabilities::new(Mac([2, 0, 0, 0, 0, 1]), 1500)
        }
        fn receive(&mut self, _sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
            false
        }
        fn transmit(&mut self, _frame: TxFrame<'_>) -> Result<(), TxError> {
            self.sent.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        fn link(&mut self) -> LinkState {
            if self.is_cut.load(Ordering::Relaxed) { LinkState::Down } else { LinkState::Up }
        }
    }

    /// H266: an interface announces its addresses again when its link has come up, and only then.
    #[test]
    fn a_link_that_comes_up_is_announced() {
        let cable = Cable::default();
        let mut daemon = Daemon::new(Stack::new(Storage::heap(&Limits::default()), [1; 32]));
        daemon.add_device(DeviceRef::Owned(Box::new(cable.clone()))).unwrap();
        let mut sent_until = |second: u64| {
            for tenth in second * 10 - 100..second * 10 {
                daemon.turn(Instant::from_millis(tenth * 100));
            }
            cable.sent.swap(0, Ordering::Relaxed)
        };
        // Of its group MLD tells twice.
        let told = if cfg!(feature = "multicast") { 4 } else { 2 };
        assert_eq!(sent_until(10), told, "the link-local address");
        assert_eq!(sent_until(20), 0);
        cable.is_cut.store(true, Ordering::Relaxed);
        assert_eq!(sent_until(30), 0);
        cable.is_cut.store(false, Ordering::Relaxed);
        assert_eq!(sent_until(40), told);
    }
}
