//! Tasks that are joined: a fiber or thread beside the caller, whose result somebody waits for.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::Net;
use crate::base::sync::Lock;
use crate::error::Error;

/// A task that was spawned, to be joined: see [`Net::spawn`]. Dropping it lets the task go on by itself, and its result
/// with it.
#[must_use = "dropped, its result and its failure are seen by nobody"]
pub struct Task<T> {
    net: Net,
    state: Arc<Lock<State<T>>>,
}

enum State<T> {
    Runs(Option<Waker>),
    Done(Result<T, Error>),
    /// Its result was taken.
    Joined,
}

/// How a task is run.
///
/// ```
/// let options = barenet::TaskOptions::new("worker").stack_size(64 * 1024);
/// ```
#[derive(Clone, Debug, Default)]
pub struct TaskOptions {
    name: String,
    stack_size: Option<usize>,
}

impl TaskOptions {
    /// A task of this name, with a stack of the usual size.
    pub fn new(name: impl Into<String>) -> Self {
        TaskOptions { name: name.into(), stack_size: None }
    }

    /// The size of its stack in bytes. The way of waiting may have a minimum, and one that has no stacks of its own
    /// ignores it.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }
}

impl Net {
    /// Runs `job` beside the caller, in a fiber or thread; a way of waiting that has neither runs it before this returns.
    ///
    /// ```no_run
    /// # fn example(net: &barenet::Net, listener: &barenet::TcpListener) -> Result<(), barenet::Error> {
    /// let mut tasks = Vec::new();
    /// loop {
    ///     let (mut client, peer) = listener.accept()?;
    ///     // Those that have ended are collected, and a failure of theirs is seen.
    ///     while let Some(at) = tasks.iter().position(barenet::Task::is_finished) {
    ///         if let Err(error) = tasks.swap_remove(at).join().and_then(|result| result) {
    ///             println!("a client failed: {error}");
    ///         }
    ///     }
    ///     tasks.push(net.spawn(format!("{peer}"), move || client.write_all(b"hello\n"))?);
    /// }
    /// # }
    /// ```
    ///
    /// [`Error::OutOfMemory`]: there is no memory for its stack, or no thread.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: impl Into<String>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Task<T>, Error> {
        self.spawn_with(TaskOptions::new(name), job)
    }

    /// [`spawn`](Net::spawn) with a stack of a given size.
    pub fn spawn_with<T: Send + 'static>(
        &self,
        options: TaskOptions,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Task<T>, Error> {
        let state = Arc::new(Lock::new(State::Runs(None)));
        let (ends, fails) = (state.clone(), state.clone());
        let job = Box::new(move || end(&ends, Ok(job())));
        let on_panic = Box::new(move || end(&fails, Err(Error::TaskPanicked)));
        self.waiter().spawn_with_stack(options.name, options.stack_size, job, on_panic)?;
        Ok(Task { net: self.clone(), state })
    }
}

fn end<T>(state: &Lock<State<T>>, result: Result<T, Error>) {
    let before = core::mem::replace(&mut *state.lock(), State::Done(result));
    if let State::Runs(Some(waker)) = before {
        waker.wake();
    }
}

impl<T> Task<T> {
    /// Waits until the task has ended, and gives its result. [`Error::TaskPanicked`]: it panicked (where the way of waiting
    /// can tell).
    pub fn join(mut self) -> Result<T, Error> {
        let net = self.net.clone();
        net.wait_for(None, |cx| self.poll_join(cx))
    }

    /// [`join`](Task::join) for an executor. Dropped before it is ready, it has taken nothing, but the task can't be joined
    /// any more; where it should be, poll the [`Task`] itself, which is a future too.
    pub async fn join_async(mut self) -> Result<T, Error> {
        poll_fn(|cx| self.poll_join(cx)).await
    }

    /// [`join`](Task::join) in poll form. [`Error::StaleHandle`]: its result was given before.
    pub fn poll_join(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let mut state = self.state.lock();
        match &mut *state {
            State::Runs(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Done(_) | State::Joined => match core::mem::replace(&mut *state, State::Joined) {
                State::Done(result) => Poll::Ready(result),
                _ => Poll::Ready(Err(Error::StaleHandle)),
            },
        }
    }

    /// Has it ended, so that [`join`](Task::join) would not wait?
    pub fn is_finished(&self) -> bool {
        !matches!(*self.state.lock(), State::Runs(_))
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_join(cx)
    }
}

impl<T> core::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.is_finished() { "Task(finished)" } else { "Task(running)" })
    }
}

#[cfg(all(test, feature = "std", feature = "full"))]
mod tests;
