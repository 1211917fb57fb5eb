//! Messages of DHCP for IPv6 (RFC 8415 §8, §21).

use crate::counters::Drop;

/// The port of a client (RFC 8415 §7.2).
pub(crate) const DHCPV6_CLIENT: u16 = 546;
/// The port of servers and relays.
pub(crate) const DHCPV6_SERVER: u16 = 547;
/// Type and transaction number.
const FIXED_LEN: usize = 4;
/// An option's number and length.
const HEADER_LEN: usize = 4;

/// The numbers of options (RFC 8415 §21, RFC 3646, RFC 4075, RFC 5908).
pub(crate) mod option6 {
    pub(crate) const CLIENT_ID: u16 = 1;
    pub(crate) const SERVER_ID: u16 = 2;
    pub(crate) const IA_NA: u16 = 3;
    pub(crate) const IA_ADDRESS: u16 = 5;
    pub(crate) const REQUEST_LIST: u16 = 6;
    pub(crate) const PREFERENCE: u16 = 7;
    pub(crate) const ELAPSED: u16 = 8;
    pub(crate) const STATUS: u16 = 13;
    pub(crate) const RAPID_COMMIT: u16 = 14;
    pub(crate) const DNS: u16 = 23;
    pub(crate) const DOMAINS: u16 = 24;
    pub(crate) const SNTP: u16 = 31;
    pub(crate) const REFRESH_TIME: u16 = 32;
    pub(crate) const NTP: u16 = 56;
    pub(crate) const SOLICIT_MAX: u16 = 82;
    pub(crate) const INFORM_MAX: u16 = 83;
}

/// What a status option says (RFC 8415 §21.13).
pub(crate) mod status6 {
    pub(crate) const SUCCESS: u16 = 0;
    pub(crate) const NO_ADDRESSES: u16 = 2;
    pub(crate) const NO_BINDING: u16 = 3;
    pub(crate) const NOT_ON_LINK: u16 = 4;
}

/// What a message is (RFC 8415 §7.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dhcpv6Kind {
    Solicit = 1,
    Advertise = 2,
    Request = 3,
    Confirm = 4,
    Renew = 5,
    Rebind = 6,
    Reply = 7,
    Release = 8,
    Decline = 9,
    InformationRequest = 11,
}

/// What a server has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dhcpv6Message<'a> {
    /// Advertise or Reply.
    pub kind: Dhcpv6Kind,
    /// Names the exchange: 24 bits.
    pub xid: u32,
    /// All whole.
    pub options: Options6<'a>,
}

impl<'a> Dhcpv6Message<'a> {
    /// Reads the payload of a datagram.
    //= rfc8415#16
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Drop> {
        let (fixed, options) = bytes.split_first_chunk::<FIXED_LEN>().ok_or(Drop::Dhcpv6Malformed)?;
        let [kind, xid @ ..] = *fixed;
        let kind = match kind {
            2 => Dhcpv6Kind::Advertise,
            7 => Dhcpv6Kind::Reply,
            // Other clients' messages, those of relays, and Reconfigure, which we did not say we take (RFC 8415 §16.11).
            _ => return Err(Drop::Dhcpv6Unexpected),
        };
        let [a, b, c] = xid;
        Ok(Dhcpv6Message { kind, xid: u32::from_be_bytes([0, a, b, c]), options: Options6::parse(options)? })
    }
}

/// Options one after the other, none of which reaches beyond the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Options6<'a>(&'a [u8]);

impl<'a> Options6<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Drop> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = next(rest).ok_or(Drop::Dhcpv6Malformed)?;
        }
        Ok(Options6(bytes))
    }

    /// Number and value of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option6<'a>> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (option, after) = next(rest)?;
            rest = after;
            Some(option)
        })
    }

    /// The value of the first with this number.
    pub(crate) fn get(&self, code: u16) -> Option<&'a [u8]> {
        self.iter().find(|(c, _)| *c == code).map(|(_, value)| value)
    }

    /// The value of an option that has this many bytes.
    pub(crate) fn array<const N: usize>(&self, code: u16) -> Option<[u8; N]> {
        self.get(code)?.try_into().ok()
    }

    /// What the status option says; without one, success (RFC 8415 §21.13).
    pub(crate) fn status(&self) -> Result<u16, Drop> {
        match self.get(option6::STATUS) {
            None => Ok(status6::SUCCESS),
            Some(value) => {
                value.first_chunk().map(|code| u16::from_be_bytes(*code)).ok_or(Drop::Dhcpv6Malformed)
            }
        }
    }
}

/// An option's number and value.
type Option6<'a> = (u16, &'a [u8]);

/// The first option and what follows it.
fn next(bytes: &[u8]) -> Option<(Option6<'_>, &[u8])> {
    let ([a, b, c, d], rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    let (value, rest) = rest.split_at_checked(u16::from_be_bytes([*c, *d]).into())?;
    Some(((u16::from_be_bytes([*a, *b]), value), rest))
}

/// A client's message as it is written.
pub(crate) struct Dhcpv6Writer<'a> {
    buf: &'a mut [u8],
    len: usize,
    fits: bool,
}

impl<'a> Dhcpv6Writer<'a> {
    /// Writes type and transaction number.
    pub(crate) fn new(buf: &'a mut [u8], kind: Dhcpv6Kind, xid: u32) -> Self {
        let mut writer = Dhcpv6Writer { buf, len: 0, fits: true };
        let [_, a, b, c] = xid.to_be_bytes();
        writer.bytes(&[kind as u8, a, b, c]);
        writer
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match self.buf.get_mut(self.len..self.len + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.fits = false,
        }
    }

    /// Adds an option.
    pub(crate) fn option(&mut self, code: u16, value: &[u8]) {
        self.nested(code, |writer| writer.bytes(value));
    }

    /// Adds an option whose value `write` writes, with [`value`](Self::value) and options.
    pub(crate) fn nested(&mut self, code: u16, write: impl FnOnce(&mut Self)) {
        self.bytes(&code.to_be_bytes());
        let at = self.len;
        self.bytes(&[0; 2]);
        write(self);
        let len = (self.len - at).saturating_sub(2) as u16;
        if let Some(place) = self.buf.get_mut(at..at + 2) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }

    /// Adds to the value of an option.
    pub(crate) fn value(&mut self, bytes: &[u8]) {
        self.bytes(bytes);
    }

    /// How long the message is; `None`: it does not fit.
    pub(crate) fn finish(self) -> Option<usize> {
        self.fits.then_some(self.len)
    }
}
