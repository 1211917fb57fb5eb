//! The messages of the client (RFC 2131 §4.4.1, table 5).

use core::net::Ipv4Addr;

use super::DhcpConfig;
use super::client::DhcpClient;
use crate::wire::{DHCP_FIXED_LEN, DhcpFields, DhcpKind, DhcpWriter, option};

/// Longest message of ours: what every server takes (RFC 2131 §2), without the headers of IP and UDP.
pub(crate) const MESSAGE_LEN: usize = 548;
/// Longest message that we say we take, headers of IP and UDP included: its options fit [`super::OPTIONS_LEN`].
const LENGTH_MAX: u16 = 1000;
/// And the shortest that a client may say (RFC 2132 §9.10).
const LENGTH_MIN: u16 = 576;

/// What is asked for always. RFC 3442: classless routes before the routers.
const REQUESTS: [u8; 8] = [
    option::SUBNET_MASK,
    option::CLASSLESS_ROUTES,
    option::ROUTER,
    option::DNS,
    option::DOMAIN,
    option::SEARCH,
    option::MTU,
    option::NTP,
];
/// RFC 4361 §6.1: type 255, IAID, and a DUID of the hardware address (RFC 8415 §11.4).
const CLIENT_ID_LEN: usize = 15;

/// A message to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outgoing {
    pub kind: DhcpKind,
    pub xid: u32,
    pub secs: u16,
    /// Our address, if we have one that is good: the message goes from there.
    pub own: Ipv4Addr,
    /// The server that it goes to; `None`: to all.
    pub to: Option<Ipv4Addr>,
    /// The address that is asked for or declined.
    pub requested: Option<Ipv4Addr>,
    /// The server that is meant, in the message.
    pub server: Option<Ipv4Addr>,
}

impl DhcpClient {
    /// Writes a message and says how long it is. `broadcast`: the answer can't come to an address of ours.
    pub(crate) fn write(&self, out: &Outgoing, broadcast: bool, buf: &mut [u8; MESSAGE_LEN]) -> usize {
        let fields = DhcpFields {
            kind: out.kind,
            xid: out.xid,
            secs: out.secs,
            own: out.own,
            broadcast: broadcast && out.own.is_unspecified(),
            mac: self.mac,
        };
        let mut writer = DhcpWriter::new(buf, &fields);
        writer.option(option::CLIENT_ID, &self.client_id());
        if let Some(address) = out.requested {
            writer.option(option::REQUESTED_ADDRESS, &address.octets());
        }
        if let Some(server) = out.server {
            writer.option(option::SERVER, &server.octets());
        }
        if !matches!(out.kind, DhcpKind::Decline | DhcpKind::Release) {
            let length = self.mtu.clamp(LENGTH_MIN, LENGTH_MAX);
            writer.option(option::LENGTH_MAX, &length.to_be_bytes());
            // All of it fits: see `DhcpConfig::check`.
            configured(&self.config, &mut writer);
        }
        writer.finish()
    }

    /// The same for as long as the interface and its hardware address are.
    //= rfc4361#6.1
    pub(super) fn client_id(&self) -> [u8; CLIENT_ID_LEN] {
        let [a, b, c, d] = self.iaid.to_be_bytes();
        let [m, n, o, p, q, r] = self.mac.0;
        // DUID-LL (3) of Ethernet (1).
        [255, a, b, c, d, 0, 3, 0, 1, m, n, o, p, q, r]
    }
}

/// What the configuration adds to a message; false if it does not fit.
fn configured(config: &DhcpConfig, writer: &mut DhcpWriter<'_>) -> bool {
    let mut list: heapless::Vec<u8, 255> = heapless::Vec::new();
    let wanted = REQUESTS.iter().chain(config.requests.iter().filter(|code| !REQUESTS.contains(code)));
    let mut fits = list.extend_from_slice(&[]).is_ok() && wanted.copied().all(|code| list.push(code).is_ok());
    fits &= writer.option(option::REQUEST_LIST, &list);
    if let Some(name) = config.host_name {
        fits &= writer.option(option::HOST_NAME, name.as_bytes());
    }
    config.options.iter().fold(fits, |fits, (code, value)| writer.option(*code, value) & fits)
}

/// Does a message with all options fit?
pub(super) fn fits(config: &DhcpConfig) -> bool {
    let mut buf = [0; MESSAGE_LEN - (CLIENT_ID_LEN + 2) - 6 - 6 - 4];
    const { assert!(MESSAGE_LEN > DHCP_FIXED_LEN) };
    let fields = DhcpFields {
        kind: DhcpKind::Request,
        xid: 0,
        secs: 0,
        own: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        mac: crate::device::Mac([0; 6]),
    };
    configured(config, &mut DhcpWriter::new(&mut buf, &fields))
}
