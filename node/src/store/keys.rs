//! The index of natural keys: which live entities go by one name. It follows the entities' rows and decides nothing.
//!
//! A key that one entity has alone costs a short hash in its row; only claims to shared keys have rows of their own.
//! Its share of the state hash is that of every claim whose key another live entity has too, so that devices that differ in
//! such a conflict are told apart.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use studiovault_protocol::id::EntityId;
use studiovault_protocol::merge::{
    Conflict, KeyClaim, KeyHash, Priorities, StateSum, arrange, key_conflict, key_conflict_id,
    key_hash,
};
use studiovault_protocol::policy::Policy;
use studiovault_protocol::value::Value;

use super::ledger;
use super::touched::{self, Loaded};
use super::{Store, StoreError};

/// Claims to one key that are looked at: what a person can compare.
pub(super) const CLAIMS: usize = 100;

/// Changes the key in an entity's row.
pub(super) const SET_NAME_KEY: &str = "UPDATE entity SET name_key = ?2 WHERE id = ?1";

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

/// An entity's row in the index of shared keys, before or after.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Row {
    key: KeyHash,
    claim: KeyClaim,
}

impl Row {
    /// The key as the entity's own row has it. Two keys may share it; which they are is always asked of the claims.
    pub fn short(&self) -> i64 {
        short(self.key)
    }
}

fn short(key: KeyHash) -> i64 {
    let head = key.0.first_chunk().expect("a key is longer");
    i64::from_be_bytes(*head)
}

/// What an entity claims now.
pub(super) fn claim(store: &Store, loaded: &Loaded) -> Option<Row> {
    let natural_key = store.naming.get(&*loaded.type_name)?;
    let (key, claim) = loaded.entity.key_claim(natural_key, store.priorities())?;
    Some(Row { key, claim })
}

/// Makes the index follow an entity whose row was just written; `before` is the key that the row had.
pub(super) fn follow(
    store: &Store,
    loaded: &Loaded,
    (before, after): (Option<i64>, Option<&Row>),
    sum: &mut StateSum,
) -> Result<(), StoreError> {
    let shared = match before {
        Some(_) => held(&store.connection, loaded.row)?,
        None => None,
    };
    let index = Index { store, loaded };
    match (shared, after) {
        (Some(shared), Some(after)) if shared == *after => Ok(()),
        (Some(shared), Some(after)) if shared.key == after.key => index.stay((&shared, after), sum),
        (None, Some(after)) if before == Some(after.short()) => Ok(()),
        (shared, after) => {
            if let Some(shared) = shared {
                index.leave(&shared, sum)?;
            }
            after.map_or(Ok(()), |after| index.enter(after, sum))
        }
    }
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
    let find = || {
        let mut statement =
            connection.prepare_cached("SELECT 1 FROM entity WHERE name_key = ?1")?;
        statement.exists([short(key)])
    };
    // Whatever fails here fails the read around it as well; a proposal is only a view.
    find().unwrap_or(false)
}

/// Whether another live entity than this one has the key.
pub(super) fn is_anothers(
    connection: &Connection,
    key: KeyHash,
    entity: EntityId,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM entity WHERE name_key = ?1 AND uuid <> ?2";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.exists(params![short(key), entity.0])?)
}

/// The index around one entity.
struct Index<'a> {
    store: &'a Store,
    loaded: &'a Loaded,
}

impl Index<'_> {
    fn leave(&self, row: &Row, sum: &mut StateSum) -> Result<(), StoreError> {
        let connection = &self.store.connection;
        self.unshare(self.loaded.row)?;
        sum.remove(row.claim.share(row.key));
        let left = claims(connection, row.key, 2)?;
        let [(last, claim)] = &left[..] else {
            return self.note(row, "changed");
        };
        sum.remove(claim.share(row.key));
        self.note(row, "closed")?;
        self.unshare(*last)?;
        connection
            .prepare_cached("DELETE FROM key_conflict WHERE key = ?1")?
            .execute([row.key.0])?;
        Ok(())
    }

    /// The same key by another write, or the same write accepted.
    fn stay(&self, (before, after): (&Row, &Row), sum: &mut StateSum) -> Result<(), StoreError> {
        let connection = &self.store.connection;
        let claim = postcard::to_stdvec(&after.claim).expect("claims always encode");
        connection
            .prepare_cached("UPDATE natural_key SET place = ?2, claim = ?3 WHERE entity = ?1")?
            .execute(params![self.loaded.row, after.claim.place(), claim])?;
        sum.remove(before.claim.share(before.key));
        sum.add(after.claim.share(after.key));
        self.note(after, "changed")
    }

    fn enter(&self, row: &Row, sum: &mut StateSum) -> Result<(), StoreError> {
        let connection = &self.store.connection;
        if !self.has_namesakes(row)? {
            return Ok(());
        }
        let mut event = "changed";
        if claims(connection, row.key, 1)?.is_empty() {
            let Some((other, claim)) = self.namesake(row)? else {
                return Ok(());
            };
            event = "opened";
            self.share(other, &claim, sum)?;
            let number = self.store.types.number(&self.loaded.type_name);
            connection
                .prepare_cached("INSERT INTO key_conflict (id, key, type) VALUES (?1, ?2, ?3)")?
                .execute(params![key_conflict_id(row.key), row.key.0, number])?;
        }
        self.share(self.loaded.row, row, sum)?;
        self.note(row, event)
    }

    /// Whether another row may have the key.
    fn has_namesakes(&self, row: &Row) -> Result<bool, StoreError> {
        let mut statement = self
            .store
            .connection
            .prepare_cached("SELECT 1 FROM entity WHERE name_key = ?1 AND id <> ?2")?;
        Ok(statement.exists([row.short(), self.loaded.row])?)
    }

    /// The one other entity whose row claims the key.
    fn namesake(&self, row: &Row) -> Result<Option<(i64, Row)>, StoreError> {
        let mut statement = self
            .store
            .connection
            .prepare_cached("SELECT uuid FROM entity WHERE name_key = ?1 AND id <> ?2")?;
        let found = statement.query_map([row.short(), self.loaded.row], |row| row.get(0))?;
        for id in found {
            let Some(other) = touched::read(self.store, EntityId(id?))? else {
                continue;
            };
            if let Some(claimed) = claim(self.store, &other)
                && claimed.key == row.key
            {
                return Ok(Some((other.row, claimed)));
            }
        }
        Ok(None)
    }

    fn share(&self, entity: i64, row: &Row, sum: &mut StateSum) -> Result<(), StoreError> {
        let claim = postcard::to_stdvec(&row.claim).expect("claims always encode");
        self.store
            .connection
            .prepare_cached(
                "INSERT INTO natural_key (entity, key, place, claim) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![entity, row.key.0, row.claim.place(), claim])?;
        sum.add(row.claim.share(row.key));
        self.mark(entity, true)
    }

    fn unshare(&self, entity: i64) -> Result<(), StoreError> {
        self.store
            .connection
            .prepare_cached("DELETE FROM natural_key WHERE entity = ?1")?
            .execute([entity])?;
        self.mark(entity, false)
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
    /// The priority table by which the rows are shown.
    pub(super) fn priorities(&self) -> &Priorities {
        static NONE: Priorities = Priorities(BTreeMap::new());
        self.made_by.priorities.as_ref().unwrap_or(&NONE)
    }

    /// Makes the index anew after the policy named types in another way, or before all entities come again.
    pub(super) fn rekey(&mut self, policy: &Policy) -> Result<(), StoreError> {
        self.connection.execute_batch(
            "DELETE FROM natural_key; DELETE FROM key_conflict;
             UPDATE entity SET twin = 0, name_key = NULL WHERE twin = 1 OR name_key IS NOT NULL;",
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
            if let Some(loaded) = touched::read(self, id)?
                && let Some(claim) = claim(self, &loaded)
            {
                self.put_name_key(loaded.row, Some(&claim))?;
                follow(self, &loaded, (None, Some(&claim)), &mut sum)?;
            }
        }
        self.key_sum = sum;
        Ok(())
    }

    /// Takes an entity out of the index before the priorities change by which its claim is known; its next flush enters it anew.
    pub(super) fn forget_claim(&mut self, loaded: &Loaded) -> Result<(), StoreError> {
        let mut sum = self.key_sum;
        follow(self, loaded, (loaded.name_key(), None), &mut sum)?;
        self.key_sum = sum;
        self.put_name_key(loaded.row, None)
    }

    fn put_name_key(&self, entity: i64, claim: Option<&Row>) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(SET_NAME_KEY)?
            .execute(params![entity, claim.map(Row::short)])?;
        Ok(())
    }

    /// Works the index out from entities and compares: the faults in words, and the sum that it should have.
    pub(super) fn verify_keys(
        &self,
        found: BTreeMap<KeyHash, Vec<KeyClaim>>,
    ) -> Result<Option<String>, StoreError> {
        let mut sum = StateSum::default();
        for (key, mut wanted) in found {
            if wanted.len() < 2 {
                wanted.clear();
            }
            arrange(&mut wanted);
            let held = claims(&self.connection, key, wanted.len() + 1)?;
            if !held.iter().map(|(_, claim)| claim).eq(&wanted) {
                let id = key_conflict_id(key);
                return Ok(Some(format!(
                    "the natural key {id} is not what its entities show"
                )));
            }
            wanted.iter().for_each(|claim| sum.add(claim.share(key)));
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
