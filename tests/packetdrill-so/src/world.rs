//! Virtual time and two threads.
//!
//! The thread that called `packetdrill_interface_init` interprets the script, the other one makes the calls that
//! wait, from the time on at which they begin. Both move time: each look at the clock takes a microsecond
//! (packetdrill spins on it), sleeping and waiting for a packet go from deadline to deadline. After each change
//! of the world a call that waits is let look before time goes on: else it would return later than it did.

use barenet_tests::packetdrill::link::{Addresses, World};
use barenet_tests::packetdrill::posix::{Errno, Posix};
use barenet_tests::packetdrill::profile::{Profile, TcpConfig, apply_command};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::ThreadId;
use std::time::Duration;

/// What both threads use.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The world has changed.
    changed: Condvar,
    /// A thread that waits has looked at the change.
    looked: Condvar,
    /// The thread of the script.
    main: ThreadId,
}

/// The world under its lock.
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) posix: Posix,
    /// Counts changes.
    change: u64,
    /// Calls that wait, and how many of them have not looked at the last change.
    waiting: usize,
    unseen: usize,
    /// Calls that have returned to packetdrill, which has not read the clock yet.
    returning: usize,
    settings: Option<Settings>,
}

/// A file to which somebody appends settings while scripts run, and how much of it was read.
struct Settings {
    file: PathBuf,
    read: usize,
}

impl State {
    /// Makes the settings that have been appended since the last look.
    fn take_settings(&mut self) {
        let Some(settings) = &mut self.settings else { return };
        // There is no file before the first setting.
        let text = std::fs::read_to_string(&settings.file).unwrap_or_default();
        let new = text.get(settings.read..).unwrap_or_default();
        if let Some(end) = new.rfind('\n') {
            settings.read += end + 1;
            let apply = |config: &mut TcpConfig| drop(apply_command(&new[..end], config));
            if let Err(error) = self.world.net().with_stack(|stack| stack.configure_tcp(apply)) {
                give_up(&format!("{}: {error}", settings.file.display()));
            }
        }
    }
}

/// packetdrill reads the clock at once after a call; should it not, time goes on.
const RETURN_MAX: Duration = Duration::from_millis(200);
/// Most virtual time that one wait for a packet or by the main thread takes, in microseconds.
const PATIENCE: u64 = 3_600_000_000;

/// Ends the process with a message, as packetdrill does when a script fails.
pub(crate) fn give_up(message: &str) -> ! {
    eprintln!("barenet: {message}");
    std::process::exit(1);
}

impl Shared {
    /// A world with the addresses and settings in `flags`: words such as `local_ip=192.168.0.1`.
    pub(crate) fn new(flags: &str) -> Result<Shared, String> {
        let Flags { addresses, config, settings } = parse(flags)?;
        let world = World::new(&addresses, config, 1)?;
        let posix = Posix::new(world.net().clone(), Box::new(reserve));
        let settings = settings.map(|file| Settings { file, read: 0 });
        let state = State { world, posix, change: 0, waiting: 0, unseen: 0, returning: 0, settings };
        Ok(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            looked: Condvar::new(),
            main: std::thread::current().id(),
        })
    }

    fn is_main(&self) -> bool {
        std::thread::current().id() == self.main
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the world that takes no time.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        state.take_settings();
        let result = act(&mut state);
        state.world.settle();
        let state = self.hand_over(state);
        drop(state);
        result
    }

    /// The world has changed: whoever waits looks at it, and returns, before anything else happens.
    fn hand_over<'s>(&self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        if !self.is_main() || state.waiting == 0 && state.returning == 0 {
            return state;
        }
        state.change += 1;
        state.unseen = state.waiting;
        self.changed.notify_all();
        while state.unseen > 0 {
            state = self.looked.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let not_yet = |state: &mut State| state.returning > 0;
        let waited = self.looked.wait_timeout_while(state, RETURN_MAX, not_yet);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.returning = 0;
        state
    }

    /// A call that may wait: asks again after every change until it is ready.
    pub(crate) fn wait<R>(
        &self,
        name: &str,
        mut attempt: impl FnMut(&mut State) -> Poll<Result<R, Errno>>,
    ) -> Result<R, Errno> {
        let mut state = self.lock();
        state.take_settings();
        let limit = state.world.now() + PATIENCE;
        loop {
            if let Poll::Ready(result) = attempt(&mut state) {
                state.world.settle();
                drop(self.hand_over(state));
                return result;
            }
            if self.is_main() {
                // Nobody else can move time, and no packet comes meanwhile.
                if state.world.deadline().is_none() || state.world.now() >= limit {
                    give_up(&format!("{name} would wait for ever: nothing is left to happen"));
                }
                state.world.step(limit);
                state = self.hand_over(state);
                continue;
            }
            let (result, after) = self.sleep(state, &mut attempt);
            if let Some(result) = result {
                return result;
            }
            state = after;
        }
    }

    /// The other thread sleeps until the next change and looks.
    fn sleep<'s, R>(
        &self,
        mut state: MutexGuard<'s, State>,
        attempt: &mut impl FnMut(&mut State) -> Poll<Result<R, Errno>>,
    ) -> (Option<Result<R, Errno>>, MutexGuard<'s, State>) {
        state.waiting += 1;
        let seen = state.change;
        while state.change == seen {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        state.unseen -= 1;
        let result = match attempt(&mut state) {
            Poll::Ready(result) => {
                state.returning += 1;
                state.world.settle();
                Some(result)
            }
            Poll::Pending => None,
        };
        self.looked.notify_all();
        (result, state)
    }

    /// The clock in microseconds.
    pub(crate) fn clock(&self) -> u64 {
        let mut state = self.lock();
        if !self.is_main() && state.returning > 0 {
            // When has its call returned? Now.
            state.returning -= 1;
            self.looked.notify_all();
            return state.world.now();
        }
        let next = state.world.now() + 1;
        state.world.advance(next);
        self.hand_over(state).world.now()
    }

    /// Lets virtual time pass.
    pub(crate) fn pass(&self, micros: u64) {
        let mut state = self.lock();
        let until = state.world.now() + micros;
        while state.world.step(until) {
            state = self.hand_over(state);
        }
        drop(self.hand_over(state));
    }

    /// The next packet of the stack, and when it was sent. `None`: there will be none.
    pub(crate) fn next_packet(&self) -> Option<(u64, Vec<u8>)> {
        let mut state = self.lock();
        let limit = state.world.now() + PATIENCE;
        loop {
            if let Some(sent) = state.world.sent() {
                return Some(sent);
            }
            state.world.deadline().filter(|at| *at < limit)?;
            state.world.step(limit);
            state = self.hand_over(state);
        }
    }
}

/// A descriptor of the kernel, so that nobody else has the number and packetdrill may close it.
fn reserve() -> Result<i32, Errno> {
    // SAFETY: the path is a C string.
    let fd = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if fd < 0 { Err(Errno(libc::EMFILE)) } else { Ok(fd) }
}

/// What `--so_flags` says.
struct Flags {
    addresses: Addresses,
    config: TcpConfig,
    settings: Option<PathBuf>,
}

fn parse(flags: &str) -> Result<Flags, String> {
    let words = || flags.split([' ', ',', ';']).map(|w| w.trim_start_matches('-')).filter(|w| !w.is_empty());
    let profile = match words().find_map(|w| w.strip_prefix("profile=")) {
        None | Some("linux") => Profile::Linux,
        Some("freebsd") => Profile::FreeBsd,
        Some(other) => return Err(format!("profile={other} is not known")),
    };
    let v6 = words().any(|w| w == "ip_version=ipv6");
    let mut all = Flags { addresses: Addresses::usual(v6), config: profile.config(), settings: None };
    let addresses = &mut all.addresses;
    for word in words() {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is not NAME=VALUE"))?;
        let address = || value.parse::<IpAddr>().map_err(|_| format!("{word}: no address"));
        match name {
            "ip_version" if matches!(value, "ipv4" | "ipv6") => {}
            "profile" => {}
            "local_ip" => addresses.local = address()?,
            "gateway_ip" => addresses.gateway = address()?,
            "remote_ip" => addresses.remote = address()?,
            "prefix" => addresses.prefix = value.parse().map_err(|_| format!("{word}: no number"))?,
            "mtu" => addresses.mtu = value.parse().map_err(|_| format!("{word}: no number"))?,
            "settings" => all.settings = Some(value.into()),
            // A setting as of sysctl.
            _ if name.contains('.')
                && apply_command(&format!("sysctl {word}"), &mut all.config).is_empty() => {}
            _ => return Err(format!("{word} is not known")),
        }
    }
    if addresses.gateway == addresses.local {
        // packetdrill's tunnel has no other end: the link answers for any router.
        addresses.gateway = Addresses::usual(v6).gateway;
    }
    Ok(all)
}
