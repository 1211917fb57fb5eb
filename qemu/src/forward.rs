//! Ports of this host that lead to ports of the guest.

use anyhow::{Context, Result, bail};
use std::fmt;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::str::FromStr;

/// A transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// A port of the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Port {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub number: u16,
}

impl Port {
    /// The port `number`.
    pub const fn new(protocol: Protocol, number: u16) -> Self {
        Port { protocol, number }
    }

    /// How a user reaches the port when it is found at `host` under `number`.
    pub fn reach(self, host: &str, number: u16) -> String {
        match (self.protocol, self.number, number) {
            (Protocol::Tcp, 80, 80) => format!("http://{host}/"),
            (Protocol::Tcp, 80, _) => format!("http://{host}:{number}/"),
            (Protocol::Tcp, ..) => format!("nc {host} {number}"),
            (Protocol::Udp, ..) => format!("nc -u {host} {number}"),
        }
    }

    /// The host's port that the guest's is found under if nobody asks for another: ports that
    /// take privilege move up by 8000.
    fn default_host(self) -> u16 {
        match self.number {
            1024.. => self.number,
            low => low + 8000,
        }
    }
}

/// One port of this host that leads to one of the guest: `HOST:GUEST`, or `HOST:GUEST/udp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forward {
    /// The port of this host, on 127.0.0.1.
    pub host: u16,
    /// The port of the guest.
    pub guest: Port,
}

impl FromStr for Forward {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |s: &str| s.parse::<u16>().ok().filter(|&n| n != 0);
        let (ports, protocol) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.strip_suffix("/tcp").unwrap_or(text), Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some((_, other)) => bail!("unknown protocol `{other}`: use tcp or udp"),
        };
        let parts = ports.split_once(':');
        let numbers = parts.and_then(|(host, guest)| Some((number(host)?, number(guest)?)));
        let Some((host, guest)) = numbers else {
            bail!("`{text}` is not HOST:GUEST or HOST:GUEST/udp with ports from 1 to 65535");
        };
        Ok(Forward { host, guest: Port::new(protocol, guest) })
    }
}

/// A forward and how its host port came about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chosen {
    /// The forward.
    pub forward: Forward,
    /// The default port, if that was taken and another was chosen.
    pub instead_of: Option<u16>,
}

/// Settles the host's ports: those that the user `wanted` must be free; an example's own take
/// another port when theirs is in use.
///
/// # Errors
///
/// When a wanted port is taken.
pub fn choose(wanted: &[Forward], own: impl Iterator<Item = Port>) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    for &forward in wanted {
        free(forward.guest.protocol, forward.host).with_context(|| {
            format!("can't forward port {} of this host: choose another with --forward", forward.host)
        })?;
        let instead_of = None;
        chosen.push(Chosen { forward, instead_of });
    }
    for guest in own.filter(|port| !wanted.iter().any(|f| f.guest == *port)) {
        let host = guest.default_host();
        let taken = |chosen: &[Chosen], host| {
            chosen.iter().any(|c| c.forward.host == host && c.forward.guest.protocol == guest.protocol)
        };
        chosen.push(match free(guest.protocol, host) {
            Ok(_) if !taken(&chosen, host) => Chosen { forward: Forward { host, guest }, instead_of: None },
            _ => {
                Chosen { forward: Forward { host: free(guest.protocol, 0)?, guest }, instead_of: Some(host) }
            }
        });
    }
    Ok(chosen)
}

/// The number of a free port of this host: `number`, or any for 0.
fn free(protocol: Protocol, number: u16) -> std::io::Result<u16> {
    let address = (Ipv4Addr::LOCALHOST, number);
    Ok(match protocol {
        Protocol::Tcp => TcpListener::bind(address)?.local_addr()?.port(),
        Protocol::Udp => UdpSocket::bind(address)?.local_addr()?.port(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_are_read() {
        let forward = |host, protocol, guest| Forward { host, guest: Port::new(protocol, guest) };
        let read = |text: &str| text.parse::<Forward>();
        assert_eq!(read("8080:80").unwrap(), forward(8080, Protocol::Tcp, 80));
        assert_eq!(read("1:2/tcp").unwrap(), forward(1, Protocol::Tcp, 2));
        assert_eq!(read("7:7000/udp").unwrap(), forward(7, Protocol::Udp, 7000));
        for bad in ["", "80", "80:", ":80", "0:80", "80:0", "80:65536", "a:b", "1:2:3", "-1:2"] {
            let why = read(bad).unwrap_err().to_string();
            assert!(why.starts_with(&format!("`{bad}` is not HOST:GUEST")), "{why}");
        }
        assert!(read("1:2/sctp").unwrap_err().to_string().contains("`sctp`"));
    }

    #[test]
    fn a_port_in_use_is_replaced_or_refused() {
        let user = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = user.local_addr().unwrap().port();
        let guest = Port::new(Protocol::Tcp, taken);
        let chosen = choose(&[], [guest].into_iter()).unwrap();
        assert_eq!(chosen[0].instead_of, Some(taken));
        assert_ne!(chosen[0].forward.host, taken);
        let wanted = Forward { host: taken, guest };
        let why = format!("{:#}", choose(&[wanted], [].into_iter()).unwrap_err());
        assert!(why.contains(&taken.to_string()) && why.contains("in use"), "{why}");
    }

    #[test]
    fn a_wanted_forward_stands_for_the_examples_own() {
        let port = free(Protocol::Tcp, 0).unwrap();
        let guest = Port::new(Protocol::Tcp, 80);
        let wanted = Forward { host: port, guest };
        let chosen = choose(&[wanted], [guest].into_iter()).unwrap();
        assert_eq!(chosen.len(), 1);
        assert_eq!(chosen[0].forward, wanted);
    }

    #[test]
    fn low_ports_move_up() {
        assert_eq!(Port::new(Protocol::Tcp, 80).default_host(), 8080);
        assert_eq!(Port::new(Protocol::Udp, 7000).default_host(), 7000);
    }

    #[test]
    fn a_browser_gets_an_address_and_the_rest_a_command() {
        let http = Port::new(Protocol::Tcp, 80);
        assert_eq!(http.reach("10.0.0.2", 80), "http://10.0.0.2/");
        assert_eq!(http.reach("127.0.0.1", 8080), "http://127.0.0.1:8080/");
        let echo = Port::new(Protocol::Udp, 7000);
        assert_eq!(echo.reach("127.0.0.1", 7001), "nc -u 127.0.0.1 7001");
    }
}
