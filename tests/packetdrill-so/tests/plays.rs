//! Loads the shared object as packetdrill does and plays a connection through its table.

use barenet_tests::packetdrill::{script, wire};
use libc::{c_char, c_int, c_void};
use std::ffi::{CStr, CString};
use std::path::PathBuf;

/// `struct packetdrill_interface`: pointers only.
type Table = [*mut c_void; 33];

/// Places in the table, as packetdrill has them.
mod at {
    pub(super) const FREE: usize = 1;
    pub(super) const SOCKET: usize = 2;
    pub(super) const BIND: usize = 3;
    pub(super) const LISTEN: usize = 4;
    pub(super) const ACCEPT: usize = 5;
    pub(super) const READ: usize = 7;
    pub(super) const READV: usize = 8;
    pub(super) const RECVMSG: usize = 11;
    pub(super) const WRITE: usize = 12;
    pub(super) const WRITEV: usize = 13;
    pub(super) const SENDMSG: usize = 16;
    pub(super) const FCNTL: usize = 17;
    pub(super) const CLOSE: usize = 19;
    pub(super) const GETSOCKOPT: usize = 21;
    pub(super) const SETSOCKOPT: usize = 22;
    pub(super) const POLL: usize = 23;
    pub(super) const NETDEV_SEND: usize = 24;
    pub(super) const NETDEV_RECEIVE: usize = 25;
    pub(super) const USLEEP: usize = 26;
    pub(super) const GETTIMEOFDAY: usize = 27;
}

struct Plugin {
    table: Table,
}

/// Calls the function at a place of the table.
macro_rules! call {
    ($plugin:expr, $at:expr, fn($($t:ty),*) -> $r:ty $(, $arg:expr)*) => {{
        // SAFETY: the function at this place has this type, and what it is given is valid.
        unsafe {
            let function: unsafe extern "C" fn(*mut c_void $(, $t)*) -> $r =
                std::mem::transmute($plugin.table[$at]);
            function($plugin.table[0] $(, $arg)*)
        }
    }};
}

impl Plugin {
    fn load() -> Plugin {
        Plugin::load_with(c"local_ip=192.168.0.1 gateway_ip=192.168.0.1 remote_ip=192.0.2.1")
    }

    fn load_with(flags: &CStr) -> Plugin {
        // Beside this test, or a folder above.
        let test = std::env::current_exe().expect("this program's path");
        let folders = test.ancestors().skip(1).take(2).map(PathBuf::from);
        let name = libloading::library_filename("barenet_packetdrill");
        let path = folders.map(|f| f.join(&name)).find(|p| p.exists()).expect("the shared object");
        // SAFETY: it is ours; loading it runs nothing.
        let library = unsafe { libloading::Library::new(path) }.expect("the shared object loads");
        let mut table: Table = [std::ptr::null_mut(); 33];
        // SAFETY: the symbol has this type, and the table has room for 33 pointers.
        unsafe {
            let init = library
                .get::<unsafe extern "C" fn(*const c_char, *mut Table)>(b"packetdrill_interface_init")
                .expect("the symbol");
            init(flags.as_ptr(), &mut table);
        }
        assert!(table.iter().all(|p| !p.is_null()), "all members are there");
        // packetdrill never unloads it either: what threads leave behind is in it.
        std::mem::forget(library);
        Plugin { table }
    }

    fn inject(&self, flags: u8, seq: u32, ack: u32, len: usize) {
        let packet = segment(flags, seq, ack, len);
        let sent = call!(
            self,
            at::NETDEV_SEND,
            fn(*const c_void, usize) -> c_int,
            packet.as_ptr().cast(),
            packet.len()
        );
        assert_eq!(sent, 0);
    }

    /// The kinds of the options of the next packet.
    fn sniff_options(&self) -> Vec<u8> {
        let packet = self.sniff_whole().0;
        let mut options = &packet[40..20 + usize::from(packet[32] >> 4) * 4];
        let mut kinds = Vec::new();
        while let [kind, rest @ ..] = options {
            kinds.push(*kind);
            let len = if *kind < 2 { 1 } else { usize::from(rest[0]) };
            options = &options[len..];
        }
        kinds
    }

    /// The next packet: flags, sequence number, acknowledgment, text, time.
    fn sniff(&self) -> (u8, u32, u32, usize, i64) {
        let (buf, time) = self.sniff_whole();
        let number = |at: usize| u32::from_be_bytes(buf[at..at + 4].try_into().unwrap());
        let text = buf.len() - 20 - usize::from(buf[32] >> 4) * 4;
        (buf[33], number(24), number(28), text, time)
    }

    /// The next packet, and its time.
    fn sniff_whole(&self) -> (Vec<u8>, i64) {
        let (mut buf, mut len, mut time) = (vec![0_u8; 65_536], 65_536_usize, 0_i64);
        let result = call!(
            self,
            at::NETDEV_RECEIVE,
            fn(*mut c_void, *mut usize, *mut i64) -> c_int,
            buf.as_mut_ptr().cast(),
            &mut len,
            &mut time
        );
        assert_eq!(result, 0);
        assert!(len >= 40, "a packet");
        buf.truncate(len);
        (buf, time)
    }

    fn clock(&self) -> i64 {
        let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
        call!(
            self,
            at::GETTIMEOFDAY,
            fn(*mut libc::timeval, *mut c_void) -> c_int,
            &mut time,
            std::ptr::null_mut()
        );
        time.tv_sec * 1_000_000 + time.tv_usec
    }

    fn server(&self) -> c_int {
        let fd =
            call!(self, at::SOCKET, fn(c_int, c_int, c_int) -> c_int, libc::AF_INET, libc::SOCK_STREAM, 0);
        assert!(fd > 2);
        let mut address: libc::sockaddr_in = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: 8080_u16.to_be(),
            sin_addr: libc::in_addr { s_addr: 0 },
            sin_zero: [0; 8],
        };
        let bound =
            call!(self, at::BIND, fn(c_int, *mut libc::sockaddr_in, u32) -> c_int, fd, &mut address, 16);
        assert_eq!((bound, call!(self, at::LISTEN, fn(c_int, c_int) -> c_int, fd, 1)), (0, 0));
        fd
    }

    fn accept(&self, fd: c_int) -> c_int {
        let mut peer = [0_u8; 16];
        let mut len = 16_u32;
        let accepted = call!(
            self,
            at::ACCEPT,
            fn(c_int, *mut c_void, *mut u32) -> c_int,
            fd,
            peer.as_mut_ptr().cast(),
            &mut len
        );
        if accepted >= 0 {
            assert_eq!((&peer[4..8], len), (&[192, 0, 2, 1][..], 16), "the peer's address");
        }
        accepted
    }

    fn close(&self, fd: c_int) -> c_int {
        call!(self, at::CLOSE, fn(c_int) -> c_int, fd)
    }
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const PSH: u8 = 8;
const FIN: u8 = 1;

/// A segment from port 40,000 of 192.0.2.1 to port 8080 of 192.168.0.1, with text of zeros.
fn segment(flags: u8, seq: u32, ack: u32, len: usize) -> Vec<u8> {
    segment_from(40_000, flags, seq, ack, len, vec![script::TcpOption::Mss(1460)])
}

fn segment_from(
    port: u16,
    flags: u8,
    seq: u32,
    ack: u32,
    len: usize,
    syn: Vec<script::TcpOption>,
) -> Vec<u8> {
    let header = script::Segment {
        flags: flags.into(),
        seq,
        any_seq: false,
        len: len as u32,
        ack,
        window: Some(32_792),
        urgent: 0,
        options: Some(syn).filter(|_| flags & SYN != 0),
    };
    let payload = wire::Payload::Tcp(port, 8080, header, vec![0; len]);
    wire::IpPacket::new([192, 0, 2, 1].into(), [192, 168, 0, 1].into(), payload).emit()
}

/// Handshake, data both ways, close; time moves only when it is asked to.
#[test]
fn a_connection() {
    let plugin = Plugin::load();
    let server = plugin.server();
    call!(
        plugin,
        at::FCNTL,
        fn(c_int, c_int, i64) -> c_int,
        server,
        libc::F_SETFL,
        i64::from(libc::O_NONBLOCK)
    );
    assert_eq!(plugin.accept(server), -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EAGAIN));

    let before = plugin.clock();
    plugin.inject(SYN, 100, 0, 0);
    let (flags, iss, ack, _, time) = plugin.sniff();
    assert_eq!((flags, ack, time), (SYN | ACK, 101, before), "at once");
    plugin.inject(ACK, 101, iss + 1, 0);
    let stream = plugin.accept(server);
    assert!(stream > 2 && stream != server);
    plugin.inject(PSH | ACK, 101, iss + 1, 10);
    assert_eq!(plugin.sniff().2, 111);
    let mut buf = [1_u8; 100];
    let read =
        call!(plugin, at::READ, fn(c_int, *mut c_void, usize) -> isize, stream, buf.as_mut_ptr().cast(), 100);
    assert_eq!((read, &buf[..11]), (10, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..]));
    let written =
        call!(plugin, at::WRITE, fn(c_int, *const c_void, usize) -> isize, stream, buf.as_ptr().cast(), 50);
    assert_eq!(written, 50);
    assert_eq!(plugin.sniff().3, 50);
    // It comes again after a timeout, which takes no real time.
    let (_, seq, _, text, again) = plugin.sniff();
    assert_eq!((seq, text), (iss + 1, 50));
    assert!(again - before > 100_000);
    plugin.inject(FIN | ACK, 111, iss + 51, 0);
    assert_eq!(plugin.sniff().2, 112);
    assert_eq!(plugin.close(stream), 0);
    assert_eq!(plugin.sniff().0, FIN | ACK);
    plugin.inject(ACK, 112, iss + 52, 0);
    let start = plugin.clock();
    call!(plugin, at::USLEEP, fn(u32) -> c_int, 5_000_000);
    assert_eq!(plugin.clock() - start, 5_000_001);
    assert_eq!(plugin.close(server), 0);
    assert_eq!(plugin.close(server), -1);
    call!(plugin, at::FREE, fn() -> ());
}

/// A call of the other thread waits, and returns at the instant at which it can.
#[test]
fn a_call_that_waits() {
    let plugin = Plugin::load();
    let server = plugin.server();
    let both = Both(&plugin);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let both = both;
            let fd = both.0.accept(server);
            (fd, both.0.clock())
        });
        // The main thread goes on without waiting for the other one to wait: either order is right.
        call!(plugin, at::USLEEP, fn(u32) -> c_int, 100_000);
        plugin.inject(SYN, 100, 0, 0);
        let (_, iss, ..) = plugin.sniff();
        call!(plugin, at::USLEEP, fn(u32) -> c_int, 100_000);
        plugin.inject(ACK, 101, iss + 1, 0);
        let here = plugin.clock();
        let (fd, there) = waiter.join().expect("the other thread");
        assert!(fd > 2 && fd != server);
        assert!((here - there).abs() <= 1, "it returned {} us off", here - there);
        assert_eq!((plugin.close(fd), plugin.close(server)), (0, 0));
    });
    call!(plugin, at::FREE, fn() -> ());
}

/// What the other thread may use: packetdrill calls from two threads.
struct Both<'p>(&'p Plugin);
// SAFETY: the functions of the table may be called from any thread.
unsafe impl Send for Both<'_> {}

/// A call of the other thread that begins later: that thread waits for its time as packetdrill does, by looks at
/// the clock, while nobody else moves it.
#[test]
fn a_call_that_begins_later() {
    let plugin = Plugin::load();
    let server = plugin.server();
    let start = plugin.clock();
    let both = Both(&plugin);
    let (begins, has_begun) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let both = both;
            while let left @ 1.. = start + 50_000 - both.0.clock() {
                if left > 20 {
                    call!(both.0, at::USLEEP, fn(u32) -> c_int, left as u32 - 20);
                }
            }
            begins.send(()).expect("the main thread waits");
            both.0.accept(server)
        });
        has_begun.recv().expect("its time comes");
        assert!(plugin.clock() - start >= 50_000);
        plugin.inject(SYN, 100, 0, 0);
        let (_, iss, ..) = plugin.sniff();
        plugin.inject(ACK, 101, iss + 1, 0);
        assert!(waiter.join().expect("the other thread") > 2);
    });
    call!(plugin, at::FREE, fn() -> ());
}

/// Null where memory should be is EFAULT, as in libc, and no crash.
#[test]
fn null_pointers() {
    let plugin = Plugin::load();
    let fd = plugin.server();
    let null = std::ptr::null_mut::<c_void>();
    let fails = |result: i64| {
        let errno = std::io::Error::last_os_error().raw_os_error();
        assert_eq!((result, errno), (-1, Some(libc::EFAULT)));
    };
    fails(call!(plugin, at::READ, fn(c_int, *mut c_void, usize) -> isize, fd, null, 9) as i64);
    fails(call!(plugin, at::READV, fn(c_int, *mut c_void, c_int) -> isize, fd, null, 1) as i64);
    fails(call!(plugin, at::RECVMSG, fn(c_int, *mut c_void, c_int) -> isize, fd, null, 0) as i64);
    fails(call!(plugin, at::WRITE, fn(c_int, *mut c_void, usize) -> isize, fd, null, 9) as i64);
    fails(call!(plugin, at::WRITEV, fn(c_int, *mut c_void, c_int) -> isize, fd, null, 1) as i64);
    fails(call!(plugin, at::SENDMSG, fn(c_int, *mut c_void, c_int) -> isize, fd, null, 0) as i64);
    let piece = libc::iovec { iov_base: null, iov_len: 9 };
    fails(call!(plugin, at::WRITEV, fn(c_int, *const libc::iovec, c_int) -> isize, fd, &piece, 1) as i64);
    let (level, name) = (libc::SOL_SOCKET, libc::SO_ERROR);
    fails(
        call!(
            plugin,
            at::GETSOCKOPT,
            fn(c_int, c_int, c_int, *mut c_void, *mut c_void) -> c_int,
            fd,
            level,
            name,
            null,
            null
        )
        .into(),
    );
    fails(
        call!(
            plugin,
            at::SETSOCKOPT,
            fn(c_int, c_int, c_int, *mut c_void, u32) -> c_int,
            fd,
            level,
            libc::SO_KEEPALIVE,
            null,
            4
        )
        .into(),
    );
    fails(call!(plugin, at::POLL, fn(*mut c_void, u64, c_int) -> c_int, null, 1, 0).into());
    fails(call!(plugin, at::GETTIMEOFDAY, fn(*mut c_void, *mut c_void) -> c_int, null, null).into());
    assert_eq!(plugin.close(fd), 0);
    call!(plugin, at::FREE, fn() -> ());
}

/// Settings come by flags, and by a file that grows while the script runs.
#[test]
fn settings_of_scripts() {
    let file = std::env::temp_dir().join(format!("barenet-settings-{}", std::process::id()));
    let flags = format!("net.ipv4.tcp_timestamps=0 settings={}", file.display());
    let plugin = Plugin::load_with(&CString::new(flags).expect("a path"));
    let server = plugin.server();
    let mut next_port = 40_000;
    let mut offers_sack = || {
        next_port += 1;
        let packet = segment_from(next_port, SYN, 100, 0, 0, vec![script::TcpOption::SackOk]);
        let sent = call!(
            plugin,
            at::NETDEV_SEND,
            fn(*const c_void, usize) -> c_int,
            packet.as_ptr().cast(),
            packet.len()
        );
        assert_eq!(sent, 0);
        plugin.sniff_options().contains(&4)
    };
    assert!(offers_sack());
    std::fs::write(&file, "sysctl -w net.ipv4.tcp_sack=0\n").expect("a file");
    assert!(!offers_sack());
    std::fs::write(&file, "sysctl -w net.ipv4.tcp_sack=0\nsysctl -w net.ipv4.tcp_sack=1\n").expect("a file");
    assert!(offers_sack());
    std::fs::remove_file(&file).expect("it can go");
    assert_eq!(plugin.close(server), 0);
    call!(plugin, at::FREE, fn() -> ());
}

/// Says to this test's own process that it is to hang.
const HANG: &str = "BARENET_HANG";

/// A call on the main thread that nothing can end is an error with a message, not a hang.
#[test]
fn a_call_that_would_wait_for_ever() {
    if std::env::var_os(HANG).is_some() {
        let plugin = Plugin::load();
        plugin.accept(plugin.server());
        unreachable!("nobody connects");
    }
    let test = std::env::current_exe().expect("this program's path");
    let name = "a_call_that_would_wait_for_ever";
    let child =
        std::process::Command::new(test).args([name, "--exact", "--nocapture"]).env(HANG, "1").output();
    let child = child.expect("this program runs");
    let told = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.code(), Some(1), "{told}");
    assert!(told.contains("accept would wait for ever"), "{told}");
}
