//! `TFO_COOKIE`: what a server of ours gives a client that asks for a Fast Open cookie (RFC 7413). It depends on
//! the stack's key, so a script can't know it, and on nothing that happened before.

use super::link::{Addresses, World};
use super::names::c;
use super::posix::{Errno, Posix};
use super::profile::TcpConfig;
use super::script::{Segment, TcpOption, flag};
use super::wire::{IpPacket, Payload};
use std::net::SocketAddr;

/// The name in scripts.
pub(super) const NAME: &str = "TFO_COOKIE";
const PORT: u16 = 1;

/// The cookie in hexadecimal; `None`: these settings give none.
pub(super) fn given(addresses: &Addresses, mut config: TcpConfig, seed: u8) -> Option<String> {
    config.options.fast_open_backlog = 1;
    let world = World::new(addresses, config, seed).ok()?;
    let mut posix = Posix::new(world.net().clone(), Box::new(|| Ok::<_, Errno>(3)));
    let domain = if addresses.local.is_ipv6() { c::AF_INET6 } else { c::AF_INET };
    let fd = posix.socket(domain, c::SOCK_STREAM, 0).ok()?;
    posix.bind(fd, SocketAddr::new(addresses.local, PORT)).ok()?;
    posix.listen(fd, 1).ok()?;
    let options = Some(vec![TcpOption::FastOpen(Vec::new(), false), TcpOption::Nop, TcpOption::Nop]);
    let syn = Segment { flags: flag::SYN, window: Some(1000), options, ..Segment::default() };
    let syn = Payload::Tcp(PORT, PORT, syn, Vec::new());
    world.inject(&IpPacket::new(addresses.remote, addresses.local, syn).emit());
    let (_, answer) = world.sent()?;
    let Payload::Tcp(_, _, answer, _) = IpPacket::parse(&answer).ok()?.payload else { return None };
    answer.options?.into_iter().find_map(|option| match option {
        TcpOption::FastOpen(cookie, _) => Some(cookie.iter().map(|byte| format!("{byte:02x}")).collect()),
        _ => None,
    })
}
