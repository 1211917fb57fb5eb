//! A network namespace of one's own, where a TAP and its addresses disturb nobody.
//!
//! Root makes one directly. Anyone else makes a user namespace along with it, in which the
//! program is root; the kernel allows that to a process with one thread only.

use super::{Error, ioctl};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::thread::UnshareFlags;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Moves the calling thread, and the threads and processes that it starts from now on, into a new
/// network namespace, and switches on its loopback. It ends with the last of them.
///
/// Without privilege the process also becomes root of a new user namespace, for which it must
/// have a single thread.
///
/// # Errors
///
/// [`Error::Namespace`] when the system does not allow it, with the reason.
pub fn enter() -> Result<(), Error> {
    Maps::new().enter()?;
    let control = ioctl::control();
    control
        .and_then(|control| ioctl::set_up(control, "lo", true))
        .map_err(|e| Error::new("switch on", "lo", e))
}

/// Makes `command` run in a network namespace of its own, and as root of a user namespace if the
/// program has no privilege. Works in a process with many threads too.
pub fn isolate(command: &mut Command) -> &mut Command {
    let maps = Maps::new();
    // SAFETY: the hook runs in the child between fork and exec. `Maps::enter_raw` makes system
    // calls only: it neither allocates nor takes a lock, since its strings are ready.
    unsafe { command.pre_exec(move || Ok(maps.enter_raw().map_err(|(_, errno)| errno)?)) }
}

/// Makes `command` end by SIGKILL when the thread that starts it ends, however that comes about.
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    // SAFETY: the hook runs in the child between fork and exec and makes one system call.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        })
    }
}

/// Root may make a network namespace; everyone else needs a user namespace around it, in which
/// these lines for /proc/self/uid_map and gid_map make the caller root.
struct Maps {
    uid: String,
    gid: String,
}

impl Maps {
    fn new() -> Self {
        Maps {
            uid: format!("0 {} 1", rustix::process::geteuid().as_raw()),
            gid: format!("0 {} 1", rustix::process::getegid().as_raw()),
        }
    }

    fn enter(&self) -> Result<(), Error> {
        self.enter_raw().map_err(|(call, errno)| Error::Namespace { call, errno: errno.raw_os_error() })
    }

    /// System calls only. The failed call is named.
    fn enter_raw(&self) -> Result<(), (&'static str, Errno)> {
        match unshare(UnshareFlags::NEWNET) {
            Ok(()) => return Ok(()),
            Err(Errno::PERM) => {}
            Err(errno) => return Err(("network namespace", errno)),
        }
        unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET).map_err(|errno| ("user namespace", errno))?;
        // A gid_map may only be written by the unprivileged once setgroups is given up.
        for (path, line) in [
            (c"/proc/self/setgroups", "deny"),
            (c"/proc/self/uid_map", &*self.uid),
            (c"/proc/self/gid_map", &*self.gid),
        ] {
            write(path, line).map_err(|errno| ("user namespace's maps", errno))?;
        }
        Ok(())
    }
}

fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: the table of descriptors stays shared (no CLONE_FILES), which is what the function
    // is unsafe for.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

fn write(path: &core::ffi::CStr, line: &str) -> rustix::io::Result<()> {
    use rustix::fs::{Mode, OFlags, open};
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, line.as_bytes()).map(drop)
}
