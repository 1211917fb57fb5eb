//! A device that disappears: whoever waits is told so, by every way of waiting.

use barenet::stack::Limits;
use barenet::wait::{Spin, Threads, Wait};
use barenet::{Error, Net, PingSocket, TcpListener, TcpStream, UdpSocket};
use barenet_tests::kernel::{
    Daemon, Family, Opens, PATIENCE, fibers_and_network, machine, network, pair, within,
};
use barenet_tests::netns;
use core::task::Context;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

/// A way of waiting that tells when a call had to wait.
struct Telling<W> {
    inner: W,
    waits: mpsc::SyncSender<()>,
}

impl<W: Wait> Wait for Telling<W> {
    fn block_on(
        &self,
        net: &Net,
        deadline: Option<barenet::time::Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> bool {
        let mut told = false;
        self.inner.block_on(net, deadline, &mut |cx| {
            let done = poll(cx);
            if !done && !told {
                told = true;
                // Nobody listens any more once the test has seen enough.
                let _ = self.waits.try_send(());
            }
            done
        })
    }

    fn has_output(&self, net: &Net) {
        self.inner.has_output(net);
    }

    fn spawn(
        &self,
        name: String,
        job: Box<dyn FnOnce() + Send>,
        on_panic: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Error> {
        self.inner.spawn(name, job, on_panic)
    }
}

/// A way of waiting as [`Telling`], and where it tells.
fn telling<W: Wait + 'static>(inner: W) -> (&'static Telling<W>, mpsc::Receiver<()>) {
    let (waits, told) = mpsc::sync_channel(1000);
    (Box::leak(Box::new(Telling { inner, waits })), told)
}

/// Takes the TAP away under whoever uses it.
fn unplug() {
    let status = Command::new("ip").args(["link", "delete", "tap0"]).status();
    assert!(status.expect("`ip`, of the package iproute2, can be run").success());
}

#[test]
fn threads_that_wait_are_told() {
    within(PATIENCE, || {
        netns::run(|| {
            let tap = netns::tap(true);
            let platform = machine(tap.events());
            let (wait, told) = telling(Threads);
            let net = network(tap, platform, wait, &Limits::default());
            let _daemon = Daemon::start(&net);
            let (mut reader, _kernel) = pair(&net, Family::V4, Opens::Ours);
            let listener = TcpListener::bind(&net, 7000).unwrap();
            let server = TcpListener::bind(&net, 7001).unwrap();
            let udp = UdpSocket::bind(&net, 7000).unwrap();
            let mut ping = PingSocket::connect(&net, Family::V4.kernel()).unwrap();
            let silent = "10.0.0.77:80".parse::<SocketAddr>().unwrap();
            while told.try_recv().is_ok() {}
            type Operation<'a> = Box<dyn FnOnce() -> Option<Error> + Send + 'a>;
            let operations: [(&str, Operation<'_>); 6] = [
                ("read", Box::new(|| reader.read(&mut [0; 10]).err())),
                ("accept", Box::new(|| listener.accept().err())),
                ("serve", Box::new(|| server.serve(|_, _| Ok(())).err())),
                ("recv", Box::new(|| udp.recv_from(&mut [0; 10]).err())),
                ("ping", Box::new(|| ping.recv(&mut [0; 10]).err())),
                ("connect", Box::new(|| TcpStream::connect(&net, silent).err())),
            ];
            thread::scope(|scope| {
                let operations = operations.map(|(name, run)| (name, scope.spawn(run)));
                (0..operations.len()).for_each(|_| told.recv().unwrap());
                unplug();
                for (name, thread) in operations {
                    assert_eq!(thread.join().unwrap(), Some(Error::DeviceGone), "{name}");
                }
            });
            // Later calls fail too, and nothing leads anywhere any more.
            assert_eq!(reader.write(b"more"), Err(Error::DeviceGone));
            assert_eq!(udp.recv_from(&mut [0; 10]), Err(Error::DeviceGone));
            assert_eq!(TcpStream::connect(&net, silent).err(), Some(Error::NetUnreachable));
        });
    });
}

#[test]
fn one_thread_alone_is_told() {
    within(PATIENCE, || {
        netns::run(|| {
            let tap = netns::tap(false);
            let platform = machine(tap.events());
            let (wait, told) = telling(Spin);
            let net = network(tap, platform, wait, &Limits::default());
            let listener = TcpListener::bind(&net, 7000).unwrap();
            thread::scope(|scope| {
                scope.spawn(move || {
                    told.recv().unwrap();
                    unplug();
                });
                assert_eq!(listener.accept().err(), Some(Error::DeviceGone));
            });
        });
    });
}

#[test]
fn fibers_that_wait_are_told() {
    within(PATIENCE, || {
        netns::run(|| {
            let (fibers, net) = fibers_and_network();
            let own = net.clone();
            let (serving, unplugs) = mpsc::channel();
            let main = move || {
                let listener = TcpListener::bind(&own, 7000).unwrap();
                serving.send(()).unwrap();
                assert_eq!(listener.serve(|_, _| Ok(())), Err(Error::DeviceGone));
            };
            thread::scope(|scope| {
                scope.spawn(move || {
                    unplugs.recv().unwrap();
                    unplug();
                });
                let ended = fibers.run(&net, Box::new(main));
                assert_eq!(ended, Ok(barenet_boards::fiber::Ended::Returned));
            });
        });
    });
}
