//! Proves the store against itself: every chain, hash, signature, past and entity is worked out anew and compared.
//!
//! Changes nothing. `rebuild` makes the materialised rows anew from what this found sound: the log and the verdicts.

use std::collections::BTreeMap;

use rusqlite::Row;
use studiovault_protocol::api::VerifyView;
use studiovault_protocol::bundle::Bundle;
use studiovault_protocol::feed::Page;
use studiovault_protocol::id::{EntityId, Hash};
use studiovault_protocol::log::{Admission, LogIndex};
use studiovault_protocol::membership::Roster;
use studiovault_protocol::merge::{Entity, Priorities, StateSum};
use studiovault_protocol::policy::Policy;

use super::touched::Loaded;
use super::{Rules, Store, StoreError, history, keys, touched};

/// Faults told in words at most; the rest are counted.
const FAULTS: usize = 100;

/// What was looked at and what was wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verification {
    /// Bundles whose bytes, hash, chain and signature were checked.
    pub bundles: u64,
    /// Commands in them.
    pub commands: u64,
    /// Feed pages whose hash, chain and signature were checked.
    pub pages: u64,
    /// Entities that were folded from their history.
    pub entities: u64,
    /// How many faults there are.
    pub fault_count: u64,
    /// The first of them, in words.
    pub faults: Vec<String>,
}

impl From<Verification> for VerifyView {
    fn from(found: Verification) -> Self {
        Self {
            bundles: found.bundles,
            commands: found.commands,
            pages: found.pages,
            entities: found.entities,
            fault_count: found.fault_count,
            faults: found.faults,
        }
    }
}

impl Verification {
    /// Whether all is as it should be.
    pub fn is_sound(&self) -> bool {
        self.fault_count == 0
    }

    fn fault(&mut self, what: String) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS {
            self.faults.push(what);
        }
    }
}

impl Store {
    /// Checks everything that is stored. Fails only if it cannot read at all.
    pub fn verify(&self, roster: &Roster, policy: &Policy) -> Result<Verification, StoreError> {
        let mut found = Verification::default();
        let mut statement = self.connection.prepare("PRAGMA quick_check(10)")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let word: String = row.get(0)?;
            if word != "ok" {
                found.fault(format!("the database file: {word}"));
            }
        }
        let index = self.verify_log(roster, &mut found)?;
        self.verify_feed(roster, &mut found)?;
        self.verify_entities(&index, policy, &mut found)?;
        Ok(found)
    }

    /// Applied bundles in the order of their application, then the parked ones.
    fn verify_log(
        &self,
        roster: &Roster,
        found: &mut Verification,
    ) -> Result<LogIndex, StoreError> {
        let mut index = LogIndex::default();
        self.learn_forks(&mut index, roster)?;
        let mut statement = self.connection.prepare(
            "SELECT position, applied, past_at, hash, bytes FROM log_bundle
             ORDER BY applied IS NULL, applied, author, first",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let position: i64 = row.get(0)?;
            match self.verify_bundle(row, roster, &mut index) {
                Ok(bundle) => {
                    found.bundles += 1;
                    found.commands += bundle.commands().len() as u64;
                }
                Err(fault) => found.fault(format!("log position {position}: {fault}")),
            }
        }
        Ok(index)
    }

    fn verify_bundle(
        &self,
        row: &Row<'_>,
        roster: &Roster,
        index: &mut LogIndex,
    ) -> Result<Bundle, String> {
        let read = |error: rusqlite::Error| error.to_string();
        let (applied, past_at): (Option<i64>, Option<i64>) =
            (row.get(1).map_err(read)?, row.get(2).map_err(read)?);
        let bytes: Vec<u8> = row.get(4).map_err(read)?;
        let bundle = Bundle::decode(bytes).map_err(|error| error.to_string())?;
        if Hash(row.get(3).map_err(read)?) != bundle.hash() {
            return Err("the bytes are not those of the hash beside them".to_owned());
        }
        let device = bundle.author().device;
        let member = roster
            .member(device)
            .ok_or(format!("its author {device} is no member"))?;
        bundle
            .verify(&member.key)
            .map_err(|error| error.to_string())?;
        match index.judge(&bundle) {
            Admission::Fresh => index.hold(&bundle),
            other => {
                return Err(format!(
                    "{} does not continue its chain ({other:?})",
                    bundle.tip()
                ));
            }
        }
        if applied.is_none() {
            return Ok(bundle);
        }
        if !index.is_ready(&bundle) {
            return Err(format!("{} was applied before what it saw", bundle.tip()));
        }
        let past = index.apply(&bundle);
        let held = history::past(&self.connection, &self.authors, past_at.unwrap_or(0));
        match held {
            Ok(held) if held == *past => Ok(bundle),
            _ => Err(format!("the past kept beside {} is another", bundle.tip())),
        }
    }

    fn verify_feed(&self, roster: &Roster, found: &mut Verification) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT first, bytes FROM feed ORDER BY first")?;
        let mut rows = statement.query([])?;
        let mut held = (0, Hash::default());
        while let Some(row) = rows.next()? {
            let first = row.get::<_, i64>(0)?.cast_unsigned();
            let Ok(page) = Page::decode(row.get::<_, Vec<u8>>(1)?) else {
                found.fault(format!("the feed page at {first} cannot be read"));
                continue;
            };
            found.pages += 1;
            if page.body().first != held.0 + 1 || page.body().prev != held.1 {
                found.fault(format!(
                    "the feed page at {first} does not continue the one before"
                ));
            }
            let signed = roster
                .cloud()
                .is_some_and(|cloud| page.verify(&cloud.key).is_ok());
            if !signed {
                found.fault(format!(
                    "the feed page at {first} is not signed by the cloud truth"
                ));
            }
            held = (page.last(), page.hash());
        }
        Ok(())
    }

    /// What is wrong with an entity as it is held and shown; nothing is asked of what is shown of a collected one.
    fn faults_of(&self, (wanted, shown): (&Entity, Option<&str>), held: &Loaded) -> Vec<String> {
        let (id, mut faults) = (wanted.id, Vec::new());
        if keys::claim(self, held).map(|claim| claim.short()) != held.name_key() {
            faults.push(format!(
                "the natural key noted beside entity {id} is another"
            ));
        }
        let fields = serde_json::to_value(wanted.shown_fields(self.priorities())).ok();
        let is_shown = |text: &str| fields == serde_json::from_str(text).ok();
        if *wanted != held.entity {
            faults.push(format!("entity {id} is not what its history gives"));
        } else if shown.is_some_and(|text| !is_shown(text)) {
            faults.push(format!("what is shown of entity {id} is not what it is"));
        }
        faults
    }

    fn verify_entities(
        &self,
        index: &LogIndex,
        policy: &Policy,
        found: &mut Verification,
    ) -> Result<(), StoreError> {
        let priorities = Priorities::default();
        let rules = Rules {
            policy,
            priorities: &priorities,
            rights: &self.made_by.rights,
            epochs: index.epochs(),
            has_cloud: false,
        };
        let mut sum = StateSum::default();
        let mut claims: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut pieces = history::Pieces::default();
        let shown_with = self.made_by.priorities.clone().unwrap_or_default();
        let mut statement = self
            .connection
            .prepare(
                "SELECT uuid, EXISTS (SELECT 1 FROM tombstone WHERE tombstone.entity = entity.id AND collected), shown
                 FROM entity ORDER BY id",
            )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, collected) = (EntityId(row.get(0)?), row.get::<_, bool>(1)?);
            let shown: String = row.get(2)?;
            found.entities += 1;
            let folded = touched::read(self, id).and_then(|loaded| {
                let loaded = loaded.ok_or_else(|| StoreError::corrupt(format!("entity {id}")))?;
                let place = (&self.connection, &self.authors);
                let history = history::read_with(&mut pieces, place, loaded.row)?;
                let wanted = history.fold(&loaded.type_name, id, &rules);
                Ok((wanted, loaded))
            });
            match folded {
                Ok((mut wanted, held)) => {
                    sum.add(wanted.state_sum());
                    let named = self.naming.get(&wanted.entity_type);
                    let claim = named.and_then(|key| wanted.key_claim(key, &shown_with));
                    if let Some((key, claim)) = claim {
                        claims.entry(key).or_default().push(claim);
                    }
                    let shown = (!collected).then_some(&shown[..]);
                    if collected {
                        wanted.fields.clear();
                    }
                    for fault in self.faults_of((&wanted, shown), &held) {
                        found.fault(fault);
                    }
                }
                Err(error) => found.fault(format!("entity {id}: {error}")),
            }
        }
        if sum != self.state_sum() {
            let (held, wanted) = (self.state_sum().hex(), sum.hex());
            found.fault(format!(
                "the state sum is {held}, the entities give {wanted}"
            ));
        }
        if let Some(fault) = self.verify_keys(claims)? {
            found.fault(fault);
        }
        Ok(())
    }
}
