//! Tables: medians with their range, as Markdown that also reads well in a terminal.

use std::fmt::{self, Display};

/// A table with a heading.
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(title: &str, columns: [&str; N]) -> Self {
        Table { title: title.to_owned(), rows: vec![columns.map(str::to_owned).into()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.title)?;
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        for (i, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let w = widths[column];
                // The first column is text, the others are numbers.
                if column == 0 { write!(f, "| {cell:w$} ")? } else { write!(f, "| {cell:>w$} ")? }
            }
            writeln!(f, "|")?;
            if i == 0 {
                for (column, w) in widths.iter().enumerate() {
                    write!(f, "|{}{}", "-".repeat(w + 1), if column == 0 { "-" } else { ":" })?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

/// Samples of one quantity, the least first.
pub(crate) struct Samples(Vec<f64>);

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        Samples(samples)
    }
}

impl Samples {
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

impl Display for Samples {
    /// `median (least - greatest)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0[..] {
            [] => f.write_str("-"),
            [least, .., greatest] => {
                write!(f, "{} ({} - {})", number(self.median()), number(least), number(greatest))
            }
            [only] => f.write_str(&number(only)),
        }
    }
}

/// The mark before a goal: is it met?
pub(crate) fn verdict(met: bool) -> &'static str {
    if met { "met:" } else { "not met:" }
}

/// Three significant digits, more for large numbers.
pub(crate) fn number(v: f64) -> String {
    match v.abs() {
        a if a.is_nan() => "-".to_owned(),
        a if a >= 100.0 => format!("{v:.0}"),
        a if a >= 10.0 => format!("{v:.1}"),
        a if a >= 1.0 => format!("{v:.2}"),
        _ => format!("{v:.3}"),
    }
}
