//! Ends that lose nothing: what was written is read before a reset, on either side.

use barenet::{Error, Net, Serve, TcpListener, TcpStream};
use barenet_boards::fiber::Ended;
use barenet_tests::kernel::{Family, Opens, PATIENCE, beside, fibers_and_network, noise, pair, within};
use barenet_tests::netns;
use std::io::{ErrorKind, Read, Write};
use std::net::{self, Shutdown};
use std::sync::mpsc;
use std::thread;

const CLIENTS: usize = 20;

/// More than the kernel's window takes at first.
fn answer() -> Vec<u8> {
    noise(300_000, 1)
}

/// A server that answers what it has read a tenth of.
fn refuse(mut flow: TcpStream) -> Result<(), Error> {
    flow.read_exact(&mut [0; 1000])?;
    flow.write_all(&answer())
}

/// Reads until a reset, which must come.
fn read_to_reset(flow: &mut impl Read) -> Vec<u8> {
    let mut all = vec![];
    let why = flow.read_to_end(&mut all).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::ConnectionReset);
    all
}

/// A client of the kernel whose request is too long: it reads the whole answer, then the reset.
fn too_long_a_request() {
    let mut flow = net::TcpStream::connect((Family::V4.ours(), 7000)).unwrap();
    let mut writer = flow.try_clone().unwrap();
    thread::scope(|scope| {
        // The reset may come in the middle of it.
        scope.spawn(move || drop(writer.write_all(&noise(10_000, 2))));
        assert!(read_to_reset(&mut flow) == answer(), "not the answer");
    });
}

fn too_long_requests() {
    thread::scope(|scope| (0..CLIENTS).for_each(|_| drop(scope.spawn(too_long_a_request))));
}

/// RFC 1122 section 4.2.2.13: closing with unread text. The answer is read by all of the clients.
#[test]
fn an_answer_to_what_nobody_read_with_threads() {
    beside(true, |net| {
        let listener = TcpListener::bind(net, 7000).unwrap();
        thread::scope(|scope| {
            let server = scope.spawn(|| listener.serve(|flow, _| refuse(flow)));
            too_long_requests();
            listener.close();
            assert_eq!(server.join().unwrap(), Ok(()));
        });
    });
}

/// The same on fibers: the daemon's turn comes after the close.
#[test]
fn an_answer_to_what_nobody_read_with_fibers() {
    on_fibers(|listener| listener.serve(|flow, _| refuse(flow)), too_long_requests);
}

/// Runs `serve` on a fiber, and `clients` beside it.
fn on_fibers(
    serve: impl FnOnce(&TcpListener) -> Result<(), Error> + Send + 'static,
    clients: impl FnOnce() + Send,
) {
    within(PATIENCE, || {
        netns::run(|| {
            let (fibers, net) = fibers_and_network();
            let (stop, own) = (net.clone(), net.clone());
            let (listening, ready) = mpsc::channel();
            let main = move || {
                let listener = TcpListener::bind(&own, 7000).unwrap();
                listening.send(()).unwrap();
                assert_eq!(serve(&listener), Err(Error::NetDown));
            };
            thread::scope(|scope| {
                scope.spawn(move || {
                    ready.recv().unwrap();
                    clients();
                    stop.shutdown();
                });
                assert_eq!(fibers.run(&net, Box::new(main)), Ok(Ended::Returned));
            });
        });
    });
}

/// Says its last words when it is dropped.
struct Mortal(TcpStream);

impl Drop for Mortal {
    fn drop(&mut self) {
        self.0.write_without_interruption(LAST_WORDS).unwrap();
    }
}

const LAST_WORDS: &[u8] = b"I can't go on: ";

fn fail(mut flow: TcpStream) -> Result<(), Error> {
    flow.read_exact(&mut [0; 1000])?;
    let _mortal = Mortal(flow);
    std::panic::resume_unwind(Box::new("a handler that fails"));
}

fn hear_last_words() {
    let mut flow = net::TcpStream::connect((Family::V4.ours(), 7000)).unwrap();
    // Some of it is unread when the handler fails.
    let _ = flow.write_all(&noise(10_000, 2));
    assert_eq!(read_to_reset(&mut flow), LAST_WORDS);
}

/// M15: last words of a handler that panics are read, and then a reset says that they are not the whole
/// stream.
#[test]
fn last_words_with_threads() {
    beside(true, |net| {
        let listener = TcpListener::bind(net, 7000).unwrap();
        thread::scope(|scope| {
            let server = scope.spawn(|| listener.serve_with(Serve::default(), |flow, _| fail(flow)));
            (0..CLIENTS).for_each(|_| hear_last_words());
            listener.close();
            assert_eq!(server.join().unwrap(), Ok(()));
        });
    });
}

/// M15: the same on fibers.
#[test]
fn last_words_with_fibers() {
    on_fibers(
        |listener| listener.serve(|flow, _| fail(flow)),
        || (0..CLIENTS).for_each(|_| hear_last_words()),
    );
}

/// Contract M2, E2: the kernel answers and closes; we write once more, and are reset. Reading gives the answer, the
/// end, and then the error, each time; writing says at once that the peer had closed.
#[test]
fn the_kernels_answer_comes_before_its_reset() {
    beside(true, |net| {
        for opens in Opens::BOTH {
            let (mut ours, mut kernel) = pair(net, Family::V4, opens);
            let said = noise(10_000, 1);
            kernel.write_all(&said).unwrap();
            drop(kernel);
            await_closed_by_peer(net, &mut ours);
            let mut all = vec![0; said.len()];
            ours.read_exact(&mut all).unwrap();
            assert!(all == said, "not the answer");
            assert_eq!(ours.read(&mut all), Ok(0), "its FIN");
            for _ in 0..3 {
                assert_eq!(ours.read(&mut all), Err(Error::ConnectionReset));
                assert_eq!(ours.write(b"x"), Err(Error::ClosedByPeer));
            }
        }
    });
}

/// Writes until the peer has reset the connection.
fn await_closed_by_peer(net: &Net, ours: &mut TcpStream) {
    while let Ok(true) = ours.state().map(|s| s != barenet::State::CloseWait) {
        net.pause(std::time::Duration::from_millis(1));
    }
    let why = loop {
        if let Err(why) = ours.write(b"too late") {
            break why;
        }
        net.pause(std::time::Duration::from_millis(1));
    };
    assert_eq!(why, Error::ClosedByPeer);
}

/// H270: half-closed, both ways, with a reset at the end: what the other end says after our FIN, or its own,
/// is read first.
#[test]
fn half_closed_and_then_reset() {
    beside(false, |net| {
        let (mut ours, mut kernel) = pair(net, Family::V6, Opens::Ours);
        ours.write_all(b"question").unwrap();
        ours.shutdown(barenet::Shutdown::Write).unwrap();
        let mut question = vec![];
        kernel.read_to_end(&mut question).unwrap();
        kernel.write_all(b"half an answer").unwrap();
        rustix::net::sockopt::set_socket_linger(&kernel, Some(std::time::Duration::ZERO)).unwrap();
        while !ours.is_readable().unwrap() {
            net.pause(std::time::Duration::from_millis(1));
        }
        drop(kernel);
        while ours.take_error().unwrap().is_none() {
            net.pause(std::time::Duration::from_millis(1));
        }
        let mut buf = [0; 100];
        assert_eq!(ours.read(&mut buf), Ok(14));
        assert_eq!((ours.read(&mut buf), ours.read(&mut buf)), {
            let reset = Err(Error::ConnectionReset);
            (reset, reset)
        });

        let (ours, mut kernel) = pair(net, Family::V6, Opens::Kernel);
        kernel.write_all(b"question").unwrap();
        kernel.shutdown(Shutdown::Write).unwrap();
        let mut ours = ours;
        let mut question = [0; 100];
        while ours.read(&mut question).unwrap() > 0 {}
        ours.write_all(b"all of the answer").unwrap();
        drop(ours);
        let mut all = vec![];
        kernel.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"all of the answer");
    });
}
