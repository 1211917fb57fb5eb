//! `picoserve`.

use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::boxed::Box;
use std::string::String;

use ::picoserve::routing::get;
use ::picoserve::{Config, Router, Server};

use super::*;

/// A server of two routes answers, keeps the connection, and closes it when the client does; a client that says
/// nothing is given up after the server's own time.
#[test]
fn picoserve_serves_routes_and_gives_up_on_silence() {
    let net = net();
    let app = Router::new().route("/", get(async || "root")).route("/other", get(async || "other"));
    let config = Config::const_default().keep_connection_alive();
    let (mut client, server) = pair(&net);
    let mut buffer = [0; 1024];
    let mut serving = Box::pin(Server::custom(&app, net.clone(), &config, &mut buffer).serve(server));
    let mut context = Context::from_waker(Waker::noop());
    for (path, code, body) in [("/", "200", "root"), ("/other", "200", "other"), ("/none", "404", "")] {
        let request = std::format!("GET {path} HTTP/1.1\r\nHost: it\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        for _ in 0..200 {
            assert!(serving.as_mut().poll(&mut context).is_pending());
            net.pause(Duration::from_millis(1));
            let mut buf = [0; 512];
            if let Ok(n) = client.try_read(&mut buf) {
                answer.push_str(core::str::from_utf8(&buf[..n]).unwrap());
            }
        }
        assert!(answer.starts_with(&std::format!("HTTP/1.1 {code}")) && answer.ends_with(body), "{answer}");
    }
    net.pause(Duration::from_secs(9));
    let mut ended = Poll::Pending;
    for _ in 0..20 {
        net.pause(Duration::from_secs(1));
        ended = serving.as_mut().poll(&mut context);
        if ended.is_ready() {
            break;
        }
    }
    assert!(ended.is_ready(), "{:?}", client.state());
    assert_eq!(client.read(&mut [0; 512]), Ok(0), "the server's FIN");
}
