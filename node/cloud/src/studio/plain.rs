//! Plain commands of clients that keep no log: the truth writes them into its own, each in a bundle of its own.
//!
//! They are decided like any other. What their client had read is a position of the feed; without one they are taken to have
//! seen everything.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use studiovault_protocol::author::{self, Draw, Mutation};
use studiovault_protocol::bundle::{Bundle, Header};
use studiovault_protocol::command::{Command, Op};
use studiovault_protocol::id::{CommandId, EntityId, Hash, Nonce};
use studiovault_protocol::limits;
use studiovault_protocol::membership::Role;
use studiovault_protocol::merge::Outcome;
use studiovault_protocol::time::WallMs;
use studiovault_protocol::vector::Vector;

use super::sitting::{Hearing, Sitting};
use super::{State, Studio};
use crate::position;
use crate::secrets;
use crate::store::{Session, StoreError};
use crate::truth::Truth;

/// Commands in one JSON batch at most.
pub const COMMANDS: usize = 200;

/// A batch in JSON.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlainBatch {
    /// The last position that the client knows; it also stands for what it had read.
    #[serde(default)]
    pub since: Option<String>,
    /// In order, at most 200.
    pub commands: Vec<PlainCommand>,
}

/// A command in JSON.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlainCommand {
    /// Keeps its value when the command is sent again.
    pub id: CommandId,
    /// The type's name.
    pub entity_type: String,
    /// Which entity; a create may leave it to the truth.
    #[serde(default)]
    pub entity_id: Option<EntityId>,
    /// What happens.
    pub operation: Op,
    /// As the local API takes them.
    #[serde(default)]
    pub fields: Map<String, Json>,
    /// The client's wall clock.
    #[serde(default)]
    pub ts: Option<WallMs>,
    /// The position at which the entity was read, if another than the batch's.
    #[serde(default)]
    pub read: Option<String>,
}

/// What became of a JSON batch.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Acknowledged {
    /// Confirmed, now or before.
    pub acked: Vec<CommandId>,
    /// Not simply confirmed.
    pub rejections: Vec<PlainRejection>,
}

/// A command that was not simply confirmed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PlainRejection {
    id: CommandId,
    code: &'static str,
    detail: String,
    fields: Vec<String>,
    latest: Json,
}

/// Why a JSON batch is not taken at all. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum PlainError {
    /// The asker's: it sends too much at once.
    #[error("{0} commands in one batch, at most 200 are taken")]
    TooMany(usize),
    /// The asker's: no position of this feed.
    #[error("a position that is none of this feed")]
    UnknownPosition,
    /// Whoever runs the server: its database was put back to an earlier point, up to this position.
    #[error("this cloud truth was put back to an earlier point of its feed, {0}")]
    Behind(u64),
    /// The studio's admin's: nobody would take what the truth writes.
    #[error("the studio's roster has no record yet that admits this cloud truth")]
    NotAdmitted,
    /// The disk's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Studio {
    /// Takes a JSON batch; `actor` is who sent it, as people shall read it.
    pub fn take_plain(
        &self,
        truth: &Truth,
        batch: &PlainBatch,
        (actor, at): (&str, WallMs),
    ) -> Result<Acknowledged, PlainError> {
        if batch.commands.len() > COMMANDS {
            return Err(PlainError::TooMany(batch.commands.len()));
        }
        self.refresh(truth)?;
        let _turn = self.turn();
        let known = self.state();
        let (acknowledged, state) = truth.store.write(|session| {
            // Another server may have been faster.
            let newer = self.hold((truth, session), &known)?;
            let state = newer.unwrap_or_else(|| State::clone(&known));
            if self.lost(truth, &state).is_some() {
                return Err(PlainError::Behind(state.head.0));
            }
            let own = state.roster.member(self.cloud.device);
            if own.is_none_or(|own| own.grant.key != truth.key.public()) {
                return Err(PlainError::NotAdmitted);
            }
            let before = (state.head, state.adopted.clone());
            let reads = self.reads((truth, session), batch, &state)?;
            let mut clerk = Clerk {
                studio: self,
                truth,
                session,
                sitting: Sitting::new(self, (truth, session), state, at)?,
                reads,
                touched: BTreeSet::new(),
                actor,
                at,
                told: Acknowledged::default(),
            };
            clerk.sitting.adopt()?;
            for command in &batch.commands {
                clerk.take(command, batch.since.as_deref())?;
            }
            let (_, mut state) = clerk.sitting.close()?;
            if before != (state.head, state.adopted.clone()) {
                self.announce((truth, session), &mut state)?;
            }
            Ok::<_, PlainError>((clerk.told, state))
        })?;
        truth.heads.note(self.id, state.head.0);
        self.publish(state);
        Ok(acknowledged)
    }

    /// What each named position stood for.
    fn reads(
        &self,
        (truth, session): (&Truth, &Session<'_>),
        batch: &PlainBatch,
        state: &State,
    ) -> Result<BTreeMap<String, Vector>, PlainError> {
        let mut reads = BTreeMap::new();
        let named = batch.commands.iter().filter_map(|c| c.read.as_ref());
        for text in named.chain(&batch.since) {
            if reads.contains_key(text) {
                continue;
            }
            let position = position::of(&truth.key, self.cloud, text)
                .filter(|position| *position <= state.head.0)
                .ok_or(PlainError::UnknownPosition)?;
            let mut vector = Vector::default();
            for tip in session.tips_at(self.row, position)? {
                vector.join(state.log.epochs(), tip);
            }
            reads.insert(text.clone(), vector);
        }
        Ok(reads)
    }
}

/// Words plain commands one by one and puts them into the truth's own log.
struct Clerk<'a> {
    studio: &'a Studio,
    truth: &'a Truth,
    session: &'a Session<'a>,
    sitting: Sitting<'a>,
    reads: BTreeMap<String, Vector>,
    /// Entities that an earlier command of this batch concerned: their client has seen its own work.
    touched: BTreeSet<EntityId>,
    actor: &'a str,
    at: WallMs,
    told: Acknowledged,
}

impl Clerk<'_> {
    fn take(&mut self, plain: &PlainCommand, since: Option<&str>) -> Result<(), PlainError> {
        let content = content_of(plain);
        // A create without an entity id always means the same new entity.
        let entity = plain.entity_id.unwrap_or(EntityId::from_random(plain.id.0));
        if let Some(first) = self.session.first_use(self.studio.row, plain.id)? {
            // Who had said it before the database was put back said the same, as far as anybody knows.
            if first.content != content && first.content != Hash::default() {
                let detail = "this id was used for something else; take a new one";
                let word = ("IDEMPOTENCY_MISMATCH", detail.to_owned(), Vec::new());
                return self.reject(plain, entity, word);
            }
            return match first.verdict {
                Some(verdict) => self.tell(plain, entity, &verdict.outcome),
                None => Ok(()),
            };
        }
        let read = plain.read.as_deref().or(since);
        let command = match self.word(plain, entity, read)? {
            Ok(command) => command,
            Err(refusal) => {
                let fields = refusal.field.into_iter().collect();
                return self.reject(plain, entity, (refusal.code, refusal.detail, fields));
            }
        };
        let bundle = self.seal(command);
        let hearing = Hearing {
            role: Role::Member,
            content: Some(content),
        };
        let outcomes = self.sitting.hold(&bundle, hearing)?;
        self.touched.insert(entity);
        match outcomes.into_iter().next().flatten() {
            Some(outcome) => self.tell(plain, entity, &outcome),
            None => Ok(()),
        }
    }

    fn word(
        &mut self,
        plain: &PlainCommand,
        id: EntityId,
        read: Option<&str>,
    ) -> Result<Result<Command, author::Refusal>, StoreError> {
        let mut read = read.and_then(|text| self.reads.get(text)).cloned();
        let log = &self.sitting.state().log;
        if let (Some(vector), true) = (&mut read, self.touched.contains(&id)) {
            vector.join(
                log.epochs(),
                self.studio.cloud.at(log.held(self.studio.cloud)),
            );
        }
        let mutation = Mutation {
            entity_type: plain.entity_type.clone(),
            entity: Some(id),
            op: plain.operation,
            fields: plain.fields.clone(),
            read,
            replaces: None,
        };
        let draw = Draw {
            device: self.studio.cloud.device,
            id: plain.id,
            nonce: Nonce(secrets::random()),
            ts: plain.ts.unwrap_or(self.at),
        };
        let entity = self.sitting.entity(id, &plain.entity_type)?;
        let policy = self.sitting.state().policies.in_force();
        Ok(author::may_write(&mutation, policy, Role::Member)
            .and_then(|()| author::command(&mutation, Some(&entity), policy, draw)))
    }

    /// The next bundle of the truth's own log.
    fn seal(&self, command: Command) -> Bundle {
        let (log, cloud) = (&self.sitting.state().log, self.studio.cloud);
        let chain = log.chain(cloud);
        let seen = chain.map(|chain| chain.past.clone()).unwrap_or_default();
        let header = Header {
            studio: self.studio.id,
            author: cloud,
            first_counter: log.held(cloud) + 1,
            prev: chain.map(|chain| chain.held.1),
            written_at: self.at,
            actor: self.actor.chars().take(limits::ACTOR_BYTES / 4).collect(),
            saw: log.seen_since(&seen, cloud),
            together: false,
        };
        Bundle::seal(header, vec![command], &self.truth.key)
            .expect("one command of 64 KiB fits a bundle")
    }

    fn tell(
        &mut self,
        plain: &PlainCommand,
        entity: EntityId,
        outcome: &Outcome,
    ) -> Result<(), PlainError> {
        match outcome {
            Outcome::Accepted => {
                self.told.acked.push(plain.id);
                Ok(())
            }
            Outcome::Merged(lost) => {
                self.told.acked.push(plain.id);
                let code = lost.first().map_or("", |(_, code)| code.word());
                let fields = lost.iter().map(|(field, _)| field.clone()).collect();
                let detail = "another value was confirmed before".to_owned();
                self.reject(plain, entity, (code, detail, fields))
            }
            Outcome::Rejected { code, detail } => {
                self.reject(plain, entity, (code.word(), detail.clone(), Vec::new()))
            }
        }
    }

    fn reject(
        &mut self,
        plain: &PlainCommand,
        entity: EntityId,
        (code, detail, fields): (&'static str, String, Vec<String>),
    ) -> Result<(), PlainError> {
        let latest = self.sitting.shown(entity, &plain.entity_type)?;
        self.told.rejections.push(PlainRejection {
            id: plain.id,
            code,
            detail,
            fields,
            latest: serde_json::from_str(&latest).unwrap_or_default(),
        });
        Ok(())
    }
}

/// What a plain command says, as it was sent: words of its own would depend on the state.
fn content_of(plain: &PlainCommand) -> Hash {
    let fields: BTreeMap<&String, String> = plain
        .fields
        .iter()
        .map(|(name, json)| (name, json.to_string()))
        .collect();
    let said = (
        "plain",
        &plain.entity_type,
        plain.entity_id,
        plain.operation,
        fields,
    );
    Hash::of(&postcard::to_stdvec(&said).expect("text and ids always encode"))
}
