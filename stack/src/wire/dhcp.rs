//! DHCP messages (RFC 2131 §2, RFC 2132).

use core::net::Ipv4Addr;

use smoltcp::wire::{DhcpOpCode, DhcpPacket};

use crate::counters::Drop;
use crate::device::Mac;

/// The port of a server (RFC 2131 §4.1).
pub(crate) const DHCP_SERVER: u16 = 67;
/// The port of a client.
pub(crate) const DHCP_CLIENT: u16 = 68;
/// Bytes before the options, the magic cookie included.
pub(crate) const DHCP_FIXED_LEN: usize = 240;
/// Shorter ones are dropped by old relays and servers (RFC 951 §3, RFC 1542 §2.1).
pub(crate) const DHCP_LEN_MIN: usize = 300;
/// The four bytes before the options (RFC 2131 §3).
const MAGIC: u32 = 0x6382_5363;
/// The fields that options may overflow into: `sname` and `file` (RFC 2131 §4.1).
const SNAME: core::ops::Range<usize> = 44..108;
const FILE: core::ops::Range<usize> = 108..236;

/// The numbers of options (RFC 2132, RFC 3397, RFC 3442).
pub(crate) mod option {
    pub(crate) const PAD: u8 = 0;
    pub(crate) const SUBNET_MASK: u8 = 1;
    pub(crate) const ROUTER: u8 = 3;
    pub(crate) const DNS: u8 = 6;
    pub(crate) const HOST_NAME: u8 = 12;
    pub(crate) const DOMAIN: u8 = 15;
    pub(crate) const MTU: u8 = 26;
    pub(crate) const NTP: u8 = 42;
    pub(crate) const REQUESTED_ADDRESS: u8 = 50;
    pub(crate) const LEASE_TIME: u8 = 51;
    pub(crate) const OVERLOAD: u8 = 52;
    pub(crate) const MESSAGE_TYPE: u8 = 53;
    pub(crate) const SERVER: u8 = 54;
    pub(crate) const REQUEST_LIST: u8 = 55;
    pub(crate) const LENGTH_MAX: u8 = 57;
    pub(crate) const T1: u8 = 58;
    pub(crate) const T2: u8 = 59;
    pub(crate) const CLIENT_ID: u8 = 61;
    pub(crate) const SEARCH: u8 = 119;
    pub(crate) const CLASSLESS_ROUTES: u8 = 121;
    pub(crate) const END: u8 = 255;
}

/// What a message is (RFC 2132 §9.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DhcpKind {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
    Inform = 8,
}

/// What a server or relay has sent, with its fixed fields in order.
#[derive(Clone, Copy)]
pub(crate) struct DhcpMessage<'a> {
    /// Names the exchange.
    pub xid: u32,
    /// The hardware address of the client that it is for.
    pub mac: Mac,
    /// `yiaddr`: the address that the client gets.
    pub yours: Ipv4Addr,
    bytes: &'a [u8],
}

impl<'a> DhcpMessage<'a> {
    /// Reads the payload of a datagram.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Drop> {
        let view = DhcpPacket::new_checked(bytes).map_err(|_| Drop::DhcpMalformed)?;
        // H167: the view knows where the fields are.
        let is_answer = view.opcode() == DhcpOpCode::Reply
            && view.hardware_type() == smoltcp::wire::ArpHardware::Ethernet
            && view.hardware_len() == 6
            && view.magic_number() == MAGIC;
        if !is_answer {
            return Err(Drop::DhcpMalformed);
        }
        let (mac, yours) = (Mac(view.client_hardware_address().0), view.your_ip());
        Ok(DhcpMessage { xid: view.transaction_id(), mac, yours, bytes })
    }

    /// Calls `take` with each option, in the order in which parts of one are to be put together
    /// (RFC 3396 §5): the options, then `file`, then `sname`, where these two hold options. False: the last one of
    /// a field reaches beyond its end, and it was not given.
    pub(crate) fn options(&self, mut take: impl FnMut(u8, &'a [u8])) -> bool {
        let mut overload = 0;
        let mut is_whole =
            walk(self.bytes.get(DHCP_FIXED_LEN..).unwrap_or_default(), |code, value| match (code, value) {
                //= rfc2132#9.3
                (option::OVERLOAD, [fields @ 1..=3]) => overload = *fields,
                _ => take(code, value),
            });
        for (bit, field) in [(1, FILE), (2, SNAME)] {
            if overload & bit != 0 {
                is_whole &= walk(self.bytes.get(field).unwrap_or_default(), &mut take);
            }
        }
        is_whole
    }
}

/// The options of one field, up to its end.
fn walk<'a>(mut field: &'a [u8], mut take: impl FnMut(u8, &'a [u8])) -> bool {
    loop {
        match field {
            [] | [option::END, ..] => return true,
            [option::PAD, rest @ ..] => field = rest,
            [code, len, rest @ ..] => match rest.split_at_checked(usize::from(*len)) {
                Some((value, rest)) => {
                    take(*code, value);
                    field = rest;
                }
                None => return false,
            },
            [_] => return false,
        }
    }
}

/// The fixed fields of a client's message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DhcpFields {
    /// What it is.
    pub kind: DhcpKind,
    /// Names the exchange.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// `ciaddr`: the client's address, if it can answer ARP for it; else unspecified.
    pub own: Ipv4Addr,
    /// The answer is to be broadcast.
    pub broadcast: bool,
    /// The client's hardware address.
    pub mac: Mac,
}

/// A client's message as it is written.
pub(crate) struct DhcpWriter<'a> {
    buf: &'a mut [u8],
    len: usize,
}

impl<'a> DhcpWriter<'a> {
    /// Writes the fixed fields and the message's type. `buf` holds [`DHCP_LEN_MIN`] bytes at least.
    pub(crate) fn new(buf: &'a mut [u8], fields: &DhcpFields) -> Self {
        buf.fill(0);
        let mut view = DhcpPacket::new_unchecked(&mut *buf);
        view.set_opcode(DhcpOpCode::Request);
        view.set_hardware_type(smoltcp::wire::ArpHardware::Ethernet);
        view.set_hardware_len(6);
        view.set_transaction_id(fields.xid);
        view.set_secs(fields.secs);
        view.set_client_ip(fields.own);
        view.set_client_hardware_address(smoltcp::wire::EthernetAddress(fields.mac.0));
        view.set_magic_number(MAGIC);
        if fields.broadcast {
            view.set_flags(smoltcp::wire::DhcpFlags::BROADCAST);
        }
        let mut writer = DhcpWriter { buf, len: DHCP_FIXED_LEN };
        writer.option(option::MESSAGE_TYPE, &[fields.kind as u8]);
        writer
    }

    /// Adds an option; false if there is no room for it, and for the end.
    pub(crate) fn option(&mut self, code: u8, value: &[u8]) -> bool {
        let room = self.buf.len().saturating_sub(self.len + 1);
        let (Ok(len), true) = (u8::try_from(value.len()), value.len() + 2 <= room) else {
            return false;
        };
        self.buf[self.len..self.len + 2].copy_from_slice(&[code, len]);
        self.buf[self.len + 2..self.len + 2 + value.len()].copy_from_slice(value);
        self.len += 2 + value.len();
        true
    }

    /// Ends the options: how long the message is, padded (H164).
    pub(crate) fn finish(self) -> usize {
        self.buf[self.len] = option::END;
        (self.len + 1).max(DHCP_LEN_MIN)
    }
}
