//! A set-up that fails leaves nothing behind.

use super::*;
use crate::device::loopback::Loopback;
use crate::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use crate::ip::INTERFACES_MAX;
use managed::ManagedSlice;

/// A device that lives as long as somebody holds it.
struct Nic {
    _held: Arc<()>,
    mtu: u16,
}

impl Device for Nic {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac([2, 0, 0, 0, 0, 9]), self.mtu)
    }
    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn transmit(&mut self, _: TxFrame<'_>) -> Result<(), TxError> {
        Ok(())
    }
}

/// H283: what of the addresses, or of the gateways, can't be: no interface, address or route is left, and no
/// device; however often it is tried, another one fits.
#[test]
fn an_interface_that_fails_leaves_nothing() {
    let (net, _) = net();
    let cidr = |text: &str, prefix_len| Cidr { address: text.parse().unwrap(), prefix_len };
    let gateway = |text: &str| text.parse().unwrap();
    let (good, held) = ([cidr("10.0.0.2", 24), cidr("fd00::2", 64)], Arc::new(()));
    let shape = || {
        net.with_stack(|stack| {
            let addresses =
                stack.interfaces().map(|(id, _)| stack.addresses().of(id).count()).collect::<Vec<_>>();
            (addresses, stack.routes().count())
        })
    };
    let before = shape();
    let add = |addresses: &[Cidr], gateways: &[IpAddr], mtu| {
        net.add_interface(Box::new(Nic { _held: held.clone(), mtu }), addresses, gateways)
    };
    for _ in 0..2 * INTERFACES_MAX {
        assert!(add(&[good[0], cidr("224.0.0.1", 4)], &[], 1500).is_err());
        assert!(add(&good, &[gateway("10.0.0.1"), gateway("0.0.0.0")], 1500).is_err());
        assert!(add(&good, &[], 1000).is_err(), "IPv6 needs 1280 bytes");
        assert_eq!((shape(), Arc::strong_count(&held)), (before.clone(), 1));
    }
    let id = add(&good, &[gateway("10.0.0.1"), gateway("fd00::1")], 1500).unwrap();
    let refused = net.with_stack(|stack| stack.set_gateway(id, gateway("224.0.0.1")));
    assert!(refused.is_err());
    assert_eq!(shape(), (vec![before.0[0], 3], 2), "the gateway before stays");
}

/// Without a place for its loopback there is no network; a loopback with little memory does IPv4.
#[test]
fn a_network_has_a_loopback() {
    let machine: &'static Machine = Box::leak(Box::default());
    let mut storage = Storage::heap(&Limits::default());
    storage.interfaces = ManagedSlice::Borrowed(&mut []);
    assert!(Net::new(Stack::new(storage, [4; 32]), machine, &Apart).is_err());

    let mut stack = Stack::new(Storage::heap(&Limits::default()), [4; 32]);
    assert!(stack.add_loopback(Loopback::new(&mut [0; 100]).capabilities()).is_err());
    assert_eq!(stack.interfaces().count(), 0);
    stack.add_loopback(Loopback::new(&mut [0; 2048]).capabilities()).unwrap();
    let addresses = stack.addresses().iter().count();
    assert_eq!(addresses, 1);
}
