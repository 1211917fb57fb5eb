//! Tasks and what they share, as threads beside a daemon's, and where there are none.

use std::boxed::Box;
use std::format;
use std::string::String;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use super::*;
use crate::base::wakers::NOBODY;
use crate::net::wait::{Spin, Threads, Wait};
use crate::platform::Platform;
use crate::stack::{Limits, Stack, Storage};
use crate::time::Instant;

#[derive(Default)]
struct Machine;

impl Platform for Machine {
    fn now(&self) -> Instant {
        Instant::from_millis(1)
    }
    fn idle(&self, _until: Option<Instant>) {
        std::thread::yield_now();
    }
    fn wake(&self) {}
}

fn net(wait: &'static dyn Wait) -> Net {
    let stack = Stack::new(Storage::heap(&Limits::default()), [3; 32]);
    Net::new(stack, &Machine, wait).unwrap()
}

/// Contract M22: a task that is joined gives its result, once; one that panicked says so; one that nobody joins goes on.
#[test]
fn task_that_is_joined_gives_its_result_or_its_failure() {
    for wait in [&Spin as &'static dyn Wait, &Threads] {
        let net = net(wait);
        let task = net.spawn("answer", || 42).unwrap();
        assert_eq!(task.join(), Ok(42));
        let options = TaskOptions::new("named").stack_size(64 * 1024);
        let name = || std::thread::current().name().map(String::from);
        let mut task = net.spawn_with(options, name).unwrap();
        let result = net.block_on(poll_fn(|cx| task.poll_join(cx)));
        assert!(result.is_ok_and(|name| name.is_some()) && task.is_finished());
        assert_eq!(task.poll_join(&mut Context::from_waker(NOBODY)), Poll::Ready(Err(Error::StaleHandle)));
        let failed: Task<Result<(), Error>> = net.spawn("fails", || Err(Error::ConnectionReset)).unwrap();
        assert_eq!(net.block_on(failed), Ok(Err(Error::ConnectionReset)));
    }
    let net = net(&Threads);
    let task = net.spawn("panics", || panic!("on purpose")).unwrap();
    assert_eq!(task.join(), Err::<(), _>(Error::TaskPanicked));
    let (sender, receiver) = net.channel(1);
    drop(net.spawn("alone", move || sender.send(7)).unwrap());
    assert_eq!(receiver.recv(), Ok(7));
}

/// Contract M22: tasks that come and go are collected as they end, without waiting for those that have not.
#[test]
fn orphans_that_have_ended_are_collected_without_waiting() {
    let net = net(&Threads);
    let (hold, held) = net.channel::<()>(1);
    let slow = net.spawn("slow", move || held.recv()).unwrap();
    let quick: Vec<Task<usize>> = (0..9).map(|n| net.spawn(format!("{n}"), move || n).unwrap()).collect();
    let sum: usize = quick.into_iter().map(|task| task.join().unwrap()).sum();
    assert_eq!((sum, slow.is_finished()), (36, false));
    drop(hold);
    assert_eq!(slow.join(), Ok(Err(Error::ClosedByPeer)));
}

/// A channel holds as many values as it was told, gives each to one receiver and in order, and its ends know when the other
/// is gone.
#[test]
fn channel_keeps_its_bound_and_its_order() {
    let net = net(&Threads);
    let (sender, receiver) = net.channel(2);
    assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Ok(())));
    assert_eq!(sender.try_send(3), Err(Error::WouldBlock));
    assert!(sender.poll_send(&mut Context::from_waker(NOBODY), &mut Some(3)).is_pending());
    let more = sender.clone();
    let task = net.spawn("sends", move || (3..1000).try_for_each(|n| more.send(n))).unwrap();
    let received: Vec<i32> = (1..1000).map(|_| receiver.recv().unwrap()).collect();
    assert_eq!((task.join(), received), (Ok(Ok(())), (1..1000).collect()));
    assert_eq!(receiver.try_recv(), Err(Error::WouldBlock));
    assert!(receiver.poll_recv(&mut Context::from_waker(NOBODY)).is_pending());
    sender.try_send(7).unwrap();
    drop(sender);
    assert_eq!(net.block_on(receiver.recv_async()), Ok(7));
    assert_eq!(receiver.recv(), Err(Error::ClosedByPeer));
    let (sender, receiver) = net.channel(1);
    sender.try_send(Box::new(1)).unwrap();
    let waiting = sender.clone();
    let task = net.spawn("waits for room", move || waiting.send(Box::new(2))).unwrap();
    drop(receiver.clone());
    drop(receiver);
    assert_eq!(task.join(), Ok(Err(Error::ClosedByPeer)));
    assert_eq!(net.block_on(sender.send_async(Box::new(3))), Err(Error::ClosedByPeer));
}

/// One task has a mutex at a time, and everybody gets it.
#[test]
fn mutex_is_had_by_one_at_a_time() {
    let net = net(&Threads);
    let (mutex, inside) = (Arc::new(net.mutex(0)), Arc::new(AtomicUsize::new(0)));
    let count = |_| {
        let (mutex, inside) = (mutex.clone(), inside.clone());
        let job = move || {
            for _ in 0..100 {
                let mut value = mutex.lock();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                *value += 1;
                std::thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        };
        net.spawn("counts", job).unwrap()
    };
    let tasks: Vec<Task<()>> = (0..4).map(count).collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    let held = net.block_on(mutex.lock_async());
    assert_eq!(*held, 400);
    assert!(mutex.try_lock().is_none() && mutex.poll_lock(&mut Context::from_waker(NOBODY)).is_pending());
    drop(held);
    assert!(mutex.try_lock().is_some());
}
