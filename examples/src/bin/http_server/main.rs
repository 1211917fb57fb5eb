//! Serves a page on port 80 that shows the machine live: connections, throughput, drops, interfaces; and as text `/netstat`.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod state;

use alloc::string::String;
use core::fmt::Write as _;

use barenet::time::Duration;
use barenet::{Error, Net, Serve, TcpListener, TcpStream};
use barenet_boards::{machine, println, uptime};
use edge_http::Method;
use edge_http::io::server::Connection;
use embedded_io_async::Write as _;

/// Bytes for the headers of one request, and how many headers there may be.
const REQUEST_LEN: usize = 2048;
const HEADERS: usize = 32;
/// How long a client may take over a request, the wait for it included, and its answer.
const REQUEST_TIME: Duration = Duration::from_secs(30);

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let listener = TcpListener::bind(&net, 80)?;
    println!("http on {}", listener.local_addr());
    let serve =
        Serve::default().write_timeout(REQUEST_TIME).on_error(|error, peer| println!("{peer}: {error}"));
    // The HTTP crate writes an answer in pieces, and flushes it at its end.
    listener.configure(|options| options.cork = true)?;
    let page_net = net.clone();
    listener.serve_with(serve, move |flow, _peer| answer_requests(flow, &page_net))
}

/// Answers requests until the client closes, asks to close, or talks nonsense.
fn answer_requests(mut flow: TcpStream, net: &Net) -> Result<(), Error> {
    let mut buf = [0; REQUEST_LEN];
    loop {
        // The HTTP crate is async; this fiber or thread waits for it, but not for ever.
        match net.block_on_timeout(REQUEST_TIME, answer(&mut buf, &mut flow, net))? {
            Ok(Next::Request) => {}
            Ok(Next::Close) => return Ok(()),
            Err(edge_http::io::Error::Io(error)) => return Err(error),
            Err(edge_http::io::Error::ConnectionClosed) => return Ok(()),
            Err(_) => return flow.write_all(BAD_REQUEST),
        }
    }
}

const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// With no outside resource.
const PAGE: &str = include_str!("page.html");

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

enum Next {
    Request,
    Close,
}

async fn answer(
    buf: &mut [u8],
    flow: &mut TcpStream,
    net: &Net,
) -> Result<Next, edge_http::io::Error<Error>> {
    let mut connection = Connection::<_, HEADERS>::new(buf, flow).await?;
    let request = connection.headers()?;
    let path = request.path.split('?').next().unwrap_or_default();
    let is_head = request.method == Method::Head;
    let method = if is_head { Method::Get } else { request.method };
    let (status, reason, kind, body) = match (method, path) {
        (Method::Get, "/") => (200, "OK", HTML, page()),
        (Method::Get, "/state") => (200, "OK", JSON, state::json(net)),
        (Method::Get, "/netstat") => (200, "OK", TEXT, state::text(net)),
        (Method::Get, "/counters") => (200, "OK", TEXT, counters(net)),
        (Method::Get, _) => (404, "Not Found", TEXT, String::from("There is /, /netstat and /counters.\n")),
        _ => (405, "Method Not Allowed", TEXT, String::from("There are only GET and HEAD.\n")),
    };
    let length = alloc::format!("{}", body.len());
    let mut headers = alloc::vec![
        ("Content-Type", kind),
        ("Content-Length", length.as_str()),
        ("Cache-Control", "no-store")
    ];
    if status == 405 {
        headers.push(("Allow", "GET, HEAD"));
    }
    if is_head {
        // The HTTP crate takes a body that does not come for a broken answer.
        headers.push(("Connection", "Close"));
        connection.initiate_response(status, Some(reason), &headers).await?;
        return Ok(Next::Close);
    }
    connection.initiate_response(status, Some(reason), &headers).await?;
    connection.write_all(body.as_bytes()).await?;
    connection.complete().await?;
    Ok(if connection.needs_close() { Next::Close } else { Next::Request })
}

/// One line for each protocol and direction, and for each reason for which something was dropped.
fn counters(net: &Net) -> String {
    let mut text = String::new();
    net.with_stack(|stack| {
        let (used, all) = stack.memory();
        let (connections, time_waits) = stack.tcp_count();
        let _ = writeln!(text, "memory in use: {used} of {all} bytes");
        let _ = writeln!(text, "connections: {connections}");
        let _ = writeln!(text, "connections in TIME-WAIT: {time_waits}");
        for (name, protocol) in stack.counters().protocols() {
            let (received, sent) = (protocol.received, protocol.sent);
            let _ = writeln!(text, "{name} received: {} packets, {} bytes", received.packets, received.bytes);
            let _ = writeln!(text, "{name} sent: {} packets, {} bytes", sent.packets, sent.bytes);
        }
        for (drop, count) in stack.counters().drops_seen() {
            let _ = writeln!(text, "dropped, {}: {count}", drop.name());
        }
    });
    text
}

/// The page, which asks for `/state` each second.
fn page() -> String {
    let (seconds, tenths) = (uptime().millis() / 1000, uptime().millis() / 100 % 10);
    PAGE.replace("@MACHINE@", &alloc::format!("Machine: {}", machine()))
        .replace("@UPTIME@", &alloc::format!("{seconds}.{tenths}"))
}
