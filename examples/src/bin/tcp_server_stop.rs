//! A server with a limit and a stop, as Eio's `run_server`: at most ten clients at once on port 7000, and a client that says
//! "stop" ends the accepting. Those that are served go on to their end; who waits in the backlog meanwhile is served by what comes
//! next on the same listener: here a loop that says "bye" to each.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::sync::Arc;

use barenet::{Error, Net, Serve, Stop, TcpListener};
use barenet_boards::println;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let listener = TcpListener::bind(&net, 7000)?;
    println!("echo on {}", listener.local_addr());
    let stop = Arc::new(Stop::new());
    let serve = Serve::default().max_connections(10).on_error(|error, peer| println!("{peer}: {error}"));
    let told = stop.clone();
    let who = listener.serve_until(&stop, serve, move |mut flow, peer| {
        let mut buf = [0; 4096];
        loop {
            match flow.read(&mut buf)? {
                0 => return Ok(()),
                n if buf[..n].trim_ascii() == b"stop" => {
                    told.stop(peer);
                    return flow.write_all(b"stopped\n");
                }
                n => flow.write_all(&buf[..n])?,
            }
        }
    })?;
    if let Some(who) = who {
        println!("stopped by {who}");
    }
    while let Ok((mut flow, _)) = listener.try_accept() {
        flow.write_all(b"bye\n")?;
    }
    Ok(())
}
