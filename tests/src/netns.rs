//! Network namespaces for tests and benchmarks: a TAP with the kernel at its other end, where
//! nothing else is and of which nothing is left.
//!
//! A namespace belongs to a thread and to what that thread starts. Root, and a program that is
//! root of a user namespace, just makes one. Everyone else needs a user namespace first, which
//! the kernel gives only to a process with a single thread: so [`run`] starts the test's own
//! program again, for that one test, inside one. When the system allows neither, the test fails
//! and says what is missing.

use barenet::device::Mac;
use barenet_drivers::tap::{self, Options, Tap, namespace};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

/// The address that [`tap()`] gives to the stack's end.
pub const MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// IPv4 addresses of the kernel's end and the stack's end; both prefixes are 24 bits long.
pub const KERNEL_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// See [`KERNEL_V4`].
pub const STACK_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// IPv6 addresses of the kernel's end and the stack's end; both prefixes are 64 bits long.
pub const KERNEL_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
/// See [`KERNEL_V6`].
pub const STACK_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// Set in a program that [`run`] has started again.
const AGAIN: &str = "BARENET_TESTS_NETNS";

/// Runs `body` in a thread that has a network namespace to itself, with loopback on. Threads
/// that it starts are in the same namespace, so kernel sockets of `std::net` work in them.
///
/// For the closures of `#[test]` functions only: without privilege it starts the test's program
/// again for the test whose closure it is. A `main` uses [`enter`].
///
/// # Panics
///
/// When `body` panics, and when the system allows no namespace: the message says what to allow.
pub fn run<F: FnOnce() + Send>(body: F) {
    let done = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let entered = namespace::enter();
            if entered.is_ok() {
                body();
            }
            entered
        });
        thread.join()
    });
    match done {
        Ok(Ok(())) => {}
        Ok(Err(why)) if std::env::var_os(AGAIN).is_some() => panic!("{why}"),
        Ok(Err(_)) => run_again(&test_name::<F>()),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Moves the calling program into a namespace of its own. Call it in `main` before any thread is
/// started.
///
/// # Panics
///
/// When the system allows no namespace: the message says what to allow.
pub fn enter() {
    namespace::enter().unwrap_or_else(|why| panic!("{why}"));
}

/// A new TAP `tap0` in the current namespace, its kernel's end with [`KERNEL_V4`] and
/// [`KERNEL_V6`]. With `offloads`, frames cross it with vnet headers.
///
/// # Panics
///
/// When the system does not allow it: the message says what to allow.
pub fn tap(offloads: bool) -> Tap {
    let options = Options::new().name("tap0");
    let options = if offloads { options } else { options.plain() };
    let addresses: [(IpAddr, u8); 2] = [(KERNEL_V4.into(), 24), (KERNEL_V6.into(), 64)];
    let opened = Tap::open(MAC, options).and_then(|tap| {
        tap::configure(tap.name(), &addresses)?;
        tap::settle(&addresses)?;
        Ok(tap)
    });
    opened.unwrap_or_else(|why| panic!("{why}"))
}

/// The name of the test that calls, as the test's program knows it: that of its thread. When
/// tests run on the main thread, the name is in the type of the closure `F`.
fn test_name<F>() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => in_type(std::any::type_name::<F>()).to_owned(),
    }
}

/// The test in the name of a closure's type: `CRATE::TEST::{{closure}}`, possibly an argument of
/// the type of a closure in a helper.
fn in_type(name: &str) -> &str {
    let path = name.split("::{{closure}}").next().unwrap_or(name);
    let path = path.rsplit(['<', ' ', ',', '&']).next().unwrap_or(path);
    path.split_once("::").map_or(path, |(_, test)| test)
}

/// Runs one test of this program in a child that is root of a user namespace.
fn run_again(test: &str) {
    let program = std::env::current_exe().expect("the path of the test's program");
    let mut command = Command::new(program);
    command.args([test, "--exact", "--include-ignored", "--nocapture"]).env(AGAIN, "1");
    let output = namespace::isolate(&mut command).output().unwrap_or_else(|why| {
        let errno = why.raw_os_error().unwrap_or(0);
        let call = "network namespace";
        panic!("{}", tap::Error::Namespace { call, errno })
    });
    let text = String::from_utf8_lossy(&output.stdout);
    // A test that is not found would count as success: insist that it ran.
    assert!(
        output.status.success() && text.contains("1 passed"),
        "`{test}`, run again in a user namespace: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_in_its_closures_type() {
        assert_eq!(in_type("tap::goes::{{closure}}"), "goes");
        assert_eq!(in_type("lib::room::tests::goes::{{closure}}"), "room::tests::goes");
        let helped = "tap::helper<tap::goes::{{closure}}>::{{closure}}";
        assert_eq!(in_type(helped), "goes");
    }
}
