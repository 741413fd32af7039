//! A plan on its way into the node: transactions split by count and by bytes, one after the other.
//!
//! A client and the sales that name it may part over two transactions, never out of order.

use studiovault_protocol::api::{TxAnswer, TxRequest};
use studiovault_protocol::limits;

use super::plan::Plan;
use crate::cli::client::Client;
use crate::cli::failure::Failure;

/// Bytes of commands in one transaction: room is left for what the node adds to each.
const TRANSACTION_BYTES: usize = limits::BUNDLE_BYTES / 10 * 9;

/// What was sent.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    /// Rows that are new.
    pub written: u64,
    /// Rows that were there already.
    pub skipped: u64,
    /// In how many transactions.
    pub transactions: u64,
}

/// Sends every row; `step` hears of each durable transaction's rows. After a failure, importing again goes on.
pub(crate) async fn send(
    client: &Client,
    plan: &Plan,
    actor: Option<&str>,
    step: impl Fn(u64),
) -> Result<Sent, Failure> {
    let mut sent = Sent::default();
    for range in transactions(plan) {
        let rows = &plan.rows[range];
        let request = TxRequest {
            actor: actor.map(str::to_owned),
            mutations: rows.iter().map(|row| row.mutation.clone()).collect(),
            together: false,
            skip_existing: true,
        };
        let answer: TxAnswer = client.post("/tx", &request).await?;
        sent.skipped += answer.skipped;
        sent.written += rows.len() as u64 - answer.skipped;
        sent.transactions += u64::from(answer.bundle.is_some());
        step(rows.len() as u64);
    }
    Ok(sent)
}

/// Where each transaction begins and ends.
fn transactions(plan: &Plan) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, row) in plan.rows.iter().enumerate() {
        let full = bytes + row.bytes > TRANSACTION_BYTES || at - start == limits::BUNDLE_COMMANDS;
        if at > start && full {
            ranges.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += row.bytes;
    }
    if start < plan.rows.len() {
        ranges.push(start..plan.rows.len());
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::identity::entity_id;
    use serde_json::{Map, json};

    fn plan_of(rows: usize, notes: usize) -> Plan {
        let mut plan = Plan::default();
        for row in 0..rows {
            let mut fields = Map::new();
            fields.insert("name".into(), json!(format!("Client {row}")));
            fields.insert("notes".into(), json!("x".repeat(notes)));
            let id = entity_id("client", &[&row.to_string()]);
            plan.create("client", id, fields).expect("fits the policy");
        }
        plan
    }

    #[test]
    fn transactions_hold_a_thousand_rows_and_what_fits_a_bundle() {
        let lengths = |plan: &Plan| {
            let ranges = transactions(plan);
            ranges
                .iter()
                .map(ExactSizeIterator::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(lengths(&plan_of(2_001, 0)), [1_000, 1_000, 1]);
        assert_eq!(lengths(&plan_of(0, 0)), [0; 0]);
        let wide = plan_of(50, 16_000);
        assert_eq!(lengths(&wide).iter().sum::<usize>(), 50);
        for range in transactions(&wide) {
            let bytes: usize = wide.rows[range].iter().map(|row| row.bytes).sum();
            assert!(bytes < limits::BUNDLE_BYTES, "{bytes}");
        }
    }
}
