//! What several examples share.
#![no_std]

use barenet::names::DnsConfig;
use barenet::{Error, Net};

/// Takes `--dns ADDRESS` from the front of the arguments, and asks that server from then on; gives the rest.
///
/// # Errors
///
/// When it is no address, or there is no room for names.
pub fn take_dns<'a>(net: &Net, args: &'a [&'static str]) -> Result<&'a [&'static str], Error> {
    let ["--dns", server, rest @ ..] = args else { return Ok(args) };
    let server = server.parse().map_err(|_| Error::InvalidInput("--dns wants an address"))?;
    net.configure_names(DnsConfig::with_server(server))?;
    Ok(rest)
}
