//! Local writes: validated against the entities' state within the step's transaction, answered after its commit.

use std::borrow::Cow;

use serde_json::Value as Json;
use studiovault_protocol::api::vv_text;
use studiovault_protocol::author::{self, Draw, Mutation, Refusal};
use studiovault_protocol::command::{Command, Op};
use studiovault_protocol::event::{Input, Transaction};
use studiovault_protocol::id::{Author, CommandId, EntityId, Nonce};
use studiovault_protocol::limits;
use studiovault_protocol::policy::TypeRule;
use studiovault_protocol::pos;
use studiovault_protocol::receipt::{self, Receipt};
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
    /// Of each of them that the transaction gave a receipt, the receipt as it is shown.
    pub receipts: Vec<Option<String>>,
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
        let Worded {
            commands,
            ids,
            receipts,
            skipped,
        } = match self.word(&request)? {
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
            receipts,
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
    fn word(&mut self, request: &WriteRequest) -> Result<Result<Worded, Refusal>, StoreError> {
        let mut worded = Worded::default();
        let mut numbers = Numbers::Unread;
        if request.mutations.len() > limits::BUNDLE_COMMANDS {
            let detail = format!(
                "a transaction of {} changes, and at most 1000 fit; split it",
                request.mutations.len()
            );
            return Ok(Err(refusal("TRANSACTION_TOO_LARGE", None, detail)));
        }
        for mutation in &request.mutations {
            let state = match mutation.entity {
                Some(id) => self.batch.entity(id)?,
                None => None,
            };
            let exists = state.as_ref().is_some_and(|state| state.life.exists());
            let made = |id: EntityId| worded.ids.contains(&id);
            let twice = mutation.op == Op::Create && mutation.entity.is_some_and(made);
            if mutation.op == Op::Create && request.skip_existing && (exists || twice) {
                worded.skipped += 1;
                worded.ids.extend(mutation.entity);
                worded.receipts.push(None);
                continue;
            }
            if twice {
                let detail = "one transaction creates the same thing twice; create it once";
                return Ok(Err(refusal("ALREADY_EXISTS", None, detail.into())));
            }
            let (number, mutation) = match self.complete(mutation, request, &mut numbers)? {
                Ok(numbered) => numbered,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let draw = self.draw();
            let policy = self.engine.policies().in_force();
            let roster = self.engine.roster();
            let place = roster.member(self.engine.identity().device);
            let made = author::may_act(place)
                .and_then(|role| author::may_write(&mutation, policy, role))
                .and_then(|()| author::command(&mutation, state.as_ref(), policy, draw));
            let made = match made {
                Ok(command) => self.check_sale(command, &worded)?,
                refused => refused,
            };
            match made {
                Ok(command) => {
                    worded.ids.push(command.entity);
                    worded.receipts.push(number);
                    worded.commands.push(command);
                }
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        Ok(Ok(worded))
    }

    /// Gives a new entry what the machine knows itself: the day and the currency of a sale that names none, and the next
    /// receipt number of its path. What an import takes up is left as it is: it had its receipt elsewhere.
    #[allow(
        clippy::type_complexity,
        reason = "an outcome inside a store outcome, used once"
    )]
    fn complete<'m>(
        &mut self,
        mutation: &'m Mutation,
        request: &WriteRequest,
        numbers: &mut Numbers,
    ) -> Result<Result<(Option<String>, Cow<'m, Mutation>), Refusal>, StoreError> {
        let policy = self.engine.policies().in_force().clone();
        let rules = policy.entity_type(&mutation.entity_type);
        let takes = |rules: &TypeRule| rules.append_only && rules.field(receipt::FIELD).is_some();
        if mutation.op != Op::Create || !rules.is_some_and(takes) {
            return Ok(Ok((None, Cow::Borrowed(mutation))));
        }
        if let Some(letter) = mutation.replaces {
            // The same sale once more, whose receipt was printed long ago: it keeps its number, or has none.
            let number = self.batch.receipt_of(letter)?;
            let given = mutation.fields.get(receipt::FIELD).and_then(Json::as_str);
            if given == number.as_deref() {
                return Ok(Ok((number, Cow::Borrowed(mutation))));
            }
        }
        if mutation.fields.contains_key(receipt::FIELD) || mutation.replaces.is_some() {
            let detail = "the machine numbers its receipts itself; leave `receipt` out".to_owned();
            let field = Some(receipt::FIELD.to_owned());
            return Ok(Err(refusal("RECEIPT_IS_NUMBERED", field, detail)));
        }
        if request.skip_existing {
            return Ok(Ok((None, Cow::Borrowed(mutation))));
        }
        if matches!(numbers, Numbers::Unread) {
            let (end, epochs) = (self.engine.path_end(), self.engine.log().epochs());
            *numbers = Numbers::After(self.batch.last_receipt(end, epochs)?);
        }
        let next = match numbers {
            Numbers::After(Some(last)) => last.next(),
            _ => {
                let members = self.engine.roster().members();
                let devices = members.map(|member| member.grant.device);
                Receipt::first(self.engine.identity().device, devices)
            }
        };
        let mut mutation = mutation.clone();
        if mutation.entity_type == pos::SALE {
            let (region, now) = (&self.setup.region, self.moment.now.wall);
            for (field, value) in [
                (pos::DAY, region.day(now)),
                (pos::CURRENCY, region.currency.to_string()),
            ] {
                let known = rules.is_some_and(|rules| rules.field(field).is_some());
                if known && !mutation.fields.contains_key(field) {
                    mutation.fields.insert(field.to_owned(), value.into());
                }
            }
        }
        let text = next.to_string();
        let field = receipt::FIELD.to_owned();
        mutation.fields.insert(field, text.clone().into());
        *numbers = Numbers::After(Some(next));
        Ok(Ok((Some(text), Cow::Owned(mutation))))
    }

    /// A correction or a void names a sale that is here, or that the same transaction makes.
    fn check_sale(
        &mut self,
        command: Command,
        worded: &Worded,
    ) -> Result<Result<Command, Refusal>, StoreError> {
        let Some(sale) = pos::named_sale(&command) else {
            return Ok(Ok(command));
        };
        let mut made = worded.commands.iter();
        if made.any(|made| made.entity == sale && made.entity_type == pos::SALE) {
            return Ok(Ok(command));
        }
        let named = self.batch.entity(sale)?;
        Ok(pos::check_named(&command, (sale, named.as_ref())).map(|()| command))
    }

    fn draw(&mut self) -> Draw {
        let (random, ts) = (&mut self.setup.random, self.moment.now.wall);
        Draw {
            device: self.setup.identity.device,
            id: CommandId::at(ts, random.draw()),
            nonce: Nonce(random.draw()),
            ts,
        }
    }

    pub(super) fn answer_written(
        &mut self,
        ticket: u64,
        author: Author,
        (first, last): (u64, u64),
        applied: &Vector,
    ) -> Result<(), StoreError> {
        let mut answers = self.output.answers.iter_mut();
        if let Some((_, Ok(written))) = answers.find(|(answered, _)| *answered == ticket) {
            written.bundle = Some((author, first, last));
            written.vv = vv_text(applied);
            for (id, receipt) in written.ids.iter().zip(&mut written.receipts) {
                if receipt.is_some() {
                    *receipt = self.batch.shown_receipt(*id)?;
                }
            }
        }
        Ok(())
    }
}

/// A transaction's mutations as commands, with what the answer says of each.
#[derive(Default)]
struct Worded {
    commands: Vec<Command>,
    ids: Vec<EntityId>,
    receipts: Vec<Option<String>>,
    skipped: u64,
}

/// Where the receipt numbers of a transaction stand.
enum Numbers {
    /// No entry needed one yet.
    Unread,
    /// The next comes after this one; `None`: it is the machine's first.
    After(Option<Receipt>),
}

fn refusal(code: &'static str, field: Option<String>, detail: String) -> Refusal {
    Refusal {
        code,
        field,
        detail,
    }
}
