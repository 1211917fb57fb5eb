//! Scripts of other suites that we choose not to pass, and why.

use std::path::Path;

/// The list that comes with the program: `tests/scripts/DEVIATIONS.tsv`.
const OURS: &str = include_str!("../../scripts/DEVIATIONS.tsv");

/// Scripts that are to fail.
#[derive(Debug)]
pub struct Deviations(Vec<(String, String)>);

impl Default for Deviations {
    fn default() -> Self {
        Deviations::read(OURS)
    }
}

/// A row that speaks of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deviation<'d> {
    /// Why we do not pass it.
    pub reason: &'d str,
    /// It is to fail: the row names this script alone, and does not begin with "not yet".
    pub must_fail: bool,
}

impl Deviations {
    /// Rows of a pattern, a tab and a reason; `#` begins a comment.
    pub fn read(text: &str) -> Deviations {
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        let rows = rows.filter_map(|line| line.split_once('\t'));
        Deviations(rows.map(|(pattern, reason)| (pattern.into(), reason.into())).collect())
    }

    /// None.
    pub fn none() -> Deviations {
        Deviations(Vec::new())
    }

    /// The first row that speaks of this script.
    pub fn of(&self, path: &Path) -> Option<Deviation<'_>> {
        let path = format!("/{}", path.display());
        let (pattern, reason) = self.0.iter().find(|(pattern, _)| matches(&format!("*/{pattern}"), &path))?;
        Some(Deviation { reason, must_fail: !pattern.contains('*') && !reason.starts_with("not yet") })
    }
}

/// Does the text match a pattern in which `*` stands for anything?
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(head) else { return false };
    let mut places = rest.char_indices().map(|(i, _)| i).chain([rest.len()]);
    places.any(|i| matches(tail, &rest[i..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_speak_of_the_ends_of_paths() {
        let rows = "# a comment\na/b.pkt\twhy\n*-insecure-*\tmany\nc*d.pkt\tnot yet\n";
        let deviations = Deviations::read(rows);
        let of = |path: &str| deviations.of(Path::new(path)).map(|d| (d.reason, d.must_fail));
        assert_eq!(of("/x/a/b.pkt"), Some(("why", true)));
        assert_eq!(of("a/b.pkt"), Some(("why", true)));
        assert_eq!(of("aa/b.pkt"), None);
        assert_eq!(of("x/rcv-syn-insecure-ipv4.pkt"), Some(("many", false)));
        assert_eq!(of("x/cd.pkt"), Some(("not yet", false)));
        assert_eq!(of("x/cd.pkt2"), None);
    }

    #[test]
    fn ours_has_a_reason_in_each_row() {
        assert!(OURS.lines().all(|line| line.starts_with('#') || line.split('\t').count() == 2));
        assert!(
            Deviations::default().0.iter().all(|(pattern, reason)| !pattern.is_empty() && reason.len() > 20)
        );
    }
}
