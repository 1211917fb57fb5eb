//! Ten thousand connections at once with the kernel at their other ends.

use barenet::stack::Limits;
use barenet::{Net, Place, Slot, TcpListener, TcpStream};
use barenet_tests::kernel::{Family, beside_wrapped};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net;
use std::thread;
use std::time::Duration;

const CONNECTIONS: usize = 10_000;
/// A listener for each so many of them, and both families.
const PORTS: u16 = 4;
const BACKLOG: u16 = 1024;
/// Standard streams, the TAP, and what other tests of this program have open.
const OTHER_FILES: u64 = 1000;

/// The kernel's end of each connection takes a descriptor.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    let need = CONNECTIONS as u64 + OTHER_FILES;
    if limit.current.is_none_or(|now| now >= need) {
        return;
    }
    let maximum = limit.maximum.map(|most| most.max(need));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(need), maximum });
    raised.unwrap_or_else(|why| panic!("{need} open files are needed (`ulimit -Hn {need}`): {why}"));
}

fn line(number: usize) -> String {
    format!("connection {number} of {CONNECTIONS}\n")
}

/// Opens all connections and exchanges a line on each.
fn open_all(net: &Net) -> Vec<(TcpStream, net::TcpStream)> {
    let bind = |n| TcpListener::bind_with_backlog(net, 7000 + n, BACKLOG).unwrap();
    let listeners: Vec<_> = (0..PORTS).map(bind).collect();
    let place = |number: usize| (Family::BOTH[number % 2], number / 2 % usize::from(PORTS));
    thread::scope(|scope| {
        let clients = scope.spawn(move || {
            let connect = |number| {
                let (family, port) = place(number);
                let mut flow = net::TcpStream::connect((family.ours(), 7000 + port as u16)).unwrap();
                flow.write_all(line(number).as_bytes()).unwrap();
                flow
            };
            let mut flows: Vec<_> = (0..CONNECTIONS).map(connect).collect();
            for (number, flow) in flows.iter_mut().enumerate() {
                let mut answer = vec![0; line(number).len()];
                flow.read_exact(&mut answer).unwrap();
                assert_eq!(answer, line(number).as_bytes());
            }
            flows
        });
        let serve = |number| {
            let mut flow = listeners[place(number).1].accept().unwrap().0;
            let mut buf = [0; 100];
            let n = flow.read(&mut buf).unwrap();
            flow.write_all(&buf[..n]).unwrap();
            flow
        };
        let ours: Vec<_> = (0..CONNECTIONS).map(serve).collect();
        ours.into_iter().zip(clients.join().unwrap()).collect()
    })
}

/// T13, T16: ten thousand connections, each of which said something, stay open and take no memory
/// of the pool; one among them is as good as alone; all close, half of them from our side, and
/// nothing is left but TIME-WAIT.
#[test]
fn ten_thousand_connections() {
    allow_files();
    // An eighth of the places is for our own connects.
    let limits = Limits { connections: CONNECTIONS * 8 / 7 + 10, ..Limits::default() };
    beside_wrapped(
        true,
        |tap| tap,
        &limits,
        |net| {
            let mut flows = open_all(net);
            let (count, held) = net.with_stack(|stack| (stack.tcp_count(), stack.memory()));
            assert_eq!(count, (CONNECTIONS, 0));
            let table = CONNECTIONS * size_of::<Slot<Place>>();
            println!("{CONNECTIONS} connections: {} KiB of table, {held:?} of the pool", table / 1024);
            assert_eq!(held.0, 0, "idle connections hold {held:?} bytes of the pool");

            for (ours, kernel) in flows.iter_mut().step_by(997) {
                ours.write_all(b"still there?").unwrap();
                let mut buf = [0; 12];
                kernel.read_exact(&mut buf).unwrap();
                kernel.write_all(&buf).unwrap();
                ours.read_exact(&mut buf).unwrap();
                assert_eq!(&buf, b"still there?");
            }

            for (number, (mut ours, mut kernel)) in flows.into_iter().enumerate() {
                if number % 2 == 0 {
                    drop(ours);
                    assert_eq!(kernel.read(&mut [0]).unwrap(), 0);
                } else {
                    drop(kernel);
                    assert_eq!(ours.read(&mut [0]), Ok(0));
                }
            }
            while net.with_stack(|stack| stack.tcp_count().0) > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            let waiting = net.with_stack(|stack| stack.tcp_count().1);
            assert_eq!(waiting, CONNECTIONS / 2, "those that we closed first");
        },
    );
}
