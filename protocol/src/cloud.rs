//! The cloud contract in its signed form: what a gateway sends to `/v1/sync/batch` and `/v1/sync/changes` and gets back.
//!
//! The plain JSON form of the same resources stands in [`crate::api`].

mod proof;

pub use proof::{NONCE_HEADER, PROOF_HEADER, Proof, ProofError, Prover, Target};

use serde::{Deserialize, Serialize};

use crate::feed::FeedHead;
use crate::frontier::Frontier;
use crate::id::{Author, CommandId, DeviceId, Dot, Hash, HashPrefix, PublicKey, StudioId};
use crate::membership::{Roster, SignedRecord};
use crate::merge::Code;
use crate::policy::{PolicyShelf, SignedPolicy};
use crate::time::WallMs;
use crate::wire::Packed;

/// The media type of this form.
pub const MEDIA_TYPE: &str = "application/vnd.studiovault.v1+postcard";

/// Which signed records somebody holds, as digests. Where the asker's differ, the cloud answers with its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Known {
    /// Of the roster.
    pub roster: HashPrefix,
    /// Of the policies that stand.
    pub policies: HashPrefix,
}

impl Known {
    /// What is held here.
    pub fn of(roster: &Roster, policies: &PolicyShelf) -> Self {
        Self {
            roster: roster.digest().prefix(),
            policies: policies.standing_digest().prefix(),
        }
    }
}

/// Body of `POST /v1/sync/batch`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BatchRequest {
    /// Who carries it; each command is judged by its own author.
    pub device: DeviceId,
    /// The term in which the carrier is gateway; `None` if it forwards its own log past the gateway.
    pub term: Option<u64>,
    /// The last feed position held.
    pub since: u64,
    /// What the carrier's LAN holds, to be spared those bytes.
    pub have: Frontier,
    /// Which records the carrier holds.
    pub known: Known,
    /// Signed records that the cloud may lack.
    pub roster: Vec<SignedRecord>,
    /// The signed policies that hold at the carrier, if there are any.
    pub policies: Vec<SignedPolicy>,
    /// Whole bundles in causal order, at most 5,000 commands and 4 MiB.
    pub bundles: Vec<Packed>,
    /// Decide these commands and no others; `None`: all that the bundles bring.
    pub only: Option<Only>,
    /// Commands that the carrier tried often enough, to be told to everybody; at most 100.
    pub stuck: Vec<Stuck>,
}

/// Which commands of one author are to be decided, among bundles sent along or held before. All others are held undecided.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Only {
    /// Whose.
    pub author: Author,
    /// Ascending, at most 1000.
    pub counters: Vec<u64>,
}

/// A command on which the cloud broke again and again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stuck {
    /// Its name.
    pub dot: Dot,
    /// What the cloud said, at most 300 bytes.
    pub detail: String,
}

/// Body of `POST /v1/sync/changes` in this form (the frontier does not fit a query).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChangesRequest {
    /// Who asks.
    pub device: DeviceId,
    /// The last feed position held.
    pub since: u64,
    /// What the asker's LAN holds.
    pub have: Frontier,
    /// Which records the asker holds.
    pub known: Known,
    /// Wait up to this many seconds for something new, at most 30.
    pub wait_s: u8,
}

/// A part of the feed with the bundles that it names and the asker lacks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Changes {
    /// All records of the cloud's roster, if the asker's is another one: what the bundles' authors rest on.
    pub roster: Vec<SignedRecord>,
    /// The policies that stand at the cloud, if others stand at the asker.
    pub policies: Vec<SignedPolicy>,
    /// Signed pages after `since`, in order, at most 1 MiB with the bundles.
    pub pages: Vec<Packed>,
    /// Bundles that the pages name and `have` lacks, in the feed's order.
    pub bundles: Vec<Packed>,
    /// More follows after the last page.
    pub more: bool,
    /// The feed's head position.
    pub head: u64,
    /// The cloud's wall clock.
    pub server_time: WallMs,
}

/// Body of `POST /v1/sync/tail`: the end of its own feed, for a cloud whose database was put back to an earlier point.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TailRequest {
    /// Who brings it.
    pub device: DeviceId,
    /// Signed records that the cloud may lack.
    pub roster: Vec<SignedRecord>,
    /// The signed policies that hold at the carrier, if there are any.
    pub policies: Vec<SignedPolicy>,
    /// Pages of the feed as the cloud had signed them, in order.
    pub pages: Vec<Packed>,
    /// The bundles that they name.
    pub bundles: Vec<Packed>,
}

/// Answer of `POST /v1/sync/tail`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TailAnswer {
    /// The feed's head now.
    pub head: u64,
}

/// Answer of `GET /v1/logs/{device}?epoch=&from=` in this form: held bundles of one epoch, in order, at most 1 MiB.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogPart {
    /// Bundles that reach to `from` or beyond.
    pub bundles: Vec<Packed>,
    /// More follows after the last one.
    pub more: bool,
}

/// A bundle that waits for something the cloud does not hold. Retryable; it rejects nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CausalGap {
    /// Whose bundle waits.
    pub author: Author,
    /// From which counter on the cloud lacks this author's log, or what it saw is missing.
    pub first: u64,
    /// What is missing.
    pub missing: Vec<Dot>,
}

/// A bundle that the cloud will not hold: no member's, not well-formed, or contradicting its chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedBundle {
    /// Its place in the request.
    pub index: u32,
    /// Why, in words.
    pub detail: String,
}

/// One command that was not simply accepted, with what stands instead.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rejection {
    /// The command's name.
    pub dot: Dot,
    /// The command's id.
    pub command: CommandId,
    /// Why.
    pub code: Code,
    /// In words.
    pub detail: String,
    /// The fields concerned; empty for the whole command.
    pub fields: Vec<String>,
    /// The entity's latest state at the cloud, as JSON.
    pub latest: String,
}

/// Who else forwards for this studio.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GatewayStatus {
    /// Nobody.
    Only,
    /// Another device of the same or a lower term did within a minute.
    Shared,
    /// A higher term is known.
    Stale,
}

/// Answer to a batch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// The feed after `since`: the verdicts stand here.
    pub changes: Changes,
    /// Bundles that wait.
    pub gaps: Vec<CausalGap>,
    /// Bundles that are not held.
    pub refused: Vec<RefusedBundle>,
    /// What lost or was rejected in this batch.
    pub rejections: Vec<Rejection>,
    /// Who else forwards.
    pub gateway: GatewayStatus,
}

impl BatchAnswer {
    /// What the cloud did not take, in at most two sentences.
    pub fn not_taken(&self) -> Vec<String> {
        let refused = self.refused.first().map(|first| {
            let count = self.refused.len();
            format!(
                "the cloud refused {count} bundles, the first because {}",
                first.detail
            )
        });
        let waiting = self.gaps.first().map(|gap| {
            let (count, dot) = (self.gaps.len(), gap.author.at(gap.first));
            format!("{count} bundles wait for what the cloud does not hold, the first is {dot}")
        });
        refused.into_iter().chain(waiting).collect()
    }
}

/// Body of `POST /v1/studios` (JSON): enrols a studio, or tells again what is enrolled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The studio.
    pub studio: StudioId,
    /// Its name for people.
    pub name: String,
    /// Its root key; fixed by the first enrolment.
    pub root: PublicKey,
    /// What the studio holds of every author at the moment when it gets this cloud: accepted as it stands.
    #[serde(default)]
    pub genesis: Vec<Dot>,
}

/// Answer to an enrolment (JSON).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnrolAnswer {
    /// The cloud truth's device id in this studio.
    pub device: DeviceId,
    /// The key that signs the feed.
    pub key: PublicKey,
}

/// Answer of `GET /v1/ping` (JSON).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pong {
    /// The nonce of the question: a captive portal cannot know it.
    pub nonce: String,
    /// The cloud's wall clock.
    pub server_time: WallMs,
    /// Where the feed of the asker's studio ends: whoever asks learns by it what a gateway keeps back.
    #[serde(default)]
    pub head: Option<PongHead>,
    /// What the asker's token allows, as words; of a server that does not tell, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

/// The scope of a machine's token.
pub const CARRY: &str = "carry";

/// Where a feed ends, in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PongHead {
    /// The last position.
    pub position: u64,
    /// The hash of the page that ends there.
    pub hash: Hash,
}

impl PongHead {
    /// As machines tell it to each other.
    pub fn brief(self) -> FeedHead {
        FeedHead {
            position: self.position,
            hash: self.hash.prefix(),
        }
    }
}

/// Answer of `GET /v1/studios/{id}/summary` (JSON): what the cloud's own tables hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Commands held.
    pub commands: u64,
    /// Commands confirmed (merged ones count).
    pub confirmed: u64,
    /// Commands rejected.
    pub rejected: u64,
    /// Live entities.
    pub entities: u64,
    /// Sum of all sales, voided or not, in cents.
    pub pos_gross_cents: i128,
    /// Sum of the sales that a void stands against, in cents.
    pub pos_voided_cents: i128,
    /// The feed's head position.
    pub head: u64,
    /// The sum of the confirmed state, as hexadecimal.
    pub state_hash: String,
}
