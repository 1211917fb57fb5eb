//! A program without a heap: every table of its stack lies in statics. Built without the feature
//! `alloc` there is nothing else that it could use.

use core::future::poll_fn;
use core::net::Ipv4Addr;
use core::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use barenet::daemon::{Daemon, DeviceRef};
use barenet::device::loopback::Loopback;
use barenet::stack::Memory;
use barenet::time::Instant;
use barenet::wait::Spin;
use barenet::{Error, Net, NetState, PingSocket, Platform, Shutdown, TcpListener, TcpStream, UdpSocket};
use static_cell::{ConstStaticCell, StaticCell};

/// A machine whose clock moves when it sleeps.
struct Machine(AtomicU64);

impl Platform for Machine {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::Relaxed))
    }
    fn idle(&self, until: Option<Instant>) {
        let until = until.expect("nothing would ever wake it");
        self.0.store(until.micros(), Ordering::Relaxed);
    }
    fn wake(&self) {}
}

static MACHINE: Machine = Machine(AtomicU64::new(0));
static MEMORY: ConstStaticCell<Memory<48, 4, 3>> = ConstStaticCell::new(Memory::new());
static DAEMON: ConstStaticCell<Daemon<'static>> = ConstStaticCell::new(Daemon::empty());
static RING: ConstStaticCell<[u8; 8192]> = ConstStaticCell::new([0; 8192]);
static DEVICE: StaticCell<Loopback> = StaticCell::new();
static STATE: StaticCell<NetState> = StaticCell::new();

fn net() -> Result<Net, Error> {
    let daemon = DAEMON.take();
    daemon.stack().start(MEMORY.take().storage(), [7; 32]);
    let device = DEVICE.init(Loopback::new(RING.take()));
    daemon.add_loopback(DeviceRef::Borrowed(device))?;
    Ok(Net::from_static(STATE.init(NetState::new(daemon, &MACHINE, &Spin))))
}

/// Echoes what `client` sends, a piece at a time, until it has shut down.
fn echo(mut client: TcpStream, mut server: TcpStream) -> Result<(), Error> {
    let (mut piece, mut back) = ([0; 1000], [0; 1000]);
    for round in 0..16u8 {
        client.write_all(&[round; 1000])?;
        server.read_exact(&mut piece)?;
        server.write_all(&piece)?;
        client.read_exact(&mut back)?;
        assert_eq!(back, [round; 1000]);
    }
    client.shutdown(Shutdown::Write)?;
    assert_eq!(server.read(&mut piece)?, 0);
    Ok(())
}

/// Sends more than there is memory for while the answer is read, and gives the length of the answer:
/// neither direction waits for the other.
fn both_ways(net: &Net, mut client: TcpStream, mut server: TcpStream) -> Result<usize, Error> {
    let (mut reader, mut writer) = client.split();
    let ask = async {
        writer.write_all_async(&[7; 100_000]).await?;
        writer.shutdown()
    };
    let echo = async {
        let mut buf = [0; 700];
        while let n @ 1.. = server.read_async(&mut buf).await? {
            server.write_all_async(&buf[..n]).await?;
        }
        server.shutdown(Shutdown::Write)
    };
    let hear = async {
        let (mut buf, mut total) = ([0; 500], 0);
        while let n @ 1.. = reader.read_async(&mut buf).await? {
            total += n;
        }
        Ok(total)
    };
    let (mut ask, mut echo, mut hear) = (pin!(ask), pin!(echo), pin!(hear));
    let (mut asked, mut echoed) = (false, false);
    net.block_on(poll_fn(|cx| {
        asked = asked || ask.as_mut().poll(cx)?.is_ready();
        echoed = echoed || echo.as_mut().poll(cx)?.is_ready();
        hear.as_mut().poll(cx)
    }))
}

/// H234: as the documentation of `Memory` says.
#[test]
fn how_much_it_is() {
    let nothing = size_of::<Memory<0, 0, 0>>();
    // The longest datagram and four places; two sockets; what routers tell; memberships.
    let features = [
        (cfg!(feature = "fragments"), 2048),
        (cfg!(feature = "raw"), 512),
        (cfg!(feature = "slaac"), 1536),
        (cfg!(feature = "multicast"), 3328),
    ];
    let more: usize = features.iter().filter_map(|&(is_on, bytes)| is_on.then_some(bytes)).sum();
    assert!(nothing <= 5 * 1024 + 768 + more, "{nothing} bytes for none");
    let connection = size_of::<Memory<0, 1, 0>>() - nothing;
    let idle = size_of::<Memory<0, 1, 0, 0>>() - nothing;
    assert!(connection <= 640 + 1700 && idle <= 640, "{connection} bytes, {idle} of them idle");
}

/// H199, H227: TCP, UDP and ping from statics, again and again; what does not fit is an error, and goes
/// when there is room again.
#[test]
fn everything_in_statics() -> Result<(), Error> {
    let net = net()?;
    let listener = TcpListener::bind(&net, 7)?;
    assert_eq!(listener.try_accept().err(), Some(Error::WouldBlock));
    // More in turn than there are places in any table.
    for _ in 0..20 {
        let mut client = TcpStream::connect(&net, (Ipv4Addr::LOCALHOST, 7))?;
        assert_eq!((client.nodelay()?, client.set_nodelay(true)?, client.nodelay()?), (false, (), true));
        let (server, _) = listener.accept()?;
        echo(client, server)?;
    }
    let client = TcpStream::connect(&net, (Ipv4Addr::LOCALHOST, 7))?;
    let (server, _) = listener.accept()?;
    assert_eq!(both_ways(&net, client, server)?, 100_000);
    let streams = [(); 2].map(|()| TcpStream::connect(&net, (Ipv4Addr::LOCALHOST, 7)));
    assert!(streams.iter().all(Result::is_ok), "each has two ends in this stack");
    let fifth = TcpStream::connect(&net, (Ipv4Addr::LOCALHOST, 7));
    assert_eq!(fifth.err(), Some(Error::TooManySockets));
    net.turn();
    assert!(listener.try_accept().is_ok() && listener.try_accept().is_ok());
    drop((streams, listener));
    assert_eq!(net.with_stack(|stack| stack.memory().0), 0);

    let (server, client) = (UdpSocket::bind(&net, 9)?, UdpSocket::bind(&net, 0)?);
    client.connect((Ipv4Addr::LOCALHOST, 9))?;
    client.send(b"datagram")?;
    let mut buf = [0; 100];
    let (len, peer) = server.recv_from(&mut buf)?;
    server.send_to(&buf[..len], peer)?;
    assert_eq!(client.recv(&mut buf)?, 8);
    let mut ping = PingSocket::connect(&net, Ipv4Addr::LOCALHOST.into())?;
    assert_eq!(UdpSocket::bind(&net, 0).err(), Some(Error::TooManySockets));
    ping.send(b"ping")?;
    assert_eq!(ping.recv(&mut buf)?.len, 4);
    Ok(())
}
