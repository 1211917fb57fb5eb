//! Time for async code: sleeping, and limits for futures. All sleepers of a network lie on one timer wheel.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use super::Net;
use crate::base::sleepers::Place;
use crate::base::wakers::NOBODY;
use crate::error::Error;
use crate::time::{Duration, Instant};

/// A future that is ready when its time has come: see [`Net::sleep`].
#[must_use = "it does nothing unless it is awaited"]
pub struct Sleep {
    net: Net,
    at: Instant,
    place: Option<Place>,
    was_polled: bool,
}

impl Net {
    /// Lets `duration` pass, for an executor (or in [`block_on`](Net::block_on)); [`pause`](Net::pause) blocks.
    /// It begins now, not when it is awaited, and ends early if the network is shut down; one that is over before it
    /// is awaited gives way to others once. Of the network's
    /// one timer wheel it takes a place: no thread, fiber or executor's timer.
    ///
    /// ```
    /// # fn example(net: &barenet::Net) {
    /// use core::time::Duration;
    /// net.block_on(async { net.sleep(Duration::from_millis(20)).await });
    /// # }
    /// ```
    pub fn sleep(&self, duration: impl Into<Duration>) -> Sleep {
        self.sleep_until(self.now() + duration.into())
    }

    /// [`sleep`](Net::sleep) until a point in time of [`now`](Net::now)'s clock.
    pub fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep { net: self.clone(), at, place: None, was_polled: false }
    }

    /// `future`, for so long at most: [`Error::TimedOut`] then. It is dropped with this one; sockets' futures
    /// have taken and sent nothing that is lost with them unless they say otherwise.
    ///
    /// ```no_run
    /// # async fn example(net: &barenet::Net, listener: &barenet::TcpListener) -> Result<(), barenet::Error> {
    /// use core::time::Duration;
    /// let (stream, peer) = net.timeout(Duration::from_secs(10), listener.accept_async()).await??;
    /// # Ok(()) }
    /// ```
    pub fn timeout<F: Future>(
        &self,
        limit: impl Into<Duration>,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Error>> {
        let sleep = self.sleep(limit);
        async move {
            let (mut sleep, mut future) = (sleep, pin!(future));
            poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Ready(value) => Poll::Ready(Ok(value)),
                Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| Err(Error::TimedOut)),
            })
            .await
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Sleep { net, at, place, was_polled } = &mut *self;
        // `NOBODY` only looks whether it is over, and waits for nothing.
        let gives_way = !*was_polled;
        *was_polled |= !cx.waker().will_wake(NOBODY);
        net.under_lock(|stack, now| {
            // Under the lock: whoever is not stopped here is there when `shutdown` wakes everybody.
            if now >= *at || net.is_stopped() {
                if !gives_way || net.is_stopped() {
                    return Poll::Ready(());
                }
                // Who waits for nothing again and again would never let the network go on.
                stack.tcp.woken.push(cx.waker().clone());
                return Poll::Pending;
            }
            *place = place.or_else(|| stack.sleepers.place());
            match *place {
                Some(place) => stack.sleepers.sleep(place, *at, cx.waker()),
                // Without memory it asks again.
                None => stack.tcp.woken.push(cx.waker().clone()),
            }
            Poll::Pending
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let mut waker = None;
        if let Some(place) = self.place.take() {
            self.net.let_go(|stack, _| waker = stack.sleepers.give_back(place));
        }
    }
}
