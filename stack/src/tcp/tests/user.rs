use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Wake, Waker};

#[derive(Default)]
pub(super) struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    pub(super) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Bench {
    pub(super) fn wait(&mut self, interest: Interest) -> Arc<Count> {
        let count = Arc::new(Count::default());
        self.tcp.register(self.key.unwrap(), interest, &Waker::from(count.clone()), self.now, &self.pool);
        count
    }
    pub(super) fn is_ready(&mut self, interest: Interest) -> bool {
        self.tcp.is_ready(self.key.unwrap(), interest, self.now, &mut self.pool).unwrap()
    }
    fn peek(&mut self) -> Result<Vec<u8>, Error> {
        let mut buf = [0; 100];
        let n = self.tcp.peek(self.key.unwrap(), &mut buf, self.now, &mut self.pool)?;
        Ok(buf[..n].to_vec())
    }
}

/// A reader is woken by data, by the end, by a reset, by a timeout.
#[test]
fn readers_are_woken() {
    let mut b = Bench::server();
    let waits = b.wait(Interest::Read);
    b.get(ack(1, 1));
    assert_eq!(waits.get(), 0);
    b.get(data(1, 1, b"x"));
    assert_eq!(waits.get(), 1);
    b.read(1).unwrap();
    let waits = b.wait(Interest::Read);
    b.get(fin(2, 1));
    assert_eq!(waits.get(), 1);
    let (reads, writes) = (b.wait(Interest::Read), b.wait(Interest::Write));
    b.get(rst(3));
    assert_eq!((reads.get(), writes.get()), (1, 1));
}

/// H194: a second task that reads is woken too, however much is parked in between.
#[test]
fn two_readers_are_woken() {
    let mut b = Bench::server();
    let waits = [b.wait(Interest::Read), b.wait(Interest::Read)];
    b.get(ack(1, 1));
    assert_eq!([waits[0].get(), waits[1].get()], [0, 0]);
    b.get(data(1, 1, b"x"));
    assert_eq!([waits[0].get(), waits[1].get()], [1, 1]);
}

/// A writer is woken by an acknowledgment, and by the end.
#[test]
fn writers_are_woken() {
    let mut b = Bench::server_with(TcpConfig { send_buffer: 1_000, ..quiet() }, syn());
    assert_eq!(b.write(&pattern(2_000)), Ok(1_000));
    assert_eq!(b.write(b"x"), Err(Error::WouldBlock));
    b.out();
    let waits = b.wait(Interest::Write);
    b.get(ack(1, 1));
    assert_eq!(waits.get(), 0);
    b.get(ack(1, 1_001));
    assert_eq!((waits.get(), b.is_ready(Interest::Write)), (1, true));
}

/// A connector is woken when the handshake is over, or has failed.
#[test]
fn connectors_are_woken() {
    let mut b = Bench::connecting(quiet());
    b.out();
    let waits = b.wait(Interest::Write);
    b.get(segment(Flags::SYN | Flags::ACK, 0, 1));
    assert_eq!(waits.get(), 1);
    let mut b = Bench::connecting(quiet());
    b.out();
    let waits = b.wait(Interest::Write);
    b.get(segment(Flags::RST | Flags::ACK, 0, 1));
    assert_eq!(waits.get(), 1);
    assert_eq!(b.write(b"x"), Err(Error::ConnectionRefused));
}

/// F32: a writer that waits for memory which others hold is woken when they give it back; writers leave
/// a quarter to receivers, but for the first block of each.
#[test]
fn a_writer_that_waits_for_memory() {
    let mut b = Bench::server();
    let mut hog = crate::base::pool::Chain::new();
    while hog.append(&mut b.pool, &pattern(500), crate::base::pool::Need::Control) == 500 {}
    assert_eq!(b.write(b"x"), Err(Error::WouldBlock));
    assert!(!b.is_ready(Interest::Write));
    let waits = b.wait(Interest::Write);
    hog.consume(&mut b.pool, 100_000);
    b.tcp.feed_starved(&b.pool);
    b.wake();
    assert_eq!((waits.get(), b.is_ready(Interest::Write)), (1, true));
    assert_eq!(b.write(&pattern(10_000)), Ok(b.pool.block_len()));
    assert_eq!(b.write(b"x"), Err(Error::WouldBlock), "still the receivers' share");
    hog.clear(&mut b.pool);
    b.tcp.feed_starved(&b.pool);
    assert!(b.is_ready(Interest::Write));
    let (in_all, share) = (b.pool.capacity(), b.pool.capacity() / 4);
    b.tcp.settings.config.send_buffer = u32::MAX;
    while b.write(&pattern(10_000)).is_ok() {}
    assert!(b.pool.in_use() <= in_all - share + 500);
}

/// H188: a writer whose own buffer is full is left alone by what others do with the memory.
#[test]
fn a_writer_that_waits_for_its_peer_sleeps() {
    let mut b = Bench::server();
    b.tcp.settings.config.send_buffer = 1_000;
    while b.write(&pattern(10_000)).is_ok() {}
    let waits = b.wait(Interest::Write);
    b.tcp.feed_starved(&b.pool);
    assert_eq!((waits.get(), b.tcp.can_feed(&b.pool)), (0, false));
}

/// A window that the lack of memory closed opens when others give memory back, not when the peer
/// asks the next time.
#[test]
fn a_window_that_waits_for_memory() {
    let mut b = Bench::server_with(TcpConfig { receive_buffer: 4_000, ..quiet() }, syn());
    for n in 0..4 {
        b.get(data(1 + n * 1_000, 1, &pattern(1_000)));
    }
    b.read(4_000).unwrap();
    let mut hog = crate::base::pool::Chain::new();
    while b.pool.available() > 2_000 {
        hog.append(&mut b.pool, &pattern(500), crate::base::pool::Need::Control);
    }
    assert_eq!(b.out().iter().map(|o| (o.ack, o.window)).collect::<Vec<_>>(), [(4_001, 0)]);
    assert_eq!(b.advance(1_000), []);
    hog.clear(&mut b.pool);
    b.tcp.feed_starved(&b.pool);
    assert_eq!(b.out().iter().map(|o| (o.ack, o.window)).collect::<Vec<_>>(), [(4_001, 4_000)]);
}

/// Two ends with large segments and little memory, whose writers have taken what they may: each still
/// offers the other a window, or both would wait for ever.
#[test]
fn writers_leave_a_window() {
    let mut b = Bench::listening(quiet(), 1);
    b.pool = Pool::growing(64_500, 1_500);
    b.mtu = 9_000;
    b.get(syn().mss(8_960));
    b.out();
    b.get(ack(1, 1).win(0));
    b.accept();
    while b.write(&pattern(10_000)).is_ok() {}
    let mut at = 1;
    for _ in 0..20 {
        b.get(data(at, 1, &pattern(1_000)).win(0));
        at += 1_000;
        while b.read(2_000).is_ok() {}
        b.out();
    }
    for _ in 0..20 {
        assert_eq!(b.get(data(at, 1, &pattern(3_000)).win(0)), None, "{at}");
        at += 3_000;
        assert_eq!(b.read(9_000).unwrap().len(), 3_000);
        b.out();
    }
}

/// What was received and is not read leaves memory for what has to be sent.
#[test]
fn unread_text_leaves_memory() {
    let mut b = Bench::listening(quiet(), 8);
    b.pool = Pool::growing(64_000, 500);
    for port in 1..9 {
        b.tuple.remote_port = port;
        b.iss = Seq(0);
        b.get(syn());
        b.out();
        b.get(ack(1, 1));
        for n in 0..40 {
            b.get(data(1 + 1_000 * n, 1, &pattern(1_000)));
            b.get(data(30_000 + 1_500 * n, 1, &pattern(1_000)));
        }
        b.out();
        assert!(b.pool.available() >= 64_000 / 8 - 1_500, "{}", b.pool.available());
    }
}

/// A merged frame that is larger than the memory left is taken in part, and its reader is woken.
#[test]
fn a_large_frame_in_little_memory() {
    let mut b = Bench::server();
    let mut hog = crate::base::pool::Chain::new();
    while b.pool.available() > (1 << 20) / 8 + 10_000 {
        hog.append(&mut b.pool, &pattern(500), crate::base::pool::Need::Control);
    }
    let waits = b.wait(Interest::Read);
    b.get(data(1, 1, &pattern(20_000)));
    let got = b.read(20_000).unwrap();
    assert!(got.len() > 9_000 && got[..] == pattern(20_000)[..got.len()]);
    assert_eq!((waits.get(), b.out()[0].ack), (1, 1 + got.len() as u32));
    hog.clear(&mut b.pool);
}

/// H037, H032: buffers so large that sequence numbers could not be compared are cut, and our shift is 14 at most.
#[test]
fn buffers_have_a_limit() {
    let config = TcpConfig { send_buffer: u32::MAX, receive_buffer: u32::MAX, ..quiet() };
    let mut b = Bench::new(config);
    b.pool = Pool::growing(1 << 34, 65_536);
    b.key = Some(b.tcp.connect(b.tuple, b.interface, MTU, None, b.now, &mut b.pool).unwrap());
    let out = b.out();
    assert_eq!((out[0].window, out[0].options.window_scale), (65_535, Some(14)));
    let tcb = &b.tcp.connection(b.key.unwrap()).unwrap().tcb;
    assert_eq!((tcb.send_limit, tcb.receive_limit), (1 << 30, 1 << 30));
}

/// Before the handshake is over, too: an early writer leaves memory to others.
#[test]
fn an_early_writer_leaves_memory() {
    let mut b = Bench::connecting(TcpConfig { send_buffer: 1 << 30, ..quiet() });
    while b.write(&pattern(10_000)).is_ok() {}
    assert!(b.pool.available() >= b.pool.capacity() / 4 - 500);
    assert!(!b.is_ready(Interest::Write));
    b.out();
    b.get(segment(Flags::SYN | Flags::ACK, 0, 1).mss(1460));
    assert_eq!(b.out()[0].payload[..], pattern(10_000)[..MSS as usize]);
}

/// M17: reads no more. What lay unread costs no memory, writing goes on, and so does the peer's FIN; payload
/// that still comes is answered with a reset, so that the peer's writes fail.
//= rfc9293#3.6.1 SHLD-3
#[test]
fn shutdown_of_reading() {
    let mut b = Bench::server();
    b.get(data(1, 1, b"unread"));
    b.get(data(20, 1, b"beyond"));
    let waits = b.wait(Interest::Read);
    b.tcp.shutdown_read(b.key.unwrap(), b.now, &mut b.pool).unwrap();
    b.wake();
    assert_eq!((waits.get(), b.pool.in_use()), (1, 0));
    assert_eq!(b.read(9).unwrap(), b"");
    b.write(b"still").unwrap();
    assert!(b.out().iter().any(|o| o.payload == b"still"));
    b.get(data(1, 6, b"unread"));
    assert_eq!((b.state(), b.out().len()), (State::Established, 1), "what was received already does no harm");
    b.get(data(7, 6, b"more"));
    assert_eq!((b.state(), b.read(9)), (State::Closed, Err(Error::ConnectionAborted)));
    assert!(matches!(b.replies[..], [Reply::Reset(Reset { ack: Some(_), .. })]));

    let mut b = Bench::server();
    b.tcp.shutdown_read(b.key.unwrap(), b.now, &mut b.pool).unwrap();
    b.get(fin(1, 1));
    b.write(b"still").unwrap();
    assert!(b.out().iter().any(|o| o.payload == b"still"));
    b.get(ack(2, 6));
    b.close();
    assert!(b.out()[0].flags.has(Flags::FIN));
}

/// M17: the same before the handshake is over.
#[test]
fn shutdown_of_reading_before_the_handshake() {
    let mut b = Bench::connecting(quiet());
    b.out();
    b.tcp.shutdown_read(b.key.unwrap(), b.now, &mut b.pool).unwrap();
    b.get(segment(Flags::SYN | Flags::ACK, 0, 1));
    assert_eq!(b.read(9).unwrap(), b"");
    b.get(data(1, 1, b"not wanted"));
    assert_eq!((b.state(), b.pool.in_use(), b.replies.len()), (State::Closed, 0, 1));
}

/// H224, H225: peek, read and readiness agree, before the handshake, with data, at the end and after
/// an error.
#[test]
fn peek_read_and_readiness_agree() {
    let mut b = Bench::connecting(quiet());
    assert_eq!((b.peek(), b.is_ready(Interest::Read)), (Err(Error::WouldBlock), false));
    assert_eq!(b.read(1), Err(Error::WouldBlock));
    let mut b = Bench::server();
    assert_eq!((b.peek(), b.is_ready(Interest::Read)), (Err(Error::WouldBlock), false));
    b.get(fin(1, 1).payload(b"end"));
    assert_eq!((b.peek().unwrap(), b.is_ready(Interest::Read)), (b"end".to_vec(), true));
    assert_eq!(b.read(9).unwrap(), b"end");
    assert_eq!((b.peek().unwrap(), b.is_ready(Interest::Read)), (vec![], true));
    assert_eq!(b.read(9).unwrap(), b"");
    b.get(rst(5));
    assert_eq!((b.peek(), b.is_ready(Interest::Read)), (Err(Error::ConnectionReset), true));
    assert!(b.is_ready(Interest::Write));
    assert_eq!(b.read(9), Err(Error::ConnectionReset));
}

/// What lay unread when both sides had closed in order can still be read.
#[test]
fn unread_bytes_outlive_the_connection() {
    let mut b = Bench::server();
    b.get(fin(1, 1).payload(b"to be read"));
    b.shutdown();
    b.out();
    b.get(ack(12, 2));
    assert_eq!((b.state(), b.tcp.deadline()), (State::Closed, None));
    assert_eq!(b.read(5).unwrap(), b"to be");
    assert_eq!(b.read(9).unwrap(), b" read");
    assert_eq!(b.read(9).unwrap(), b"");
    assert_eq!((b.write(b"x"), b.pool.in_use()), (Err(Error::ClosedLocally), 0));
}

/// What `is_ready` says of reading is what a read gives: payload, the end, or an error. So it is for one that
/// has shut its reading half itself.
#[test]
fn readable_is_what_a_read_gives() {
    let mut b = Bench::connecting(quiet());
    b.out();
    assert!(!b.is_ready(Interest::Read));
    let mut b = Bench::server();
    assert!(!b.is_ready(Interest::Read));
    b.get(data(1, 1, b"xy"));
    for left in [true, false] {
        assert!(b.is_ready(Interest::Read));
        b.read(1).unwrap();
        assert_eq!(b.is_ready(Interest::Read), left);
    }
    b.get(fin(3, 1));
    assert!(b.is_ready(Interest::Read));
    assert_eq!(b.read(1), Ok(vec![]));

    let mut b = Bench::server();
    b.get(rst(1));
    assert!(b.is_ready(Interest::Read));
    assert_eq!(b.read(1), Err(Error::ConnectionReset));

    let mut b = Bench::server();
    b.tcp.shutdown_read(b.key.unwrap(), b.now, &mut b.pool).unwrap();
    assert!(b.is_ready(Interest::Read));
    assert_eq!(b.read(1), Ok(vec![]));
}

/// How much a writer may queue while memory runs out: with nothing queued a block, as long as windows have
/// some; then the least there is, so that nobody who writes a little waits for those that write much.
#[test]
fn what_a_writer_gets_as_memory_runs_out() {
    use crate::base::pool::{Chain, Need};
    use crate::tcp::connection::user::memory_share;
    let pool = &mut Pool::growing(64 * 16_384, 16_384);
    let mut hog = Chain::new();
    let mut take_all_beyond = |pool: &mut Pool<'_>, need| {
        while pool.beyond(need) > 0 {
            hog.append(pool, &[0; 16_384], Need::Control);
        }
    };
    let (block, least) = (pool.block_len() as u32, pool.least_len() as u32);
    assert!(memory_share(pool, 0, 0, Some(0)) > block, "while there is much, the window has no say");
    take_all_beyond(pool, Need::Ahead);
    assert_eq!([0, 1_000_000].map(|window| memory_share(pool, 0, 0, Some(window)) > block), [false, true]);
    let small = pool.small_len() as u32;
    let of_window = |window| memory_share(pool, 100, 0, Some(window));
    assert_eq!(of_window(small + 200), small - 100, "no whole block for a little more than a small one");
    assert_eq!(of_window(2 * small), small - 100);
    assert_eq!([small, 2 * small + 1].map(of_window), [small - 100, 2 * small - 99]);
    take_all_beyond(pool, Need::Bulk);
    let shares = |pool: &Pool<'_>| [0, 3_000, 1_000_000].map(|window| memory_share(pool, 0, 0, Some(window)));
    assert_eq!(shares(pool), [least, 3_000, block]);
    assert_eq!(memory_share(pool, 1, 0, Some(1_000_000)), 0, "but not for who has queued some");
    assert_eq!(memory_share(pool, 7, 2000, Some(1_000_000)), 2000, "but for the block that it has");
    assert_eq!(memory_share(pool, 0, 0, None), 0, "nor for a peer that has yet to answer");
    take_all_beyond(pool, Need::Window);
    assert_eq!(shares(pool), [least; 3]);
    take_all_beyond(pool, Need::Send);
    assert_eq!(shares(pool), [0; 3]);
    hog.clear(pool);
}
