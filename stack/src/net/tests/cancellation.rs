//! What async calls say of themselves when they are dropped: each is dropped after its first poll, after its second, and so
//! on until it is ready by itself, and done again.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use std::{vec, vec::Vec};

use super::*;
use crate::socket::{PingSocket, RawSocket, UdpSocket};
use crate::udp::RecvSlot;

/// Polls before the others have done what a call waits for.
const WAITS: u64 = 4;

/// One network with its loopback, in virtual time.
struct World<S> {
    net: Net,
    machine: &'static Machine,
    sockets: S,
}

impl<S> World<S> {
    /// A millisecond, in which frames go round.
    fn step(&self) {
        self.machine.ms.fetch_add(1, Ordering::Relaxed);
        settle(&self.net);
    }

    /// Polls so often, or until it is ready; between polls others do something.
    fn poll<T>(&self, future: impl Future<Output = T>, polls: u64, others: &impl Fn(&S, u64)) -> Option<T> {
        let mut future = pin!(future);
        for n in 0..polls {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Some(value);
            }
            self.step();
            others(&self.sockets, n);
            self.step();
        }
        None
    }
}

/// Drops the call's future after each number of polls and does it again: what it gives in the end is the same as if nothing
/// had been dropped. `others` do what it waits for after [`WAITS`] polls, whether it was dropped or not.
fn dropped_at_each_poll<S, T: PartialEq + core::fmt::Debug>(
    sockets: impl Fn(&Net) -> S,
    call: impl AsyncFn(&S) -> T,
    others: impl Fn(&S),
    expected: T,
) {
    let others = |sockets: &S, n: u64| {
        if n == WAITS {
            others(sockets);
        }
    };
    for polls in 0.. {
        let (net, machine) = net();
        let world = World { sockets: sockets(&net), net, machine };
        let done = world.poll(call(&world.sockets), polls, &others);
        if let Some(value) = done {
            assert_eq!(value, expected);
            assert!(polls > WAITS, "it has waited");
            return;
        }
        for n in polls..=WAITS {
            world.step();
            others(&world.sockets, n);
        }
        settle(&world.net);
        let again = world.poll(call(&world.sockets), 20, &|_, _| ()).expect("ready, after one was dropped");
        assert_eq!(again, expected, "dropped after {polls} polls");
    }
}

/// Both ends of a connection.
fn pair(net: &Net) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(net, 7).unwrap();
    let client = connect(net);
    settle(net);
    let (server, _) = listener.try_accept().unwrap();
    (client, server)
}

fn cells(net: &Net) -> (RefCell<TcpStream>, RefCell<TcpStream>) {
    let (client, server) = pair(net);
    (RefCell::new(client), RefCell::new(server))
}

/// Fills what lies between both ends, and gives it.
fn fill(net: &Net, stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    for n in 0.. {
        let piece = [n as u8; 1000];
        let Ok(taken) = stream.try_write(&piece) else { break };
        all.extend_from_slice(&piece[..taken]);
        settle(net);
    }
    all
}

fn drain(stream: &RefCell<TcpStream>) -> Vec<u8> {
    let (mut stream, mut all, mut buf) = (stream.borrow_mut(), Vec::new(), vec![0; 1 << 20]);
    while let Ok(n @ 1..) = stream.try_read(&mut buf) {
        all.extend_from_slice(&buf[..n]);
        settle(stream.net());
    }
    all
}

/// A connect that is dropped, at whatever moment, gives the connection up on both sides, and the next one connects.
#[test]
fn connect_dropped_at_each_poll_leaves_no_connection() {
    for polls in 0.. {
        let (net, machine) = net();
        let world = World { sockets: TcpListener::bind(&net, 7).unwrap(), net, machine };
        let connect = || TcpStream::connect_async(&world.net, "127.0.0.1:7");
        if world.poll(connect(), polls, &|_, _| ()).is_some() {
            assert!(polls > 1, "it has waited");
            return;
        }
        settle(&world.net);
        // Both ends of one that was accepted meanwhile are gone too.
        while let Ok((mut server, _)) = world.sockets.try_accept() {
            assert_eq!(server.try_read(&mut [0; 9]), Ok(0), "one that was open has ended");
        }
        settle(&world.net);
        assert_eq!(world.net.with_stack(|stack| stack.tcp_count().0), 0, "dropped after {polls} polls");
        world.poll(connect(), 20, &|_, _| ()).expect("ready, after one was dropped").unwrap();
        world.sockets.try_accept().unwrap();
    }
}

/// An accept that is dropped has taken no connection.
#[test]
fn accept_dropped_at_each_poll_takes_no_connection() {
    dropped_at_each_poll(
        |net| (TcpListener::bind(net, 7).unwrap(), RefCell::new(None)),
        async |(listener, _)| listener.accept_async().await.map(|(stream, _)| stream.state()).is_ok(),
        |(listener, client)| *client.borrow_mut() = Some(connect(listener.net())),
        true,
    );
}

/// A read that is dropped has taken nothing, whichever form it has.
#[test]
#[expect(clippy::await_holding_refcell_ref, reason = "nobody else borrows the end that reads")]
fn read_dropped_at_each_poll_takes_nothing() {
    type Ends = (RefCell<TcpStream>, RefCell<TcpStream>);
    let write = |(client, _): &Ends| assert_eq!(client.borrow_mut().try_write(b"abc"), Ok(3));
    let mut expected = vec![0; 9];
    expected[..3].copy_from_slice(b"abc");
    let plain = async |(_, server): &Ends| {
        let mut buf = vec![0; 9];
        let n = server.borrow_mut().read_async(&mut buf).await;
        (n, buf)
    };
    dropped_at_each_poll(cells, plain, write, (Ok(3), expected.clone()));
    let half = async |(_, server): &Ends| {
        let mut buf = vec![0; 9];
        let mut stream = server.borrow_mut();
        let n = stream.split().0.read_async(&mut buf).await;
        (n, buf)
    };
    dropped_at_each_poll(cells, half, write, (Ok(3), expected.clone()));
    let in_place =
        async |(_, server): &Ends| server.borrow_mut().read_with_async(|pieces| (3, pieces.concat())).await;
    dropped_at_each_poll(cells, in_place, write, Ok(b"abc".to_vec()));
}

/// A write that is dropped has taken nothing: the peer reads what was there before, and then what the next one wrote,
/// once.
#[test]
#[expect(clippy::await_holding_refcell_ref, reason = "nobody else borrows the end that writes")]
fn write_dropped_at_each_poll_writes_nothing() {
    struct Full {
        client: RefCell<TcpStream>,
        server: RefCell<TcpStream>,
        before: Vec<u8>,
        read: RefCell<Vec<u8>>,
    }
    let full = |net: &Net| {
        net.with_stack(|stack| stack.configure_tcp(|c| (c.receive_buffer, c.send_buffer) = (4096, 4096)))
            .unwrap();
        let (mut client, server) = pair(net);
        let before = fill(net, &mut client);
        assert!(before.len() >= 4096);
        Full { client: client.into(), server: server.into(), before, read: RefCell::default() }
    };
    let read = |full: &Full| full.read.borrow_mut().extend(drain(&full.server));
    let whole = |full: &Full| {
        settle(full.client.borrow().net());
        read(full);
        full.read.borrow().strip_prefix(&full.before[..]).map(<[u8]>::to_vec)
    };
    let plain = async |full: &Full| {
        let written = full.client.borrow_mut().write_async(b"tail").await;
        (written, whole(full))
    };
    dropped_at_each_poll(full, plain, read, (Ok(4), Some(b"tail".to_vec())));
    let gathered = async |full: &Full| {
        let written = full.client.borrow_mut().write_vectored_async(&[b"ta", b"il"]).await;
        (written, whole(full))
    };
    dropped_at_each_poll(full, gathered, read, (Ok(4), Some(b"tail".to_vec())));
    let in_place = async |full: &Full| {
        let fill = |room: &mut [u8]| {
            room[..4].copy_from_slice(b"tail");
            (4, 4)
        };
        let written = full.client.borrow_mut().write_with_async(4, fill).await;
        (written, whole(full))
    };
    dropped_at_each_poll(full, in_place, read, (Ok(4), Some(b"tail".to_vec())));
    let acknowledged = async |full: &Full| full.client.borrow().wait_acknowledged_async().await;
    dropped_at_each_poll(full, acknowledged, read, Ok(()));
}

/// A `write_all` that is dropped has written the beginning of what it was given, as its page says, and nothing twice.
#[test]
fn write_all_dropped_at_each_poll_has_written_the_beginning() {
    let data: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8).collect();
    for polls in 0.. {
        let (net, machine) = net();
        net.with_stack(|stack| stack.configure_tcp(|c| (c.receive_buffer, c.send_buffer) = (4096, 4096)))
            .unwrap();
        let (mut client, server) = pair(&net);
        let world = World { sockets: RefCell::new(server), net, machine };
        let read = RefCell::new(Vec::new());
        let others = |server: &RefCell<TcpStream>, _| read.borrow_mut().extend(drain(server));
        let done = world.poll(client.write_all_async(&data), polls, &others);
        settle(&world.net);
        others(&world.sockets, 0);
        assert!(data.starts_with(&read.borrow()), "dropped after {polls} polls");
        if done.is_some() {
            assert!(polls > 2 && read.borrow().len() == data.len());
            return;
        }
    }
}

/// Contract M29: what waits for a datagram and is dropped has taken none, and what waits for room has sent none.
#[test]
fn datagrams_dropped_at_each_poll_are_not_lost() {
    type Ends = (UdpSocket, UdpSocket);
    let ends = |net: &Net| {
        let server = UdpSocket::bind(net, "127.0.0.1:9").unwrap();
        let client = UdpSocket::bind(net, "127.0.0.1:8").unwrap();
        client.connect("127.0.0.1:9").unwrap();
        (client, server)
    };
    let send = |(client, _): &Ends| assert_eq!(client.try_send(b"abc"), Ok(3));
    let from = "127.0.0.1:8".parse().unwrap();
    dropped_at_each_poll(ends, async |(_, s): &Ends| s.recv_async(&mut [0; 9]).await, send, Ok(3));
    dropped_at_each_poll(
        ends,
        async |(_, s): &Ends| s.recv_from_async(&mut [0; 9]).await,
        send,
        Ok((3, from)),
    );
    dropped_at_each_poll(
        ends,
        async |(_, s): &Ends| s.peek_from_async(&mut [0; 9]).await,
        send,
        Ok((3, from)),
    );
    let batch = async |(_, s): &Ends| {
        let mut buf = [0; 9];
        let mut slots = [RecvSlot::new(&mut buf)];
        s.recv_batch_async(&mut slots).await.map(|n| (n, slots[0].data().to_vec()))
    };
    dropped_at_each_poll(ends, batch, send, Ok((1, b"abc".to_vec())));
    let in_place = async |(_, s): &Ends| s.recv_with_async(|pieces, _| pieces.concat()).await;
    dropped_at_each_poll(ends, in_place, send, Ok(b"abc".to_vec()));
}

/// An echo reply and a packet of a raw socket that nobody had the patience for are there for the next one.
#[test]
fn replies_dropped_at_each_poll_are_not_lost() {
    type Ping = (RefCell<PingSocket>, Cell<bool>);
    let ping = |net: &Net| {
        (RefCell::new(PingSocket::connect(net, "127.0.0.1".parse().unwrap()).unwrap()), Cell::new(false))
    };
    let recv = async |(socket, _): &Ping| {
        poll_fn(|cx| socket.borrow_mut().poll_recv(cx, &mut [0; 64]))
            .await
            .map(|reply| (reply.seq, reply.len))
    };
    let send = |(socket, _): &Ping| {
        let mut socket = socket.borrow_mut();
        assert_eq!(
            pin!(socket.send_async(b"abc")).poll(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(Ok(0))
        );
    };
    dropped_at_each_poll(ping, recv, send, Ok((0, 3)));
    let raw = |net: &Net| [(); 2].map(|()| RawSocket::open_v4(net, 253).unwrap());
    let recv = async |[_, to]: &[RawSocket; 2]| to.recv_async(&mut [0; 64]).await.map(|packet| packet.len);
    let send = |[from, _]: &[RawSocket; 2]| {
        let sent = pin!(from.send_to_async(b"abc", "127.0.0.1".parse().unwrap()))
            .poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(sent, Poll::Ready(Ok(3)));
    };
    dropped_at_each_poll(raw, recv, send, Ok(3));
}

/// Channels, mutexes and tasks: who gives up takes nothing with it.
#[test]
fn tasks_dropped_at_each_poll_take_nothing() {
    let channel = |net: &Net| net.channel::<u8>(1);
    let send = |(sender, _): &(Sender<u8>, Receiver<u8>)| assert_eq!(sender.try_send(7), Ok(()));
    dropped_at_each_poll(channel, async |(_, receiver)| receiver.recv_async().await, send, Ok(7));
    let full = |net: &Net| {
        let (sender, receiver) = net.channel::<u8>(1);
        sender.try_send(7).unwrap();
        (sender, receiver)
    };
    let take = |(_, receiver): &(Sender<u8>, Receiver<u8>)| assert_eq!(receiver.try_recv(), Ok(7));
    let send = async |(sender, receiver): &(Sender<u8>, Receiver<u8>)| {
        (sender.send_async(8).await, receiver.try_recv())
    };
    dropped_at_each_poll(full, send, take, (Ok(()), Ok(8)));
}

/// A sleeper that is dropped leaves no timer behind.
#[test]
fn sleep_dropped_at_each_poll_leaves_no_timer() {
    for polls in 0..8 {
        let (net, machine) = net();
        let world = World { sockets: (), net, machine };
        let idle = world.net.turn();
        let sleep =
            world.net.timeout(Duration::from_millis(1000), world.net.sleep(Duration::from_millis(500)));
        assert!(world.poll(sleep, polls, &|_, _| ()).is_none());
        assert_eq!(world.net.turn(), idle, "dropped after {polls} polls");
    }
}
