//! The text of a script: comments and `#ifdef` taken out, and a cursor that knows its line and column.

use std::fmt;

/// Why a script can't be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Blanks comments and the branches of `#ifdef` that are not taken. Lines and columns stay.
pub(super) fn strip(text: &str, defined: &[&str]) -> Result<String, ParseError> {
    let text = blank_comments(text);
    let mut out = String::with_capacity(text.len());
    let mut conditions: Vec<(usize, bool)> = Vec::new();
    let mut literal = None;
    for (i, line) in text.split_inclusive('\n').enumerate() {
        let error = |message: &str| ParseError { line: i + 1, column: 1, message: message.into() };
        let inside = literal;
        literal = ends_in(line, literal);
        let directive = if inside.is_none() { line.trim_start().strip_prefix('#') } else { None };
        let Some(directive) = directive else {
            let taken = conditions.iter().all(|(_, taken)| *taken);
            out.extend(line.chars().map(|c| if taken || c == '\n' { c } else { ' ' }));
            continue;
        };
        let mut words = directive.split_whitespace();
        match words.next() {
            Some(word @ ("ifdef" | "ifndef")) => {
                let name = words.next().ok_or_else(|| error("a name is missing"))?;
                conditions.push((i + 1, defined.contains(&name) == (word == "ifdef")));
            }
            Some("else") => {
                let last = conditions.last_mut().ok_or_else(|| error("#else without #ifdef"))?;
                last.1 = !last.1;
            }
            Some("endif") => {
                conditions.pop().ok_or_else(|| error("#endif without #ifdef"))?;
            }
            // Any other line that starts so is a comment.
            _ => {}
        }
        out.extend(line.chars().map(|c| if c == '\n' { c } else { ' ' }));
    }
    match conditions.pop() {
        Some((line, _)) => Err(ParseError { line, column: 1, message: "#ifdef without #endif".into() }),
        None => Ok(out),
    }
}

/// Which literal (text, shell command, code) a place is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Literal {
    Text,
    Shell,
    Code,
}

/// The literal that a line ends in, if it starts in this one.
fn ends_in(line: &str, mut literal: Option<Literal>) -> Option<Literal> {
    let bytes = line.as_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        let next = bytes.get(i + 1);
        literal = match (literal, byte) {
            (None, b'"') => Some(Literal::Text),
            (None, b'`') => Some(Literal::Shell),
            (None, b'%') if next == Some(&b'{') => Some(Literal::Code),
            (Some(Literal::Text), b'"') | (Some(Literal::Shell), b'`') => None,
            (Some(Literal::Code), b'}') if next == Some(&b'%') => None,
            (same, _) => same,
        };
    }
    literal
}

/// Blanks `//` and `/* */` outside of literals.
fn blank_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut literal = None;
    while let Some(c) = rest.chars().next() {
        let comment_len = match literal {
            None if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            None if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => 0,
        };
        if comment_len > 0 {
            out.extend(rest[..comment_len].chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = &rest[comment_len..];
            continue;
        }
        // The delimiters of code are two characters: look at them together.
        let len = if rest.starts_with("%{") || rest.starts_with("}%") { 2 } else { c.len_utf8() };
        literal = ends_in(&rest[..len], literal);
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

/// Where the parser stands.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Cursor { text, at: 0 }
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What was read since `start`, on one line.
    pub(super) fn since(&self, start: usize) -> String {
        self.text[start..self.at].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn line(&self) -> usize {
        self.text[..self.at].matches('\n').count() + 1
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        let column = self.at - self.text[..self.at].rfind('\n').map_or(0, |n| n + 1) + 1;
        ParseError { line: self.line(), column, message: message.into() }
    }

    /// An error that says what was expected instead of what is here.
    pub(super) fn expected(&self, what: &str) -> ParseError {
        let here: String = self.rest().chars().take_while(|c| *c != '\n').take(24).collect();
        let here = if self.rest().is_empty() { "the end of the script".into() } else { format!("{here:?}") };
        self.error(format!("expected {what}, found {here}"))
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(super) fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Skips white space; true if the script ends here.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    /// Is this next?
    pub(super) fn sees(&mut self, what: &str) -> bool {
        self.skip_space();
        self.rest().starts_with(what)
    }

    /// Takes this if it is next.
    pub(super) fn takes(&mut self, what: &str) -> bool {
        let seen = self.sees(what);
        self.at += if seen { what.len() } else { 0 };
        seen
    }

    pub(super) fn expect(&mut self, what: &str) -> Result<(), ParseError> {
        if self.takes(what) { Ok(()) } else { Err(self.expected(&format!("{what:?}"))) }
    }

    /// The word that is next, if one is, without taking it.
    pub(super) fn peek_word(&mut self) -> &'t str {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let word = &rest[..end.unwrap_or(rest.len())];
        if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') { word } else { "" }
    }

    /// Takes a word of letters, digits and `_` if one is next.
    pub(super) fn word(&mut self) -> Option<&'t str> {
        let word = self.peek_word();
        self.at += word.len();
        (!word.is_empty()).then_some(word)
    }

    /// Takes this word if it is next, whole.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let seen = self.peek_word() == word;
        self.at += if seen { word.len() } else { 0 };
        seen
    }

    /// Takes all that is up to this, and this.
    pub(super) fn until(&mut self, end: &str, what: &str) -> Result<&'t str, ParseError> {
        let rest = self.rest();
        let len = rest.find(end).ok_or_else(|| self.error(format!("{what} does not end")))?;
        self.at += len + end.len();
        Ok(&rest[..len])
    }

    /// Takes characters as long as they are such.
    pub(super) fn run(&mut self, which: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let run = &rest[..rest.find(|c| !which(c)).unwrap_or(rest.len())];
        self.at += run.len();
        run
    }

    /// A number, decimal or with `0x`.
    pub(super) fn int(&mut self) -> Result<i64, ParseError> {
        self.skip_space();
        let start = *self;
        let negative = self.takes("-");
        let number = if self.takes("0x") {
            i64::from_str_radix(self.run(|c| c.is_ascii_hexdigit()), 16)
        } else {
            self.run(|c| c.is_ascii_digit()).parse()
        };
        let number = number.map_err(|_| start.expected("a number"))?;
        Ok(if negative { -number } else { number })
    }

    /// A number of this type.
    pub(super) fn number<N: TryFrom<i64>>(&mut self, what: &str) -> Result<N, ParseError> {
        self.skip_space();
        let start = *self;
        N::try_from(self.int()?).map_err(|_| start.error(format!("{what} is out of range")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_branches_are_blanked_in_place() {
        let text = "1 `a // b` // c\n#ifdef X\n2 x\n#else\n3 y\n#endif\n# note\n4 %{ a // 2 }% /* d\ne */ 5";
        let lines = |defined: &[&str]| {
            let text = strip(text, defined).unwrap();
            text.split('\n').map(|l| l.trim_end().to_string()).collect::<Vec<_>>()
        };
        let with_x = ["1 `a // b`", "", "2 x", "", "", "", "", "4 %{ a // 2 }%", "     5"];
        assert_eq!(lines(&["X"]), with_x);
        assert_eq!(lines(&[])[2..5], ["", "", "3 y"]);
        assert_eq!(strip("\n#ifdef X", &[]).unwrap_err().line, 2);
        assert_eq!(strip("#endif", &[]).unwrap_err().message, "#endif without #ifdef");
    }

    #[test]
    fn errors_name_line_and_column() {
        let mut cursor = Cursor::new("a\n  b 99999");
        cursor.word();
        cursor.word();
        let error = cursor.number::<u16>("a port").unwrap_err();
        assert_eq!(error.to_string(), "2:5: a port is out of range");
        assert!(cursor.is_at_end());
        assert_eq!(cursor.expected("a time").message, "expected a time, found the end of the script");
    }
}
