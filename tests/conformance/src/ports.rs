//! The ports that the peer serves, and what it does there.

/// Nobody listens.
pub const CLOSED: u16 = 6000;
/// Reads a byte and resets the connection.
pub const RESET: u16 = 6001;
/// Says `bye` and closes.
pub const BYE: u16 = 6002;
/// Waits for a byte, and closes without having read it: by a reset (RFC 1122 §4.2.2.13).
pub const UNREAD: u16 = 6003;
/// Reads to the end of the stream, then says how many bytes it was.
pub const COUNT: u16 = 6004;
/// Closes its side at once, and reads to the end of ours.
pub const HALF: u16 = 6005;
/// Says how many bytes the last connection of [`HALF`] had, once it has ended.
pub const TOLD: u16 = 6006;
/// Neither reads nor writes.
pub const SILENT: u16 = 6007;
/// Reads a line `PORT N`, connects N times at once to that port of ours, and reads each connection to its end; then says
/// how many were told `served`.
pub const CALL: u16 = 6008;
/// Sends [`SENT`] bytes, in pieces: each is its place, modulo 251.
pub const SOURCE: u16 = 6009;
/// UDP: sends back what came.
pub const ECHO: u16 = 6010;
/// UDP: answers with a hundred bytes, then with `end`.
pub const LONG: u16 = 6011;

/// Bytes that [`SOURCE`] sends.
pub const SENT: usize = 300_000;
