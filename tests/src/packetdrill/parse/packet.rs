//! Packets: TCP, UDP and ICMP, with what stands before them in brackets.

use super::super::script::{AccEcnField, Body, Ecn, Icmp, IpMarks, Packet, Quote, Segment, TcpOption, flag};
use super::super::text::{Cursor, ParseError};

pub(super) fn packet(cursor: &mut Cursor<'_>) -> Result<Packet, ParseError> {
    let inbound = cursor.takes("<");
    if !inbound {
        cursor.expect(">")?;
    }
    // An older form of messages of ICMP has what they quote in front.
    let quoted = quote_in_front(cursor)?;
    let ip = if quoted.is_none() { marks(cursor)? } else { IpMarks::default() };
    for header in ["ipv4", "ipv6", "gre", "mpls", "sctp", "udplite"] {
        if cursor.peek_word() == header {
            return Err(cursor.error(format!("{header} headers are not supported")));
        }
    }
    if cursor.takes_word("udp") {
        let ports = ports(cursor)?;
        cursor.expect("(")?;
        let len = cursor.number("the length of a datagram")?;
        cursor.expect(")")?;
        return Ok(Packet { inbound, ip, ports, body: Body::Udp(len), text: None });
    }
    if cursor.takes_word("icmp") || cursor.takes_word("icmpv4") || cursor.takes_word("icmpv6") {
        let message = icmp(cursor)?;
        let body = Body::Icmp(Icmp { quote: quoted.unwrap_or(message.quote), ..message });
        return Ok(Packet { inbound, ip, ports: None, body, text: None });
    }
    if quoted.is_some() {
        return Err(cursor.expected("icmp"));
    }
    let ports = ports(cursor)?;
    let segment = segment(cursor)?;
    if inbound && (segment.options.is_none() || segment.any_seq) {
        return Err(cursor.error("... is only for packets that the stack sends"));
    }
    Ok(Packet { inbound, ip, ports, body: Body::Tcp(segment), text: None })
}

/// `[1:1(0)]`
fn quote_in_front(cursor: &mut Cursor<'_>) -> Result<Option<Quote>, ParseError> {
    let before = *cursor;
    if !cursor.takes("[")
        || !{
            cursor.skip_space();
            cursor.rest().starts_with(|c: char| c.is_ascii_digit())
        }
    {
        *cursor = before;
        return Ok(None);
    }
    let quoted = quote(cursor)?;
    cursor.expect("]").map(|()| Some(quoted))
}

/// `[ect0]`, `(ce, ttl 5)`, `[tos 0x10, flowlabel 0x1]`
fn marks(cursor: &mut Cursor<'_>) -> Result<IpMarks, ParseError> {
    let mut marks = IpMarks::default();
    let end = match () {
        () if cursor.takes("[") => "]",
        () if cursor.takes("(") => ")",
        () => return Ok(marks),
    };
    loop {
        let here = *cursor;
        match cursor.word() {
            Some("noecn") => marks.ecn = Some(Ecn::Not),
            Some("ect0") => marks.ecn = Some(Ecn::Ect0),
            Some("ect1") => marks.ecn = Some(Ecn::Ect1),
            Some("ect01") => marks.ecn = Some(Ecn::Either),
            Some("ce") => marks.ecn = Some(Ecn::Ce),
            Some("tos" | "tc") => marks.tos = Some(cursor.number("the traffic class")?),
            Some("ttl" | "hlim" | "hoplimit") => marks.ttl = Some(cursor.number("the time to live")?),
            Some("flowlabel") => marks.flow_label = Some(cursor.number("the flow label")?),
            _ => return Err(here.expected("noecn, ect0, ect1, ect01, ce, tos, ttl or flowlabel")),
        }
        if cursor.takes(end) {
            return Ok(marks);
        }
        cursor.expect(",")?;
    }
}

/// `8080 > 40000` before the flags.
fn ports(cursor: &mut Cursor<'_>) -> Result<Option<(u16, u16)>, ParseError> {
    let before = *cursor;
    cursor.skip_space();
    if cursor.run(|c| c.is_ascii_digit()).is_empty() || !cursor.sees(">") {
        *cursor = before;
        return Ok(None);
    }
    *cursor = before;
    let source = cursor.number("a port")?;
    cursor.expect(">")?;
    Ok(Some((source, cursor.number("a port")?)))
}

fn segment(cursor: &mut Cursor<'_>) -> Result<Segment, ParseError> {
    let flags = flags(cursor)?;
    // `...(0)`: any number.
    let any_seq = cursor.takes("...");
    let (seq, len) = if any_seq { (0, length(cursor)?) } else { sequence(cursor)? };
    let ack = if cursor.takes_word("ack") { cursor.number("the acknowledgment")? } else { 0 };
    let window = if cursor.takes_word("win") { Some(cursor.number("the window")?) } else { None };
    let urgent = if cursor.takes_word("urg") { cursor.number("the urgent pointer")? } else { 0 };
    // A `<` on a new line could only be the next packet's, and that has a time before it.
    let options = if cursor.takes("<") { options(cursor)? } else { Some(Vec::new()) };
    if cursor.sees("{") || cursor.sees("/udp") {
        return Err(cursor.error("mutations and encapsulation are not supported"));
    }
    Ok(Segment { flags, seq, any_seq, len, ack, window, urgent, options })
}

/// `S.`, `FP.`, `-` for none, `SEWA`; the three bits of ACE as a digit.
fn flags(cursor: &mut Cursor<'_>) -> Result<u16, ParseError> {
    cursor.skip_space();
    let start = *cursor;
    let written = cursor.run(|c| !c.is_whitespace());
    let mut flags = 0;
    for c in written.chars() {
        flags |= match c {
            'F' => flag::FIN,
            'S' => flag::SYN,
            'R' => flag::RST,
            'P' => flag::PSH,
            '.' => flag::ACK,
            'U' => flag::URG,
            'E' => flag::ECE,
            'W' | 'C' => flag::CWR,
            'A' | 'N' => flag::AE,
            '0'..='7' => (c as u16 - '0' as u16) << 6,
            '-' if written == "-" => 0,
            _ => return Err(start.expected("the flags of a segment, or the name of a protocol")),
        };
    }
    Ok(flags)
}

/// `first:end(len)`
fn sequence(cursor: &mut Cursor<'_>) -> Result<(u32, u32), ParseError> {
    let first: u32 = cursor.number("the sequence number")?;
    cursor.expect(":")?;
    let end: u32 = cursor.number("the end of the sequence numbers")?;
    let mut here = *cursor;
    here.takes("(");
    let len = length(cursor)?;
    if first.wrapping_add(len) != end {
        return Err(here.error("first sequence number, end and length do not agree"));
    }
    Ok((first, len))
}

/// `(len)`
fn length(cursor: &mut Cursor<'_>) -> Result<u32, ParseError> {
    cursor.expect("(")?;
    let len: u16 = cursor.number("the length of a segment")?;
    cursor.expect(")").map(|()| len.into())
}

fn options(cursor: &mut Cursor<'_>) -> Result<Option<Vec<TcpOption>>, ParseError> {
    if cursor.takes("...") {
        return cursor.expect(">").map(|()| None);
    }
    let mut all = Vec::new();
    loop {
        all.push(tcp_option(cursor)?);
        if cursor.takes(">") {
            return Ok(Some(all));
        }
        if !cursor.takes(",") {
            return Err(cursor.expected("\",\" or \">\""));
        }
    }
}

fn tcp_option(cursor: &mut Cursor<'_>) -> Result<TcpOption, ParseError> {
    let here = *cursor;
    Ok(match cursor.word() {
        Some("nop" | "NOP") => TcpOption::Nop,
        Some("eol" | "EOL") => TcpOption::Eol,
        Some("mss" | "MSS") => TcpOption::Mss(cursor.number("the segment size")?),
        Some("wscale" | "WS") => TcpOption::WindowScale(cursor.number("the window scale")?),
        Some("sackOK") => TcpOption::SackOk,
        Some("sack" | "SACK") => TcpOption::Sack(sack_blocks(cursor)?),
        Some("TS") => {
            word(cursor, "val")?;
            let value = cursor.number("the timestamp")?;
            word(cursor, "ecr")?;
            TcpOption::Timestamps(value, cursor.number("the echo")?)
        }
        Some("FO") => TcpOption::FastOpen(hex(cursor)?, false),
        Some("FOEXP") => TcpOption::FastOpen(hex(cursor)?, true),
        Some("md5") => TcpOption::Raw(19, hex(cursor)?),
        Some("ECN" | "AccECN") => TcpOption::AccEcn(acc_ecn(cursor)?),
        // An experiment by its number (RFC 6994), with its data.
        Some("exp") => TcpOption::Raw(254, hex(cursor)?),
        Some("raw" | "kind") => {
            let kind = cursor.number("the kind of an option")?;
            TcpOption::Raw(kind, hex(cursor)?)
        }
        _ => return Err(here.expected("an option of TCP")),
    })
}

fn word(cursor: &mut Cursor<'_>, word: &str) -> Result<(), ParseError> {
    if cursor.takes_word(word) { Ok(()) } else { Err(cursor.expected(&format!("{word:?}"))) }
}

fn sack_blocks(cursor: &mut Cursor<'_>) -> Result<Vec<(u32, u32)>, ParseError> {
    let mut blocks = Vec::new();
    loop {
        let left = cursor.number("the left edge of a block")?;
        cursor.expect(":")?;
        blocks.push((left, cursor.number("the right edge of a block")?));
        if cursor.sees(",") || cursor.sees(">") {
            return Ok(blocks);
        }
    }
}

/// Bytes in hexadecimal, none if the option ends here. A name for which nothing stands yet is none either.
fn hex(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, ParseError> {
    cursor.skip_space();
    let here = *cursor;
    let digits = cursor.run(|c| c.is_ascii_alphanumeric() || c == '_').trim_start_matches("0x");
    if digits == super::super::cookie::NAME {
        return Ok(Vec::new());
    }
    if digits.len() % 2 == 1 {
        return Err(here.error("a byte has two digits"));
    }
    let byte = |i| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    bytes.ok_or_else(|| here.expected("bytes in hexadecimal"))
}

/// `e1b 1 ceb 0 e0b 1`
fn acc_ecn(cursor: &mut Cursor<'_>) -> Result<Vec<(AccEcnField, u32)>, ParseError> {
    let mut fields = Vec::new();
    loop {
        let here = *cursor;
        let field = match cursor.word() {
            Some("e0b") => AccEcnField::E0b,
            Some("e1b") => AccEcnField::E1b,
            Some("ceb") => AccEcnField::Ceb,
            None => return Ok(fields),
            Some(_) => return Err(here.expected("e0b, e1b or ceb")),
        };
        fields.push((field, cursor.number("a counter of AccECN")?));
    }
}

/// `unreachable frag_needed mtu 1200 [1:1461(1460)]`
fn icmp(cursor: &mut Cursor<'_>) -> Result<Icmp, ParseError> {
    let kind = cursor.word().ok_or_else(|| cursor.expected("the type of an ICMP message"))?.to_string();
    let mut message = Icmp { kind, code: None, mtu: None, id: None, quote: Quote::Tcp(0, 0) };
    if !matches!(cursor.peek_word(), "mtu" | "id") {
        message.code = cursor.word().map(str::to_string);
    }
    if cursor.takes_word("mtu") {
        message.mtu = Some(cursor.number("the MTU")?);
    }
    if cursor.takes_word("id") {
        message.id = Some(cursor.number("the identifier")?);
    }
    if cursor.takes("[") {
        message.quote = quote(cursor)?;
        cursor.expect("]")?;
    }
    Ok(message)
}

fn quote(cursor: &mut Cursor<'_>) -> Result<Quote, ParseError> {
    let sized = |cursor: &mut Cursor<'_>| {
        cursor.expect("(")?;
        let len = cursor.number("the length of what is quoted")?;
        cursor.expect(")").map(|()| len)
    };
    if cursor.takes_word("udp") {
        return sized(cursor).map(Quote::Udp);
    }
    if cursor.takes_word("raw") {
        return sized(cursor).map(Quote::Raw);
    }
    sequence(cursor).map(|(seq, len)| Quote::Tcp(seq, len as u16))
}
