//! `coap-lite`: fetches a resource. Arguments: the server's ADDRESS:PORT, and the path.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::time::Duration;
use barenet::{Error, Net, UdpSocket};
use barenet_boards::{args, println};
use coap_lite::{CoapRequest, Packet, RequestType};
use core::net::SocketAddr;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let [server, path] = args() else { return Err(Error::InvalidInput("ADDRESS:PORT PATH")) };
    let mut socket = UdpSocket::bind(&net, 0)?;
    socket.connect(*server)?;
    // The first answer comes after 2 s at the latest, or the question was lost (RFC 7252 §4.8).
    socket.set_read_timeout(Some(Duration::from_secs(2)));
    let mut request = CoapRequest::<SocketAddr>::new();
    request.set_method(RequestType::Get);
    request.set_path(path);
    request.message.header.message_id = 1;
    let question = request.message.to_bytes().map_err(|_| Error::InvalidInput("the path"))?;
    let mut buf = [0; 1500];
    for _ in 0..4 {
        socket.send(&question)?;
        match socket.recv(&mut buf) {
            Ok(len) => {
                let answer = Packet::from_bytes(&buf[..len]).map_err(|_| Error::InvalidInput("no CoAP"))?;
                println!("{:?}: {} bytes", answer.header.code, answer.payload.len());
                return Ok(());
            }
            Err(Error::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::TimedOut)
}
