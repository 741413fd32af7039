//! `pos` and `quarantine`: what the point of sale comes to, and what was set aside.

use clap::{Args, Subcommand};
use studiovault_protocol::api::{PosTotals, QuarantinePage};
use studiovault_protocol::pos::{Sums, minor_digits};

use super::output::{Table, moment, say};
use super::read::show;
use super::{Call, Outcome};

#[derive(Args)]
pub(crate) struct Pos {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// What a day's sales come to, by machine and in all
    Totals {
        /// The day, such as 2026-11-22 [default: today in the studio's time zone]
        #[arg(long, value_name = "DAY")]
        day: Option<String>,
    },
}

/// `studiovault pos totals`.
pub(crate) fn pos(call: &Call, pos: Pos) -> Outcome {
    let Question::Totals { day } = pos.question;
    let path = match day {
        Some(day) => format!("/pos/totals?day={}", super::client::escaped(&day)),
        None => "/pos/totals".to_owned(),
    };
    show(call, &path, print_totals)
}

fn print_totals(totals: &PosTotals) {
    say!(
        "{} ({}), in {}",
        totals.day,
        totals.time_zone,
        totals.currency
    );
    let mut table = Table::new([
        "machine",
        "sales",
        "voided",
        "gross",
        "corrections",
        "voids",
        "net",
    ]);
    let digits = minor_digits(&totals.currency);
    let mut row = |name: &str, sums: &Sums| {
        table.row(vec![
            name.to_owned(),
            sums.sales.to_string(),
            sums.voided.to_string(),
            amount(sums.gross_cents, digits),
            amount(sums.corrections_cents, digits),
            amount(sums.voids_cents, digits),
            amount(sums.net_cents, digits),
        ]);
    };
    for device in &totals.devices {
        row(&device.name, &device.sums());
    }
    row("in all", &totals.all);
    table.print("no sales");
    for flag in &totals.flagged {
        let name = |receipt: &Option<String>, id: &dyn std::fmt::Display| {
            receipt.clone().unwrap_or_else(|| id.to_string())
        };
        say!(
            "! {} of {} (sale {}): {}",
            name(&flag.receipt, &flag.entry),
            flag.device,
            name(&flag.sale_receipt, &flag.sale),
            flag.sentence
        );
    }
}

/// An amount as people write it, with so many digits behind the point.
pub(in crate::cli) fn amount(parts: i128, digits: usize) -> String {
    let sign = if parts < 0 { "-" } else { "" };
    let text = format!("{:0least$}", parts.unsigned_abs(), least = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{part}")
}

/// `studiovault quarantine`.
pub(crate) fn quarantine(call: &Call) -> Outcome {
    show(call, "/quarantine", |page: &QuarantinePage| {
        for row in &page.quarantined {
            say!("{}  {}  {}", moment(row.ts), row.actor, row.sentence);
        }
        if page.quarantined.is_empty() {
            say!("nothing was set aside");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{amount, minor_digits};

    #[test]
    fn cents_read_as_money_on_both_sides_of_nothing() {
        assert_eq!(
            [0, 5, -5, 12_345, 2 * i128::from(i64::MIN)].map(|cents| amount(cents, 2)),
            ["0.00", "0.05", "-0.05", "123.45", "-184467440737095516.16"]
        );
        assert_eq!(amount(-1250, minor_digits("JPY")), "-1250");
        assert_eq!(amount(5, minor_digits("KWD")), "0.005");
    }
}
