//! A DHCP server for the one program at the other end of a TAP (RFC 2131): it gives the same address to whoever asks.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;

/// How long its leases last, in seconds.
const LEASE: u32 = 86_400;
/// Bytes before the options, the magic cookie included.
const FIXED_LEN: usize = 240;
/// The types of messages (RFC 2132 §9.6).
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;

/// Serves in a thread, in the caller's network namespace, until the process ends: `server` is this end's address with a
/// prefix of 24 bits, and router; `client` is the one that is given.
pub fn serve(server: Ipv4Addr, client: Ipv4Addr) -> Result<thread::JoinHandle<()>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67)).context("can't serve DHCP")?;
    socket.set_broadcast(true).context("can't serve DHCP")?;
    let [a, b, c, _] = server.octets();
    // The broadcast of the network, which has a route.
    let to = (Ipv4Addr::new(a, b, c, 255), 68);
    Ok(thread::spawn(move || {
        let mut buf = [0; 1500];
        while let Ok((len, _)) = socket.recv_from(&mut buf) {
            if let Some(answer) = answer(&buf[..len], server, client) {
                // A lost answer is asked for again.
                let _ = socket.send_to(&answer, to);
            }
        }
    }))
}

fn answer(message: &[u8], server: Ipv4Addr, client: Ipv4Addr) -> Option<Vec<u8>> {
    let kind = match option(message.get(FIXED_LEN..)?, 53)? {
        [DISCOVER] => OFFER,
        [REQUEST] => ACK,
        _ => return None,
    };
    let mut bytes = message[..FIXED_LEN].to_vec();
    bytes[0] = 2;
    bytes[16..20].copy_from_slice(&client.octets());
    let server = server.octets();
    for (code, value) in
        [(53, &[kind][..]), (54, &server), (51, &LEASE.to_be_bytes()), (1, &[255, 255, 255, 0]), (3, &server)]
    {
        bytes.extend([code, value.len() as u8]);
        bytes.extend(value);
    }
    bytes.push(255);
    bytes.resize(bytes.len().max(300), 0);
    Some(bytes)
}

/// The value of an option.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [code, len, rest @ ..] if *code != 255 => {
                let (value, rest) = rest.split_at_checked(usize::from(*len))?;
                if *code == wanted {
                    return Some(value);
                }
                options = rest;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discover_and_request_are_answered_and_nothing_else() {
        let (server, client) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let message = |kind: u8| [&[1; FIXED_LEN][..], &[0, 53, 1, kind, 255]].concat();
        for (asked, said) in [(DISCOVER, OFFER), (REQUEST, ACK)] {
            let answer = answer(&message(asked), server, client).unwrap();
            assert_eq!((answer[0], &answer[16..20]), (2, &[10, 0, 0, 2][..]));
            assert_eq!(option(&answer[FIXED_LEN..], 53), Some(&[said][..]));
            assert_eq!(option(&answer[FIXED_LEN..], 3), Some(&[10, 0, 0, 1][..]));
        }
        assert_eq!(answer(&message(7), server, client), None);
        assert_eq!(answer(&[1; 100], server, client), None);
        assert_eq!(answer(&[&[1; FIXED_LEN][..], &[53, 9]].concat(), server, client), None);
    }
}
