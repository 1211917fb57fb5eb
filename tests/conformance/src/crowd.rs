//! Many tasks that accept at one listener.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use barenet::{Error, Net, TcpListener, TcpStream};

use crate::ports;

const TASKS: usize = 100;

pub(crate) fn run(net: &Net, peer: IpAddr) {
    let any: SocketAddr = if peer.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let listener = Arc::new(TcpListener::bind_with_backlog(net, any, 200).unwrap());
    let port = listener.local_addr().port();
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let (listener, net) = (listener.clone(), net.clone());
            net.clone().spawn(format!("acceptor {number}"), move || serve(&net, &listener, number)).unwrap()
        })
        .collect();
    let mut control = TcpStream::connect(net, SocketAddr::new(peer, ports::CALL)).unwrap();
    control.write_all(format!("{port} {TASKS}\n").as_bytes()).unwrap();
    for task in tasks {
        assert_eq!(task.join(), Ok(Ok(())));
    }
    let (mut text, mut buf) = (String::new(), [0; 9]);
    loop {
        match control.read(&mut buf).unwrap() {
            0 => break,
            n => text.push_str(str::from_utf8(&buf[..n]).expect("text")),
        }
    }
    assert_eq!(text, format!("{TASKS}"), "clients were served");
}

fn serve(net: &Net, listener: &TcpListener, number: usize) -> Result<(), Error> {
    let (mut stream, _) =
        if number.is_multiple_of(2) { listener.accept()? } else { net.block_on(listener.accept_async())? };
    stream.write_all(b"served")
}
