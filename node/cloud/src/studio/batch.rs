//! One batch: everything that it brings is decided, applied and told in the feed, in one transaction.

use std::sync::PoisonError;

use studiovault_protocol::cloud::{BatchAnswer, BatchRequest, RefusedBundle};
use studiovault_protocol::limits;
use studiovault_protocol::membership::SignedRecord;
use studiovault_protocol::time::WallMs;

use super::intake::{self, Arrival};
use super::order::arrange;
use super::sitting::{Sitting, Taken};
use super::{State, Studio};
use crate::store::{Session, StoreError};
use crate::truth::Truth;

/// Why a batch is not taken at all. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The asker's: it sends too much at once.
    #[error("{0} commands in one batch, at most 5000 are taken: send them in smaller batches")]
    TooMany(usize),
    /// Whoever runs the server: its database was put back to an earlier point.
    #[error(
        "this cloud truth holds its feed up to {held}, which went up to {asked}: its database was put back to an earlier point"
    )]
    Behind {
        /// What is held.
        held: u64,
        /// What the asker or the folder knows of.
        asked: u64,
    },
    /// The asker's: what it asks to be decided, or calls stuck, is out of bounds.
    #[error(
        "at most 1000 ascending commands can be asked for in one batch, and 100 called stuck with 300 bytes each"
    )]
    Asks,
    /// The asker's: its device no longer belongs to the studio.
    #[error("this machine no longer belongs to the studio")]
    ShutOut,
    /// The disk's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Studio {
    /// Takes a gateway's batch and tells what is new since its position.
    pub fn take(
        &self,
        truth: &Truth,
        request: &BatchRequest,
        at: WallMs,
    ) -> Result<BatchAnswer, BatchError> {
        check_asked(request)?;
        self.refresh(truth)?;
        let taken = {
            let _turn = self.turn();
            let (taken, state) = self.commit(truth, (request, at))?;
            truth.heads.note(self.id, state.head.0);
            self.publish(state);
            taken
        };
        let gateway = self
            .carriers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(request.device, request.term, at);
        let changes = self.changes(truth, request.since, &request.have)?;
        Ok(BatchAnswer {
            changes: self.with_records(request.known, changes),
            gaps: taken.gaps,
            refused: taken.refused,
            rejections: taken.rejections,
            gateway,
        })
    }

    /// Takes a batch in as one transaction: row by row if the database refuses one among many, so that it costs one command.
    fn commit(
        &self,
        truth: &Truth,
        (request, at): (&BatchRequest, WallMs),
    ) -> Result<(Taken, State), BatchError> {
        let known = self.state();
        let prepare = || Prepared::new(State::clone(&known), request);
        let work = |prepared: Prepared, session: &Session<'_>| {
            // Another server may have been faster.
            let prepared = match self.hold((truth, session), &known)? {
                Some(newer) => Prepared::new(newer, request)?,
                None => prepared,
            };
            if let Some(asked) = self.lost(truth, &prepared.state) {
                let held = prepared.state.head.0;
                return Err(BatchError::Behind { held, asked });
            }
            self.settle((truth, session), (request, prepared), at)
        };
        let prepared = prepare()?;
        let done = truth
            .store
            .write_together(|session| work(prepared, session));
        let Err(BatchError::Store(StoreError::Together(error))) = done else {
            return done;
        };
        tracing::error!(%error, "a row is refused: the batch is taken row by row");
        let prepared = prepare()?;
        truth.store.write(|session| work(prepared, session))
    }

    /// Works a prepared batch in, inside its transaction.
    fn settle(
        &self,
        (truth, session): (&Truth, &Session<'_>),
        (request, prepared): (&BatchRequest, Prepared),
        at: WallMs,
    ) -> Result<(Taken, State), BatchError> {
        let Prepared {
            state,
            records,
            new_policies,
            arrivals,
            refused,
        } = prepared;
        let before = (state.head, state.adopted.clone());
        for record in &records {
            session.insert_grant(self.row, record)?;
        }
        if new_policies {
            session.set_policies(self.row, state.policies.documents())?;
        }
        let mut sitting = Sitting::new(self, (truth, session), state, at)?;
        sitting.adopt()?;
        sitting.taken.refused = refused;
        sitting.only(request.only.clone());
        let bundles = arrivals.iter().map(|arrival| &arrival.bundle);
        let commands = bundles.flat_map(|bundle| bundle.commands());
        session.ask_ahead(self.row, commands.map(|(_, command)| command))?;
        for arrival in arrivals {
            sitting.arrive(arrival)?;
        }
        sitting.decide_held()?;
        sitting.tell_stuck(&request.stuck)?;
        let (taken, mut state) = sitting.close()?;
        if !records.is_empty() || new_policies || before != (state.head, state.adopted.clone()) {
            self.announce((truth, session), &mut state)?;
        }
        Ok((taken, state))
    }
}

/// A batch that was checked against a studio's state.
struct Prepared {
    /// With the batch's records and policies in it.
    state: State,
    records: Vec<SignedRecord>,
    new_policies: bool,
    arrivals: Vec<Arrival>,
    refused: Vec<RefusedBundle>,
}

impl Prepared {
    fn new(mut state: State, request: &BatchRequest) -> Result<Self, BatchError> {
        if request.since > state.head.0 {
            return Err(BatchError::Behind {
                held: state.head.0,
                asked: request.since,
            });
        }
        let records = state.admit(&request.roster);
        if state.is_shut_out(request.device) {
            return Err(BatchError::ShutOut);
        }
        let policies = state.policies.digest();
        for record in &request.policies {
            if let Err(error) = state.policies.insert(record.clone(), &state.roster) {
                tracing::warn!(%error, "a policy is not taken");
            }
        }
        let new_policies = state.policies.digest() != policies;
        let (arrivals, refused) = verify_all(request, &state)?;
        let arrivals = arrange(&state.log, arrivals, &state.roster.priorities());
        Ok(Self {
            state,
            records,
            new_policies,
            arrivals,
            refused,
        })
    }
}

fn verify_all(
    request: &BatchRequest,
    state: &State,
) -> Result<(Vec<Arrival>, Vec<RefusedBundle>), BatchError> {
    let (mut arrivals, mut refused, mut commands) = (Vec::new(), Vec::new(), 0);
    for (index, packed) in (0u32..).zip(&request.bundles) {
        match intake::verify(packed, index, &state.roster) {
            Ok(arrival) => {
                commands += arrival.bundle.commands().len();
                arrivals.push(arrival);
            }
            Err(detail) => refused.push(RefusedBundle { index, detail }),
        }
    }
    if commands > limits::BATCH_COMMANDS {
        return Err(BatchError::TooMany(commands));
    }
    Ok((arrivals, refused))
}

fn check_asked(request: &BatchRequest) -> Result<(), BatchError> {
    let only = request.only.as_ref().map_or(&[][..], |only| &only.counters);
    let ascending = only.windows(2).all(|pair| pair[0] < pair[1]);
    let counted = only.iter().all(|counter| *counter <= limits::COUNTER);
    let words = request.stuck.len() <= limits::STUCK_A_BATCH
        && request.stuck.iter().all(|stuck| {
            stuck.detail.len() <= limits::DETAIL_BYTES && stuck.dot.counter <= limits::COUNTER
        });
    if only.len() > limits::BUNDLE_COMMANDS || !ascending || !counted || !words {
        return Err(BatchError::Asks);
    }
    Ok(())
}
