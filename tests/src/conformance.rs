//! The peer of the conformance suite: the Linux kernel's sockets at the ports of `barenet_conformance::ports`.

use barenet_conformance::ports;
use rustix::net::sockopt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Serves all ports at this address, in threads that end with the program.
///
/// # Panics
///
/// When a port is taken.
pub fn serve(address: IpAddr) {
    let (tell, told) = mpsc::channel();
    tcp(address, ports::RESET, |mut stream| {
        stream.read_exact(&mut [0])?;
        sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        Ok(())
    });
    tcp(address, ports::BYE, |mut stream| stream.write_all(b"bye"));
    tcp(address, ports::UNREAD, |stream| stream.peek(&mut [0]).map(drop));
    tcp(address, ports::COUNT, |mut stream| {
        let n = read_all(&mut stream)?;
        write!(stream, "{n}")
    });
    tcp(address, ports::HALF, move |mut stream| {
        stream.shutdown(Shutdown::Write)?;
        tell.send(read_all(&mut stream)?).map_err(std::io::Error::other)
    });
    tcp(address, ports::TOLD, move |mut stream| {
        let n = told.recv().map_err(std::io::Error::other)?;
        write!(stream, "{n}")
    });
    let mut silent = Vec::new();
    tcp(address, ports::SILENT, move |stream| {
        silent.push(stream);
        Ok(())
    });
    tcp(address, ports::CALL, call);
    tcp(address, ports::SOURCE, |mut stream| {
        let all: Vec<u8> = (0..ports::SENT).map(|place| (place % 251) as u8).collect();
        stream.set_nodelay(true)?;
        all.chunks(1009).try_for_each(|piece| stream.write_all(piece))
    });
    udp(address, ports::ECHO, |socket, data, from| socket.send_to(data, from).map(drop));
    udp(address, ports::LONG, |socket, _, from| {
        socket.send_to(&[0x5a; 100], from)?;
        socket.send_to(b"end", from).map(drop)
    });
}

fn read_all(stream: &mut TcpStream) -> std::io::Result<usize> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all)
}

/// Serves one connection after another. What the suite means to break it does: an error ends the connection alone.
fn tcp(address: IpAddr, port: u16, mut serve: impl FnMut(TcpStream) -> std::io::Result<()> + Send + 'static) {
    let listener = TcpListener::bind((address, port)).expect("a free port");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(stream);
        }
    });
}

fn udp(
    address: IpAddr,
    port: u16,
    answer: impl Fn(&UdpSocket, &[u8], SocketAddr) -> std::io::Result<()> + Send + 'static,
) {
    let socket = UdpSocket::bind((address, port)).expect("a free port");
    thread::spawn(move || {
        let mut buf = [0; 2048];
        while let Ok((n, from)) = socket.recv_from(&mut buf) {
            let _ = answer(&socket, &buf[..n], from);
        }
    });
}

/// Connects as often as it is told, all at once.
fn call(mut control: TcpStream) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&control).read_line(&mut line)?;
    let mut words = line.split_whitespace().map(|word| word.parse::<u16>().unwrap_or(0));
    let (port, n) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
    let to = SocketAddr::new(control.peer_addr()?.ip(), port);
    let clients: Vec<_> = (0..n).map(|_| thread::spawn(move || is_served(to))).collect();
    let served = clients.into_iter().filter_map(|client| client.join().ok()?.ok()).filter(|&served| served);
    write!(control, "{}", served.count())
}

fn is_served(to: SocketAddr) -> std::io::Result<bool> {
    let mut text = String::new();
    TcpStream::connect(to)?.read_to_string(&mut text)?;
    Ok(text == "served")
}
