//! Names of services: the common ones of IANA's table (RFC 6335).

/// A name, its port, and where it is registered for TCP and for UDP.
type Entry = (&'static str, u16, bool, bool);

/// Where names stand twice, the first is the one that a port is called by.
#[rustfmt::skip]
const SERVICES: &[Entry] = &[
    ("echo", 7, true, true), ("discard", 9, true, true), ("daytime", 13, true, true), ("chargen", 19, true, true),
    ("ftp-data", 20, true, false), ("ftp", 21, true, false), ("ssh", 22, true, false), ("telnet", 23, true, false),
    ("smtp", 25, true, false), ("time", 37, true, true), ("domain", 53, true, true), ("bootps", 67, false, true),
    ("bootpc", 68, false, true), ("tftp", 69, false, true), ("gopher", 70, true, false), ("finger", 79, true, false),
    ("http", 80, true, false), ("www", 80, true, false), ("kerberos", 88, true, true), ("pop3", 110, true, false),
    ("sunrpc", 111, true, true), ("auth", 113, true, false), ("nntp", 119, true, false), ("ntp", 123, false, true),
    ("imap", 143, true, false), ("imap2", 143, true, false), ("snmp", 161, true, true), ("snmp-trap", 162, true, true),
    ("bgp", 179, true, false), ("irc", 194, true, true), ("ldap", 389, true, true), ("https", 443, true, true),
    ("submissions", 465, true, false), ("isakmp", 500, false, true), ("syslog", 514, false, true),
    ("dhcpv6-client", 546, false, true), ("dhcpv6-server", 547, false, true), ("rtsp", 554, true, true),
    ("submission", 587, true, false), ("ipp", 631, true, false), ("ldaps", 636, true, false),
    ("domain-s", 853, true, true), ("rsync", 873, true, false), ("imaps", 993, true, false), ("pop3s", 995, true, false),
    ("socks", 1080, true, false), ("mqtt", 1883, true, false), ("radius", 1812, false, true), ("nfs", 2049, true, true),
    ("mysql", 3306, true, false), ("iscsi-target", 3260, true, false), ("stun", 3478, true, true), ("sip", 5060, true, true),
    ("sips", 5061, true, true), ("xmpp-client", 5222, true, false), ("xmpp-server", 5269, true, false),
    ("mdns", 5353, false, true), ("postgresql", 5432, true, false), ("amqp", 5672, true, false), ("coap", 5683, true, true),
    ("coaps", 5684, true, true), ("http-alt", 8080, true, false), ("secure-mqtt", 8883, true, false),
];

/// The port of a service by its name, in whatever case, for UDP or for TCP.
///
/// ```
/// assert_eq!(barenet::names::port_of("http", false), Some(80));
/// assert_eq!(barenet::names::port_of("http", true), None);
/// ```
pub fn port_of(name: &str, udp: bool) -> Option<u16> {
    let fits = |s: &&Entry| s.0.eq_ignore_ascii_case(name) && if udp { s.3 } else { s.2 };
    SERVICES.iter().find(fits).map(|s| s.1)
}

/// What the service of a port is called, of UDP or of TCP.
///
/// ```
/// assert_eq!(barenet::names::service_of(443, false), Some("https"));
/// ```
pub fn service_of(port: u16, udp: bool) -> Option<&'static str> {
    let fits = |s: &&Entry| s.1 == port && if udp { s.3 } else { s.2 };
    SERVICES.iter().find(fits).map(|s| s.0)
}
