//! The cloud truth of one studio bare of its server: in memory, asked by a call, with the time handed in.
//!
//! The simulator runs this: the same decisions, tables and feed as behind the HTTP interface, without clock and randomness.

use studiovault_protocol::cloud::{
    BatchAnswer, BatchRequest, Changes, ChangesRequest, EnrolRequest, Summary,
};
use studiovault_protocol::command::Command;
use studiovault_protocol::feed::FeedHead;
use studiovault_protocol::id::{Author, DeviceId};
use studiovault_protocol::keys::SecretKey;
use studiovault_protocol::policy::Policy;
use studiovault_protocol::time::WallMs;

use crate::store::StoreError;
use crate::studio::BatchError;
use crate::truth::{EnrolError, Truth};

/// What a bare truth begins with; all that a server would draw.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The studio.
    pub studio: EnrolRequest,
    /// Signs the feed.
    pub key: SecretKey,
    /// The cloud truth as an author.
    pub cloud: Author,
    /// The time.
    pub at: WallMs,
}

/// Why a request is not answered. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum BareError {
    /// The studio cannot be enrolled.
    #[error("{0}")]
    NotEnrolled(String),
    /// The asker does not belong to the studio any more.
    #[error("this machine no longer belongs to the studio")]
    ShutOut,
    /// The batch is not taken at all.
    #[error("{0}")]
    NotTaken(String),
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The truth of one studio.
pub struct BareTruth {
    truth: Truth,
    founding: Founding,
}

impl BareTruth {
    /// An empty truth that has enrolled one studio.
    pub fn new(founding: Founding) -> Result<Self, BareError> {
        let truth = Truth::in_memory(founding.key.clone())?;
        let enrolled = truth.enrol_as(&founding.studio, founding.cloud, founding.at);
        match enrolled {
            Ok(_) => Ok(Self { truth, founding }),
            Err(EnrolError::Store(error)) => Err(error.into()),
            Err(error) => Err(BareError::NotEnrolled(error.to_string())),
        }
    }

    /// From now on the server breaks on these commands, with the whole request. Only tests call this.
    pub fn break_on(&mut self, which: fn(&Command) -> bool) {
        self.truth.breaks_on = Some(which);
    }

    /// The rules that it decides by from now on. Only tests call this.
    pub fn decide_by(&mut self, policy: Policy) {
        self.truth.policy = policy;
        self.truth.forget();
    }

    /// Takes a batch, as `POST /v1/sync/batch` does.
    pub fn batch(&self, request: &BatchRequest, at: WallMs) -> Result<BatchAnswer, BareError> {
        let studio = self.studio()?;
        match studio.take(&self.truth, request, at) {
            Ok(mut answer) => {
                answer.changes.server_time = at;
                Ok(answer)
            }
            Err(BatchError::Store(error)) => Err(error.into()),
            Err(BatchError::ShutOut) => Err(BareError::ShutOut),
            Err(error) => Err(BareError::NotTaken(error.to_string())),
        }
    }

    /// Tells what is new, as `POST /v1/sync/changes` does, without waiting for it.
    pub fn changes(&self, request: &ChangesRequest, at: WallMs) -> Result<Changes, BareError> {
        let studio = self.studio()?;
        let changes = studio.changes(&self.truth, request.since, &request.have)?;
        let mut changes = studio.with_records(request.known, changes);
        changes.server_time = at;
        Ok(changes)
    }

    /// Whether a device was a member and is none any more: the server refuses all that it asks. Only tests call this.
    pub fn is_shut_out(&self, device: DeviceId) -> Result<bool, BareError> {
        Ok(self.studio()?.state().is_shut_out(device))
    }

    /// What its own tables hold.
    pub fn summary(&self) -> Result<Summary, BareError> {
        let studio = self.studio()?;
        Ok(studio.summary(&self.truth)?)
    }

    /// Where its feed ends, as `GET /v1/ping` tells.
    pub fn head(&self) -> Result<FeedHead, BareError> {
        let (position, hash) = self.studio()?.state().head;
        let hash = hash.prefix();
        Ok(FeedHead { position, hash })
    }

    /// Forgets all but the database, as a crash and a restart do.
    pub fn restart(&self) {
        self.truth.forget();
    }

    fn studio(&self) -> Result<std::sync::Arc<crate::studio::Studio>, BareError> {
        let studio = self.truth.studio(self.founding.studio.studio)?;
        studio.ok_or_else(|| BareError::NotEnrolled("no such studio".into()))
    }
}
