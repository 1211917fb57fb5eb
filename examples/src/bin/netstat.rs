//! Shows sockets and connections: protocol, queues, addresses, state; then what was counted.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use core::net::{IpAddr, SocketAddr};

use barenet::stack::SocketKind;
use barenet::{Error, Net, TcpListener, UdpSocket};
use barenet_boards::println;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    // Something to be seen: a listener, a connection to it over the loopback, and a socket for datagrams.
    let listener = TcpListener::bind(&net, 7000)?;
    let mut client = barenet::TcpStream::connect(&net, (IpAddr::from([127, 0, 0, 1]), 7000))?;
    let (_server, _) = listener.accept()?;
    client.write_all(b"seven b")?;
    let _socket = UdpSocket::bind(&net, 7001)?;
    println!(
        "{:<6}{:>6} {:>6} {:<40} {:<40} State",
        "Proto", "Recv-Q", "Send-Q", "Local Address", "Foreign Address"
    );
    for socket in net.configuration().sockets() {
        let (name, state) = match socket.kind {
            SocketKind::TcpListener => ("tcp", "LISTEN".into()),
            SocketKind::Tcp(state) => ("tcp", rfc_name(&format!("{state:?}"))),
            SocketKind::TcpTimeWait => ("tcp", "TIME-WAIT".into()),
            SocketKind::Udp => ("udp", String::new()),
            SocketKind::Ping => ("icmp", String::new()),
            SocketKind::Raw => ("raw", String::new()),
            SocketKind::Ethernet => ("ether", String::new()),
        };
        let name = if socket.local.is_ipv6() { format!("{name}6") } else { name.to_string() };
        let [local, peer] = [text(Some(socket.local)), text(socket.peer)];
        println!("{name:<6}{:>6} {:>6} {local:<40} {peer:<40} {state}", socket.unread, socket.unsent);
    }
    net.with_stack(|stack| {
        for (name, counts) in stack.counters().protocols() {
            println!("{name}: {counts:?}");
        }
        stack.counters().drops_seen().for_each(|(drop, count)| println!("dropped {count}: {}", drop.name()));
    });
    Ok(())
}

/// `*` stands for what is not said.
fn text(address: Option<SocketAddr>) -> String {
    match address {
        None => "*:*".into(),
        Some(address) if address.ip().is_unspecified() => format!("*:{}", address.port()),
        Some(address) => address.to_string(),
    }
}

/// `FinWait1` is FIN-WAIT-1.
fn rfc_name(state: &str) -> String {
    let mut name = String::new();
    for (at, letter) in state.char_indices() {
        if at > 0 && (letter.is_uppercase() || letter.is_ascii_digit()) {
            name.push('-');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
