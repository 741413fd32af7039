//! Live queries: an answer to SQL that is told again, row by row, whenever it changes.
//!
//! The question is asked anew after every change of an entity and compared with what was told last, so what a client holds
//! is always one answer as the store gave it, never a guess at what a write may have meant.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{self, Sse};
use futures::Stream;
use serde_json::{Value as Json, json};
use studiovault_protocol::api::{Event, QueryAnswer, SubscribeRequest};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::answer::{Body, Refused};
use super::events::{Sent, permit, stream};
use super::reads;
use super::routes::Shared;

/// Changes within this time are told together.
const GATHER: Duration = Duration::from_millis(50);
/// Events that wait for a slow client; then the question waits.
const QUEUE: usize = 256;

/// `POST /subscribe`.
pub(super) async fn subscribe(
    State(shared): State<Shared>,
    Body(request): Body<SubscribeRequest>,
) -> Result<Sse<impl Stream<Item = Sent>>, Refused> {
    let permit = permit(&shared)?;
    let changes = shared.node.events();
    let first = ask(&shared, &request).await?;
    let (tell, told) = mpsc::channel(QUEUE);
    let live = LiveQuery {
        shared: shared.clone(),
        request,
        tell,
        id: 0,
    };
    tokio::spawn(async move {
        let _permit = permit;
        live.run(first, changes).await;
    });
    let events = futures::stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
    Ok(stream(&shared, events))
}

async fn ask(shared: &Shared, request: &SubscribeRequest) -> Result<QueryAnswer, Refused> {
    reads::run_query(shared, request.sql.clone(), request.params.clone()).await
}

/// One question on its way to one client.
struct LiveQuery {
    shared: Shared,
    request: SubscribeRequest,
    tell: mpsc::Sender<Sent>,
    id: u64,
}

/// The client is gone, or the question can no longer be answered.
struct Over;

impl LiveQuery {
    async fn run(mut self, first: QueryAnswer, mut changes: Receiver<Event>) {
        // Both ends of this are the client's choice; nobody needs to hear why.
        let _ = self.follow(first, &mut changes).await;
    }

    async fn follow(
        &mut self,
        first: QueryAnswer,
        changes: &mut Receiver<Event>,
    ) -> Result<(), Over> {
        self.send("columns", json!(first.columns)).await?;
        for row in &first.rows {
            self.send("row", json!(row)).await?;
        }
        self.send(
            "end",
            json!({"rows": first.rows.len(), "truncated": first.truncated}),
        )
        .await?;
        let mut last = first.rows;
        loop {
            self.changed(changes).await?;
            let answer = match ask(&self.shared, &self.request).await {
                Ok(answer) => answer,
                Err(Refused(problem)) => {
                    self.send("error", json!(problem)).await?;
                    return Err(Over);
                }
            };
            for (change, row) in differences(&last, &answer.rows) {
                self.send("change", json!({"change": change, "row": row}))
                    .await?;
            }
            last = answer.rows;
        }
    }

    /// Waits until entities changed and a little longer.
    async fn changed(&self, changes: &mut Receiver<Event>) -> Result<(), Over> {
        loop {
            let event = tokio::select! {
                event = changes.recv() => event,
                () = self.tell.closed() => return Err(Over),
            };
            match event {
                Ok(Event::Entities { .. }) | Err(RecvError::Lagged(_)) => break,
                Ok(_) => {}
                Err(RecvError::Closed) => return Err(Over),
            }
        }
        tokio::time::sleep(GATHER).await;
        while changes.try_recv().is_ok() {}
        Ok(())
    }

    async fn send(&mut self, name: &str, data: Json) -> Result<(), Over> {
        let event = sse::Event::default()
            .id(self.id.to_string())
            .event(name)
            .data(data.to_string());
        self.id += 1;
        self.tell.send(Ok(event)).await.map_err(|_| Over)
    }
}

/// What changed between two answers. A row is known again by its first column, if that tells rows apart.
fn differences<'a>(
    before: &'a [Vec<Json>],
    after: &'a [Vec<Json>],
) -> Vec<(&'static str, &'a [Json])> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let key = |row: &[Json]| Json::Array(row.to_vec()).to_string();
    for row in before {
        *counts.entry(key(row)).or_default() -= 1;
    }
    for row in after {
        *counts.entry(key(row)).or_default() += 1;
    }
    let mut gone: BTreeMap<String, Vec<&[Json]>> = BTreeMap::new();
    let name = |row: &[Json]| row.first().map(Json::to_string).unwrap_or_default();
    for row in before {
        let count = counts.entry(key(row)).or_default();
        if *count < 0 {
            *count += 1;
            gone.entry(name(row)).or_default().push(row);
        }
    }
    let mut changes = Vec::new();
    for row in after {
        let count = counts.entry(key(row)).or_default();
        if *count > 0 {
            *count -= 1;
            let known = gone.get_mut(&name(row)).and_then(Vec::pop).is_some();
            changes.push((if known { "updated" } else { "added" }, &row[..]));
        }
    }
    let gone = gone.into_values().flatten();
    changes.extend(gone.map(|row| ("removed", row)));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(json: Json) -> Vec<Vec<Json>> {
        serde_json::from_value(json).expect("rows")
    }

    #[test]
    fn a_changed_row_is_updated_a_new_one_added_and_a_lost_one_removed() {
        let before = rows(json!([["a", 1], ["b", 2], ["c", 3]]));
        let after = rows(json!([["a", 1], ["b", 5], ["d", 4]]));
        let changes = differences(&before, &after);
        let told: Vec<_> = changes
            .iter()
            .map(|(what, row)| (*what, json!(row)))
            .collect();
        let expected = vec![
            ("updated", json!(["b", 5])),
            ("added", json!(["d", 4])),
            ("removed", json!(["c", 3])),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn equal_rows_are_counted_not_merged() {
        let before = rows(json!([[1], [1]]));
        let after = rows(json!([[1], [1], [1]]));
        assert_eq!(differences(&before, &after).len(), 1);
        assert_eq!(differences(&before, &before).len(), 0);
    }
}
