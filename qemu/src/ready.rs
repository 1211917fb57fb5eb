//! When is a started stack ready to be talked to?

use crate::forward::{Port, Protocol};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long to wait for an answer before asking again: far longer than a TAP takes.
const PATIENCE: Duration = Duration::from_millis(100);

/// Asks once whether `port` of `host` is served: TCP accepts, or nothing says that UDP is not.
/// Without a port: does the host answer at all?
pub fn is_ready(host: IpAddr, port: Option<Port>) -> bool {
    match port {
        Some(Port { protocol: Protocol::Tcp, number }) => {
            let address = SocketAddr::new(host, number);
            TcpStream::connect_timeout(&address, PATIENCE).is_ok()
        }
        Some(Port { protocol: Protocol::Udp, number }) => {
            // The first answer might be missing for lack of a host, so that must be there.
            refuses(host, DISCARD) && !refuses(host, number)
        }
        None => refuses(host, DISCARD),
    }
}

/// A port that nobody serves (RFC 863).
const DISCARD: u16 = 9;

/// Does the host answer a datagram to the port by "port unreachable"?
fn refuses(host: IpAddr, port: u16) -> bool {
    let local = match host {
        IpAddr::V4(_) => "0.0.0.0:0",
        IpAddr::V6(_) => "[::]:0",
    };
    let ask = || {
        let socket = UdpSocket::bind(local)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect((host, port))?;
        socket.send(&[])?;
        socket.recv(&mut [])
    };
    ask().is_err_and(|why| why.kind() == ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_served_port_is_ready() {
        let tcp = TcpListener::bind((HERE, 0)).unwrap();
        let number = tcp.local_addr().unwrap().port();
        assert!(is_ready(HERE, Some(Port::new(Protocol::Tcp, number))));
        drop(tcp);
        assert!(!is_ready(HERE, Some(Port::new(Protocol::Tcp, number))));
    }

    #[test]
    fn a_host_is_known_by_its_refusal() {
        let udp = UdpSocket::bind((HERE, 0)).unwrap();
        let number = udp.local_addr().unwrap().port();
        assert!(!refuses(HERE, number));
        drop(udp);
        assert!(refuses(HERE, number));
    }
}
