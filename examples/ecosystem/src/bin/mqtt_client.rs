//! `rust-mqtt`: subscribes, publishes, and waits for what it has published. Argument: the broker's ADDRESS:PORT.
#![cfg_attr(target_os = "none", no_std, no_main)]

use barenet::{Error, Net, TcpStream};
use barenet_boards::{args, println};
use rust_mqtt::Bytes;
use rust_mqtt::buffer::AllocBuffer;
use rust_mqtt::client::Client;
use rust_mqtt::client::event::Event;
use rust_mqtt::client::options::{
    ConnectOptions, DisconnectOptions, PublicationOptions, SubscriptionOptions, TopicReference,
};
use rust_mqtt::types::{MqttString, TopicFilter, TopicName};

#[barenet_boards::main(stack_size = 2 * 1024 * 1024)]
fn main(net: Net) -> Result<(), Error> {
    let [broker] = args() else { return Err(Error::InvalidInput("ADDRESS:PORT")) };
    let stream = TcpStream::connect(&net, *broker)?;
    net.block_on(exchange(stream)).ok_or(Error::ConnectionAborted)
}

async fn exchange(stream: TcpStream) -> Option<()> {
    let mut buffer = AllocBuffer;
    let mut client = Client::<'_, '_, _, _, 1, 1, 1, 1, 16, 0, 0>::new(&mut buffer);
    let name = MqttString::from_str("barenet").ok()?;
    client.connect(stream, &ConnectOptions::new().clean_start(), Some(name)).await.ok()?;
    let topic = MqttString::from_str("barenet/hello").ok()?;
    let filter = TopicFilter::new(topic.as_borrowed())?;
    client.subscribe(filter, &SubscriptionOptions::new().exactly_once()).await.ok()?;
    while !matches!(client.poll().await.ok()?, Event::Suback(_)) {}
    let name = TopicName::new(topic.as_borrowed())?;
    let options = PublicationOptions::new(TopicReference::Name(name)).exactly_once();
    client.publish(&options, Bytes::from("over our sockets".as_bytes())).await.ok()?;
    let (mut is_complete, mut is_received) = (false, false);
    while !(is_complete && is_received) {
        match client.poll().await.ok()? {
            Event::PublishComplete(_) => is_complete = true,
            Event::Publish(message) => {
                println!("received {}", core::str::from_utf8(&message.message).ok()?);
                is_received = true;
            }
            _ => {}
        }
    }
    client.disconnect(&DisconnectOptions::new()).await.ok().map(drop)
}
