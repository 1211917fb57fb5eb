//! Gives back every byte that it is sent, on TCP port 7000, to any number of clients at once.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net, Serve, TcpListener};
use barenet_boards::println;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let listener = TcpListener::bind(&net, 7000)?;
    println!("echo on {}", listener.local_addr());
    let serve = Serve::default().on_error(|error, peer| println!("{peer}: {error}"));
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
