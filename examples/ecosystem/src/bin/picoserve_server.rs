//! `picoserve`: several routes, a connection in each fiber or thread.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net, TcpListener};
use barenet_boards::{machine, println, uptime};
use picoserve::response::DebugValue;
use picoserve::routing::{get, parse_path_segment};
use picoserve::{Config, Router, Server};

static CONFIG: Config = Config::const_default().keep_connection_alive();

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let listener = TcpListener::bind(&net, 80)?;
    // picoserve writes an answer in pieces, and flushes it at its end.
    listener.configure(|options| options.cork = true)?;
    println!("picoserve on {}", listener.local_addr());
    listener.serve(move |stream, _| {
        let app = Router::new()
            .route("/", get(async || machine()))
            .route("/uptime", get(async || DebugValue(uptime().millis())))
            .route(
                ("/double", parse_path_segment::<u32>()),
                get(async |n: u32| DebugValue(u64::from(n) * 2)),
            );
        let mut buffer = [0; 2048];
        let served = net.block_on(Server::custom(&app, net.clone(), &CONFIG, &mut buffer).serve(stream));
        // A client that says nothing any more, or goes away, is no matter of ours.
        let _ = served;
        Ok(())
    })
}
