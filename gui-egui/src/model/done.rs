//! What a person is told when a request came to an end.
//!
//! A refusal is the node's own words; a success says what is true now, never what is still under way.

use studiovault_protocol::api::NetworkState;

use super::sentence::Tone;
use super::words::counted;
use super::{Connection, Model};
use crate::action::Entry;
use crate::message::{Answer, Done, Request};

impl Model {
    pub(super) fn handle_answer(&mut self, request: Request, outcome: Result<Done, String>) {
        match request {
            Request::Resolve(answers) => self.handle_resolved(answers, outcome),
            request => {
                self.settle(&request, outcome.is_ok());
                match outcome {
                    Ok(done) => {
                        if let Some(sentence) = done.note.or_else(|| sentence(&request)) {
                            self.tell(Tone::Good, sentence);
                        }
                    }
                    Err(sentence) => self.tell(Tone::Attention, sentence),
                }
            }
        }
    }

    /// What a request leaves behind on screen.
    fn settle(&mut self, request: &Request, taken: bool) {
        match request {
            Request::Fix { dot, .. } | Request::Discard { dot, .. } => {
                self.letters.answered(dot, taken);
            }
            Request::Examine => self.desk.checkup_ended(),
            Request::Carry(_) => self.desk.carried(),
            Request::SignIn(_) if taken => self.desk.forget(&Entry::Token),
            Request::SignInByCode => self.desk.sign_in_ended(),
            Request::SayWords(_) => self.desk.forget(&Entry::Words),
            Request::Start | Request::KitKept | Request::Found { .. } | Request::Join { .. } => {
                self.desk.set_busy(false);
                if taken && !matches!(request, Request::Found { .. }) {
                    self.connection = Connection::Seeking;
                }
                if !taken {
                    self.desk.take_making(None);
                }
            }
            _ => {}
        }
    }

    fn handle_resolved(&mut self, answers: Vec<Answer>, outcome: Result<Done, String>) {
        let done = match outcome {
            Ok(done) => done,
            Err(sentence) => {
                self.board.answered(Vec::new(), None);
                return self.tell(Tone::Attention, sentence);
            }
        };
        let all = answers.len();
        let refused = |at: &usize| done.refusals.iter().any(|(place, _)| place == at);
        let taken = answers.into_iter().enumerate();
        let taken = taken
            .filter(|(at, _)| !refused(at))
            .map(|(_, answer)| answer);
        let taken: Vec<Answer> = taken.collect();
        let label = label_of(&taken);
        let count = taken.len();
        self.board.answered(taken, done.vv.as_deref());
        match done.refusals.first() {
            None => {
                let sentence =
                    format!("Resolved: {label}. U takes it back; that is a change like any other.");
                self.tell(Tone::Good, sentence);
            }
            Some((_, why)) => {
                let answered = counted(count as u64, "answer");
                self.tell(Tone::Attention, format!("{answered} of {all} taken. {why}"));
            }
        }
    }
}

/// What several answers are about, for people.
pub(super) fn label_of(answers: &[Answer]) -> String {
    let mut labels: Vec<&str> = Vec::new();
    for answer in answers {
        let label = answer.conflict.label.as_str();
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    match labels[..] {
        [] => "nothing".to_owned(),
        [one] => one.to_owned(),
        [one, ref others @ ..] => format!("{one} and {}", counted(others.len() as u64, "other")),
    }
}

/// What is true now; `None` if the screen shows it by itself.
fn sentence(request: &Request) -> Option<String> {
    Some(match request {
        Request::Undo { label, .. } => {
            format!("Taken back: {label}. The question is open as before.")
        }
        Request::Fix { label, .. } => {
            format!("Sent again: {label}. The cloud decides it in place of the first one.")
        }
        Request::Discard { label, .. } => {
            format!("Given up: {label}. The reason stays in its history.")
        }
        Request::Network(NetworkState::Offline) => {
            "This machine is off the network. It keeps working, and its changes wait here."
                .to_owned()
        }
        Request::Network(NetworkState::Online) => "This machine is back on the network.".to_owned(),
        Request::SetRole(..) => {
            "The machine has its new place; every machine hears of it.".to_owned()
        }
        Request::Revoke(_) => {
            "The machine is shut out. What it wrote and had not arrived by now is set aside."
                .to_owned()
        }
        Request::Lose(_) => "Nothing waits any more for what that machine took with it.".to_owned(),
        Request::Retire => "This machine has taken its leave. What it wrote stands.".to_owned(),
        Request::SignInByCode => {
            "Signed in. What waits for the cloud goes up by itself.".to_owned()
        }
        Request::SignIn(_) => {
            "The token is kept. What waits goes up by itself if the cloud takes it.".to_owned()
        }
        _ => return None,
    })
}
