//! Gives back every byte that it is sent, on TCP port 7000, to any number of clients at once.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::time::Duration;
use barenet::{Error, Net, Serve, TcpListener};
use barenet_boards::println;

/// How long a client may send nothing, or take nothing.
const SILENCE: Duration = Duration::from_secs(600);

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let listener = TcpListener::bind(&net, 7000)?;
    println!("echo on {}", listener.local_addr());
    // One that says nothing for long has its place taken; one that has vanished is noticed before (keep-alive).
    let serve = Serve::default()
        .read_timeout(SILENCE)
        .write_timeout(SILENCE)
        .on_error(|error, peer| println!("{peer}: {error}"));
    listener.serve_with(serve, |mut flow, _peer| {
        let mut buf = [0; 4096];
        loop {
            match flow.read(&mut buf)? {
                0 => return Ok(()), // the peer sent its FIN
                n => flow.write_all(&buf[..n])?,
            }
        }
    })
}
