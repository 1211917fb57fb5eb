//! An echo server on port 7000 as in Mnet's document: a loop that accepts, a task for each client, and tasks that have ended
//! are joined without waiting for the others. With a number as argument it ends after so many clients.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::format;
use alloc::vec::Vec;

use barenet::{Error, Net, Task, TcpListener, TcpStream};
use barenet_boards::{args, println};

/// How many bytes went back to a client.
type Client = Task<Result<usize, Error>>;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let most = args().first().map_or(Ok(usize::MAX), |n| n.parse());
    let most = most.map_err(|_| Error::InvalidInput("the argument is not a number of clients"))?;
    let listener = TcpListener::bind(&net, 7000)?;
    println!("echo on {}", listener.local_addr());
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..most {
        while let Some(ended) = clients.iter().position(Task::is_finished) {
            report(clients.swap_remove(ended));
        }
        let (flow, peer) = listener.accept()?;
        clients.push(net.spawn(format!("{peer}"), move || echo(flow))?);
    }
    clients.into_iter().for_each(report);
    Ok(())
}

fn echo(mut flow: TcpStream) -> Result<usize, Error> {
    let (mut buf, mut sent) = ([0; 4096], 0);
    loop {
        match flow.read(&mut buf)? {
            0 => return Ok(sent),
            n => {
                flow.write_all(&buf[..n])?;
                sent += n;
            }
        }
    }
}

/// A failure of a handler, and a panic, is seen here.
fn report(client: Client) {
    match client.join() {
        Ok(Ok(bytes)) => println!("a client had {bytes} bytes"),
        Ok(Err(error)) | Err(error) => println!("a client failed: {error}"),
    }
}
