//! Live queries: an answer to SQL that is told again, row by row, whenever it changes.
//!
//! The question is asked anew after every change of an entity and compared with what was told last, so what a client holds
//! is always one answer as the store gave it, never a guess at what a write may have meant.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
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
use super::told::{EventId, Hold, Told};

/// Changes within this time are told together.
const GATHER: Duration = Duration::from_millis(50);
/// Events that wait for a slow client; then the question waits.
const QUEUE: usize = 256;

/// `POST /subscribe`; with `Last-Event-ID` it goes on after that event, if that is still known.
pub(super) async fn subscribe(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Body(request): Body<SubscribeRequest>,
) -> Result<Sse<impl Stream<Item = Sent>>, Refused> {
    let permit = permit(&shared)?;
    let changes = shared.node.events();
    let first = ask(&shared, &request).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let back = last.and_then(|last| shared.told.resume(last, &request));
    let (tell, told) = mpsc::channel(QUEUE);
    let (hold, known) = match back {
        Some(back) => (back.hold, Some((back.missed, back.answer))),
        None => (shared.told.begin(request.clone()), None),
    };
    let live = LiveQuery {
        shared: shared.clone(),
        request,
        tell,
        hold,
    };
    tokio::spawn(async move {
        let _permit = permit;
        // Both ends of this are the client's choice; nobody needs to hear why.
        let _ = live.follow((known, first), changes).await;
    });
    let events = futures::stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
    Ok(stream(&shared, events))
}

async fn ask(shared: &Shared, request: &SubscribeRequest) -> Result<QueryAnswer, Refused> {
    reads::run_query(shared, request.sql.clone(), request.params.clone()).await
}

/// What a client has already: events that it missed, and the answer that it holds after them.
type Known = (Vec<Told>, Vec<Vec<Json>>);

/// One question on its way to one client.
struct LiveQuery {
    shared: Shared,
    request: SubscribeRequest,
    tell: mpsc::Sender<Sent>,
    hold: Hold,
}

/// The client is gone, or the question can no longer be answered.
struct Over;

impl LiveQuery {
    async fn follow(
        self,
        (known, first): (Option<Known>, QueryAnswer),
        mut changes: Receiver<Event>,
    ) -> Result<(), Over> {
        let mut last = match known {
            Some((missed, answer)) => {
                self.send(missed).await?;
                self.tell_changes(&answer, &first.rows).await?;
                first.rows
            }
            None => self.tell_all(first).await?,
        };
        loop {
            self.changed(&mut changes).await?;
            let answer = match ask(&self.shared, &self.request).await {
                Ok(answer) => answer,
                Err(Refused(problem)) => {
                    let told = self
                        .hold
                        .note(vec![("error", json!(problem).to_string())], None);
                    self.send(told.ok_or(Over)?).await?;
                    return Err(Over);
                }
            };
            self.tell_changes(&last, &answer.rows).await?;
            last = answer.rows;
        }
    }

    /// Tells a whole answer.
    async fn tell_all(&self, first: QueryAnswer) -> Result<Vec<Vec<Json>>, Over> {
        let mut events = vec![("columns", json!(first.columns).to_string())];
        events.extend(first.rows.iter().map(|row| ("row", json!(row).to_string())));
        let end = json!({"rows": first.rows.len(), "truncated": first.truncated});
        events.push(("end", end.to_string()));
        let told = self.hold.note(events, Some(&first.rows)).ok_or(Over)?;
        self.send(told).await?;
        Ok(first.rows)
    }

    /// Tells what makes one answer the next.
    async fn tell_changes(&self, before: &[Vec<Json>], after: &[Vec<Json>]) -> Result<(), Over> {
        let changes = differences(before, after).into_iter();
        let events = changes.map(|(change, row)| {
            let data = json!({"change": change, "row": row});
            ("change", data.to_string())
        });
        let told = self.hold.note(events.collect(), Some(after)).ok_or(Over)?;
        self.send(told).await
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

    async fn send(&self, told: Vec<Told>) -> Result<(), Over> {
        for Told { event, name, data } in told {
            let stream = self.hold.id();
            let id = self.shared.told.word(EventId { stream, event });
            let event = sse::Event::default().id(id).event(name).data(data);
            self.tell.send(Ok(event)).await.map_err(|_| Over)?;
        }
        Ok(())
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
