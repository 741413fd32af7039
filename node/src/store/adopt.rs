//! Taking another policy into use: the views are made anew, and every entity that it may show otherwise is folded anew.
//!
//! Afterwards every entity is what its history and the policy in force give, as if that policy had always been there.

use rusqlite::{OptionalExtension, params};
use studiovault_protocol::id::{EntityId, Hash};
use studiovault_protocol::limits;
use studiovault_protocol::policy::{Policy, SignedPolicy};

use super::batch::{Applied, Batch};
use super::ledger::Decider;
use super::restore::policies;
use super::touched::Types;
use super::{Rules, Store, StoreError, put_meta, schema};

/// Entities folded anew between two writes of rows; bounds what is in memory.
const ROUND: usize = 500;

impl Store {
    /// The policy by which the rows were made; `None` if this version of the program cannot read it.
    pub fn adopted(&self) -> Option<&Policy> {
        self.adopted.as_ref()
    }

    /// The adopted policy as it is noted.
    pub(super) fn adopted_text(&self) -> Result<Option<Policy>, StoreError> {
        let text = self.recall("policy_text")?.unwrap_or_default();
        Ok(Policy::parse(&String::from_utf8_lossy(&text)).ok())
    }

    /// Adopts `base` in a store that has no policy yet, and makes the views anew that an older version of the program made.
    pub(super) fn start_policy(&mut self, base: &Policy) -> Result<(), StoreError> {
        let noted = self.recall("policy_text")?.is_some();
        let known: Option<u32> = self.decoded("views")?;
        let adopted = self.adopted_text()?;
        let base = match &adopted {
            // Of a policy that this version cannot read the rows say nothing: they wait for one that it can.
            None if noted => return Ok(()),
            Some(_) if known == Some(schema::VIEWS) => return Ok(()),
            Some(adopted) => adopted,
            None => base,
        };
        let transaction = self.connection.transaction()?;
        schema::make_views(&transaction, base)?;
        put_meta(&transaction, "policy_text", base.text().as_bytes())?;
        transaction.commit()?;
        Ok(())
    }
}

impl Batch<'_> {
    /// Keeps a signed policy; of too many the lowest go. Memory knows whose signer's right stands, and lets others go first: so twice as
    /// many stay here as there.
    pub(super) fn keep_policy(&mut self, record: &SignedPolicy) -> Result<(), StoreError> {
        let bytes = postcard::to_stdvec(record).expect("records always encode");
        let connection = &self.store.connection;
        connection
            .prepare_cached("INSERT OR IGNORE INTO policy (hash, record) VALUES (?1, ?2)")?
            .execute(params![Hash::of(&bytes).0, bytes])?;
        let mut held = policies(connection)?;
        if held.len() > 2 * limits::POLICIES {
            held.sort_by_key(SignedPolicy::rank);
            let bytes = postcard::to_stdvec(&held[0]).expect("records always encode");
            connection.execute("DELETE FROM policy WHERE hash = ?1", [Hash::of(&bytes).0])?;
        }
        Ok(())
    }

    /// Takes the policy of `rules` into use, if another was.
    pub(super) fn adopt(
        &mut self,
        rules: &Rules<'_>,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        let known = self.store.adopted.take();
        self.make_views(rules.policy)?;
        let grows = known.is_some_and(|known| known.grows_into(rules.policy));
        let which = if grows { "opaque = 1" } else { "1 = 1" };
        let sql =
            format!("SELECT id, uuid FROM entity WHERE {which} AND id > ?1 ORDER BY id LIMIT 1");
        let mut after = 0;
        loop {
            let next: Option<(i64, [u8; 16])> = self
                .store
                .connection
                .prepare_cached(&sql)?
                .query_row([after], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((row, id)) = next else {
                break;
            };
            after = row;
            let id = EntityId(id);
            if let Some(loaded) = self.touched.entities.load(self.store, id)? {
                applied.entities.push((id, loaded.type_name.clone()));
                self.refold([(id, Decider::Policy)], (rules, applied))?;
            }
            if self.touched.entities.len() > ROUND {
                self.flush()?;
            }
        }
        self.flush()
    }

    /// Makes the views of a policy and notes that the rows are made by it.
    pub(super) fn make_views(&mut self, policy: &Policy) -> Result<(), StoreError> {
        self.flush()?;
        let store = &mut *self.store;
        schema::make_views(&store.connection, policy)?;
        put_meta(&store.connection, "policy_text", policy.text().as_bytes())?;
        store.types = Types::load(&store.connection)?;
        store.adopted = Some(policy.clone());
        Ok(())
    }
}
