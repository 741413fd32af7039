//! The demo's last table, and what of it is off.
//!
//! Each figure is read from where it stands: a machine's through that machine's API, the cloud's from the cloud's tables.

use std::time::Duration;

use serde::Serialize;
use studiovault_protocol::api::{QueryAnswer, QueryRequest};
use studiovault_protocol::cloud::Summary;

use super::machine::Machine;
use super::story::{Acknowledged, Cast};
use crate::cli::Call;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Table, print_json, say};
use crate::cli::pos::amount;

/// One machine at the end.
#[derive(Serialize)]
struct NodeRow {
    name: &'static str,
    entities: u64,
    pending: u64,
    confirmed: u64,
    conflicts: u64,
    state_hash: String,
}

/// The cloud at the end.
#[derive(Serialize)]
struct CloudRow {
    confirmed: u64,
    pos_gross_cents: i128,
    pos_voided_cents: i128,
}

/// What the demo comes to.
#[derive(Serialize)]
pub(super) struct Verdict {
    ok: bool,
    nodes: Vec<NodeRow>,
    cloud: CloudRow,
    #[serde(skip)]
    off: Vec<String>,
}

/// Reads it all.
pub(super) async fn read(cast: &Cast, told: &Acknowledged) -> Result<Verdict, Failure> {
    let mut off = Vec::new();
    let mut nodes = Vec::new();
    for machine in &cast.machines {
        nodes.push(node_row(machine, told, &mut off).await?);
    }
    if nodes
        .iter()
        .any(|node| node.state_hash != nodes[0].state_hash)
    {
        off.push("the machines show different states".to_owned());
    }
    let path = format!("studios/{}/summary", cast.studio);
    let summary: Summary = cast.cloud.read_json(&path).await.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the cloud's tables cannot be read: {error}\nRead its log."),
        )
    })?;
    check_cloud(&summary, told, &mut off);
    Ok(Verdict {
        ok: off.is_empty(),
        nodes,
        cloud: CloudRow {
            confirmed: summary.confirmed,
            pos_gross_cents: summary.pos_gross_cents,
            pos_voided_cents: summary.pos_voided_cents,
        },
        off,
    })
}

async fn node_row(
    machine: &Machine,
    told: &Acknowledged,
    off: &mut Vec<String>,
) -> Result<NodeRow, Failure> {
    let status = machine.status().await?;
    let (name, counts) = (machine.name, status.counts);
    let mut expect = |what: &str, found: u64, wanted: u64| {
        if found != wanted {
            off.push(format!("{name} shows {found} {what}, not {wanted}"));
        }
    };
    let sums = QueryRequest {
        sql: "SELECT (SELECT count(*) FROM app_pos_void), (SELECT sum(amount_cents) FROM app_pos_order)".into(),
        params: Vec::new(),
    };
    let sums: QueryAnswer = machine.client()?.post("/query", &sums).await?;
    let figure = |column: usize| {
        sums.rows
            .first()
            .and_then(|row| row.get(column)?.as_u64())
            .unwrap_or(0)
    };
    expect("voids", figure(0), 1);
    expect("cents of sales", figure(1), told.gross_cents.unsigned_abs());
    expect("open conflicts", counts.conflicts, 1);
    expect("pending commands", counts.pending, 0);
    expect("rejected commands", counts.rejected, 0);
    expect("confirmed commands", counts.confirmed, told.commands);
    let client = machine.entity("client", told.client).await?;
    let held = client.fields.get("tags").and_then(|tags| tags.as_array());
    let tags = told
        .tags
        .iter()
        .filter(|tag| held.is_some_and(|held| held.iter().any(|one| one == **tag)));
    expect("of the two tags", tags.count() as u64, 2);
    Ok(NodeRow {
        name,
        entities: counts.entities,
        pending: counts.pending,
        confirmed: counts.confirmed,
        conflicts: counts.conflicts,
        state_hash: status.state_hash,
    })
}

fn check_cloud(summary: &Summary, told: &Acknowledged, off: &mut Vec<String>) {
    let figures = [
        ("commands", summary.commands.into(), told.commands.into()),
        (
            "confirmed commands",
            summary.confirmed.into(),
            told.commands.into(),
        ),
        (
            "cents of sales",
            summary.pos_gross_cents,
            told.gross_cents.into(),
        ),
        (
            "cents voided",
            summary.pos_voided_cents,
            told.voided_cents.into(),
        ),
    ];
    for (what, found, wanted) in figures {
        if found != wanted {
            off.push(format!(
                "the cloud's tables hold {found} {what}, not {wanted}"
            ));
        }
    }
}

impl Verdict {
    /// What is not as it must be.
    pub fn off(&self) -> &[String] {
        &self.off
    }

    /// Prints the table.
    pub fn print(&self, call: &Call, took: Duration) {
        if call.json {
            print_json(self);
            return;
        }
        let mut table = Table::new([
            "machine",
            "entities",
            "pending",
            "confirmed",
            "conflicts",
            "state hash",
        ]);
        for node in &self.nodes {
            table.row(vec![
                node.name.to_owned(),
                node.entities.to_string(),
                node.pending.to_string(),
                node.confirmed.to_string(),
                node.conflicts.to_string(),
                node.state_hash.chars().take(16).collect(),
            ]);
        }
        say!("\n{}", table.text());
        let cloud = &self.cloud;
        say!(
            "cloud truth: {} commands confirmed, sales {}, voided {}",
            cloud.confirmed,
            amount(cloud.pos_gross_cents, 2),
            amount(cloud.pos_voided_cents, 2)
        );
        let word = if self.ok { "ok" } else { "OFF" };
        say!("{word}, in {:.1} s", took.as_secs_f64());
    }
}
