//! A program that fails in the ways its arguments say: what the tests of the boards run.
//!
//! | argument | what happens |
//! |---|---|
//! | `serve` | an echo server on port 7000; a message `panic` or `overflow` makes its handler do so |
//! | `error` | `main` gives back an error |
//! | `panic` | `main` panics |
//! | `exhaust` | `main` asks for more memory than there is |
//! | anything else | it says where it runs and what its arguments are, and ends |
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::{vec, vec::Vec};

use barenet::{Error, Net, TcpListener, TcpStream};
use barenet_boards::println;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    match barenet_boards::args().first() {
        Some(&"serve") => serve(&net),
        Some(&"error") => Err(Error::TimedOut),
        Some(&"panic") => panic!("as asked"),
        Some(&"exhaust") => exhaust(),
        _ => {
            println!("{}", barenet_boards::machine());
            println!("arguments: {}", barenet_boards::args().join(" "));
            Ok(())
        }
    }
}

fn serve(net: &Net) -> Result<(), Error> {
    let listener = TcpListener::bind(net, 7000)?;
    println!("serving on {}", listener.local_addr());
    listener.serve(|mut flow, _| answer(&mut flow))
}

fn answer(flow: &mut TcpStream) -> Result<(), Error> {
    let mut buf = [0; 512];
    loop {
        let n = flow.read(&mut buf)?;
        match &buf[..n] {
            [] => return Ok(()),
            b"panic" => panic!("as asked"),
            b"overflow" => println!("{}", depth(0)),
            message => flow.write_all(message)?,
        }
    }
}

/// Calls itself until the stack is used up.
#[inline(never)]
fn depth(n: u64) -> u64 {
    let frame = core::hint::black_box([n; 32]);
    if core::hint::black_box(true) { depth(n + 1) + frame[3] } else { frame[0] }
}

fn exhaust() -> Result<(), Error> {
    let mut all = Vec::new();
    loop {
        all.push(core::hint::black_box(vec![1u8; 1 << 20]));
    }
}
