//! Local writes: validated against the entities' state within the step's transaction, answered after its commit.

use studiovault_protocol::api::vv_text;
use studiovault_protocol::author::{self, Draw, Mutation, Refusal};
use studiovault_protocol::command::{Command, Op};
use studiovault_protocol::event::{Input, Transaction};
use studiovault_protocol::id::{Author, CommandId, EntityId, Nonce};
use studiovault_protocol::limits;
use studiovault_protocol::vector::Vector;

use super::Step;
use crate::store::StoreError;

/// A list of mutations that become durable together.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The person.
    pub actor: String,
    /// What happens, in order; later ones see earlier ones.
    pub mutations: Vec<Mutation>,
    /// The cloud takes all of them or none.
    pub together: bool,
    /// Creates of entities that exist are left out instead of refused.
    pub skip_existing: bool,
}

/// A durable transaction.
#[derive(Debug, Clone)]
pub struct Written {
    /// The entities, in the order of the mutations; those left out too.
    pub ids: Vec<EntityId>,
    /// Its author and first and last counter; `None` if everything was left out.
    pub bundle: Option<(Author, u64, u64)>,
    /// How many creates were left out.
    pub skipped: u64,
    /// What is applied with it: reading at least this much reads one's own write.
    pub vv: String,
}

/// Why a write did not happen. Nothing changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// The person's or program's fault.
    #[error("{}", .0.detail)]
    Refused(Refusal),
    /// The disk is full.
    #[error("{0}")]
    DiskFull(String),
    /// The store failed.
    #[error("{0}")]
    Store(String),
    /// The node is shutting down.
    #[error("the node is stopping; start it again and write once more")]
    Stopping,
}

impl WriteError {
    pub(super) fn of_store(error: &StoreError) -> Self {
        if error.is_full() {
            Self::DiskFull(error.to_string())
        } else {
            Self::Store(error.to_string())
        }
    }

    pub(super) fn too_large(detail: String) -> Self {
        Self::Refused(Refusal {
            code: "TRANSACTION_TOO_LARGE",
            field: None,
            detail,
        })
    }
}

impl Step<'_> {
    pub(super) fn write(&mut self, ticket: u64, request: WriteRequest) -> Result<(), StoreError> {
        let (commands, ids, skipped) = match self.word(&request)? {
            Ok(worded) => worded,
            Err(refusal) => {
                self.output
                    .answers
                    .push((ticket, Err(WriteError::Refused(refusal))));
                return Ok(());
            }
        };
        let vv = vv_text(self.engine.log().applied());
        let written = Written {
            ids,
            bundle: None,
            skipped,
            vv,
        };
        self.output.answers.push((ticket, Ok(written)));
        if commands.is_empty() {
            return Ok(());
        }
        let WriteRequest {
            actor, together, ..
        } = request;
        self.input(Input::Write(Transaction {
            ticket,
            actor,
            commands,
            together,
        }))
    }

    /// Validates and words every mutation. Later ones see the entities, but not what earlier ones of the same request do to
    /// the same entity: one mutation an entity and transaction, but for a create with what follows it.
    #[allow(
        clippy::type_complexity,
        reason = "an outcome inside a store outcome, used once"
    )]
    fn word(
        &mut self,
        request: &WriteRequest,
    ) -> Result<Result<(Vec<Command>, Vec<EntityId>, u64), Refusal>, StoreError> {
        let (mut commands, mut ids, mut skipped) = (Vec::new(), Vec::new(), 0);
        if request.mutations.len() > limits::BUNDLE_COMMANDS {
            let detail = format!(
                "a transaction of {} changes; at most 1000 fit: split it",
                request.mutations.len()
            );
            return Ok(Err(Refusal {
                code: "TRANSACTION_TOO_LARGE",
                field: None,
                detail,
            }));
        }
        for mutation in &request.mutations {
            let state = match mutation.entity {
                Some(id) => self.batch.entity(id)?,
                None => None,
            };
            let exists = state.as_ref().is_some_and(|state| state.life.exists());
            let twice =
                mutation.entity.is_some_and(|id| ids.contains(&id)) && mutation.op == Op::Create;
            if mutation.op == Op::Create && request.skip_existing && (exists || twice) {
                skipped += 1;
                ids.extend(mutation.entity);
                continue;
            }
            let draw = self.draw();
            let policy = self.engine.policies().in_force();
            let role = self.engine.identity().grant.grant.role;
            let worded = author::may_write(mutation, policy, role)
                .and_then(|()| author::command(mutation, state.as_ref(), policy, draw));
            match worded {
                Ok(command) => {
                    ids.push(command.entity);
                    commands.push(command);
                }
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        Ok(Ok((commands, ids, skipped)))
    }

    fn draw(&mut self) -> Draw {
        let random = &mut self.setup.random;
        Draw {
            id: CommandId::from_random(random.draw()),
            nonce: Nonce(random.draw()),
            ts: self.moment.now.wall,
        }
    }

    pub(super) fn answer_written(
        &mut self,
        ticket: u64,
        author: Author,
        (first, last): (u64, u64),
        applied: &Vector,
    ) {
        let mut answers = self.output.answers.iter_mut();
        if let Some((_, Ok(written))) = answers.find(|(answered, _)| *answered == ticket) {
            written.bundle = Some((author, first, last));
            written.vv = vv_text(applied);
        }
    }
}
