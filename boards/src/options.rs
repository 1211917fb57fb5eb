//! The arguments that a board takes for itself: the addresses of its interface.
//!
//! | option | meaning |
//! |---|---|
//! | `ip=ADDRESS/PREFIX` | an address of the interface, IPv4 or IPv6; may be repeated |
//! | `ip=dhcp` | an IPv4 address by DHCP |
//! | `ip=slaac` | IPv6 that configures itself |
//! | `gw=ADDRESS` | a default gateway, IPv4 or IPv6; may be repeated |
//!
//! They have the same names on every board; every other argument is the program's. Without any `ip=` both of `ip=dhcp` and
//! `ip=slaac` hold.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

/// An interface address and the length of its network's prefix in bits.
pub type Address = (IpAddr, u8);

/// Arguments, sorted into the board's and the program's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options<'a> {
    /// Addresses of the interface.
    pub addresses: Vec<Address>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
    /// A DHCP server is asked for an IPv4 address.
    pub dhcp: bool,
    /// IPv6 configures itself.
    pub slaac: bool,
    /// The program's arguments, in order.
    pub args: Vec<&'a str>,
}

/// The addresses and gateways as they would be written: to name them in a message.
impl fmt::Display for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for (address, prefix) in &self.addresses {
            write!(f, "{space}ip={address}/{prefix}")?;
            space = " ";
        }
        for gateway in &self.gateways {
            write!(f, "{space}gw={gateway}")?;
            space = " ";
        }
        Ok(())
    }
}

/// An option whose value can't be used. Its text is one line that names the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalid<'a> {
    option: &'a str,
    expected: &'static str,
}

impl fmt::Display for Invalid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid option `{}`: {}", self.option, self.expected)
    }
}

/// Sorts `args`.
///
/// ```
/// use barenet_boards::options::parse;
///
/// let options = parse(["ip=192.0.2.7/24", "gw=192.0.2.1", "verbose"])?;
/// assert_eq!(options.addresses, [("192.0.2.7".parse().unwrap(), 24)]);
/// assert_eq!((options.args, options.dhcp), (vec!["verbose"], false));
/// # Ok::<(), barenet_boards::options::Invalid>(())
/// ```
///
/// # Errors
///
/// For the first option whose value is not what the table above says.
pub fn parse<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Options<'a>, Invalid<'a>> {
    let (addresses, gateways) = (Vec::new(), Vec::new());
    let mut options = Options { addresses, gateways, dhcp: false, slaac: false, args: Vec::new() };
    for option in args {
        let invalid = |expected| Invalid { option, expected };
        match option.split_once('=') {
            Some(("ip", "dhcp")) => options.dhcp = true,
            Some(("ip", "slaac")) => options.slaac = true,
            Some(("ip", value)) => options.addresses.push(address(value).map_err(invalid)?),
            Some(("gw", value)) => options.gateways.push(gateway(value).map_err(invalid)?),
            _ => options.args.push(option),
        }
    }
    if options.addresses.is_empty() && !options.dhcp && !options.slaac {
        (options.dhcp, options.slaac) = (true, true);
    }
    Ok(options)
}

fn address(value: &str) -> Result<Address, &'static str> {
    const EXPECTED: &str = "expected an address and its prefix length, like ip=10.0.2.15/24 or \
                            ip=fd00::2/64, or ip=dhcp or ip=slaac";
    let (address, prefix) = value.split_once('/').ok_or(EXPECTED)?;
    let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
    // `parse` would take a sign.
    if !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EXPECTED);
    }
    let prefix: u8 = prefix.parse().map_err(|_| EXPECTED)?;
    match address {
        IpAddr::V4(_) if prefix > 32 => Err("an IPv4 prefix has at most 32 bits"),
        IpAddr::V6(_) if prefix > 128 => Err("an IPv6 prefix has at most 128 bits"),
        _ if !is_host(address) => Err("expected the address of one host"),
        _ => Ok((address, prefix)),
    }
}

fn gateway(value: &str) -> Result<IpAddr, &'static str> {
    let address: IpAddr = value.parse().map_err(|_| "expected an address, like gw=10.0.2.2 or gw=fd00::1")?;
    if is_host(address) { Ok(address) } else { Err("expected the address of one host") }
}

fn is_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(a) if a.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_an_address_the_network_is_asked() {
        let how = |args: &[&'static str]| {
            let options = parse(args.iter().copied()).unwrap();
            (options.dhcp, options.slaac, options.addresses.len())
        };
        assert_eq!(how(&["80"]), (true, true, 0));
        assert_eq!(how(&["gw=10.0.2.9"]), (true, true, 0));
        assert_eq!(how(&["ip=192.0.2.1/31"]), (false, false, 1));
        assert_eq!(how(&["ip=dhcp"]), (true, false, 0));
        assert_eq!(how(&["ip=slaac", "ip=192.0.2.1/31"]), (false, true, 1));
        assert_eq!(how(&["ip=dhcp", "ip=fd00::2/64"]), (true, false, 1));
    }

    #[test]
    fn both_may_be_repeated_and_the_rest_keeps_its_order() {
        let args = ["b", "ip=fd00::2/64", "a=1", "ip=10.0.0.2/24", "gw=fd00::1", "ipx=1"];
        let options = parse(args).unwrap();
        assert_eq!(options.addresses, [(ip("fd00::2"), 64), (ip("10.0.0.2"), 24)]);
        assert_eq!(options.gateways, [ip("fd00::1")]);
        assert_eq!(options.args, ["b", "a=1", "ipx=1"]);
        assert_eq!(options.to_string(), "ip=fd00::2/64 ip=10.0.0.2/24 gw=fd00::1");
    }

    #[test]
    fn a_value_that_is_no_address_is_named() {
        let bad = [
            "ip=",
            "ip=10.0.2.15",
            "ip=10.0.2/24",
            "ip=10.0.2.15/33",
            "ip=10.0.2.15/+8",
            "ip=10.0.2.15/",
            "ip=fd00::2/129",
            "ip=host/24",
            "ip=0.0.0.0/0",
            "ip=224.0.0.1/4",
            "ip=255.255.255.255/32",
            "gw=",
            "gw=10.0.2.2/24",
            "gw=::",
            "gw=ff02::1",
        ];
        for option in bad {
            let text = parse([option]).unwrap_err().to_string();
            assert!(text.contains(option) && !text.contains('\n'), "{text}");
        }
    }
}
