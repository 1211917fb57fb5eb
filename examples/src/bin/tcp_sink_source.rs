//! Takes all that it is sent on TCP port 9 (discard), and sends without end on port 19 (chargen).
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use barenet::time::Duration;
use barenet::{Error, Net, Serve, TcpListener, TcpStream};
use barenet_boards::println;

/// Bytes of one read.
const BLOCK_LEN: usize = 32 * 1024;
/// The characters that are sent: all that can be printed (RFC 864).
const PRINTABLE: core::ops::RangeInclusive<u8> = b' '..=b'~';
/// A line of them, with its end.
const LINE_LEN: usize = 74;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let (sink, source) = (TcpListener::bind(&net, 9)?, TcpListener::bind(&net, 19)?);
    println!("discard on {}, chargen on {}", sink.local_addr(), source.local_addr());
    // Two listeners: one of them in a fiber or thread of its own.
    let job = Box::new(move || {
        let served = sink.serve_with(patient(), |flow, _peer| discard(flow));
        served.unwrap_or_else(|why| println!("{why}"));
    });
    net.waiter().spawn(String::from("discard"), job, Box::new(|| {}))?;
    source.serve_with(patient(), |flow, _peer| generate(flow))
}

/// A client that sends nothing, or takes nothing, for ten minutes is let go.
fn patient() -> Serve {
    let silence = Duration::from_secs(600);
    Serve::default().read_timeout(silence).write_timeout(silence)
}

fn discard(mut flow: TcpStream) -> Result<(), Error> {
    let mut block = vec![0; BLOCK_LEN];
    while flow.read(&mut block)? > 0 {}
    Ok(())
}

/// Lines, each of which begins with the second character of the one before.
fn generate(mut flow: TcpStream) -> Result<(), Error> {
    let count = PRINTABLE.count();
    let character = |at: usize| match at % LINE_LEN {
        72 => b'\r',
        73 => b'\n',
        column => PRINTABLE.start() + ((at / LINE_LEN + column) % count) as u8,
    };
    // The pattern comes around after as many lines as there are characters.
    let lines: Vec<u8> = (0..count * LINE_LEN).map(character).collect();
    loop {
        flow.write_all(&lines)?;
    }
}
