//! The kernel at an end of the path: a TAP in a namespace of its own, and threads with ordinary sockets.

use super::ends::{Host, PORT, Shared};
use super::run::{Job, SLOW_PAUSE, SLOW_READ, Who};
use barenet::device::Mac;
use barenet_drivers::tap::{self, Tap, namespace};
use barenet_tests::peers::smol::{v4, v6};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// How much a program reads or writes at once.
const CHUNK: usize = 1 << 16;

/// Least, first and largest receive buffer: so large that no sender is held up by how it would grow; and that of
/// every Linux, for a reader that is slow.
const RMEM_LARGE: &str = "4096 134217728 268435456";
const RMEM_USUAL: &str = "4096 131072 6291456";
const SETTINGS: [(&str, &str); 3] = [
    ("tcp_wmem", "4096 16384 134217728"),
    // Each connection is like the first.
    ("tcp_no_metrics_save", "1"),
    // A connection that starts with BBR would keep its pacing; senders choose for themselves.
    ("tcp_congestion_control", "reno"),
];

/// Starts it: its end of the path. Its programs run until the process ends.
pub(super) fn start(host: Host, who: Who, shared: &Arc<Shared>) -> Result<Tap, String> {
    let (send, tap) = channel();
    let shared = shared.clone();
    thread::spawn(move || {
        let opened = open(&host, shared.run.cell.job).and_then(|tap| {
            // Before anybody connects.
            let listener = match host.sends {
                None => Some(TcpListener::bind((shared.to().ip(), PORT)).map_err(|e| e.to_string())?),
                Some(_) => None,
            };
            Ok((tap, listener))
        });
        match opened {
            Err(why) => drop(send.send(Err(why))),
            Ok((tap, listener)) => {
                let _ = send.send(Ok(tap));
                match (host.sends, listener) {
                    (Some((_, flows)), _) => senders(flows, who, &shared),
                    (None, Some(listener)) => receivers(&listener, &shared),
                    (None, None) => {}
                }
            }
        }
    });
    tap.recv().map_err(|_| "the kernel's end has panicked".to_owned())?
}

fn open(host: &Host, job: Job) -> Result<Tap, String> {
    let error = |e: tap::Error| e.to_string();
    namespace::enter().map_err(error)?;
    let rmem = if job == Job::Slow { RMEM_USUAL } else { RMEM_LARGE };
    for (name, value) in SETTINGS.into_iter().chain([("tcp_rmem", rmem)]) {
        let path = format!("/proc/sys/net/ipv4/{name}");
        std::fs::write(&path, value).map_err(|e| format!("{path}: {e}"))?;
    }
    let options = tap::Options::new().name("tap0").plain();
    // The address of who is at this end of the TAP, where nobody is.
    let tap = Tap::open(Mac([2, 0, 0, 0, 1, host.number]), options).map_err(error)?;
    let addresses = [(IpAddr::from(v4(host.number)), 24), (v6(host.number).into(), 64)];
    tap::configure(tap.name(), &addresses).map_err(error)?;
    tap::settle(&addresses).map_err(error)?;
    Ok(tap)
}

/// Starts programs that send, in the namespace of this thread.
fn senders(flows: usize, who: Who, shared: &Arc<Shared>) {
    for _ in 0..flows {
        let shared = shared.clone();
        thread::spawn(move || {
            while !shared.is_on() {
                thread::sleep(Duration::from_micros(200));
            }
            let sent = match shared.run.cell.job {
                Job::Transfer(bytes) => transfers(bytes, who, &shared),
                Job::Bulk | Job::Slow => bulk(who, &shared),
            };
            if let Err(why) = sent {
                shared.fail(format!("a sender of the kernel: {why}"));
            }
        });
    }
}

fn connect(who: Who, shared: &Shared) -> std::io::Result<TcpStream> {
    let stream = loop {
        match TcpStream::connect(shared.to()) {
            // Ours may have no address yet.
            Err(e) if e.kind() == ErrorKind::HostUnreachable => thread::sleep(Duration::from_millis(50)),
            other => break other?,
        }
    };
    let congestion = who.of_kernel().unwrap_or("cubic");
    rustix::net::sockopt::set_tcp_congestion(&stream, congestion)?;
    Ok(stream)
}

fn bulk(who: Who, shared: &Shared) -> std::io::Result<()> {
    let (mut stream, chunk) = (connect(who, shared)?, vec![0; CHUNK]);
    loop {
        stream.write_all(&chunk)?;
    }
}

fn transfers(bytes: u64, who: Who, shared: &Shared) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let start = Instant::now();
        let mut stream = connect(who, shared)?;
        let mut left = bytes;
        while left > 0 {
            let len = (CHUNK as u64).min(left) as usize;
            stream.write_all(&chunk[..len])?;
            left -= len as u64;
        }
        stream.shutdown(Shutdown::Write)?;
        if stream.read(&mut chunk)? > 0 {
            return Err(std::io::Error::other("the receiver sends text"));
        }
        shared.transferred(start.elapsed());
    }
}

fn receivers(listener: &TcpListener, shared: &Arc<Shared>) {
    let slow = shared.run.cell.job == Job::Slow;
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let Ok(from) = stream.peer_addr() else { continue };
        let bytes = shared.flow(from.ip());
        thread::spawn(move || {
            let mut chunk = vec![0; if slow { SLOW_READ } else { CHUNK }];
            while let Ok(n @ 1..) = stream.read(&mut chunk) {
                bytes.fetch_add(n as u64, Relaxed);
                if slow {
                    thread::sleep(SLOW_PAUSE);
                }
            }
        });
    }
}
