//! Receipt numbers: a code of the machine and a number that runs without gaps along the machine's path of epochs.
//!
//! A code is chosen at a machine's first receipt and kept from then on. Copies of one till go on with one code and the same
//! numbers; four characters of the entry's hash, shown behind the number, keep their receipts apart.

use std::fmt;
use std::str::FromStr;

use crate::id::{DeviceId, Hash};

/// The field of an append-only type that holds the receipt number.
pub const FIELD: &str = "receipt";
/// The letters of codes: none that reads as a digit.
const LETTERS: &[u8; 24] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
/// Letters of a code at most.
const CODE: usize = 8;
/// Characters of the hash behind a shown receipt.
const MARK: usize = 4;

/// One receipt number, such as `A-000123`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Receipt {
    code: String,
    number: u64,
}

impl Receipt {
    /// The first receipt of a machine: the shortest start of its letters that no other machine's letters begin with.
    pub fn first(device: DeviceId, others: impl IntoIterator<Item = DeviceId>) -> Self {
        let own = letters(device);
        let others = others.into_iter().filter(|other| *other != device);
        let shared = others.map(|other| {
            let pairs = own.iter().zip(letters(other));
            pairs.take_while(|(one, other)| *one == other).count()
        });
        let length = shared.max().map_or(1, |shared| (shared + 1).min(CODE));
        let code = own[..length].iter().map(|letter| char::from(*letter));
        Self {
            code: code.collect(),
            number: 1,
        }
    }

    /// The receipt after this one. After the last number there is, the numbers begin again.
    pub fn next(&self) -> Self {
        Self {
            code: self.code.clone(),
            number: self.number.checked_add(1).unwrap_or(1),
        }
    }

    /// The running number.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// A receipt as it is shown and printed: with four characters of its entry's hash, `A-000123-7f3c`.
pub fn shown(receipt: &str, entry: Hash) -> String {
    format!("{receipt}-{}", &entry.to_string()[..MARK])
}

/// A machine's own letters.
fn letters(device: DeviceId) -> [u8; CODE] {
    let hash = Hash::of(&[b"receipt", &device.0[..]].concat());
    std::array::from_fn(|at| LETTERS[usize::from(hash.0[at]) % LETTERS.len()])
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:06}", self.code, self.number)
    }
}

/// The text is no receipt number that a machine gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a receipt number reads like A-000123")]
pub struct NoReceipt;

impl FromStr for Receipt {
    type Err = NoReceipt;

    fn from_str(text: &str) -> Result<Self, NoReceipt> {
        let (code, number) = text.split_once('-').ok_or(NoReceipt)?;
        let fits = (1..=CODE).contains(&code.len()) && code.bytes().all(|b| LETTERS.contains(&b));
        let number: u64 = number.parse().map_err(|_| NoReceipt)?;
        let receipt = Self {
            code: code.to_owned(),
            number,
        };
        (fits && receipt.to_string() == text)
            .then_some(receipt)
            .ok_or(NoReceipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u8) -> DeviceId {
        DeviceId([n; 16])
    }

    #[test]
    fn numbers_go_on_and_read_back() {
        let first = Receipt::first(device(1), []);
        let next = first.next();
        assert!(first.to_string().ends_with("-000001") && next.to_string().ends_with("-000002"));
        assert_eq!(next.to_string().parse(), Ok(next.clone()));
        let large = Receipt {
            number: 12_345_678,
            ..next
        };
        assert_eq!(large.to_string().parse(), Ok(large));
        for wrong in [
            "",
            "A",
            "A-1",
            "a-000001",
            "A-0000001",
            "0-000001",
            "ABCDEFGHJ-000001",
        ] {
            assert!(wrong.parse::<Receipt>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_two_machines_that_know_each_other_begin_with_one_code() {
        let all: Vec<DeviceId> = (0..64).map(device).collect();
        let mut codes: Vec<String> = all
            .iter()
            .map(|one| Receipt::first(*one, all.iter().copied()).code)
            .collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), 64);
        assert_eq!(
            Receipt::first(device(1), [device(1)]).code.len(),
            1,
            "alone, one letter"
        );
    }

    #[test]
    fn what_a_later_machine_takes_is_not_what_an_earlier_one_has() {
        for n in 1..64 {
            let known: Vec<DeviceId> = (0..n).map(device).collect();
            let earlier = known
                .iter()
                .enumerate()
                .map(|(at, one)| Receipt::first(*one, known[..at].iter().copied()));
            let later = Receipt::first(device(n), known.iter().copied());
            assert!(
                earlier.map(|one| one.code).all(|code| code != later.code),
                "{}",
                later.code
            );
        }
    }

    #[test]
    fn twins_are_told_apart_by_their_entries() {
        let one = shown("A-000007", Hash::of(b"one"));
        assert_eq!(one.len(), "A-000007-7f3c".len());
        assert_ne!(one, shown("A-000007", Hash::of(b"other")));
    }
}
