//! Connects to ADDRESS:PORT (default: port 7000 of the gateway), says hello and prints the answer.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net, Shutdown, TcpStream};
use barenet_boards::{args, print, println};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let to = args().first().copied().unwrap_or("10.0.2.2:7000");
    let mut flow = TcpStream::connect(&net, to).inspect_err(|_| println!("can't connect to {to}"))?;
    flow.write_all(b"Hello, world!\n")?;
    flow.shutdown(Shutdown::Write)?; // the server reads the end; we can still receive
    let mut buf = [0; 1024];
    loop {
        match flow.read(&mut buf)? {
            0 => return Ok(()),
            n => print!("{}", buf[..n].escape_ascii()),
        }
    }
}
