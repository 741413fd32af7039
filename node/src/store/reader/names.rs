//! Conflicts over natural keys, and what each entity that cannot keep its name would be called.
//!
//! A proposed name is worked out when somebody looks; nothing of it is stored.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use serde_json::{Value as Json, json};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::{
    KeyClaim, KeyHash, Proposal, Side, key_hash, proposal, proposals,
};
use studiovault_protocol::time::WallMs;
use studiovault_protocol::value::Value;

use super::inbox::ConflictRow;
use super::{StoreError, View};
use crate::store::keys::{self, Naming};
use crate::store::ledger::{side_json, word};

/// A key that more than one live entity has.
struct Contended {
    key: KeyHash,
    entity_type: String,
}

/// Why a value cannot be an entity's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameFault {
    /// There is no name without a letter.
    Empty,
    /// Another live entity has it.
    Taken,
}

const CONTENDED: &str = "SELECT key_conflict.key, entity_type.name FROM key_conflict
     JOIN entity_type ON entity_type.id = key_conflict.type";

impl View<'_> {
    /// Open conflicts over natural keys.
    pub(super) fn key_conflicts(&self, limit: usize) -> Result<Vec<ConflictRow>, StoreError> {
        let sql = format!("{CONTENDED} ORDER BY key_conflict.id LIMIT ?1");
        let contended = self.gather(&sql, params![limit as i64], contended)?;
        let rows = contended.iter().map(|one| self.key_conflict_row(one));
        Ok(rows
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// One open conflict over a natural key.
    pub(super) fn key_conflict(&self, id: &str) -> Result<Option<ConflictRow>, StoreError> {
        let sql = format!("{CONTENDED} WHERE key_conflict.id = ?1");
        let found = self.gather(&sql, params![id], contended)?;
        let row = found
            .first()
            .map(|one| self.key_conflict_row(one))
            .transpose()?;
        Ok(row.flatten())
    }

    /// The conflict over an entity's natural key.
    pub(super) fn key_conflict_of(&self, id: EntityId) -> Result<Option<ConflictRow>, StoreError> {
        let sql = format!(
            "{CONTENDED} JOIN natural_key ON natural_key.key = key_conflict.key
             JOIN entity ON entity.id = natural_key.entity WHERE entity.uuid = ?1"
        );
        let found = self.gather(&sql, params![id.0], contended)?;
        let row = found
            .first()
            .map(|one| self.key_conflict_row(one))
            .transpose()?;
        Ok(row.flatten())
    }

    fn key_conflict_row(&self, one: &Contended) -> Result<Option<ConflictRow>, StoreError> {
        let naming = self.naming()?;
        let field = naming.get(&one.entity_type).and_then(|key| key.last());
        let field = field.map_or("", String::as_str);
        let Some((conflict, claims)) = keys::conflict(self.connection, (one.key, field))? else {
            return Ok(None);
        };
        let proposals = self.proposals(&one.entity_type, &claims);
        let side = |side: &Side| {
            let mut json = side_json(side);
            let proposed = proposals.iter().find(|p| p.entity == side.entity);
            json["proposed"] = json!(proposed.map(|proposal| &proposal.name));
            json
        };
        Ok(Some(ConflictRow {
            sides: conflict.sides.iter().map(side).collect(),
            id: conflict.id,
            entity: conflict.entity,
            entity_type: one.entity_type.clone(),
            field: conflict.field,
            kind: word(&conflict.kind),
            suggested: conflict.suggested,
            rule: word(&conflict.rule),
            clock_suspect: conflict.clock_suspect,
            base: None,
            opened_at: conflict
                .sides
                .iter()
                .map(|side| side.ts)
                .max()
                .unwrap_or(WallMs(0)),
        }))
    }

    fn proposals(&self, entity_type: &str, claims: &[KeyClaim]) -> Vec<Proposal> {
        proposals(claims, |values| {
            keys::is_taken(self.connection, entity_type, values)
        })
    }

    /// Why an entity could not be called by a value of one of its fields; `None` if it could, or if the field is no part of a name.
    pub fn name_fault(
        &self,
        entity_type: &str,
        (entity, field): (EntityId, &str),
        given: &Json,
    ) -> Result<Option<NameFault>, StoreError> {
        let naming = self.naming()?;
        let Some(key) = naming.get(entity_type) else {
            return Ok(None);
        };
        if !key.iter().any(|name| name == field) {
            return Ok(None);
        }
        let shown = self.shown(entity)?;
        let part = |name: &String| match name == field {
            true => value(given),
            false => value(&shown[name.as_str()]),
        };
        let values: Vec<Value> = key.iter().map(part).collect();
        let Some(hash) = key_hash(entity_type, &values) else {
            let is_name = key.last().is_some_and(|name| name == field);
            return Ok(is_name.then_some(NameFault::Empty));
        };
        let taken = keys::is_anothers(self.connection, hash, entity)?;
        Ok(taken.then_some(NameFault::Taken))
    }

    fn naming(&self) -> Result<Naming, StoreError> {
        let held: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT value FROM meta WHERE key = 'naming'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        let what = |_| StoreError::corrupt("meta naming");
        held.map_or(Ok(Naming::default()), |bytes| {
            postcard::from_bytes(&bytes).map_err(what)
        })
    }

    /// Gives the sides that the cloud did not take because of their key a proposed name.
    pub(super) fn propose_names(&self, row: &mut ConflictRow) -> Result<(), StoreError> {
        let taken = |side: &Json| side["code"] == "DUPLICATE_KEY";
        if !row.sides.iter().any(taken) {
            return Ok(());
        }
        let naming = self.naming()?;
        let key = naming.get(&row.entity_type);
        let Some(key) = key.filter(|key| key.last() == row.field.as_ref()) else {
            return Ok(());
        };
        let shown = self.shown(row.entity)?;
        for side in row.sides.iter_mut().filter(|side| taken(side)) {
            let part = |name: &String| match &row.field {
                Some(field) if field == name => value(&side["value"]),
                _ => value(&shown[name.as_str()]),
            };
            let values: Vec<Value> = key.iter().map(part).collect();
            let free = |values: &[Value]| keys::is_taken(self.connection, &row.entity_type, values);
            side["proposed"] = json!(proposal(&values, free));
        }
        Ok(())
    }

    fn shown(&self, id: EntityId) -> Result<Json, StoreError> {
        let text: String = self
            .connection
            .prepare_cached("SELECT shown FROM entity WHERE uuid = ?1")?
            .query_row([id.0], |row| row.get(0))?;
        serde_json::from_str(&text).map_err(|_| StoreError::corrupt(format!("entity {id}")))
    }

    /// What an entity in conflict over its name is called meanwhile; `None` if it keeps what it shows. `known` spares a second
    /// look at the same key.
    pub(super) fn proposed_name(
        &self,
        id: EntityId,
        known: &mut BTreeMap<String, ConflictRow>,
    ) -> Result<Option<String>, StoreError> {
        let named = |row: &ConflictRow| {
            let own = |side: &&Json| side["entity"] == json!(id) && side["proposed"].is_string();
            let side = row.sides.iter().find(own)?;
            side["proposed"].as_str().map(str::to_owned)
        };
        if let Some(name) = known.values().find_map(named) {
            return Ok(Some(name));
        }
        let rows = self.conflicts_of(id)?;
        let name = rows.iter().find_map(named);
        let over_keys = rows.into_iter().filter(|row| row.kind == "create_create");
        known.extend(over_keys.map(|row| (row.id.clone(), row)));
        Ok(name)
    }
}

fn contended(row: &rusqlite::Row<'_>) -> Result<Contended, StoreError> {
    Ok(Contended {
        key: KeyHash(row.get(0)?),
        entity_type: row.get(1)?,
    })
}

/// A shown value as it was written; an id comes back as text, which no two kinds of value share in one field.
fn value(json: &Json) -> Value {
    match json {
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => Value::Int(number.as_i64().unwrap_or_default()),
        Json::String(text) => text
            .parse()
            .map_or_else(|_| Value::Text(text.clone()), Value::Ref),
        _ => Value::Null,
    }
}
