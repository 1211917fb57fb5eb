//! The messages of the client (RFC 8415 §18.2).

use heapless::Vec;

use super::Duid;
use super::client::{Dhcpv6Client, LeasedAddress};
use crate::time::Instant;
use crate::wire::{Dhcpv6Kind, Dhcpv6Writer, option6};

/// Room for the longest message of ours.
pub(crate) const MESSAGE6_LEN: usize = 640;
/// Most options that a program asks for besides.
pub(super) const REQUESTS_MAX: usize = 32;
/// A DUID: two bytes of its type, and 128 (RFC 8415 §11.1).
pub(super) const DUID_LEN: usize = 130;
/// What is asked for always.
const REQUESTS: [u16; 4] = [option6::DNS, option6::DOMAINS, option6::NTP, option6::SNTP];
/// Two lifetimes of which we say nothing.
const LIFETIMES: [u8; 8] = [0; 8];

impl Dhcpv6Client {
    /// Writes a message; `None`: it does not fit, which none is too long for.
    pub(crate) fn write(
        &self,
        kind: Dhcpv6Kind,
        now: Instant,
        buf: &mut [u8; MESSAGE6_LEN],
    ) -> Option<usize> {
        let mut writer = Dhcpv6Writer::new(buf, kind, self.xid);
        writer.option(option6::CLIENT_ID, &self.duid());
        let names_server = matches!(
            kind,
            Dhcpv6Kind::Request | Dhcpv6Kind::Renew | Dhcpv6Kind::Decline | Dhcpv6Kind::Release
        );
        if names_server {
            writer.option(option6::SERVER_ID, &self.server);
        }
        // In hundredths of a second, since the first of its kind (RFC 8415 §21.9).
        let elapsed = match self.retry.sent {
            0 | 1 => 0,
            _ => u16::try_from(now.since(self.began).millis() / 10).unwrap_or(u16::MAX),
        };
        writer.option(option6::ELAPSED, &elapsed.to_be_bytes());
        if kind != Dhcpv6Kind::InformationRequest {
            self.association(kind, &mut writer);
        }
        if kind == Dhcpv6Kind::Solicit && self.config.rapid_commit {
            writer.option(option6::RAPID_COMMIT, &[]);
        }
        let wants = !matches!(kind, Dhcpv6Kind::Confirm | Dhcpv6Kind::Decline | Dhcpv6Kind::Release);
        if wants {
            self.request_list(kind, &mut writer);
        }
        writer.finish()
    }

    /// The addresses that the message is about (RFC 8415 §21.4, §21.6).
    fn association(&self, kind: Dhcpv6Kind, writer: &mut Dhcpv6Writer<'_>) {
        writer.nested(option6::IA_NA, |writer| {
            writer.value(&self.iaid.to_be_bytes());
            writer.value(&[0; 8]);
            let about: &[LeasedAddress] = match kind {
                Dhcpv6Kind::Solicit => &[],
                Dhcpv6Kind::Decline => self.declined.as_slice(),
                _ => &self.addresses,
            };
            for leased in about {
                writer.nested(option6::IA_ADDRESS, |writer| {
                    writer.value(&leased.address.octets());
                    writer.value(&LIFETIMES);
                });
            }
        });
    }

    fn request_list(&self, kind: Dhcpv6Kind, writer: &mut Dhcpv6Writer<'_>) {
        let of_kind: &[u16] = match kind {
            Dhcpv6Kind::InformationRequest => &[option6::REFRESH_TIME, option6::INFORM_MAX],
            _ => &[option6::SOLICIT_MAX],
        };
        writer.nested(option6::REQUEST_LIST, |writer| {
            let own = REQUESTS.iter().chain(of_kind);
            let further = self.config.requests.iter().filter(|code| !REQUESTS.contains(code));
            own.chain(further).for_each(|code| writer.value(&code.to_be_bytes()));
        });
    }

    /// What names us.
    //= rfc8415#11
    pub(super) fn duid(&self) -> Vec<u8, DUID_LEN> {
        let mut duid = Vec::new();
        let fits = match self.config.duid {
            Duid::LinkLayer => {
                duid.extend_from_slice(&[0, 3, 0, 1]).and_then(|()| duid.extend_from_slice(&self.mac.0))
            }
            Duid::Enterprise { number, identifier } => {
                let [a, b, c, d] = number.to_be_bytes();
                duid.extend_from_slice(&[0, 2, a, b, c, d]).and_then(|()| duid.extend_from_slice(identifier))
            }
            Duid::Uuid(uuid) => duid.extend_from_slice(&[0, 4]).and_then(|()| duid.extend_from_slice(&uuid)),
        };
        debug_assert!(fits.is_ok(), "see Dhcpv6Config::check");
        duid
    }
}
