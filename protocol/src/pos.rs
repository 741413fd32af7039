//! The point of sale: what its entries come to, as a fold over those that stand.
//!
//! Sales, corrections and voids are entities that nobody rewrites, so a total is a function of their set: the order in which
//! they came leaves no trace. A correction or a void counts on the day and the machine of the sale that it names.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, Dot, EntityId};
use crate::merge::{Entity, Priorities};
use crate::time::WallMs;
use crate::value::Value;

mod minor;
mod named;
mod sane;

pub use minor::minor_digits;
pub use named::{check_named, named_sale};
pub use sane::{INVOICE, ITEMS, value_broken};

/// The type of a sale.
pub const SALE: &str = "pos_order";
/// The type of a correction.
pub const CORRECTION: &str = "pos_correction";
/// The type of a void.
pub const VOID: &str = "pos_void";
/// The field of a sale that says on which day it was made.
pub const DAY: &str = "sold_on";
/// The field of a sale that says what it was paid in.
pub const CURRENCY: &str = "currency";
/// The field of a correction or a void that names its sale.
pub const NAMED: &str = "order";
/// The field that says how much, in the smallest part of the currency; of a correction, by how much.
pub const AMOUNT: &str = "amount_cents";

/// The sale that a correction or a void shows.
pub fn shown_sale(entity: &Entity) -> Option<EntityId> {
    if !matches!(entity.entity_type.as_str(), CORRECTION | VOID) {
        return None;
    }
    match entity.value(NAMED, &Priorities::default()) {
        Some(Value::Ref(sale)) => Some(*sale),
        _ => None,
    }
}

/// One standing entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its id.
    pub id: EntityId,
    /// The command that made it.
    pub dot: Dot,
    /// Its day: of a sale the day that it names.
    pub day: String,
    /// What it says.
    pub says: Says,
}

/// What an entry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Says {
    /// So much was sold.
    Sale {
        /// For how much.
        amount_cents: i64,
        /// In what; `None`: in the studio's currency.
        currency: Option<String>,
    },
    /// A sale was for more or less.
    Correction {
        /// Which.
        sale: EntityId,
        /// By how much.
        amount_cents: i64,
    },
    /// A sale counts nothing.
    Void {
        /// Which.
        sale: EntityId,
    },
}

impl Entry {
    /// Reads an entity as an entry; `None` if it is none, or does not stand. `day_of` counts days as the studio does.
    pub fn of(entity: &Entity, day_of: impl Fn(WallMs) -> String) -> Option<Self> {
        let made = entity.life.writes.first()?;
        let value = |field: &str| entity.value(field, &Priorities::default());
        let text = |field: &str| match value(field) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let amount_cents = match value(AMOUNT) {
            Some(Value::Int(cents)) => *cents,
            _ => 0,
        };
        let sale = shown_sale(entity);
        let says = match entity.entity_type.as_str() {
            SALE => Says::Sale {
                amount_cents,
                currency: text(CURRENCY),
            },
            CORRECTION => Says::Correction {
                sale: sale?,
                amount_cents,
            },
            VOID => Says::Void { sale: sale? },
            _ => return None,
        };
        let named = (entity.entity_type == SALE).then(|| text(DAY)).flatten();
        Some(Self {
            id: entity.id,
            dot: made.dot,
            day: named.unwrap_or_else(|| day_of(made.ts)),
            says,
        })
    }

    /// The sale that a correction or a void names.
    pub fn named_sale(&self) -> Option<EntityId> {
        match self.says {
            Says::Sale { .. } => None,
            Says::Correction { sale, .. } | Says::Void { sale } => Some(sale),
        }
    }
}

/// What some sales come to. 128 bits take more amounts of 64 bits than there can be entries, so no sum is ever cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sums {
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

impl Sums {
    fn add(&mut self, other: Self) {
        self.sales += other.sales;
        self.voided += other.voided;
        self.gross_cents += other.gross_cents;
        self.corrections_cents += other.corrections_cents;
        self.voids_cents += other.voids_cents;
        self.net_cents += other.net_cents;
    }
}

/// Why a person should look at an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A correction whose author knew that the sale is void. Counts nothing.
    CorrectionAfterVoid,
    /// A correction made while somebody else voided the sale. Counts nothing.
    CorrectionBesideVoid,
    /// One of several voids of one sale; it counts nothing, once.
    VoidedAgain,
    /// A correction or a void of a sale that is not here, or does not stand. Counts nothing.
    UnknownSale,
    /// A sale in another currency than the studio's. Not in the sums.
    OtherCurrency,
}

/// An entry that a person should look at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Flag {
    /// The sale that it is about.
    pub sale: EntityId,
    /// The entry.
    pub entry: EntityId,
    /// The command that made the entry.
    pub dot: Dot,
    /// Why.
    pub why: Why,
}

/// A day's totals.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Of all machines.
    pub all: Sums,
    /// By the machine that made the sale.
    pub devices: BTreeMap<DeviceId, Sums>,
    /// What a person should look at, by sale.
    pub flags: Vec<Flag>,
}

/// What names one sale.
#[derive(Default)]
struct Named {
    corrections: BTreeMap<(EntityId, Dot), i64>,
    voids: BTreeSet<(EntityId, Dot)>,
}

/// Folds a day's sales with every correction and void of them. Corrections and voids whose sale is not among `entries` are
/// flagged. `saw(one, other)` says whether the author of `one` had seen `other`.
pub fn totals<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    currency: &str,
    saw: impl Fn(Dot, Dot) -> bool,
) -> Totals {
    let mut named: BTreeMap<EntityId, Named> = BTreeMap::new();
    let mut sales: BTreeMap<EntityId, (Dot, i128, bool)> = BTreeMap::new();
    for entry in entries {
        match &entry.says {
            Says::Sale {
                amount_cents,
                currency: paid,
            } => {
                let other = paid.as_ref().is_some_and(|paid| paid != currency);
                sales.insert(entry.id, (entry.dot, i128::from(*amount_cents), other));
            }
            Says::Correction { sale, amount_cents } => {
                let named = named.entry(*sale).or_default();
                named
                    .corrections
                    .insert((entry.id, entry.dot), *amount_cents);
            }
            Says::Void { sale } => {
                named
                    .entry(*sale)
                    .or_default()
                    .voids
                    .insert((entry.id, entry.dot));
            }
        }
    }
    let mut totals = Totals::default();
    for (sale, (dot, amount, other)) in &sales {
        let named = named.remove(sale).unwrap_or_default();
        let sums = one_sale((*sale, *amount), &named, &saw, &mut totals.flags);
        if *other {
            totals
                .flags
                .push(flag(*sale, (*sale, *dot), Why::OtherCurrency));
        } else {
            totals.all.add(sums);
            let device = totals.devices.entry(dot.author.device);
            device.or_default().add(sums);
        }
    }
    for (sale, named) in named {
        let unknown = named.corrections.into_keys().chain(named.voids);
        totals
            .flags
            .extend(unknown.map(|entry| flag(sale, entry, Why::UnknownSale)));
    }
    totals.flags.sort();
    totals
}

fn flag(sale: EntityId, (entry, dot): (EntityId, Dot), why: Why) -> Flag {
    Flag {
        sale,
        entry,
        dot,
        why,
    }
}

/// One sale with all that names it: corrections add up; any void makes it count nothing, once.
fn one_sale(
    (sale, amount): (EntityId, i128),
    named: &Named,
    saw: impl Fn(Dot, Dot) -> bool,
    flags: &mut Vec<Flag>,
) -> Sums {
    let mut corrections = 0;
    for (entry, cents) in &named.corrections {
        // It was made before a void if the void's author had seen it, and it must have been before each of them.
        if named.voids.iter().all(|(_, void)| saw(*void, entry.1)) {
            corrections += i128::from(*cents);
        } else if named.voids.iter().any(|(_, void)| saw(entry.1, *void)) {
            flags.push(flag(sale, *entry, Why::CorrectionAfterVoid));
        } else {
            flags.push(flag(sale, *entry, Why::CorrectionBesideVoid));
        }
    }
    if named.voids.len() > 1 {
        let again = named
            .voids
            .iter()
            .map(|void| flag(sale, *void, Why::VoidedAgain));
        flags.extend(again);
    }
    let voided = !named.voids.is_empty();
    let whole = amount + corrections;
    let voids = if voided { -whole } else { 0 };
    Sums {
        sales: 1,
        voided: voided.into(),
        gross_cents: amount,
        corrections_cents: corrections,
        voids_cents: voids,
        net_cents: whole + voids,
    }
}

#[cfg(test)]
mod tests;
