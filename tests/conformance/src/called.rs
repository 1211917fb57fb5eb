//! Callbacks, which a loop calls until the one has come that is waited for.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::net::{IpAddr, SocketAddr};

use barenet::callbacks::{Loop, Read, Tcp, Timer, Udp};
use barenet::time::Duration;
use barenet::{Error, Net};

use crate::way::{Told, Way};

#[derive(Clone)]
pub(crate) struct Called(Loop);

/// What a callback says, which ends the loop.
struct Answer<T>(Loop, Rc<RefCell<Option<Result<T, Error>>>>);

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Answer(self.0.clone(), self.1.clone())
    }
}

impl<T: 'static> Answer<T> {
    fn say(&self, answer: Result<T, Error>) {
        self.1.borrow_mut().get_or_insert(answer);
        self.0.stop();
    }

    /// Waits for it. What is closed has no callbacks any more.
    fn wait(self, limit: Option<Duration>) -> Result<T, Error> {
        let (timer, late) = (Timer::new(&self.0), self.clone());
        if let Some(limit) = limit {
            timer.start(limit, move |_| late.say(Err(Error::TimedOut)));
        }
        while self.1.borrow().is_none() {
            if !self.0.run() {
                self.say(Err(Error::ClosedLocally));
            }
        }
        timer.stop();
        // What was said last has stopped a loop that may not have run: it would not run next time.
        self.0.run_ready();
        self.1.take().expect("it was said")
    }
}

pub(crate) struct Stream {
    tcp: Tcp,
    /// What came and was not asked for yet.
    left: Rc<RefCell<Vec<u8>>>,
}

pub(crate) struct Listener {
    tcp: Tcp,
    /// Who waits for a connection.
    waits: Rc<Cell<Option<Answer<()>>>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.tcp.close(|| {});
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tcp.close(|| {});
    }
}

impl Called {
    pub(crate) fn new(net: &Net) -> Self {
        Called(Loop::new(net))
    }

    fn answer<T>(&self) -> Answer<T> {
        Answer(self.0.clone(), Rc::default())
    }

    fn stream(tcp: Tcp) -> Stream {
        Stream { tcp, left: Rc::default() }
    }
}

impl Way for Called {
    type Stream = Stream;
    type Listener = Listener;
    type Socket = Udp;

    fn connect(&self, to: SocketAddr, limit: Option<Duration>) -> Result<Stream, Error> {
        let (stream, answer) = (Self::stream(Tcp::new(&self.0)), self.answer());
        let told = answer.clone();
        stream.tcp.connect(to, move |_, connected| told.say(connected));
        answer.wait(limit).map(|()| stream)
    }

    fn listen(&self, local: (IpAddr, u16), backlog: u16) -> Result<(Listener, u16), Error> {
        let (tcp, waits) = (Tcp::new(&self.0), Rc::new(Cell::new(None::<Answer<()>>)));
        let told = waits.clone();
        tcp.bind(local)?;
        tcp.listen(backlog, move |_, result| {
            if let Some(answer) = told.take() {
                answer.say(result);
            }
        })?;
        let port = tcp.local_addr()?.port();
        Ok((Listener { tcp, waits }, port))
    }

    fn accept(&self, listener: &Listener, limit: Option<Duration>) -> Result<Stream, Error> {
        let client = Tcp::new(&self.0);
        // One that was offered, and that nobody took, is not told again.
        if let Err(error) = listener.tcp.accept(&client) {
            if error != Error::WouldBlock {
                return Err(error);
            }
            let answer = self.answer();
            listener.waits.set(Some(answer.clone()));
            let result = answer.wait(limit);
            listener.waits.take();
            result?;
            listener.tcp.accept(&client)?;
        }
        Ok(Self::stream(client))
    }

    fn close(&self, listener: &Listener) {
        listener.tcp.close(|| {});
    }

    fn read(&self, stream: &mut Stream, buf: &mut [u8], limit: Option<Duration>) -> Result<usize, Error> {
        if buf.is_empty() {
            return Ok(0);
        }
        if stream.left.borrow().is_empty() {
            let (answer, left) = (self.answer(), stream.left.clone());
            let told = answer.clone();
            stream.tcp.read_start(move |tcp, read| {
                tcp.read_stop();
                match read {
                    Read::Data(data) => {
                        left.borrow_mut().extend_from_slice(data);
                        told.say(Ok(data.len()));
                    }
                    Read::End => told.say(Ok(0)),
                    Read::Failed(error) => told.say(Err(error)),
                }
            });
            let result = answer.wait(limit);
            stream.tcp.read_stop();
            if result? == 0 {
                return Ok(0);
            }
        }
        let mut left = stream.left.borrow_mut();
        let n = left.len().min(buf.len());
        buf[..n].copy_from_slice(&left[..n]);
        left.drain(..n);
        Ok(n)
    }

    /// The handle takes all. What it had no room for in time waits in it.
    fn write(&self, stream: &mut Stream, data: &[u8], limit: Option<Duration>) -> Result<usize, Error> {
        let answer = self.answer();
        let told = answer.clone();
        stream.tcp.write(&[data], move |_, written, n| told.say(written.map(|()| n)));
        answer.wait(limit)
    }

    fn finish(&self, stream: &mut Stream) -> Result<(), Error> {
        let answer = self.answer();
        let told = answer.clone();
        stream.tcp.shutdown(move |_, done| told.say(done));
        answer.wait(None)
    }

    fn abort(&self, stream: &mut Stream) {
        stream.tcp.close_reset(|| {});
    }

    fn bind(&self, local: (IpAddr, u16)) -> Result<Udp, Error> {
        let udp = Udp::new(&self.0);
        udp.bind(local).map(|()| udp)
    }

    fn send_to(&self, socket: &Udp, data: &[u8], to: SocketAddr) -> Result<(), Error> {
        let answer = self.answer();
        let told = answer.clone();
        socket.send(&[data], Some(to), move |_, sent| told.say(sent));
        answer.wait(None)
    }

    fn recv_from(&self, socket: &Udp, buf: &mut [u8], limit: Option<Duration>) -> Result<Told, Error> {
        let (answer, data) = (self.answer(), Rc::new(RefCell::new(Vec::new())));
        let (told, copy) = (answer.clone(), data.clone());
        socket.recv_start(vec![0; buf.len()], move |udp, received| {
            udp.recv_stop();
            told.say(received.map(|datagram| {
                copy.borrow_mut().extend_from_slice(datagram.data);
                Told { len: datagram.data.len(), from: datagram.from, is_truncated: datagram.is_partial }
            }));
        })?;
        let result = answer.wait(limit);
        socket.recv_stop();
        buf[..data.borrow().len()].copy_from_slice(&data.borrow());
        result
    }
}
