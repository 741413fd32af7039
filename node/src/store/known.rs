//! Which entities may exist: a Bloom filter, so that most creates need no look into the index.
//!
//! It never says "no" of an entity that has a row. A rollback leaves bits behind, which costs a look now and then.

use rusqlite::Connection;
use studiovault_protocol::id::EntityId;

use super::StoreError;

/// Bits for each entity: with four probes one look in a hundred is for nothing.
const BITS: u64 = 12;
/// Probes for each entity.
const PROBES: u64 = 4;
/// Entities that the first layer has room for at least; 96 KiB.
const FIRST_ROOM: u64 = 64 * 1024;

/// The filter: layers of doubling room, so that it grows without reading everything again.
#[derive(Debug)]
pub(super) struct Known {
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    words: Vec<u64>,
    bits: u64,
    room: u64,
}

impl Known {
    /// Over all rows.
    pub fn load(connection: &Connection) -> Result<Self, StoreError> {
        let count: i64 =
            connection.query_row("SELECT coalesce(max(id), 0) FROM entity", [], |row| {
                row.get(0)
            })?;
        let mut known = Self {
            layers: vec![Layer::new(FIRST_ROOM.max(2 * count.unsigned_abs()))],
        };
        let mut statement = connection.prepare("SELECT uuid FROM entity")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            known.insert(EntityId(row.get(0)?));
        }
        Ok(known)
    }

    /// `false` only if the entity has no row and is none of those inserted.
    pub fn may_hold(&self, id: EntityId) -> bool {
        self.layers.iter().any(|layer| {
            let mut places = layer.places(id);
            places.all(|(word, bit)| layer.words[word] & bit != 0)
        })
    }

    /// From now on the entity may exist.
    pub fn insert(&mut self, id: EntityId) {
        let last = self.layers.last_mut().expect("there is always a layer");
        for (word, bit) in last.places(id) {
            last.words[word] |= bit;
        }
        last.room = last.room.saturating_sub(1);
        if last.room == 0 {
            let twice = last.bits / BITS * 2;
            self.layers.push(Layer::new(twice));
        }
    }
}

impl Layer {
    fn new(room: u64) -> Self {
        let bits = (room * BITS).next_multiple_of(64);
        let words = vec![0; usize::try_from(bits / 64).expect("a filter fits memory")];
        Self { words, bits, room }
    }

    /// The word and bit of each probe. The second half of an id is random, the first may be a moment; or a member chose it, who can
    /// only make us look.
    fn places(&self, id: EntityId) -> impl Iterator<Item = (usize, u64)> + use<> {
        let half = |from: usize| {
            let bytes = id.0[from..from + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let (start, step, bits) = (half(0), half(8) | 1, self.bits);
        (1..=PROBES).map(move |probe| {
            let hash = start.wrapping_add(probe.wrapping_mul(step));
            // The high half of a product spreads a hash evenly over any number of bits.
            let at = ((u128::from(hash) * u128::from(bits)) >> 64) as u64;
            ((at / 64) as usize, 1 << (at % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use studiovault_protocol::id::CommandId;
    use studiovault_protocol::time::WallMs;

    use super::super::fixtures::Dice;
    use super::*;

    #[test]
    fn it_never_denies_what_was_inserted_and_seldom_affirms_what_was_not() {
        let mut known = Known {
            layers: vec![Layer::new(100)],
        };
        let mut dice = Dice(1);
        // All of one moment: only their random bytes differ.
        let mut id = || {
            let [random @ .., _, _, _, _, _, _] = dice.bytes();
            EntityId(CommandId::at(WallMs(1_790_000_000_000), random).0)
        };
        let ids: Vec<EntityId> = (0..5000).map(|_| id()).collect();
        ids.iter().for_each(|id| known.insert(*id));
        assert!(known.layers.len() > 3, "it grew");
        assert!(ids.iter().all(|id| known.may_hold(*id)));
        let strangers = (0..5000).filter(|_| known.may_hold(id())).count();
        assert!(strangers < 500, "{strangers} of 5000");
    }
}
