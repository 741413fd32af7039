//! Where chains split, by the proofs held: of each author the lowest place; and the digest, in which that place counts and no proof.

use std::collections::BTreeMap;

use super::{Entry, Roster};
use crate::id::{Author, Hash};
use crate::limits;
use crate::membership::{Double, RecordError, Split};

impl Roster {
    /// Which chains split, and where.
    pub fn forks(&self) -> &BTreeMap<Author, Split> {
        &self.forks
    }

    /// Equal on two machines exactly when they hold the same records, and know the same splits.
    pub fn digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        // Machines that met different branches hold different proofs of one split.
        let proves = |at: usize| self.entries[at].record.double().is_some();
        let records = self.places.iter().filter(|(_, at)| !proves(**at));
        records.for_each(|(hash, _)| {
            hasher.update(&hash.0);
        });
        for (author, split) in &self.forks {
            let fork =
                postcard::to_stdvec(&(author, split.from)).expect("wire types always encode");
            hasher.update(&fork);
        }
        Hash(*hasher.finalize().as_bytes())
    }

    /// Takes note of where a chain splits; `Ok(false)` if it is known to split there or before.
    pub(super) fn splits(&mut self, double: &Double) -> Result<bool, RecordError> {
        let (author, split) = (double.author(), double.split());
        let known = self.forks.get(&author);
        if known.is_some_and(|known| known.from <= split.from) {
            return Ok(false);
        }
        let of = |entry: &&Entry| {
            let grant = entry.record.grant();
            grant.is_some_and(|grant| grant.device == author.device)
        };
        let mut keys = self
            .entries
            .iter()
            .filter(of)
            .filter_map(|e| e.key.as_ref());
        let Some(first) = keys.next() else {
            return Err(RecordError::Unfounded);
        };
        if !double.is_signed_by(first) && !keys.any(|key| double.is_signed_by(key)) {
            return Err(RecordError::BadSignature);
        }
        let forks = self.forks.keys();
        let of_device = forks.filter(|fork| fork.device == author.device).count();
        if known.is_none() && of_device >= limits::FORKS {
            return Err(RecordError::Full);
        }
        self.forks.insert(author, split);
        Ok(true)
    }
}
