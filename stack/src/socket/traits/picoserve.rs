//! The traits of `picoserve`: its servers run on our streams, with the network as their timer.

use core::future::poll_fn;

use ::picoserve::io::{Socket, Write};
use ::picoserve::mem::{BorrowedBuffer, BorrowedCursor};
use ::picoserve::time::{Duration, Timer};
use ::picoserve::{Error as Failure, Timeouts};

use crate::error::Error;
use crate::net::Net;
use crate::socket::{ReadHalf, Shutdown, TcpStream, WriteHalf};

/// The runtime of `picoserve`'s traits on our types: its servers infer it.
pub struct PicoserveRuntime;

/// Bytes of a response that are formatted at a time.
const PART_LEN: usize = 512;

impl Timer<PicoserveRuntime> for Net {
    fn delay(&self, duration: Duration) -> impl Future<Output = ()> {
        self.sleep(crate::time::Duration::from_millis(duration.as_millis()))
    }
}

impl Write for WriteHalf<'_> {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> R, R>(&mut self, f: F) -> Result<R, Error> {
        let mut memory = [0; PART_LEN];
        let mut part = BorrowedBuffer::new(&mut memory);
        let result = f(part.unfilled());
        self.write_all_async(part.filled()).await?;
        Ok(result)
    }
}

impl Socket<PicoserveRuntime> for TcpStream {
    type Error = Error;
    type ReadHalf<'a> = ReadHalf<'a>;
    type WriteHalf<'a> = WriteHalf<'a>;

    fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        TcpStream::split(self)
    }

    async fn abort<T: Timer<PicoserveRuntime>>(self, _: &Timeouts, _: &T) -> Result<(), Failure<Error>> {
        TcpStream::abort(&self);
        Ok(())
    }

    /// Sends a FIN, drops what the client still says until it closes too, and waits until it has everything.
    async fn shutdown<T: Timer<PicoserveRuntime>>(
        mut self,
        timeouts: &Timeouts,
        timer: &T,
    ) -> Result<(), Failure<Error>> {
        TcpStream::shutdown(&mut self, Shutdown::Write).map_err(Failure::Write)?;
        let drain = async {
            let mut dropped = [0; 128];
            while self.read_async(&mut dropped).await? > 0 {}
            Ok(())
        };
        let drained = timer.run_with_timeout(timeouts.read_request, drain).await;
        drained.map_err(Failure::ReadTimeout)?.map_err(Failure::Read)?;
        let acknowledged = poll_fn(|cx| self.poll_acknowledged(cx));
        let acknowledged = timer.run_with_timeout(timeouts.write, acknowledged).await;
        acknowledged.map_err(Failure::WriteTimeout)?.map_err(Failure::Write)
    }
}
