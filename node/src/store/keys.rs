//! The index of natural keys: which live entities go by one name. It follows the entities' rows and decides nothing.
//!
//! Its share of the state hash is that of every claim whose key another live entity has too, so that devices that differ in
//! such a conflict are told apart.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::{
    Conflict, KeyClaim, KeyHash, StateSum, arrange, key_conflict, key_conflict_id, key_hash,
};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::value::Value;

use super::ledger;
use super::touched::Loaded;
use super::{Store, StoreError};

/// Claims to one key that are looked at: what a person can compare.
pub(super) const CLAIMS: usize = 100;

/// The natural keys of the types that have one.
pub(super) type Naming = BTreeMap<String, Vec<String>>;

/// The naming of a policy.
pub(super) fn naming(policy: &Policy) -> Naming {
    let named = policy
        .types()
        .iter()
        .filter(|(_, rules)| !rules.natural_key.is_empty());
    named
        .map(|(name, rules)| (name.clone(), rules.natural_key.clone()))
        .collect()
}

/// Whether a policy names types in another way.
pub(super) fn differs(held: &Naming, policy: &Policy) -> bool {
    let named = policy
        .types()
        .iter()
        .filter(|(_, rules)| !rules.natural_key.is_empty());
    !held
        .iter()
        .eq(named.map(|(name, rules)| (name, &rules.natural_key)))
}

/// An entity's row in the index, before or after.
#[derive(Clone, PartialEq, Eq)]
struct Row {
    key: KeyHash,
    claim: KeyClaim,
}

/// Makes the index follow an entity whose row was just written.
pub(super) fn follow(store: &Store, loaded: &Loaded, sum: &mut StateSum) -> Result<(), StoreError> {
    let natural_key = store.naming.get(&*loaded.type_name);
    if natural_key.is_none() && !loaded.was_of_another_type(store) {
        return Ok(());
    }
    let priorities = store.priorities.clone().unwrap_or_default();
    let claim = natural_key.and_then(|key| loaded.entity.key_claim(key, &priorities));
    let after = claim.map(|(key, claim)| Row { key, claim });
    let before = if loaded.was_stored() {
        held(&store.connection, loaded.row)?
    } else {
        None
    };
    if before == after {
        return Ok(());
    }
    let index = Index { store, loaded };
    match (before, after) {
        (Some(before), Some(after)) if before.key == after.key => {
            index.stay((&before, &after), sum)?;
        }
        (before, after) => {
            if let Some(before) = before {
                index.leave(&before, sum)?;
            }
            if let Some(after) = after {
                index.enter(&after, sum)?;
            }
        }
    }
    Ok(())
}

fn held(connection: &Connection, entity: i64) -> Result<Option<Row>, StoreError> {
    let found = connection
        .prepare_cached("SELECT key, claim FROM natural_key WHERE entity = ?1")?
        .query_row([entity], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()?;
    found
        .map(|(key, claim)| {
            let (key, claim) = (KeyHash(key), decoded(&claim)?);
            Ok(Row { key, claim })
        })
        .transpose()
}

fn decoded(bytes: &[u8]) -> Result<KeyClaim, StoreError> {
    postcard::from_bytes(bytes).map_err(|_| StoreError::corrupt("a natural key's claim"))
}

/// The claims to a key with the rows of their entities, the one that keeps it first.
pub(super) fn claims(
    connection: &Connection,
    key: KeyHash,
    limit: usize,
) -> Result<Vec<(i64, KeyClaim)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT entity, claim FROM natural_key WHERE key = ?1 ORDER BY place LIMIT ?2",
    )?;
    let mut rows = statement.query(params![key.0, limit as i64])?;
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        let claim: Vec<u8> = row.get(1)?;
        claims.push((row.get(0)?, decoded(&claim)?));
    }
    Ok(claims)
}

/// Whether a live entity of the type has this key.
pub(super) fn is_taken(connection: &Connection, entity_type: &str, values: &[Value]) -> bool {
    let Some(key) = key_hash(entity_type, values) else {
        return false;
    };
    // Whatever fails here fails the read around it as well; a proposal is only a view.
    claims(connection, key, 1).is_ok_and(|claims| !claims.is_empty())
}

/// The index around one entity.
struct Index<'a> {
    store: &'a Store,
    loaded: &'a Loaded,
}

impl Index<'_> {
    fn leave(&self, row: &Row, sum: &mut StateSum) -> Result<(), StoreError> {
        let connection = &self.store.connection;
        connection
            .prepare_cached("DELETE FROM natural_key WHERE entity = ?1")?
            .execute([self.loaded.row])?;
        self.mark(self.loaded.row, false)?;
        let left = claims(connection, row.key, 2)?;
        match &left[..] {
            [] => return Ok(()),
            [(last, claim)] => {
                sum.remove(row.claim.share(row.key));
                sum.remove(claim.share(row.key));
                self.mark(*last, false)?;
                connection
                    .prepare_cached("DELETE FROM key_conflict WHERE key = ?1")?
                    .execute([row.key.0])?;
            }
            _ => sum.remove(row.claim.share(row.key)),
        }
        self.note(row, if left.len() == 1 { "closed" } else { "changed" })
    }

    /// The same key by another write, or the same write accepted.
    fn stay(&self, (before, after): (&Row, &Row), sum: &mut StateSum) -> Result<(), StoreError> {
        let connection = &self.store.connection;
        let claim = postcard::to_stdvec(&after.claim).expect("claims always encode");
        connection
            .prepare_cached("UPDATE natural_key SET place = ?2, claim = ?3 WHERE entity = ?1")?
            .execute(params![self.loaded.row, after.claim.place(), claim])?;
        if claims(connection, after.key, 2)?.len() < 2 {
            return Ok(());
        }
        sum.remove(before.claim.share(before.key));
        sum.add(after.claim.share(after.key));
        self.note(after, "changed")
    }

    fn enter(&self, row: &Row, sum: &mut StateSum) -> Result<(), StoreError> {
        let connection = &self.store.connection;
        let others = claims(connection, row.key, 2)?;
        let claim = postcard::to_stdvec(&row.claim).expect("claims always encode");
        connection
            .prepare_cached(
                "INSERT INTO natural_key (entity, key, place, claim) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                self.loaded.row,
                row.key.0,
                row.claim.place(),
                claim
            ])?;
        if others.is_empty() {
            return Ok(());
        }
        sum.add(row.claim.share(row.key));
        self.mark(self.loaded.row, true)?;
        if let [(other, claim)] = &others[..] {
            sum.add(claim.share(row.key));
            self.mark(*other, true)?;
            let number = self.store.types.number(&self.loaded.type_name);
            connection
                .prepare_cached("INSERT INTO key_conflict (id, key, type) VALUES (?1, ?2, ?3)")?
                .execute(params![key_conflict_id(row.key), row.key.0, number])?;
        }
        self.note(
            row,
            if others.len() == 1 {
                "opened"
            } else {
                "changed"
            },
        )
    }

    fn mark(&self, entity: i64, twin: bool) -> Result<(), StoreError> {
        self.store
            .connection
            .prepare_cached("UPDATE entity SET twin = ?2 WHERE id = ?1")?
            .execute(params![entity, twin])?;
        Ok(())
    }

    /// A line of the ledger: whoever entered or left, and who keeps the name now.
    fn note(&self, row: &Row, event: &'static str) -> Result<(), StoreError> {
        let Some(decider) = self.loaded.decider else {
            // Not news: the rows were made anew.
            return Ok(());
        };
        let found = claims(&self.store.connection, row.key, CLAIMS)?;
        let mut found: Vec<KeyClaim> = found.into_iter().map(|(_, claim)| claim).collect();
        let winner = found.first().cloned();
        if !found.iter().any(|claim| claim.entity == row.claim.entity) {
            found.push(row.claim.clone());
        }
        let field = self
            .store
            .naming
            .get(&*self.loaded.type_name)
            .and_then(|key| key.last());
        let field = field.map_or("", String::as_str);
        let Some(conflict) = key_conflict(row.key, field, &found) else {
            return Ok(());
        };
        ledger::write_key(&self.store.connection, (&conflict, winner, event), decider)
    }
}

impl Store {
    /// Makes the index anew after the policy named types in another way, or before all entities come again.
    pub(super) fn rekey(&mut self, policy: &Policy) -> Result<(), StoreError> {
        self.connection.execute_batch(
            "DELETE FROM natural_key; DELETE FROM key_conflict; UPDATE entity SET twin = 0 WHERE twin = 1;",
        )?;
        self.naming = naming(policy);
        self.key_sum = StateSum::default();
        super::put_encoded(&self.connection, "naming", &self.naming)?;
        let ids: Vec<[u8; 16]> = self
            .connection
            .prepare("SELECT uuid FROM entity ORDER BY id")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut sum = StateSum::default();
        for id in ids.into_iter().map(EntityId) {
            if let Some(loaded) = super::touched::read(self, id)?
                && self.naming.contains_key(&*loaded.type_name)
            {
                follow(self, &loaded, &mut sum)?;
            }
        }
        self.key_sum = sum;
        Ok(())
    }

    /// Works the index out from entities and compares: the faults in words, and the sum that it should have.
    pub(super) fn verify_keys(
        &self,
        found: BTreeMap<KeyHash, Vec<KeyClaim>>,
    ) -> Result<Option<String>, StoreError> {
        let mut sum = StateSum::default();
        for (key, mut wanted) in found {
            arrange(&mut wanted);
            let held = claims(&self.connection, key, wanted.len() + 1)?;
            if !held.iter().map(|(_, claim)| claim).eq(&wanted) {
                let id = key_conflict_id(key);
                return Ok(Some(format!(
                    "the natural key {id} is not what its entities show"
                )));
            }
            if wanted.len() > 1 {
                wanted.iter().for_each(|claim| sum.add(claim.share(key)));
            }
        }
        Ok((sum != self.key_sum).then(|| "the sum of the natural keys is another".to_owned()))
    }
}

/// The conflict over a key as it is now; `None` if one entity alone has it.
pub(super) fn conflict(
    connection: &Connection,
    (key, field): (KeyHash, &str),
) -> Result<Option<(Conflict, Vec<KeyClaim>)>, StoreError> {
    let found = claims(connection, key, CLAIMS)?;
    let found: Vec<KeyClaim> = found.into_iter().map(|(_, claim)| claim).collect();
    Ok(key_conflict(key, field, &found).map(|conflict| (conflict, found)))
}
