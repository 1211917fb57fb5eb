//! The network as an interface: an HTTP client that knows the traits of `embedded-nal-async` alone, run against a network of the
//! test's own, without a stack, and then, if ADDRESS:PORT is given, the same client against that server through ours.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::SocketAddr;

use barenet::{Error, Net};
use barenet_boards::{args, println};
use embedded_io_async::{ErrorType, Read, Write};
use embedded_nal_async::TcpConnect;

/// The client: gives the status of the answer, and its body in `body`.
async fn get<N: TcpConnect>(
    net: &N,
    server: SocketAddr,
    path: &str,
    body: &mut Vec<u8>,
) -> Result<u16, Failure<N::Error>> {
    let mut flow = net.connect(server).await.map_err(Failure::Net)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n");
    flow.write_all(request.as_bytes()).await.map_err(Failure::Net)?;
    flow.flush().await.map_err(Failure::Net)?;
    let (mut answer, mut buf) = (Vec::new(), [0; 512]);
    loop {
        match flow.read(&mut buf).await.map_err(Failure::Net)? {
            0 => break,
            n => answer.extend_from_slice(&buf[..n]),
        }
    }
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or(Failure::NoAnswer)?;
    let head = core::str::from_utf8(&answer[..end]).map_err(|_| Failure::NoAnswer)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(Failure::NoAnswer)?;
    body.extend_from_slice(&answer[end + 4..]);
    Ok(status)
}

#[derive(PartialEq, Debug)]
enum Failure<E> {
    Net(E),
    /// What came is no answer of HTTP.
    NoAnswer,
}

/// A network of the test's own: one server, which answers with this, a few bytes at a time, or fails.
struct Mock {
    server: SocketAddr,
    answer: Result<&'static str, Error>,
    asked: Rc<RefCell<Vec<u8>>>,
}

struct MockFlow {
    answer: Result<&'static [u8], Error>,
    asked: Rc<RefCell<Vec<u8>>>,
}

impl TcpConnect for Mock {
    type Error = Error;
    type Connection<'a> = MockFlow;

    async fn connect(&self, remote: SocketAddr) -> Result<MockFlow, Error> {
        match remote == self.server {
            true => Ok(MockFlow { answer: self.answer.map(str::as_bytes), asked: self.asked.clone() }),
            false => Err(Error::ConnectionRefused),
        }
    }
}

impl ErrorType for MockFlow {
    type Error = Error;
}

impl Read for MockFlow {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let answer = self.answer?;
        let (now, later) = answer.split_at(answer.len().min(buf.len()).min(7));
        buf[..now.len()].copy_from_slice(now);
        self.answer = Ok(later);
        Ok(now.len())
    }
}

impl Write for MockFlow {
    async fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        let part = &data[..data.len().min(5)];
        self.asked.borrow_mut().extend_from_slice(part);
        Ok(part.len())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// What the client does with each network that there could be.
async fn test() {
    let server = SocketAddr::from(([192, 0, 2, 80], 80));
    let asked = Rc::new(RefCell::new(Vec::new()));
    let mut body = Vec::new();
    let mut mock = Mock { server, answer: Ok("HTTP/1.0 200 OK\r\nA: b\r\n\r\nHello!"), asked: asked.clone() };
    assert_eq!(get(&mock, server, "/page", &mut body).await, Ok(200));
    assert_eq!(body, b"Hello!");
    assert_eq!(asked.borrow()[..], *b"GET /page HTTP/1.0\r\nHost: 192.0.2.80:80\r\n\r\n");
    let nobody = SocketAddr::from(([192, 0, 2, 81], 80));
    assert_eq!(get(&mock, nobody, "/", &mut body).await, Err(Failure::Net(Error::ConnectionRefused)));
    mock.answer = Ok("HTTP/1.0 200 OK\r\n");
    assert_eq!(get(&mock, server, "/", &mut body).await, Err(Failure::NoAnswer));
    mock.answer = Err(Error::ConnectionReset);
    assert_eq!(get(&mock, server, "/", &mut body).await, Err(Failure::Net(Error::ConnectionReset)));
}

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    net.block_on(test());
    println!("the client passes on a network that is none");
    let args = args();
    let Some(server) = args.first() else { return Ok(()) };
    let server = server.parse().map_err(|_| Error::InvalidInput("the argument is not ADDRESS:PORT"))?;
    let mut body = Vec::new();
    match net.block_on(get(&net, server, "/", &mut body)) {
        Ok(status) => println!("{server} answers {status}, with {} bytes", body.len()),
        Err(Failure::Net(error)) => return Err(error),
        Err(Failure::NoAnswer) => println!("{server} speaks no HTTP"),
    }
    Ok(())
}
