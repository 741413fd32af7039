//! Events as they happen, server-sent.
//!
//! A listener that falls behind is told `status` and goes on from there: events are hints, never data.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use studiovault_protocol::api::Event;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;

use super::answer::Refused;
use super::routes::Shared;
use super::server::until;

/// A comment goes out this often, so that both ends notice a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// One server-sent event.
pub(super) type Sent = Result<sse::Event, Infallible>;

/// `GET /events`.
pub(super) async fn events(
    State(shared): State<Shared>,
) -> Result<Sse<impl Stream<Item = Sent>>, Refused> {
    let permit = permit(&shared)?;
    let receiver = shared.node.events();
    let first = futures::stream::once(async { worded(0, &Event::Status) });
    let rest = futures::stream::unfold((receiver, 1u64, permit), async |(mut from, id, permit)| {
        let event = match from.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => Event::Status,
            Err(RecvError::Closed) => return None,
        };
        Some((worded(id, &event), (from, id + 1, permit)))
    });
    Ok(stream(&shared, first.chain(rest)))
}

/// One of the few streams, or a refusal that says so.
pub(super) fn permit(shared: &Shared) -> Result<OwnedSemaphorePermit, Refused> {
    shared.streams.clone().try_acquire_owned().map_err(|_| {
        Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TOO_MANY_STREAMS",
            "64 streams are open on this node",
            "close one that is no longer read",
        )
    })
}

/// A stream that ends with the API.
pub(super) fn stream<S: Stream<Item = Sent> + Send + 'static>(
    shared: &Shared,
    events: S,
) -> Sse<impl Stream<Item = Sent> + use<S>> {
    let events = events.take_until(until(shared.stopped.clone()));
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn worded(id: u64, event: &Event) -> Sent {
    let data = serde_json::to_string(event).expect("an event always encodes");
    Ok(sse::Event::default()
        .id(id.to_string())
        .event(event.name())
        .data(data))
}
