//! `reqwless`: fetches a page. Argument: its URL, by a name or an address.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec;

use barenet::{Error, Net};
use barenet_boards::{args, println};
use reqwless::client::HttpClient;
use reqwless::request::Method;

#[barenet_boards::main(stack_size = 1024 * 1024)]
fn main(net: Net) -> Result<(), Error> {
    let [url] = args() else { return Err(Error::InvalidInput("URL")) };
    match net.block_on(fetch(&net, url)) {
        Ok((status, len)) => println!("status {status}\nbody of {len} bytes"),
        Err(why) => {
            println!("HTTP: {why:?}");
            return Err(Error::ConnectionAborted);
        }
    }
    Ok(())
}

async fn fetch(net: &Net, url: &str) -> Result<(u16, usize), reqwless::Error> {
    // Headers and body of the answer.
    let mut buf = vec![0; 128 * 1024];
    let mut client = HttpClient::new(net, net);
    let mut request = client.request(Method::GET, url).await?;
    let response = request.send(&mut buf).await?;
    let status = response.status.0;
    Ok((status, response.body().read_to_end().await?.len()))
}
