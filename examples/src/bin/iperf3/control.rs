//! The control connection.

use alloc::vec;
use core::task::{Context, Poll};

use barenet::time::Duration;
use barenet::{Error, Net, TcpStream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::messages::JSON_MAX;

/// How long the other end may take for the next step.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection on which states and texts go to and fro.
pub(crate) struct Control(TcpStream);

impl Control {
    pub(crate) fn new(mut flow: TcpStream) -> Result<Control, Error> {
        flow.set_read_timeout(Some(PATIENCE));
        flow.set_nodelay(true)?;
        Ok(Control(flow))
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_all(bytes)
    }

    pub(crate) fn hear<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The next state, if it has come.
    pub(crate) fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<Result<u8, Error>> {
        let mut state = [0];
        self.0.poll_read(cx, &mut state).map(|read| match read? {
            0 => Err(Error::UnexpectedEof),
            _ => Ok(state[0]),
        })
    }

    /// A text, after its length in four bytes.
    pub(crate) fn say_json(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let mut message = vec![0; 4 + JSON_MAX];
        let len = serde_json_core::to_slice(value, &mut message[4..]);
        let len = len.map_err(|_| Error::InvalidInput("results that are too long"))?;
        message[..4].copy_from_slice(&(len as u32).to_be_bytes());
        // In one piece: iperf3 does not wait for the second.
        self.say(&message[..4 + len])
    }

    pub(crate) fn hear_json<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let len = u32::from_be_bytes(self.hear()?) as usize;
        if len > JSON_MAX {
            return Err(Error::InvalidInput("the other end's JSON is too long"));
        }
        let mut text = vec![0; len];
        self.0.read_exact(&mut text)?;
        let value = serde_json_core::from_slice(&text);
        value.map(|(value, _)| value).map_err(|_| Error::InvalidInput("the other end's JSON is malformed"))
    }
}

/// Calls `poll` until it is ready, or `TimedOut` after `limit`.
pub(crate) fn within<R>(
    net: &Net,
    limit: Duration,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<R, Error>>,
) -> Result<R, Error> {
    let mut result = Err(Error::TimedOut);
    let deadline = net.now() + limit;
    net.waiter().block_on(net, Some(deadline), &mut |cx| match poll(cx) {
        Poll::Ready(ready) => {
            result = ready;
            true
        }
        Poll::Pending => false,
    });
    result
}
