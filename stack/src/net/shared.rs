//! What tasks share: a channel and a mutex that suspend the task that waits, be it a fiber, a thread or async, and let the
//! network go on meanwhile.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::ops::{Deref, DerefMut};
use core::task::{Context, Poll, Waker};

use super::Net;
use crate::base::sync::{Guard, Lock};
use crate::error::Error;

/// Tasks that wait. All are woken, and look again: one that was dropped meanwhile loses nobody's turn.
#[derive(Default)]
struct Waiting(Lock<Vec<Waker>>);

impl Waiting {
    fn register(&self, cx: &Context<'_>) {
        let mut wakers = self.0.lock();
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
    }

    fn wake(&self) {
        let wakers = core::mem::take(&mut *self.0.lock());
        wakers.into_iter().for_each(Waker::wake);
    }
}

struct Queue<T> {
    values: VecDeque<T>,
    senders: usize,
    receivers: usize,
}

struct Shared<T> {
    net: Net,
    capacity: usize,
    queue: Lock<Queue<T>>,
    /// For values and for room.
    receivers: Waiting,
    senders: Waiting,
}

/// The end of a channel that sends: see [`Net::channel`]. Clones send into the same channel.
pub struct Sender<T>(Arc<Shared<T>>);

/// The end of a channel that receives: see [`Net::channel`]. Of clones each gets other values.
pub struct Receiver<T>(Arc<Shared<T>>);

impl Net {
    /// A queue between tasks, of `capacity` values, one at least: who sends into a full one and who receives from an empty
    /// one waits, and other tasks run meanwhile.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net) -> Result<(), barenet::Error> {
    /// let (sender, receiver) = net.channel(8);
    /// let task = net.spawn("counts", move || (0..100).try_for_each(|n| sender.send(n)))?;
    /// while let Ok(n) = receiver.recv() {
    ///     println!("{n}");
    /// }
    /// # task.join()? }
    /// ```
    pub fn channel<T>(&self, capacity: usize) -> (Sender<T>, Receiver<T>) {
        let queue = Lock::new(Queue { values: VecDeque::new(), senders: 1, receivers: 1 });
        let (receivers, senders) = (Waiting::default(), Waiting::default());
        let shared = Shared { net: self.clone(), capacity: capacity.max(1), queue, receivers, senders };
        let shared = Arc::new(shared);
        (Sender(shared.clone()), Receiver(shared))
    }

    /// A value that one task has at a time; who waits for it lets other tasks run. It may be held while waiting for the
    /// network.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net, stream: barenet::TcpStream) -> Result<(), barenet::Error> {
    /// let stream = net.mutex(stream);
    /// stream.lock().write_all(b"a line that nobody else's comes between\n")?;
    /// # Ok(()) }
    /// ```
    pub fn mutex<T>(&self, value: T) -> Mutex<T> {
        Mutex { net: self.clone(), value: Lock::new(value), waiting: Waiting::default() }
    }
}

impl<T> Sender<T> {
    /// Sends a value, waiting for room. [`Error::ClosedByPeer`]: nobody receives any more.
    pub fn send(&self, value: T) -> Result<(), Error> {
        let mut value = Some(value);
        self.0.net.wait_for(None, |cx| self.poll_send(cx, &mut value))
    }

    /// [`send`](Sender::send) for an executor. Dropped before it is ready, it has sent nothing.
    pub async fn send_async(&self, value: T) -> Result<(), Error> {
        let mut value = Some(value);
        poll_fn(|cx| self.poll_send(cx, &mut value)).await
    }

    /// [`send`](Sender::send) without waiting: [`Error::WouldBlock`] if there is no room.
    pub fn try_send(&self, value: T) -> Result<(), Error> {
        self.push(&mut Some(value))
    }

    /// [`send`](Sender::send) in poll form: `value` is taken when it is ready.
    pub fn poll_send(&self, cx: &mut Context<'_>, value: &mut Option<T>) -> Poll<Result<(), Error>> {
        if !matches!(self.push(value), Err(Error::WouldBlock)) {
            return Poll::Ready(if value.is_none() { Ok(()) } else { Err(Error::ClosedByPeer) });
        }
        self.0.senders.register(cx);
        // There may be room since.
        match self.push(value) {
            Err(Error::WouldBlock) => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    fn push(&self, value: &mut Option<T>) -> Result<(), Error> {
        let mut queue = self.0.queue.lock();
        if queue.receivers == 0 {
            return Err(Error::ClosedByPeer);
        }
        if queue.values.len() >= self.0.capacity {
            return Err(Error::WouldBlock);
        }
        queue.values.extend(value.take());
        drop(queue);
        self.0.receivers.wake();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Waits for a value. [`Error::ClosedByPeer`]: all were received, and nobody sends any more.
    pub fn recv(&self) -> Result<T, Error> {
        self.0.net.wait_for(None, |cx| self.poll_recv(cx))
    }

    /// [`recv`](Receiver::recv) for an executor. Dropped before it is ready, it has taken nothing.
    pub async fn recv_async(&self) -> Result<T, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Receiver::recv) without waiting: [`Error::WouldBlock`] if there is none.
    pub fn try_recv(&self) -> Result<T, Error> {
        let mut queue = self.0.queue.lock();
        let value = queue.values.pop_front();
        let is_over = queue.senders == 0;
        drop(queue);
        if value.is_some() {
            self.0.senders.wake();
        }
        value.ok_or(if is_over { Error::ClosedByPeer } else { Error::WouldBlock })
    }

    /// [`recv`](Receiver::recv) in poll form.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        for is_registered in [false, true] {
            match self.try_recv() {
                Err(Error::WouldBlock) if !is_registered => self.0.receivers.register(cx),
                Err(Error::WouldBlock) => {}
                result => return Poll::Ready(result),
            }
        }
        Poll::Pending
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.queue.lock().senders += 1;
        Sender(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.queue.lock().receivers += 1;
        Receiver(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.queue.lock().senders -= 1;
        self.0.receivers.wake();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.receivers -= 1;
        let unread = if queue.receivers == 0 { core::mem::take(&mut queue.values) } else { VecDeque::new() };
        drop(queue);
        drop(unread);
        self.0.senders.wake();
    }
}

/// A value that one task has at a time: see [`Net::mutex`].
pub struct Mutex<T> {
    net: Net,
    value: Lock<T>,
    waiting: Waiting,
}

/// The value of a [`Mutex`], until this is dropped.
#[must_use = "dropped, it gives the value back at once"]
pub struct MutexGuard<'a, T> {
    /// `None` only while it is being dropped.
    value: Option<Guard<'a, T>>,
    waiting: &'a Waiting,
}

impl<T> Mutex<T> {
    /// Waits for the value. A task that has it already waits for ever. After a panic of one that had it, it is as that left it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        loop {
            // Without a limit it is ready when it returns.
            if let Ok(guard) = self.net.wait_for(None, |cx| self.poll_lock(cx).map(Ok)) {
                return guard;
            }
        }
    }

    /// [`lock`](Mutex::lock) for an executor. Dropped before it is ready, it has taken nothing.
    pub async fn lock_async(&self) -> MutexGuard<'_, T> {
        poll_fn(|cx| self.poll_lock(cx)).await
    }

    /// The value, if nobody has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.value.try_lock().map(|value| MutexGuard { value: Some(value), waiting: &self.waiting })
    }

    /// [`lock`](Mutex::lock) in poll form.
    pub fn poll_lock<'a>(&'a self, cx: &mut Context<'_>) -> Poll<MutexGuard<'a, T>> {
        if let Some(guard) = self.try_lock() {
            return Poll::Ready(guard);
        }
        self.waiting.register(cx);
        // It may have been given back since.
        self.try_lock().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_deref().expect("a lock that is held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_deref_mut().expect("a lock that is held")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        drop(self.value.take());
        self.waiting.wake();
    }
}
