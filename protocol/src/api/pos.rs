//! The point of sale: a day's totals with what a person should look at, and what was set aside.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, EntityId};
use crate::pos::{Sums, Why};
use crate::time::WallMs;

/// What the sales of one day come to: `GET /local/v1/pos/totals?day=`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PosTotals {
    /// The day.
    pub day: String,
    /// The time zone that days are counted in.
    pub time_zone: String,
    /// What amounts are in.
    pub currency: String,
    /// Of all machines.
    pub all: Sums,
    /// By the machine that made the sale.
    pub devices: Vec<PosDevice>,
    /// What a person should look at.
    pub flagged: Vec<PosFlag>,
    /// The read token: what these totals are made of.
    pub vv: String,
}

/// What one machine's sales come to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PosDevice {
    /// Which.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// Its sums.
    #[serde(flatten)]
    pub sums: Sums,
}

/// An entry that a person should look at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PosFlag {
    /// The sale that it is about.
    pub sale: EntityId,
    /// The sale's receipt, if it has one.
    pub sale_receipt: Option<String>,
    /// The entry.
    pub entry: EntityId,
    /// Its receipt, if it has one.
    pub receipt: Option<String>,
    /// The machine that wrote it.
    pub device: String,
    /// Why, for programs.
    pub why: Why,
    /// Why, for people, with what became of it.
    pub sentence: String,
}

/// A command that would rewrite an entry of the point of sale: held, never applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quarantined {
    /// The command's name.
    pub dot: String,
    /// The machine that wrote it.
    pub device: String,
    /// The person.
    pub actor: String,
    /// The entry.
    pub entity: EntityId,
    /// The type that the command names.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// What it would do.
    pub op: String,
    /// All of its bundle is set aside with it.
    pub whole_bundle: bool,
    /// Its machine no longer belonged; else it would rewrite an entry.
    #[serde(default)]
    pub beyond_cut: bool,
    /// The author's wall clock.
    pub ts: WallMs,
    /// What is the matter, in words.
    pub sentence: String,
}

/// All that was set aside: `GET /local/v1/quarantine`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QuarantinePage {
    /// The rows, newest first.
    pub quarantined: Vec<Quarantined>,
}

impl Why {
    /// The reason as a sentence, with what became of the entry.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::CorrectionAfterVoid => {
                "It corrects a sale that was void already; it counts nothing."
            }
            Self::CorrectionBesideVoid => {
                "It corrects a sale that somebody else voided meanwhile; it counts nothing."
            }
            Self::VoidedAgain => "The sale was voided more than once; it is taken away once.",
            Self::UnknownSale => {
                "The sale that it names is not here or does not stand; it counts nothing."
            }
            Self::OtherCurrency => "It was paid in another currency; it is not in the sums.",
        }
    }
}
