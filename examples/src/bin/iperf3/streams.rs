//! The streams that are measured.

use alloc::vec;
use alloc::vec::Vec;
use core::task::{Context, Poll};

use barenet::time::Instant;
use barenet::{Error, TcpStream};
use barenet_boards::{print, println};

use crate::messages::{Results, StreamResult, WRITE_LEN};

/// Bytes of one read or write.
const BLOCK_LEN: usize = 64 * 1024;
/// Reads or writes on one stream before the next gets its turn.
const TURN: usize = 16;

/// All streams of a test: this end sends on all or receives on all.
pub(crate) struct Streams {
    sends: bool,
    block: Vec<u8>,
    streams: Vec<Stream>,
    started: Instant,
}

struct Stream {
    flow: TcpStream,
    bytes: u64,
    open: bool,
}

impl Streams {
    pub(crate) fn new(flows: Vec<TcpStream>, sends: bool, now: Instant) -> Streams {
        let block = vec![0; BLOCK_LEN];
        let streams = flows.into_iter().map(|flow| Stream { flow, bytes: 0, open: true }).collect();
        Streams { sends, block, streams, started: now }
    }

    /// Moves what can be moved now. An error is that of a stream; a receiver's stream may end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let mut more = false;
        for stream in self.streams.iter_mut().filter(|s| s.open) {
            more |= stream.poll(cx, self.sends, &mut self.block)?;
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    /// Sends what is missing of each last write: a server of iperf3's reads whole ones, and hears
    /// nothing else before it has one.
    pub(crate) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut done = true;
        for stream in self.streams.iter_mut().filter(|s| s.open && self.sends) {
            match stream.poll_rest(cx, &self.block) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(why)) => return Poll::Ready(Err(why)),
                Poll::Pending => done = false,
            }
        }
        if done { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Bytes of all streams.
    pub(crate) fn bytes(&self) -> u64 {
        self.streams.iter().map(|s| s.bytes).sum()
    }

    /// What was measured until now.
    pub(crate) fn results(&self, now: Instant) -> Results {
        let end_time = now.since(self.started).micros() as f32 / 1e6;
        let streams = self.streams.iter().zip(1..).map(|(stream, n)| StreamResult {
            id: if n == 1 { 1 } else { n + 1 },
            bytes: stream.bytes,
            retransmits: if self.sends { stream.retransmits() } else { -1.0 },
            end_time,
            ..StreamResult::default()
        });
        let sender_has_retransmits = if self.sends { 1.0 } else { -1.0 };
        Results { streams: streams.collect(), sender_has_retransmits, ..Results::default() }
    }
}

impl Stream {
    /// True: there may be more.
    fn poll(&mut self, cx: &mut Context<'_>, sends: bool, block: &mut [u8]) -> Result<bool, Error> {
        for _ in 0..TURN {
            let moved = match sends {
                true => self.flow.poll_write(cx, block),
                false => self.flow.poll_read(cx, block),
            };
            match moved {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(0)) => {
                    self.open = false;
                    return Ok(false);
                }
                Poll::Ready(moved) => self.bytes += moved? as u64,
            }
        }
        Ok(true)
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>, block: &[u8]) -> Poll<Result<(), Error>> {
        loop {
            let rest = self.bytes.next_multiple_of(WRITE_LEN.into()) - self.bytes;
            if rest == 0 {
                return Poll::Ready(Ok(()));
            }
            let len = rest.min(block.len() as u64) as usize;
            match self.flow.poll_write(cx, &block[..len]) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(written) => self.bytes += written? as u64,
            }
        }
    }

    /// Segments that were sent more than once.
    fn retransmits(&self) -> f64 {
        self.flow.info().map_or(-1.0, |info| info.segments_retransmitted.into())
    }
}

/// Says what both ends measured.
pub(crate) fn show(ours: &Results, theirs: &Results) {
    let we_sent = ours.sender_has_retransmits > 0.0;
    line(if we_sent { "sent" } else { "received" }, ours);
    line(if we_sent { "the other end received" } else { "the other end sent" }, theirs);
}

fn line(role: &str, results: &Results) {
    let bytes: u64 = results.streams.iter().map(|s| s.bytes).sum();
    let again: f64 = results.streams.iter().map(|s| s.retransmits).sum();
    let seconds = results.streams.iter().map(|s| s.end_time - s.start_time).fold(0.001, f32::max);
    let mbit = (bytes * 8) as f32 / seconds / 1e6;
    print!("{role} {} KiB in {seconds:.3} s: {mbit:.0} Mbit/s", bytes / 1024);
    match (0.0..1e15).contains(&again) {
        true => println!(", {again} segments sent again"),
        false => println!(),
    }
}
