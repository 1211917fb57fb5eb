//! Several datagrams in one call: one lock, one turn of the clock and one wait for all of them.

use core::task::{Context, Poll, Waker};

use super::{UdpSocket, pending};
use crate::error::Error;
use crate::stack::{Devices, Stack};
use crate::time::Instant;
use crate::udp::{Outgoing, RecvSlot};

impl UdpSocket {
    /// Waits for a datagram, and takes all that are there, at most one for each slot, the oldest first (`recvmmsg`). Returns how
    /// many they are; the slots behind them are empty. An error that ICMP told ends a batch, and is what the next
    /// call gives.
    ///
    /// ```no_run
    /// # fn example(socket: &barenet::UdpSocket) -> Result<(), barenet::Error> {
    /// use barenet::udp::RecvSlot;
    /// let mut memory = [[0; 1500]; 8];
    /// let mut slots = memory.each_mut().map(|buf| RecvSlot::new(buf));
    /// let count = socket.recv_batch(&mut slots)?;
    /// for slot in &slots[..count] {
    ///     let _ = (slot.data(), slot.received.map(|received| received.from));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// Errors as for [`recv_datagram`](UdpSocket::recv_datagram); [`Error::InvalidInput`] without a slot.
    pub fn recv_batch(&self, slots: &mut [RecvSlot<'_>]) -> Result<usize, Error> {
        self.net.wait_for(self.read_timeout, |cx| self.poll_recv_batch(cx, slots))
    }

    /// [`recv_batch`](UdpSocket::recv_batch) without waiting: [`Error::WouldBlock`] if there is no datagram.
    pub fn try_recv_batch(&self, slots: &mut [RecvSlot<'_>]) -> Result<usize, Error> {
        self.net.attempt(|stack, _| self.take_batch(stack, slots, None))
    }

    /// [`recv_batch`](UdpSocket::recv_batch) in poll form.
    pub fn poll_recv_batch(
        &self,
        cx: &mut Context<'_>,
        slots: &mut [RecvSlot<'_>],
    ) -> Poll<Result<usize, Error>> {
        self.received(self.net.call(|stack, _| self.take_batch(stack, slots, Some(cx.waker()))))
    }

    /// [`recv_batch`](UdpSocket::recv_batch) for an executor. Dropped before it is ready, it has taken nothing.
    pub async fn recv_batch_async(&self, slots: &mut [RecvSlot<'_>]) -> Result<usize, Error> {
        self.net.wait_async(self.read_timeout, |cx| self.poll_recv_batch(cx, slots)).await
    }

    fn take_batch(
        &self,
        stack: &mut Stack<'static>,
        slots: &mut [RecvSlot<'_>],
        waker: Option<&Waker>,
    ) -> Result<usize, Error> {
        slots.iter_mut().for_each(|slot| slot.received = None);
        let Some((first, rest)) = slots.split_first_mut() else {
            return Err(Error::InvalidInput("a batch without a slot"));
        };
        first.received = Some(stack.datagram_receive(self.handle, first.buf, false, waker)?);
        let mut count = 1;
        for slot in rest {
            if !stack.datagram_has_next(self.handle)? {
                break;
            }
            slot.received = Some(stack.datagram_receive(self.handle, slot.buf, false, None)?);
            count += 1;
        }
        Ok(count)
    }

    /// Sends datagrams in their order, and returns how many were sent (`sendmmsg`): fewer than there are where one can't be; what is
    /// wrong with that one is what a call that begins with it gives. Waits for room for the first one.
    ///
    /// ```no_run
    /// # fn example(socket: &barenet::UdpSocket, to: core::net::SocketAddr) -> Result<(), barenet::Error> {
    /// let sent = socket.send_batch(&[(b"one", Some(to)), (b"two", Some(to))])?;
    /// # Ok(()) }
    /// ```
    ///
    /// Errors as for [`send_to`](UdpSocket::send_to), of the first one.
    pub fn send_batch(&self, datagrams: &[Outgoing<'_>]) -> Result<usize, Error> {
        self.net.wait_for(self.write_timeout, |cx| self.poll_send_batch(cx, datagrams))
    }

    /// [`send_batch`](UdpSocket::send_batch) without waiting: [`Error::WouldBlock`] if there is no room for the first one.
    pub fn try_send_batch(&self, datagrams: &[Outgoing<'_>]) -> Result<usize, Error> {
        let give = |stack: &mut Stack<'static>, devices: &mut dyn Devices, now| {
            self.give_batch(datagrams, None, (stack, devices), now)
        };
        self.net.attempt_sending(give)
    }

    /// [`send_batch`](UdpSocket::send_batch) in poll form.
    pub fn poll_send_batch(
        &self,
        cx: &mut Context<'_>,
        datagrams: &[Outgoing<'_>],
    ) -> Poll<Result<usize, Error>> {
        let waker = Some(cx.waker());
        let give = |stack: &mut Stack<'static>, devices: &mut dyn Devices, now| {
            self.give_batch(datagrams, waker, (stack, devices), now)
        };
        pending(self.net.call_sending(give))
    }

    /// [`send_batch`](UdpSocket::send_batch) for an executor. Dropped before it is ready, it has sent nothing.
    pub async fn send_batch_async(&self, datagrams: &[Outgoing<'_>]) -> Result<usize, Error> {
        self.net.wait_async(self.write_timeout, |cx| self.poll_send_batch(cx, datagrams)).await
    }

    fn give_batch(
        &self,
        datagrams: &[Outgoing<'_>],
        waker: Option<&Waker>,
        (stack, devices): (&mut Stack<'static>, &mut dyn Devices),
        now: Instant,
    ) -> Result<usize, Error> {
        let mut count = 0;
        while let Some((data, to)) = datagrams.get(count) {
            #[cfg(feature = "uso")]
            {
                let joined = stack.datagram_send_joined(self.handle, &datagrams[count..], devices, now);
                if joined > 0 {
                    count += joined;
                    continue;
                }
            }
            let waker = waker.filter(|_| count == 0);
            match self.transmit(&[data], *to, waker, (&mut *stack, &mut *devices), now) {
                Err(error) if count == 0 => return Err(error),
                Err(_) => break,
                Ok(_) => count += 1,
            }
        }
        Ok(count)
    }
}
