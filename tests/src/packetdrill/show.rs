//! Packets in the words of scripts.

use super::script::{AccEcnField, Body, Ecn, Icmp, IpMarks, Packet, Quote, Segment, TcpOption, flag};
use std::fmt;

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.inbound { "<" } else { ">" }, self.ip)?;
        if let Some((source, destination)) = self.ports {
            write!(f, "{source} > {destination} ")?;
        }
        match &self.body {
            Body::Tcp(segment) => write!(f, "{segment}"),
            Body::Udp(len) => write!(f, "udp ({len})"),
            Body::Icmp(icmp) => write!(f, "{icmp}"),
        }?;
        // Enough to see whose bytes they are.
        self.text.iter().try_for_each(|text| {
            write!(f, " with {:?}", String::from_utf8_lossy(&text[..text.len().min(64)]))
        })
    }
}

impl fmt::Display for IpMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ecn = self.ecn.map(|ecn| match ecn {
            Ecn::Not => "noecn".to_string(),
            Ecn::Ect0 => "ect0".to_string(),
            Ecn::Ect1 => "ect1".to_string(),
            Ecn::Either => "ect01".to_string(),
            Ecn::Ce => "ce".to_string(),
        });
        let tos = self.tos.map(|tos| format!("tos {tos:#x}"));
        let ttl = self.ttl.map(|ttl| format!("ttl {ttl}"));
        let label = self.flow_label.map(|label| format!("flowlabel {label:#x}"));
        let all: Vec<String> = [ecn, tos, ttl, label].into_iter().flatten().collect();
        if all.is_empty() { Ok(()) } else { write!(f, "[{}] ", all.join(", ")) }
    }
}

/// The letters of the control bits.
const LETTERS: [(u16, char); 9] = [
    (flag::SYN, 'S'),
    (flag::FIN, 'F'),
    (flag::RST, 'R'),
    (flag::PSH, 'P'),
    (flag::URG, 'U'),
    (flag::ECE, 'E'),
    (flag::CWR, 'W'),
    (flag::AE, 'A'),
    (flag::ACK, '.'),
];

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags: String = LETTERS.iter().filter(|(bit, _)| self.flags & bit != 0).map(|(_, c)| c).collect();
        let end = self.seq.wrapping_add(self.len);
        write!(f, "{} {}:{end}({})", if flags.is_empty() { "-" } else { &flags }, self.seq, self.len)?;
        if self.flags & flag::ACK != 0 || self.ack != 0 {
            write!(f, " ack {}", self.ack)?;
        }
        if let Some(window) = self.window {
            write!(f, " win {window}")?;
        }
        if self.urgent != 0 {
            write!(f, " urg {}", self.urgent)?;
        }
        match &self.options {
            None => f.write_str(" <...>"),
            Some(options) if options.is_empty() => Ok(()),
            Some(options) => {
                let all: Vec<String> = options.iter().map(ToString::to_string).collect();
                write!(f, " <{}>", all.join(","))
            }
        }
    }
}

impl fmt::Display for TcpOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |data: &[u8]| data.iter().map(|b| format!("{b:02x}")).collect::<String>();
        match self {
            TcpOption::Nop => f.write_str("nop"),
            TcpOption::Eol => f.write_str("eol"),
            TcpOption::Mss(mss) => write!(f, "mss {mss}"),
            TcpOption::WindowScale(shift) => write!(f, "wscale {shift}"),
            TcpOption::SackOk => f.write_str("sackOK"),
            TcpOption::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(left, right)| write!(f, " {left}:{right}"))
            }
            TcpOption::Timestamps(value, echo) => write!(f, "TS val {value} ecr {echo}"),
            TcpOption::FastOpen(cookie, false) => write!(f, "FO {}", hex(cookie)),
            TcpOption::FastOpen(cookie, true) => write!(f, "FOEXP {}", hex(cookie)),
            TcpOption::AccEcn(fields) => {
                f.write_str("ECN")?;
                fields.iter().try_for_each(|(field, n)| {
                    let name = match field {
                        AccEcnField::E0b => "e0b",
                        AccEcnField::E1b => "e1b",
                        AccEcnField::Ceb => "ceb",
                    };
                    write!(f, " {name} {n}")
                })
            }
            TcpOption::Raw(19, data) => write!(f, "md5 {}", hex(data)),
            TcpOption::Raw(kind, data) => write!(f, "raw {kind} {}", hex(data)),
        }
    }
}

impl fmt::Display for Icmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "icmp {}", self.kind)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(mtu) = self.mtu {
            write!(f, " mtu {mtu}")?;
        }
        if let Some(id) = self.id {
            write!(f, " id {id}")?;
        }
        match self.quote {
            Quote::Tcp(seq, len) => write!(f, " [{seq}:{}({len})]", seq.wrapping_add(len.into())),
            Quote::Udp(len) => write!(f, " [udp ({len})]"),
            Quote::Raw(len) => write!(f, " [raw ({len})]"),
        }
    }
}
