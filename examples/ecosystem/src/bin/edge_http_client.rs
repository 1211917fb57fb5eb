//! `edge-http`: fetches a page. Arguments: the server's ADDRESS:PORT, and the path.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Net, ToSocketAddrs};
use barenet_boards::{args, println};
use edge_http::Method;
use edge_http::io::Error;
use edge_http::io::client::Connection;
use embedded_io_async::Read;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error<barenet::Error>> {
    let [server, path] = args() else {
        return Err(Error::Io(barenet::Error::InvalidInput("ADDRESS:PORT PATH")));
    };
    let address = server.to_socket_addrs().map_err(Error::Io)?[0];
    net.block_on(async {
        let mut buf = [0; 2048];
        let mut connection: Connection<'_, Net> = Connection::new(&mut buf, &net, address);
        connection.initiate_request(true, Method::Get, path, &[("Host", server)]).await?;
        connection.initiate_response().await?;
        println!("status {}", connection.headers()?.code);
        let (mut part, mut len) = ([0; 512], 0);
        loop {
            match connection.read(&mut part).await? {
                0 => break,
                n => len += n,
            }
        }
        println!("body of {len} bytes");
        Ok(())
    })
}
