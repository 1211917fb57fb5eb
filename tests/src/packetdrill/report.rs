//! What comes of a script, and the sums over many.

use std::collections::BTreeMap;
use std::fmt;

/// What came of a script.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// What was ignored.
    pub ignored: Vec<String>,
    /// What happened, a line each, if that was asked for.
    pub trace: Vec<String>,
}

/// Where and how a script and the stack disagree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The line, and the column for what can't be read.
    pub place: String,
    /// What is wrong.
    pub trouble: Trouble,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.trouble.message)
    }
}

/// What is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// Whose fault it is.
    pub kind: Kind,
    /// The same for all scripts that fail alike.
    pub cause: String,
    /// The whole story.
    pub message: String,
}

/// Whose fault it is that a script does not pass.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The stack does something else than the script expects.
    Fails,
    /// The runner does not know a word, a call or an option of the script, so nothing is said about the stack.
    Unreadable,
}

impl Trouble {
    pub(super) fn fails(cause: impl Into<String>, message: impl Into<String>) -> Trouble {
        Trouble { kind: Kind::Fails, cause: cause.into(), message: message.into() }
    }

    pub(super) fn at(self, place: impl ToString) -> Failure {
        Failure { place: place.to_string(), trouble: self }
    }
}

/// What is said without a cause is about what can't be read.
impl From<String> for Trouble {
    fn from(message: String) -> Trouble {
        Trouble { kind: Kind::Unreadable, cause: message.clone(), message }
    }
}

/// Counts scripts by what came of them.
#[derive(Debug, Default)]
pub struct Summary {
    passed: usize,
    deviating: usize,
    causes: BTreeMap<(Kind, String), (usize, String)>,
}

impl Summary {
    /// It passed.
    pub fn pass(&mut self) {
        self.passed += 1;
    }

    /// It fails, as it is to.
    pub fn deviate(&mut self) {
        self.deviating += 1;
    }

    /// It fails.
    pub fn fail(&mut self, trouble: &Trouble, name: &str) {
        let entry = self.causes.entry((trouble.kind, trouble.cause.clone()));
        entry.or_insert((0, name.into())).0 += 1;
    }

    /// It passes, and there is a reason on record why it can't.
    pub fn fail_unexpectedly(&mut self, name: &str) {
        self.fail(&Trouble::fails("passes, but was to fail", ""), name);
    }

    fn count(&self, kind: Kind) -> usize {
        self.causes.iter().filter(|((k, _), _)| *k == kind).map(|(_, (n, _))| n).sum()
    }

    /// Nothing failed that is to pass.
    pub fn is_clean(&self) -> bool {
        self.causes.is_empty()
    }
}

/// Scripts that fail by cause, the most frequent first; then the score.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut causes: Vec<_> = self.causes.iter().collect();
        causes.sort_by_key(|((kind, _), (n, _))| (*kind, std::cmp::Reverse(*n)));
        for ((kind, cause), (n, example)) in causes {
            let what = if *kind == Kind::Fails { "fail" } else { "can't be read" };
            writeln!(f, "{n} {what}: {cause} (as {example})")?;
        }
        let (failed, unread) = (self.count(Kind::Fails), self.count(Kind::Unreadable));
        write!(f, "{} of {} pass", self.passed, self.passed + self.deviating + failed + unread)?;
        for (n, what) in [(self.deviating, "deviate"), (failed, "fail"), (unread, "can't be read")] {
            if n > 0 {
                write!(f, ", {n} {what}")?;
            }
        }
        Ok(())
    }
}
