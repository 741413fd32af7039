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
    /// Sales, voided ones included.
    pub sales: u64,
    /// Of those, voided.
    pub voided: u64,
    /// All amounts as sold.
    pub gross_cents: i128,
    /// What corrections add or take away.
    pub corrections_cents: i128,
    /// What voids take away.
    pub voids_cents: i128,
    /// What remains.
    pub net_cents: i128,
}

impl PosDevice {
    /// A machine with its sums. They stand beside its name and not below it; what serde flattens reads no more than 64 bits.
    pub fn new((device, name): (DeviceId, String), sums: Sums) -> Self {
        let Sums {
            sales,
            voided,
            gross_cents,
            corrections_cents,
            voids_cents,
            net_cents,
        } = sums;
        Self {
            device,
            name,
            sales,
            voided,
            gross_cents,
            corrections_cents,
            voids_cents,
            net_cents,
        }
    }

    /// Its sums.
    pub fn sums(&self) -> Sums {
        Sums {
            sales: self.sales,
            voided: self.voided,
            gross_cents: self.gross_cents,
            corrections_cents: self.corrections_cents,
            voids_cents: self.voids_cents,
            net_cents: self.net_cents,
        }
    }
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

/// Why a command is held and never applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetAside {
    /// It would rewrite an entry of the point of sale.
    #[default]
    Rewrites,
    /// Its machine no longer belonged.
    Cut,
    /// Its machine had signed something else in its place, or before it.
    Split,
    /// It is no part of any log: its machine had signed something else in its place, or before it.
    Evidence,
    /// No role that its machine ever had may write this type.
    Role,
}

/// A command that is held and never applied.
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
    /// Why.
    #[serde(default)]
    pub reason: SetAside,
    /// The reason is the cut of its machine.
    #[serde(default)]
    pub beyond_cut: bool,
    /// What settled it: `fixed` or `discarded`; nothing while somebody has to look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_beyond_64_bits_are_written_and_read_whole() {
        let wide = i128::from(i64::MAX) * 3;
        let sums = Sums {
            sales: 3,
            gross_cents: wide,
            voids_cents: -wide - 7,
            net_cents: -7,
            ..Sums::default()
        };
        let device = PosDevice::new((DeviceId([1; 16]), "till".into()), sums);
        let text = serde_json::to_string(&device).expect("JSON always encodes");
        assert!(
            text.contains("\"gross_cents\":27670116110564327421"),
            "{text}"
        );
        let read: PosDevice = serde_json::from_str(&text).expect("its own text");
        assert_eq!((read.sums(), read), (sums, device));
    }
}
