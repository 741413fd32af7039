//! Pairing over the LAN: the listener of an invite, and the joiner's side.
//!
//! The listener exists only while an invite is shown; what a stranger can make it hold or learn is bounded by the invite
//! itself, by the number of connections, and by a limit of bytes and time for every message.

mod channel;
mod joining;
mod listener;

pub use joining::{Greeting, JoinError, Wish, join};

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use studiovault_protocol::api::{InviteRequest, InviteState, InviteView};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::pairing::{Checking, Closed, Code, Host, Invite, Message};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::config::random_bytes;
use crate::node::Announce;
use crate::runner::Journal;
use crate::store::AuditKind;

/// Why an invite is not shown, or words are not taken. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// The system gives no port.
    #[error("no TCP port can be opened: {0}; close other programs and try again")]
    Port(std::io::Error),
    /// There is nobody to compare words with.
    #[error("nobody waits for words here; look at the invite first")]
    NobodyWaits,
    /// The words are others. A miss.
    #[error(
        "those are not the words that the other machine shows; if nobody is joining there, somebody else tried"
    )]
    WrongWords,
}

/// Who invites.
#[derive(Clone)]
pub struct Inviter {
    /// As the newcomer hears of it.
    pub host: Host,
    /// Its key.
    pub key: SecretKey,
}

/// The one invite that a machine shows, and whoever comes to it.
pub struct Desk {
    inviter: Inviter,
    clock: Clock,
    journal: Journal,
    state: Mutex<Option<Shown>>,
}

/// An invite with what belongs to it.
struct Shown {
    /// Told apart from the invite before, whose listener may not have ended yet.
    number: u64,
    invite: Invite,
    request: InviteRequest,
    port: u16,
    visitor: Option<Visitor>,
    applicant: Option<String>,
    last: Option<String>,
}

/// Whoever proved that it knows the code.
struct Visitor {
    checking: Checking,
    answer: oneshot::Sender<Message>,
}

/// Words that were right: whom they let in, and how to tell it.
pub struct Passed {
    number: u64,
    /// Who asked, with its proof.
    pub checking: Checking,
    /// What it shall count for.
    pub request: InviteRequest,
    answer: oneshot::Sender<Message>,
}

impl Desk {
    /// Shows nothing yet.
    pub fn new(inviter: Inviter, clock: Clock, journal: Journal) -> Arc<Self> {
        let state = Mutex::new(None);
        Arc::new(Self {
            inviter,
            clock,
            journal,
            state,
        })
    }

    /// Shows a new invite on a listener of its own; the one before is taken back.
    pub async fn invite(
        self: &Arc<Self>,
        request: InviteRequest,
        (on, announce): (SocketAddr, Announce),
    ) -> Result<InviteView, InviteError> {
        let listener = TcpListener::bind(on).await.map_err(InviteError::Port)?;
        let port = listener.local_addr().map_err(InviteError::Port)?.port();
        let code = Code::from_random(random_bytes());
        let key = code.announcement_key();
        let number = u64::from_le_bytes(random_bytes());
        let now = self.clock.now().mono;
        let what = format!("an invite was shown, as {}", request.role.word());
        self.journal.note(AuditKind::Pairing, what);
        *self.state() = Some(Shown {
            number,
            invite: Invite::open(code, now),
            request,
            port,
            visitor: None,
            applicant: None,
            last: None,
        });
        let shown = listener::run(self.clone(), listener, (number, port), (announce, key));
        tokio::spawn(shown);
        tracing::info!(port, "an invite is shown");
        Ok(self.view().expect("it was just made"))
    }

    /// The invite as it stands.
    pub fn view(&self) -> Option<InviteView> {
        let now = self.clock.now().mono;
        let mut state = self.state();
        let shown = state.as_mut()?;
        shown.invite.tick(now);
        let state = match shown.invite.closed() {
            None if shown.invite.is_checking() => InviteState::Checking,
            None => InviteState::Open,
            Some(Closed::Admitted) => InviteState::Admitted,
            Some(Closed::Expired) => InviteState::Expired,
            Some(Closed::Missed) => InviteState::Missed,
            Some(Closed::Withdrawn) => InviteState::Withdrawn,
        };
        Some(InviteView {
            state,
            code: shown.invite.code().map(ToString::to_string),
            misses_left: shown.invite.misses_left(),
            left_ms: shown.invite.left_ms(now),
            port: shown.port,
            applicant: shown.applicant.clone(),
            last: shown.last.clone(),
        })
    }

    /// Takes the invite back.
    pub fn withdraw(&self) {
        if let Some(shown) = self.state().as_mut() {
            if shown.invite.closed().is_none() {
                self.journal
                    .note(AuditKind::Pairing, "the invite was taken back");
            }
            shown.invite.withdraw();
            shown.visitor = None;
        }
    }

    /// Compares what was typed here with what the other machine shows; wrong words are a miss.
    pub fn compare(&self, typed: &str) -> Result<Passed, InviteError> {
        let now = self.clock.now().mono;
        let mut state = self.state();
        let shown = state.as_mut().ok_or(InviteError::NobodyWaits)?;
        shown.invite.tick(now);
        let waits = shown.invite.is_checking();
        let visitor = shown.visitor.take().filter(|_| waits);
        let visitor = visitor.ok_or(InviteError::NobodyWaits)?;
        if visitor.checking.says(typed) {
            return Ok(Passed {
                number: shown.number,
                checking: visitor.checking,
                request: shown.request.clone(),
                answer: visitor.answer,
            });
        }
        let why = "the words were not those that the other machine shows";
        shown.missed(why, &self.journal);
        let words = "the words that were typed at the other machine are not those shown here";
        // It may have gone meanwhile.
        let _ = visitor.answer.send(Message::Refuse(words.into()));
        Err(InviteError::WrongWords)
    }

    /// Ends what [`Self::compare`] began: the newcomer is told, or why not.
    pub fn conclude(&self, passed: Passed, outcome: Result<Message, String>) {
        let Passed { number, answer, .. } = passed;
        let mut state = self.state();
        let shown = state.as_mut().filter(|shown| shown.number == number);
        let message = match outcome {
            Ok(welcome) => {
                if let Some(shown) = shown {
                    let name = shown.applicant.as_deref().unwrap_or("a machine");
                    let what = format!("{name} came in by the invite");
                    self.journal.note(AuditKind::Pairing, what);
                    shown.invite.admitted();
                }
                welcome
            }
            Err(words) => {
                if let Some(shown) = shown {
                    shown.last = Some(words.clone());
                    shown.invite.left(random_bytes());
                }
                Message::Refuse(words)
            }
        };
        // It may have gone meanwhile.
        let _ = answer.send(message);
    }

    fn state(&self) -> MutexGuard<'_, Option<Shown>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn missed(&mut self, why: &str, journal: &Journal) {
        self.invite.missed(random_bytes());
        journal.note(AuditKind::Pairing, format!("a miss at the invite: {why}"));
        self.applicant = None;
        self.last = Some(why.to_owned());
        tracing::warn!(
            why,
            left = self.invite.misses_left(),
            "a miss at the invite"
        );
    }
}
