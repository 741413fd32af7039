//! The history of one entity for people: every command with its author, its changes and what the cloud truth said.

use rusqlite::params;
use serde_json::{Map, Value as Json};
use studiovault_protocol::command::Op;
use studiovault_protocol::id::{Dot, EntityId};
use studiovault_protocol::merge::{Code, Outcome};
use studiovault_protocol::receipt::FIELD;
use studiovault_protocol::time::WallMs;

use super::super::{history, queue, receipt};
use super::{StoreError, View};

/// One command of an entity.
#[derive(Clone, PartialEq, Debug)]
pub struct HistoryEntry {
    /// Its name.
    pub dot: Dot,
    /// The person.
    pub actor: String,
    /// The author's wall clock.
    pub ts: WallMs,
    /// What it did.
    pub op: Op,
    /// Its changes by field: a value, or `{ "add": [] }`, `{ "remove": [] }`, `{ "increment": n }`.
    pub fields: Map<String, Json>,
    /// What the cloud truth said, if it did.
    pub ruling: Option<Ruling>,
}

/// What the cloud truth said on a command.
#[derive(Clone, PartialEq, Debug)]
pub struct Ruling {
    /// The feed position.
    pub position: u64,
    /// accepted, merged or rejected.
    pub word: &'static str,
    /// Why not, in whole or in part.
    pub code: Option<Code>,
    /// In words: the fields that lost, or the cloud's detail.
    pub why: String,
}

impl View<'_> {
    /// Every command of an entity, in the order in which this machine applied them; of collected content no values.
    pub fn history(&self, id: EntityId) -> Result<Vec<HistoryEntry>, StoreError> {
        let sql = "SELECT bundle.author, bundle.bytes, bundle.hash,
             EXISTS (SELECT 1 FROM tombstone WHERE tombstone.entity = entity.id AND collected) FROM entity
             JOIN entity_log AS noted ON noted.entity = entity.id
             JOIN log_bundle AS bundle ON bundle.position = noted.position
             WHERE entity.uuid = ?1 ORDER BY bundle.applied";
        let entries = self.gather(sql, params![id.0], |row| {
            let bundle = history::bundle(row, (1, 2))?;
            let mut verdicts = history::verdicts(self.connection, row.get(0)?, &bundle)?;
            let actor = bundle.header().actor.clone();
            let collected: bool = row.get(3)?;
            let of_entity = bundle
                .commands()
                .filter(|(_, command)| command.entity == id);
            let author: i64 = row.get(0)?;
            let entry = |(dot, command)| -> Result<HistoryEntry, StoreError> {
                let mut fields = match collected {
                    true => Map::new(),
                    false => queue::changes(command),
                };
                let printed = receipt::printed((self.connection, author), (dot, command))?;
                if let (Some(printed), Some(field)) = (printed, fields.get_mut(FIELD)) {
                    *field = printed.into();
                }
                let verdict = verdicts.remove(&dot.counter);
                Ok(HistoryEntry {
                    dot,
                    actor: actor.clone(),
                    ts: command.ts,
                    op: command.op,
                    fields,
                    ruling: verdict.map(|verdict| ruling(verdict.position, verdict.outcome)),
                })
            };
            of_entity.map(entry).collect::<Result<Vec<_>, _>>()
        })?;
        Ok(entries.into_iter().flatten().collect())
    }
}

pub(super) fn ruling(position: u64, outcome: Outcome) -> Ruling {
    match outcome {
        Outcome::Accepted => Ruling {
            position,
            word: "accepted",
            code: None,
            why: String::new(),
        },
        Outcome::Merged(lost) => {
            let why: Vec<String> = lost
                .iter()
                .map(|(field, code)| format!("{field}: {}", code.word()))
                .collect();
            let code = lost.first().map(|(_, code)| *code);
            Ruling {
                position,
                word: "merged",
                code,
                why: why.join(", "),
            }
        }
        Outcome::Rejected { code, detail } => Ruling {
            position,
            word: "rejected",
            code: Some(code),
            why: detail,
        },
    }
}
