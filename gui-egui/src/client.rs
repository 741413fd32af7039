//! The local API on a thread of its own: connects, listens for events, looks where they point, and connects again.
//!
//! The window's thread never waits for it: both ends are queues. It holds no state of the window and decides nothing.

mod export;
mod link;
mod notify;
mod pack;
mod program;
mod serve;
mod sign_in;
mod stream;
mod tray;
mod view;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use studiovault_protocol::api::{Event, Status};
use studiovault_protocol::time::WallMs;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::failure::Failure;
use crate::folder::{self, entrance};
use crate::message::{Message, Request};
use link::Link;
use pack::Carrying;
pub use program::Place;
use tray::Tray;
use view::View;

/// Requests that wait at most: a person is not faster.
const REQUESTS: usize = 64;
/// Messages that the window has not taken yet; at the limit this thread waits for it.
const MESSAGES: usize = 64;
/// The first pause after a failure; it doubles up to the last one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: a node that was started is seen this late at most.
const LAST_PAUSE: Duration = Duration::from_secs(4);
/// Both ends of the window.
pub struct Wires {
    /// What the window asks; closing it ends the client.
    pub requests: mpsc::Sender<Request>,
    /// What the client tells.
    pub messages: blocking::Receiver<Message>,
}

/// Starts the client for a machine; `wake` is called after every message.
pub fn start(place: Place, wake: impl Fn() + Send + 'static) -> io::Result<Wires> {
    let (request_tx, request_rx) = mpsc::channel(REQUESTS);
    let (message_tx, message_rx) = blocking::sync_channel(MESSAGES);
    let (later, ended) = mpsc::channel(REQUESTS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = Client {
        folder: place.folder,
        command: place.command,
        requests: request_rx,
        messages: message_tx,
        wake: Box::new(wake),
        later,
        ended,
        heard: false,
        carrying: None,
        signing_in: None,
        tray: Tray::default(),
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
    /// The product's command, or why there is none.
    command: Result<PathBuf, String>,
    requests: mpsc::Receiver<Request>,
    messages: blocking::SyncSender<Message>,
    wake: Box<dyn Fn() + Send>,
    /// What was asked and takes long ends here.
    later: mpsc::Sender<Message>,
    ended: mpsc::Receiver<Message>,
    /// The node answered since the last failure.
    heard: bool,
    carrying: Option<Carrying>,
    signing_in: Option<AbortHandle>,
    tray: Tray,
}

impl Client {
    async fn run(mut self) {
        let preferences = folder::preferences(&self.folder);
        if self.tell(Message::Preferences(preferences)).is_err() || self.tell_kit().is_err() {
            return;
        }
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

    /// Pauses; a person who asks for it ends the pause early. What needs a node is refused at once.
    async fn wait(&mut self, pause: Duration) -> Result<(), Ended> {
        let until = Instant::now() + pause;
        loop {
            let request = tokio::select! {
                () = sleep_until(until) => return Ok(()),
                message = self.ended.recv() => {
                    self.tell(message.ok_or(Ended::Closed)?)?;
                    continue;
                }
                request = self.requests.recv() => request.ok_or(Ended::Closed)?,
            };
            match request {
                Request::Reconnect | Request::Cancel => return Ok(()),
                Request::Start
                | Request::KitKept
                | Request::Found { .. }
                | Request::Join { .. } => {
                    return self.make(request).await;
                }
                Request::Keep(preferences) => folder::keep(&self.folder, preferences),
                Request::Notify(alert) => notify::notify(&alert),
                Request::Tray(badge) => self.tray.show(badge, &self.later),
                Request::DropPack => self.drop_pack()?,
                Request::DropSignIn => self.drop_sign_in()?,
                request => {
                    let sentence =
                        "Nothing was changed: the node does not answer. Try again once it runs.";
                    self.tell(Message::Answered {
                        request,
                        outcome: Err(sentence.to_owned()),
                    })?;
                }
            }
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
                    Event::Fault { sentence, kind } => self.tell(Message::Fault(kind, sentence))?,
                    event => view.note(&event),
                },
                request = self.requests.recv() => {
                    let request = request.ok_or(Ended::Closed)?;
                    self.serve(&link, request, &mut view).await?;
                }
                message = self.ended.recv() => self.tell(message.ok_or(Ended::Closed)?)?,
                () = sleep_until(view.look_at()) => self.look(&link, &mut view).await?,
                () = sleep_until(view.invite_at()) => self.look_at_invite(&link, &mut view).await?,
            }
        }
    }

    /// Asks for what the events pointed at, and tells the window what is another than before.
    async fn look(&mut self, link: &Link, view: &mut View) -> Result<(), Ended> {
        let wants = view.begin_look();
        let status = link.status().await?;
        let glance = Status {
            at: WallMs(0),
            ..status.clone()
        };
        let policy = view.is_new_policy(&status);
        if view.is_new_status(glance) {
            self.tell(Message::Status(Box::new(status)))?;
        }
        if wants.conflicts {
            let page = link.conflicts().await?;
            view.set_disputed(&page);
            self.tell(Message::Conflicts(Box::new(page)))?;
        }
        if wants.letters {
            let page = link.letters().await?;
            self.tell(Message::Letters(page.dead_letters))?;
        }
        if policy {
            self.tell(Message::Policy(Box::new(link.policy().await?)))?;
        }
        if wants.activity {
            let page = link.activity(None).await?;
            self.tell(Message::Activity(Box::new(page), None))?;
        }
        if wants.entity {
            self.look_at_entity(link, view).await?;
        }
        Ok(())
    }

    fn tell(&self, message: Message) -> Result<(), Ended> {
        self.messages.send(message).map_err(|_| Ended::Closed)?;
        (self.wake)();
        Ok(())
    }
}

fn wall_now() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    WallMs(i64::try_from(millis).unwrap_or(i64::MAX))
}
