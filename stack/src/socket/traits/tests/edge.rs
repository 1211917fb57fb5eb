//! `edge-nal`.

use core::net::Ipv4Addr;
use std::boxed::Box;
use std::sync::{Arc, Mutex};

use ::edge_nal::{
    Close, MulticastV4, MulticastV6, RawBind, RawReceive, RawSend, RawSplit, Readable, TcpAccept, TcpBind,
    TcpConnect, TcpShutdown, TcpSplit, UdpBind, UdpConnect, UdpReceive, UdpSend, UdpSplit, UdpSplitMulticast,
};
use embedded_io_async::{Read, Write};

use super::*;
use crate::device::{Capabilities, Device, Mac, RxFrame, TxError, TxFrame};
use crate::socket::RawInterface;

/// A server of any `edge-nal` network that answers once, and a client of any.
async fn ask(net: &(impl TcpBind + TcpConnect)) {
    let acceptor = TcpBind::bind(net, address("[::]:7")).await.unwrap();
    let mut client = TcpConnect::connect(net, address("127.0.0.1:7")).await.unwrap();
    let (peer, mut server) = acceptor.accept().await.unwrap();
    assert_eq!(peer.ip(), Ipv4Addr::LOCALHOST);
    client.write_all(b"question").await.unwrap();
    server.readable().await.unwrap();
    let mut buf = [0; 8];
    server.read_exact(&mut buf).await.unwrap();
    let (mut reader, mut writer) = server.split();
    writer.write_all(b"answer").await.unwrap();
    client.read_exact(&mut buf[..6]).await.unwrap();
    assert_eq!(&buf, b"answeron");
    // Our FIN is acknowledged; what the server has still to say is read and dropped.
    client.close(Close::Write).await.unwrap();
    reader.readable().await.unwrap();
    assert_eq!(reader.read(&mut buf).await.unwrap(), 0);
    writer.write_all(&[0; 1000]).await.unwrap();
    drop((reader, writer));
    server.close(Close::Write).await.unwrap();
    client.close(Close::Both).await.unwrap();
    client.abort().await.unwrap();
}

#[test]
fn edge_nal_tcp_serves_connects_splits_and_closes() {
    let net = net();
    net.block_on(ask(&net));
    let refused = net.block_on(TcpConnect::connect(&net, address("127.0.0.1:9")));
    assert_eq!(refused.err(), Some(Error::ConnectionRefused));
    net.block_on(async {
        let acceptor = TcpBind::bind(&net, address("127.0.0.1:8")).await.unwrap();
        let in_use = TcpBind::bind(&net, address("127.0.0.1:8")).await;
        assert_eq!(in_use.err(), Some(Error::AddrInUse));
        let mut client = TcpConnect::connect(&net, address("127.0.0.1:8")).await.unwrap();
        let (_, mut server) = TcpAccept::accept(&acceptor).await.unwrap();
        TcpShutdown::abort(&mut server).await.unwrap();
        assert_eq!(Read::read(&mut client, &mut [0; 9]).await, Err(Error::ConnectionReset));
    });
}

#[test]
fn edge_nal_udp_binds_connects_and_splits() {
    let net = net();
    net.block_on(async {
        let mut server = UdpBind::bind(&net, address("0.0.0.0:7")).await.unwrap();
        let mut client =
            UdpConnect::connect(&net, address("0.0.0.0:0"), address("127.0.0.1:7")).await.unwrap();
        UdpSend::send(&mut client, address("127.0.0.1:7"), b"longer than the buffer").await.unwrap();
        let other = UdpSend::send(&mut client, address("127.0.0.1:8"), b"x").await;
        assert_eq!(other, Err(Error::AlreadyConnected));
        server.readable().await.unwrap();
        let (mut receive, mut send) = server.split();
        let mut buf = [0; 6];
        let (len, from) = receive.receive(&mut buf).await.unwrap();
        assert_eq!((len, &buf), (6, b"longer"), "a length that the buffer can be sliced by");
        UdpSend::send(&mut send, from, b"back").await.unwrap();
        let (len, from) = client.receive(&mut buf).await.unwrap();
        assert_eq!((&buf[..len], from), (&b"back"[..], address("127.0.0.1:7")));
        // DHCP and others broadcast, and the trait has no call that would allow it.
        assert_ne!(
            UdpSend::send(&mut server, address("255.255.255.255:68"), b"x").await,
            Err(Error::BroadcastNotAllowed)
        );
    });
}

#[test]
fn edge_nal_groups_are_joined_by_address_and_by_index() {
    let net = net();
    net.block_on(async {
        let mut socket = UdpBind::bind(&net, address("[::]:5353")).await.unwrap();
        let (_, _, mut v4, mut v6) = socket.split_multicast();
        let group = "224.0.0.251".parse().unwrap();
        v4.join_v4(group, Ipv4Addr::LOCALHOST).await.unwrap();
        v4.leave_v4(group, Ipv4Addr::LOCALHOST).await.unwrap();
        let nobodys = v4.join_v4(group, "192.0.2.1".parse().unwrap()).await;
        assert_eq!(nobodys, Err(Error::AddrNotAvailable));
        let group = "ff02::fb".parse().unwrap();
        assert_eq!(v6.join_v6(group, 77).await, Err(Error::DeviceGone));
        let loopback = net.configuration().interfaces().next().unwrap().0.zone();
        v6.join_v6(group, loopback).await.unwrap();
        v6.leave_v6(group, loopback).await.unwrap();
        assert!(matches!(v6.leave_v6(group, loopback).await, Err(Error::InvalidInput(_))));
    });
}

/// A link whose far end is the test: what was sent lies in one list, what is to come in the other.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<[Vec<Vec<u8>>; 2]>>);

impl Device for Ends {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mac([2, 0, 0, 0, 0, 1]), 1500)
    }
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        let frame = self.0.lock().unwrap()[1].pop();
        frame.map(|frame| sink(RxFrame::plain(&[&frame]))).is_some()
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        let frame = [&[frame.header], frame.payload].concat().concat();
        self.0.lock().unwrap()[0].push(frame);
        Ok(())
    }
}

#[test]
fn edge_nal_raw_frames_carry_ipv4_both_ways() {
    let (net, ends) = (net(), Ends::default());
    let interface = net.add_interface(Box::new(ends.clone()), &[], &[]).unwrap();
    net.block_on(async {
        let bound = RawInterface::new(&net, interface);
        let mut socket = bound.bind().await.unwrap();
        let (mut receive, mut send) = socket.split();
        send.send([2, 0, 0, 0, 0, 9], b"a packet").await.unwrap();
        let header = b"\x02\0\0\0\0\x09\x02\0\0\0\0\x01\x08\0";
        let sent = ends.0.lock().unwrap()[0].clone();
        assert!(sent.contains(&[&header[..], b"a packet"].concat()), "{sent:?}");
        let came = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9, 8, 0], &[0x45; 30]].concat();
        ends.0.lock().unwrap()[1].push(came);
        receive.readable().await.unwrap();
        let mut buf = [0; 20];
        assert_eq!(receive.receive(&mut buf).await, Ok((20, [2, 0, 0, 0, 0, 9])));
        assert_eq!(buf, [0x45; 20]);
    });
}
