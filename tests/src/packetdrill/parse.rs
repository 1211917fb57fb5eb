//! Reads scripts: the union of packetdrill's two dialects, Google's and that of the FreeBSD suite.

mod call;
mod packet;
#[cfg(test)]
mod tests;

use super::script::{Event, Script, What, When};
use super::text::{Cursor, ParseError, strip};

/// Names of `#ifdef` that hold: where a suite offers what the RFCs say beside what one system does,
/// the former is taken.
pub const DEFINED: [&str; 1] = ["STANDARD"];

/// Reads a script in which these names are defined, and stand for what is beside them, if that is not empty.
///
/// # Errors
///
/// Where it is no script that we know how to read.
pub fn parse(text: &str, defines: &[(String, String)]) -> Result<Script, ParseError> {
    let names: Vec<&str> = DEFINED.into_iter().chain(defines.iter().map(|(name, _)| name.as_str())).collect();
    let text = strip(text, &names)?;
    let text = expand(&text, defines);
    let mut cursor = Cursor::new(&text);
    let mut script = Script::default();
    while cursor.sees("--") {
        script.options.push(option(&mut cursor)?);
    }
    while !cursor.is_at_end() {
        script.events.push(event(&mut cursor)?);
    }
    Ok(script)
}

/// Replaces `${NAME}` by what `--define=NAME=value` in the script or a definition of the caller says, and a name of
/// the caller's also where it stands alone.
fn expand(text: &str, defines: &[(String, String)]) -> String {
    let mut text = text.to_string();
    for (name, value) in defines.iter().filter(|(_, value)| !value.is_empty()) {
        text = replace_word(&text.replace(&format!("${{{name}}}"), value), name, value);
    }
    for line in text.clone().lines() {
        if let Some((name, value)) =
            line.trim().strip_prefix("--define=").and_then(|d| d.trim().split_once('='))
        {
            text = text.replace(&format!("${{{name}}}"), value.trim_matches('"'));
        }
    }
    text
}

/// Replaces a name where it is a whole word.
fn replace_word(text: &str, name: &str, value: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        out.push_str(before);
        let is_word = !out.ends_with(is_part) && !after.starts_with(is_part);
        out.push_str(if is_word { value } else { name });
        rest = after;
    }
    out + rest
}

/// `--name` or `--name=value`; a value may be a word, a number, an address, text or `NAME=value`.
fn option(cursor: &mut Cursor<'_>) -> Result<(String, String), ParseError> {
    cursor.expect("--")?;
    let name = cursor.word().ok_or_else(|| cursor.expected("the name of an option"))?.to_string();
    if !cursor.takes("=") {
        return Ok((name, String::new()));
    }
    cursor.skip_space();
    let start = cursor.at();
    cursor.run(|c| !c.is_whitespace() && !matches!(c, '"' | '`'));
    if cursor.rest().starts_with(['"', '`']) {
        let quote = &cursor.rest()[..1];
        cursor.skip(1);
        cursor.until(quote, "the value of an option")?;
    }
    Ok((name, cursor.since(start).trim_matches('"').to_string()))
}

fn event(cursor: &mut Cursor<'_>) -> Result<Event, ParseError> {
    // Commands before the first event and after the last have no time.
    let when = if cursor.sees("`") { When::After(0) } else { time(cursor)? };
    cursor.skip_space();
    let (line, start) = (cursor.line(), cursor.at());
    let begin = *cursor;
    let what = action(cursor, when)?;
    let outbound = matches!(&what, What::Packet(p) if !p.inbound);
    if matches!(when, When::Any | When::AtBetween(..) | When::AfterBetween(..)) && !outbound {
        return Err(begin.error("only a packet that the stack sends can have such a time"));
    }
    Ok(Event { line, when, what, text: cursor.since(start) })
}

fn action(cursor: &mut Cursor<'_>, when: When) -> Result<What, ParseError> {
    if cursor.takes("`") {
        return Ok(What::Shell(cursor.until("`", "a command")?.trim().to_string()));
    }
    if cursor.takes("%{") {
        return Ok(What::Code(cursor.until("}%", "code")?.to_string()));
    }
    let end = if cursor.takes("...") {
        cursor.takes("+");
        Some(seconds(cursor)?)
    } else {
        None
    };
    if end.is_none() && (cursor.sees("<") || cursor.sees(">")) {
        return Ok(What::Packet(packet::packet(cursor)?));
    }
    let call = call::call(cursor, end)?;
    let start = match when {
        When::At(start) | When::After(start) => start,
        When::Any | When::AtBetween(..) | When::AfterBetween(..) => 0,
    };
    match end {
        Some(end) if end < start => Err(cursor.error("the call ends before it starts")),
        _ => Ok(What::Call(call)),
    }
}

fn time(cursor: &mut Cursor<'_>) -> Result<When, ParseError> {
    if cursor.takes("*") {
        return Ok(When::Any);
    }
    let relative = cursor.takes("+");
    // `+~+.2`: from now on.
    let start = if relative && cursor.sees("~") { 0 } else { seconds(cursor)? };
    if !cursor.takes("~") {
        return Ok(if relative { When::After(start) } else { When::At(start) });
    }
    if cursor.takes("+") != relative {
        return Err(cursor.error("one end of the range is relative, the other is not"));
    }
    let end = seconds(cursor)?;
    match relative {
        _ if end < start => Err(cursor.error("the range of times is backwards")),
        true => Ok(When::AfterBetween(start, end)),
        false => Ok(When::AtBetween(start, end)),
    }
}

/// Seconds with a fraction, as microseconds.
fn seconds(cursor: &mut Cursor<'_>) -> Result<u64, ParseError> {
    cursor.skip_space();
    let start = *cursor;
    let whole = cursor.run(|c| c.is_ascii_digit());
    let mut fraction = "";
    // `0...1`: that is no decimal point.
    if cursor.rest().starts_with('.') && !cursor.rest().starts_with("..") {
        cursor.skip(1);
        fraction = cursor.run(|c| c.is_ascii_digit());
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(start.expected("a time"));
    }
    let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let number = |digits: &str| if digits.is_empty() { Ok(0) } else { digits.parse::<u64>() };
    match (number(whole), number(&micros)) {
        (Ok(whole), Ok(micros)) if whole < 1 << 40 => Ok(whole * 1_000_000 + micros),
        _ => Err(start.error("the time is out of range")),
    }
}
