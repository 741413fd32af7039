//! Cells of a row as the protocol's types. What does not fit is a damaged row, never a panic.

use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;
use studiovault_protocol::id::{Author, DeviceId, Epoch, Hash};

use super::StoreError;

/// A fixed run of bytes.
pub fn bytes<const N: usize>(row: &Row<'_>, at: usize) -> Result<[u8; N], StoreError> {
    let blob = row
        .get_ref(at)?
        .as_blob()
        .map_err(|_| StoreError::Damaged("bytes"))?;
    blob.try_into()
        .map_err(|_| StoreError::Damaged("the length of an id or a hash"))
}

/// A hash.
pub fn hash(row: &Row<'_>, at: usize) -> Result<Hash, StoreError> {
    bytes(row, at).map(Hash)
}

/// A count or a position.
pub fn number(row: &Row<'_>, at: usize) -> Result<u64, StoreError> {
    unsigned(row.get(at)?)
}

/// A count or a position that may be missing.
pub fn number_or_none(row: &Row<'_>, at: usize) -> Result<Option<u64>, StoreError> {
    row.get::<_, Option<i64>>(at)?.map(unsigned).transpose()
}

fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Damaged("a negative number"))
}

/// A count or a position as a cell; the protocol keeps all of them below 2^63.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("counters and positions stay below 2^63")
}

/// An epoch's bits as a cell.
pub fn of_epoch(epoch: Epoch) -> i64 {
    epoch.0.cast_signed()
}

/// An epoch from its bits.
pub fn epoch(bits: i64) -> Epoch {
    Epoch(bits.cast_unsigned())
}

/// An author from two neighbouring cells.
pub fn author(row: &Row<'_>, at: usize) -> Result<Author, StoreError> {
    Ok(Author {
        device: DeviceId(bytes(row, at)?),
        epoch: epoch(row.get(at + 1)?),
    })
}

/// A postcard struct.
pub fn unpack<T: DeserializeOwned>(
    row: &Row<'_>,
    at: usize,
    what: &'static str,
) -> Result<T, StoreError> {
    let blob = row
        .get_ref(at)?
        .as_blob()
        .map_err(|_| StoreError::Damaged(what))?;
    postcard::from_bytes(blob).map_err(|_| StoreError::Damaged(what))
}

/// A struct as postcard.
pub fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("the protocol's types always encode")
}
