//! What a device may do, and what becomes of frames then: it says `Full` for ever, or refuses. (Part of
//! a long segment: `device/segment/tests.rs`. A device that is gone: `tests/interop/gone.rs`.)

use super::*;

/// H193: a device that says Full for ever holds a bounded queue; what does not fit is counted, what is
/// held goes out in order once there is room, and nobody spins meanwhile.
#[test]
fn a_device_that_stays_full_costs_its_queue() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    ping(&mut a, v4(2));
    settle(&mut a, &mut b, T0);
    ping(&mut a, v4(2));
    let request = a.output(T0).remove(0);
    b.device.room = 0;
    let memory = |host: &Host| host.stack.memory().0;
    let mut held = 0;
    for n in 0..2000 {
        b.input(&request, T0);
        assert!(b.output(T0).is_empty());
        if n == 300 {
            held = memory(&b);
        }
    }
    assert_eq!(memory(&b), held, "no more memory than after the first hundreds");
    assert_ne!(b.stack.next_deadline(T0), Some(T0), "the device says when it has room");
    b.device.room = usize::MAX;
    let sent = b.output(T0).len() as u64;
    assert_eq!(drops(&b), [(Drop::EgressQueueFull, 2000 - sent)]);
    assert_eq!((memory(&b), sent), (0, 256));
}

/// A frame that the device refuses is as good as lost on the way: counted, and nothing waits for it.
#[test]
fn a_refused_frame_is_counted_and_holds_up_nothing() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    ping(&mut a, v4(2));
    settle(&mut a, &mut b, T0);
    a.device.refuses = true;
    (0..3).for_each(|_| ping(&mut a, v4(2)));
    assert!(a.output(T0).is_empty());
    assert!(drops(&a).contains(&(Drop::DeviceRefused, 3)), "{:?}", drops(&a));
    assert_eq!(a.stack.memory().0, 0);
    a.device.refuses = false;
    ping(&mut a, v4(2));
    assert_eq!(a.output(T0).len(), 1);
}

/// A segment that the device refuses is no frame that was sent, and goes again by its timer.
#[test]
fn a_refused_segment_goes_again() {
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    ping(&mut a, v4(2));
    settle(&mut a, &mut b, T0);
    let sent = |host: &Host| host.stack.counters().frames.sent.packets;
    let before = sent(&a);
    a.device.refuses = true;
    a.stack.tcp_connect("10.0.0.2:80".parse().unwrap(), None, T0).unwrap();
    assert!(a.output(T0).is_empty());
    assert_eq!(sent(&a), before);
    assert!(drops(&a).contains(&(Drop::DeviceRefused, 1)), "{:?}", drops(&a));
    a.device.refuses = false;
    // The first timer may only be a mark on the wheel's way to it.
    let mut now = T0;
    let mut again = Vec::new();
    while again.is_empty() {
        now = a.stack.next_deadline(now).unwrap().max(now);
        a.stack.on_timers(now);
        again = a.output(now);
    }
    assert_eq!(again.len(), 1, "the SYN, again");
    assert!((900..=1100).contains(&now.since(T0).millis()), "{now:?}");
    assert_eq!(sent(&a), before + 1);
}
