//! Announces this host and a page on its link: `announce [NAME]`; a browser there finds it as `http://NAME.local/`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::names::Announcement;
use barenet::{Error, Net, TcpListener};
use barenet_boards::{args, println};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let name = match args() {
        [] => "barenet",
        [name] => name,
        _ => return Err(Error::InvalidInput("announce [NAME]")),
    };
    let listener = TcpListener::bind(&net, 80)?;
    net.announce_host(name)?;
    let texts = &["path=/"];
    let page =
        net.announce(Announcement { instance: "A page of barenet", service: "_http._tcp", port: 80, texts })?;
    // Where somebody has the name, it is another one.
    net.wait_configuration(None, |stack| matches!(stack.announced_service(page), Ok(Some(_))))?;
    if let (Some(host), Some(service)) = (net.announced_host(), net.announced(page)?) {
        println!("{service} is http://{host}/ on this link");
    }
    listener.serve(|mut flow, _peer| {
        // What is asked for makes no difference.
        flow.read(&mut [0; 1024])?;
        flow.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello\n")
    })
}
