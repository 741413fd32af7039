//! The open questions on screen: the list, its filter, the case that is open, and the answers being prepared.
//!
//! An answer is only ever sent for what the person has seen: if a side changes while its case is open, the prepared
//! answers are dropped and the person told what is different now.

use std::collections::{BTreeMap, BTreeSet};

use studiovault_protocol::api::ConflictView;

use super::answer::{Draft, fits, similar};
use super::case::{Case, CaseKind};
use super::words::{case_title, field_text, value_text};
use crate::action::Step;
use crate::message::Answer;

/// Answers that can be taken back.
const UNDOABLE: usize = 50;

/// Answers on their way.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sending {
    ids: BTreeSet<String>,
    /// The node took them; its next list shows what came of it.
    taken: bool,
}

/// Answers that were taken, and what the node had applied then.
#[derive(Clone, PartialEq, Debug)]
pub struct Given {
    /// The answers.
    pub answers: Vec<Answer>,
    /// The read token after the last of them.
    pub vv: String,
}

/// The open questions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Board {
    cases: Vec<Case>,
    conflicts: usize,
    /// What this machine is called: its own sides stand first.
    own: String,
    filter: String,
    only_mine: bool,
    /// Indices of the cases that the filter lets through; kept, so that a frame costs nothing per case out of sight.
    shown: Vec<usize>,
    opened: Option<Case>,
    /// The field that keys speak to.
    cursor: usize,
    drafts: BTreeMap<String, Draft>,
    /// The conflict for which a value is being written.
    editing: Option<String>,
    batch: bool,
    /// What the prepared answers would settle besides, if `batch` is on.
    alike: Vec<Answer>,
    /// What changed while the case was open.
    changed: Option<String>,
    sending: Option<Sending>,
    given: Vec<Given>,
}

impl Board {
    /// Every case, newest first.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// How many conflicts are open.
    pub fn conflicts(&self) -> usize {
        self.conflicts
    }

    /// The cases that the filter lets through.
    pub fn shown(&self) -> &[usize] {
        &self.shown
    }

    /// The text that narrows the list down.
    pub fn filter_text(&self) -> &str {
        &self.filter
    }

    /// Only those that this machine has a side in.
    pub fn only_mine(&self) -> bool {
        self.only_mine
    }

    /// The case that is open, as the person sees it.
    pub fn opened(&self) -> Option<&Case> {
        self.opened.as_ref()
    }

    /// What this machine is called.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The field that keys speak to.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The conflict that keys speak to.
    pub fn current(&self) -> Option<&ConflictView> {
        self.opened.as_ref()?.rows().get(self.cursor)
    }

    /// The prepared answer to a conflict.
    pub fn drafted(&self, id: &str) -> Option<&Draft> {
        self.drafts.get(id)
    }

    /// Whether any answer is prepared.
    pub fn has_drafts(&self) -> bool {
        !self.drafts.is_empty()
    }

    /// The conflict for which a value is being written.
    pub fn editing(&self) -> Option<&str> {
        self.editing.as_deref()
    }

    /// Whether all that are alike get the same answers.
    pub fn is_batch(&self) -> bool {
        self.batch
    }

    /// How many others the prepared answers would settle too.
    pub fn alike(&self) -> usize {
        self.alike.len()
    }

    /// What changed while the case was open.
    pub fn changed(&self) -> Option<&str> {
        self.changed.as_deref()
    }

    /// Whether an answer to the open case is under way.
    pub fn is_sending(&self) -> bool {
        let (Some(open), Some(sending)) = (&self.opened, &self.sending) else {
            return false;
        };
        open.rows().iter().any(|row| sending.ids.contains(&row.id))
    }

    /// Whether there is an answer to take back.
    pub fn can_undo(&self) -> bool {
        !self.given.is_empty()
    }

    /// The place of the open case among those shown.
    pub fn position(&self) -> Option<usize> {
        let key = self.opened.as_ref()?.key();
        self.shown
            .iter()
            .position(|at| self.cases[*at].key() == key)
    }

    /// This machine is called so.
    pub(super) fn set_own(&mut self, own: &str) {
        if self.own != own {
            own.clone_into(&mut self.own);
            self.narrow();
        }
    }

    /// Takes the node's list; says what a person should know about the case they have open.
    pub(super) fn replace(&mut self, rows: Vec<ConflictView>) -> Option<String> {
        let place = self.position();
        let before = self.opened.take();
        self.conflicts = rows.len();
        self.cases = Case::group(rows);
        self.narrow();
        let sent = self.sending.as_ref().map(|sending| sending.ids.clone());
        let sent = sent.unwrap_or_default();
        self.forget_what_was_sent();
        let Some(before) = before else {
            self.open_at(0);
            return None;
        };
        let now = self.cases.iter().find(|case| case.key() == before.key());
        let Some(now) = now.cloned() else {
            let own = before.rows().iter().all(|row| sent.contains(&row.id));
            let told =
                (!own).then(|| format!("\"{}\" was settled elsewhere.", before.head().label));
            self.open_at(place.unwrap_or(0));
            return told;
        };
        let changes = changes(&before, &now, &sent);
        let last = now.rows().len() - 1;
        let kept = |id: &String| now.rows().iter().any(|row| row.id == *id);
        self.drafts.retain(|id, _| kept(id));
        self.editing.take_if(|id| !kept(id));
        self.cursor = self.cursor.min(last);
        self.opened = Some(now);
        let told = (!changes.is_empty()).then(|| {
            self.forget_drafts();
            let label = &before.head().label;
            let changes = changes.join(" ");
            format!("\"{label}\" changed while it was open: look at it again before you apply. {changes}")
        });
        if told.is_some() {
            self.changed.clone_from(&told);
        }
        self.look_for_alike();
        told
    }

    /// Opens the case that holds a conflict.
    pub(super) fn open(&mut self, id: &str) {
        let found = self.cases.iter().find(|case| case.row(id).is_some());
        let found = found.cloned();
        if self.opened.as_ref().map(Case::key) != found.as_ref().map(Case::key) {
            self.forget_drafts();
            (self.cursor, self.changed, self.batch) = (0, None, false);
        }
        self.opened = found;
        self.look_for_alike();
    }

    pub(super) fn step(&mut self, step: Step) {
        let to = match (self.position(), step) {
            (None, _) => 0,
            (Some(at), Step::Next) => (at + 1).min(self.shown.len().saturating_sub(1)),
            (Some(at), Step::Back) => at.saturating_sub(1),
        };
        self.open_at(to);
    }

    pub(super) fn field(&mut self, step: Step) {
        let last = self.opened.as_ref().map_or(0, |case| case.rows().len() - 1);
        self.cursor = match step {
            Step::Next => (self.cursor + 1).min(last),
            Step::Back => self.cursor.saturating_sub(1),
        };
    }

    pub(super) fn set_filter(&mut self, text: String) {
        self.filter = text;
        self.narrow_and_open();
    }

    pub(super) fn set_mine(&mut self, only_mine: bool) {
        self.only_mine = only_mine;
        self.narrow_and_open();
    }

    /// Prepares an answer to one conflict of the open case; the keys go on to the next field without one.
    pub(super) fn draft(&mut self, id: &str, draft: Draft) {
        let Some(open) = self.opened.as_ref().filter(|_| !self.is_sending()) else {
            return;
        };
        let Some(at) = open.rows().iter().position(|row| row.id == id) else {
            return;
        };
        if !fits(&draft, &open.rows()[at]) {
            return;
        }
        let typed = matches!(draft, Draft::Value(_));
        self.cursor = at;
        self.drafts.insert(id.to_owned(), draft);
        self.changed = None;
        if !typed {
            self.editing.take_if(|editing| editing == id);
            let rows = self.opened.as_ref().map_or(&[][..], Case::rows);
            let open = |row: &ConflictView| !self.drafts.contains_key(&row.id);
            self.cursor = rows.iter().position(open).unwrap_or(at);
        }
        self.look_for_alike();
    }

    pub(super) fn edit(&mut self, id: Option<String>) {
        let open = |id: &String| {
            let row = self.opened.as_ref().and_then(|case| case.row(id));
            row.is_some_and(|row| fits(&Draft::Value(String::new()), row))
        };
        self.editing = id.filter(open).filter(|_| !self.is_sending());
        if let (Some(id), Some(case)) = (&self.editing, &self.opened) {
            let at = case.rows().iter().position(|row| row.id == *id);
            self.cursor = at.unwrap_or(self.cursor);
        }
    }

    pub(super) fn set_batch(&mut self, batch: bool) {
        self.batch = batch;
    }

    /// What to send for the prepared answers; nothing while answers are under way.
    pub(super) fn apply(&mut self) -> Result<Option<Vec<Answer>>, String> {
        let (Some(open), false) = (&self.opened, self.is_sending()) else {
            return Ok(None);
        };
        let mut answers = Vec::new();
        for row in open.rows() {
            if let Some(draft) = self.drafts.get(&row.id) {
                answers.push(draft.answer(row)?);
            }
        }
        if answers.is_empty() {
            return Err("Nothing was sent: choose a side first.".to_owned());
        }
        if self.batch {
            answers.append(&mut self.alike);
        }
        self.sending = Some(Sending {
            ids: answers.iter().map(|one| one.conflict.id.clone()).collect(),
            taken: false,
        });
        self.editing = None;
        Ok(Some(answers))
    }

    /// Answers came to an end; those taken can be taken back.
    pub(super) fn answered(&mut self, taken: Vec<Answer>, vv: Option<&str>) {
        let Some(sending) = self.sending.as_mut() else {
            return;
        };
        if taken.is_empty() {
            self.sending = None;
            return;
        }
        // Stays marked until the node's next list, so that the question is not called settled elsewhere.
        sending.taken = true;
        let ids: Vec<&String> = taken.iter().map(|answer| &answer.conflict.id).collect();
        self.drafts.retain(|id, _| !ids.contains(&id));
        (self.batch, self.editing) = (false, None);
        if let Some(vv) = vv {
            self.given.push(Given {
                answers: taken,
                vv: vv.to_owned(),
            });
            let over = self.given.len().saturating_sub(UNDOABLE);
            self.given.drain(..over);
        }
    }

    /// The last answers, to be taken back.
    pub(super) fn take_given(&mut self) -> Option<Given> {
        self.given.pop()
    }

    /// Once a list came after the answer, or one without the question, nothing is under way any more.
    fn forget_what_was_sent(&mut self) {
        let open: BTreeSet<&str> = self
            .cases
            .iter()
            .flat_map(Case::rows)
            .map(|row| row.id.as_str())
            .collect();
        self.sending.take_if(|sending| {
            sending.taken || !sending.ids.iter().any(|id| open.contains(id.as_str()))
        });
    }

    fn forget_drafts(&mut self) {
        self.drafts.clear();
        self.editing = None;
    }

    fn open_at(&mut self, place: usize) {
        let last = self.shown.len().saturating_sub(1);
        let case = self.shown.get(place.min(last)).map(|at| &self.cases[*at]);
        match case.map(|case| case.head().id.clone()) {
            Some(id) => self.open(&id),
            None => {
                self.opened = None;
                self.forget_drafts();
            }
        }
    }

    fn narrow_and_open(&mut self) {
        self.narrow();
        if self.position().is_none() {
            self.open_at(0);
        }
    }

    fn narrow(&mut self) {
        let wanted = self.filter.to_lowercase();
        let holds = |case: &Case| {
            let text = wanted.is_empty() || contains(case, &wanted);
            let mine = !self.only_mine || case.machines().contains(&self.own.as_str());
            text && mine
        };
        self.shown = (0..self.cases.len())
            .filter(|at| holds(&self.cases[*at]))
            .collect();
    }

    fn look_for_alike(&mut self) {
        self.alike.clear();
        let Some(open) = &self.opened else {
            return;
        };
        for row in open.rows() {
            if let Some(draft) = self.drafts.get(&row.id) {
                let others = self.cases.iter().filter(|case| case.key() != open.key());
                let others = others.flat_map(Case::rows);
                self.alike.extend(similar((row, draft), others));
            }
        }
    }
}

fn contains(case: &Case, wanted: &str) -> bool {
    case_title(case).to_lowercase().contains(wanted)
        || case.rows().iter().any(|row| {
            let field = row.field.as_deref().unwrap_or_default();
            row.entity_type.contains(wanted)
                || field.contains(wanted)
                || row.sides.iter().any(|side| {
                    side.device.to_lowercase().contains(wanted)
                        || value_text(&side.value).to_lowercase().contains(wanted)
                        || field_text(field, &side.value)
                            .to_lowercase()
                            .contains(wanted)
                })
        })
}

/// What is different now, a sentence a field; what one's own answers changed is none.
fn changes(before: &Case, now: &Case, sent: &BTreeSet<String>) -> Vec<String> {
    let mut changes = Vec::new();
    for row in before.rows().iter().filter(|row| !sent.contains(&row.id)) {
        let field = row.field.as_deref().unwrap_or("the question");
        let Some(new) = now.row(&row.id) else {
            changes.push(format!("{field} was settled elsewhere."));
            continue;
        };
        let fresh = new.sides.iter().filter(|side| {
            let same = row.sides.iter().find(|old| old.dot == side.dot);
            same.is_none_or(|old| old.value != side.value || old.state != side.state)
        });
        let fresh: Vec<String> = fresh
            .map(|side| match now.kind() {
                CaseKind::Life => format!("{} wrote meanwhile.", side.device),
                _ => format!(
                    "{} says {field} {} now.",
                    side.device,
                    field_text(field, &side.value)
                ),
            })
            .collect();
        if fresh.is_empty() && (new.sides.len() != row.sides.len() || new.kind != row.kind) {
            changes.push(format!("{field} has {} sides now.", new.sides.len()));
        }
        changes.extend(fresh);
    }
    changes
}
