//! `embedded-tls`: a page over TLS 1.3. Arguments: the server's ADDRESS:PORT, and its name.
//!
//! The server's certificate is not verified here: that takes the feature `rustpki` or `webpki` of the crate, a root and
//! the time of day.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec;

use barenet::{Error, Net, TcpStream};
use barenet_boards::{args, println};
use embedded_io_async::Write;
use embedded_tls::{Aes128GcmSha256, TlsConfig, TlsConnection, TlsContext, TlsError, UnsecureProvider};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Bytes of the longest record (RFC 8446 §5.2), with its header.
const RECORD_LEN: usize = 16_640;

#[barenet_boards::main]
fn main(net: Net) -> Result<(), Error> {
    let [server, name] = args() else { return Err(Error::InvalidInput("ADDRESS:PORT NAME")) };
    let seed = barenet_boards::seed().ok_or(Error::InvalidInput("the machine has no entropy for keys"))?;
    let stream = TcpStream::connect(&net, *server)?;
    match net.block_on(fetch(stream, name, ChaCha20Rng::from_seed(seed))) {
        Ok(len) => println!("{len} bytes over TLS"),
        Err(why) => {
            println!("TLS: {why:?}");
            return Err(Error::ConnectionAborted);
        }
    }
    Ok(())
}

async fn fetch(stream: TcpStream, name: &str, rng: ChaCha20Rng) -> Result<usize, TlsError> {
    let (mut reading, mut writing) = (vec![0; RECORD_LEN], vec![0; RECORD_LEN]);
    let config = TlsConfig::new().with_server_name(name);
    let mut tls = TlsConnection::new(stream, &mut reading, &mut writing);
    tls.open(TlsContext::new(&config, UnsecureProvider::new::<Aes128GcmSha256>(rng))).await?;
    tls.write_all(b"GET / HTTP/1.0\r\nHost: it\r\n\r\n").await?;
    tls.flush().await?;
    let (mut len, mut part) = (0, [0; 1024]);
    loop {
        match tls.read(&mut part).await {
            // Some servers close TCP without a word of TLS's own.
            Ok(0) | Err(TlsError::ConnectionClosed | TlsError::IoError) if len > 0 => return Ok(len),
            Ok(n) => len += n,
            Err(why) => return Err(why),
        }
    }
}
