//! The ways of waiting besides OS threads, with the kernel as the peer.

use barenet::stack::Limits;
use barenet::wait::Spin;
use barenet::{Error, Shutdown, TcpListener, TcpStream};
use barenet_boards::fiber::Ended;
use barenet_tests::kernel::{
    Family, PATIENCE, beside, fibers_and_network, machine, network, noise, receive, send, within,
};
use barenet_tests::netns;
use std::future::Future;
use std::net;
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

const LEN: usize = 1_000_000;

/// Takes one stream and then sends another.
fn kernel_server(listener: &net::TcpListener) {
    let (mut flow, _) = listener.accept().unwrap();
    receive(&mut flow, &noise(LEN, 1));
    send(&mut flow, &noise(LEN, 2));
}

/// Without an executor and without a second thread: each call turns the daemon.
#[test]
fn one_thread_that_spins_and_idles() {
    within(PATIENCE, || {
        netns::run(|| {
            let tap = netns::tap(true);
            let platform = machine(tap.events());
            let net = network(tap, platform, &Spin, &Limits::default());
            let listener = net::TcpListener::bind((Family::V6.kernel(), 7000)).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| kernel_server(&listener));
                let mut flow = TcpStream::connect(&net, listener.local_addr().unwrap()).unwrap();
                send(&mut flow, &noise(LEN, 1));
                receive(&mut flow, &noise(LEN, 2));
            });
        });
    });
}

/// As a client of the kernel sends data and gets it back.
fn kernel_client(number: u64) {
    let data = noise(100_000, number);
    let mut flow = net::TcpStream::connect((Family::V4.ours(), 7000)).unwrap();
    let mut writer = flow.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| send(&mut writer, &data));
        receive(&mut flow, &data);
    });
}

/// One thread runs the daemon and a fiber per connection.
#[test]
fn fibers_connect_and_serve() {
    within(PATIENCE, || {
        netns::run(|| {
            let (fibers, net) = fibers_and_network();
            let kernel = net::TcpListener::bind((Family::V4.kernel(), 7000)).unwrap();
            let stop = net.clone();
            let to = kernel.local_addr().unwrap();
            let (listening, served) = mpsc::channel();
            let own = net.clone();
            let main = move || {
                let mut flow = TcpStream::connect(&own, to).unwrap();
                send(&mut flow, &noise(LEN, 1));
                receive(&mut flow, &noise(LEN, 2));
                let listener = TcpListener::bind(&own, 7000).unwrap();
                listening.send(()).unwrap();
                assert_eq!(listener.serve(|flow, _| echo(flow)), Err(Error::NetDown));
            };
            thread::scope(|scope| {
                scope.spawn(move || {
                    kernel_server(&kernel);
                    served.recv().unwrap();
                    thread::scope(|scope| {
                        for number in 0..16 {
                            scope.spawn(move || kernel_client(number));
                        }
                    });
                    stop.shutdown();
                });
                assert_eq!(fibers.run(&net, Box::new(main)), Ok(Ended::Returned));
            });
        });
    });
}

fn echo(mut flow: TcpStream) -> Result<(), Error> {
    let mut buf = [0; 4096];
    loop {
        match flow.read(&mut buf)? {
            0 => return Ok(()),
            n => flow.write_all(&buf[..n])?,
        }
    }
}

/// Sixteen connections of the kernel on one thread of ours, by the async functions.
#[test]
fn an_executor_of_ones_own() {
    beside(true, |net| {
        let listener = TcpListener::bind(net, 7000).unwrap();
        thread::scope(|scope| {
            for number in 0..16 {
                scope.spawn(move || kernel_client(number));
            }
            let serve = async || echo_async(listener.accept_async().await.unwrap().0).await.unwrap();
            run(All((0..16).map(|_| Box::pin(serve())).collect()));
        });
    });
}

/// The same by the blocking face of async code, and as the client.
#[test]
fn futures_in_blocking_code() {
    beside(false, |net| {
        let listener = net::TcpListener::bind((Family::V4.kernel(), 7000)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| kernel_server(&listener));
            let to = listener.local_addr().unwrap();
            net.block_on(async {
                let mut flow = TcpStream::connect_async(net, to).await?;
                flow.write_all_async(&noise(LEN, 1)).await?;
                flow.shutdown(Shutdown::Write)?;
                let (mut all, mut buf) = (Vec::new(), [0; 4096]);
                while let n @ 1.. = flow.read_async(&mut buf).await? {
                    all.extend_from_slice(&buf[..n]);
                }
                assert!(all == noise(LEN, 2), "other bytes than those that were sent");
                Ok::<(), Error>(())
            })
            .unwrap();
        });
    });
}

async fn echo_async(mut flow: TcpStream) -> Result<(), Error> {
    let mut buf = [0; 4096];
    loop {
        match flow.read_async(&mut buf).await? {
            0 => return Ok(()),
            n => flow.write_all_async(&buf[..n]).await?,
        }
    }
}

/// Ready when all of them are.
struct All<F>(Vec<Pin<Box<F>>>);

impl<F: Future<Output = ()>> Future for All<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.retain_mut(|task| task.as_mut().poll(cx).is_pending());
        if self.0.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The smallest executor: this thread, which sleeps until it is woken.
fn run(task: impl Future<Output = ()>) {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut task = pin!(task);
    while task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        thread::park();
    }
}
