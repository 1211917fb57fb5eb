//! The guides' programs and what they leave open, over the loopback of a network that nobody else turns.

use std::borrow::ToOwned;
use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;
use std::string::String;
use std::sync::Mutex;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use crate::error::Error;
use crate::ip::addresses::Cidr;
use crate::socket::TcpListener;
use crate::socket::alone::net;
use crate::time::Duration;

/// A device that has no room when it is told so, and keeps the first byte of each datagram's data.
#[derive(Clone, Default)]
struct Nic {
    is_full: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Device for Nic {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac([2, 0, 0, 0, 0, 9]), 1500)
    }
    fn receive(&mut self, _: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        false
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(TxError::Full);
        }
        let bytes: Vec<u8> = [&[frame.header], frame.payload].concat().concat();
        // Of UDP over IPv4; not reports of memberships.
        let is_datagram = bytes[12..14] == [8, 0] && bytes[23] == 17;
        self.sent.lock().unwrap().extend(bytes.get(42).filter(|_| is_datagram));
        Ok(())
    }
}

const SERVER: &str = "127.0.0.1:7000";

/// What callbacks note.
#[derive(Clone, Default)]
struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        self.0.borrow_mut().push(note.into());
    }

    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// The guide's echo server.
fn echo(events: &Loop) -> Tcp {
    let server = Tcp::new(events);
    server.bind(SERVER).unwrap();
    let on_connection = |server: &Tcp, connected: Result<(), Error>| {
        connected.unwrap();
        let client = Tcp::new(server.events());
        server.accept(&client).unwrap();
        client.read_start(|client, read| match read {
            Read::Data(data) => client.write(&[data], |_, _, _| {}),
            Read::End | Read::Failed(_) => client.close(|| {}),
        });
    };
    server.listen(128, on_connection).unwrap();
    server
}

/// Contract L1, L2, L3, L4, L5, L8, L9, L10, L12, U1: the guide's server and client, step by step; the loop ends when nothing is active.
#[test]
fn guides_echo_server_answers_its_client() {
    let net = net();
    let events = Loop::new(&net);
    let server = echo(&events);
    let notes = Notes::default();
    let client = Tcp::new(&events);
    let (n, end) = (notes.clone(), server.clone());
    client.connect(SERVER, move |client, connected| {
        connected.unwrap();
        n.add("connected");
        let m = n.clone();
        client.write(&[b"Hello, ", b"", b"world!"], move |client, result, written| {
            m.add(std::format!("written {result:?} {written}"));
            client.shutdown(move |_, result| m.add(std::format!("shut {result:?}")));
        });
        client.read_start(move |client, read| match read {
            Read::Data(data) => n.add(String::from_utf8(data.to_owned()).unwrap()),
            Read::Failed(error) => panic!("{error}"),
            Read::End => {
                let (n, end) = (n.clone(), end.clone());
                client.close(move || {
                    n.add("closed");
                    end.close(|| {});
                });
            }
        });
    });
    assert!(!events.run(), "nothing is active");
    assert_eq!(notes.take(), ["connected", "written Ok(()) 13", "shut Ok(())", "Hello, world!", "closed"]);
    assert!(!events.run() && !server.is_active());
    assert_eq!(client.try_write(&[b"x"]), Err(Error::ClosedLocally));
    for _ in 0..9 {
        net.turn();
    }
    let kept = events.0.handles.borrow().iter().flatten().count();
    assert_eq!((net.with_stack(|stack| stack.tcp_count().0), kept), (0, 0));
}

/// Contract L10, L11, U7: who can't connect is told by name and in words, once, and in its turn; so is each misuse.
#[test]
fn refused_and_misused_handles_say_so_by_name() {
    let net = net();
    let events = Loop::new(&net);
    let notes = Notes::default();
    let tell = |notes: &Notes, what: &'static str| {
        let notes = notes.clone();
        move |_: &Tcp, result: Result<(), Error>| {
            let error = result.expect_err("nobody listens");
            notes.add(std::format!("{what}: {}: {error}", error.name()));
        }
    };
    let client = Tcp::new(&events);
    client.connect(SERVER, tell(&notes, "first"));
    client.connect(SERVER, tell(&notes, "again"));
    Tcp::new(&events).connect("nonsense", tell(&notes, "text"));
    let idle = Tcp::new(&events);
    let n = notes.clone();
    idle.write(&[b"x"], move |_, result, written| n.add(std::format!("write: {result:?} {written}")));
    idle.shutdown(tell(&notes, "shutdown"));
    let n = notes.clone();
    idle.read_start(move |_, read| n.add(std::format!("{read:?}")));
    assert_eq!(notes.take(), Vec::<String>::new(), "no callback comes before the loop runs");
    assert!(!events.run());
    let mut told = notes.take();
    told.sort();
    assert_eq!(
        told,
        [
            "Failed(NotConnected)",
            "again: AlreadyConnected: already connected",
            "first: ConnectionRefused: connection refused by the peer",
            "shutdown: NotConnected: not connected",
            "text: InvalidInput: invalid argument: no port: it is ADDRESS:PORT",
            "write: Err(NotConnected) 0",
        ]
    );
    assert_eq!(idle.accept(&Tcp::new(&events)), Err(Error::NotConnected));
    assert_eq!(idle.listen(1, |_, _| {}), Ok(()));
    assert_eq!(
        (idle.listen(1, |_, _| {}), idle.bind(7)),
        (Err(Error::AlreadyConnected), Err(Error::AlreadyConnected))
    );
}

/// Contract L3, L4: a connection that nobody takes is told once, and waits with those behind it until it is taken.
#[test]
fn connection_that_is_not_accepted_waits() {
    let net = net();
    let events = Loop::new(&net);
    let server = Tcp::new(&events);
    server.bind(SERVER).unwrap();
    let notes = Notes::default();
    let n = notes.clone();
    server.listen(8, move |_, _| n.add("waits")).unwrap();
    for _ in 0..3 {
        Tcp::new(&events).connect(SERVER, |client, connected| {
            connected.unwrap();
            client.read_start(|_, _| {});
        });
    }
    for _ in 0..50 {
        assert!(events.run_ready());
    }
    assert_eq!(notes.take(), ["waits"]);
    let taken: Vec<Tcp> = (0..3).map(|_| Tcp::new(&events)).collect();
    for (handle, waits) in taken.iter().zip([1, 1, 0]) {
        assert_eq!(server.accept(handle), Ok(()));
        assert_eq!(server.accept(handle), Err(Error::AlreadyConnected));
        for _ in 0..50 {
            events.run_ready();
        }
        assert_eq!(notes.take().len(), waits);
        assert_eq!(handle.local_addr().unwrap(), SERVER.parse().unwrap());
    }
    assert_eq!(server.accept(&Tcp::new(&events)), Err(Error::WouldBlock));
}

/// Contract L6, L7, L8: a write that is longer than all buffers is called back when all of it was taken, a shutdown after
/// that; a reader that stops is told nothing until it starts again, and loses nothing.
#[test]
fn long_write_is_taken_bit_by_bit_while_the_reader_stops_and_starts() {
    let net = net();
    let events = Loop::new(&net);
    let (notes, all) = (Notes::default(), Rc::new(RefCell::new(Vec::new())));
    let server = Tcp::new(&events);
    server.bind(SERVER).unwrap();
    let reader = Tcp::new(&events);
    let r = reader.clone();
    server.listen(1, move |server, _| server.accept(&r).unwrap()).unwrap();
    let data: Vec<u8> = (0..2_000_000_u32).map(|n| (n / 5) as u8).collect();
    let client = Tcp::new(&events);
    let (n, m, d) = (notes.clone(), notes.clone(), data.clone());
    client.connect(SERVER, move |client, _| {
        client.write(&[&d[..9], &d[9..]], move |_, result, written| {
            n.add(std::format!("{result:?} {written}"))
        });
        client.shutdown(move |_, result| m.add(std::format!("shut {result:?}")));
    });
    let read = |all: &Rc<RefCell<Vec<u8>>>, notes: &Notes| {
        let (all, notes) = (all.clone(), notes.clone());
        move |reader: &Tcp, read: Read<'_>| match read {
            Read::Data(data) => {
                all.borrow_mut().extend_from_slice(data);
                reader.read_stop();
            }
            other => notes.add(std::format!("{other:?}")),
        }
    };
    for _ in 0..50 {
        events.run_ready();
    }
    assert!(client.write_queue_size() > 0 && notes.take().is_empty(), "{}", client.write_queue_size());
    assert_eq!(client.try_write(&[b"x"]), Err(Error::WouldBlock));
    while notes.0.borrow().len() < 3 {
        let before = all.borrow().len();
        reader.read_start(read(&all, &notes));
        for _ in 0..10 {
            events.run_ready();
        }
        assert!(all.borrow().len() - before <= 16 * 1024, "it was stopped after one read");
    }
    assert_eq!(notes.take(), ["Ok(()) 2000000", "shut Ok(())", "End"]);
    assert!(*all.borrow() == data);
}

/// Contract L9, L21: what waits when a handle is closed is called back before the close is, and nothing comes after; a reset
/// reaches the peer as one; a handle that closes itself within its callback is no exception.
#[test]
fn close_calls_back_last() {
    let net = net();
    let events = Loop::new(&net);
    let notes = Notes::default();
    let server = Tcp::new(&events);
    server.bind(SERVER).unwrap();
    let n = notes.clone();
    let on_connection = move |server: &Tcp, _: Result<(), Error>| {
        let client = Tcp::new(server.events());
        server.accept(&client).unwrap();
        client.with_stream(|stream| stream.set_nodelay(true)).unwrap().unwrap();
        let n = n.clone();
        client.read_start(move |_, read| {
            if let Read::Failed(error) = read {
                n.add(error.name());
            }
        });
        server.close(|| {});
    };
    server.listen(1, on_connection).unwrap();
    let client = Tcp::new(&events);
    let n = notes.clone();
    client.connect(SERVER, move |client, _| {
        let m = n.clone();
        client.write(&[&vec![0; 4_000_000]], move |_, result, _| m.add(std::format!("{result:?}")));
        let m = n.clone();
        client.read_start(move |_, _| m.add("never"));
        let m = n.clone();
        client.close_reset(move || m.add("closed"));
    });
    assert!(!events.run());
    let mut told = notes.take();
    told.sort();
    assert_eq!(told, ["ConnectionReset", "Err(ClosedLocally)", "closed"]);
}

/// Contract L13, L15, U2, D13, D16, D18: the guide's UDP programs: no listening, a port of its own for who sends first, the
/// sender with each datagram, several parts as one.
#[test]
fn guides_udp_server_answers_its_client() {
    let net = net();
    let events = Loop::new(&net);
    let notes = Notes::default();
    let server = Udp::new(&events);
    server.bind(SERVER).unwrap();
    let on_datagram = |server: &Udp, received: Result<Datagram<'_>, Error>| {
        let datagram = received.unwrap();
        server.send(&[datagram.data], Some(datagram.from), |_, sent| sent.unwrap());
    };
    server.recv_start(vec![0; 100], on_datagram).unwrap();
    let client = Udp::new(&events);
    let n = notes.clone();
    client.send(&[b"Hello, ", b"world!"], Some(SERVER.parse().unwrap()), move |_, sent| {
        n.add(std::format!("{sent:?}"))
    });
    let (n, end) = (notes.clone(), server.clone());
    let on_answer = move |client: &Udp, received: Result<Datagram<'_>, Error>| {
        let datagram = received.unwrap();
        n.add(std::format!("{} from {}", datagram.data.escape_ascii(), datagram.from));
        client.recv_stop();
        end.close(|| {});
    };
    client.recv_start(vec![0; 100], on_answer).unwrap();
    assert!(!events.run());
    assert_eq!(notes.take(), ["Ok(())", "Hello, world! from 127.0.0.1:7000"]);
    assert_eq!(client.try_send(&[b"to nobody"], Some(SERVER.parse().unwrap())), Ok(()));
}

/// Contract D15, D17, L14, U8, U9, U10: an empty datagram, a part of one and an error of ICMP are three things, nothing is no
/// callback, and none of them ends the receiving.
#[test]
fn datagrams_empty_partial_and_refused_are_told_apart() {
    let net = net();
    let events = Loop::new(&net);
    let notes = Notes::default();
    let (a, b) = (Udp::new(&events), Udp::new(&events));
    b.bind(SERVER).unwrap();
    let n = notes.clone();
    let note = move |_: &Udp, received: Result<Datagram<'_>, Error>| match received {
        Ok(datagram) => n.add(std::format!("{:?} {}", datagram.data, datagram.is_partial)),
        Err(error) => n.add(error.name()),
    };
    b.recv_start([0; 2], note.clone()).unwrap();
    a.connect(SERVER).unwrap();
    for data in [&[][..], &[1, 2], &[1, 2, 3]] {
        assert_eq!(a.try_send(&[data], None), Ok(()));
    }
    a.recv_start([0; 2], note).unwrap();
    for _ in 0..20 {
        events.run_ready();
    }
    assert_eq!(notes.take(), ["[] false", "[1, 2] false", "[1, 2] true"]);
    b.close(|| {});
    events.run_ready();
    assert_eq!(a.try_send(&[b"x"], None), Ok(()));
    for _ in 0..20 {
        events.run_ready();
    }
    assert_eq!(notes.take(), ["ConnectionRefused"]);
    assert!(a.is_active(), "it goes on");
}

/// Contract D14, D19, U17: datagrams for which the device has no room wait, are counted, and go in order; one that would
/// overtake them is refused.
#[test]
fn datagrams_that_wait_are_counted_and_sent_in_order() {
    let net = net();
    let events = Loop::new(&net);
    let nic = Nic::default();
    let address = Cidr::new([192, 0, 2, 7].into(), 24).unwrap();
    net.add_interface(Box::new(nic.clone()), &[address], &[]).unwrap();
    net.turn();
    nic.sent.lock().unwrap().clear();
    let socket = Udp::new(&events);
    socket.socket().unwrap().set_broadcast(true).unwrap();
    socket.connect("192.0.2.255:9").unwrap();
    let notes = Notes::default();
    nic.is_full.store(true, Ordering::SeqCst);
    for number in 0..2000_u32 {
        let n = notes.clone();
        socket
            .send(&[&[(number % 251) as u8], &[7; 1000]], None, move |_, _| n.add(std::format!("{number}")));
    }
    let (count, size) = (socket.send_queue_count(), socket.send_queue_size());
    assert!(count > 0 && size == count * 1001, "{count} {size}");
    assert_eq!(socket.try_send(&[b"x"], None), Err(Error::WouldBlock));
    nic.is_full.store(false, Ordering::SeqCst);
    assert!(!events.run());
    assert_eq!((socket.send_queue_count(), socket.send_queue_size()), (0, 0));
    assert_eq!(notes.take(), (0..2000).map(|n| std::format!("{n}")).collect::<Vec<_>>());
    assert_eq!(socket.try_send(&[b"x"], None), Ok(()));
    net.turn();
    assert!(
        nic.sent.lock().unwrap().iter().copied().eq((0..2000_u32).map(|n| (n % 251) as u8).chain([b'x']))
    );
}

/// A loop that is stopped leaves its handles, and goes on when it is run again; handles that come and go take the places of
/// those before.
#[test]
fn loop_stops_where_it_is_told() {
    let net = net();
    let events = Loop::new(&net);
    let server = Udp::new(&events);
    server.bind(SERVER).unwrap();
    let received = Rc::new(Cell::new(0));
    let r = received.clone();
    let on_datagram = move |server: &Udp, _: Result<Datagram<'_>, Error>| {
        r.set(r.get() + 1);
        server.events().stop();
    };
    server.recv_start([0; 9], on_datagram).unwrap();
    for expected in 1..50 {
        let client = Udp::new(&events);
        client.send(&[b"x"], Some(SERVER.parse().unwrap()), |client, _| client.close(|| {}));
        assert!(events.run());
        assert!(received.get() >= expected, "{expected}");
        drop(client);
    }
    assert!(events.0.handles.borrow().len() <= 4, "places are used again");
}

/// A timer is called when its time has come, again and again if it was asked to, and not once it was stopped.
#[test]
fn timers_call_in_the_order_of_their_times() {
    let (net, notes) = (net(), Notes::default());
    let events = Loop::new(&net);
    let begun = net.now();
    let (noted, tick) = (notes.clone(), Timer::new(&events));
    tick.start_repeating(Duration::from_millis(10), move |timer| {
        noted.add(format!("tick at {} ms", timer.events().net().now().since(begun).micros() / 1000));
    });
    let (noted, stopped) = (notes.clone(), tick.clone());
    Timer::new(&events).start(Duration::from_millis(35), move |_| {
        noted.add("stop");
        stopped.stop();
    });
    let never = Timer::new(&events);
    never.start(Duration::from_millis(20), |_| panic!("it was started anew"));
    let noted = notes.clone();
    never.start(Duration::from_millis(25), move |timer| {
        noted.add("once");
        let noted = noted.clone();
        // From inside its own call.
        timer.start(Duration::from_millis(20), move |_| noted.add("once more"));
    });
    assert!(!events.run(), "nothing is active");
    let told = ["tick at 10 ms", "tick at 20 ms", "once", "tick at 30 ms", "stop", "once more"];
    assert_eq!(notes.take(), told);
    assert!(!tick.is_active() && !never.is_active());
}

/// Handles that are active are kept by the loop, and let go with it: their sockets, and what the callbacks hold.
#[test]
fn loop_that_is_closed_lets_everything_go() {
    let net = net();
    let kept = Rc::new(());
    let events = Loop::new(&net);
    let server = Tcp::new(&events);
    server.bind(SERVER).unwrap();
    let (own, held) = (server.clone(), kept.clone());
    server.listen(1, move |_, _| drop((own.clone(), held.clone()))).unwrap();
    let (udp, held) = (Udp::new(&events), kept.clone());
    udp.recv_start(vec![0; 9], move |_, _| drop(held.clone())).unwrap();
    let (timer, held) = (Timer::new(&events), kept.clone());
    timer.start(Duration::from_secs(1), move |_| drop(held.clone()));
    assert!(events.run_ready(), "three handles are active");
    events.close();
    assert!(!events.run_ready() && Rc::strong_count(&kept) == 1);
    assert_eq!(server.listen(1, |_, _| {}), Err(Error::ClosedLocally));
    assert_eq!(server.accept(&Tcp::new(&events)), Err(Error::ClosedLocally));
    assert!(TcpListener::bind(&net, SERVER).is_ok(), "its port is free");
    let held = kept.clone();
    timer.start(Duration::from_millis(1), move |_| drop(held.clone()));
    assert!(!events.run(), "a timer can be started again");
}

/// Receiving that was stopped goes on when it is started again, also where nothing came the first time.
#[test]
fn receiving_that_was_stopped_is_started_again() {
    let (net, notes) = (net(), Notes::default());
    let events = Loop::new(&net);
    let echo = Udp::new(&events);
    echo.bind("127.0.0.1:7").unwrap();
    echo.recv_start(vec![0; 9], |udp, received| {
        let received = received.unwrap();
        udp.send(&[received.data], Some(received.from), |_, _| {});
    })
    .unwrap();
    let udp = Udp::new(&events);
    udp.bind("127.0.0.1:0").unwrap();
    let wait = |limit: Duration| {
        let (noted, ended) = (notes.clone(), events.clone());
        udp.recv_start(vec![0; 9], move |udp, received| {
            noted.add(std::format!("{:?}", received.map(|received| received.data.len())));
            udp.recv_stop();
            ended.stop();
        })
        .unwrap();
        let (timer, ended) = (Timer::new(&events), events.clone());
        timer.start(limit, move |_| ended.stop());
        events.run();
        timer.stop();
        udp.recv_stop();
    };
    wait(Duration::from_millis(5));
    assert_eq!(notes.take(), [""; 0]);
    // Once more, when the loop has forgotten the handle; and what it waited for comes when it is forgotten, too.
    events.run_ready();
    udp.recv_stop();
    events.run_ready();
    udp.send(&[b"abc"], Some("127.0.0.1:7".parse().unwrap()), |_, _| {});
    wait(Duration::from_secs(5));
    assert_eq!(notes.take(), ["Ok(3)"]);
}

/// A handle that has something to do all the time, and one that waits for room, leave the network its turns.
#[test]
fn handle_that_is_always_busy_starves_nobody() {
    let (net, notes) = (net(), Notes::default());
    let events = Loop::new(&net);
    let listener = TcpListener::bind(&net, SERVER).unwrap();
    let (full, ended) = (Tcp::new(&events), events.clone());
    full.connect(SERVER, move |full, connected| {
        connected.unwrap();
        full.write(&[&vec![0; 20_000_000]], |_, _, _| panic!("nobody reads"));
        ended.stop();
    });
    events.run();
    let _silent = listener.accept().unwrap();
    let busy = Timer::new(&events);
    busy.start_repeating(Duration::ZERO, |_| {});
    let server = Udp::new(&events);
    server.bind("127.0.0.1:7").unwrap();
    let (noted, ended) = (notes.clone(), events.clone());
    server
        .recv_start(vec![0; 9], move |_, received| {
            noted.add(std::format!("{:?}", received.map(|received| received.data.len())));
            ended.stop();
        })
        .unwrap();
    Udp::new(&events).send(&[b"abc"], Some("127.0.0.1:7".parse().unwrap()), |_, _| {});
    events.run();
    assert_eq!(notes.take(), ["Ok(3)"]);
    events.close();
}

/// Contract L16: a look-up calls back once, what it calls may begin another, and one that is cancelled calls nothing; the loop ends when none is left.
#[test]
fn request_calls_back_once() {
    let net = net();
    let events = Loop::new(&net);
    let notes = Notes::default();
    let (told, again) = (notes.clone(), notes.clone());
    let others = events.clone();
    events.request(net.start_lookup("127.0.0.1", None).unwrap(), move |found| {
        told.add(std::format!("{:?}", found.unwrap()));
        let hints = crate::Hints { numeric_host: true, ..Default::default() };
        let look_up = others.net().start_addr_info(Some("::1"), Some("http"), &hints).unwrap();
        others.request(look_up, move |found| again.add(std::format!("{}", found.unwrap().list[0].address)));
    });
    let silent = events.request(core::future::pending::<()>(), |()| unreachable!());
    assert!(silent.is_active());
    silent.cancel();
    assert!(!silent.is_active());
    assert!(!events.run());
    assert_eq!(notes.take(), ["[127.0.0.1]", "[::1]:80"]);
}
