//! Natural keys: which live entities of a type go by one name, who keeps it, and what the others are called meanwhile.
//!
//! Two names are one if they are equal under NFKC, trimmed and case-folded. A proposed name is a view: nothing here writes.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;
use serde::{Deserialize, Serialize};

use super::pick::pick;
use super::{
    Conflict, ConflictKind, Entity, Field, PickRule, Priorities, Side, SideState, StateSum,
};
use crate::id::{Dot, EntityId, Hash};
use crate::time::WallMs;
use crate::value::Value;

/// A type and a folded key, as one hash: what two live entities must not share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct KeyHash(pub [u8; 16]);

/// An entity's claim to its natural key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyClaim {
    /// Whose.
    pub entity: EntityId,
    /// The feed position at which the shown key was accepted; `None` while it is tentative.
    pub accepted: Option<u64>,
    /// The write of the shown name.
    pub dot: Dot,
    /// Its author's wall clock.
    pub ts: WallMs,
    /// The shown key, in the order of the policy's `natural_key`: the last one is the name.
    pub values: Vec<Value>,
}

impl KeyClaim {
    /// The name as it is shown.
    pub fn name(&self) -> &Value {
        self.values.last().unwrap_or(&Value::Null)
    }

    /// Sorts the claims to one key as bytes: whoever was accepted first, then by dot.
    pub fn place(&self) -> [u8; 56] {
        let mut place = [0; 56];
        let author = self.dot.author;
        place[..8].copy_from_slice(&self.accepted.unwrap_or(u64::MAX).to_be_bytes());
        place[8..24].copy_from_slice(&author.device.0);
        place[24..32].copy_from_slice(&author.epoch.0.to_be_bytes());
        place[32..40].copy_from_slice(&self.dot.counter.to_be_bytes());
        place[40..].copy_from_slice(&self.entity.0);
        place
    }

    /// Its share of the state hash, as long as another live entity has the same key.
    pub fn share(&self, key: KeyHash) -> StateSum {
        StateSum::of(&(key, self))
    }
}

/// What a rename would give, for one claim after the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// The entity that would be renamed.
    pub entity: EntityId,
    /// Its name then.
    pub name: String,
}

/// A text as natural keys compare it: NFKC, trimmed, case-folded, of the Unicode version that is built in.
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        // What is ASCII is in normal form, and folds to its small letters. `trim` takes what Unicode calls white space.
        return text.trim().to_ascii_lowercase();
    }
    let nfkc = ComposingNormalizer::new_nfkc();
    let composed = nfkc.normalize(text.trim());
    let lower = CaseMapper::new().fold_string(&composed);
    // Folding may take a text out of its normal form again.
    nfkc.normalize(lower.trim()).into_owned()
}

/// The key of some values in the order of the policy's `natural_key`; `None` if the name itself is empty.
pub fn key_hash(entity_type: &str, values: &[Value]) -> Option<KeyHash> {
    let values: Vec<Value> = values
        .iter()
        .map(|value| match value {
            Value::Text(text) => Value::Text(folded(text)),
            other => other.clone(),
        })
        .collect();
    match values.last()? {
        Value::Null => return None,
        Value::Text(text) if text.is_empty() => return None,
        _ => {}
    }
    let bytes =
        postcard::to_stdvec(&("natural key", entity_type, &values)).expect("values always encode");
    let hash = Hash::of(&bytes);
    Some(KeyHash(*hash.0.first_chunk().expect("a hash is longer")))
}

impl Entity {
    /// The natural key that the entity shows and its claim to it; `None` if it is deleted or shows none.
    pub fn key_claim(
        &self,
        natural_key: &[String],
        priorities: &Priorities,
    ) -> Option<(KeyHash, KeyClaim)> {
        if natural_key.is_empty() || !self.life.exists() || self.life.is_deleted() {
            return None;
        }
        let siblings = natural_key.iter().map(|name| match self.fields.get(name) {
            Some(Field::Register(register)) => {
                pick(&register.siblings, priorities).map(|pick| pick.sibling)
            }
            _ => None,
        });
        let siblings: Vec<_> = siblings.collect();
        let values = siblings
            .iter()
            .map(|s| s.map_or(Value::Null, |s| s.value.clone()));
        let values: Vec<Value> = values.collect();
        let key = key_hash(&self.entity_type, &values)?;
        let named = siblings.last().copied().flatten()?;
        let parts = siblings.iter().flatten().map(|s| s.accepted);
        let accepted = parts.collect::<Option<Vec<u64>>>();
        let accepted = accepted.and_then(|positions| positions.into_iter().max());
        Some((
            key,
            KeyClaim {
                entity: self.id,
                accepted,
                dot: named.dot,
                ts: named.ts,
                values,
            },
        ))
    }
}

/// Claims to one key in order: the first keeps the name.
pub fn arrange(claims: &mut [KeyClaim]) {
    claims.sort_by_key(KeyClaim::place);
}

/// The conflict of all live entities with one key; `None` if there are not two.
pub fn key_conflict(key: KeyHash, field: &str, claims: &[KeyClaim]) -> Option<Conflict> {
    let mut claims = claims.to_vec();
    arrange(&mut claims);
    let [first, _, ..] = &claims[..] else {
        return None;
    };
    let sides: Vec<Side> = claims
        .iter()
        .map(|claim| Side {
            entity: claim.entity,
            dot: claim.dot,
            ts: claim.ts,
            value: Some(claim.name().clone()),
            state: match claim.accepted {
                Some(_) => SideState::Confirmed,
                None => SideState::Tentative,
            },
            code: None,
        })
        .collect();
    Some(Conflict {
        id: key_conflict_id(key),
        entity: first.entity,
        field: Some(field.to_owned()),
        kind: ConflictKind::CreateCreate,
        suggested: first.dot,
        rule: match first.accepted {
            Some(_) => PickRule::Confirmed,
            None => PickRule::First,
        },
        clock_suspect: super::conflict::is_clock_suspect(sides.iter().map(|side| side.ts)),
        sides,
    })
}

/// The id of the conflict over a key, the same on every device.
pub fn key_conflict_id(key: KeyHash) -> String {
    Hash::of(&[&b"key conflict"[..], &key.0].concat()).to_string()[..24].to_owned()
}

/// Proposed names for all claims but the first, in order: the name with the lowest number from 2 up that nobody has.
pub fn proposals(claims: &[KeyClaim], is_taken: impl Fn(&[Value]) -> bool) -> Vec<Proposal> {
    let mut claims = claims.to_vec();
    arrange(&mut claims);
    // All of them fold to one text, so a number that was given is taken for the rest as well.
    let mut numbers = 2u64..;
    let renamed = claims.iter().skip(1).filter_map(|claim| {
        let name = renamed(&claim.values, &mut numbers, &is_taken)?;
        Some(Proposal {
            entity: claim.entity,
            name,
        })
    });
    renamed.collect()
}

/// A proposed name for one entity whose key somebody else has.
pub fn proposal(values: &[Value], is_taken: impl Fn(&[Value]) -> bool) -> Option<String> {
    renamed(values, &mut (2u64..), &is_taken)
}

fn renamed(
    values: &[Value],
    numbers: &mut impl Iterator<Item = u64>,
    is_taken: impl Fn(&[Value]) -> bool,
) -> Option<String> {
    let (Value::Text(name), scope) = values.split_last()? else {
        return None;
    };
    let mut candidates = numbers.map(|number| format!("{} ({number})", name.trim()));
    candidates.find(|candidate| {
        let text = Value::Text(candidate.clone());
        !is_taken(&[scope, &[text]].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Author, DeviceId, Epoch};

    fn claim(n: u8, accepted: Option<u64>, name: &str) -> KeyClaim {
        let author = Author {
            device: DeviceId([n; 16]),
            epoch: Epoch(1),
        };
        KeyClaim {
            entity: EntityId([n; 16]),
            accepted,
            dot: author.at(1),
            ts: WallMs(0),
            values: vec![Value::Text(name.into())],
        }
    }

    fn key(name: &str) -> Option<KeyHash> {
        key_hash("gallery", &[Value::Text(name.into())])
    }

    #[test]
    fn names_that_people_read_as_one_are_one() {
        for same in [" weddings", "WEDDINGS\t", "\u{ff37}eddings", "Weddings"] {
            assert_eq!(key(same), key("Weddings"), "{same}");
        }
        assert_eq!(key("Stra\u{df}e"), key("STRASSE"));
        assert_eq!(key("Jose\u{301}"), key("JOS\u{c9}"));
        assert_ne!(key("Weddings 2"), key("Weddings"));
        assert_eq!((key("  "), key("")), (None, None));
    }

    #[test]
    fn a_scope_keeps_equal_names_apart() {
        let of = |client: u8| {
            key_hash(
                "gallery",
                &[
                    Value::Ref(EntityId([client; 16])),
                    Value::Text("Wedding".into()),
                ],
            )
        };
        assert_ne!(of(1), of(2));
        assert_eq!(of(1), of(1));
        assert!(key_hash("gallery", &[Value::Null, Value::Text("Wedding".into())]).is_some());
    }

    #[test]
    fn the_first_accepted_keeps_the_name_and_the_others_skip_what_is_taken() {
        let mut claims = vec![
            claim(1, None, "Weddings"),
            claim(2, Some(9), "weddings"),
            claim(3, Some(4), "Weddings "),
            claim(4, None, "Weddings"),
        ];
        let conflict = key_conflict(KeyHash([0; 16]), "title", &claims).expect("four share it");
        assert_eq!(
            (conflict.entity, conflict.rule),
            (EntityId([3; 16]), PickRule::Confirmed)
        );
        let taken = |values: &[Value]| key_hash("gallery", values) == key("weddings (3)");
        let names = |claims: &[KeyClaim]| -> Vec<(u8, String)> {
            let proposals = proposals(claims, taken);
            proposals
                .into_iter()
                .map(|p| (p.entity.0[0], p.name))
                .collect()
        };
        let wanted = [
            (2, "weddings (2)"),
            (1, "Weddings (4)"),
            (4, "Weddings (5)"),
        ];
        let wanted = wanted.map(|(n, name)| (n, name.to_owned()));
        assert_eq!(names(&claims), wanted);
        claims.reverse();
        assert_eq!(
            names(&claims),
            wanted,
            "whatever the order in which they are told"
        );
        let one = proposal(&claims[0].values, taken);
        assert_eq!(one.as_deref(), Some("Weddings (2)"));
    }

    #[test]
    fn without_verdicts_the_lowest_dot_keeps_the_name() {
        let claims = [claim(2, None, "a"), claim(1, None, "A")];
        let conflict = key_conflict(KeyHash([0; 16]), "title", &claims).expect("two share it");
        assert_eq!(
            (conflict.suggested.author.device.0[0], conflict.rule),
            (1, PickRule::First)
        );
        assert!(key_conflict(KeyHash([0; 16]), "title", &claims[..1]).is_none());
    }
}
