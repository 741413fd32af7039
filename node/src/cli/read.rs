//! Commands that read: each asks the running node and prints a table, or its answer as JSON.

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use studiovault_protocol::api::{
    EntityPage, EntityView, HistoryPage, QueryAnswer, QueryRequest, Status,
};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::pos::{CURRENCY, minor_digits};

use super::failure::{Exit, Failure};
use super::folder::client;
use super::output::{Table, moment, plain, print_json, say};
use super::pos::amount;
use super::{Call, Outcome, runtime};

mod follow;
mod summary;

#[derive(Args)]
pub(crate) struct Get {
    /// The type
    #[arg(value_name = "TYPE")]
    entity_type: String,
    /// Which
    id: EntityId,
}

#[derive(Args)]
pub(crate) struct List {
    /// The type, such as client or pos_order
    #[arg(value_name = "TYPE")]
    entity_type: String,
    /// Only those whose field shows this value
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    filters: Vec<String>,
    /// Deleted ones alone
    #[arg(long)]
    deleted: bool,
    /// Only those with an open conflict
    #[arg(long)]
    conflict: bool,
    /// Rows at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Args)]
pub(crate) struct Query {
    /// One SELECT over the views app_<type>
    sql: String,
}

#[derive(Args)]
pub(crate) struct History {
    /// Which
    id: EntityId,
}

#[derive(Args)]
pub(crate) struct Shown {
    /// Wait until this machine holds what the others in reach hold, showing how far it is
    #[arg(long)]
    follow: bool,
}

/// `studiovault status`.
pub(crate) fn status(call: &Call, shown: Shown) -> Outcome {
    if shown.follow {
        return follow::follow(call);
    }
    show(call, "/status", |status: &Status| summary::print(status))
}

/// `studiovault get`.
pub(crate) fn entity(call: &Call, get: Get) -> Outcome {
    let path = format!(
        "/entities/{}/{}",
        super::client::escaped(&get.entity_type),
        get.id
    );
    show(call, &path, |entity: &EntityView| {
        let mut table = Table::new(["field", "value"]);
        for (name, value) in &entity.fields {
            table.row(vec![name.clone(), plain(value)]);
        }
        let receipt = entity.receipt.as_ref();
        let receipt = receipt.map_or(String::new(), |number| format!(", receipt {number}"));
        say!("{} {}{receipt}", entity.entity_type, entity.id);
        table.print("no fields");
        if let Some(deletion) = &entity.deletion {
            say!("{deletion}");
        }
        for warning in &entity.warnings {
            say!("! {}", warning.detail);
        }
        // What the cloud took nothing of is not there either, and nobody deleted it.
        let deleted = entity.deletion.as_ref().map_or("", |_| "deleted, ");
        say!("{deleted}{}", standing(entity));
    })
}

/// `studiovault list`.
pub(crate) fn list(call: &Call, list: List) -> Outcome {
    let client = client(call)?;
    let path = format!("/entities/{}", super::client::escaped(&list.entity_type));
    let page = runtime()?.block_on(pages(&client, &path, &list))?;
    if call.json {
        print_json(&page);
        return Ok(());
    }
    let mut names: Vec<String> = Vec::new();
    for name in page.entities.iter().flat_map(|entity| entity.fields.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let headings = [
        vec!["id".to_owned()],
        names.clone(),
        vec!["state".to_owned()],
    ]
    .concat();
    let mut table = Table::of(headings);
    for entity in &page.entities {
        let cells = names
            .iter()
            .map(|name| entity.fields.get(name).map(plain).unwrap_or_default());
        let mut row = vec![entity.id.to_string()];
        row.extend(cells);
        row.push(standing(entity));
        table.row(row);
    }
    table.print("none");
    if page.next.is_some() {
        say!("... and more; raise --limit to see them");
    }
    Ok(())
}

/// Pages until the limit is reached.
async fn pages(
    client: &super::client::Client,
    path: &str,
    list: &List,
) -> Result<EntityPage, Failure> {
    let mut parameters = Vec::new();
    for filter in &list.filters {
        let (field, value) = filter.split_once('=').ok_or_else(|| {
            let text = format!("`{filter}` is no filter\nWrite --where field=value.");
            Failure::new(Exit::Usage, text)
        })?;
        parameters.push((format!("field.{field}"), value.to_owned()));
    }
    for (name, wanted) in [("deleted", list.deleted), ("conflict", list.conflict)] {
        if wanted {
            parameters.push((name.to_owned(), "true".to_owned()));
        }
    }
    let mut all = EntityPage {
        entities: Vec::new(),
        next: None,
        vv: String::new(),
    };
    loop {
        let rows = (list.limit - all.entities.len()).min(studiovault_protocol::api::PAGE_ROWS);
        let mut question = parameters.clone();
        question.push(("limit".to_owned(), rows.to_string()));
        if let Some(after) = all.next {
            question.push(("after".to_owned(), after.to_string()));
        }
        let page: EntityPage = client.ask(path, &question).await?;
        all.entities.extend(page.entities);
        (all.next, all.vv) = (page.next, page.vv);
        if all.next.is_none() || all.entities.len() >= list.limit {
            return Ok(all);
        }
    }
}

/// `studiovault query`.
pub(crate) fn query(call: &Call, query: Query) -> Outcome {
    let client = client(call)?;
    let request = QueryRequest {
        sql: query.sql,
        params: Vec::new(),
    };
    let answer: QueryAnswer = runtime()?.block_on(client.post("/query", &request))?;
    if call.json {
        print_json(&answer);
        return Ok(());
    }
    let mut table = Table::of(answer.columns);
    for row in &answer.rows {
        table.row(row.iter().map(plain).collect());
    }
    table.print("no rows");
    if answer.truncated {
        say!("... and more; narrow the question or add LIMIT and OFFSET");
    }
    Ok(())
}

/// `studiovault history`.
pub(crate) fn history(call: &Call, history: History) -> Outcome {
    show(
        call,
        &format!("/history/{}", history.id),
        |page: &HistoryPage| {
            let mut table = Table::new(["when", "machine", "person", "what", "fields", "verdict"]);
            for row in &page.rows {
                let fields = serde_json::Value::Object(row.fields.clone()).to_string();
                table.row(vec![
                    moment(row.ts),
                    row.device.clone(),
                    row.actor.clone(),
                    row.op.word().to_owned(),
                    fields,
                    row.code.clone().unwrap_or_else(|| row.verdict.clone()),
                ]);
            }
            table.print("nothing was ever written to it");
            if !page.ledger.is_empty() {
                let mut table =
                    Table::new(["when", "conflict", "event", "shown then", "rule", "by"]);
                for line in &page.ledger {
                    let rule = line.rule.map(|rule| plain(&serde_json::json!(rule)));
                    table.row(vec![
                        moment(line.decided_at),
                        line.field
                            .clone()
                            .unwrap_or_else(|| "deleted or not".to_owned()),
                        line.event.clone(),
                        line.winner.as_ref().map(plain).unwrap_or_default(),
                        rule.unwrap_or_else(|| "a decision".to_owned()),
                        line.decided_by.clone(),
                    ]);
                }
                say!("");
                table.print("");
            }
        },
    )
}

/// Where it stands; of a sale first what became of it.
fn standing(entity: &EntityView) -> String {
    let currency = entity.fields.get(CURRENCY).and_then(|code| code.as_str());
    let digits = currency.map_or(2, minor_digits);
    let corrected = entity.corrections_cents.map(|parts| amount(parts, digits));
    let words = [
        entity.voided.then(|| "voided".to_owned()),
        corrected.map(|cents| format!("corrected by {cents}")),
        Some(entity.sync_state.to_string()),
        entity.conflict.then(|| "in conflict".to_owned()),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    words.join(", ")
}

/// Asks for a path and prints the answer.
pub(crate) fn show<A: DeserializeOwned + Serialize>(
    call: &Call,
    path: &str,
    print: impl Fn(&A),
) -> Outcome {
    let client = client(call)?;
    let answer: A = runtime()?.block_on(client.get(path))?;
    if call.json {
        print_json(&answer);
    } else {
        print(&answer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sale_says_first_what_became_of_it() {
        let sale = |more: serde_json::Value| {
            let mut view = json!({
                "id": "09090909-0909-0909-0909-090909090909", "type": "pos_order", "fields": {}, "deleted": false,
                "sync_state": {"state": "confirmed"}, "conflict": false, "vv": "v1",
            });
            let more = more.as_object().cloned().unwrap_or_default();
            view.as_object_mut().expect("an object").extend(more);
            serde_json::from_value(view).expect("a sale")
        };
        assert_eq!(standing(&sale(json!({}))), "confirmed");
        let both = json!({"voided": true, "corrections_cents": -550});
        assert_eq!(
            standing(&sale(both)),
            "voided, corrected by -5.50, confirmed"
        );
        let yen = json!({"corrections_cents": -550, "fields": {"currency": "JPY"}});
        assert_eq!(standing(&sale(yen)), "corrected by -550, confirmed");
    }
}
