//! `minimq`: subscribes, publishes, and waits for what it has published. Argument: the broker's ADDRESS:PORT.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net, TcpStream};
use barenet_boards::{args, println};
use minimq::{Buffers, ConfigBuilder, Publication, QoS, Session, TopicFilter};

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let [broker] = args() else { return Err(Error::InvalidInput("ADDRESS:PORT")) };
    let stream = TcpStream::connect(&net, *broker)?;
    match net.block_on(exchange(stream)) {
        Some(()) => Ok(()),
        None => Err(Error::ConnectionAborted),
    }
}

async fn exchange(stream: TcpStream) -> Option<()> {
    let (mut received, mut sent) = ([0; 512], [0; 1024]);
    let config = ConfigBuilder::new(Buffers::new(&mut received, &mut sent)).client_id("barenet").ok()?;
    let mut session = Session::new(config);
    let mut connection = session.connect(stream).await.ok()?;
    connection.subscribe(&[TopicFilter::new("barenet/hello")], &[]).await.ok()?;
    let message = Publication::text("barenet/hello", "over our sockets").qos(QoS::AtLeastOnce);
    connection.publish(message).await.ok()?;
    let message = connection.recv().await.ok()?;
    println!("received {}", core::str::from_utf8(message.payload()).ok()?);
    Some(())
}
