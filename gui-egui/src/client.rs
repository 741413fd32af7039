//! The local API on a thread of its own: connects, listens for events, looks where they point, and connects again.
//!
//! The window's thread never waits for it: both ends are queues. It holds no state of the window and decides nothing.

mod link;
mod stream;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::time::Duration;

use studiovault_protocol::api::{Event, Status};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::time::WallMs;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::folder::entrance;
use crate::message::{Failure, Message, Request};
use link::Link;

/// Requests that wait at most: a person is not faster.
const REQUESTS: usize = 64;
/// Messages that the window has not taken yet; at the limit this thread waits for it.
const MESSAGES: usize = 64;
/// The first pause after a failure; it doubles up to the last one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: a node that was started is seen this late at most.
const LAST_PAUSE: Duration = Duration::from_secs(4);
/// Events within this time are answered by one look: an import fires thousands.
const GATHER: Duration = Duration::from_millis(120);
/// A look without any event, in case one was missed or the node hangs.
const GLANCE: Duration = Duration::from_secs(30);

/// Both ends of the window.
pub struct Wires {
    /// What the window asks; closing it ends the client.
    pub requests: mpsc::Sender<Request>,
    /// What the client tells.
    pub messages: blocking::Receiver<Message>,
}

/// Starts the client for a data folder; `wake` is called after every message.
pub fn start(folder: PathBuf, wake: impl Fn() + Send + 'static) -> io::Result<Wires> {
    let (request_tx, request_rx) = mpsc::channel(REQUESTS);
    let (message_tx, message_rx) = blocking::sync_channel(MESSAGES);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = Client {
        folder,
        requests: request_rx,
        messages: message_tx,
        wake: Box::new(wake),
        heard: false,
    };
    std::thread::Builder::new()
        .name("local-api".to_owned())
        .spawn(move || runtime.block_on(client.run()))?;
    Ok(Wires {
        requests: request_tx,
        messages: message_rx,
    })
}

/// Why a connection ended.
enum Ended {
    /// The window is gone.
    Closed,
    /// The node does not answer as it should.
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

struct Client {
    folder: PathBuf,
    requests: mpsc::Receiver<Request>,
    messages: blocking::SyncSender<Message>,
    wake: Box<dyn Fn() + Send>,
    /// The node answered since the last failure.
    heard: bool,
}

impl Client {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(Ended::Failed(failure)) = self.stay_connected().await else {
                return;
            };
            tracing::debug!(%failure, "not connected to the node");
            if std::mem::take(&mut self.heard) {
                pause = FIRST_PAUSE;
            }
            if self.tell(Message::Lost(failure)).is_err() || self.wait(pause).await.is_err() {
                return;
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Pauses; a person who asks for it ends the pause early, any other request is refused at once.
    async fn wait(&mut self, pause: Duration) -> Result<(), Ended> {
        let until = Instant::now() + pause;
        loop {
            let request = tokio::select! {
                () = sleep_until(until) => return Ok(()),
                request = self.requests.recv() => request.ok_or(Ended::Closed)?,
            };
            if request == Request::Reconnect {
                return Ok(());
            }
            let sentence = "Nothing was changed: the node does not answer. Try again once it runs.";
            self.tell(Message::Answered {
                request,
                outcome: Err(sentence.to_owned()),
            })?;
        }
    }

    /// One connection, from the first answer to the failure that ends it.
    async fn stay_connected(&mut self) -> Result<(), Ended> {
        let link = Link::new(entrance(&self.folder)?)?;
        // The stream is opened before the first look: what changes in between is not missed.
        let mut events = link.events().await?;
        let mut view = View::default();
        self.look(&link, &mut view).await?;
        self.heard = true;
        loop {
            tokio::select! {
                told = events.next() => match told.map_err(|broken| link.broken_off(broken))? {
                    Event::Fault { sentence } => self.tell(Message::Fault(sentence))?,
                    event => view.note(&event),
                },
                request = self.requests.recv() => {
                    let request = request.ok_or(Ended::Closed)?;
                    self.serve(&link, request).await?;
                    view.want_all();
                }
                () = sleep_until(view.look_at) => self.look(&link, &mut view).await?,
            }
        }
    }

    /// Asks for what the events pointed at, and tells the window what is another than before.
    async fn look(&mut self, link: &Link, view: &mut View) -> Result<(), Ended> {
        let wants_conflicts = std::mem::take(&mut view.wants_conflicts);
        view.gathering = false;
        view.look_at = Instant::now() + GLANCE;
        let status = link.status().await?;
        let glance = Status {
            at: WallMs(0),
            ..status.clone()
        };
        if view.status.as_ref() != Some(&glance) {
            view.status = Some(glance);
            self.tell(Message::Status(Box::new(status)))?;
        }
        if wants_conflicts {
            let page = link.conflicts().await?;
            view.disputed = page.conflicts.iter().map(|row| row.entity).collect();
            self.tell(Message::Conflicts(Box::new(page)))?;
        }
        Ok(())
    }

    /// Does what a person asked for. A refusal is an answer; only a broken connection ends anything.
    async fn serve(&mut self, link: &Link, request: Request) -> Result<(), Ended> {
        let outcome = match &request {
            Request::Reconnect => return Ok(()),
            Request::Resolve { id, answer, .. } => link.resolve(id, answer).await?,
            Request::Network(network) => link.set_network(*network).await?,
        };
        self.tell(Message::Answered { request, outcome })
    }

    fn tell(&self, message: Message) -> Result<(), Ended> {
        self.messages.send(message).map_err(|_| Ended::Closed)?;
        (self.wake)();
        Ok(())
    }
}

/// What was told last, and what is to be looked at next.
struct View {
    /// Without its time.
    status: Option<Status>,
    /// The entities with an open conflict.
    disputed: BTreeSet<EntityId>,
    wants_conflicts: bool,
    gathering: bool,
    look_at: Instant,
}

impl Default for View {
    fn default() -> Self {
        Self {
            status: None,
            disputed: BTreeSet::new(),
            wants_conflicts: true,
            gathering: false,
            look_at: Instant::now() + GLANCE,
        }
    }
}

impl View {
    /// Remembers what an event points at. A side may change while the number of conflicts does not.
    fn note(&mut self, event: &Event) {
        self.wants_conflicts |= match event {
            Event::Conflicts { .. } => true,
            Event::Entities { ids, .. } => {
                !self.disputed.is_empty()
                    && (ids.is_empty() || ids.iter().any(|id| self.disputed.contains(id)))
            }
            _ => false,
        };
        self.soon();
    }

    fn want_all(&mut self) {
        self.wants_conflicts = true;
        self.soon();
    }

    fn soon(&mut self) {
        if !std::mem::replace(&mut self.gathering, true) {
            self.look_at = Instant::now() + GATHER;
        }
    }
}
