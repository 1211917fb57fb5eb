//! What the stack counts: traffic by protocol, and each drop under its name. Without the feature `counters` the numbers are
//! gone, and take neither memory nor code; drops are still told as [events](crate::events).

// Tests count, whatever is left out.
#[cfg(any(feature = "counters", test))]
mod numbers;
#[cfg(not(any(feature = "counters", test)))]
#[path = "counters/no_numbers.rs"]
mod numbers;

#[cfg(not(any(feature = "counters", test)))]
pub(crate) use numbers::Counters;
#[cfg(all(feature = "tcp", not(any(feature = "counters", test))))]
pub(crate) use numbers::TcpCounts;
#[cfg(any(feature = "counters", test))]
pub use numbers::{Counters, Handshakes, Protocol, TcpCounts, Traffic};

macro_rules! drops {
    ($($(#[doc = $doc:literal])+ $(#[cfg($cfg:meta)])? $variant:ident = $name:literal,)+) => {
        /// Why a packet (or an event) was thrown away.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Drop {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $variant,)+
        }

        impl Drop {
            /// Every reason, in the order of the layers.
            pub const ALL: &'static [Drop] = &[$($(#[cfg($cfg)])? Drop::$variant,)+];

            /// The reason in a few words.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(#[cfg($cfg)])? Drop::$variant => $name,)+
                }
            }
        }
    };
}

drops! {
    /// Shorter than an Ethernet header, or without the bytes that the type promises.
    EthernetShort = "ethernet: frame too short",
    /// Addressed to another station.
    EthernetNotForUs = "ethernet: for another station",
    /// A type that the stack does not speak.
    EthernetType = "ethernet: unknown type",
    /// An 802.3 length field instead of a type: LLC and SNAP are not spoken.
    EthernetLlc = "ethernet: 802.3 LLC",
    /// The sender's hardware address is a group's or zero.
    EthernetSource = "ethernet: bad source address",
    /// The frame names an interface that was removed.
    InterfaceGone = "interface: gone",
    /// The device found a bad checksum.
    DeviceChecksum = "device: bad checksum",
    /// The device refused the frame.
    DeviceRefused = "device: frame refused",
    /// ARP with a length, type or operation that is not Ethernet and IPv4.
    ArpMalformed = "arp: malformed",
    /// ARP with a sender address that nobody can have.
    ArpAddress = "arp: bad sender address",
    /// ARP or NDP by which somebody else claims an address of ours.
    AddressConflict = "neighbour: our address claimed",
    /// ARP for others from a station that we don't know.
    ArpNotForUs = "arp: not for us",
    /// NDP message too short, with a zero-length option, a code or a bad target.
    NdpMalformed = "ndp: malformed",
    /// NDP message that crossed a router.
    NdpHopLimit = "ndp: hop limit below 255",
    /// Solicitation for an address that is not ours, or advertisement from a station that we don't know.
    NdpNotForUs = "ndp: not for us",
    /// NDP message that came in fragments, one included (RFC 6980).
    #[cfg(feature = "fragments")]
    NdpFragmented = "ndp: in fragments",
    /// NDP message that the stack does not act on.
    NdpIgnored = "ndp: ignored",
    /// Router advertisement or redirect from an address that is not link-local.
    #[cfg(feature = "slaac")]
    NdpRouterSource = "ndp: router's source not link-local",
    /// A part of a router advertisement that makes no sense: a prefix of 129 bits, addresses from one of 63, preferred for
    /// longer than valid, an MTU or hop limit that the link can't have.
    #[cfg(feature = "slaac")]
    NdpOption = "ndp: bad option in an advertisement",
    /// A router, prefix, route or address beyond what is kept of them.
    #[cfg(feature = "slaac")]
    NdpTableFull = "ndp: no place for what a router advertises",
    /// A redirect that does not come from the router that we use for the destination.
    #[cfg(feature = "slaac")]
    NdpRedirect = "ndp: redirect from another than the first hop",
    /// Our own question for an address in doubt, looped back by the link.
    #[cfg(feature = "slaac")]
    NdpLooped = "ndp: own question looped back",
    /// The neighbour did not answer; its packets were given up.
    NeighborFailed = "neighbour: unresolved",
    /// Too many packets wait for this neighbour; its oldest was given up.
    NeighborQueueFull = "neighbour: queue full",
    /// The waiting packets of all neighbours use up their share.
    NeighborShareFull = "neighbour: share full",
    /// No cache entry could be freed.
    NeighborTableFull = "neighbour: table full",
    /// An answer to a neighbour that is not known: too many such were asked for already.
    NeighborDenied = "neighbour: not asked for an answer",
    /// It waited for a neighbour when the interface or its address was taken away.
    NeighborForgotten = "neighbour: forgotten",
    /// An IPv4 length field contradicts the frame or itself.
    Ipv4Malformed = "ipv4: malformed",
    /// The IPv4 header checksum is wrong.
    Ipv4Checksum = "ipv4: bad header checksum",
    /// A source that no packet on a link may have.
    Ipv4Source = "ipv4: martian source",
    /// A destination that is not ours.
    Ipv4NotForUs = "ipv4: not for us",
    /// A source route, finished or not.
    Ipv4SourceRoute = "ipv4: source route",
    /// A packet for another host, whose TTL or hop limit is used up.
    #[cfg(feature = "forwarding")]
    ForwardHopLimit = "forward: hop limit used up",
    /// A packet for another host, larger than the next link carries.
    #[cfg(feature = "forwarding")]
    ForwardTooBig = "forward: too big for the next link",
    /// A fragment, where the stack has no memory or no feature to reassemble.
    Ipv4Fragment = "ipv4: fragment",
    /// An IPv6 length field contradicts the frame.
    Ipv6Malformed = "ipv6: malformed",
    /// A source that no packet on a link may have.
    Ipv6Source = "ipv6: martian source",
    /// A destination that is not ours.
    Ipv6NotForUs = "ipv6: not for us",
    /// A chain of extension headers that is malformed or in a forbidden order.
    Ipv6Extension = "ipv6: bad extension header",
    /// An option that asks to drop the packet.
    Ipv6Option = "ipv6: unknown option",
    /// A routing header with segments left.
    Ipv6Routing = "ipv6: routing header",
    /// A fragment, where the stack has no memory or no feature to reassemble; or a fragment of a fragment.
    Ipv6Fragment = "ipv6: fragment",
    /// Next header 59: nothing follows.
    Ipv6NoNext = "ipv6: no next header",
    /// A fragment without text, or one but the last whose length is no multiple of eight.
    #[cfg(feature = "fragments")]
    FragmentMalformed = "fragment: malformed",
    /// A first fragment without the whole of the transport's header (RFC 1858, RFC 7112).
    #[cfg(feature = "fragments")]
    FragmentTiny = "fragment: headers incomplete",
    /// A fragment of a datagram beyond 65,535 bytes, or beyond the memory for one.
    #[cfg(feature = "fragments")]
    FragmentTooLong = "fragment: datagram too long",
    /// A fragment that overlaps another, or comes after such: its datagram is given up (RFC 5722).
    #[cfg(feature = "fragments")]
    FragmentOverlap = "fragment: overlap",
    /// A fragment that is there already.
    #[cfg(feature = "fragments")]
    FragmentDuplicate = "fragment: duplicate",
    /// A fragment of a datagram in more pieces than are remembered.
    #[cfg(feature = "fragments")]
    FragmentTooMany = "fragment: too many of a datagram",
    /// A datagram whose fragments say both that the path marks congestion and that it can't (RFC 3168 §5.3).
    #[cfg(feature = "fragments")]
    FragmentMarks = "fragment: contradictory marks",
    /// A datagram that was not complete in time.
    #[cfg(feature = "fragments")]
    FragmentTimeout = "fragment: reassembly timed out",
    /// A datagram that was not complete, and gave its place or memory to another.
    #[cfg(feature = "fragments")]
    FragmentGaveWay = "fragment: gave way",
    /// A fragment for which there is no memory.
    #[cfg(feature = "fragments")]
    FragmentNoMemory = "fragment: no memory",
    /// IGMP or MLD with a length that contradicts itself, or about an address that is no group.
    #[cfg(feature = "multicast")]
    GroupMalformed = "group: malformed",
    /// A query of IGMP or MLD whose hop limit is not 1: it crossed a router.
    #[cfg(feature = "multicast")]
    GroupHopLimit = "group: hop limit not 1",
    /// A query from nobody, or of MLD from an address that is not link-local.
    #[cfg(feature = "multicast")]
    GroupSource = "group: bad source",
    /// A transport protocol that the stack does not speak.
    ProtocolUnknown = "ip: unknown protocol",
    /// Source and destination are the same on a link (LAND).
    Land = "ip: source is destination",
    /// ICMP that is too short.
    IcmpMalformed = "icmp: malformed",
    /// ICMP with a wrong checksum.
    IcmpChecksum = "icmp: bad checksum",
    /// ICMP of a kind that the stack does not act on.
    IcmpIgnored = "icmp: ignored",
    /// An echo request to a broadcast or group address.
    IcmpBroadcastEcho = "icmp: echo request to a group",
    /// An ICMP error about something that we did not send.
    IcmpForeign = "icmp: error about a foreign packet",
    /// An ICMP error that we did not send because of its rate limit.
    IcmpRateLimit = "icmp: own error over the rate limit",
    /// An echo reply that no socket waits for.
    IcmpNoSocket = "icmp: no socket",
    /// Not a message of a DHCP server to a client on Ethernet.
    #[cfg(feature = "dhcpv4")]
    DhcpMalformed = "dhcp: malformed",
    /// A DHCP message of another exchange, for another client, or from a server that was not chosen.
    #[cfg(feature = "dhcpv4")]
    DhcpForeign = "dhcp: for another exchange",
    /// A DHCP message that nobody waits for in this state.
    #[cfg(feature = "dhcpv4")]
    DhcpUnexpected = "dhcp: unexpected in this state",
    /// A DHCP option that reaches beyond the end of its field; what came before it counts.
    #[cfg(feature = "dhcpv4")]
    DhcpCutOff = "dhcp: option cut off",
    /// A DHCP message with more options than we say we take.
    #[cfg(feature = "dhcpv4")]
    DhcpTooLong = "dhcp: too many options",
    /// An offer, lease or refusal that does not say which server it is from.
    #[cfg(feature = "dhcpv4")]
    DhcpNoServer = "dhcp: no server identifier",
    /// An offer or lease of an address that no host can have, or of another than was asked for.
    #[cfg(feature = "dhcpv4")]
    DhcpAddress = "dhcp: bad address",
    /// An offer or lease with a mask that has holes.
    #[cfg(feature = "dhcpv4")]
    DhcpMask = "dhcp: bad subnet mask",
    /// An offer or lease without a time, or for no time.
    #[cfg(feature = "dhcpv4")]
    DhcpLeaseTime = "dhcp: no lease time",
    /// A router outside of the lease's network, or a route that can't be; the rest of the lease counts.
    #[cfg(feature = "dhcpv4")]
    DhcpRoute = "dhcp: bad router",
    /// A route of a lease for which the table has no place.
    #[cfg(feature = "dhcpv4")]
    DhcpRouteTableFull = "dhcp: routing table full",
    /// An MTU that IPv4 does not allow; the rest of the lease counts.
    #[cfg(feature = "dhcpv4")]
    DhcpMtu = "dhcp: bad mtu",
    /// An offer or lease that the program does not want.
    #[cfg(feature = "dhcpv4")]
    DhcpRejected = "dhcp: rejected by the program",
    /// Not a message of a DHCPv6 server: an option reaches beyond its end, or is too short.
    #[cfg(feature = "dhcpv6")]
    Dhcpv6Malformed = "dhcpv6: malformed",
    /// A DHCPv6 message of another exchange, for another client, or from a server that was not chosen.
    #[cfg(feature = "dhcpv6")]
    Dhcpv6Foreign = "dhcpv6: for another exchange",
    /// A DHCPv6 message that nobody waits for in this state, or of a kind that clients don't take.
    #[cfg(feature = "dhcpv6")]
    Dhcpv6Unexpected = "dhcpv6: unexpected in this state",
    /// A DHCPv6 message that does not say which server it is from.
    #[cfg(feature = "dhcpv6")]
    Dhcpv6NoServer = "dhcpv6: no server identifier",
    /// An offer or lease by DHCPv6 without an address of ours.
    #[cfg(feature = "dhcpv6")]
    Dhcpv6NoAddress = "dhcpv6: no address",
    /// An address of a lease by DHCPv6 that no host can have, whose lifetimes contradict each other, or that has no place; the
    /// rest of the lease counts.
    #[cfg(feature = "dhcpv6")]
    Dhcpv6Address = "dhcpv6: bad address",
    /// A lease by DHCPv6 that is to be renewed from others before it is from its own server.
    #[cfg(feature = "dhcpv6")]
    Dhcpv6Times = "dhcpv6: t1 after t2",
    /// A DHCPv6 server that says no.
    #[cfg(feature = "dhcpv6")]
    Dhcpv6Refused = "dhcpv6: refused",
    /// A DHCPv6 message of more bytes, or more options, than are kept; what was kept counts.
    #[cfg(feature = "dhcpv6")]
    Dhcpv6TooLong = "dhcpv6: too long",
    /// An answer of DNS without a whole header, or whose chain of aliases or records makes no sense.
    #[cfg(feature = "dns")]
    DnsMalformed = "dns: malformed",
    /// A datagram for the port of a question that is no answer to it: of another server, number, name or type, or in another case.
    #[cfg(feature = "dns")]
    DnsForeign = "dns: for another question",
    /// Records of an answer beyond those that are kept.
    #[cfg(feature = "dns")]
    DnsTooMany = "dns: too many records",
    /// A message of mDNS that does not parse.
    #[cfg(feature = "mdns")]
    MdnsMalformed = "mdns: malformed",
    /// A message of mDNS that is not from this link, an answer from another port than mDNS's, or one of another kind than questions and answers.
    #[cfg(feature = "mdns")]
    MdnsForeign = "mdns: not of this link",
    /// A question of mDNS that wants its answer by unicast, beyond what is answered of these.
    #[cfg(feature = "mdns")]
    MdnsLimited = "mdns: rate limit",
    /// UDP with a length that contradicts the packet.
    UdpMalformed = "udp: malformed",
    /// UDP with a wrong checksum.
    UdpChecksum = "udp: bad checksum",
    /// UDP over IPv6 without a checksum.
    UdpNoChecksum = "udp: no checksum over ipv6",
    /// No socket for this port and address.
    UdpNoSocket = "udp: no socket",
    /// The socket's receive queue is full.
    UdpQueueFull = "udp: receive queue full",
    /// The queue of a raw socket is full, or there is no memory for its copy.
    #[cfg(feature = "raw")]
    RawQueueFull = "raw: receive queue full",
    /// TCP whose header is malformed.
    TcpMalformed = "tcp: malformed",
    /// TCP with a wrong checksum.
    TcpChecksum = "tcp: bad checksum",
    /// A segment to or from a broadcast or group address.
    TcpBroadcast = "tcp: group address",
    /// A segment for no connection and no listener.
    TcpNoSocket = "tcp: no socket",
    /// A SYN that found the SYN queue full, without cookies.
    TcpSynQueueFull = "tcp: syn queue full",
    /// A SYN or the ACK of a handshake that found the accept queue full.
    TcpAcceptQueueFull = "tcp: accept queue full",
    /// A SYN beyond what listeners may open, or for which there is no memory.
    TcpAcceptLimit = "tcp: no more connections accepted",
    /// While SYN cookies are in use, a segment for a listener that brings back none of ours. Without
    /// text it is answered with a reset.
    TcpBadCookie = "tcp: bad syn cookie",
    /// Data outside the receive window.
    TcpOutOfWindow = "tcp: out of window",
    /// A SYN for which the table of connections has no place.
    TcpTableFull = "tcp: connection table full",
    /// An acknowledgment of what was never sent, or of the distant past.
    TcpBadAck = "tcp: bad acknowledgment",
    /// A SYN or RST that a blind attacker could have sent (RFC 5961).
    TcpChallenged = "tcp: challenged",
    /// An old duplicate by its timestamp (RFC 7323 §5).
    TcpPaws = "tcp: old timestamp",
    /// Text that lies apart from all that came before, where no more such ranges are remembered.
    TcpTooManyHoles = "tcp: too many holes",
    /// Text inside the window for which there is no memory, although it was promised: the heap has failed.
    TcpNoMemory = "tcp: no memory for text",
    /// A segment that makes no sense in the connection's state.
    TcpSenseless = "tcp: senseless in this state",
    /// No route for a packet of our own.
    NoRoute = "egress: no route",
    /// An answer whose way back leads to a broadcast address or a group.
    AnswerToGroup = "egress: answer to a group",
    /// A packet of our own that is larger than its interface's MTU: we do not fragment.
    PacketTooBig = "egress: larger than the mtu",
    /// The interface's queue of waiting packets is full.
    EgressQueueFull = "egress: queue full",
    /// The pool has no block left.
    OutOfMemory = "pool: out of memory",
}

macro_rules! tcp_counts {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What TCP counts beside segments and drops.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum TcpCount {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl TcpCount {
            /// All of them.
            pub const ALL: &'static [TcpCount] = &[$(TcpCount::$variant,)+];

            /// What it is in a few words.
            pub const fn name(self) -> &'static str {
                match self {
                    $(TcpCount::$variant => $name,)+
                }
            }
        }
    };
}

tcp_counts! {
    /// Connections that we began to open.
    ActiveOpens = "active opens",
    /// Of those, the ones whose SYN brought text that the peer took (RFC 7413).
    FastOpensActive = "active fast opens",
    /// Connections that peers opened with a listener, established.
    PassiveOpens = "passive opens",
    /// Of those, the ones that began with the text of a SYN (RFC 7413).
    FastOpensPassive = "passive fast opens",
    /// Connections that failed before they were established, ours and half-open ones.
    FailedOpens = "failed opens",
    /// Established connections that ended with an error.
    FailedConnections = "failed connections",
    /// Resets that we sent.
    ResetsSent = "resets sent",
    /// Resets of peers that ended a connection.
    ResetsReceived = "resets received",
    /// Segments of text or a FIN that were sent again, however that came about.
    Retransmits = "retransmitted segments",
    /// Times that a loss was noticed, by acknowledgments or by time, and the window reduced for it.
    Recoveries = "recoveries",
    /// Recoveries and timeouts that turned out to be needless, and were undone.
    Undone = "recoveries undone",
    /// Segments that our peer said it had already (RFC 2883).
    DuplicatesReported = "duplicates reported by peers",
    /// Tail loss probes (RFC 8985).
    TailProbes = "tail loss probes",
    /// Times that a retransmission timer fired after the handshake.
    Timeouts = "retransmission timeouts",
    /// SYNs and SYN-ACKs that were sent again by their timer.
    HandshakeTimeouts = "handshake timeouts",
    /// Connections that ended because their peer did not answer in time.
    TimedOut = "connections timed out",
    /// Connections reset because memory was short and their peers' windows had been closed the longest.
    StalledGaveWay = "stalled connections that gave way",
    /// Probes of a closed window.
    WindowProbes = "window probes",
    /// Questions to peers that were silent for long.
    KeepAlives = "keep-alives",
    /// Acknowledgments of what a blind attacker could have sent (RFC 5961).
    ChallengeAcks = "challenge acknowledgments",
    /// Acknowledgments that went out because their delay was over.
    DelayedAcks = "delayed acknowledgments",
    /// Segments with text beyond a hole.
    OutOfOrder = "segments out of order",
    /// Segments that lay before RCV.NXT in whole or in part.
    Duplicates = "duplicate segments",
    /// ICMP errors that were kept as soft errors of their connection.
    SoftErrors = "soft errors",
    /// Times that a connection's retransmissions reached R1, and the neighbour was suspected.
    Suspicions = "neighbours suspected",
}
