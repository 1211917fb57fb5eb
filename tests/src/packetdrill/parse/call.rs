//! System calls and the expressions in them.

use super::super::script::{Call, Value};
use super::super::text::{Cursor, ParseError};

/// `name(arguments) = result ERRNO (note)`
pub(super) fn call(cursor: &mut Cursor<'_>, end: Option<u64>) -> Result<Call, ParseError> {
    let name = cursor.word().ok_or_else(|| cursor.expected("a packet or a system call"))?.to_string();
    cursor.expect("(")?;
    let arguments = values(cursor, ")")?;
    cursor.expect("=")?;
    let result = value(cursor)?;
    let errno = cursor.word().map(str::to_string);
    if cursor.takes("(") {
        cursor.until(")", "a note")?;
    }
    Ok(Call { end, name, arguments, result, errno })
}

/// Expressions separated by commas, up to `end` and with it.
fn values(cursor: &mut Cursor<'_>, end: &str) -> Result<Vec<Value>, ParseError> {
    let mut all = Vec::new();
    if cursor.takes(end) {
        return Ok(all);
    }
    loop {
        all.push(value(cursor)?);
        if cursor.takes(end) {
            return Ok(all);
        }
        if !cursor.takes(",") {
            return Err(cursor.expected(&format!("\",\" or {end:?}")));
        }
    }
}

fn value(cursor: &mut Cursor<'_>) -> Result<Value, ParseError> {
    let first = simple(cursor)?;
    if !cursor.sees("|") {
        return Ok(first);
    }
    let mut all = vec![first];
    while cursor.takes("|") {
        all.push(simple(cursor)?);
    }
    Ok(Value::Or(all))
}

fn simple(cursor: &mut Cursor<'_>) -> Result<Value, ParseError> {
    if cursor.takes("...") {
        return Ok(Value::Any);
    }
    if cursor.takes("[") {
        return Ok(Value::List(values(cursor, "]")?));
    }
    if cursor.takes("{") {
        return structure(cursor);
    }
    if cursor.takes("(") {
        let inner = value(cursor)?;
        return cursor.expect(")").map(|()| inner);
    }
    if cursor.sees("\"") {
        return text(cursor);
    }
    let Some(word) = cursor.word() else {
        return cursor.int().map(Value::Int).map_err(|_| cursor.expected("an expression"));
    };
    // A member of a struct may have a size or be a function: `msg_iov(1)=…`, `htons(80)`.
    if cursor.takes("(") {
        return Ok(Value::Apply(word.to_string(), values(cursor, ")")?));
    }
    Ok(Value::Word(word.to_string()))
}

/// Pieces of text in quotes; a `...` behind them says that what follows them does not matter.
fn text(cursor: &mut Cursor<'_>) -> Result<Value, ParseError> {
    let mut all = String::new();
    while cursor.takes("\"") {
        all.push_str(&unescape(cursor.until("\"", "a text")?));
    }
    cursor.takes("...");
    Ok(Value::Text(all))
}

/// `\xNN`, `\n`, `\t`, `\0`, `\\`
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('0') => out.push('\0'),
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&digits, 16).map_or('?', char::from));
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

/// `{name = value, value}`; the brace is read.
fn structure(cursor: &mut Cursor<'_>) -> Result<Value, ParseError> {
    let mut fields = Vec::new();
    if cursor.takes("}") {
        return Ok(Value::Struct(fields));
    }
    loop {
        let first = value(cursor)?;
        let field = match first {
            // What a member's name has in parentheses says the same again.
            Value::Word(name) | Value::Apply(name, _) if cursor.takes("=") => (Some(name), value(cursor)?),
            first => (None, first),
        };
        fields.push(field);
        if cursor.takes("}") {
            return Ok(Value::Struct(fields));
        }
        if !cursor.takes(",") {
            return Err(cursor.expected("\",\" or \"}\""));
        }
    }
}
