//! Fibers: functions that wait without blocking each other, on one CPU or one thread.
//!
//! A fiber runs until it waits for the network; then the scheduler runs the next one that is
//! ready. When all that were ready have run, the daemon has its turn, and when nothing is left to
//! do the machine sleeps. A fiber costs its stack.
//!
//! A fiber is never interrupted, and what it writes is sent when it waits next. One that computes
//! for long lets the others and the network run by [`yield_now`].
//!
//! **Stacks.** [`set_stack_size`] says how large those of fibers started from then on are. Below
//! each lies a page that can't be touched. A fiber that overflows its stack ends the program, with
//! a line that names the fiber: nothing was overwritten, but it may have been anywhere in the
//! stack's code, so nothing else can be continued either.
//!
//! **Panics.** A panic ends the fiber it happens on and nothing else: its connection is reset, once the peer
//! has what was written to it.
//! On the host the fiber is unwound. On bare metal a panic can't be unwound: the fiber is never
//! resumed, and neither its stack nor what it owned is given back, so that a program that panics
//! often runs out of memory in the end. A panic in the fiber of `main` ends the program with failure, when
//! what was written is delivered; one outside a fiber, or on bare metal while the network is locked, at once.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::ops::Range;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use core::task::{Context, Waker};

use barenet::time::Instant;
use barenet::wait::{Spin, Wait};
use barenet::{Error, Net, Platform};
use corosensei::stack::Stack as _;
use corosensei::{Coroutine, CoroutineResult};
use spin::{Mutex, Once};

#[cfg(target_os = "none")]
mod bare;
#[cfg(not(target_os = "none"))]
mod host;
#[cfg(test)]
mod tests;

#[cfg(target_os = "none")]
use bare as machine;
#[cfg(not(target_os = "none"))]
use host as machine;

use crate::linger::{Linger, Step};
use machine::Stack;

/// Stack size of a fiber, unless the program says otherwise: 128 KiB on bare metal, 256 KiB in a process,
/// where memory that is not touched costs nothing.
///
/// A debug build (without optimisation) of a TLS 1.3 client, `embedded-tls` with its two buffers on the
/// stack, takes between 64 and 80 KiB; a call into the network stack from there less than 24.
pub const STACK_SIZE_DEFAULT: usize = if cfg!(target_os = "none") { BARE } else { 2 * BARE };
const BARE: usize = 128 * 1024;

/// Smallest stack: less does not hold a call into the network stack.
pub const STACK_SIZE_MIN: usize = 16 * 1024;

/// Stack of the fiber that runs `main`: 256 KiB.
pub const STACK_SIZE_MAIN: usize = 256 * 1024;

/// Most fibers at a time.
pub const FIBERS_MAX: usize = 4096;

static STACK_SIZE: AtomicUsize = AtomicUsize::new(STACK_SIZE_DEFAULT);

/// Sets the stack size in bytes of fibers that start from now on; at least [`STACK_SIZE_MIN`].
pub fn set_stack_size(bytes: usize) {
    STACK_SIZE.store(bytes.max(STACK_SIZE_MIN), Ordering::Relaxed);
}

/// Lets every other fiber that can run, and the network, have its turn. Elsewhere than on a fiber
/// it does nothing.
pub fn yield_now() {
    if let Some(task) = current() {
        task.wake_by_ref();
        task.pause(Pause::Waiting(None));
    }
}

/// A fiber's way out to the scheduler.
type Yielder = corosensei::Yielder<(), Pause>;

/// Why a fiber stops running for now.
enum Pause {
    /// Until it is woken, or at the latest then.
    Waiting(Option<Instant>),
    /// For ever: it panicked where it can't be unwound.
    #[cfg(target_os = "none")]
    Dead,
}

/// How a fiber's function ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It returned.
    Returned,
    /// It was `main`, which returned, and peers did not take all that it had left to deliver.
    Undelivered,
    /// It panicked.
    Panicked,
}

/// The part of a fiber that wakers and fault handlers see.
struct Task {
    name: String,
    id: usize,
    shared: Arc<Shared>,
    /// It is in the ready list, or about to be.
    queued: AtomicBool,
    /// Set by the fiber when it starts; on its own stack.
    yielder: AtomicPtr<Yielder>,
    /// The page below its stack that can't be touched.
    guard: Range<usize>,
    /// What is to be done if it panics.
    on_panic: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            self.shared.ready.lock().push_back(self.clone());
            self.shared.rouse();
        }
    }
}

impl Task {
    fn pause(&self, why: Pause) {
        let waits_under_lock =
            matches!(why, Pause::Waiting(_)) && self.shared.net.get().is_some_and(Net::is_locked_here);
        assert!(!waits_under_lock, "a fiber waits inside `with_stack`: nothing could go on before it");
        let yielder = self.yielder.load(Ordering::Relaxed);
        // SAFETY: only called on the fiber itself, whose yielder lives as long as it runs.
        unsafe { (*yielder).suspend(why) };
    }
}

struct Fiber {
    task: Arc<Task>,
    coroutine: Coroutine<(), Pause, Ended, Stack>,
    stack_size: usize,
    deadline: Option<Instant>,
}

// SAFETY: until its first run nothing in it belongs to a thread, since its function is `Send`; all
// runs are on the one thread of `Fibers::run`, of which there is one for a scheduler, and those that have
// not ended by then are neither run nor dropped (`Claim`).
unsafe impl Send for Fiber {}

/// A scheduler, and as [`Wait`] the way in which its fibers wait.
pub struct Fibers(Arc<Shared>);

struct Shared {
    platform: &'static dyn Platform,
    /// The fibers that can run, in the order in which they will.
    ready: Mutex<VecDeque<Arc<Task>>>,
    /// The scheduler sleeps or is about to: whoever makes a fiber ready wakes the machine too.
    asleep: AtomicBool,
    table: Mutex<Table>,
    net: Once<Net>,
    /// It runs, or has run.
    claimed: AtomicBool,
    main_stack_size: AtomicUsize,
}

/// The one run of a scheduler.
struct Claim<'a>(&'a Shared);

impl Shared {
    fn claim(&self) -> Result<Claim<'_>, Error> {
        if current().is_some() {
            return Err(Error::InvalidInput("a scheduler can't run on a fiber"));
        }
        if self.claimed.swap(true, Ordering::SeqCst) {
            return Err(Error::InvalidInput("a scheduler of fibers runs once"));
        }
        Ok(Claim(self))
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // What lies on their stacks may belong to this thread, while the table may be dropped on another.
        core::mem::forget(core::mem::take(&mut self.0.table.lock().fibers));
    }
}

/// All fibers. One that runs is not in its place.
struct Table {
    fibers: Vec<Option<Fiber>>,
    free: Vec<usize>,
    deadlines: BTreeSet<(Instant, usize)>,
    /// Stacks of fibers that ended, to use again, and the size that they were made for.
    stacks: Vec<(usize, Stack)>,
    /// Bytes of all stacks there are, and most that there may be.
    memory: usize,
    memory_max: usize,
}

impl Table {
    /// A place for a fiber.
    fn id(&mut self) -> Option<usize> {
        if self.free.is_empty() && self.fibers.len() < FIBERS_MAX {
            self.fibers.push(None);
            return Some(self.fibers.len() - 1);
        }
        self.free.pop()
    }

    /// A stack that was used before, or a new one.
    fn stack(&mut self, size: usize) -> Option<Stack> {
        if let Some(at) = self.stacks.iter().position(|(of, _)| *of == size) {
            return Some(self.stacks.swap_remove(at).1);
        }
        if size > self.memory_max - self.memory {
            return None;
        }
        let stack = machine::stack(size)?;
        self.memory += size;
        Some(stack)
    }
}

impl Shared {
    fn rouse(&self) {
        if self.asleep.load(Ordering::SeqCst) {
            self.platform.wake();
        }
    }
}

/// The fiber that this is called on.
fn current() -> Option<Arc<Task>> {
    let task = machine::running();
    if task.is_null() {
        return None;
    }
    // SAFETY: `run_next` made the pointer from an `Arc` that it holds while the fiber runs.
    unsafe {
        Arc::increment_strong_count(task);
        Some(Arc::from_raw(task))
    }
}

/// The name of the running fiber, if `address` lies in the guard page of its stack.
/// For the fault handler: it does not lock or allocate.
pub(crate) fn overflowed(address: usize) -> Option<&'static str> {
    // SAFETY: as in `current`; the fault handler never returns to the fiber.
    let task = unsafe { machine::running().as_ref() }?;
    task.guard.contains(&address).then_some(task.name.as_str())
}

/// Called by the panic handler where a panic can't be unwound. On a fiber it does not return. It
/// does for the program to end at once: on the scheduler, or if the fiber held a lock.
#[cfg(target_os = "none")]
pub(crate) fn abandon() {
    let Some(task) = current() else {
        return;
    };
    let shared = &task.shared;
    let locked =
        shared.ready.is_locked() || shared.table.is_locked() || shared.net.get().is_some_and(Net::is_locked);
    if !locked {
        if task.id != MAIN {
            crate::println!("fiber `{}` ended", task.name);
        }
        // On what is left of its stack. If it panics too, the fiber comes back here and ends.
        let on_panic = task.on_panic.lock().take();
        if let Some(on_panic) = on_panic {
            on_panic();
        }
        task.pause(Pause::Dead);
    }
}

/// The first fiber is that of `main`; its place is not given to another.
const MAIN: usize = 0;

impl Fibers {
    /// A scheduler without fibers.
    pub fn new(platform: &'static dyn Platform) -> Fibers {
        Fibers::with_stack_memory(platform, usize::MAX)
    }

    /// A scheduler whose stacks together take at most `max` bytes, so that a flood of connections
    /// leaves memory for the rest. Starting a fiber beyond that fails with
    /// [`Error::OutOfMemory`].
    pub fn with_stack_memory(platform: &'static dyn Platform, max: usize) -> Fibers {
        Fibers(Arc::new(Shared {
            platform,
            ready: Mutex::new(VecDeque::new()),
            asleep: AtomicBool::new(false),
            table: Mutex::new(Table {
                fibers: Vec::new(),
                free: Vec::new(),
                deadlines: BTreeSet::new(),
                stacks: Vec::new(),
                memory: 0,
                memory_max: max,
            }),
            net: Once::new(),
            claimed: AtomicBool::new(false),
            main_stack_size: AtomicUsize::new(STACK_SIZE_MAIN),
        }))
    }

    /// Sets the stack size in bytes of the fiber of `main`; at least [`STACK_SIZE_MIN`]. Default:
    /// [`STACK_SIZE_MAIN`].
    pub fn set_main_stack_size(&self, bytes: usize) {
        self.0.main_stack_size.store(bytes.max(STACK_SIZE_MIN), Ordering::Relaxed);
    }

    /// Runs `main` as the first fiber, all that it spawns, and the daemon, until `main` has ended and what
    /// was written is delivered, or ten seconds long no peer takes any of it. Other fibers have two seconds to
    /// end their connections (none if `main` panicked). When this returns they are never resumed, and what
    /// they own is not dropped; see [`main`](crate::main#the-end).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]: there is none for the stack of `main`. [`Error::InvalidInput`]: it runs
    /// already, here or on another thread, or has run; or this is a fiber of another scheduler.
    pub fn run(&self, net: &Net, main: Box<dyn FnOnce() + Send>) -> Result<Ended, Error> {
        let _claim = self.0.claim()?;
        machine::watch_guards();
        self.0.net.call_once(|| net.clone());
        let stack_size = self.0.main_stack_size.load(Ordering::Relaxed);
        self.start("main".into(), stack_size, main, Box::new(|| {}))?;
        let mut end = None;
        loop {
            // Only those that are ready now, so that the daemon has its turn in between.
            let ready = self.0.ready.lock().len();
            for _ in 0..ready {
                if let Some(ended) = self.run_next() {
                    end = Some((ended, Linger::new(net, ended == Ended::Panicked)));
                }
            }
            let next = net.turn();
            let again = match &mut end {
                None => None,
                Some((ended, linger)) => match (linger.step(net), *ended) {
                    (Step::Wait(until), _) => Some(until),
                    (Step::End { is_delivered: false }, Ended::Returned) => return Ok(Ended::Undelivered),
                    (Step::End { .. }, ended) => return Ok(ended),
                },
            };
            if let Some(until) = self.bedtime(net.now(), [next, again].into_iter().flatten().min()) {
                net.idle(until);
            }
            self.0.asleep.store(false, Ordering::SeqCst);
        }
    }

    /// Starts a fiber; see [`Wait::spawn`](barenet::Wait::spawn).
    fn start(
        &self,
        name: String,
        stack_size: usize,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        let mut table = self.0.table.lock();
        let id = table.id().ok_or(Error::OutOfMemory)?;
        let Some(stack) = table.stack(stack_size) else {
            table.free.push(id);
            return Err(Error::OutOfMemory);
        };
        let task = Arc::new(Task {
            name,
            id,
            shared: self.0.clone(),
            queued: AtomicBool::new(true),
            yielder: AtomicPtr::new(ptr::null_mut()),
            guard: stack.limit().get()..stack.limit().get() + machine::guard_size(),
            on_panic: Mutex::new(Some(on_panic)),
        });
        let own = task.clone();
        let body = move |yielder: &Yielder, ()| {
            own.yielder.store(ptr::from_ref(yielder).cast_mut(), Ordering::Relaxed);
            let ended = machine::catch(job);
            // Here, so that it may wait, and panic.
            let on_panic = own.on_panic.lock().take().filter(|_| ended == Ended::Panicked);
            if let Some(on_panic) = on_panic {
                machine::catch(on_panic);
            }
            ended
        };
        let coroutine = Coroutine::with_stack(stack, body);
        table.fibers[id] = Some(Fiber { task: task.clone(), coroutine, stack_size, deadline: None });
        drop(table);
        self.0.ready.lock().push_back(task);
        self.0.rouse();
        Ok(())
    }

    /// Runs the fiber that has been ready the longest. Tells when it was `main` and has ended.
    fn run_next(&self) -> Option<Ended> {
        let (id, mut fiber) = {
            let task = self.0.ready.lock().pop_front()?;
            let id = task.id;
            let mut table = self.0.table.lock();
            // A waker of a fiber that has ended may still be around.
            let fiber = table.fibers[id].take_if(|f| Arc::ptr_eq(&f.task, &task))?;
            if let Some(deadline) = fiber.deadline {
                table.deadlines.remove(&(deadline, id));
            }
            (id, fiber)
        };
        // From here on it may be made ready again, for its next run.
        fiber.task.queued.store(false, Ordering::SeqCst);
        machine::set_running(Arc::as_ptr(&fiber.task));
        let result = fiber.coroutine.resume(());
        machine::set_running(ptr::null());
        let ended = match result {
            CoroutineResult::Yield(Pause::Waiting(deadline)) => {
                fiber.deadline = deadline;
                let mut table = self.0.table.lock();
                table.deadlines.extend(deadline.map(|at| (at, id)));
                table.fibers[id] = Some(fiber);
                return None;
            }
            #[cfg(target_os = "none")]
            CoroutineResult::Yield(Pause::Dead) => {
                // What is on its stack was never dropped, so its memory must stay as it is.
                core::mem::forget(fiber.coroutine);
                Ended::Panicked
            }
            CoroutineResult::Return(ended) => {
                let stack = fiber.coroutine.into_stack();
                self.0.table.lock().stacks.push((fiber.stack_size, stack));
                ended
            }
        };
        if id != MAIN {
            self.0.table.lock().free.push(id);
        }
        (id == MAIN).then_some(ended)
    }

    /// Makes fibers ready whose deadline has come. When nothing is ready, says until when to
    /// sleep: until the first deadline or `next`, what the daemon wants.
    fn bedtime(&self, now: Instant, next: Option<Instant>) -> Option<Option<Instant>> {
        let mut table = self.0.table.lock();
        while let Some(&(deadline, id)) = table.deadlines.first()
            && deadline <= now
        {
            table.deadlines.pop_first();
            if let Some(fiber) = &table.fibers[id] {
                fiber.task.wake_by_ref();
            }
        }
        // From here on a waker wakes the machine, before or during its sleep.
        self.0.asleep.store(true, Ordering::SeqCst);
        if !self.0.ready.lock().is_empty() {
            return None;
        }
        let first = table.deadlines.first().map(|&(deadline, _)| deadline);
        Some([next, first].into_iter().flatten().min())
    }
}

impl Wait for Fibers {
    fn block_on(
        &self,
        net: &Net,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> bool {
        let Some(task) = current() else {
            return Spin.block_on(net, deadline, poll);
        };
        let waker = Waker::from(task.clone());
        let mut context = Context::from_waker(&waker);
        let mut has_paused = false;
        loop {
            if poll(&mut context) {
                return true;
            }
            if deadline.is_some_and(|at| at <= net.now()) {
                if has_paused {
                    return false;
                }
                // A limit that is over at once, again and again, would keep the network from its turn.
                task.wake_by_ref();
            }
            task.pause(Pause::Waiting(deadline));
            has_paused = true;
        }
    }

    fn give_way(&self, net: &Net) {
        match current() {
            Some(_) => yield_now(),
            None => Spin.give_way(net),
        }
    }

    /// The daemon has its turn when the fiber waits; off the fibers, at once.
    fn has_output(&self, net: &Net) {
        if machine::running().is_null() {
            net.turn();
        }
    }

    fn spawn(
        &self,
        name: String,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        self.spawn_with_stack(name, None, job, on_panic)
    }

    fn spawn_with_stack(
        &self,
        name: String,
        stack_size: Option<usize>,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        let size =
            stack_size.map_or_else(|| STACK_SIZE.load(Ordering::Relaxed), |size| size.max(STACK_SIZE_MIN));
        self.start(name, size, job, on_panic)
    }
}
