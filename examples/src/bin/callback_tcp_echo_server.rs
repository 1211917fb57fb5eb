//! The networking guide's TCP echo server, in callbacks, on port 7000.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::callbacks::{Loop, Read, Tcp};
use barenet::{Error, Net};
use barenet_boards::println;

/// A client that takes nothing is not read from while so much waits for it.
const WAITING_MAX: usize = 64 * 1024;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let events = Loop::new(&net);
    let server = Tcp::new(&events);
    server.bind(7000)?;
    server.listen(128, |server, connected| {
        let client = Tcp::new(server.events());
        match connected.and_then(|()| server.accept(&client)) {
            Err(error) => println!("can't accept: {error}"),
            Ok(()) => client.read_start(answer),
        }
    })?;
    println!("echo on {}", server.local_addr()?);
    events.run();
    Ok(())
}

fn answer(client: &Tcp, read: Read<'_>) {
    match read {
        Read::Data(data) => {
            client.write(&[data], |client, result, _| {
                if result.is_ok() && client.write_queue_size() == 0 {
                    client.read_start(answer);
                }
            });
            if client.write_queue_size() > WAITING_MAX {
                client.read_stop();
            }
        }
        // What was read before is written first.
        Read::End => client.shutdown(|client, _| client.close(|| {})),
        Read::Failed(error) => {
            println!("read: {}: {error}", error.name());
            client.close(|| {});
        }
    }
}
