//! The assertions in `%{ … }%`: the small part of Python that scripts use, on what our stack tells of a
//! connection.

use barenet::{RecoveryPhase, State, TcpInfo};
use std::collections::BTreeMap;

/// What the names in an assertion stand for.
pub(super) type Variables = BTreeMap<&'static str, i64>;

/// What came of a block of code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// All holds.
    Holds,
    /// This does not, and what it came to.
    Fails(String),
    /// A name or a form that we don't know.
    Unknown(String),
}

/// The states by the numbers of Linux and by their names in both systems.
const STATES: [(&str, &str, i64); 11] = [
    ("TCP_ESTABLISHED", "TCPI_ESTABLISHED", 1),
    ("TCP_SYN_SENT", "TCPI_SYN_SENT", 2),
    ("TCP_SYN_RECV", "TCPI_SYN_RECEIVED", 3),
    ("TCP_FIN_WAIT1", "TCPI_FIN_WAIT_1", 4),
    ("TCP_FIN_WAIT2", "TCPI_FIN_WAIT_2", 5),
    ("TCP_TIME_WAIT", "TCPI_TIME_WAIT", 6),
    ("TCP_CLOSE", "TCPI_CLOSED", 7),
    ("TCP_CLOSE_WAIT", "TCPI_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", "TCPI_LAST_ACK", 9),
    ("TCP_LISTEN", "TCPI_LISTEN", 10),
    ("TCP_CLOSING", "TCPI_CLOSING", 11),
];

/// What is known of a connection, by the names of `struct tcp_info`. `waits`: it is in TIME-WAIT, which
/// is closed to its application.
pub(super) fn variables(info: Option<&TcpInfo>, waits: bool) -> Variables {
    let mut all = Variables::new();
    for (linux, freebsd, number) in STATES {
        all.insert(linux, number);
        all.insert(freebsd, number);
    }
    all.extend([("True", 1), ("False", 0), ("None", 0)]);
    all.extend([
        ("TCPI_OPT_TIMESTAMPS", 1),
        ("TCPI_OPT_SACK", 2),
        ("TCPI_OPT_WSCALE", 4),
        ("TCPI_OPT_ECN", 8),
    ]);
    let Some(info) = info else { return all };
    let mss = i64::from(info.mss.max(1));
    let segments = |bytes: u32| (i64::from(bytes) + mss - 1) / mss;
    all.extend([
        ("tcpi_state", if waits { 6 } else { state_number(info.state).into() }),
        ("tcpi_snd_mss", info.mss.into()),
        ("tcpi_rcv_mss", info.mss_received.into()),
        ("tcpi_snd_wscale", info.send_scale.into()),
        ("tcpi_rcv_wscale", info.receive_scale.into()),
        ("tcpi_rtt", info.rtt.map_or(0, |d| d.micros() as i64)),
        ("tcpi_rttvar", info.rtt_var.micros() as i64),
        ("tcpi_rto", info.rto.micros() as i64),
        ("tcpi_backoff", info.back_offs.into()),
        ("tcpi_snd_cwnd", segments(info.cwnd)),
        (
            "tcpi_snd_ssthresh",
            if info.ssthresh >= 1 << 30 { i32::MAX.into() } else { segments(info.ssthresh) },
        ),
        ("tcpi_unacked", segments(info.unacked)),
        ("tcpi_sacked", segments(info.sacked)),
        ("tcpi_lost", segments(info.lost)),
        ("tcpi_ca_state", recovery_number(info.recovery)),
        ("TCP_CA_Open", 0),
        ("TCP_CA_Disorder", 1),
        ("TCP_CA_CWR", 2),
        ("TCP_CA_Recovery", 3),
        ("TCP_CA_Loss", 4),
        ("tcpi_notsent_bytes", info.unsent.into()),
        ("tcpi_snd_wnd", info.send_window.into()),
        ("tcpi_bytes_sent", (info.bytes_sent + info.bytes_retransmitted) as i64),
        ("tcpi_bytes_acked", info.bytes_acked as i64),
        ("tcpi_bytes_received", info.bytes_received as i64),
        ("tcpi_bytes_retrans", info.bytes_retransmitted as i64),
        ("tcpi_segs_out", info.segments_sent.into()),
        ("tcpi_segs_in", info.segments_received.into()),
        ("tcpi_total_retrans", info.segments_retransmitted.into()),
    ]);
    all
}

/// The state of recovery by the number that Linux gives it.
fn recovery_number(phase: RecoveryPhase) -> i64 {
    match phase {
        RecoveryPhase::Open => 0,
        RecoveryPhase::Fast => 3,
        RecoveryPhase::Loss => 4,
    }
}

/// The number that Linux gives a state.
pub(super) fn state_number(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Closing => 11,
    }
}

/// Looks at each statement of a block.
pub(super) fn run(code: &str, variables: &Variables) -> Verdict {
    for statement in code.split(['\n', ';']) {
        let statement = statement.split('#').next().unwrap_or_default().trim();
        if statement.is_empty() || statement == "pass" || statement.starts_with("print") {
            continue;
        }
        let Some(assertion) = statement.strip_prefix("assert") else {
            return Verdict::Unknown(statement.to_string());
        };
        // What is said when it fails.
        let condition = split_at_comma(assertion).trim();
        let mut parser = Parser { rest: condition, variables };
        match parser.or() {
            Ok(value) if parser.rest.trim().is_empty() => {
                if value == 0 {
                    return Verdict::Fails(parser.explain(condition));
                }
            }
            Ok(_) => return Verdict::Unknown(parser.rest.trim().to_string()),
            Err(what) => return Verdict::Unknown(what),
        }
    }
    Verdict::Holds
}

/// What stands before the first comma that is in no parentheses.
fn split_at_comma(text: &str) -> &str {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => return &text[..i],
            _ => {}
        }
    }
    text
}

/// Reads and evaluates at once: `or`, `and`, `not`, comparisons, sums, products.
struct Parser<'t> {
    rest: &'t str,
    variables: &'t Variables,
}

type Number = Result<i64, String>;

impl Parser<'_> {
    fn takes(&mut self, what: &str) -> bool {
        self.rest = self.rest.trim_start();
        let is_word = what.starts_with(char::is_alphabetic);
        let Some(after) = self.rest.strip_prefix(what) else { return false };
        if is_word && after.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return false;
        }
        self.rest = after;
        true
    }

    fn or(&mut self) -> Number {
        let mut value = self.and()?;
        while self.takes("or") {
            let other = self.and()?;
            value = if value != 0 { value } else { other };
        }
        Ok(value)
    }

    fn and(&mut self) -> Number {
        let mut value = self.not()?;
        while self.takes("and") {
            let other = self.not()?;
            value = if value == 0 { value } else { other };
        }
        Ok(value)
    }

    fn not(&mut self) -> Number {
        if self.takes("not") { Ok((self.not()? == 0).into()) } else { self.comparison() }
    }

    /// `a < b <= c` holds if both do.
    fn comparison(&mut self) -> Number {
        let first = self.sum()?;
        let (mut left, mut all, mut any) = (first, true, false);
        loop {
            let holds: fn(i64, i64) -> bool = match () {
                () if self.takes("==") => |a, b| a == b,
                () if self.takes("!=") => |a, b| a != b,
                () if self.takes("<=") => |a, b| a <= b,
                () if self.takes(">=") => |a, b| a >= b,
                () if self.takes("<") => |a, b| a < b,
                () if self.takes(">") => |a, b| a > b,
                () => return Ok(if any { all.into() } else { first }),
            };
            let right = self.sum()?;
            all &= holds(left, right);
            (left, any) = (right, true);
        }
    }

    fn sum(&mut self) -> Number {
        let mut value = self.product()?;
        loop {
            match () {
                () if self.takes("+") => value += self.product()?,
                () if self.takes("-") => value -= self.product()?,
                () if self.takes("&") => value &= self.product()?,
                () if self.takes("|") => value |= self.product()?,
                () => return Ok(value),
            }
        }
    }

    fn product(&mut self) -> Number {
        let mut value = self.unit()?;
        loop {
            match () {
                () if self.takes("*") => value *= self.unit()?,
                () if self.takes("//") || self.takes("/") => match self.unit()? {
                    0 => return Err("a division by zero".into()),
                    n => value /= n,
                },
                () => return Ok(value),
            }
        }
    }

    fn unit(&mut self) -> Number {
        if self.takes("(") {
            let value = self.or()?;
            return if self.takes(")") { Ok(value) } else { Err(self.rest.to_string()) };
        }
        if self.takes("-") {
            return Ok(-self.unit()?);
        }
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
        let (word, after) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = after;
        if let Some(hex) = word.strip_prefix("0x") {
            return i64::from_str_radix(hex, 16).map_err(|e| e.to_string());
        }
        match word.parse() {
            Ok(number) => Ok(number),
            Err(_) => self.variables.get(word).copied().ok_or_else(|| word.to_string()),
        }
    }

    /// The condition with the values of its variables.
    fn explain(&self, condition: &str) -> String {
        let named =
            self.variables.iter().filter(|(name, _)| name.starts_with("tcpi") && condition.contains(**name));
        let values: Vec<String> = named.map(|(name, value)| format!("{name} is {value}")).collect();
        values.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assertions_are_evaluated() {
        let mut variables = variables(None, false);
        variables.insert("tcpi_snd_cwnd", 10);
        let run = |code: &str| run(code, &variables);
        assert_eq!(run("assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd; print(tcpi_x)"), Verdict::Holds);
        assert_eq!(run("\n# note\nassert (5 < tcpi_snd_cwnd <= 2 * 5) and not False"), Verdict::Holds);
        assert_eq!(run("assert tcpi_snd_cwnd - 1 == 0x9 or tcpi_snd_cwnd == 3"), Verdict::Holds);
        assert_eq!(run("assert tcpi_snd_cwnd == 3"), Verdict::Fails("tcpi_snd_cwnd is 10".into()));
        assert_eq!(run("assert tcpi_other == 3"), Verdict::Unknown("tcpi_other".into()));
        assert_eq!(run("import x"), Verdict::Unknown("import x".into()));
    }
}
