//! The open questions on screen: the list, its filter, the one that is open, and the answer being prepared.
//!
//! An answer is only ever sent for what the person has seen: if a side changes while the question is open, the prepared
//! answer is dropped and the person told to look again.

use serde_json::Value as Json;
use studiovault_protocol::api::{Choice, ConflictView, ResolveRequest};
use studiovault_protocol::merge::ConflictKind;

use super::words::{conflict_title, value_text};
use crate::action::Step;
use crate::message::Request;

/// An answer that is prepared and not yet sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Draft {
    /// The side with this dot.
    Side(String),
    /// Another value, as it was typed.
    Value(String),
    /// Bring the entity back, with the edits.
    Restore,
    /// Let the delete stand.
    AcceptDelete,
}

/// An answer on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sending {
    id: String,
    /// The node took it; its next list shows what came of it.
    taken: bool,
}

/// The open questions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Board {
    rows: Vec<ConflictView>,
    filter: String,
    /// Indices of the rows that the filter lets through; kept, so that a frame costs nothing per row out of sight.
    shown: Vec<usize>,
    opened: Option<ConflictView>,
    draft: Option<Draft>,
    sending: Option<Sending>,
}

impl Board {
    /// Every open question, oldest answer of the node first.
    pub fn rows(&self) -> &[ConflictView] {
        &self.rows
    }

    /// The rows that the filter lets through.
    pub fn shown(&self) -> &[usize] {
        &self.shown
    }

    /// The text that narrows the list down.
    pub fn filter_text(&self) -> &str {
        &self.filter
    }

    /// The question that is open, as the person sees it.
    pub fn opened(&self) -> Option<&ConflictView> {
        self.opened.as_ref()
    }

    /// The prepared answer to it.
    pub fn drafted(&self) -> Option<&Draft> {
        self.draft.as_ref()
    }

    /// Whether an answer to the open question is under way.
    pub fn is_sending(&self) -> bool {
        let opened = self.opened.as_ref().map(|conflict| &conflict.id);
        opened.is_some() && self.sending.as_ref().map(|sending| &sending.id) == opened
    }

    /// The place of the open question among those shown.
    pub fn position(&self) -> Option<usize> {
        let open = self.opened.as_ref()?;
        let is_open = |at: &usize| self.rows[*at].id == open.id;
        self.shown.iter().position(is_open)
    }

    /// Takes the node's list; says what a person should know about the question they have open.
    pub(super) fn replace(&mut self, rows: Vec<ConflictView>) -> Option<String> {
        let place = self.position();
        let before = self.opened.take();
        self.rows = rows;
        self.narrow();
        let sent = self.sending.as_ref().map(|sending| sending.id.clone());
        self.forget_what_was_sent();
        let Some(before) = before else {
            self.open_at(0);
            return None;
        };
        let own = sent.as_ref() == Some(&before.id);
        self.opened = self.rows.iter().find(|row| row.id == before.id).cloned();
        let Some(now) = &self.opened else {
            self.draft = None;
            self.open_at(place.unwrap_or(0));
            return (!own).then(|| format!("\"{}\" was settled elsewhere.", before.label));
        };
        if same_question(&before, now) {
            return None;
        }
        let sentence = changed(now);
        self.draft = None;
        (!own).then_some(sentence)
    }

    pub(super) fn open(&mut self, id: &str) {
        let found = self.rows.iter().find(|row| row.id == id);
        if self.opened.as_ref().map(|open| &open.id) != found.map(|row| &row.id) {
            self.draft = None;
        }
        self.opened = found.cloned();
    }

    pub(super) fn step(&mut self, step: Step) {
        let to = match (self.position(), step) {
            (None, _) => 0,
            (Some(at), Step::Next) => (at + 1).min(self.shown.len().saturating_sub(1)),
            (Some(at), Step::Back) => at.saturating_sub(1),
        };
        self.open_at(to);
    }

    pub(super) fn filter(&mut self, text: String) {
        self.filter = text;
        self.narrow();
        if self.position().is_none() {
            self.open_at(0);
        }
    }

    pub(super) fn draft(&mut self, draft: Draft) {
        let fits = self.opened.as_ref().is_some_and(|open| fits(&draft, open));
        if fits && !self.is_sending() {
            self.draft = Some(draft);
        }
    }

    /// What to send for the prepared answer; nothing while an answer is under way.
    pub(super) fn apply(&mut self) -> Result<Option<Request>, String> {
        let (Some(open), false) = (&self.opened, self.is_sending()) else {
            return Ok(None);
        };
        let Some(draft) = &self.draft else {
            return Err("Nothing was sent: choose a side first.".to_owned());
        };
        let choice = match draft {
            Draft::Side(dot) => Choice::Side(dot.clone()),
            Draft::Value(text) => Choice::Value(typed_value(text, open)?),
            Draft::Restore => Choice::Restore,
            Draft::AcceptDelete => Choice::AcceptDelete,
        };
        self.sending = Some(Sending {
            id: open.id.clone(),
            taken: false,
        });
        Ok(Some(Request::Resolve {
            id: open.id.clone(),
            label: open.label.clone(),
            answer: ResolveRequest {
                choice,
                actor: None,
                read: Some(open.vv.clone()),
            },
        }))
    }

    pub(super) fn answered(&mut self, id: &str, taken: bool) {
        let Some(sending) = self.sending.as_mut().filter(|sending| sending.id == id) else {
            return;
        };
        if taken {
            // Stays marked until the node's next list, so that the question is not called settled elsewhere.
            sending.taken = true;
            self.draft = None;
        } else {
            self.sending = None;
        }
    }

    /// Once a list came after the answer, or one without the question, nothing is under way any more.
    fn forget_what_was_sent(&mut self) {
        let rows = &self.rows;
        self.sending
            .take_if(|sending| sending.taken || !rows.iter().any(|row| row.id == sending.id));
    }

    fn open_at(&mut self, place: usize) {
        let last = self.shown.len().saturating_sub(1);
        let row = self.shown.get(place.min(last)).map(|at| &self.rows[*at]);
        let id = row.map(|row| row.id.clone());
        match id {
            Some(id) => self.open(&id),
            None => (self.opened, self.draft) = (None, None),
        }
    }

    fn narrow(&mut self) {
        let wanted = self.filter.to_lowercase();
        let holds = |row: &ConflictView| {
            wanted.is_empty()
                || conflict_title(row).to_lowercase().contains(&wanted)
                || row.sides.iter().any(|side| {
                    side.device.to_lowercase().contains(&wanted)
                        || value_text(&side.value).to_lowercase().contains(&wanted)
                })
        };
        self.shown = (0..self.rows.len())
            .filter(|at| holds(&self.rows[*at]))
            .collect();
    }
}

/// Whether nothing that bears on the answer is another.
fn same_question(before: &ConflictView, now: &ConflictView) -> bool {
    before.sides == now.sides && before.kind == now.kind
}

fn changed(now: &ConflictView) -> String {
    let sides = match now.sides.len() {
        1 => "it has one side now".to_owned(),
        sides => format!("it has {sides} sides now"),
    };
    format!(
        "\"{}\" changed while it was open ({sides}): look at it again before you apply.",
        now.label
    )
}

/// Whether an answer of this kind can be given to the question.
fn fits(draft: &Draft, open: &ConflictView) -> bool {
    let of_life = open.kind == ConflictKind::DeleteUpdate;
    match draft {
        Draft::Side(dot) => !of_life && open.sides.iter().any(|side| side.dot == *dot),
        Draft::Value(_) => !of_life && open.field.is_some(),
        Draft::Restore | Draft::AcceptDelete => of_life,
    }
}

/// What was typed, as a value of the kind that the sides have.
fn typed_value(text: &str, open: &ConflictView) -> Result<Json, String> {
    let as_text = open
        .sides
        .iter()
        .all(|side| side.value.is_string() || side.value.is_null());
    if as_text {
        return Ok(Json::String(text.to_owned()));
    }
    let wrong = || {
        let example = open
            .sides
            .iter()
            .map(|side| &side.value)
            .find(|value| !value.is_null());
        let example = example.map(value_text).unwrap_or_default();
        format!(
            "Nothing was sent: \"{text}\" is not a value of this field; write it like {example}."
        )
    };
    let value: Json = serde_json::from_str(text.trim()).map_err(|_| wrong())?;
    let like = |side: &Json| std::mem::discriminant(side) == std::mem::discriminant(&value);
    if open.sides.iter().any(|side| like(&side.value)) {
        Ok(value)
    } else {
        Err(wrong())
    }
}
