//! Cells of a row, and cells as the protocol's types. What does not fit is a damaged row, never a panic.

use serde::Serialize;
use serde::de::DeserializeOwned;
use studiovault_protocol::id::{Author, DeviceId, Epoch, Hash};

use super::StoreError;
use super::database::Row;

/// A cell of a row, or a parameter of a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cell<'a> {
    /// Nothing.
    Null,
    /// A number, or 0 and 1 for no and yes.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// What can be a parameter of a statement.
pub trait AsCell {
    /// As a cell.
    fn as_cell(&self) -> Cell<'_>;
}

impl AsCell for i64 {
    fn as_cell(&self) -> Cell<'_> {
        Cell::Int(*self)
    }
}

impl AsCell for bool {
    fn as_cell(&self) -> Cell<'_> {
        Cell::Int((*self).into())
    }
}

impl AsCell for str {
    fn as_cell(&self) -> Cell<'_> {
        Cell::Text(self)
    }
}

impl AsCell for String {
    fn as_cell(&self) -> Cell<'_> {
        Cell::Text(self)
    }
}

impl AsCell for [u8] {
    fn as_cell(&self) -> Cell<'_> {
        Cell::Bytes(self)
    }
}

impl AsCell for Vec<u8> {
    fn as_cell(&self) -> Cell<'_> {
        Cell::Bytes(self)
    }
}

impl<const N: usize> AsCell for [u8; N] {
    fn as_cell(&self) -> Cell<'_> {
        Cell::Bytes(self)
    }
}

impl<T: AsCell + ?Sized> AsCell for &T {
    fn as_cell(&self) -> Cell<'_> {
        (**self).as_cell()
    }
}

impl<T: AsCell> AsCell for Option<T> {
    fn as_cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, AsCell::as_cell)
    }
}

/// The parameters of a statement.
macro_rules! cells {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::cell::AsCell::as_cell(&$value)),*][..]
    };
}
pub(super) use cells;

/// What a cell can be read as.
pub trait FromCell: Sized {
    /// `None`: it is something else.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

impl FromCell for i64 {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(number) => Some(number),
            _ => None,
        }
    }
}

impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        i64::from_cell(cell).map(|number| number != 0)
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

impl<'r> Row<'r> {
    /// A cell as it is.
    pub fn cell(self, at: usize) -> Result<Cell<'r>, StoreError> {
        self.0.cell(at)
    }

    /// A cell as a type.
    pub fn get<T: FromCell>(self, at: usize) -> Result<T, StoreError> {
        T::from_cell(self.cell(at)?).ok_or(StoreError::Damaged("a cell of another kind"))
    }

    fn blob(self, at: usize, what: &'static str) -> Result<&'r [u8], StoreError> {
        match self.cell(at)? {
            Cell::Bytes(bytes) => Ok(bytes),
            _ => Err(StoreError::Damaged(what)),
        }
    }
}

/// A fixed run of bytes.
pub fn bytes<const N: usize>(row: Row<'_>, at: usize) -> Result<[u8; N], StoreError> {
    row.blob(at, "bytes")?
        .try_into()
        .map_err(|_| StoreError::Damaged("the length of an id or a hash"))
}

/// A hash.
pub fn hash(row: Row<'_>, at: usize) -> Result<Hash, StoreError> {
    bytes(row, at).map(Hash)
}

/// A count or a position.
pub fn number(row: Row<'_>, at: usize) -> Result<u64, StoreError> {
    unsigned(row.get(at)?)
}

/// A count or a position that may be missing.
pub fn number_or_none(row: Row<'_>, at: usize) -> Result<Option<u64>, StoreError> {
    row.get::<Option<i64>>(at)?.map(unsigned).transpose()
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
pub fn author(row: Row<'_>, at: usize) -> Result<Author, StoreError> {
    Ok(Author {
        device: DeviceId(bytes(row, at)?),
        epoch: epoch(row.get(at + 1)?),
    })
}

/// A postcard struct.
pub fn unpack<T: DeserializeOwned>(
    row: Row<'_>,
    at: usize,
    what: &'static str,
) -> Result<T, StoreError> {
    postcard::from_bytes(row.blob(at, what)?).map_err(|_| StoreError::Damaged(what))
}

/// A struct as postcard.
pub fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("the protocol's types always encode")
}
