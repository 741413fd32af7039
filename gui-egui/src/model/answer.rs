//! Answers: what a person prepares, the command it becomes, the same for what is alike, and how it is taken back.
//!
//! Taking back is a command too: its context is what stood after the answer, so whatever came later is not covered up.

use serde_json::{Map, Value as Json};
use studiovault_protocol::api::{
    Choice, ConflictView, EntityView, MutationRequest, ResolveRequest, TxRequest,
};
use studiovault_protocol::command::Op;
use studiovault_protocol::merge::ConflictKind;
use studiovault_protocol::policy::{Rule, TypeRule};

use super::board::Given;
use super::money::{amount_to_type, is_amount, typed_amount, typed_money};
use super::words::{field_text, value_text};
use crate::message::Answer;

/// An answer that is prepared and not yet sent.
#[derive(Clone, PartialEq, Debug)]
pub enum Draft {
    /// The side with this dot.
    Side(String),
    /// What stood before the sides parted.
    Base,
    /// Another value, as it was typed.
    Value(String),
    /// Bring the entity back, with the edits.
    Restore,
    /// Let the delete stand.
    AcceptDelete,
    /// Let the delete stand, and write the edits as something new.
    CopyAsNew(Box<TxRequest>),
}

impl Draft {
    /// The answer to a conflict; or why it is none.
    pub fn answer(&self, row: &ConflictView) -> Result<Answer, String> {
        let mut copy = None;
        let choice = match self {
            Self::Side(dot) => Choice::Side(dot.clone()),
            Self::Base => Choice::Value(row.base.clone().unwrap_or(Json::Null)),
            Self::Value(text) => Choice::Value(typed_value(text, row)?),
            Self::Restore => Choice::Restore,
            Self::AcceptDelete => Choice::AcceptDelete,
            Self::CopyAsNew(tx) => {
                copy = Some(TxRequest::clone(tx));
                Choice::AcceptDelete
            }
        };
        Ok(Answer {
            conflict: row.clone(),
            choice,
            copy,
        })
    }

    /// What the field will show, in words.
    pub fn words(&self, row: &ConflictView) -> String {
        let field = row.field.as_deref().unwrap_or_default();
        let shown = |value: Option<&Json>| value.map(|value| field_text(field, value));
        match self {
            Self::Side(dot) => {
                let side = row.sides.iter().find(|side| side.dot == *dot);
                shown(side.map(|side| &side.value)).unwrap_or_default()
            }
            Self::Base => shown(row.base.as_ref()).unwrap_or_default(),
            Self::Value(text) => typed_money((field, text), None).unwrap_or_else(|| text.clone()),
            Self::Restore => "restored, with the edits".to_owned(),
            Self::AcceptDelete => "deleted".to_owned(),
            Self::CopyAsNew(_) => "deleted, the edits copied as new".to_owned(),
        }
    }
}

impl Answer {
    /// As the API takes it.
    pub fn request(&self) -> ResolveRequest {
        ResolveRequest {
            choice: self.choice.clone(),
            actor: None,
            read: Some(self.conflict.vv.clone()),
        }
    }
}

/// Whether an answer of this kind can be given to the question.
pub fn fits(draft: &Draft, row: &ConflictView) -> bool {
    let of_life = row.kind == ConflictKind::DeleteUpdate;
    let of_name = row.kind == ConflictKind::CreateCreate;
    match draft {
        Draft::Side(dot) => !of_life && row.sides.iter().any(|side| side.dot == *dot),
        Draft::Base => !of_life && !of_name && row.base.is_some(),
        // Of more than two with one name it would not be said whose other name it is.
        Draft::Value(_) => !of_life && row.field.is_some() && (!of_name || row.sides.len() == 2),
        Draft::Restore | Draft::AcceptDelete | Draft::CopyAsNew(_) => of_life,
    }
}

/// What was typed, as a value of the kind that the sides have.
fn typed_value(text: &str, row: &ConflictView) -> Result<Json, String> {
    let sides = || row.sides.iter().map(|side| &side.value);
    if sides().all(|value| value.is_string() || value.is_null()) {
        return Ok(Json::String(text.to_owned()));
    }
    let field = row.field.as_deref().unwrap_or_default();
    let wrong = || {
        let example = sides().find(|value| !value.is_null());
        let written =
            |value| amount_to_type(field, value, None).unwrap_or_else(|| value_text(value));
        let example = example.map(written).unwrap_or_default();
        format!(
            "Nothing was sent: \"{text}\" is not a value of this field; write it like {example}."
        )
    };
    if is_amount(field) && sides().any(Json::is_i64) {
        let parts = typed_amount(text, None).map(Json::from);
        return parts.ok_or_else(wrong);
    }
    let value: Json = serde_json::from_str(text.trim()).map_err(|_| wrong())?;
    let like = |side: &Json| std::mem::discriminant(side) == std::mem::discriminant(&value);
    sides().any(like).then_some(value).ok_or_else(wrong)
}

/// The same choice for other conflicts of the same kind about the same field of the same type: the same machine's side, the
/// value before, or the same fate. A value of one's own is no choice for others.
pub fn similar<'a>(
    (row, draft): (&ConflictView, &Draft),
    others: impl Iterator<Item = &'a ConflictView>,
) -> Vec<Answer> {
    let device = match draft {
        Draft::Side(dot) => {
            let side = row.sides.iter().find(|side| side.dot == *dot);
            side.map(|side| side.device.as_str())
        }
        Draft::Value(_) | Draft::CopyAsNew(_) => return Vec::new(),
        Draft::Base | Draft::Restore | Draft::AcceptDelete => None,
    };
    let alike = others.filter(|other| {
        (other.kind, &other.entity_type, &other.field) == (row.kind, &row.entity_type, &row.field)
    });
    let answers = alike.filter_map(|other| {
        let same = match device {
            Some(device) => {
                let mut sides = other.sides.iter().filter(|side| side.device == device);
                let side = sides.next().filter(|_| sides.next().is_none())?;
                Draft::Side(side.dot.clone())
            }
            None => draft.clone(),
        };
        fits(&same, other).then(|| same.answer(other).ok())?
    });
    answers.collect()
}

/// A deleted entity's content as something new: what it showed, without what is empty.
pub fn copy_as_new(view: &EntityView, rules: Option<&TypeRule>) -> TxRequest {
    let mut fields = Map::new();
    for (name, value) in &view.fields {
        let rule = rules.and_then(|rules| rules.field(name));
        let value = match (rule.map(|rule| rule.rule), value) {
            (_, Json::Null) => continue,
            (Some(Rule::Counter), sum) => serde_json::json!({ "increment": sum }),
            (_, value) => value.clone(),
        };
        fields.insert(name.clone(), value);
    }
    TxRequest {
        mutations: vec![MutationRequest {
            entity_type: view.entity_type.clone(),
            id: None,
            op: Op::Create,
            fields,
            read: None,
        }],
        ..TxRequest::default()
    }
}

/// The commands that take answers back: each field has all its sides again, so its question is open as before; what was
/// restored is deleted, what was deleted is back, and who took another name has the first one again.
pub fn undo(given: &Given) -> TxRequest {
    let mutations = given.answers.iter().flat_map(|answer| {
        let row = &answer.conflict;
        let change = |op, id, fields| MutationRequest {
            entity_type: row.entity_type.clone(),
            id: Some(id),
            op,
            fields,
            read: Some(given.vv.clone()),
        };
        let field = row.field.clone().unwrap_or_default();
        let write = |value: &Json| Map::from_iter([(field.clone(), value.clone())]);
        match (row.kind, &answer.choice) {
            (ConflictKind::DeleteUpdate, Choice::AcceptDelete) => {
                vec![change(Op::Restore, row.entity, Map::new())]
            }
            (ConflictKind::DeleteUpdate, _) => vec![change(Op::Delete, row.entity, Map::new())],
            (ConflictKind::CreateCreate, choice) => {
                let renamed = row
                    .sides
                    .iter()
                    .enumerate()
                    .filter(|(at, side)| match choice {
                        Choice::Side(dot) => side.dot != *dot,
                        _ => *at == 1,
                    });
                renamed
                    .map(|(_, side)| change(Op::Update, side.entity, write(&side.value)))
                    .collect()
            }
            (ConflictKind::UpdateUpdate | ConflictKind::LostAtCloud, _) => {
                let mut values: Vec<&Json> = Vec::new();
                let of = |shown: bool| {
                    let sides = row.sides.iter();
                    sides.filter(move |side| (side.dot == row.suggested) == shown)
                };
                // The one that was shown comes last, and is shown again.
                for side in of(false).chain(of(true)) {
                    values.retain(|value| **value != side.value);
                    values.push(&side.value);
                }
                let writes = values.into_iter();
                writes
                    .map(|value| change(Op::Update, row.entity, write(value)))
                    .collect()
            }
        }
    });
    TxRequest {
        mutations: mutations.collect(),
        ..TxRequest::default()
    }
}
