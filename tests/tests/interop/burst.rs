//! A thousand clients of the kernel's at once, and a server that serves ten at a time.

use barenet::stack::Limits;
use barenet::{Net, Serve, TcpListener, TcpStream};
use barenet_tests::kernel::beside_wrapped;
use barenet_tests::netns::STACK_V4;
use std::io::{Read, Write};
use std::net;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const CLIENTS: usize = 1000;
const SERVED: usize = 10;
const PORT: u16 = 7000;
/// How long the server takes for a client.
const TAKES: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum First {
    Client,
    Server,
}

fn serve(mut flow: TcpStream, first: First) -> Result<(), barenet::Error> {
    thread::sleep(TAKES);
    if first == First::Client {
        flow.read(&mut [0; 8])?;
    }
    flow.write_all(b"served")
}

/// A client is answered, whoever speaks first, and then hears the end of the stream.
fn ask(first: First) -> std::io::Result<String> {
    let mut flow = net::TcpStream::connect((STACK_V4, PORT))?;
    if first == First::Client {
        flow.write_all(b"please")?;
    }
    let mut answer = String::new();
    flow.read_to_string(&mut answer)?;
    Ok(answer)
}

fn burst(net: &Net, first: First) {
    let listener = TcpListener::bind(net, PORT).unwrap();
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let serve_ten = Serve::default().max_connections(SERVED);
            listener.serve_with(serve_ten, move |flow, _| serve(flow, first)).unwrap();
        });
        let client = || match ask(first) {
            Ok(answer) if answer == "served" => {}
            other => {
                failed.fetch_add(1, Ordering::Relaxed);
                println!("{other:?}");
            }
        };
        let small = || thread::Builder::new().stack_size(64 << 10);
        let clients: Vec<_> = (0..CLIENTS).map(|_| small().spawn_scoped(scope, client).unwrap()).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        listener.close();
        server.join().unwrap();
    });
    let handshakes = net.with_stack(|stack| stack.counters().handshakes);
    println!("{first:?} first: {handshakes:?}");
    assert_eq!(failed.into_inner(), 0, "{first:?} first: {handshakes:?}");
}

/// H010, H011: all of them are served, and none is reset, also when the client waits for the server.
#[test]
fn a_thousand_clients_at_once() {
    beside_wrapped(
        false,
        |tap| tap,
        &Limits::default(),
        |net| {
            burst(net, First::Server);
            burst(net, First::Client);
        },
    );
}
