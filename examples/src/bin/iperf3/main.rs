//! Measures throughput with iperf3's protocol over TCP: as a server, or with `-c ADDRESS` as a client.
//!
//! | argument | meaning |
//! |---|---|
//! | `-c ADDRESS` | be a client of the server at that address; without it be a server |
//! | `-p PORT` | the server's port; default 5201 |
//! | `-1` | as a server, end after one test |
//! | `-t SECONDS` | as a client, measure for that long; default 10 |
//! | `-n BYTES` | as a client, measure that many bytes instead, in all streams together |
//! | `-P STREAMS` | as a client, use so many connections at once; default 1 |
//! | `-R` | as a client, let the server send |
//!
//! `iperf3 -c` and `iperf3 -s` of any system are the other end. Everything runs in one task.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod client;
mod control;
mod messages;
mod server;
mod streams;

use core::net::IpAddr;

use barenet::{Error, Net};
use barenet_boards::args;

use messages::Parameters;

const PORT: u16 = 5201;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let options = Options::of(args())?;
    match options.server {
        Some(server) => client::run(&net, (server, options.port).into(), &options.parameters),
        None => server::run(&net, options.port, options.once),
    }
}

/// What the arguments ask for.
struct Options {
    /// A client's server.
    server: Option<IpAddr>,
    port: u16,
    /// A server's one test.
    once: bool,
    parameters: Parameters,
}

impl Options {
    fn of(args: &[&str]) -> Result<Options, Error> {
        let parameters = Parameters { tcp: true, time: 10, parallel: 1, ..Parameters::default() };
        let mut options = Options { server: None, port: PORT, once: false, parameters };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().copied().unwrap_or_default();
            let parameters = &mut options.parameters;
            match *arg {
                "-s" => {}
                "-1" => options.once = true,
                "-R" => parameters.reverse = true,
                "-c" => {
                    let server = value().parse();
                    options.server = Some(server.map_err(|_| Error::InvalidInput("-c wants an address"))?);
                }
                "-p" => options.port = number(value(), 65_535, "-p wants a port")? as u16,
                "-t" => parameters.time = number(value(), 86_400, "-t wants up to 86400 seconds")? as u32,
                "-n" => parameters.num = number(value(), 1 << 50, "-n wants a number of bytes")?,
                "-P" => parameters.parallel = number(value(), 32, "-P wants up to 32 streams")? as u32,
                _ => return Err(Error::InvalidInput("there are -s, -1, -c, -p, -t, -n, -P and -R")),
            }
        }
        if options.parameters.num > 0 {
            options.parameters.time = 0;
        }
        Ok(options)
    }
}

/// A number from 1 to `most`, which may end in K, M or G.
fn number(text: &str, most: u64, what: &'static str) -> Result<u64, Error> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(Error::InvalidInput(what)),
    };
    let number = digits.parse().ok().and_then(|n: u64| n.checked_mul(1 << shift));
    number.filter(|n| (1..=most).contains(n)).ok_or(Error::InvalidInput(what))
}
