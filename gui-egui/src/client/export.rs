//! What happened, as a file for a spreadsheet: all rows that a filter lets through, however many.
//!
//! Written page by page into the person's own folder; a cell that a spreadsheet would take for a formula is quoted as text.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use studiovault_protocol::api::ActivityRow;

use super::link::{Asked, Link};
use crate::failure::Failure;
use crate::folder::home;
use crate::message::Done;
use crate::model::{ActivityFilter, changes_text, count, op_words};

const HEAD: &str = "when,machine,person,what,type,name,id,changes,stands,code\r\n";

pub(super) async fn export(link: &Link, filter: &ActivityFilter) -> Result<Asked<Done>, Failure> {
    let path = place();
    let failed = |error: std::io::Error| {
        let shown = path.display();
        format!("{shown} was not written: {error}. See that there is room, and try again.")
    };
    let mut file = match File::create(&path) {
        Ok(file) => BufWriter::new(file),
        Err(error) => return Ok(Err(failed(error))),
    };
    let (mut before, mut rows) = (None, 0);
    let mut text = HEAD.to_owned();
    loop {
        let page = link.activity(before).await?;
        for row in page.rows.iter().filter(|row| filter.admits(row)) {
            text.push_str(&line(row));
            rows += 1;
        }
        if let Err(error) = file.write_all(text.as_bytes()) {
            return Ok(Err(failed(error)));
        }
        text.clear();
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    if let Err(error) = file.flush() {
        return Ok(Err(failed(error)));
    }
    let note = format!("{} rows are in {}.", count(rows), path.display());
    Ok(Ok(Done {
        note: Some(note),
        ..Done::default()
    }))
}

fn place() -> PathBuf {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let folder = home().unwrap_or_else(std::env::temp_dir);
    folder.join(format!("studiovault-activity-{seconds}.csv"))
}

fn line(row: &ActivityRow) -> String {
    let when = jiff::Timestamp::from_millisecond(row.ts.0);
    let cells = [
        when.map(|when| when.to_string()).unwrap_or_default(),
        row.device.clone(),
        row.actor.clone(),
        op_words(row.op).to_owned(),
        row.entity_type.clone(),
        row.label.clone(),
        row.entity.to_string(),
        changes_text(&row.fields),
        row.sync_state.to_string(),
        row.code.clone().unwrap_or_default(),
    ];
    cells.map(|cell| quoted(&cell)).join(",") + "\r\n"
}

fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    if formula || cell.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_ends_early() {
        assert_eq!(quoted("Silva"), "Silva");
        assert_eq!(quoted("Silva, Ana"), "\"Silva, Ana\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("a \"b\""), "\"a \"\"b\"\"\"");
    }
}
