//! `tcp1` by callbacks.
#![no_std]
#![no_main]

use barenet::callbacks::{Loop, Read, Tcp};
use barenet::stack::SmallMemory;
use barenet_size::ours::sockets::net;
use barenet_size::{halt, program};
use static_cell::ConstStaticCell;

static MEMORY: ConstStaticCell<SmallMemory<8, 1, 0>> = ConstStaticCell::new(SmallMemory::new());

fn run() -> ! {
    let events = Loop::new(&net(MEMORY.take().storage()));
    let server = Tcp::new(&events);
    let accept = |server: &Tcp, connected: Result<(), barenet::Error>| {
        let client = Tcp::new(server.events());
        if connected.and_then(|()| server.accept(&client)).is_ok() {
            client.read_start(|client, read| match read {
                Read::Data(data) => client.write(&[data], |_, _, _| {}),
                Read::End | Read::Failed(_) => client.close(|| {}),
            });
        }
    };
    if server.bind(7).and_then(|()| server.listen(1, accept)).is_ok() {
        events.run();
    }
    halt()
}

program!(run);
