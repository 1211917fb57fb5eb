//! `embedded-nal-async`.

use embedded_io_async::{Read, Write};
use embedded_nal_async::{ConnectedUdp, TcpConnect, UdpStack, UnconnectedUdp};

use super::*;

#[test]
fn embedded_nal_tcp_connects() {
    let net = net();
    let listener = TcpListener::bind(&net, 7).unwrap();
    net.block_on(async {
        let mut client = TcpConnect::connect(&&net, address("[::1]:7")).await.unwrap();
        let (mut server, _) = listener.accept_async().await.unwrap();
        Write::write_all(&mut client, b"hi").await.unwrap();
        let mut buf = [0; 2];
        server.read_exact(&mut buf).unwrap();
        server.write_all(&buf).unwrap();
        Read::read_exact(&mut client, &mut buf).await.unwrap();
        drop(client);
        assert_eq!(server.read_async(&mut buf).await, Ok(0), "closed when it is dropped");
        let refused = TcpConnect::connect(&net, address("127.0.0.1:9")).await;
        assert_eq!(refused.err(), Some(Error::ConnectionRefused));
    });
}

#[test]
fn embedded_nal_udp_tells_and_takes_local_addresses() {
    let net = net();
    net.block_on(async {
        let mut all = net.bind_multiple(address("0.0.0.0:7")).await.unwrap();
        let (local, mut one) = UdpStack::connect(&net, address("127.0.0.1:7")).await.unwrap();
        assert_eq!(local.ip(), address("127.0.0.1:0").ip());
        ConnectedUdp::send(&mut one, b"hello").await.unwrap();
        let mut buf = [0; 3];
        let (len, to, from) = UnconnectedUdp::receive_into(&mut all, &mut buf).await.unwrap();
        assert_eq!((len, to, from), (3, address("127.0.0.1:7"), local));
        // Answered from another of our addresses than the route's: the connected socket does not hear that.
        let other = address("127.0.0.5:7");
        UnconnectedUdp::send(&mut all, other, from, b"no").await.unwrap();
        UnconnectedUdp::send(&mut all, to, from, b"yes").await.unwrap();
        assert_eq!(ConnectedUdp::receive_into(&mut one, &mut buf).await, Ok(3));
        assert_eq!(&buf, b"yes");
        UnconnectedUdp::send(&mut all, address("0.0.0.0:0"), from, b"any").await.unwrap();
        assert_eq!(ConnectedUdp::receive_into(&mut one, &mut buf).await, Ok(3));
        for nobodys in ["192.0.2.1:7", "127.0.0.1:8"] {
            let refused = UnconnectedUdp::send(&mut all, address(nobodys), from, b"x").await;
            assert_eq!(refused, Err(Error::AddrNotAvailable), "{nobodys}");
        }
    });
}

#[test]
fn embedded_nal_bind_single_chooses_an_address() {
    let net = net();
    net.block_on(async {
        let (local, mut socket) = net.bind_single(address("[::]:0")).await.unwrap();
        assert_eq!(local.ip(), address("[::1]:0").ip(), "there is no other");
        assert_ne!(local.port(), 0);
        UnconnectedUdp::send(&mut socket, local, local, b"self").await.unwrap();
        let mut buf = [0; 9];
        let received = UnconnectedUdp::receive_into(&mut socket, &mut buf).await;
        assert_eq!(received, Ok((4, local, local)));
        let nobodys = net.bind_single(address("192.0.2.1:0")).await;
        assert_eq!(nobodys.err(), Some(Error::AddrNotAvailable));
        net.with_stack(|stack| assert!(stack.addresses().iter().count() > 0));
    });
}
