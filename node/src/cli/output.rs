//! What commands print: JSON as it came, or tables that a person reads.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use serde::Serialize;

use super::failure::Exit;

/// Prints a line to the output, as `println!` does, but ends quietly when nobody reads on.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::output::line(format_args!($($words)*)) };
}
pub(crate) use say;

/// One line of output. A reader that has closed its end (`| head`) has seen enough: the process ends as done. An output that
/// takes nothing for another reason, as a full disk does, ends it as failed.
pub(crate) fn line(words: Arguments<'_>) {
    let Err(error) = written(words) else {
        return;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("the output could not be written: {error}");
    std::process::exit(Exit::Failed as i32);
}

/// One line of output that the caller does not end for. What other machines wrote stands in it: on a terminal it moves nothing.
pub(crate) fn written(words: Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.is_terminal() {
        true => writeln!(out, "{}", tame(&words.to_string()))?,
        false => writeln!(out, "{words}")?,
    }
    out.flush()
}

/// Text without anything that moves a terminal's cursor or turns its writing around.
pub(crate) fn tame(text: &str) -> String {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let tamed = text.chars().map(|c| match steers(c) || turns(c) {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    });
    tamed.collect()
}

/// Prints a value as JSON.
pub(crate) fn print_json<T: Serialize>(value: &T) {
    let text = serde_json::to_string_pretty(value).expect("answers always encode");
    say!("{text}");
}

/// A table whose columns are as wide as their widest cell.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    columns: usize,
}

/// Letters of a cell at most; what is longer ends in dots.
const CELL: usize = 60;

impl Table {
    /// With these headings.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self::of(headings.map(str::to_owned).into())
    }

    /// With headings known only now.
    pub fn of(headings: Vec<String>) -> Self {
        Self {
            columns: headings.len(),
            rows: vec![headings],
        }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The whole table as text.
    pub fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| clipped(cell).chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{:<width$}  ", clipped(cell)));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Prints it, or a sentence if it has no rows.
    pub fn print(&self, if_empty: &str) {
        if self.rows.len() == 1 {
            say!("{if_empty}");
        } else {
            say!("{}", self.text().trim_end());
        }
    }
}

/// One line of at most [`CELL`] letters, without anything that could move a terminal's cursor.
fn clipped(cell: &str) -> String {
    let clean: String = cell
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if clean.chars().count() <= CELL {
        return clean;
    }
    let head: String = clean.chars().take(CELL - 3).collect();
    head + "..."
}

/// A JSON value as a person writes it.
pub(crate) fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Wall-clock milliseconds as a day and time in UTC.
pub(crate) fn moment(at: studiovault_protocol::time::WallMs) -> String {
    let seconds = at.0.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's civil_from_days: eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use studiovault_protocol::time::WallMs;

    #[test]
    fn columns_line_up_and_long_cells_are_cut() {
        let mut table = Table::new(["a", "b"]);
        table.row(vec!["x".repeat(80), "1".into()]);
        table.row(vec!["é".into(), "2\n3".into()]);
        let text = table.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "one line a row");
        assert!(lines[1].contains("...") && lines[1].ends_with('1'));
        assert!(lines[2].ends_with("2 3"));
    }

    #[test]
    fn what_others_wrote_steers_no_terminal() {
        let wild = "\u{1b}[2Jname\u{202e}x\u{7}";
        assert_eq!(tame(wild), "\u{fffd}[2Jname\u{fffd}x\u{fffd}");
        let words = "São Paulo\n\tlinha 2";
        assert_eq!(tame(words), words);
    }

    #[test]
    fn moments_are_days_of_the_calendar() {
        assert_eq!(moment(WallMs(0)), "1970-01-01 00:00:00Z");
        assert_eq!(moment(WallMs(951_827_696_789)), "2000-02-29 12:34:56Z");
        assert_eq!(moment(WallMs(-1)), "1969-12-31 23:59:59Z");
    }
}
