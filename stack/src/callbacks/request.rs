//! One question and one answer: whatever is a future, such as the look-up of a name, as a callback.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::{Handle, Loop, Place};

/// What [`Loop::request`] has begun. Dropped, it goes on.
#[derive(Clone)]
pub struct Request(Rc<Inner>);

struct Inner {
    place: Place,
    /// Until it was called back, or cancelled.
    work: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
}

impl Loop {
    /// Calls back once with what `future` comes to: with the look-ups of [`Net`](crate::Net), `getaddrinfo` and `getnameinfo` in this form.
    ///
    /// ```no_run
    /// # fn example(events: &barenet::callbacks::Loop) -> Result<(), barenet::Error> {
    /// let look_up = events.net().start_lookup("example.org", None)?;
    /// events.request(look_up, |found| match found {
    ///     Ok(addresses) => println!("{addresses:?}"),
    ///     Err(error) => println!("no addresses: {error}"),
    /// });
    /// events.run();
    /// # Ok(()) }
    /// ```
    pub fn request<F: Future + 'static>(
        &self,
        future: F,
        on_done: impl FnOnce(F::Output) + 'static,
    ) -> Request {
        let work = Box::pin(async move { on_done(future.await) });
        let work = RefCell::new(Some(work as Pin<Box<dyn Future<Output = ()>>>));
        let inner = Rc::new(Inner { place: Place::new(self), work });
        self.call(inner.clone());
        Request(inner)
    }
}

impl Request {
    /// Gives it up, if it was not called back yet: nothing is called then.
    pub fn cancel(&self) {
        self.0.close();
        self.0.place.ring();
    }

    /// Will it call back yet?
    pub fn is_active(&self) -> bool {
        self.0.is_active()
    }
}

impl Handle for Inner {
    fn run(self: Rc<Self>, cx: &mut Context<'_>) {
        // Taken out, since what it calls may ask for it.
        let work = self.work.borrow_mut().take();
        if let Some(mut work) = work
            && let Poll::Pending = work.as_mut().poll(cx)
        {
            *self.work.borrow_mut() = Some(work);
        }
    }

    fn is_active(&self) -> bool {
        self.work.borrow().is_some()
    }

    fn close(&self) {
        let work = self.work.borrow_mut().take();
        drop(work);
    }

    fn place(&self) -> &Place {
        &self.place
    }
}
