//! A script, read: what is to happen, and when.

use std::fmt;

/// A script of packetdrill.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The `--name=value` lines at its top.
    pub options: Vec<(String, String)>,
    /// What happens, in order.
    pub events: Vec<Event>,
}

impl Script {
    /// The value of an option; the last one counts.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// One line of a script.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where it stands, counted from 1.
    pub line: usize,
    /// When it happens.
    pub when: When,
    /// What happens.
    pub what: What,
    /// As it is written, without the time.
    pub text: String,
}

/// A time, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Since the start of the script.
    At(u64),
    /// Since the end of the event before.
    After(u64),
    /// Whenever: only for packets that the stack sends.
    Any,
    /// Between two times since the start.
    AtBetween(u64, u64),
    /// Between two times since the event before.
    AfterBetween(u64, u64),
}

/// What an event does.
#[derive(Clone, Debug)]
pub enum What {
    /// A packet comes or goes.
    Packet(Packet),
    /// A program calls the system.
    Call(Call),
    /// A command of the shell.
    Shell(String),
    /// Assertions in Python.
    Code(String),
}

/// A system call and what comes of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it returns, if it blocks: counted as the event's own time is.
    pub end: Option<u64>,
    /// Its name.
    pub name: String,
    /// What it is given, and gives back by reference.
    pub arguments: Vec<Value>,
    /// What it returns.
    pub result: Value,
    /// The name of `errno`.
    pub errno: Option<String>,
}

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// `...`
    Any,
    /// A number.
    Int(i64),
    /// The name of a constant.
    Word(String),
    /// Text in quotes.
    Text(String),
    /// `A|B`
    Or(Vec<Value>),
    /// `[a, b]`
    List(Vec<Value>),
    /// `{a = 1, 2}`
    Struct(Vec<(Option<String>, Value)>),
    /// `htons(80)`
    Apply(String, Vec<Value>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, all: &[Value], between: &str| {
            all.iter().enumerate().try_for_each(|(i, v)| write!(f, "{}{v}", if i > 0 { between } else { "" }))
        };
        match self {
            Value::Any => f.write_str("..."),
            Value::Int(n) => write!(f, "{n}"),
            Value::Word(w) => f.write_str(w),
            Value::Text(t) => write!(f, "{t:?}"),
            Value::Or(all) => list(f, all, "|"),
            Value::List(all) => {
                f.write_str("[")?;
                list(f, all, ", ")?;
                f.write_str("]")
            }
            Value::Struct(fields) => {
                f.write_str("{")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    let between = if i > 0 { ", " } else { "" };
                    match name {
                        Some(name) => write!(f, "{between}{name}={value}")?,
                        None => write!(f, "{between}{value}")?,
                    }
                }
                f.write_str("}")
            }
            Value::Apply(name, arguments) => {
                write!(f, "{name}(")?;
                list(f, arguments, ", ")?;
                f.write_str(")")
            }
        }
    }
}

/// A packet as the script has it: numbers count from its own start.
#[derive(Clone, PartialEq, Debug)]
pub struct Packet {
    /// `<`: to the stack. `>`: from it.
    pub inbound: bool,
    /// What its IP header says.
    pub ip: IpMarks,
    /// Source and destination port, where the script names them.
    pub ports: Option<(u16, u16)>,
    /// The rest.
    pub body: Body,
    /// The text or data, if it is not all zeros: packets of scripts carry nothing else.
    pub text: Option<Vec<u8>>,
}

/// What of `bytes` is no packet of a script: [`Packet::text`].
pub fn text_beyond_zeros(bytes: &[u8]) -> Option<Vec<u8>> {
    bytes.iter().any(|byte| *byte != 0).then(|| bytes.to_vec())
}

/// What a script says about an IP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IpMarks {
    /// The two bits of ECN.
    pub ecn: Option<Ecn>,
    /// The whole byte of traffic class.
    pub tos: Option<u8>,
    /// Time to live, hop limit.
    pub ttl: Option<u8>,
    /// The flow label of IPv6.
    pub flow_label: Option<u32>,
}

/// The two bits of ECN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ecn {
    /// `noecn`
    Not,
    /// `ect1`
    Ect1,
    /// `ect0`
    Ect0,
    /// `ce`
    Ce,
    /// `ect01`: either of the two.
    Either,
}

impl Ecn {
    /// The bits.
    pub fn bits(self) -> u8 {
        match self {
            Ecn::Not => 0,
            Ecn::Ect1 => 1,
            Ecn::Ect0 | Ecn::Either => 2,
            Ecn::Ce => 3,
        }
    }

    /// What a traffic class byte says.
    pub fn of(tos: u8) -> Ecn {
        match tos & 3 {
            0 => Ecn::Not,
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            _ => Ecn::Ce,
        }
    }

    /// Do these bits agree?
    pub fn allows(self, bits: u8) -> bool {
        if self == Ecn::Either { matches!(bits, 1 | 2) } else { bits == self.bits() }
    }
}

/// What is behind the IP header.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// A segment of TCP.
    Tcp(Segment),
    /// A datagram with so many bytes.
    Udp(u16),
    /// A message of ICMP.
    Icmp(Icmp),
}

/// A segment of TCP.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Segment {
    /// The nine control bits, AE included.
    pub flags: u16,
    /// First sequence number.
    pub seq: u32,
    /// The script does not say which: `...(0)`.
    pub any_seq: bool,
    /// Bytes of text.
    pub len: u32,
    /// Acknowledgment number; 0 if none is written.
    pub ack: u32,
    /// Window field, unscaled; `None`: any.
    pub window: Option<u16>,
    /// Urgent pointer.
    pub urgent: u16,
    /// The options in their order; `None`: any.
    pub options: Option<Vec<TcpOption>>,
}

/// The control bits.
pub mod flag {
    #![allow(missing_docs, reason = "the names of RFC 9293 and RFC 9768")]
    pub const FIN: u16 = 0x01;
    pub const SYN: u16 = 0x02;
    pub const RST: u16 = 0x04;
    pub const PSH: u16 = 0x08;
    pub const ACK: u16 = 0x10;
    pub const URG: u16 = 0x20;
    pub const ECE: u16 = 0x40;
    pub const CWR: u16 = 0x80;
    pub const AE: u16 = 0x100;
}

/// An option of TCP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TcpOption {
    /// Padding between options.
    Nop,
    /// End of the list.
    Eol,
    /// Maximum segment size.
    Mss(u16),
    /// Window scale.
    WindowScale(u8),
    /// SACK permitted.
    SackOk,
    /// SACK blocks in their order.
    Sack(Vec<(u32, u32)>),
    /// TSval and TSecr.
    Timestamps(u32, u32),
    /// Fast Open with a cookie, or a request for one; by its old, experimental number or its own.
    FastOpen(Vec<u8>, bool),
    /// The counters of AccECN as (field, value), in their order.
    AccEcn(Vec<(AccEcnField, u32)>),
    /// Any other: its kind and its data.
    Raw(u8, Vec<u8>),
}

/// A counter of AccECN (RFC 9768 §3.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccEcnField {
    /// ECT(0) bytes.
    E0b,
    /// ECT(1) bytes.
    E1b,
    /// CE bytes.
    Ceb,
}

/// A message of ICMP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Icmp {
    /// Its type by name.
    pub kind: String,
    /// Its code by name.
    pub code: Option<String>,
    /// The MTU of the next hop.
    pub mtu: Option<u32>,
    /// The identifier of an echo.
    pub id: Option<u16>,
    /// What it quotes.
    pub quote: Quote,
}

/// The packet that an ICMP error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quote {
    /// A segment of TCP: first sequence number and bytes of text.
    Tcp(u32, u16),
    /// A datagram of UDP.
    Udp(u16),
    /// Bytes of no protocol.
    Raw(u16),
}
