//! Server-sent events: a poke with the feed's head whenever it has moved. Never data.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;

use super::App;
use super::access::{Asker, open};
use crate::position;
use crate::problem::Problem;
use crate::studio::Studio;
use crate::tokens::Scope;

/// A comment goes out when nothing else did, so that both sides notice a dead connection.
const QUIET: Duration = Duration::from_secs(15);

/// One open stream.
struct Poker {
    app: App,
    studio: Arc<Studio>,
    told: Option<u64>,
    _permit: OwnedSemaphorePermit,
}

/// Opens a stream of pokes.
pub async fn events(State(app): State<App>, asker: Asker) -> Result<Response, Problem> {
    let id = asker.person(Scope::Read)?.studio;
    let permit = app.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Problem::busy("too many streams are open"))?;
    let studio = app.run(move |truth| open(truth, id)).await?;
    let poker = Poker {
        app,
        studio,
        told: None,
        _permit: permit,
    };
    let pokes = stream::unfold(poker, |mut poker| async move {
        let head = poker.next().await?;
        poker.told = Some(head);
        let name = position::token(&poker.app.truth.key, poker.studio.cloud, head);
        let event = Event::default().event("feed").id(head.to_string());
        let event = event.data(format!("{{\"head\":\"{name}\"}}"));
        Some((Ok::<_, Infallible>(event), poker))
    });
    let quiet = KeepAlive::new().interval(QUIET);
    Ok(Sse::new(pokes).keep_alive(quiet).into_response())
}

impl Poker {
    /// The head once it is another than the one told; the first at once. `None`: the server stops.
    async fn next(&mut self) -> Option<u64> {
        let (mut heads, mut closing) = (self.studio.heads(), self.app.closing.clone());
        let told = self.told;
        tokio::select! {
            moved = heads.wait_for(|head| Some(*head) != told) => moved.ok().map(|head| *head),
            _ = closing.wait_for(|closing| *closing) => None,
        }
    }
}
