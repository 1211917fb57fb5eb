//! Gets a page: `http_get [--dns ADDRESS] [--in-turn] HOST[:PORT] PATH`. By default the addresses of HOST are tried as happy eyeballs
//! (RFC 8305) say; with `--in-turn` strictly one after the other, for five seconds each.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::time::Duration;
use barenet::{Error, Net, Shutdown, TcpStream};
use barenet_boards::{args, print, println};
use barenet_examples::take_dns;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let args = take_dns(&net, args())?;
    let in_turn = args.first() == Some(&"--in-turn");
    let [host, path] = &args[usize::from(in_turn)..] else {
        return Err(Error::InvalidInput("http_get [--dns ADDRESS] [--in-turn] HOST[:PORT] PATH"));
    };
    let (host, port) = host.rsplit_once(':').unwrap_or((host, "http"));
    if in_turn {
        let limit = Duration::from_secs(5);
        return net.with_tcp_connect(host, port, limit, |flow| get(flow, host, path)).unwrap_or_else(
            |failed| {
                println!("{failed}");
                Err(failed.error)
            },
        );
    }
    let port = if port == "http" { Ok(80) } else { port.parse() };
    let port: u16 = port.map_err(|_| Error::InvalidInput("the port is no number"))?;
    get(&mut TcpStream::connect(&net, (host, port))?, host, path)
}

/// Asks, and prints all that comes until the server closes.
fn get(flow: &mut TcpStream, host: &str, path: &str) -> Result<(), Error> {
    for part in ["GET ", path, " HTTP/1.0\r\nHost: ", host, "\r\n\r\n"] {
        flow.write_all(part.as_bytes())?;
    }
    flow.shutdown(Shutdown::Write)?;
    let mut buf = [0; 1500];
    loop {
        match flow.read(&mut buf)? {
            0 => return Ok(()),
            len => buf[..len].utf8_chunks().for_each(|text| print!("{}", text.valid())),
        }
    }
}
